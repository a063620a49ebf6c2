// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/words"
)

const (
	// lasting is for how many times MinWait a hang stands before hardly anything but a
	// fault is left.
	lasting = 5
	// beyondWork is for how many times MinWait no work of a pool takes: half an hour by
	// default, as for locks (see beyondPurpose).
	beyondWork = deadlockReach
)

// proven reports whether a hang is a fault although nothing is known of the time before:
// a whole pool of workers has left the place where it waits for work, waits to send on
// a channel, from which nothing receives, and requests wait behind it. A pool that
// waits for a slow dependency, for a lock that is held on purpose, for a time or for its
// turn does not send: each of these may take any time and be sound. What receives may
// be slow, too, so that takes one of two more:
//
//   - What received has ended (see receiver), and lasting times MinWait have passed.
//   - beyondWork times MinWait have passed.
//
// Time in which the process could not run does not count.
func (j *standJudge) proven(h *hang) bool {
	root := h.root
	if !root.pool || root.since == 0 || root.State != goroutine.ChanSend || j.requestsBehind(h) < j.MinWaiters {
		return false
	}
	return root.receiver != nil && j.Running(root.since, j.MinWait) >= lasting*j.MinWait ||
		j.Running(root.since, lasting*j.MinWait) >= beyondWork*j.MinWait
}

// requestsBehind returns how many requests have been waiting for the goroutines that got
// stuck first for MinWait, at least.
func (j *standJudge) requestsBehind(h *hang) (n int) {
	for _, st := range h.stands {
		switch {
		case st.behind > 0:
			n += st.behind
		case st.Key != h.root.Key && handles(st.Stack):
			n += st.Count(j.begin)
		}
	}
	return n
}

// A formerReceiver is what used to receive what a pool sends: goroutines that were there
// for long, and all ended when the pool stopped.
type formerReceiver struct {
	starter string
	count   int           // of the last snapshot with any of them
	lived   time.Duration // before that, at least
}

// receiverOf returns the receiver of a pool that waits to send, or nil when none is
// known to have ended. That is what was started for a method of the same type as the
// pool, and otherwise for a function of the same package that ended about when the pool
// stopped. A job that was received last may have taken its time, and a queue may have
// filled first.
func (j *standJudge) receiverOf(pool *stand) *formerReceiver {
	if !pool.pool || pool.State != goroutine.ChanSend {
		return nil
	}
	if of := receiver(pool.Starter()); of != "" {
		if r := j.ended(pool, filling, func(starter string) bool { return receiver(starter) == of }); r != nil {
			return r
		}
	}
	of := packageOf(pool.Starter())
	return j.ended(pool, 1, func(starter string) bool { return packageOf(starter) == of })
}

func packageOf(function string) string { return goroutine.Frame{Function: function}.Package() }

// ended returns the goroutines that were started for a function that is related to a
// pool and ended last before the pool stopped, within waits times MinWait. It returns nil
// when there are none. Goroutines that are started for single requests end as well when
// there are no more of these; that is why one must have been there for twice MinWait.
func (j *standJudge) ended(pool *stand, waits time.Duration, related func(starter string) bool) (found *formerReceiver) {
	earliest := max(0, j.At(j.Time(pool.since).Add(-waits*j.MinWait)))
	for i := min(pool.since, j.Last()-j.MinSnapshots); i >= earliest && found == nil; i-- {
		groups := j.Snapshots[i].Groups
		for k := range groups {
			starter := j.StarterOf(groups[k].Stack)
			if starter == pool.Starter() || !related(starter) || found != nil && found.starter <= starter || !j.endedAfter(starter, i) {
				continue
			}
			if lived := j.lived(starter, i); lived > 0 {
				found = &formerReceiver{starter: starter, count: j.StartedWith(starter, i), lived: lived}
			}
		}
	}
	return found
}

// endedAfter reports whether there have been no goroutines for a function since a
// snapshot with some. A snapshot may lack one, but not enough of them in a row.
func (j *standJudge) endedAfter(starter string, i int) bool {
	whole := 0
	for i++; i <= j.Last(); i++ {
		if j.StartedWith(starter, i) > 0 {
			return false
		}
		if j.Snapshots[i].Missing == 0 {
			whole++
		}
	}
	return whole >= j.MinSnapshots
}

// lived returns for how long one of the goroutines that a snapshot has for a function
// had been there: twice MinWait or a little more, or 0 if it was not there for that long.
func (j *standJudge) lived(starter string, last int) time.Duration {
	ids := j.idsOf(starter, last)
	first := j.At(j.Time(last).Add(-2 * j.MinWait))
	if first < 0 || !slices.ContainsFunc(j.idsOf(starter, first), func(id uint64) bool { return slices.Contains(ids, id) }) {
		return 0
	}
	return j.Time(last).Sub(j.Time(first))
}

// idsOf returns the lowest IDs of the goroutines that a snapshot has for a function.
func (j *standJudge) idsOf(starter string, i int) (ids []uint64) {
	groups := j.Snapshots[i].Groups
	for k := range groups {
		if j.StarterOf(groups[k].Stack) == starter && !serves(groups[k].Stack) {
			ids = append(ids, groups[k].IDs...)
		}
	}
	return ids
}

// noteReceiver notes what has ended.
func (f *Finding) noteReceiver(r *formerReceiver) {
	if r == nil {
		return
	}
	f.note("%s started with %s, which had been there for at least %s, ended at about the time at which they stopped, and %s not been replaced.",
		plural(r.count, "goroutine"), r.starter, words.Span(r.lived), verb(r.count, "has", "have"))
}
