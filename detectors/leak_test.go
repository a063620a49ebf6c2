// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

// replay runs a shape for some simulated time and returns the findings of
// every snapshot, with the time of the first.
func replay(t *testing.T, d *detectors.Detector, s *service, sh shape, length time.Duration) (found []detectors.Finding, first time.Duration) {
	t.Helper()
	r := detectortest.NewReplay(t, d)
	for s.elapsed() < length {
		s.tick++
		s.Advance(tick)
		sh(s)
		step := r.Step(s.Snapshot())
		if len(step.Findings) > 0 && len(found) == 0 {
			first = s.elapsed()
		}
		found = append(found, step.Findings...)
	}
	return found, first
}

func newLeak() *detectors.Detector { return detectors.NewLeak(detectors.DefaultLeakConfig()) }

func TestLeakIsSilentUnderHealthyLoad(t *testing.T) {
	for name, load := range map[string]struct {
		shape  func() shape
		length time.Duration
	}{
		"steady":             {func() shape { return steady }, 3 * time.Hour},
		"requests of 5 min":  {func() shape { return slow }, 3 * time.Hour},
		"requests of 12 min": {func() shape { return overTime }, 3 * time.Hour},
		"ramp":               {func() shape { return ramp }, 4 * time.Hour},
		"daily wave":         {func() shape { return wave }, 14 * time.Hour},
		"bursts":             {func() shape { return bursts }, 6 * time.Hour},
		"step up":            {func() shape { return stepUp }, 5 * time.Hour},
		"long tail":          {func() shape { return longTail }, 4 * time.Hour},
		"pool grows once":    {func() shape { return poolGrowth }, 5 * time.Hour},
		"streams of 30 min":  {func() shape { return streams(30 * time.Minute) }, 6 * time.Hour},
		"streams of 2 h":     {func() shape { return streams(2 * time.Hour) }, 6 * time.Hour},
		"autoscaling, busy":  {func() shape { return autoscaling(0.5) }, 7 * time.Hour},
		"autoscaling, idle":  {func() shape { return autoscaling(0.05) }, 7 * time.Hour},
		"pool goes idle":     {goingIdle, 4 * time.Hour},
		"keep-alive":         {keepAlive, 7 * time.Hour},
		"a cache fills":      {fills, 4 * time.Hour},
		"all at once": {func() shape {
			return together(steady, slow, bursts, poolGrowth, streams(30*time.Minute), autoscaling(0.5))
		}, 3 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, first := replay(t, newLeak(), newService(4, 1), load.shape(), load.length)
			if len(found) > 0 {
				t.Errorf("%d findings, the first after %v: %s %q", len(found), first, found[0].Message, found[0].Evidence)
			}
		})
	}
}

