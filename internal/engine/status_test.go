// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

func TestEveryDetectorHasAStatusAfterEveryStep(t *testing.T) {
	long := strings.Repeat("ö", 400)
	ds := []*detectors.Detector{
		{Name: "judges", Run: func(*detectors.Pass) error { return nil }},
		{Name: "needs_ids", Needs: detectors.Needs{IDs: true}, Run: func(*detectors.Pass) error { return nil }},
		{Name: "fails", Run: func(*detectors.Pass) error { return errors.New("no idea\nat all") }},
		{Name: "abstains", Run: func(p *detectors.Pass) error {
			p.Abstain(detectors.ReasonShortHistory, "too few")
			p.Abstain(detectors.ReasonNoIDs, "a second reason")
			return nil
		}},
		{Name: "babbles", Run: func(p *detectors.Pass) error { p.Abstain("the_moon", long); return nil }},
	}
	e := New(Config{Detectors: ds})
	first := parked(0, 1)
	first.Source = goroutine.SourceProfile
	var states, details []string
	for _, s := range e.Step(first).Statuses {
		states, details = append(states, s.Detector+": "+s.State()), append(details, s.Detail)
		assert.Equal(t, start, s.Since)
	}
	assert.Equal(t, []string{"judges: judging", "needs_ids: no_ids", "fails: error", "abstains: short_history", "babbles: other"}, states)
	assert.Equal(t, []string{"", "snapshots have no goroutine IDs", "no idea", "too few", strings.Repeat("ö", 150) + "…"}, details)

	second := parked(1, 1)
	second.Epochs = []goroutine.Epoch{{LastID: 1}}
	r := e.Step(second)
	assert.Equal(t, start, r.Statuses[0].Since)
	assert.Equal(t, detectors.Status{Detector: "needs_ids", Judging: true, Since: second.Time}, r.Statuses[1])

	assert.Equal(t, r.Statuses, e.Step(second).Statuses)
	for _, s := range e.Step(first).Statuses {
		assert.Equal(t, detectors.ReasonNoSnapshot, s.Reason, "the clock was set back: nothing was judged")
	}
}

// settled returns a snapshot of a healthy service that has been running for
// a long time: some workers, each of which was born at the start.
func settled(at time.Time) *goroutine.Snapshot {
	s := &goroutine.Snapshot{Time: at, Source: goroutine.SourceTrace, Total: 20,
		Groups: []goroutine.Group{{Stack: worker, State: goroutine.Select, Count: 20, IDs: []uint64{7}, Births: []goroutine.Cohort{{Count: 20, Digest: 9}}}},
		Epochs: []goroutine.Epoch{{LastID: 100, End: start}}}
	return s
}

// After its warm-up, a monitor shows all detectors as judging for good, at
// any usual interval: although old snapshots are thinned out, enough are kept.
// After 160 minutes, which is as far as the history reaches, nothing changes.
func TestAllDetectorsOfASettledServiceAreJudging(t *testing.T) {
	for _, interval := range []time.Duration{2 * time.Second, 5 * time.Second, 15 * time.Second, 20 * time.Second, 30 * time.Second, time.Minute} {
		t.Run(interval.String(), func(t *testing.T) {
			e := New(Config{Detectors: detectors.Default()})
			for passed := time.Duration(0); passed < 3*time.Hour; passed += interval {
				r := e.Step(settled(start.Add(passed)))
				for _, s := range r.Statuses {
					if due := 55 * time.Minute; passed > due && !s.Judging {
						t.Fatalf("after %v %s is not judging (%s): %s", passed, s.Detector, s.Reason, s.Detail)
					}
				}
			}
		})
	}
}

// What each built-in detector says from its first snapshot on, and when it
// begins to judge.
func TestDetectorsSayWhenTheyBeginToJudge(t *testing.T) {
	began, promised := make(map[string]time.Duration), make(map[string][]time.Duration)
	e := New(Config{Detectors: detectors.Default()})
	for passed := time.Duration(0); len(began) < len(detectors.Default()) && passed < 2*time.Hour; passed += every {
		for _, s := range e.Step(settled(start.Add(passed))).Statuses {
			if _, ok := began[s.Detector]; s.Judging && !ok {
				began[s.Detector] = passed
			}
			if !s.Judging {
				assert.Equal(t, detectors.ReasonShortHistory, s.Reason, s.Detector)
				assert.Regexp(t, `[0-9]+ snapshots .*; there (is|are) [0-9]+`, s.Detail, s.Detector)
				if !s.JudgingAt.IsZero() {
					promised[s.Detector] = append(promised[s.Detector], s.JudgingAt.Sub(start))
					assert.Greater(t, s.JudgingAt.Sub(start), passed, s.Detector)
				}
			}
		}
	}
	assert.Equal(t, map[string]time.Duration{
		"hang":            4 * every,
		"leak":            47 * time.Minute, // thinned snapshots stand a little apart
		"growth":          39 * time.Minute,
		"deadlock":        20 * every, // a lock with a single waiter
		"blocked_forever": 0,
		"pileup":          21 * time.Minute,
		"surge":           42 * time.Minute,
		"contention":      6 * every,
		"stall":           8 * every,
	}, began)
	for detector, all := range promised {
		assert.LessOrEqual(t, slices.Max(all), began[detector], "%s: what is promised is the earliest time", detector)
		assert.Greater(t, 10*all[len(all)-1], 9*began[detector], "%s: the last promise is near", detector)
	}
	assert.Len(t, promised, len(began)-1, "all but blocked_forever, which judges at once")
}

