// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"errors"
	"math/rand/v2"
	"runtime/trace"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

// resting is a capturer of a process in which n goroutines wait and nothing happens.
func resting(n int) *script {
	s := parked(n)
	take := s.take
	s.take = func(k int) (*goroutine.Snapshot, []capture.Skip) {
		snapshot, skips := take(k)
		snapshot.Groups[0].State = goroutine.Select
		return snapshot, skips
	}
	s.still.Store(&counts{int64(n), 100})
	return s
}

// suspicious asks for attention while it is told to.
func suspicious(now *atomic.Bool) *detectors.Detector {
	return &detectors.Detector{Name: "suspicious", Doc: "Suspects.", Run: func(p *detectors.Pass) error {
		if now.Load() {
			p.Attend()
		}
		return nil
	}}
}

func TestBeats(t *testing.T) {
	for interval, want := range map[time.Duration]pace{
		MinInterval:             {beat: MinInterval, short: 1, usual: 1},
		1500 * time.Millisecond: {beat: 1500 * time.Millisecond, short: 1, usual: 1},
		2 * time.Second:         {beat: time.Second, short: 1, usual: 2},
		3 * time.Second:         {beat: time.Second, short: 1, usual: 3},
		15 * time.Second:        {beat: 5 * time.Second, short: 1, usual: 3},
		time.Minute:             {beat: 5 * time.Second, short: 4, usual: 12},
		MaxInterval:             {beat: 5 * time.Second, short: 240, usual: 720},
	} {
		want.left = suspense
		assert.Equal(t, want, newPace(interval), interval)
	}
}

func TestAQuietProcessIsSeenLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := resting(3)
		m, err := Start(provider(), withCapturer(c), WithDetectors(suspicious(new(atomic.Bool))))
		require.NoError(t, err)
		time.Sleep(3*time.Minute + time.Millisecond)
		assert.EqualValues(t, quietFor+1, c.taken.Load(), "at first, every interval")
		for n := range int32(20) {
			time.Sleep(45*time.Second - 2*time.Millisecond)
			require.EqualValues(t, quietFor+1+n, c.taken.Load())
			age, stale := m.sight.Age(time.Now().Add(time.Second))
			assert.False(t, stale, "it is known that nothing has happened")
			assert.Equal(t, 46*time.Second, age.Round(time.Second))
			time.Sleep(2 * time.Millisecond)
		}
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// Whatever shows that something happens, or that someone looks, ends the quiet at the
// next interval.
func TestQuietEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		happens func(c *script, m *Monitor)
		within  time.Duration
	}{
		"a goroutine comes": {func(c *script, _ *Monitor) { c.still.Store(&counts{4, 101}) }, byDefault},
		"one ends":          {func(c *script, _ *Monitor) { c.still.Store(&counts{2, 100}) }, byDefault},
		"many came and went": {func(c *script, _ *Monitor) {
			c.still.Store(&counts{3, 100 + 60})
		}, byDefault},
		"some came and went":  {func(c *script, _ *Monitor) { c.still.Store(&counts{3, 100 + 10}) }, 30 * time.Second},
		"unknown":             {func(c *script, _ *Monitor) { c.still.Store(&counts{3, 0}) }, byDefault},
		"it is looked at":     {func(_ *script, m *Monitor) { m.Status() }, byDefault},
		"a snapshot is asked": {func(_ *script, m *Monitor) { m.Snapshot() }, byDefault},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := resting(3)
				m, err := Start(provider(), withCapturer(c), WithDetectors())
				require.NoError(t, err)
				time.Sleep(3*time.Minute + 9*45*time.Second + 15*time.Second) // one was taken 15 s ago
				synctest.Wait()
				before := c.taken.Load()
				tt.happens(c, m)
				time.Sleep(tt.within - time.Second)
				synctest.Wait()
				if tt.within > byDefault {
					assert.Equal(t, before, c.taken.Load(), "as quiet as before")
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				assert.Equal(t, before+1, c.taken.Load())
				require.NoError(t, m.Shutdown(t.Context()))
			})
		})
	}
}

func TestWhatIsNotQuietKeepsTheInterval(t *testing.T) {
	elsewhere := goroutine.NewStack([]goroutine.Frame{{Function: "runtime.gopark"}, {Function: "main.other", File: "/src/main.go", Line: 7}})
	for name, tt := range map[string]struct {
		capturer func(c *script)
		detector *detectors.Detector
	}{
		"an open finding": {func(*script) {}, always()},
		"snapshots that differ": {func(c *script) {
			take := c.take
			c.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
				s, skips := take(n)
				if n%2 == 0 {
					s.Groups[0].Stack = elsewhere
				}
				return s, skips
			}
		}, suspicious(new(atomic.Bool))},
		"a goroutine more in each": {func(c *script) {
			take := c.take
			c.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
				s, skips := take(n)
				s.Groups[0].Count, s.Total = n, n
				return s, skips
			}
		}, suspicious(new(atomic.Bool))},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := resting(3)
				tt.capturer(c)
				m, err := Start(provider(), withCapturer(c), WithDetectors(tt.detector))
				require.NoError(t, err)
				time.Sleep(time.Hour + time.Second)
				assert.EqualValues(t, 241, c.taken.Load())
				require.NoError(t, m.Shutdown(t.Context()))
			})
		})
	}
}

