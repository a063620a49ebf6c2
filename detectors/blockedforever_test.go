// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

func newBlockedForever() *detectors.Detector {
	return detectors.NewBlockedForever(detectors.DefaultBlockedForeverConfig())
}

func TestBlockedForever(t *testing.T) {
	inMain := func(state goroutine.State) detectortest.Place {
		return detectortest.At(state, "runtime.gopark", "runtime.block", "main.main:12", "runtime.main", "runtime.goexit")
	}
	for name, tc := range map[string]struct {
		at   detectortest.Place
		want string
	}{
		"nil send":             {place(goroutine.ChanSendNil, "main.f:1"), "is blocked in chan send (nil chan), which nothing can ever end."},
		"nil receive":          {place(goroutine.ChanReceiveNil, "main.f:1"), "is blocked in chan receive (nil chan), which nothing can ever end."},
		"nil receive in main":  {inMain(goroutine.ChanReceiveNil), "1 goroutine at main.main (main.go:12)"},
		"select {}":            {place(goroutine.SelectNoCases, "main.f:1"), "A select without cases waits forever by definition."},
		"select {} below main": {detectortest.At(goroutine.SelectNoCases, "main.wait:3", "main.main:12", "runtime.main"), ""},
		"select {} in main":    {inMain(goroutine.SelectNoCases), ""},
		"twin: a real send":    {place(goroutine.ChanSend, "main.f:1"), ""},
		"twin: a real receive": {place(goroutine.ChanReceive, "main.f:1"), ""},
		"twin: a real select":  {place(goroutine.Select, "main.f:1"), ""},
		"known by design":      {detectortest.At(goroutine.SelectNoCases, "net/http.(*persistConn).writeLoop:1"), ""},
		"what was summed up":   {detectortest.Place{Stack: &goroutine.Stack{ID: goroutine.OtherStacks}, State: goroutine.ChanSendNil}, ""},
	} {
		for _, source := range []goroutine.Source{goroutine.SourceTrace, goroutine.SourceProfile, goroutine.SourceText} {
			t.Run(name+", "+string(source), func(t *testing.T) {
				p := detectortest.NewProcess(1)
				p.Source = source
				p.Go(tc.at, 1)
				steps := detectortest.Run(t, newBlockedForever(), p.Snapshot())
				var want []detectortest.Want
				if tc.want != "" {
					want = append(want, detectortest.Want{State: tc.at.State, Confidence: detectors.Info, Count: 1, Contains: tc.want})
				}
				detectortest.Compare(t, steps[0].Findings, want...)
			})
		}
	}
}

func TestBlockedForeverTellsSinceWhen(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(atHandler, 1)
	var lost []uint64
	steps := detectortest.Run(t, newBlockedForever(), detectortest.Series(p, 8, time.Minute, func(i int) {
		if i >= 4 {
			lost = append(lost, p.Go(place(goroutine.ChanSendNil, "main.f:1"), 2)...)
		}
	})...)
	assert.Empty(t, steps[3].Findings)
	f := lastFindings(steps)[0]
	assert.Equal(t, lost, f.IDs)
	assert.Equal(t, 3*time.Minute, f.Age)
}

