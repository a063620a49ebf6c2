// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package observe observes processes from outside. Each snapshot goes through the
// same engine that otelgoroutine's monitor uses inside a process. If a process
// restarts or cannot be reached, observation resumes when it responds again.
package observe

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/engine"
	"github.com/otelgoroutine/go/internal/sight"
	"github.com/otelgoroutine/go/internal/source"
	"github.com/otelgoroutine/go/internal/telemetry"
)

const (
	// maxPoints is how many snapshots the sparklines cover.
	maxPoints = 120
	// maxEvents is how many events are kept for display.
	maxEvents = 100
	// maxRows is how many stacks, the largest, a point stores.
	maxRows = 64
	// askAgain is after which time a process that gave no trace is asked for one
	// again. It is asked at the next snapshot if another trace was running.
	askAgain = 10 * time.Minute
	// slotTries is how often a trace is tried again while another one is running, and
	// slotWait the mean time in between.
	slotTries = 2
	slotWait  = 50 * time.Millisecond
)

var errEmpty = errors.New("a snapshot without goroutines")

// A Process takes snapshots of one process. *source.Remote is the production
// implementation.
type Process interface {
	Take(context.Context) (*goroutine.Snapshot, error)
	Forget()

	// Generation returns the number of the generation of the last trace, or 0. It
	// rises from trace to trace of a process, and begins with 1 in a new one.
	Generation() uint64

	// NoTrace returns why no traces are taken: a value of the attribute
	// goroutine.snapshot.skip_reason, and the same for people. Both are empty if they
	// are taken. Retry makes the next Take try again.
	NoTrace() (reason, detail string)
	Retry()
}

// A Point is the part of a snapshot that is kept for the sparklines.
type Point struct {
	Time   time.Time
	Failed bool
	Total  int
	States map[goroutine.State]int
	Stacks map[goroutine.GroupKey]int // the largest
}

// An Event is an event and the process that it is about.
type Event struct {
	Target string
	detectors.Event
}

// A Status is everything that is displayed about a target.
type Status struct {
	Name     string
	Snapshot *goroutine.Snapshot // the latest; nil before the first
	Err      error               // why the latest attempt failed; nil if it succeeded
	Since    time.Time           // start of the current series of failures
	Faults   []string            // errors of detectors, in the detectors' order; nil if there are none
	NoTrace  string              // why there are no traces and no goroutine IDs, as a clause; empty if there are
	Restarts int
	Evidence string // of the last restart, as a clause; empty if there was none
	Taken    int    // snapshots
	Open     []detectors.Finding
	Points   []Point      // oldest first
	Sight    sight.Status // what can be judged now
}

// Unreachable reports whether the latest attempt gave no snapshot at all.
func (s *Status) Unreachable() bool {
	return s.Err != nil && len(s.Points) > 0 && s.Points[len(s.Points)-1].Failed
}

// Why returns why the latest attempt failed, without the address; "" if it did not.
func (s *Status) Why() string {
	if s.Err == nil {
		return ""
	}
	text := s.Err.Error()
	page := strings.TrimPrefix(text, http.MethodGet+" ")
	if _, why, ok := strings.Cut(page, ": "); ok && strings.HasPrefix(page, s.Name) {
		return why
	}
	return text
}

// A Step is what an attempt to take a snapshot led to.
type Step struct {
	Status Status
	Events []detectors.Event
}

// A Target is a process under observation. Its methods are safe for concurrent
// use, but calls of Observe and Run must not overlap.
type Target struct {
	process   Process
	detectors []*detectors.Detector
	known     []detectors.KnownStack
	telemetry *telemetry.Telemetry // nil if nothing is exported
	onStep    func(Step)
	profile   func(*goroutine.Snapshot, []detectors.Finding) [16]byte // nil: no profiles are made; see Profile
	points    int                                                     // kept at most

	engine   *engine.Engine
	standing standing
	sight    *sight.Sight
	events   []detectors.Event // of the current step

	generation uint64    // of the last trace of the process; 0 before the first
	failures   int       // since the last snapshot
	refused    bool      // one of them was a refused connection
	asked      time.Time // when the process was last asked for a trace

	mu     sync.Mutex
	status Status
}

