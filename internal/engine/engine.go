// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package engine is the one pipeline from snapshots to events: it keeps the
// history, runs the detectors, takes the closer inspections they ask for, makes
// findings about the same goroutines one, adds details from goroutine dumps, and
// tracks findings from their opening to their end.
//
// The monitor, the command's watch and report, and detectortest all use it. They
// differ in where snapshots come from and in what their [Inspector] can do.
//
// An Engine is not safe for concurrent use. It has no goroutines and knows the
// time only from the snapshots.
package engine

import (
	"slices"
	"sync"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// An Inspector takes closer inspections of the process on a suspicion: a trace
// window (goroutine.SourceWindow), a leak proof (goroutine.SourceProof), a goroutine
// dump (goroutine.SourceText) or a trace with the queues for locks
// (goroutine.SourceLocks).
type Inspector interface {
	// Inspect takes an inspection of a kind, or returns nil when it is unavailable
	// or not due. base is the newest snapshot of the process.
	Inspect(kind goroutine.Source, base *goroutine.Snapshot) *Inspection

	// Expect reports whether it makes sense to wait for an inspection of a kind
	// that is unavailable now.
	Expect(kind goroutine.Source) bool
}

// An Inspection is what an [Inspector] found.
type Inspection struct{ *goroutine.Snapshot }

// A Config says what an [Engine] judges with. All fields may be zero.
type Config struct {
	Detectors []*detectors.Detector
	Known     []detectors.KnownStack // the user's exclusions; they come before detectors.KnownGood
	Inspector Inspector              // nil: no inspections
	Measure   func(judge func())     // called to run each detector, for its cost; may be nil

	// Timers is Pass.Timers of all passes; nil for snapshots of other processes.
	Timers func(*goroutine.Stack) (may, known bool)

	// Sockets reads the TCP sockets of the process, at most once in a step and only if
	// a detector asks. It is nil where they are not those of this process.
	Sockets func(now time.Time) (*goroutine.Sockets, error)

	// Labels says how the labels of a finding's goroutines are read. Without a Read
	// function, none are.
	Labels Labels

	// Interval is the usual time between snapshots. On a suspicion they come sooner,
	// which must not end an incident sooner. 0 if they do not.
	Interval time.Duration
}

// An Engine judges the snapshots of one process.
type Engine struct {
	detectors []*detectors.Detector
	known     []detectors.KnownStack
	inspector Inspector
	measure   func(judge func())
	timers    func(*goroutine.Stack) (may, known bool)
	sockets   func(now time.Time) (*goroutine.Sockets, error)
	yields    yielding
	interval  time.Duration // Config.Interval
	labels    Labels

	history    *history
	tracker    *tracker
	status     []detectors.Status // of the last step
	exclusions exclusions         // the user's

	dumped  map[detectors.Identity]enrichment // what dumps told about the findings of the last step
	origins map[detectors.Identity]origin     // what labels told about findings
	decided map[detectors.Identity]decision   // which findings exclusions on creators and labels cover
}

// New returns an engine without history.
func New(c Config) *Engine {
	e := &Engine{
		detectors: c.Detectors,
		known:     slices.Concat(c.Known, detectors.KnownGood()), // the user's come first: they decide
		inspector: c.Inspector,
		sockets:   c.Sockets,
		measure:   c.Measure,
		timers:    c.Timers,
		yields:    yieldingOf(c.Detectors),
		interval:  c.Interval,
		labels:    c.Labels,
		history:   newHistory(c.Detectors),

		exclusions: exclusionsOf(c.Known),
	}
	e.tracker = newTracker(e.yields)
	e.tracker.absence = (absences - 1) * c.Interval * 3 / 4 // snapshots may be a little early
	if e.measure == nil {
		e.measure = func(judge func()) { judge() }
	}
	return e
}

// A Result is the result of a step.
type Result struct {
	Findings []detectors.Finding // of this snapshot, without those that are part of others
	Open     []detectors.Finding // including unresolved ones of earlier snapshots, longest open first
	Events   []detectors.Event   // ends first, then what was open before, then what is new
	Verdicts []Verdict           // by detector; nil when the snapshot was not newer than the last
	Statuses []detectors.Status  // by detector: which of them are judging; never modified later

	// Unused names the user's exclusions that have matched nothing in the snapshots of a
	// day. Those on creators and labels, which snapshots do not have, are never among
	// them. Snapshots that do not show all stacks do not count, such as profiles.
	Unused []string

	// Attention reports that a detector suspects a fault which more snapshots would
	// tell sooner. What is open does not ask for it: more snapshots would neither
	// tell it sooner nor end it.
	Attention bool
}

// Step judges a snapshot. A snapshot that is not newer than the previous one, as
// after the clock was set back, is not judged.
func (e *Engine) Step(s *goroutine.Snapshot) Result {
	var r Result
	p := pass{now: s.Time, judged: make(map[string]string)}
	if e.history.add(s) {
		r.Verdicts = e.verdicts(s)
		p.view = e.history.view()
	}
	for _, v := range r.Verdicts {
		r.Findings = append(r.Findings, v.findings...)
		r.Attention = r.Attention || v.attends
		p.judged[v.Detector] = v.unjudged()
	}
	if r.Verdicts != nil {
		e.history.attend(r.Attention)
		e.measure(func() { e.exclusions.examine(s) })
		r.Unused = e.exclusions.unused(s.Time)
	}
	doubt(s, r.Findings)
	r.Findings = e.yields.merge(r.Findings, p.view)
	c := &closer{Snapshot: s, inspector: e.inspector}
	if r.Verdicts != nil {
		p.excluded = e.exclude(c, r.Findings)
	}
	r.Findings = slices.DeleteFunc(r.Findings, func(f detectors.Finding) bool { _, ok := p.excluded[f.Identity()]; return ok })
	e.enrich(c, r.Findings) // the creators tell what belongs together
	e.tracker.company.step()
	r.Findings = e.tracker.company.merge(r.Findings, e.yields, p.view)
	e.origin(c, r.Findings)
	p.findings = r.Findings
	r.Events = e.tracker.step(&p)
	r.Open = e.tracker.findings()
	e.status = e.statuses(s, r.Verdicts)
	r.Statuses = e.status
	return r
}

// statuses returns the statuses after a step. Each keeps the time since which it
// has been the same.
func (e *Engine) statuses(s *goroutine.Snapshot, verdicts []Verdict) []detectors.Status {
	if verdicts == nil && !s.Time.Before(e.history.newest()) {
		return e.status // a second snapshot of one moment
	}
	all := make([]detectors.Status, len(e.detectors))
	for i, d := range e.detectors {
		if verdicts == nil {
			all[i] = detectors.NotJudging(d.Name, detectors.ReasonNoSnapshot, "the snapshot is not newer than the one before: the clock was set back")
		} else {
			all[i] = verdicts[i].status
			all[i].Candidates = e.tracker.unexplained(all[i].Candidates)
		}
		all[i].Since = s.Time
		if e.status != nil && e.status[i].State() == all[i].State() {
			all[i].Since = e.status[i].Since
		}
	}
	return all
}

// Remember adds snapshots to the history without judging them: those that come
// before the one to be judged in a saved series.
func (e *Engine) Remember(series ...*goroutine.Snapshot) {
	for _, s := range series {
		e.history.add(s)
	}
}

// Inspected adds an inspection that no detector asked for, for the steps that
// follow.
func (e *Engine) Inspected(s *goroutine.Snapshot) { e.history.inspected(s) }

// End resolves all open findings because the process has ended.
func (e *Engine) End(now time.Time) []detectors.Event { return e.tracker.resolveAll(now) }

// verdicts runs all detectors. If an inspection was taken, it then reruns the
// detectors that asked for one.
func (e *Engine) verdicts(s *goroutine.Snapshot) []Verdict {
	base := e.history.pass()
	base.Exclude(e.known)
	base.Timers = e.timers
	if e.sockets != nil {
		base.Sockets = sync.OnceValues(func() (*goroutine.Sockets, error) { return e.sockets(s.Time) })
	}
	all := make([]Verdict, len(e.detectors))
	e.run(base, all, func(Verdict) bool { return true })
	if e.inspect(s, all) {
		e.history.refresh(base)
		e.run(base, all, func(v Verdict) bool { return len(v.asked) > 0 })
	}
	return all
}

func (e *Engine) run(base *detectors.Pass, all []Verdict, wanted func(Verdict) bool) {
	for i, d := range e.detectors {
		if wanted(all[i]) {
			e.measure(func() { all[i] = e.judge(d, base) })
		}
	}
}

// inspect takes the inspections that detectors asked for, and reports whether
// there were any.
func (e *Engine) inspect(s *goroutine.Snapshot, all []Verdict) (inspected bool) {
	if e.inspector == nil {
		return false
	}
	for _, kind := range []goroutine.Source{goroutine.SourceText, goroutine.SourceLocks, goroutine.SourceWindow, goroutine.SourceProof} { // what costs least first
		if !slices.ContainsFunc(all, func(v Verdict) bool { return slices.Contains(v.asked, kind) }) {
			continue
		}
		if i := e.inspector.Inspect(kind, s); i != nil {
			e.history.inspected(i.Snapshot)
			inspected = true
		}
	}
	return inspected
}
