// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"math"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// A fate is what a dump or a trace says about a queue.
type fate int

const (
	unseen fate = iota // it is older than the queue, or does not show it
	alive              // a goroutine that is not stuck may hold the lock
	dead               // no goroutine can ever release it
)

// A lockDump is what the newest goroutine dump, or the newest trace with locks, shows
// about the locks for which queues stand.
type lockDump struct {
	*goroutine.Snapshot
	queues  []lockQueue
	waiting map[uint64]int // index of the queue that a goroutine waits in

	// stood has the places of a trace where the same goroutines, and no others, have
	// waited for some time, and their number. It is nil for a dump, and where no holder
	// is ruled out by its age.
	stood map[goroutine.GroupKey]int
}

// A lockQueue is a queue of the dump.
type lockQueue struct {
	*goroutine.LockQueue
	holders []goroutine.LockHolder // those old enough
	older   uint64                 // see queue.older
	alive   bool
}

// lockDumpOf returns the dump or the trace that tells more about queues; nil if there
// is none. A dump has addresses, so that its sentences are better. A trace is read
// without ages first: if no goroutine in it may go on, it does not matter which came
// when, and goroutines that come later change nothing.
func (c DeadlockConfig) lockDumpOf(p *Pass, settled []*queue) *lockDump {
	best := c.newLockDump(p, goroutine.SourceText, settled)
	for _, ages := range [][]*queue{nil, settled} {
		if traced := c.newLockDump(p, goroutine.SourceLocks, ages); traced.tells(settled) > best.tells(settled) {
			best = traced
		}
	}
	return best
}

// tells returns the most that d says about a queue.
func (d *lockDump) tells(settled []*queue) (most fate) {
	if d == nil {
		return unseen
	}
	for _, q := range settled {
		most = max(most, d.fate(q))
	}
	return most
}

// newLockDump returns nil when there are no locks from a source. Without queues, the
// ages of goroutines are left out of account.
func (c DeadlockConfig) newLockDump(p *Pass, source goroutine.Source, standing []*queue) *lockDump {
	s := p.Inspections[source]
	if s == nil || len(s.Locks) == 0 {
		return nil
	}
	d := &lockDump{Snapshot: s, queues: make([]lockQueue, len(s.Locks)), waiting: make(map[uint64]int)}
	for i := range s.Locks {
		d.queues[i] = lockQueue{LockQueue: &s.Locks[i], older: math.MaxUint64}
		for _, id := range s.Locks[i].Waiters {
			d.waiting[id] = i
		}
	}
	switch {
	case standing == nil:
	case d.sitesOnly():
		d.dateSites(standing, c.MinWait/firstDumpPart)
	default:
		d.date(standing)
	}
	for i := range d.queues {
		q := &d.queues[i]
		q.holders = slices.DeleteFunc(slices.Clone(q.Holders), func(h goroutine.LockHolder) bool { return h.ID > q.older })
	}
	d.settle()
	return d
}

// date finds out since when the queues of the dump stand. All queues for one lock
// stand since the oldest of them does.
func (d *lockDump) date(standing []*queue) {
	since := make(map[uint64]uint64) // by lock
	for _, q := range standing {
		for _, i := range d.of(q) {
			of := &d.queues[i]
			of.older = min(of.older, q.older())
			if known, ok := since[of.Lock]; of.Lock != 0 && (!ok || of.older < known) {
				since[of.Lock] = of.older
			}
		}
	}
	for i := range d.queues {
		if older, ok := since[d.queues[i].Lock]; ok {
			d.queues[i].older = older
		}
	}
}

// sitesOnly reports whether the queues of d are those of calls and not of locks. The
// goroutines in one may wait for several locks.
func (d *lockDump) sitesOnly() bool { return d.Source == goroutine.SourceLocks }

// dateSites finds out since when the queues of a trace stand, and which goroutines
// have waited in them since then. A goroutine that has only now come to a call at which
// others are stuck may wait for another lock, which is about to be released: it is not
// stuck. So goroutines count as stuck only at places that no goroutine has left or come
// to for some time, and holders must have been born before the last of these came.
func (d *lockDump) dateSites(standing []*queue, some time.Duration) {
	d.stood = make(map[goroutine.GroupKey]int)
	dated := make([]bool, len(d.queues))
	for _, q := range standing {
		older, same := q.complete(some)
		if n, known := d.stood[q.Key]; same && (!known || n > 0) {
			d.stood[q.Key] = n + q.Now()
		} else {
			d.stood[q.Key] = 0
		}
		for _, i := range d.of(q) {
			of := &d.queues[i]
			if !dated[i] || older > of.older {
				dated[i], of.older = true, older
			}
		}
	}
}

// stays reports whether a goroutine in queue i, and all others with its stack, have
// been there since the queue stands.
func (d *lockDump) stays(i int, id uint64) bool {
	if i < 0 || d.queues[i].alive {
		return false
	}
	if d.stood == nil {
		return true
	}
	g := groupOf(id, d.Snapshot)
	return g != nil && g.Count == d.stood[g.Key()]
}

