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

var atSend = place(goroutine.ChanSend, "main.(*Stage).emit:8")

func newContention() *detectors.Detector {
	return detectors.NewContention(detectors.DefaultContentionConfig())
}

// hold lets n workers queue at a place, some of which are elsewhere in each
// snapshot, never the same.
func hold(at detectortest.Place, n, elsewhere int) func(s *service) {
	var all []uint64
	return func(s *service) {
		if all == nil {
			all = s.Go(at, n)
		}
		s.Move(at, all...)
		for range elsewhere {
			s.Move(atJob, all[s.rand.IntN(n)])
		}
	}
}

func TestContention(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(*service)
		at   detectortest.Place
		text string
	}{
		"a mutex": {hold(atCounter, 150, 1), atCounter, "waiting for a lock"},
		"writers": {hold(place(goroutine.RWMutexLock, "main.put:1"), 150, 5), place(goroutine.RWMutexLock, "main.put:1"), ""},
		"readers": {hold(place(goroutine.RWMutexRLock, "main.get:1"), 150, 5), place(goroutine.RWMutexRLock, "main.get:1"), ""},
		"senders": {hold(atSend, 1200, 5), atSend, ""},
		"one in a minute": {func() func(*service) {
			do := hold(atCounter, 150, 1)
			return func(s *service) {
				if s.tick%4 == 0 {
					do(s)
				}
			}
		}(), atCounter, ""},
		"requests": {func(s *service) {
			for range 100 {
				s.GoFor(atCounter, 40*time.Second)
			}
		}, atCounter, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(4, 1)
			steps := detectortest.Run(t, newContention(), detectortest.Series(s.Process, 40, interval, func(i int) {
				s.tick = i
				tc.do(s)
			})...)
			assert.GreaterOrEqual(t, firstFound(t, steps), 90*time.Second)
			assert.LessOrEqual(t, firstFound(t, steps), 2*time.Minute)
			detectortest.Compare(t, lastFindings(steps), detectortest.Want{
				Function: tc.at.Stack.User().Function, State: tc.at.State, Confidence: detectors.Info, Contains: "The queue moves",
			})
		})
	}
}

func TestContentionTellsFacts(t *testing.T) {
	s := newService(1, 1)
	do := hold(atCounter, 151, 1)
	steps := detectortest.Run(t, newContention(), detectortest.Series(s.Process, 41, interval, func(int) { do(s) })...)
	f := lastFindings(steps)[0]
	assert.Equal(t, "150 goroutines at main.(*Counter).inc (main.go:5) have been queueing for a lock (sync.Mutex.Lock) for 10 min.", f.Message)
	assert.Equal(t, 10*time.Minute, f.Age)
	assert.Zero(t, f.GrowthPerMinute)
	assert.Len(t, f.IDs, goroutine.MaxIDs)
	assert.Contains(t, f.Evidence, "In 7 snapshots over 90 s there were 150 to 150 of them.")
}

// TestContentionIsSilent has queues and crowds that are no contention.
func TestContentionIsSilent(t *testing.T) {
	var spawned []uint64
	for name, do := range map[string]func(*service){
		"a stuck lock": func(s *service) {
			s.Go(atDebit, 5) // joined by more and more
		},
		"99 waiters":                  hold(atCounter, 100, 1),
		"a pool that sends":           hold(atSend, 900, 20),
		"an idle pool":                hold(atIdle, 200, 0),
		"an idle pool that gets jobs": hold(atIdle, 2000, 30),
		"idle in a select":            hold(atStream, 2000, 30),
		"generators": func(s *service) {
			if s.tick == 0 {
				s.Go(atSend, 2000)
			}
		},
		"a batch behind a semaphore": func(s *service) {
			if s.tick == 0 {
				spawned = s.Go(atSend, 2000)
			}
			s.Exit(spawned[8*s.tick : 8*s.tick+8]...)
		},
		"a batch of long jobs": func(s *service) {
			if s.tick == 0 {
				for n := range 2000 {
					s.GoFor(atCounter, time.Duration(n)*time.Second)
				}
			}
		},
		"bursts": func(s *service) {
			if s.tick%8 == 0 { // two minutes
				for range 500 {
					s.GoFor(atCounter, 100*time.Second)
				}
			}
		},
		"known by design": hold(detectortest.At(goroutine.MutexLock, "testing.(*T).Run:9"), 500, 5),
	} {
		t.Run(name, func(t *testing.T) {
			s := manned(2, 1)
			for _, step := range detectortest.Run(t, newContention(), detectortest.Series(s.Process, 100, interval, func(i int) {
				s.tick = i
				do(s)
			})...) {
				require.Empty(t, step.Findings)
			}
		})
	}
}

func TestContentionIsSilentUnderHealthyLoad(t *testing.T) {
	short := func(s *service) { s.requests(atCounter, 100, 20*time.Second) }
	load := together(short, slow, bursts, poolGrowth, streams(30*time.Minute), autoscaling(0.5), keepAlive())
	found, first := replay(t, newContention(), newService(4, 1), load, 4*time.Hour)
	assert.Empty(t, found, "first after %v", first)
}

// TestContentionOfTheNow has a queue that moved for long and then got stuck.
func TestContentionOfTheNow(t *testing.T) {
	s := newService(1, 1)
	do := hold(atCounter, 200, 3)
	steps := detectortest.Run(t, newContention(), detectortest.Series(s.Process, 80, interval, func(i int) {
		if i < 40 {
			do(s)
		}
	})...)
	assert.NotEmpty(t, steps[39].Findings)
	assert.NotEmpty(t, steps[44].Findings, "it may yet go on")
	assert.Empty(t, steps[50].Findings, "now it is for the deadlock detector")
}

func TestContentionByLock(t *testing.T) {
	locked := func(lock uint64) detectortest.Place {
		at := atCounter
		at.Lock = lock
		return at
	}
	s := newService(1, 1)
	s.Source = goroutine.SourceText
	busy := hold(locked(0xc000123450), 140, 2)
	var many []func(*service)
	for n := range uint64(20) {
		many = append(many, hold(locked(0xc000900000+64*n), 12, 1))
	}
	steps := detectortest.Run(t, newContention(), detectortest.Series(s.Process, 12, interval, func(int) {
		busy(s)
		for _, do := range many {
			do(s)
		}
	})...)
	detectortest.Compare(t, lastFindings(steps), detectortest.Want{Subject: "0xc000123450", Contains: "The lock is at 0xc000123450."})
}

func TestContentionWithRareSnapshots(t *testing.T) {
	s := newService(1, 1)
	do := hold(atCounter, 200, 3)
	steps := detectortest.Run(t, newContention(), detectortest.Series(s.Process, 10, 9*time.Minute, func(int) { do(s) })...)
	assert.Equal(t, 27*time.Minute, firstFound(t, steps), "four snapshots")
}