// NewTarget returns a target. telemetry may be nil. seen records what can be
// judged; it must be new, and its interval that of Run. onStep is called after each
// attempt to take a snapshot, on the goroutine that runs Observe.
func NewTarget(name string, p Process, ds []*detectors.Detector, seen *sight.Sight, t *telemetry.Telemetry, onStep func(Step)) *Target {
	target := &Target{process: p, detectors: ds, sight: seen, telemetry: t, onStep: onStep, status: Status{Name: name}, asked: time.Now(), points: maxPoints}
	target.begin()
	if t != nil {
		t.SetDetectors(seen.Current(), time.Now())
	}
	return target
}

// Exclude sets stacks that wait by design, beyond those that are known. It is called
// before Run.
func (t *Target) Exclude(known []detectors.KnownStack) {
	t.known = known
	t.begin()
}

// ForMany limits what is kept to what judging needs: nothing is kept for display but
// whether the latest attempt failed. It is called before Run, where there may be
// thousands of targets.
func (t *Target) ForMany() { t.points = 1 }

// End ends the observation: open findings end, as the process is no longer observed. It
// returns and exports their events. It must not overlap with Observe, which must not be
// called again.
func (t *Target) End(ctx context.Context) []detectors.Event {
	t.events = nil
	t.send(ctx, nil, t.engine.End(time.Now()))
	return t.events
}

// begin starts over with an empty history, for a new process.
func (t *Target) begin() {
	t.engine, t.standing = engine.New(engine.Config{Detectors: t.detectors, Known: t.known}), standing{}
}

// Status returns a copy of the current status.
func (t *Target) Status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.status
	s.Points = slices.Clone(s.Points)
	s.Sight = t.sight.Status(time.Now())
	return s
}