func TestLeakIsFoundInEveryShape(t *testing.T) {
	const from = 2 * time.Hour
	var mu sync.Mutex
	var runs int
	var delays []time.Duration
	t.Cleanup(func() {
		slices.Sort(delays)
		t.Logf("found %d of %d, after %v at the median and %v at most", len(delays), runs, delays[len(delays)/2], delays[len(delays)-1])
	})
	for name, tc := range map[string]struct {
		load   func() shape
		at     detectortest.Place
		within time.Duration // of the first goroutine leaked
	}{
		"fast":                  {func() shape { return leak(atHandler, 200, from) }, atHandler, 36 * time.Minute},
		"one a minute":          {func() shape { return leak(atHandler, 1, from) }, atHandler, 40 * time.Minute},
		"one in two minutes":    {func() shape { return leak(atHandler, 0.5, from) }, atHandler, 80 * time.Minute},
		"bursts of 50":          {func() shape { return leakBursts(atHandler, 50, 10*time.Minute, from) }, atHandler, 66 * time.Minute},
		"bursts of 50, rare":    {func() shape { return leakBursts(atHandler, 50, 20*time.Minute, from) }, atHandler, 130 * time.Minute},
		"among steady traffic":  {func() shape { return together(steady, leak(atHandler, 1, from)) }, atHandler, 45 * time.Minute},
		"among slow traffic":    {func() shape { return together(slow, leak(atHandler, 1, from)) }, atHandler, 65 * time.Minute},
		"among 12 min requests": {func() shape { return together(overTime, leak(atHandler, 2, from)) }, atHandler, 90 * time.Minute},
		"among a daily wave":    {func() shape { return together(wave, leak(atHandler, 1, from)) }, atHandler, 65 * time.Minute},
		"among bursts":          {func() shape { return together(bursts, leak(atHandler, 1, from)) }, atHandler, 65 * time.Minute},
		"at another line":       {func() shape { return together(overTime, leak(atNextLine, 1, from)) }, atNextLine, 45 * time.Minute},
		"connections get stuck": {func() shape { return stuckConns(1, from) }, atConn, 45 * time.Minute},
		"forgotten tickers":     {func() shape { return tickers(10, from) }, atStream, 60 * time.Minute},
		"beside an idle pool":   {func() shape { return together(poolGrowth, leak(atIdle, 1, from)) }, atIdle, 40 * time.Minute},
		"beside everything": {func() shape {
			return together(steady, poolGrowth, streams(30*time.Minute), autoscaling(0.5), leak(atHandler, 1, from))
		}, atHandler, 45 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(2) {
				found, first := replay(t, newLeak(), newService(1+3*int(seed), seed), tc.load(), from+tc.within)
				mu.Lock()
				runs++
				if len(found) > 0 {
					delays = append(delays, first-from)
				}
				mu.Unlock()
				require.NotEmpty(t, found, "seed %d: not found within %v", seed, tc.within)
				assert.Greater(t, first, from, "found before it was there")
				t.Logf("seed %d: found after %v: %s %q", seed, first-from, found[0].Message, found[0].Evidence)
				last := found[len(found)-1]
				detectortest.Compare(t, []detectors.Finding{last}, detectortest.Want{
					Function: tc.at.Stack.User().Function, Line: tc.at.Stack.User().Line, State: tc.at.State, Confidence: detectors.Suspected,
				})
				assert.Positive(t, last.GrowthPerMinute)
				assert.NotEmpty(t, last.IDs)
			}
		})
	}
}

// TestLeakTellsFacts compares the numbers of a finding with those that went
// into the simulation.
func TestLeakTellsFacts(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(atHandler, 7) // stood there at the start: not part of the rise
	var leaked []uint64
	steps := detectortest.Run(t, newLeak(), detectortest.Series(p, 60*2, tick, func(i int) {
		if i%2 == 0 {
			leaked = append(leaked, p.Go(atHandler, 2)...)
		}
	})...)

	last := steps[len(steps)-1]
	detectortest.Compare(t, last.Findings, detectortest.Want{
		Function: "main.(*Server).handle", Line: 42, State: goroutine.ChanReceive,
		Contains: "at main.(*Server).handle (main.go:42) are blocked in chan receive, 2.0 more every minute; none exited or moved on in 60 min.",
	})
	f := last.Findings[0]
	assert.InDelta(t, 7+2*55, f.Count, 3, "those older than 5 min")
	assert.InDelta(t, 2, f.GrowthPerMinute, 0.2)
	assert.InDelta(t, 30, f.Age.Minutes(), 4)
	assert.Equal(t, append([]uint64{1, 2, 3, 4, 5, 6, 7}, leaked[:3]...), f.IDs)
	assert.Contains(t, f.Evidence[3], "more are here and not counted")

	first := slices.IndexFunc(steps, func(s detectortest.Step) bool { return len(s.Findings) > 0 })
	assert.GreaterOrEqual(t, steps[first].Snapshot.Time.Sub(steps[0].Snapshot.Time), 45*time.Minute, "10 min of warm-up, 5 min of standing, a window of 30 min")
}

func TestLeakGoesAwayWhenTheRiseEnds(t *testing.T) {
	s := newService(1, 1)
	r := detectortest.NewReplay(t, newLeak())
	sh := leak(atHandler, 2, 0)
	var was, is bool
	for s.elapsed() < 4*time.Hour {
		s.tick++
		s.Advance(tick)
		if s.elapsed() < time.Hour {
			sh(s)
		}
		is = len(r.Step(s.Snapshot()).Findings) > 0
		was = was || is
	}
	assert.True(t, was, "found while it rose")
	assert.False(t, is, "gone when it has not risen for hours")
}