// A goroutine that is caught running now and then is no news.
func TestRunningIsNoNews(t *testing.T) {
	at := func(state goroutine.State) *goroutine.Snapshot {
		s, _ := parked(3).Take()
		s.Groups[0].State = state
		return s
	}
	assert.False(t, showsNew(at(goroutine.Running), at(goroutine.Select)))
	assert.True(t, showsNew(at(goroutine.Select), at(goroutine.Running)))
	assert.True(t, showsNew(at(goroutine.Select), at(goroutine.ChanReceive)))
}

func TestASuspicionHastensSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(3)
		var suspected atomic.Bool
		m, err := Start(provider(), withCapturer(c), WithDetectors(suspicious(&suspected)))
		require.NoError(t, err)
		time.Sleep(16 * time.Second)
		require.EqualValues(t, 2, c.taken.Load())
		suspected.Store(true)
		time.Sleep(15 * time.Second)
		require.EqualValues(t, 3, c.taken.Load())
		time.Sleep(suspense * 5 * time.Second)
		assert.EqualValues(t, 3+suspense, c.taken.Load(), "one every five seconds, for three minutes")
		time.Sleep(time.Hour)
		assert.EqualValues(t, 3+suspense+240, c.taken.Load(), "then at the interval, however long it lasts")

		suspected.Store(false)
		time.Sleep(2 * time.Minute)
		suspected.Store(true)
		before := c.taken.Load()
		time.Sleep(time.Minute)
		assert.Greater(t, c.taken.Load(), before+4, "a suspicion that is over gives some back")
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// A suspicion that comes and goes, as of a lock that is contended now and then, takes
// half as many snapshots again in the long run.
func TestSuspicionsThatComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(3)
		var runs int
		flapping := &detectors.Detector{Name: "flapping", Doc: "Suspects.", Run: func(p *detectors.Pass) error {
			if runs++; runs/8%2 == 0 {
				p.Attend()
			}
			return nil
		}}
		m, err := Start(provider(), withCapturer(c), WithDetectors(flapping))
		require.NoError(t, err)
		time.Sleep(10 * time.Hour)
		assert.LessOrEqual(t, c.taken.Load(), int32(2400*3/2+2*suspense))
		assert.GreaterOrEqual(t, c.taken.Load(), int32(2400))
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

func TestASuspicionTakesNothingWithoutBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(3)
		c.poor = true
		var suspected atomic.Bool
		suspected.Store(true)
		m, err := Start(provider(), withCapturer(c), WithDetectors(suspicious(&suspected)))
		require.NoError(t, err)
		time.Sleep(time.Hour + time.Second)
		assert.EqualValues(t, 241, c.taken.Load())
		assert.Equal(t, suspense, m.observer.pace.left, "what is not taken is not paid for")
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// Two monitors of a process with the same suspicion take no more snapshots than one.
func TestMonitorsShareTheSnapshotsOfASuspicion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(1)
		both := clients(t, c, 15*time.Second, 15*time.Second)
		for range 10 {
			a, _ := both[0].Take(0)
			time.Sleep(2 * time.Second)
			b, _ := both[1].Take(0)
			assert.Same(t, a, b)
			time.Sleep(3 * time.Second)
		}
		assert.EqualValues(t, 10, c.taken.Load())
		a, _ := both[0].Take(0)
		time.Sleep(4 * time.Second)
		b, _ := both[1].Take(0)
		assert.NotSame(t, a, b, "4 s are more than half of what its snapshots are apart")
		for _, cl := range both {
			cl.close()
		}
	})
}

func TestASnapshotTellsHowLateItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(1)
		c.recording = []byte("recorded")
		both := clients(t, c, 15*time.Second, 15*time.Second)
		for _, cl := range both {
			cl.config.Recorder = new(trace.FlightRecorder)
		}
		a, _ := both[0].Take(20 * time.Second)
		assert.Equal(t, 20*time.Second, a.Late)
		b, _ := both[1].Take(30 * time.Second)
		assert.Equal(t, 30*time.Second, b.Late, "its own last snapshot was earlier")
		assert.Equal(t, 20*time.Second, a.Late, "what others have is not modified")
		assert.Equal(t, a.Time, b.Time)
		assert.NotNil(t, both[1].Recording(b), "and it is the same snapshot")
		for _, cl := range both {
			cl.close()
		}
	})
}

