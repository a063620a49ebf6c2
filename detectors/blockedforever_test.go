package detectors_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

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
					want = append(want, detectortest.Want{State: tc.at.State, Confidence: detectors.Certain, Count: 1, Contains: tc.want})
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
	detectortest.Compare(t, lastFindings(steps), detectortest.Want{Count: 8, Contains: "3 min ago there were 2."})
	f := lastFindings(steps)[0]
	assert.Equal(t, lost, f.IDs)
	assert.Equal(t, 3*time.Minute, f.Age)
	assert.InDelta(t, 2, f.GrowthPerMinute, 1e-9)
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
	steps := detectortest.Run(t, detectors.NewBlockedForever(detectors.BlockedForeverConfig{MinCount: 5}), few.Snapshot())
	assert.Empty(t, steps[0].Findings)
}
