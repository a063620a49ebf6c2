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

var (
	atDebit   = place(goroutine.MutexLock, "main.(*Bank).debit:20")
	atCredit  = place(goroutine.MutexLock, "main.(*Bank).credit:40")
	atCounter = place(goroutine.MutexLock, "main.(*Counter).inc:5")
)

// interval is how far apart snapshots are by default.
const interval = 15 * time.Second

func newDeadlock() *detectors.Detector {
	return detectors.NewDeadlock(detectors.DefaultDeadlockConfig())
}

func lastFindings(steps []detectortest.Step) []detectors.Finding {
	return steps[len(steps)-1].Findings
}

// firstFound returns how long after the first snapshot something was found.
func firstFound(t *testing.T, steps []detectortest.Step) time.Duration {
	t.Helper()
	for _, s := range steps {
		if len(s.Findings) > 0 {
			return s.Snapshot.Time.Sub(steps[0].Snapshot.Time)
		}
	}
	t.Fatal("nothing found")
	return 0
}

func TestDeadlockOfTwo(t *testing.T) {
	p := detectortest.NewProcess(1)
	first := p.Go(atDebit, 1)
	second := p.Go(atCredit, 1)
	steps := detectortest.Run(t, newDeadlock(), detectortest.Series(p, 40, interval, nil)...)

	assert.Equal(t, 150*time.Second, firstFound(t, steps), "two queues of one together need 11 snapshots")
	detectortest.Compare(t, lastFindings(steps),
		detectortest.Want{Function: "main.(*Bank).debit", Count: 2, Confidence: detectors.Medium, Contains: "and 1 other place"})
	f := lastFindings(steps)[0]
	assert.Equal(t, append(first, second...), f.IDs)
	assert.Equal(t, "A lock has not been acquired for 10 min: 2 goroutines wait for it at main.(*Bank).debit (main.go:20) and 1 other place (sync.Mutex.Lock).", f.Message)
	assert.Equal(t, 39*interval, f.Age)
	assert.True(t, f.Stands)
}

func TestQueueOfOne(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(atDebit, 1)
	steps := detectortest.Run(t, newDeadlock(), detectortest.Series(p, 25, interval, nil)...)
	assert.Equal(t, 5*time.Minute, firstFound(t, steps), "a queue of one needs 21 snapshots")
}

// TestDeadlockClimbs has a lock about which nothing more can be found out.
func TestDeadlockClimbs(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(atDebit, 5)
	at := make(map[detectors.Confidence]time.Duration)
	for _, s := range detectortest.Run(t, newDeadlock(), detectortest.Series(p, 130, interval, nil)...) {
		for _, f := range s.Findings {
			if _, ok := at[f.Confidence]; !ok {
				at[f.Confidence] = s.Snapshot.Time.Sub(p.Now()) + 129*interval
			}
		}
	}
	assert.Equal(t, map[detectors.Confidence]time.Duration{detectors.Medium: 2 * time.Minute, detectors.Suspected: 10 * time.Minute, detectors.High: 30 * time.Minute}, at)
}

func TestDeadlockWithPileUp(t *testing.T) {
	p := detectortest.NewProcess(4)
	conns := p.Go(atKeepAlive, 60)
	stuck := p.Go(atDebit, 1)
	p.Go(atCredit, 1)
	steps := detectortest.Run(t, newDeadlock(), detectortest.Series(p, 20, interval, func(i int) {
		p.Go(atDebit, 5)                     // new ones
		p.Move(atDebit, conns[3*i:3*i+3]...) // and old ones
	})...)

	assert.Equal(t, time.Minute, firstFound(t, steps), "the more wait, the fewer snapshots it takes")
	found := lastFindings(steps)
	require.NotEmpty(t, found)
	assert.Equal(t, 2+20*8, found[0].Count)
	assert.InDelta(t, 8*4, found[0].GrowthPerMinute, 0.1)
	assert.Contains(t, found[0].IDs, stuck[0])
	assert.Contains(t, found[0].Evidence, "152 goroutines joined the 9 that waited at first.")
}

