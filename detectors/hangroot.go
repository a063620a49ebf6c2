// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// root returns the place whose goroutines got stuck first: one that stopped
// shortly before st, or st itself.
func (j *standJudge) root(st *stand) *stand {
	first := st
	if st.cause != nil {
		first = j.rooted(st.cause, st.cause.StoodSince())
	}
	if holders := j.holders(st); holders != nil {
		return holders
	}
	earliest := max(1, j.At(j.Time(st.since).Add(-filling*j.MinWait)))
	for _, pl := range j.Places(places.ByStack) {
		if pl.Key == st.Key || !pl.Stood(min(first.since+1, j.Last())) || pl.Stood(earliest-1) || !j.mayBeRoot(pl) {
			continue
		}
		since := pl.StoodSince()
		if other := j.rooted(pl, since); j.tells(other, st.since) && other.before(first) {
			first = other
		}
	}
	return j.blockedPool(first)
}

// holders returns what holds or does that for which st waits, where a library shows
// it: the place with the most goroutines that none has left since st began to stand.
// It is nil where none is known.
func (j *standJudge) holders(st *stand) *stand {
	r, _ := resourceAt(st.Stack, st.State)
	if r.holders == nil {
		return nil
	}
	for _, pl := range j.Places(places.ByStack) { // the largest first
		if pl.Key != st.Key && mayHang(pl.State) && r.holders(pl.Stack) && pl.Stood(min(st.since+1, j.begin)) {
			return j.rooted(pl, pl.StoodSince())
		}
	}
	return nil
}

// rooted returns goroutines that may be what got stuck first.
func (j *standJudge) rooted(pl *places.Place, since int) *stand {
	st := &stand{Place: pl, since: since, chance: 1}
	r, _ := resourceAt(pl.Stack, pl.State)
	st.nested = r.holders != nil && r.scarce && r.holders(pl.Stack)
	st.pool = pl.Now() > 1 && !handles(pl.Stack) && j.workersLeft(pl, since)
	return st
}

// tells reports whether it says something about others, which stand since a
// snapshot, that the goroutines of st stopped. Workers may have stopped earlier, when
// a queue had to fill first. A handler that stands where none used to does, and so do
// workers that left their usual place, or a goroutine that waits for a known resource
// or for the outside where it used not to. Idle workers, accept loops, timers and the
// goroutines that keep a connection stand all the time, or may begin to at any time.
func (j *standJudge) tells(st *stand, crowd int) bool {
	near := j.Time(crowd).Sub(j.Time(st.since)) <= j.MinWait
	if handles(st.Stack) {
		return near && !rested(st.Place, st.since)
	}
	if st.pool || st.nested || j.loopLeft(st.Place, st.since) || j.busyPool(st.Place, st.since) {
		return true
	}
	r, known := resourceAt(st.Stack, st.State)
	if !near || !known && st.State != goroutine.Syscall && st.State != goroutine.IOWait {
		return false
	}
	return (r.scarce || j.settled(st.since)) && st.Share(st.since) <= 0.5 && !rested(st.Place, st.since)
}

// settled reports whether enough was seen before a snapshot to know that goroutines
// at a new place are not part of a start-up.
func (j *standJudge) settled(since int) bool {
	return since >= j.MinSnapshots && j.Time(since).Sub(j.Time(0)) >= 2*j.MinWait
}

// blockedPool returns a pool of workers that all wait to send or for a resource,
// which no idle pool does. They may have stood there in every snapshot, when the
// pool was saturated before. So it explains only handlers that wait for others, and
// where nothing else does.
func (j *standJudge) blockedPool(st *stand) *stand {
	if !handles(st.Stack) || st.State.Lock() || st.State == goroutine.IOWait || st.State == goroutine.Syscall {
		return st
	}
	for _, pl := range j.Places(places.ByStack) {
		if pl.Now() < 2 || pl.Now() != j.StartedWith(pl.Starter(), j.Last()) || !pl.Stood(min(st.since, j.begin)) || !j.mayBeRoot(pl) || handles(pl.Stack) {
			continue
		}
		if r, _ := resourceAt(pl.Stack, pl.State); r.scarce && !pl.State.Lock() && j.old(pl, st.since) {
			return &stand{Place: pl, since: pl.StoodSince(), chance: 1, pool: true}
		}
	}
	return st
}

// busyPool reports whether a place is where a pool of workers is most of the time,
// and all of them stand there now. The pool is not idle there: before a snapshot,
// some of them left in nearly every step.
func (j *standJudge) busyPool(pl *places.Place, since int) bool {
	left, _ := pl.Moves(0, since-1)
	return pl.Now() > 1 && pl.Now() == j.StartedWith(pl.Starter(), j.Last()) && pl.Starter() != pl.Stack.User().Function &&
		since > minMoving && 5*left >= 4*(since-1)
}

// mayBeRoot reports whether what others wait for may be the goroutines at a place.
// The clients of a server that is in the same process wait for it, and not the
// other way round: there are as many of them as requests.
func (j *standJudge) mayBeRoot(pl *places.Place) bool {
	if !mayHang(pl.State) || accompanies(pl.Stack) || delegates(pl.Stack) || accepts(pl.Stack) || j.Known(pl.Stack) || serves(pl.Stack) && !handles(pl.Stack) {
		return false // idle connections among them
	}
	if r, _ := resourceAt(pl.Stack, pl.State); r.name != "HTTP response" || handles(pl.Stack) {
		return true
	}
	requests := 0
	for _, other := range j.Places(places.ByStack) {
		if handles(other.Stack) {
			if other.Now() == pl.Now() {
				return false
			}
			requests += other.Now()
		}
	}
	return requests != pl.Now()
}

// accepts matches goroutines that wait for the next connection of a client.
var accepts = has("internal/poll.(*FD).Accept")

// rested reports whether goroutines used to stay at a place before a snapshot: in
// more than half of the steps none left.
func rested(pl *places.Place, since int) bool {
	n := 0
	for i := range since - 1 {
		if pl.Count(i) > 0 && !pl.Left(i) {
			n++
		}
	}
	return 2*n > since
}

// before reports whether st stopped before other. Within one step between
// snapshots, what they wait for decides: goroutines that wait for others in the
// process come after those. Then the oldest goroutine decides: workers are older
// than their callers, and the first request that got stuck is older than the next.
func (st *stand) before(other *stand) bool {
	a, b := st.rank(), other.rank()
	if apart := st.since - other.since; apart < -1 || apart > 1 || a == b && apart != 0 {
		return apart < 0
	}
	if a != b {
		return a < b
	}
	return st.oldest() < other.oldest()
}

// rank returns how directly the goroutines of st depend on others in the process:
// -1 when they are a whole pool of workers, whatever these wait for, or wait for
// themselves; 0 when nothing is known; 1 when others hold what they wait for; 2 when
// others do what they wait for, to the end.
func (st *stand) rank() int {
	switch r, _ := resourceAt(st.Stack, st.State); {
	case st.pool, st.nested:
		return -1
	case st.State == goroutine.WaitGroupWait, r.inside && !r.scarce, r.name == "Prometheus collector":
		return 2
	case r.inside:
		return 1
	}
	return 0
}

func (st *stand) oldest() uint64 {
	ids, _ := st.IDs(st.Series.Last())
	if len(ids) == 0 {
		return ^uint64(0)
	}
	return ids[0]
}
