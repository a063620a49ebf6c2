// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectortest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/engine"
)

// A Step is what a detector found in one snapshot.
type Step struct {
	Snapshot *goroutine.Snapshot
	Findings []detectors.Finding
	Ran      bool             // false when the detector's needs were not met
	Status   detectors.Status // whether it was judging, and why not; see detectors.Pass.Abstain
}

// Run replays a series of snapshots, oldest first, and returns one step for
// each. The stacks of [detectors.KnownGood] are known.
//
// Run fails the test when the detector or its configuration is invalid, when the
// detector returns an error or an invalid finding, and when a second run over
// the same pass gives different findings, as it may if the detector keeps state.
// The second run takes place when there are findings, and otherwise for every
// 16th pass.
func Run(t testing.TB, d *detectors.Detector, series ...*goroutine.Snapshot) []Step {
	t.Helper()
	r := NewReplay(t, d)
	steps := make([]Step, len(series))
	for i, s := range series {
		steps[i] = r.Step(s)
	}
	return steps
}

// A Replay does what [Run] does, one snapshot at a time. It is for tests in
// which findings decide what happens next, and for series that are too long to
// keep in memory.
type Replay struct {
	t        testing.TB
	detector *detectors.Detector
	engine   *engine.Engine
	expected expected
	sockets  func(now time.Time) (*goroutine.Sockets, error)
	runs     int
}

// expected is an Inspector that promises these inspections and never takes any.
type expected []goroutine.Source

func (e *expected) Inspect(goroutine.Source, *goroutine.Snapshot) *engine.Inspection { return nil }
func (e *expected) Expect(kind goroutine.Source) bool                                { return slices.Contains(*e, kind) }

// NewReplay returns a replay without a snapshot.
func NewReplay(t testing.TB, d *detectors.Detector) *Replay {
	t.Helper()
	if err := detectors.Validate([]*detectors.Detector{d}); err != nil {
		t.Fatalf("the detector is not valid: %v", err)
	}
	r := &Replay{t: t, detector: d}
	checked := *d
	checked.Run = r.run
	r.sockets = func(time.Time) (*goroutine.Sockets, error) { return nil, detectors.ErrNoSockets }
	r.engine = engine.New(engine.Config{
		Detectors: []*detectors.Detector{&checked}, Inspector: &r.expected,
		Sockets: func(now time.Time) (*goroutine.Sockets, error) { return r.sockets(now) },
	})
	return r
}

// Sockets sets what Pass.Sockets returns, by the time of the snapshot. Without a call
// of Sockets it fails with detectors.ErrNoSockets.
func (r *Replay) Sockets(read func(now time.Time) (*goroutine.Sockets, error)) { r.sockets = read }

// Inspect adds a closer inspection, such as a leak proof, for the steps that
// follow. In a monitor, the detector would ask for it.
func (r *Replay) Inspect(s *goroutine.Snapshot) { r.engine.Inspected(s) }

// Expect sets the closer inspections for which Pass.Ask returns true. Without a
// call of Expect there are none.
func (r *Replay) Expect(sources ...goroutine.Source) { r.expected = sources }

// Step adds a snapshot and runs the detector on it.
func (r *Replay) Step(s *goroutine.Snapshot) Step {
	r.t.Helper()
	result := r.engine.Step(s)
	if result.Verdicts == nil {
		r.t.Fatalf("snapshot of %v: not newer than the previous one", s.Time)
	}
	verdict := result.Verdicts[0]
	if verdict.Err != nil {
		r.t.Errorf("snapshot of %v: %v", s.Time, verdict.Err)
	}
	return Step{Snapshot: s, Findings: result.Findings, Ran: verdict.Ran, Status: result.Statuses[0]}
}

