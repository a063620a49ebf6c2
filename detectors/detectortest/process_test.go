// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectortest_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

var atF = detectortest.At(goroutine.ChanSend, "runtime.gopark", "main.f:12", "example.com/lib.(*T).run:3")

func TestAt(t *testing.T) {
	assert.Equal(t, []goroutine.Frame{
		{Function: "runtime.gopark", File: "runtime/runtime.go"},
		{Function: "main.f", File: "main/main.go", Line: 12},
		{Function: "example.com/lib.(*T).run", File: "example.com/lib/lib.go", Line: 3},
	}, atF.Stack.Frames)
	assert.Equal(t, "main.f", atF.Stack.User().Function)
}

// TestSnapshotAgreesWithItself checks what detectors rely on, over a long run with
// thousands of births: that births, digests and epochs say the same.
func TestSnapshotAgreesWithItself(t *testing.T) {
	for _, procs := range []int{1, 8} {
		t.Run(fmt.Sprint(procs, " procs"), func(t *testing.T) {
			p := detectortest.NewProcess(procs)
			p.Go(atF, 5)
			var past []*goroutine.Snapshot
			for i := range 500 {
				p.GoFor(atF, time.Duration(i%90)*time.Minute)
				p.Advance(30 * time.Second)
				s := p.Snapshot()
				require.Equal(t, p.Len(), s.Total)
				require.LessOrEqual(t, len(s.Epochs), goroutine.MaxEpochs)
				require.True(t, slices.IsSortedFunc(s.Epochs, func(a, b goroutine.Epoch) int { return a.End.Compare(b.End) }))
				g := &s.Groups[0]
				born, _ := s.BornBy(g, ^uint64(0))
				require.Equal(t, g.Count, born)
				require.True(t, slices.IsSorted(g.IDs))
				past = append(past, s)
			}
			boundariesAreExact(t, past)
		})
	}
}

// boundariesAreExact checks that the epochs of the newest snapshot are among those
// of every snapshot taken after they ended: they merge and never split.
func boundariesAreExact(t *testing.T, past []*goroutine.Snapshot) {
	t.Helper()
	newest := past[len(past)-1]
	for _, s := range past {
		for _, e := range newest.Epochs {
			if !e.End.After(s.Time) {
				require.Contains(t, s.Epochs, e)
			}
		}
	}
}

func TestIDsComeInBatches(t *testing.T) {
	one := detectortest.NewProcess(1)
	assert.Equal(t, []uint64{1, 2, 3, 4}, one.Go(atF, 4))

	ids := detectortest.NewProcess(4).Go(atF, 300)
	assert.False(t, slices.IsSorted(ids), "a P uses up its own batch first")
	slices.Sort(ids)
	assert.Len(t, slices.Compact(ids), 300)
	assert.LessOrEqual(t, ids[299], uint64(300+4*16))
}

func TestMoveAndExit(t *testing.T) {
	p := detectortest.NewProcess(1)
	ids := p.Go(atF, 3)
	p.GoFor(atF, time.Minute)
	p.Move(detectortest.At(goroutine.Sleep, "main.g"), ids[0], 999)
	p.Exit(ids[1], 999)
	s := p.Snapshot()
	assert.Equal(t, map[goroutine.State]int{goroutine.ChanSend: 2, goroutine.Sleep: 1}, s.States())
	assert.Equal(t, goroutine.DigestID(1), s.Groups[1].Births[0].Digest)

	p.Advance(time.Minute)
	assert.Equal(t, 2, p.Snapshot().Total)
	assert.Equal(t, detectortest.Start.Add(time.Minute), p.Now())
}

func TestSourcesTellWhatTheyKnow(t *testing.T) {
	at := atF
	at.Lock, at.CreatedBy = 0xc0, goroutine.Frame{Function: "main.main"}
	for source, want := range map[goroutine.Source]struct{ ids, text bool }{
		goroutine.SourceTrace:    {true, false},
		goroutine.SourceText:     {true, true},
		goroutine.SourceProfile:  {false, false},
		goroutine.SourceLabelled: {false, false},
		goroutine.SourceProof:    {false, false},
	} {
		p := detectortest.NewProcess(1)
		p.Source = source
		p.Go(at, 1)
		p.Advance(90 * time.Second)
		s := p.Snapshot()
		assert.Equal(t, want.ids, s.HasIDs(), source)
		assert.Equal(t, want.ids, len(s.Groups[0].Births) > 0, source)
		assert.Equal(t, want.text, s.Groups[0].Lock != 0, source)
		assert.Equal(t, want.text, s.Groups[0].CreatedBy.Function != "", source)
		assert.Equal(t, want.text, s.Groups[0].Wait == time.Minute, source)
	}
}