// TestDeadlockLeavesBusyLocksAlone has locks that are in use at every moment.
func TestDeadlockLeavesBusyLocksAlone(t *testing.T) {
	for name, workers := range map[string]int{"two": 2, "three": 3, "five": 5, "two hundred": 200} {
		t.Run(name+" workers on one lock", func(t *testing.T) {
			t.Parallel()
			s := newService(2, uint64(workers))
			all := s.Go(atCounter, workers)
			for _, step := range detectortest.Run(t, newDeadlock(), detectortest.Series(s.Process, 4*60*12, interval, func(int) {
				s.Move(atCounter, all...)
				s.Move(atJob, all[s.rand.IntN(workers)]) // the holder
			})...) {
				require.Empty(t, step.Findings)
			}
		})
	}
	for name, do := range map[string]func(*service){
		"requests that wait shortly": func(s *service) {
			for range 50 {
				s.GoFor(atCounter, time.Duration(s.rand.Float64()*float64(20*time.Second)))
			}
		},
		"a queue that grows and is served": func(s *service) {
			for range 20 + s.tick {
				s.GoFor(atCounter, 40*time.Second)
			}
		},
		"a slow spell": func(s *service) {
			if s.tick%8 == 0 {
				for range 200 {
					s.GoFor(atCounter, 55*time.Second)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(4, 3)
			for _, step := range detectortest.Run(t, newDeadlock(), detectortest.Series(s.Process, 4*60*2, interval, func(i int) {
				s.tick = i
				do(s)
			})...) {
				require.Empty(t, step.Findings)
			}
		})
	}
}

// TestDeadlockNoticesOneThatLeaves has a stuck queue of a hundred from which one
// leaves, with others coming in the same moment: only the IDs tell.
func TestDeadlockNoticesOneThatLeaves(t *testing.T) {
	p := detectortest.NewProcess(1)
	all := p.Go(atDebit, 100)
	idle := p.Go(atKeepAlive, 100)
	d := newDeadlock()
	r := detectortest.NewReplay(t, d)
	var found []bool
	for i, s := range detectortest.Series(p, 12, interval, func(i int) {
		if i == 6 {
			p.Move(atJob, all[4])
			p.Move(atDebit, idle[:50]...)
		}
	}) {
		found = append(found, len(r.Step(s).Findings) > 0)
		_ = i
	}
	assert.Equal(t, []bool{false, false, false, false, true, true, false, false, false, false, true, true}, found)
}

func TestDeadlockOfReadersAndWriters(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(place(goroutine.RWMutexLock, "main.write:1"), 1)
	p.Go(place(goroutine.RWMutexRLock, "main.read:2"), 150)
	p.Go(place(goroutine.WaitGroupWait, "main.wait:3"), 150)
	p.Go(place(goroutine.CondWait, "main.cond:4"), 150)
	steps := detectortest.Run(t, newDeadlock(), detectortest.Series(p, 6, interval, nil)...)
	detectortest.Compare(t, lastFindings(steps), detectortest.Want{Function: "main.write", State: goroutine.RWMutexLock, Count: 151, Contains: "and 1 other place"})
}

func TestDeadlockByLock(t *testing.T) {
	locked := func(lock uint64) detectortest.Place {
		at := atDebit
		at.Lock = lock
		at.CreatedBy = goroutine.Frame{Function: "main.main", Line: 3}
		return at
	}
	p := detectortest.NewProcess(1)
	p.Source = goroutine.SourceText
	p.Go(locked(0xc000123450), 3)
	steps := detectortest.Run(t, newDeadlock(), detectortest.Series(p, 10, interval, func(int) {
		for range 20 {
			p.GoFor(locked(0xc000999990), 20*time.Second) // another account's lock, in use
		}
	})...)

	detectortest.Compare(t, lastFindings(steps), detectortest.Want{Count: 3, Contains: "By the runtime's clock the longest wait is 2 min."})
	assert.Empty(t, lastFindings(steps)[0].Subject, "what identifies it must not change with the source")
	assert.Contains(t, lastFindings(steps)[0].Evidence, "The lock is at 0xc000123450.")
	assert.Equal(t, "main.main", lastFindings(steps)[0].CreatedBy.Function)
	assert.Equal(t, 3*interval, firstFound(t, steps), "the runtime measures a wait from before the first snapshot")
}

// TestDeadlockInOneDump has a single dump as text, in which the runtime tells
// how long goroutines have waited.
func TestDeadlockInOneDump(t *testing.T) {
	for wait, want := range map[time.Duration]int{0: 0, 30 * time.Second: 0, time.Minute: 1, time.Hour: 1} {
		p := detectortest.NewProcess(1)
		p.Source = goroutine.SourceText
		p.Go(atDebit, 2)
		p.Advance(wait)
		steps := detectortest.Run(t, newDeadlock(), p.Snapshot())
		assert.Len(t, steps[0].Findings, want, "a wait of %v", wait)
	}
}

// TestDeadlockClearedByText has one goroutine that waits for a lock in every
// snapshot, and acquired it in between each time: only the runtime's clock tells.
func TestDeadlockClearedByText(t *testing.T) {
	for name, tc := range map[string]struct{ text, gc, want bool }{
		"no dump":                          {false, true, true},
		"a dump":                           {true, true, false},
		"a dump without waits (GC is off)": {true, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := detectortest.NewProcess(1)
			waiter := p.Go(atDebit, 1)
			if tc.gc {
				p.Go(atIdle, 1)
			}
			steps := detectortest.Run(t, newDeadlock(), detectortest.Series(p, 40, interval, func(i int) {
				p.Move(atDebit, waiter...) // again
				p.Source = goroutine.SourceTrace
				if tc.text && i == 38 {
					p.Source = goroutine.SourceText
				}
			})...)
			assert.Equal(t, tc.want, len(lastFindings(steps)) > 0)
		})
	}
}

func TestDeadlockScales(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(atDebit, 1)
	p.Go(atCredit, 1)
	d := deadlockWith(func(c *detectors.DeadlockConfig) { c.MinWait = 5 * time.Second })
	steps := detectortest.Run(t, d, detectortest.Series(p, 30, time.Second, func(int) { p.Go(atDebit, 1) })...)
	assert.Equal(t, 6*time.Second, firstFound(t, steps))
	assert.Len(t, lastFindings(steps), 1)
}

// TestDeadlockWithRareSnapshots has snapshots so far apart that the history holds
// hardly more than the newest that it never thins out.
func TestDeadlockWithRareSnapshots(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(atDebit, 20)
	steps := detectortest.Run(t, newDeadlock(), detectortest.Series(p, 10, 9*time.Minute, nil)...)
	assert.Len(t, lastFindings(steps), 1)
}