func TestLeakJudgesOnlyWhatCanLeak(t *testing.T) {
	leakable := []goroutine.State{
		goroutine.ChanReceive, goroutine.ChanSend, goroutine.Select, goroutine.CondWait, goroutine.WaitGroupWait,
		goroutine.MutexLock, goroutine.RWMutexLock, goroutine.RWMutexRLock,
	}
	for _, state := range append(leakable,
		goroutine.Running, goroutine.Runnable, goroutine.Syscall, goroutine.Waiting, goroutine.IOWait, goroutine.Sleep,
		goroutine.Coroutine, goroutine.Semacquire, goroutine.ChanReceiveNil, goroutine.ChanSendNil, goroutine.SelectNoCases) {
		t.Run(string(state), func(t *testing.T) {
			found, _ := replay(t, newLeak(), newService(1, 1), leak(place(state, "main.f:1"), 4, 0), time.Hour)
			assert.Equal(t, slices.Contains(leakable, state), len(found) > 0)
		})
	}
}

func TestLeakLeavesKnownStacksAlone(t *testing.T) {
	writeLoop := detectortest.At(goroutine.Select, "runtime.gopark", "net/http.(*persistConn).writeLoop:9", "runtime.goexit")
	found, _ := replay(t, newLeak(), newService(1, 1), leak(writeLoop, 4, 0), time.Hour)
	assert.Empty(t, found)

	unclosedBody := detectortest.At(goroutine.Select, "runtime.gopark", "net/http.(*persistConn).readLoop:9", "runtime.goexit")
	found, _ = replay(t, newLeak(), newService(1, 1), leak(unclosedBody, 4, 0), time.Hour)
	assert.NotEmpty(t, found)

	other := detectortest.Place{Stack: &goroutine.Stack{ID: goroutine.OtherStacks}, State: goroutine.Select}
	found, _ = replay(t, newLeak(), newService(1, 1), leak(other, 4, 0), time.Hour)
	assert.Empty(t, found, "what was summed up has no place")
}

// TestLeakMergesLines has one function leak at two lines: the identity of
// a finding knows no line, so that there must be one finding.
func TestLeakMergesLines(t *testing.T) {
	found, _ := replay(t, newLeak(), newService(1, 1), together(leak(atHandler, 4, 0), leak(atNextLine, 2, 0)), time.Hour)
	require.NotEmpty(t, found)
	last := found[len(found)-1]
	detectortest.Compare(t, []detectors.Finding{last}, detectortest.Want{Function: "main.(*Server).handle", Line: 42, Contains: "at main.(*Server).handle (main.go:57)."})
	assert.InDelta(t, 6, last.GrowthPerMinute, 1.5)
}

// TestLeakScales is the configuration of the example: everything in seconds.
func TestLeakScales(t *testing.T) {
	d := leakWith(func(c *detectors.LeakConfig) {
		c.MinAge, c.MaxAge, c.Window = 5*time.Second, 40*time.Second, 15*time.Second
		c.Warmup, c.MinStand = 5*time.Second, 30*time.Second
	})
	for name, tc := range map[string]struct {
		do   func(p *detectortest.Process, i int)
		want bool
	}{
		"leak": {func(p *detectortest.Process, _ int) { p.Go(atHandler, 2) }, true},
		"leak, mixed": {func(p *detectortest.Process, i int) {
			p.Go(atHandler, 1)
			p.GoFor(atHandler, time.Duration(i%3)*time.Second)
		}, true},
		"healthy": {func(p *detectortest.Process, i int) { p.GoFor(atHandler, 5*time.Second) }, false},
		"healthy ramp": {func(p *detectortest.Process, i int) {
			for range i {
				p.GoFor(atHandler, 4*time.Second)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := detectortest.NewProcess(2)
			steps := detectortest.Run(t, d, detectortest.Series(p, 45, time.Second, func(i int) { tc.do(p, i) })...)
			assert.Equal(t, tc.want, len(detectortest.Findings(steps)) > 0)
		})
	}
}

// TestLeakWithRareSnapshots has the governor stretch the interval: the window
// becomes as long as it takes to have six snapshots.
func TestLeakWithRareSnapshots(t *testing.T) {
	p := detectortest.NewProcess(1)
	steps := detectortest.Run(t, newLeak(), detectortest.Series(p, 12, 9*time.Minute, func(int) {
		p.Go(atHandler, 1000)
		p.GoFor(atNextLine, 8*time.Minute)
	})...)
	detectortest.Compare(t, steps[len(steps)-1].Findings, detectortest.Want{Function: "main.(*Server).handle", Line: 42})
}

// TestLeakAcrossSources has snapshots without IDs between the others.
func TestLeakAcrossSources(t *testing.T) {
	p := detectortest.NewProcess(1)
	steps := detectortest.Run(t, newLeak(), detectortest.Series(p, 120, tick, func(i int) {
		p.Go(atHandler, 1)
		p.Source = goroutine.SourceTrace
		if i%3 == 1 {
			p.Source = goroutine.SourceProfile
		}
	})...)
	last := steps[len(steps)-1]
	assert.True(t, last.Ran)
	assert.Len(t, last.Findings, 1)
	assert.False(t, steps[len(steps)-2].Ran, "a snapshot without IDs cannot be judged")
}

// BenchmarkDetectors judges a service of 2,000 places with a full history, at
// each of which goroutines stand, come and go: by all detectors, which share
// a pass, and by each alone.
func BenchmarkDetectors(b *testing.B) {
	p := detectortest.NewProcess(4)
	var series []*goroutine.Snapshot
	for i := range 60 {
		for n := range 2000 {
			at := atPlace(n)
			if i == 0 {
				p.Go(at, 20)
			}
			p.GoFor(at, 3*time.Minute)
		}
		p.Advance(2 * time.Minute)
		series = append(series, p.Snapshot())
	}
	series = goroutine.Thin(series, 36, detectors.NewestKept, func(s *goroutine.Snapshot) time.Time { return s.Time })
	run := func(name string, ds ...*detectors.Detector) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				base := detectors.NewPass(series)
				for _, d := range ds {
					pass, _ := base.For(d.Needs)
					require.NoError(b, d.Run(pass))
				}
			}
		})
	}
	run("all", detectors.Default()...)
	for _, d := range detectors.Default() {
		run(d.Name, d)
	}
}