// Run takes a snapshot immediately and then at every interval, until ctx ends.
func (t *Target) Run(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		t.Observe(ctx)
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// Observe takes a snapshot, runs the detectors, and reports and exports the
// results.
func (t *Target) Observe(ctx context.Context) {
	t.events = nil
	t.retry(time.Now())
	s, err := t.take(ctx)
	if ctx.Err() != nil {
		return
	}
	if s == nil || s.Total == 0 {
		t.failed(ctx, cmp.Or(err, errEmpty))
	} else {
		t.observed(ctx, s, err)
	}
	t.onStep(Step{t.Status(), t.events})
}

// retry asks for traces again where there were none, when it is time.
func (t *Target) retry(now time.Time) {
	reason, _ := t.process.NoTrace()
	if reason == "" || reason == slotTaken || now.Sub(t.asked) >= askAgain {
		t.process.Retry()
		t.asked = now
	}
}

// take takes a snapshot. If another trace was running, that is most often one as
// short as ours, so it tries again at once.
func (t *Target) take(ctx context.Context) (*goroutine.Snapshot, error) {
	s, err := t.process.Take(ctx)
	for range slotTries {
		if reason, _ := t.process.NoTrace(); err != nil || reason != slotTaken {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(slotWait/2 + rand.N(slotWait)):
		}
		t.process.Retry()
		s, err = t.process.Take(ctx)
	}
	return s, err
}

// slotTaken is the reason for a skipped trace while another one is running.
const slotTaken = "slot_taken"

func (t *Target) observed(ctx context.Context, s *goroutine.Snapshot, err error) {
	evidence := t.restarted(s)
	if evidence != "" {
		t.generation = t.generationOf(s)
		t.process.Forget()
		t.send(ctx, nil, t.engine.End(s.Time))
		t.begin()
		if again, e := t.process.Take(ctx); again != nil && again.Total > 0 {
			s, err = again, e // births are counted from here
		}
	}
	t.generation = cmp.Or(t.generationOf(s), t.generation)
	t.failures, t.refused = 0, false
	result := t.judge(ctx, s)
	t.mu.Lock()
	defer t.mu.Unlock()
	if evidence != "" {
		t.status.Restarts++
		t.status.Evidence = evidence
	}
	t.status.NoTrace = ""
	if !s.HasIDs() {
		_, t.status.NoTrace = t.process.NoTrace()
	}
	t.status.Taken++
	t.status.Snapshot, t.status.Err, t.status.Open = s, err, result.Open
	t.status.Faults = faults(result.Verdicts)
	t.add(t.pointOf(s))
}

// generationOf returns the generation of a snapshot that was just taken, or 0.
func (t *Target) generationOf(s *goroutine.Snapshot) uint64 {
	if s.Source != goroutine.SourceTrace {
		return 0
	}
	return t.process.Generation()
}

// restarted returns evidence that s is of another process than the snapshot
// before, or "" if there is none.
//
// Two traces tell. If connections were refused in between, the process has ended,
// unless its traces went on where they were: a proxy refuses connections too, and
// IDs tell nothing, because a small process that restarts soon reaches the IDs of
// its predecessor. Goroutine dumps tell by their IDs. Profiles tell nothing.
func (t *Target) restarted(s *goroutine.Snapshot) string {
	last, generation := t.status.Snapshot, t.generationOf(s)
	traced := generation > 0 && t.generation > 0
	switch {
	case last == nil:
		return ""
	case traced && generation <= t.generation:
		return "the generations of its traces are counted from the beginning again"
	case t.refused && traced && generation-t.generation <= uint64(2*(t.failures+1)): // an attempt makes one, or two if it takes long
		return ""
	case t.refused:
		return "it refused connections in between"
	case !traced && last.HasIDs() && s.HasIDs() && !source.Continues(last, s):
		return "its goroutine IDs do not go on from those before"
	}
	return ""
}

// judge runs the detectors, reports the events and exports the results.
func (t *Target) judge(ctx context.Context, s *goroutine.Snapshot) engine.Result {
	result := t.engine.Step(s)
	t.send(ctx, s, result.Events)
	var skips []sight.Skip
	if reason, _ := t.process.NoTrace(); reason != "" && !s.HasIDs() {
		skips = append(skips, sight.Skip{Source: goroutine.SourceTrace, Reason: reason})
	}
	t.sight.Saw(s, t.withStanding(s, result.Statuses, result.Open), skips, time.Now())
	if t.telemetry != nil {
		for _, k := range skips {
			t.telemetry.Skipped(ctx, k.Source, k.Reason)
		}
		t.telemetry.SetDetectors(result.Statuses, s.Time)
		t.telemetry.Publish(ctx, s, s)
		t.telemetry.SetOpen(result.Open, s.Time)
	}
	return result
}

// faults returns the errors of detectors.
func faults(verdicts []engine.Verdict) (all []string) {
	for _, v := range verdicts {
		if v.Err != nil {
			all = append(all, v.Err.Error())
		}
	}
	return all
}

// send reports events. s is the snapshot that they come from, or nil.
func (t *Target) send(ctx context.Context, s *goroutine.Snapshot, events []detectors.Event) {
	if t.telemetry != nil && len(events) > 0 {
		saved := telemetry.Files{ProfileID: t.profiled(s, events)}
		for _, e := range events {
			t.telemetry.Emit(ctx, e, saved)
		}
	}
	t.events = append(t.events, events...)
}

// failed records a failed snapshot. Metrics are set to 0; otherwise the last
// values of an unreachable process would look current.
func (t *Target) failed(ctx context.Context, err error) {
	t.failures++
	t.refused = t.refused || errors.Is(err, syscall.ECONNREFUSED)
	t.sight.Skipped([]sight.Skip{{Source: goroutine.SourceTrace, Reason: "error"}})
	if t.telemetry != nil {
		empty := &goroutine.Snapshot{Time: time.Now(), Source: goroutine.SourceTrace}
		if !t.status.Unreachable() {
			t.telemetry.Publish(ctx, empty, empty)
		}
		t.telemetry.Skipped(ctx, goroutine.SourceTrace, "error")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.status.Unreachable() {
		t.status.Since = time.Now()
	}
	t.status.Err = err
	t.add(Point{Time: time.Now(), Failed: true})
}

// add adds a point. The caller holds t.mu.
func (t *Target) add(p Point) {
	t.status.Points = append(t.status.Points, p)
	if n := len(t.status.Points) - t.points; n > 0 {
		t.status.Points = slices.Delete(t.status.Points, 0, n)
	}
}

func (t *Target) pointOf(s *goroutine.Snapshot) Point {
	if t.points == 1 {
		return Point{Time: s.Time}
	}
	p := Point{Time: s.Time, Total: s.Total, States: s.States(), Stacks: make(map[goroutine.GroupKey]int)}
	for i := range s.Groups[:min(len(s.Groups), maxRows)] {
		p.Stacks[s.Groups[i].Key()] += s.Groups[i].Count
	}
	return p
}

// Events keeps the newest events of all targets. It is safe for concurrent use.
type Events struct {
	mu   sync.Mutex
	list []Event
}

// Add adds an event.
func (e *Events) Add(event Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, event)
	if n := len(e.list) - maxEvents; n > 0 {
		e.list = slices.Delete(e.list, 0, n)
	}
}

// List returns the events, oldest first.
func (e *Events) List() []Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list)
}
