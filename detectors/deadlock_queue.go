// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"math"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// A queue is the goroutines that wait for locks at one place.
type queue struct {
	*places.Place
	since   int           // the snapshot since which no goroutine has left
	windows int           // trace windows since then in which no waiter was handed the lock
	chance  float64       // probability that the queue of a busy lock looks the same
	waited  time.Duration // minimum wait, from the snapshots or the runtime

	measured bool // the runtime has measured a wait of MinWait in a snapshot
}

func newQueue(pl *places.Place, first int) *queue {
	q := &queue{Place: pl, since: max(first, pl.StoodSince()), chance: 1}
	for i := pl.Series.Last() - 1; i >= q.since; i-- {
		q.chance /= float64(pl.Count(i) + 1)
	}
	q.waited = pl.Series.Ago(q.since)
	return q
}

// began returns the time of the snapshot since which no goroutine has left.
func (q *queue) began() time.Time { return q.Series.Time(q.since) }

// older returns the highest ID of goroutines that may hold the lock: those that were
// born when the queue had been seen once. Goroutines that were born later cannot
// have acquired it.
func (q *queue) older() uint64 {
	epochs := q.Series.Snapshots[min(q.since+1, q.Series.Last())].Epochs
	if len(epochs) == 0 {
		return math.MaxUint64
	}
	return epochs[len(epochs)-1].LastID
}

// complete returns the highest ID of goroutines that may hold what those in the queue
// wait for, and whether none has come to it for that time. Where some keep coming, it
// is that for the goroutines which waited at first.
func (q *queue) complete(some time.Duration) (older uint64, same bool) {
	last := q.Series.Last()
	since := last
	for since > q.since+1 && q.Count(since-1) == q.Now() {
		since--
	}
	if since == last || q.Series.Ago(since) < some {
		return q.older(), false
	}
	epochs := q.Series.Snapshots[since].Epochs
	if len(epochs) == 0 {
		return math.MaxUint64, false
	}
	return epochs[len(epochs)-1].LastID, true
}

// lowest returns the lowest ID of the goroutines that have waited from the beginning.
func (q *queue) lowest() uint64 {
	if ids, _ := q.IDs(q.since); len(ids) > 0 {
		return ids[0]
	}
	return math.MaxUint64
}

// served reports whether a trace window shows that a waiter was handed the lock
// since the queue seems to have stopped: the waiter took the lock and returned
// to the queue between two snapshots. If there is no such window yet, served
// asks for one.
func (q *queue) served(p *Pass) bool {
	waiting, _ := q.IDs(q.since)
	for _, w := range p.Windows {
		if w.Time.Before(q.Series.Time(q.since)) {
			continue
		}
		if slices.ContainsFunc(q.Woken(w.Fed), func(id uint64) bool { return slices.Contains(waiting, id) }) {
			return true
		}
		q.windows++
	}
	if q.windows == 0 {
		p.Ask(goroutine.SourceWindow)
	}
	return false
}

// waitError is the most by which the runtime underestimates a wait. It counts
// whole minutes from the first garbage collection after the goroutine blocked,
// and garbage is collected at least every two minutes.
const waitError = 3 * time.Minute

// cleared reports whether a goroutine dump shows that the queue moves: the
// runtime reports shorter waits than the snapshots suggest. A dump counts only
// if it shows waits that long elsewhere, because the runtime measures no waits
// without garbage collections.
func (q *queue) cleared() bool {
	for i := q.since; i <= q.Series.Last(); i++ {
		s := q.Series.Snapshots[i]
		if s.Source != goroutine.SourceText {
			continue
		}
		due := s.Time.Sub(q.Series.Time(q.since)) - waitError
		elsewhere := func(g goroutine.Group) bool { return g.Wait >= due }
		if q.LongestWait(i) < due && slices.ContainsFunc(s.Groups, elsewhere) {
			return true
		}
	}
	return false
}
