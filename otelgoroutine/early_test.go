// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

// noted is what the monitor's goroutine notes for the test's.
type noted[T any] struct {
	mu   sync.Mutex
	list []T
}

func (n *noted[T]) add(item T) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, item)
}

func (n *noted[T]) all() []T {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.list)
}

// starting is a capturer of a process that has n goroutines in each regular snapshot and
// many in early ones. It returns when those were taken.
func starting(n, many int) (c *script, at func() []time.Duration) {
	c, began := parked(n), time.Now()
	var times noted[time.Duration]
	busy := parked(many)
	c.early = func() *goroutine.Snapshot {
		times.add(time.Since(began))
		s, _ := busy.Take()
		return s
	}
	return c, times.all
}

// judging is a detector that counts the snapshots that it judges.
func judging(judged *atomic.Int32) *detectors.Detector {
	return &detectors.Detector{Name: "judging", Doc: "Counts.", Needs: detectors.Needs{History: time.Hour}, Run: func(p *detectors.Pass) error {
		judged.Store(int32(1 + len(p.History)))
		return nil
	}}
}

func TestEarlySnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, at := starting(2, 200)
		var judged atomic.Int32
		m, err := Start(provider(), withCapturer(c), WithDetectors(judging(&judged)))
		require.NoError(t, err)
		var seen noted[int]
		m.Subscribe(func(u Update) { seen.add(u.Snapshot.Total) })
		time.Sleep(8 * time.Second)
		synctest.Wait()
		assert.Equal(t, []time.Duration{time.Second, 3 * time.Second, 7 * time.Second}, at())
		assert.Equal(t, 200, m.Snapshot().Total)
		assert.Equal(t, []int{2, 200, 200, 200}, seen.all())
		assert.Len(t, m.History(), 4)
		status := m.Status()
		assert.Equal(t, time.Second, status.Age)
		assert.Equal(t, []string{"judging"}, statesOf(status))
		assert.EqualValues(t, 1, judged.Load(), "only the regular ones are judged")

		time.Sleep(8 * time.Second)
		synctest.Wait()
		assert.EqualValues(t, 2, judged.Load(), "and none of the others is in the history")
		assert.EqualValues(t, 2, c.taken.Load())
		time.Sleep(time.Hour)
		assert.Len(t, at(), 3, "none later")
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

func TestEarlySnapshotsFitIntoTheInterval(t *testing.T) {
	const s = time.Second
	for interval, want := range map[time.Duration][]time.Duration{
		MinInterval:        nil,
		s:                  nil,
		2 * s:              {s},
		4 * s:              {s},
		5 * s:              {s, 3 * s},
		10 * s:             {s, 3 * s},
		30 * s:             {s, 3 * s, 7 * s, 15 * s},
		time.Minute:        {s, 3 * s, 7 * s, 15 * s, 31 * s},
		10 * time.Minute:   {s, 3 * s, 7 * s, 15 * s, 31 * s, 63 * s, 127 * s, 255 * s},
		10*time.Minute + s: nil,
		MaxInterval:        nil,
		3 * byDefault:      {s, 3 * s, 7 * s, 15 * s},
	} {
		t.Run(interval.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, at := starting(2, 200)
				m, err := Start(provider(), withCapturer(c), WithDetectors(), WithInterval(interval))
				require.NoError(t, err)
				time.Sleep(3*interval + time.Millisecond)
				synctest.Wait()
				assert.Equal(t, want, at())
				assert.EqualValues(t, 4, c.taken.Load(), "the regular ones keep their times")
				require.NoError(t, m.Shutdown(t.Context()))
			})
		})
	}
}

// They do not keep step with a loop of the program that runs each second.
func TestEarlySnapshotsSwing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, at := starting(2, 200)
		early := optionFunc(func(cfg *config) { cfg.early = func() float64 { return 1 } })
		m, err := Start(provider(), withCapturer(c), early, WithDetectors())
		require.NoError(t, err)
		time.Sleep(8 * time.Second)
		assert.Equal(t, []time.Duration{500 * time.Millisecond, 2500 * time.Millisecond, 6500 * time.Millisecond}, at())
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

func TestEarlySnapshotsNeedBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, at := starting(2, 200)
		c.poor = true
		m, err := Start(provider(), withCapturer(c), WithDetectors())
		require.NoError(t, err)
		time.Sleep(time.Minute + time.Second)
		assert.Empty(t, at())
		assert.Len(t, m.History(), 5)
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// labelling counts the captures with labels.
type labelling struct {
	*script
	taken atomic.Int32
}

func (l *labelling) Labelled([]string, func(goroutine.StackID) bool) (*goroutine.Snapshot, *capture.Skip) {
	l.taken.Add(1)
	return nil, nil
}

func TestEarlySnapshotsTakeNoOtherCapture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, at := starting(2, 200)
		l := &labelling{script: c}
		m, err := Start(provider(), withCapturer(l), WithDetectors(), WithLabelKeys("tenant"))
		require.NoError(t, err)
		time.Sleep(8 * time.Second)
		assert.Len(t, at(), 3)
		assert.EqualValues(t, 1, l.taken.Load(), "with the first regular one")
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// The process does not count as quiet sooner because of them.
func TestEarlySnapshotsShowNoQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := resting(3)
		c.early = func() *goroutine.Snapshot { s, _ := c.take(0); return s }
		m, err := Start(provider(), withCapturer(c), WithDetectors())
		require.NoError(t, err)
		time.Sleep(3*time.Minute + 44*time.Second)
		assert.EqualValues(t, quietFor+1, c.taken.Load(), "at the interval for three minutes, as without")
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// A pause of the process before an early snapshot is told to the detectors with the next
// one that they judge.
func TestAPauseBeforeAnEarlySnapshotIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := starting(2, 200)
		early := c.early
		c.early = func() *goroutine.Snapshot { s := early(); s.Late = 2 * time.Second; return s }
		var late atomic.Int64
		m, err := Start(provider(), withCapturer(c), WithDetectors(&detectors.Detector{Name: "late", Doc: "Reads.", Run: func(p *detectors.Pass) error {
			late.Store(int64(p.Snapshot.Late))
			return nil
		}}))
		require.NoError(t, err)
		time.Sleep(16 * time.Second)
		synctest.Wait()
		assert.EqualValues(t, 6*time.Second, late.Load(), "of three")
		time.Sleep(15 * time.Second)
		synctest.Wait()
		assert.Zero(t, late.Load())
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// A service may set its providers up after Start, and the first snapshot may be refused:
// then the first regular one does not wait for an interval.
func TestAFirstSnapshotThatWasNotTakenIsTriedAgainSoon(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, at := starting(2, 200)
			take := c.take
			c.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
				if n == 1 {
					return nil, []capture.Skip{{Source: goroutine.SourceProfile, Refusal: &capture.Refusal{Reason: capture.ReasonLoad}}}
				}
				return take(n)
			}
			var judged atomic.Int32
			m, err := Start(provider(), withCapturer(c), WithDetectors(judging(&judged)))
			require.NoError(t, err)
			time.Sleep(time.Second)
			synctest.Wait()
			assert.EqualValues(t, 1, judged.Load())
			time.Sleep(7 * time.Second)
			assert.Len(t, at(), 2)
			require.NoError(t, m.Shutdown(t.Context()))
		})
	})
	t.Run("not heard", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _ := starting(2, 200)
			var judged atomic.Int32
			m, err := Start(noop.NewMeterProvider(), withCapturer(c), WithDetectors(judging(&judged)))
			require.NoError(t, err)
			time.Sleep(2 * time.Second)
			assert.Zero(t, c.taken.Load())
			now := time.Now()
			m.asked.Store(&now) // as a provider that is set up: nothing rouses the monitor
			time.Sleep(time.Second)
			synctest.Wait()
			assert.EqualValues(t, 1, judged.Load())
			require.NoError(t, m.Shutdown(t.Context()))
		})
	})
}