func TestLateness(t *testing.T) {
	const planned = 5 * time.Second
	assert.Zero(t, lateness(planned, planned, planned))
	assert.Zero(t, lateness(planned+90*time.Millisecond, planned, planned), "no timer is exact")
	assert.Equal(t, time.Minute, lateness(planned+time.Minute, planned+time.Minute, planned), "stopped")
	assert.Equal(t, time.Hour, lateness(planned, planned+time.Hour, planned), "asleep")
	assert.Zero(t, lateness(planned, -time.Hour, planned), "the clock was set back")
}

// A loop that runs for 20 ms every 5 s is not caught in the same phase again and again,
// and as many snapshots are taken as without the swing.
func TestSnapshotsKeepNoStep(t *testing.T) {
	for name, tt := range map[string]struct {
		suspected   bool
		snapshots   int
		least, most time.Duration // between two
	}{
		"regular":   {false, 241, 12500 * time.Millisecond, 17500 * time.Millisecond},
		"suspected": {true, 241 + suspense - suspense/hastened, 2500 * time.Millisecond, 17500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := parked(3)
				began := time.Now()
				var at []time.Duration
				take := c.take
				c.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
					at = append(at, time.Since(began))
					return take(n)
				}
				var suspected atomic.Bool
				suspected.Store(tt.suspected)
				early := optionFunc(func(cfg *config) { cfg.early = rand.New(rand.NewPCG(1, 2)).Float64 })
				m, err := Start(provider(), withCapturer(c), early, WithDetectors(suspicious(&suspected), always()))
				require.NoError(t, err)
				time.Sleep(time.Hour + time.Second)
				require.NoError(t, m.Shutdown(t.Context()))
				assert.InDelta(t, tt.snapshots, len(at), 1)
				caught := 0
				for i, d := range at {
					if d%(5*time.Second) < 20*time.Millisecond {
						caught++
					}
					if i > 0 {
						assert.GreaterOrEqual(t, d-at[i-1], tt.least)
						assert.LessOrEqual(t, d-at[i-1], tt.most)
					}
				}
				assert.Less(t, caught, 10)
			})
		})
	}
}

// A beat that comes early is not late, and one that the work before it left little
// time for comes no sooner than after half of that.
func TestEarlyBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetronome(5*time.Second, func() float64 { return 1 })
		defer m.timer.Stop()
		began := time.Now()
		<-m.wait(1)
		m.heard()
		assert.Equal(t, 2500*time.Millisecond, time.Since(began))
		time.Sleep(7 * time.Second) // until half a second before the second beat is due
		<-m.wait(1)
		m.heard()
		assert.Equal(t, 9750*time.Millisecond, time.Since(began))
		<-m.wait(3)
		m.heard()
		assert.Equal(t, 22500*time.Millisecond, time.Since(began))
		assert.Equal(t, 5, m.count)
		assert.Zero(t, m.lateness())
	})
}

// Beats that nothing waited for are counted and are not late.
func TestMissedBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetronome(5*time.Second, never)
		defer m.timer.Stop()
		<-m.wait(1)
		m.heard()
		assert.Equal(t, 1, m.count)
		time.Sleep(12 * time.Second)
		began := time.Now()
		<-m.wait(1)
		m.heard()
		assert.Equal(t, 4, m.count)
		assert.Equal(t, 3*time.Second, time.Since(began), "the beats keep their times")
		assert.Zero(t, m.lateness())
	})
}

// While windows are refused, detectors wait for one as long during a suspicion, which
// has three times as many snapshots, as otherwise.
func TestARefusedWindowIsWaitedForAsLong(t *testing.T) {
	for _, suspected := range []bool{false, true} {
		handled(func() {
			synctest.Test(t, func(t *testing.T) {
				c := parked(3)
				c.window = func(time.Duration) (*goroutine.Snapshot, *capture.Skip) {
					return nil, &capture.Skip{Source: goroutine.SourceWindow, Refusal: &capture.Refusal{Reason: capture.ReasonBusy, Err: errors.New("taken")}}
				}
				began, waited := time.Now(), time.Duration(0)
				waiting := &detectors.Detector{Name: "waiting", Doc: "Waits for a window.", Run: func(p *detectors.Pass) error {
					if p.Ask(goroutine.SourceWindow) {
						waited = time.Since(began)
					}
					if suspected {
						p.Attend()
					}
					return nil
				}}
				m, err := Start(provider(), withCapturer(c), WithDetectors(waiting))
				require.NoError(t, err)
				time.Sleep(time.Hour)
				require.NoError(t, m.Shutdown(t.Context()))
				assert.InDelta(t, 105, waited.Seconds(), 5, "suspected: %v", suspected)
			})
		})
	}
}