// broken is a testing.TB that notes failures.
type broken struct {
	testing.TB
	failures []string
}

func (b *broken) Helper() {}
func (b *broken) Errorf(format string, args ...any) {
	b.failures = append(b.failures, fmt.Sprintf(format, args...))
}
func (b *broken) Fatalf(format string, args ...any) {
	b.Errorf(format, args...)
	panic(b)
}

// fails runs f and returns what it made fail.
func fails(f func(testing.TB)) (failures []string) {
	b := &broken{}
	defer func() {
		if r := recover(); r != nil && r != any(b) {
			panic(r)
		}
		failures = b.failures
	}()
	f(b)
	return
}

func good() detectors.Finding {
	return detectors.Finding{Confidence: detectors.High, Stack: atF.Stack, State: atF.State, Count: 1, Message: "It is so."}
}

func reporting(change func(*detectors.Finding)) *detectors.Detector {
	return &detectors.Detector{Name: "test", Run: func(p *detectors.Pass) error {
		f := good()
		change(&f)
		p.Report(f)
		return nil
	}}
}

func TestRunHoldsDetectorsToTheirContract(t *testing.T) {
	n := 0
	for want, d := range map[string]*detectors.Detector{
		"the detector is not valid":      {Name: "NOT VALID"},
		"has no stack":                   reporting(func(f *detectors.Finding) { f.Stack = nil }),
		"has no confidence":              reporting(func(f *detectors.Finding) { f.Confidence = 0 }),
		"concerns no goroutine":          reporting(func(f *detectors.Finding) { f.Count = 0 }),
		"the message is not one":         reporting(func(f *detectors.Finding) { f.Message = "" }),
		"too many sentences of evidence": reporting(func(f *detectors.Finding) { f.Evidence = make([]string, 9) }),
		"not in rising order":            reporting(func(f *detectors.Finding) { f.IDs = []uint64{2, 1} }),
		"gave other findings":            reporting(func(f *detectors.Finding) { n++; f.Count = n }),
		"it broke":                       {Name: "test", Run: func(*detectors.Pass) error { return fmt.Errorf("it broke") }},
	} {
		p := detectortest.NewProcess(1)
		p.Go(atF, 1)
		failures := fails(func(tb testing.TB) { detectortest.Run(tb, d, p.Snapshot()) })
		require.NotEmpty(t, failures, want)
		assert.Contains(t, failures[0], want)
	}
}

func TestRunReturnsAStepForEverySnapshot(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(atF, 1)
	d := reporting(func(*detectors.Finding) {})
	d.Needs.IDs = true
	steps := detectortest.Run(t, d, detectortest.Series(p, 4, time.Second, func(i int) {
		p.Source = []goroutine.Source{goroutine.SourceTrace, goroutine.SourceProfile}[i%2]
	})...)
	require.Len(t, steps, 4)
	for i, s := range steps {
		assert.Equal(t, i%2 == 0, s.Ran)
	}
	assert.Len(t, detectortest.Findings(steps), 2)
	assert.Equal(t, "test", steps[0].Findings[0].Detector)

	failures := fails(func(tb testing.TB) { detectortest.Run(tb, d, p.Snapshot(), p.Snapshot()) })
	assert.Contains(t, failures[0], "not newer than the previous one")
}

func TestCompare(t *testing.T) {
	f := good()
	f.Evidence = []string{"Here is why."}
	got := []detectors.Finding{f, f}
	one := detectortest.Want{Function: "main.f", Line: 12, State: goroutine.ChanSend, Confidence: detectors.High, Count: 1, Contains: "why"}
	for name, tc := range map[string]struct {
		want     []detectortest.Want
		failures int
	}{
		"all":             {[]detectortest.Want{one, {}}, 0},
		"one too few":     {[]detectortest.Want{one}, 1},
		"one too many":    {[]detectortest.Want{one, one, one}, 1},
		"another count":   {[]detectortest.Want{one, {Count: 2}}, 2},
		"another text":    {[]detectortest.Want{one, {Contains: "who"}}, 2},
		"another line":    {[]detectortest.Want{one, {Line: 13}}, 2},
		"another subject": {[]detectortest.Want{one, {Subject: "x"}}, 2},
	} {
		assert.Len(t, fails(func(tb testing.TB) { detectortest.Compare(tb, got, tc.want...) }), tc.failures, name)
	}
}