// Where snapshots are so rare that a lock with one waiter is never judged, the
// detector says so, however long it has been running.
func TestRareSnapshotsAreNotCalledJudging(t *testing.T) {
	e := New(Config{Detectors: []*detectors.Detector{detectors.NewDeadlock(detectors.DefaultDeadlockConfig())}})
	var last detectors.Status
	for i := range 100 {
		last = e.Step(settled(start.Add(time.Duration(i) * 3 * time.Minute))).Statuses[0]
	}
	assert.Equal(t, detectors.ReasonShortHistory, last.Reason)
	assert.Equal(t, "a lock with a single waiter needs 21 snapshots within 30 min; there are 11", last.Detail)
	assert.Zero(t, last.JudgingAt, "it never will")
}

// A detector that holds back a suspicion until it has seen trace windows does
// not count as judging meanwhile.
func TestADetectorThatWaitsForAnInspectionIsNotJudging(t *testing.T) {
	d := &detectors.Detector{Name: "waits", Run: func(p *detectors.Pass) error {
		if p.Inspections[goroutine.SourceWindow] == nil && p.Ask(goroutine.SourceWindow) {
			p.Abstain(detectors.ReasonInspection, "it waits")
		}
		return nil
	}}
	i := &inspector{gives: map[goroutine.Source]*Inspection{goroutine.SourceWindow: nil}}
	patient := &promising{inspector: i}
	e := New(Config{Detectors: []*detectors.Detector{d}, Inspector: patient})
	assert.Equal(t, detectors.ReasonInspection, e.Step(parked(0, 1)).Statuses[0].Reason)
	i.gives[goroutine.SourceWindow] = &Inspection{Snapshot: &goroutine.Snapshot{Source: goroutine.SourceWindow}}
	assert.True(t, e.Step(parked(1, 1)).Statuses[0].Judging, "the run after the inspection counts")
}

// promising is an inspector that says that inspections will come.
type promising struct{ *inspector }

func (*promising) Expect(goroutine.Source) bool { return true }

// Candidates come with the status of their detector. They are bounded, and those that
// are findings are left out.
func TestCandidatesAreKeptBesideFindings(t *testing.T) {
	at := func(i int) *goroutine.Stack { return &goroutine.Stack{ID: goroutine.StackID(fmt.Sprint(1000 + i))} }
	open := &goroutine.Stack{ID: worker.ID, Frames: worker.Frames}
	e := New(Config{Detectors: []*detectors.Detector{{Name: "suspects", Run: func(p *detectors.Pass) error {
		p.Candidate(detectors.Candidate{Stack: nil, Count: 1})
		p.Candidate(detectors.Candidate{Stack: at(0), Count: 0})
		p.Candidate(detectors.Candidate{Stack: open, State: goroutine.Select, Count: 20})
		for i := range 12 {
			p.Candidate(detectors.Candidate{Stack: at(i), Count: 1})
			p.Candidate(detectors.Candidate{Stack: at(i), Count: 2, VerdictAt: start.Add(time.Duration(i) * time.Minute), Missing: strings.Repeat("a", 300) + "\nb"})
		}
		p.Report(detectors.Finding{Confidence: detectors.Info, Stack: open, State: goroutine.Select, Count: 20, Message: "Found."})
		p.AbstainUntil(start, "too few")
		return nil
	}}}})
	r := e.Step(settled(start))
	assert.Equal(t, detectors.ReasonShortHistory, r.Statuses[0].Reason)
	assert.Zero(t, r.Statuses[0].JudgingAt, "what has passed is no promise")
	all := r.Statuses[0].Candidates
	assert.Len(t, all, 9, "ten, less the one that is a finding")
	for i, c := range all {
		assert.Equal(t, at(i).ID, c.Stack.ID)
		assert.Equal(t, 2, c.Count)
		assert.Len(t, c.Missing, 200)
		assert.Equal(t, i > 0, !c.VerdictAt.IsZero(), "what has passed is no promise")
	}
}
