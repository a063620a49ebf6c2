// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

var worker = goroutine.NewStack([]goroutine.Frame{{Function: "main.worker", File: "/src/main.go", Line: 42}})

// parked is a snapshot of n goroutines at one place, a step after start.
func parked(step, n int) *goroutine.Snapshot {
	return &goroutine.Snapshot{Time: start.Add(time.Duration(step) * every), Source: goroutine.SourceTrace, Total: n,
		Groups: []goroutine.Group{{Stack: worker, State: goroutine.MutexLock, Count: n}}}
}

// suspects reports what is parked, and asks for inspections of these kinds.
func suspects(name string, kinds ...goroutine.Source) *detectors.Detector {
	return &detectors.Detector{Name: name, Run: func(p *detectors.Pass) error {
		g := p.Snapshot.Groups[0]
		f := detectors.Finding{Confidence: detectors.Suspected, Stack: g.Stack, State: g.State, Count: g.Count}
		for _, kind := range kinds {
			p.Ask(kind)
			p.Ask(kind)
			if p.Inspections[kind] != nil {
				f.Confidence = detectors.Confirmed
			}
		}
		p.Report(f)
		return nil
	}}
}

// inspector returns what a test says and counts what it is asked for.
type inspector struct {
	asked []goroutine.Source
	gives map[goroutine.Source]*Inspection
}

func (i *inspector) Inspect(kind goroutine.Source, _ *goroutine.Snapshot) *Inspection {
	i.asked = append(i.asked, kind)
	return i.gives[kind]
}

func (i *inspector) Expect(kind goroutine.Source) bool { return i.gives[kind] != nil }

func TestAStepGoesFromASnapshotToEvents(t *testing.T) {
	e := New(Config{Detectors: []*detectors.Detector{suspects("one")}})
	first := e.Step(parked(0, 3))
	require.Len(t, first.Events, 1)
	assert.Equal(t, detectors.Detected, first.Events[0].Kind)
	require.Len(t, first.Open, 1)
	assert.Regexp(t, "^[0-9a-f]{16}$", first.Open[0].ID)
	assert.Equal(t, start, first.Open[0].Opened)
	assert.Equal(t, "one", first.Open[0].Detector)

	second := e.Step(parked(1, 4))
	assert.Empty(t, second.Events)
	assert.Equal(t, 4, second.Open[0].Count)
	assert.Equal(t, first.Open[0].ID, second.Open[0].ID)

	ends := e.End(start.Add(time.Minute))
	require.Len(t, ends, 1)
	assert.Equal(t, detectors.Resolved, ends[0].Kind)
	assert.Empty(t, e.End(start.Add(time.Hour)), "nothing is open any more")
}

func TestASnapshotThatIsNotYoungerIsNotJudged(t *testing.T) {
	e := New(Config{Detectors: []*detectors.Detector{suspects("one")}})
	e.Step(parked(1, 3))
	again := e.Step(parked(1, 5))
	assert.Nil(t, again.Verdicts)
	assert.Empty(t, again.Findings)
	assert.Equal(t, 3, again.Open[0].Count, "what is open stays open")
}

func TestOnlyDetectorsThatAskedRunAgain(t *testing.T) {
	runs := 0
	other := &detectors.Detector{Name: "other", Run: func(*detectors.Pass) error { runs++; return nil }}
	proof := &Inspection{Snapshot: &goroutine.Snapshot{Source: goroutine.SourceProof}}
	i := &inspector{gives: map[goroutine.Source]*Inspection{goroutine.SourceProof: proof}}
	e := New(Config{Detectors: []*detectors.Detector{suspects("asks", goroutine.SourceProof), other}, Inspector: i})
	r := e.Step(parked(0, 3))
	require.Len(t, r.Findings, 1, "what the first run reported does not count")
	assert.Equal(t, detectors.Confirmed, r.Findings[0].Confidence)
	assert.Equal(t, []goroutine.Source{goroutine.SourceProof, goroutine.SourceText}, i.asked, "the proof once, and a dump about the finding")
	assert.Equal(t, 1, runs)
}

func TestADetectorIsToldWhatItMayWaitFor(t *testing.T) {
	var told []bool
	asks := &detectors.Detector{Name: "asks", Run: func(p *detectors.Pass) error {
		told = append(told, p.Ask(goroutine.SourceWindow))
		return nil
	}}
	New(Config{Detectors: []*detectors.Detector{asks}}).Step(parked(0, 1))
	window := &Inspection{Snapshot: &goroutine.Snapshot{Source: goroutine.SourceWindow}}
	New(Config{Detectors: []*detectors.Detector{asks}, Inspector: &inspector{gives: map[goroutine.Source]*Inspection{goroutine.SourceWindow: window}}}).Step(parked(0, 1))
	assert.Equal(t, []bool{false, true, true}, told, "none without an inspector; with one it runs again")
}

