package detectors

import (
	"math"
	"slices"

	"github.com/otelgoroutine/go/goroutine"
)

// A fate is what a dump says about a queue.
type fate int

const (
	unseen fate = iota // the dump is older than the queue, or does not show it
	alive              // a goroutine that is not stuck may hold the lock
	dead               // no goroutine can ever release it
)

// A lockDump is what the newest goroutine dump shows about the locks for which
// queues stand.
type lockDump struct {
	*goroutine.Snapshot
	queues  []lockQueue
	waiting map[uint64]int // index of the queue that a goroutine waits in
}

// A lockQueue is a queue of the dump.
type lockQueue struct {
	*goroutine.LockQueue
	holders []goroutine.LockHolder // those old enough
	older   uint64                 // see queue.older
	alive   bool
}

// newLockDump returns nil when there is no dump with locks.
func newLockDump(p *Pass, standing []*queue) *lockDump {
	s := p.Inspections[goroutine.SourceText]
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
	d.date(standing)
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
		return d.queues[h.Queue].alive
	case h.State.Never():
		return false
	case h.Many:
		return true
	case len(h.Wakers) > 0:
		return slices.ContainsFunc(h.Wakers, func(w goroutine.LockWaker) bool { return w.Queue < 0 || d.queues[w.Queue].alive })
	}
	// Only a goroutine can receive or be done. A timer's function may send.
	return h.State != goroutine.ChanSend && h.State != goroutine.WaitGroupWait
}

// holder returns the goroutine that most likely holds the lock of queue i: one that
// certainly does rather than one that may, one that waits in another queue rather
// than one that waits in this one, and none that certainly holds the lock of another
// queue. sole reports that no other goroutine may hold it.
func (d *lockDump) holder(i int) (h *goroutine.LockHolder, sole bool) {
	q := &d.queues[i]
	best := -1
	for k := range q.holders {
		if rank := d.rank(i, &q.holders[k]); rank > best {
			best, h = rank, &q.holders[k]
		}
	}
	return h, len(q.holders) == 1 && !q.Open || h != nil && h.Certain
}

func (d *lockDump) rank(i int, h *goroutine.LockHolder) (rank int) {
	if h.Certain {
		rank += 4
	} else if d.elsewhere(i, h.ID) {
		return -1
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