// run calls the detector's Run and checks that it keeps the contract.
func (r *Replay) run(pass *detectors.Pass) error {
	found, err := r.once(pass)
	for i := range found {
		if err := check(&found[i]); err != nil {
			r.t.Errorf("snapshot of %v: %v: %+v", pass.Snapshot.Time, err, found[i])
		}
	}
	if r.runs++; len(found) > 0 || r.runs%16 == 0 { // a second run of each would double the time of long tests
		if again, _ := r.once(pass); !reflect.DeepEqual(found, again) {
			r.t.Errorf("snapshot of %v: a second run gave other findings:\n%v\n%v", pass.Snapshot.Time, found, again)
		}
	}
	for _, f := range found {
		pass.Report(f)
	}
	return err
}

func (r *Replay) once(pass *detectors.Pass) (found []detectors.Finding, err error) {
	own := *pass
	own.Report = func(f detectors.Finding) { found = append(found, f) }
	err = r.detector.Run(&own)
	return found, err
}

// check returns an error if a finding breaks the contract.
func check(f *detectors.Finding) error {
	switch {
	case f.Stack == nil:
		return fmt.Errorf("the finding has no stack")
	case !slices.Contains(detectors.Confidences(), f.Confidence):
		return fmt.Errorf("the finding has no confidence")
	case f.Count <= 0:
		return fmt.Errorf("the finding concerns no goroutine")
	case f.Message == "" || strings.Contains(f.Message, "\n"):
		return fmt.Errorf("the message is not one sentence")
	case len(f.Evidence) > detectors.MaxEvidence:
		return fmt.Errorf("the finding has too many sentences of evidence")
	case len(f.IDs) > goroutine.MaxIDs || !slices.IsSorted(f.IDs):
		return fmt.Errorf("there are too many IDs, or they are not in rising order")
	}
	return checkTexts(f)
}

// Series advances p by interval and takes a snapshot, n times. If do is not nil,
// it is called before each snapshot with the number of the snapshot, from 0.
func Series(p *Process, n int, interval time.Duration, do func(i int)) []*goroutine.Snapshot {
	series := make([]*goroutine.Snapshot, n)
	for i := range series {
		p.Advance(interval)
		if do != nil {
			do(i)
		}
		series[i] = p.Snapshot()
	}
	return series
}

// Findings returns the findings of all steps, in order.
func Findings(steps []Step) []detectors.Finding {
	var all []detectors.Finding
	for _, s := range steps {
		all = append(all, s.Findings...)
	}
	return all
}

// A Want describes an expected finding. Zero fields match anything.
type Want struct {
	Function   string // of the innermost user frame
	Line       int    // of the same
	State      goroutine.State
	Confidence detectors.Confidence
	Count      int
	Subject    string
	Contains   string // in the message or in a sentence of evidence
}

// Compare fails the test unless got holds exactly one finding for each of want,
// in any order, and no others.
func Compare(t testing.TB, got []detectors.Finding, want ...Want) {
	t.Helper()
	rest := slices.Clone(got)
	for _, w := range want {
		i := slices.IndexFunc(rest, func(f detectors.Finding) bool { return w.matches(&f) })
		if i < 0 {
			t.Errorf("missing finding %+v", w)
			continue
		}
		rest = slices.Delete(rest, i, i+1)
	}
	for _, f := range rest {
		t.Errorf("unexpected finding of %s: %s\n%s", f.Detector, f.Message, strings.Join(f.Evidence, "\n"))
	}
}

func (w Want) matches(f *detectors.Finding) bool {
	user := f.Stack.User()
	return matches(w.Function, user.Function) && matches(w.Line, user.Line) && matches(w.State, f.State) &&
		matches(w.Confidence, f.Confidence) && matches(w.Count, f.Count) && matches(w.Subject, f.Subject) &&
		(strings.Contains(f.Message, w.Contains) || slices.ContainsFunc(f.Evidence, func(e string) bool { return strings.Contains(e, w.Contains) }))
}

func matches[T comparable](want, got T) bool {
	var zero T
	return want == zero || want == got
}