// of returns the queues of the dump in which goroutines of q wait that have waited
// from the beginning. There are none if the dump is older.
func (d *lockDump) of(q *queue) (all []int) {
	if d == nil || d.Time.Before(q.began()) {
		return nil
	}
	ids, _ := q.IDs(q.since)
	for _, id := range ids {
		if i, ok := d.waiting[id]; ok && !slices.Contains(all, i) {
			all = append(all, i)
		}
	}
	return all
}

func (d *lockDump) fate(q *queue) fate {
	state := unseen
	for _, i := range d.of(q) {
		if !d.queues[i].alive {
			return dead
		}
		state = alive
	}
	return state
}

// settle finds out which queues are alive. A queue is alive if a goroutine that is
// not stuck may hold its lock. What remains is stuck for good: each holder waits for
// others that remain.
func (d *lockDump) settle() {
	for changed := true; changed; {
		changed = false
		for i := range d.queues {
			q := &d.queues[i]
			if !q.alive && (q.Open || slices.ContainsFunc(q.holders, d.goesOn)) {
				q.alive, changed = true, true
			}
		}
	}
}

// goesOn reports whether a holder may go on and release the lock.
func (d *lockDump) goesOn(h goroutine.LockHolder) bool {
	switch {
	case h.Queue >= 0:
		return !d.stays(h.Queue, h.ID)
	case h.State.Never():
		return false
	case h.Many:
		return true
	case len(h.Wakers) > 0:
		return slices.ContainsFunc(h.Wakers, func(w goroutine.LockWaker) bool { return !d.stays(w.Queue, w.ID) })
	}
	// Only a goroutine can receive or be done. A timer's function may send.
	return h.State != goroutine.ChanSend && h.State != goroutine.WaitGroupWait
}

// holder returns the goroutine that most likely holds the lock of queue i: one that
// certainly does rather than one that may, one that waits in another queue rather
// than one that waits in this one, and rather none that certainly holds the lock of
// another queue. sole reports that no other goroutine may hold it.
func (d *lockDump) holder(i int) (h *goroutine.LockHolder, sole bool) {
	q := &d.queues[i]
	best := -1
	for k := range q.holders {
		if rank := d.rank(i, &q.holders[k]); rank > best {
			best, h = rank, &q.holders[k]
		}
	}
	if d.sitesOnly() && h != nil && h.Locked == (goroutine.Frame{}) {
		return h, false // nothing shows that it has acquired any lock
	}
	return h, len(q.holders) == 1 && !q.Open || h != nil && h.Certain
}

func (d *lockDump) rank(i int, h *goroutine.LockHolder) (rank int) {
	switch {
	case h.Certain:
		rank += 8
	case !d.elsewhere(i, h.ID): // or else it holds both
		rank += 4
	}
	if h.Queue != i {
		rank += 2
	}
	if h.Locked != (goroutine.Frame{}) {
		rank++
	}
	return rank
}

// elsewhere reports whether a goroutine certainly holds the lock of another queue.
func (d *lockDump) elsewhere(i int, id uint64) bool {
	for k := range d.queues {
		if k != i && d.queues[k].Lock != d.queues[i].Lock && slices.ContainsFunc(d.queues[k].holders, func(h goroutine.LockHolder) bool { return h.ID == id && h.Certain }) {
			return true
		}
	}
	return false
}

// A hold is one step from a queue to what holds it up.
type hold struct {
	queue  int
	holder *goroutine.LockHolder // nil: no goroutine holds the lock
	sole   bool
}

// among returns all goroutines that may hold the locks of queues: first each with the
// lock that it most likely holds.
func (d *lockDump) among(holds []hold) (all []hold) {
	for _, of := range holds {
		if of.holder != nil && len(all) < MaxParticipants && !slices.ContainsFunc(all, func(o hold) bool { return o.holder.ID == of.holder.ID }) {
			all = append(all, hold{queue: of.queue, holder: of.holder})
		}
	}
	for _, of := range holds {
		for k := range d.queues[of.queue].holders {
			h := &d.queues[of.queue].holders[k]
			if len(all) < MaxParticipants && !slices.ContainsFunc(all, func(o hold) bool { return o.holder.ID == h.ID }) {
				all = append(all, hold{queue: of.queue, holder: h})
			}
		}
	}
	return all
}

// chain follows a queue to its holder, from there to the queue in which the holder
// waits, and so on. cycle is the index of the hold to which the last one leads back,
// or -1.
func (d *lockDump) chain(i int) (holds []hold, cycle int) {
	for {
		if at := slices.IndexFunc(holds, func(h hold) bool { return h.queue == i }); at >= 0 {
			return holds, at
		}
		h, sole := d.holder(i)
		holds = append(holds, hold{queue: i, holder: h, sole: sole})
		if h == nil || h.Queue < 0 {
			return holds, -1
		}
		i = h.Queue
	}
}
