// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

// newPileup is smaller than the default, so that hours take a moment.
func newPileup() *detectors.Detector {
	return pileupWith(func(c *detectors.PileupConfig) { c.MinCount = 500 })
}

// manned is a service with a goroutine in every snapshot: a process without any
// goroutine has no IDs.
func manned(procs int, seed uint64) *service {
	s := newService(procs, seed)
	s.Go(atTicker, 1)
	return s
}

// piling blocks so many a minute from a time on, for ten minutes.
func piling(at detectortest.Place, perMinute float64, from time.Duration) shape {
	return func(s *service) {
		if e := s.elapsed(); e >= from && e < from+10*time.Minute {
			s.Go(at, s.arrivals(perMinute))
		}
	}
}

func TestPileup(t *testing.T) {
	const from = time.Hour
	for name, tc := range map[string]struct {
		load            shape
		at              detectortest.Place
		confidence      detectors.Confidence
		after, atLatest time.Duration
	}{
		"on a lock":          {piling(atCounter, 200, from), atCounter, detectors.Suspected, 3 * time.Minute, 5 * time.Minute},
		"on a busy lock":     {func(s *service) { s.requests(atCounter, 1500, time.Minute) }, atCounter, detectors.Suspected, -time.Hour, -50 * time.Minute},
		"of senders":         {piling(atSend, 200, from), atSend, detectors.Suspected, 12 * time.Minute, 15 * time.Minute},
		"of receivers":       {piling(atHandler, 200, from), atHandler, detectors.Medium, 12 * time.Minute, 15 * time.Minute},
		"in a select":        {piling(atStream, 200, from), atStream, detectors.Medium, 12 * time.Minute, 15 * time.Minute},
		"of a wait group":    {piling(atWait, 200, from), atWait, detectors.Medium, 12 * time.Minute, 15 * time.Minute},
		"all at once":        {leakBursts(atSend, 700, 100*time.Hour, from), atSend, detectors.Suspected, 10 * time.Minute, 11 * time.Minute},
		"beside other lines": {together(slow, autoscaling(0.5), piling(atNextLine, 200, from)), atNextLine, detectors.Medium, 12 * time.Minute, 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, first := replay(t, newPileup(), manned(4, 1), tc.load, from+20*time.Minute)
			require.NotEmpty(t, found)
			assert.GreaterOrEqual(t, first-from, tc.after)
			assert.LessOrEqual(t, first-from, tc.atLatest)
			user := tc.at.Stack.User()
			detectortest.Compare(t, found[len(found)-1:], detectortest.Want{Function: user.Function, Line: user.Line, State: tc.at.State, Confidence: tc.confidence})
		})
	}
}

// TestPileupIsSilent has crowds that are no piles: the load comes, goes, or
// was always there.
func TestPileupIsSilent(t *testing.T) {
	const from = time.Hour
	// clients connect within a minute or so and stay for long.
	clients := func(at detectortest.Place, n int, from, mean time.Duration) shape {
		return func(s *service) {
			if e := s.elapsed(); e >= from && e < from+2*time.Minute {
				for range n / 4 {
					s.GoFor(at, s.exponential(mean))
				}
			}
		}
	}
	longPolls := func(at detectortest.Place, n int, each time.Duration) shape {
		return func(s *service) {
			if s.elapsed() >= from {
				for range time.Duration(n) * tick / each {
					s.GoFor(at, each)
				}
			}
		}
	}
	var actors, workers []uint64
	for name, sh := range map[string]shape{
		"499 senders":                  leakBursts(atSend, 499, 100*time.Hour, from),
		"in IO":                        leakBursts(atKeepAlive, 800, 100*time.Hour, from),
		"asleep":                       leakBursts(place(goroutine.Sleep, "main.f:1"), 800, 100*time.Hour, from),
		"in system calls":              leakBursts(place(goroutine.Syscall, "main.f:1"), 800, 100*time.Hour, from),
		"coroutines":                   leakBursts(place(goroutine.Coroutine, "main.f:1"), 800, 100*time.Hour, from),
		"nil channels":                 leakBursts(place(goroutine.ChanSendNil, "main.f:1"), 800, 100*time.Hour, from),
		"summed up":                    leakBursts(detectortest.Place{Stack: &goroutine.Stack{ID: goroutine.OtherStacks}, State: goroutine.MutexLock}, 800, 100*time.Hour, from),
		"known by design":              leakBursts(detectortest.At(goroutine.Select, "runtime.gopark", "net/http.(*persistConn).writeLoop:9", "runtime.goexit"), 800, 100*time.Hour, from),
		"there from the start":         leakBursts(atStream, 800, 100*time.Hour, tick),
		"come in the warm-up":          piling(atStream, 200, tick),
		"clients come back, for hours": clients(atStream, 2000, from, 90*time.Minute),
		"clients of another replica":   together(clients(atStream, 1000, tick, 90*time.Minute), clients(atStream, 1000, from, 90*time.Minute)),
		"a wait group per client":      clients(atWait, 2000, from, 90*time.Minute),
		"long polls of a minute":       longPolls(atHandler, 1000, time.Minute),
		"long polls of five":           longPolls(atHandler, 1000, 5*time.Minute),
		"long polls of eight":          longPolls(atHandler, 1000, 8*time.Minute),
		"a batch behind a semaphore": func(s *service) {
			if s.elapsed() == from {
				for n := range 2000 {
					s.GoFor(atSend, time.Duration(n)*5*time.Second)
				}
			}
		},
		"short bursts on a lock": func(s *service) {
			if s.tick%4 == 0 {
				for range 1000 {
					s.GoFor(atCounter, 75*time.Second)
				}
			}
		},
		"actors at work": func(s *service) {
			if s.elapsed() == from {
				actors = s.Go(atStream, 2000)
			}
			s.shuffle(actors, 0.001, atJob, atStream)
		},
		"a pool goes idle": func(s *service) {
			if s.tick == 1 {
				workers = s.Go(atJob, 1500)
			}
			if s.elapsed() > from && len(workers) > 20 {
				s.Move(atIdle, workers[:20]...)
				workers = workers[20:]
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			found, first := replay(t, newPileup(), manned(4, 1), sh, from+30*time.Minute)
			if len(found) > 0 {
				t.Errorf("%d findings, the first after %v: %s %q", len(found), first, found[0].Message, found[0].Evidence)
			}
		})
	}
}