func TestADetectorThatFailsResolvesNothing(t *testing.T) {
	fails := false
	d := suspects("one")
	run := d.Run
	d.Run = func(p *detectors.Pass) error {
		if fails {
			return errors.New("no idea")
		}
		return run(p)
	}
	panics := &detectors.Detector{Name: "panics", Run: func(*detectors.Pass) error { panic("boom") }}
	e := New(Config{Detectors: []*detectors.Detector{d, panics}})
	e.Step(parked(0, 3))
	fails = true
	for i := range 10 {
		r := e.Step(parked(i+1, 3))
		assert.EqualError(t, r.Verdicts[0].Err, `detector "one": no idea`)
		assert.EqualError(t, r.Verdicts[1].Err, `detector "panics": panic: boom`)
		assert.Len(t, r.Open, 1)
		assert.Empty(t, r.Events)
	}
}

func TestWhatADetectorReportsIsBounded(t *testing.T) {
	floods := &detectors.Detector{Name: "floods", Run: func(p *detectors.Pass) error {
		p.Report(detectors.Finding{})
		for range maxFindings + 7 {
			p.Report(detectors.Finding{Stack: worker, Confidence: 99, IDs: make([]uint64, 50), Evidence: make([]string, 50)})
		}
		return nil
	}}
	r := New(Config{Detectors: []*detectors.Detector{floods}}).Step(parked(0, 1))
	require.Len(t, r.Findings, maxFindings)
	assert.Equal(t, detectors.Info, r.Findings[0].Confidence)
	assert.Len(t, r.Findings[0].IDs, goroutine.MaxIDs)
	assert.Len(t, r.Findings[0].Evidence, detectors.MaxEvidence)
	assert.ErrorContains(t, r.Verdicts[0].Err, "a finding without a stack was reported")
	assert.ErrorContains(t, r.Verdicts[0].Err, "7 findings over the limit of 100 were dropped")
}

func TestWhatADumpToldIsKeptWithItsFinding(t *testing.T) {
	creator := goroutine.Frame{Function: "main.serve", File: "/src/main.go", Line: 3}
	dump := dumpOf(goroutine.Group{Stack: worker, State: goroutine.MutexLock, Count: 3, CreatedBy: creator})
	i := &inspector{gives: map[goroutine.Source]*Inspection{goroutine.SourceText: dump}}
	subject := ""
	d := &detectors.Detector{Name: "changing", Run: func(p *detectors.Pass) error {
		g := p.Snapshot.Groups[0]
		p.Report(detectors.Finding{Confidence: detectors.High, Stack: g.Stack, State: g.State, Count: g.Count, Subject: subject})
		return nil
	}}
	e := New(Config{Detectors: []*detectors.Detector{d}, Inspector: i})
	for step := range 5 {
		assert.Equal(t, creator, e.Step(parked(step, 3)).Findings[0].CreatedBy)
	}
	assert.Len(t, i.asked, 1, "one dump for one finding")
	for step := range 5 {
		subject = string(rune('a' + step)) // another finding each time
		e.Step(parked(step+5, 3))
		assert.Len(t, e.dumped, 1, "what is gone is forgotten")
	}
	assert.Len(t, i.asked, 6)
}

func TestTheUsersExclusionsComeFirst(t *testing.T) {
	var known, owned bool
	d := &detectors.Detector{Name: "knows", Run: func(p *detectors.Pass) error {
		known, owned = p.Known(worker), p.Owned(worker)
		return nil
	}}
	mine := detectors.KnownStack{Name: "mine", Reason: "a test", Owned: true, Match: func(s *goroutine.Stack) bool { return s == worker }}
	New(Config{Detectors: []*detectors.Detector{d}, Known: []detectors.KnownStack{mine}}).Step(parked(0, 1))
	assert.True(t, known)
	assert.True(t, owned)
}

func TestRememberedSnapshotsAreHistory(t *testing.T) {
	past := 0
	d := &detectors.Detector{Name: "counts", Needs: detectors.Needs{History: time.Hour}, Run: func(p *detectors.Pass) error {
		past = len(p.History)
		return nil
	}}
	e := New(Config{Detectors: []*detectors.Detector{d}})
	e.Remember(parked(0, 1), parked(1, 1))
	e.Step(parked(2, 1))
	assert.Equal(t, 2, past)
}
