// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// at returns a snapshot with IDs.
func at(since time.Duration) *goroutine.Snapshot {
	return &goroutine.Snapshot{Time: time.Unix(0, 0).Add(since), Epochs: make([]goroutine.Epoch, 1)}
}

func historyFor(needs ...detectors.Needs) *history {
	var ds []*detectors.Detector
	for _, n := range needs {
		ds = append(ds, &detectors.Detector{Needs: n})
	}
	return newHistory(ds)
}

// TestHistoryServesEveryScale has detectors that go back a minute and a day,
// and snapshots at several intervals.
func TestHistoryServesEveryScale(t *testing.T) {
	for _, interval := range []time.Duration{time.Second, 15 * time.Second, time.Minute, 20 * time.Minute} {
		t.Run(interval.String(), func(t *testing.T) {
			h := historyFor(detectors.Needs{History: time.Minute}, detectors.Needs{History: 24 * time.Hour})
			for n, since := 0, time.Duration(0); since < 26*time.Hour; n, since = n+1, since+interval {
				require.True(t, h.add(at(since)))
				require.LessOrEqual(t, len(h.kept), maxKept)
				if n < 200 || n%97 == 0 { // all of them take minutes
					reach(t, h.pass(), interval, since)
				}
			}
			assert.Equal(t, time.Unix(0, 0), h.pass().Started)
		})
	}
}

// reach checks that for any age there is a snapshot that is wrong by a quarter at
// most, and by less than two intervals where those are longer than that.
func reach(t *testing.T, pass *detectors.Pass, interval, running time.Duration) {
	t.Helper()
	newest := pass.Snapshot.Time
	for age := 2 * interval; age <= min(running, 24*time.Hour); age = age * 5 / 4 {
		best := 24 * time.Hour
		for _, s := range pass.History {
			best = min(best, (newest.Sub(s.Time) - age).Abs())
		}
		require.LessOrEqual(t, best, max(age/4, 2*interval), "no snapshot %v ago, at %v", age, running)
	}
}

// TestASuspicionIsKeptInAddition has a suspicion at a third of the interval after a
// day of snapshots: 21 snapshots in a row stay, which a lock with a single waiter
// needs, and no more of the older ones are lost than by the time that passes.
func TestASuspicionIsKeptInAddition(t *testing.T) {
	for _, interval := range []time.Duration{5 * time.Second, 15 * time.Second, 90 * time.Second, 4 * time.Minute} {
		t.Run(interval.String(), func(t *testing.T) {
			suspicious, calm := historyFor(detectors.Needs{History: 24 * time.Hour}), historyFor(detectors.Needs{History: 24 * time.Hour})
			since := time.Duration(0)
			for ; since < 24*time.Hour; since += interval {
				suspicious.add(at(since))
				calm.add(at(since))
			}
			began := time.Unix(0, 0).Add(since)
			for i := range 60 {
				suspicious.add(at(since))
				suspicious.attend(true)
				if i%3 == 0 {
					calm.add(at(since))
				}
				since += interval / 3
				assert.LessOrEqual(t, len(suspicious.kept), maxKept-detectors.NewestKept+maxWhole)
				assert.GreaterOrEqual(t, keptOf(suspicious, began, i+1), min(i+1, maxWhole))
				reach(t, suspicious.pass(), interval, since)
			}
			before := func(h *history) int {
				return len(h.kept) - keptOf(h, began, len(h.kept))
			}
			assert.GreaterOrEqual(t, before(suspicious), before(calm)-4)
			for range 2 * maxWhole {
				suspicious.attend(false)
				suspicious.add(at(since))
				since += interval
			}
			assert.LessOrEqual(t, len(suspicious.kept), maxKept, "as before, once the suspicion is over")
		})
	}
}

// keptOf returns how many of the newest snapshots, at most n, are not older than t.
func keptOf(h *history, t time.Time, n int) (kept int) {
	for _, s := range h.kept[max(0, len(h.kept)-n):] {
		if !s.Time.Before(t) {
			kept++
		}
	}
	return kept
}

func TestHistoryKeepsTheNewestWhateverTheirAge(t *testing.T) {
	h := historyFor(detectors.Needs{History: time.Minute})
	for i := range 20 {
		h.add(at(time.Duration(i) * time.Hour))
	}
	pass := h.pass()
	assert.Len(t, pass.History, 7)
	assert.Equal(t, at(12*time.Hour).Time, pass.History[0].Time)
	assert.Equal(t, time.Unix(0, 0), pass.Started, "whether or not the history reaches that far")
}

func TestHistoryTakesOnlyYoungerSnapshots(t *testing.T) {
	h := historyFor(detectors.Needs{History: time.Hour})
	assert.True(t, h.add(at(time.Minute)))
	assert.False(t, h.add(at(time.Minute)))
	assert.False(t, h.add(at(0)))
	assert.Empty(t, h.pass().History)
}

func TestAPassHasOnlySnapshotsWithIDsWhereThoseAreNeeded(t *testing.T) {
	without := func(since time.Duration) *goroutine.Snapshot {
		s := at(since)
		s.Epochs = nil
		return s
	}
	h := historyFor(detectors.Needs{History: time.Hour})
	assert.Nil(t, h.pass(), "there is nothing to judge yet")

	h.add(at(1))
	h.add(without(2))
	_, ok := h.pass().For(detectors.Needs{IDs: true})
	assert.False(t, ok, "the newest snapshot has no IDs")
	pass, ok := h.pass().For(detectors.Needs{})
	assert.True(t, ok)
	assert.Len(t, pass.History, 1)

	h.add(at(3))
	pass, ok = h.pass().For(detectors.Needs{IDs: true})
	assert.True(t, ok)
	assert.Len(t, pass.History, 1)
	assert.True(t, pass.History[0].HasIDs())
	assert.False(t, pass.Known(&goroutine.Stack{}))
}