var places []detectortest.Place

func atPlace(n int) detectortest.Place {
	for len(places) <= n {
		states := []goroutine.State{goroutine.ChanReceive, goroutine.Select, goroutine.MutexLock, goroutine.IOWait}
		places = append(places, place(states[len(places)%len(states)], fmt.Sprintf("main.f%d:1", len(places))))
	}
	return places[n]
}

// way is one of many ways from main.serve to where main.send waits.
func way(i int) detectortest.Place {
	return detectortest.At(goroutine.ChanSend, "main.send", fmt.Sprintf("main.route%d", i), "main.serve")
}

// TestLeakAlongManyWays has no stack with more than two goroutines.
func TestLeakAlongManyWays(t *testing.T) {
	p := detectortest.NewProcess(2)
	leaks := detectortest.Series(p, 4*60, 15*time.Second, func(i int) {
		if i%8 == 0 {
			p.Go(way(i/16), 1)
		}
	})
	found := detectortest.Findings(detectortest.Run(t, newLeak(), leaks...))
	require.NotEmpty(t, found)
	assert.Equal(t, "main.send", found[0].Stack.User().Function)
	assert.GreaterOrEqual(t, found[0].Count, 15)
	assert.Contains(t, strings.Join(found[0].Evidence, " "), "different call paths")
}

// TestLeakAlongTwoWaysIsOne has two ways on each of which enough goroutines leak to be
// judged alone, and another on which work passes: then only the two leak, and each says
// how many.
func TestLeakAlongTwoWaysIsOne(t *testing.T) {
	t.Parallel()
	for _, healthy := range []bool{false, true} {
		p := detectortest.NewProcess(2)
		series := detectortest.Series(p, 4*60, 15*time.Second, func(i int) {
			if i%4 == 0 {
				p.Go(way(1), 1)
				p.Go(way(2), 1)
			}
			for range 3 {
				if healthy {
					p.GoFor(way(3), 10*time.Minute)
				}
			}
		})
		found := lastFindings(detectortest.Run(t, newLeak(), series...))
		require.Len(t, found, 1)
		if healthy {
			assert.Len(t, found[0].Participants, 2)
			assert.Less(t, found[0].Count, 60)
			continue
		}
		assert.Greater(t, found[0].Count, 80)
		assert.Contains(t, strings.Join(found[0].Evidence, " "), "by 2 different call paths")
	}
}

// TestManyWaysOfHealthyWork has the same number of goroutines, which end.
func TestManyWaysOfHealthyWork(t *testing.T) {
	t.Parallel()
	p, r := detectortest.NewProcess(2), rand.New(rand.NewPCG(1, 2))
	healthy := detectortest.Series(p, 2*180, 30*time.Second, func(i int) {
		for range 2 + i/10 { // a ramp
			p.GoFor(way(r.IntN(200)), time.Duration(1+r.IntN(12))*time.Minute)
		}
	})
	detectortest.Compare(t, detectortest.Findings(detectortest.Run(t, newLeak(), healthy...)))
}