// A number that keeps rising is a fault, and stays one when it no longer rises; a number
// that is the same, rose at the start or rose at once is not.
func TestBlockedForeverWhoseNumberRises(t *testing.T) {
	const every = 15 * time.Second
	at := place(goroutine.ChanReceiveNil, "main.f:1")
	minutes := func(from, to int) func(i int) bool {
		return func(i int) bool { return i >= 4*from && i < 4*to }
	}
	for name, tc := range map[string]struct {
		grows func(i int) bool // in snapshot i
		by    int
		first time.Duration // of the verdict; 0 for never
		rate  float64
		want  string
	}{
		"ten in a second": {func(i int) bool { return i == 100 }, 10, 0, 0, ""},
		"a start":         {minutes(0, 2), 2, 0, 0, ""},
		"two more":        {func(i int) bool { return i == 20 || i == 100 || i == 200 }, 1, 0, 0, ""},
		"from the start":  {minutes(0, 120), 1, 5*time.Minute + every, 4, "; there are 4.0 more every minute."},
		"later":           {minutes(30, 120), 1, 33 * time.Minute, 4, " more every minute."},
		"slowly":          {func(i int) bool { return i%40 == 0 }, 1, 0, 0.1, "; there are 0.1 more every minute."},
		"for a while":     {minutes(30, 60), 2, 33 * time.Minute, 0, "until 30 min ago."},
	} {
		t.Run(name, func(t *testing.T) {
			p := detectortest.NewProcess(1)
			r := detectortest.NewReplay(t, newBlockedForever())
			var first time.Duration
			var last []detectors.Finding
			for i := range 4 * 90 {
				p.Advance(every)
				if tc.grows(i) {
					p.Go(at, tc.by)
				}
				if last = r.Step(p.Snapshot()).Findings; len(last) > 0 && last[0].Confidence != detectors.Info && first == 0 {
					first = time.Duration(i) * every
				}
			}
			require.Len(t, last, 1)
			if tc.first == 0 && tc.rate == 0 {
				assert.Zero(t, first)
				assert.Equal(t, detectors.Info, last[0].Confidence)
				assert.Zero(t, last[0].GrowthPerMinute)
				assert.Contains(t, last[0].Message, "which nothing can ever end.")
				return
			}
			assert.Equal(t, detectors.Suspected, last[0].Confidence)
			assert.InDelta(t, tc.rate, last[0].GrowthPerMinute, tc.rate/5)
			assert.Contains(t, last[0].Message, tc.want)
			if tc.first > 0 {
				assert.InDelta(t, tc.first.Minutes(), first.Minutes(), 1)
			}
		})
	}
}

// The history reaches further back than 40 times Window, as it does where another
// detector needs it: what grows more slowly than by MinRise in that time is information.
func TestBlockedForeverLooksBackForFortyWindows(t *testing.T) {
	c := detectors.DefaultBlockedForeverConfig()
	c.Window, c.Warmup = 10*time.Second, time.Hour
	for each, want := range map[time.Duration]detectors.Confidence{
		time.Minute:     detectors.Suspected,
		2 * time.Minute: detectors.Info,
	} {
		p := detectortest.NewProcess(1)
		r := detectortest.NewReplay(t, detectors.NewBlockedForever(c))
		var last []detectors.Finding
		for age := time.Duration(0); age < 3*time.Hour; age += 15 * time.Second {
			if age%each == 0 {
				p.Go(place(goroutine.ChanReceiveNil, "main.f:1"), 1)
			}
			last = r.Step(p.Snapshot()).Findings
			p.Advance(15 * time.Second)
			if want == detectors.Info {
				require.Equal(t, want, last[0].Confidence, "after %v", age)
			}
		}
		assert.Equal(t, want, last[0].Confidence, "one every %v", each)
	}
}

func TestBlockedForeverMergesGroups(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Source = goroutine.SourceText
	for line, by := range []string{"main.a", "main.b"} {
		at := place(goroutine.ChanSendNil, "main.f:1")
		at.CreatedBy = goroutine.Frame{Function: by, Line: line}
		p.Go(at, 2)
	}
	p.Go(place(goroutine.ChanSendNil, "main.f:7"), 3)
	steps := detectortest.Run(t, newBlockedForever(), p.Snapshot())
	detectortest.Compare(t, steps[0].Findings, detectortest.Want{Function: "main.f", Line: 1, Count: 7, Contains: "The same is true of 3 goroutines at main.f (main.go:7)."})
}

func TestBlockedForeverCounts(t *testing.T) {
	few := detectortest.NewProcess(1)
	few.Go(place(goroutine.ChanSendNil, "main.f:1"), 4)
	c := detectors.DefaultBlockedForeverConfig()
	c.MinCount = 5
	steps := detectortest.Run(t, detectors.NewBlockedForever(c), few.Snapshot())
	assert.Empty(t, steps[0].Findings)
}