func TestPileupIsSilentUnderHealthyLoad(t *testing.T) {
	load := together(slow, wave, bursts, poolGrowth, streams(2*time.Hour), autoscaling(0.5), keepAlive())
	d := pileupWith(func(c *detectors.PileupConfig) { c.MinCount = 100 })
	found, first := replay(t, d, newService(4, 1), load, 4*time.Hour)
	assert.Empty(t, found, "first after %v", first)
}

func TestPileupTellsFacts(t *testing.T) {
	p := detectortest.NewProcess(1)
	var piled []uint64
	steps := detectortest.Run(t, newPileup(), detectortest.Series(p, 60, time.Minute, func(i int) {
		if i >= 20 && i < 26 {
			piled = append(piled, p.Go(atSend, 100)...)
		}
		if i == 0 {
			p.Go(atWait, 1)
		}
	})...)
	f := lastFindings(steps)[0]
	assert.Equal(t, "600 goroutines are blocked in chan send at main.(*Stage).emit (main.go:8); none exited or moved on for 10 min.", f.Message)
	assert.Equal(t, 10*time.Minute, f.Age)
	assert.Equal(t, piled[:goroutine.MaxIDs], f.IDs)
	assert.Equal(t, "600 of them were born within the last 47 min.", f.Evidence[1])
}

// TestPileupByDefault has the numbers that the defaults ask for.
func TestPileupByDefault(t *testing.T) {
	for n, want := range map[int]int{9_999: 0, 10_000: 1} {
		p := detectortest.NewProcess(1)
		p.Go(atCounter, n)
		steps := detectortest.Run(t, detectors.NewPileup(detectors.DefaultPileupConfig()), detectortest.Series(p, 5, interval, nil)...)
		assert.Len(t, lastFindings(steps), want)
	}
}

// TestPileupEnds with one goroutine that leaves: then they wait in a queue.
func TestPileupEnds(t *testing.T) {
	p := detectortest.NewProcess(1)
	var piled []uint64
	steps := detectortest.Run(t, newPileup(), detectortest.Series(p, 50, time.Minute, func(i int) {
		switch i {
		case 0:
			p.Go(atWait, 1)
		case 20:
			piled = p.Go(atHandler, 900)
		case 40:
			p.Exit(piled[700])
		}
	})...)
	assert.NotEmpty(t, steps[39].Findings)
	assert.Empty(t, steps[40].Findings)
	assert.Empty(t, steps[49].Findings)
}

// TestPileupAcrossSources has snapshots without IDs, which show locks alone.
func TestPileupAcrossSources(t *testing.T) {
	p := detectortest.NewProcess(1)
	steps := detectortest.Run(t, newPileup(), detectortest.Series(p, 45, time.Minute, func(i int) {
		switch i {
		case 0:
			p.Go(atWait, 1)
		case 20:
			p.Go(atHandler, 600)
			p.Go(atCounter, 700)
		}
		p.Source = goroutine.SourceTrace
		if i%2 == 1 {
			p.Source = goroutine.SourceProfile
		}
	})...)
	lock, pile := detectortest.Want{State: goroutine.MutexLock, Count: 700}, detectortest.Want{State: goroutine.ChanReceive, Count: 600}
	detectortest.Compare(t, steps[44].Findings, lock, pile)
	detectortest.Compare(t, steps[43].Findings, lock)
	assert.True(t, slices.ContainsFunc(steps[44].Findings, func(f detectors.Finding) bool { return f.Confidence == detectors.Medium }))
}

func TestPileupWithRareSnapshots(t *testing.T) {
	p := detectortest.NewProcess(1)
	steps := detectortest.Run(t, newPileup(), detectortest.Series(p, 10, 9*time.Minute, func(i int) {
		if i == 3 {
			p.Go(atSend, 1000)
			p.Go(atCounter, 1000)
		}
		p.Go(atWait, 1)
	})...)
	assert.Len(t, lastFindings(steps), 2)
}
