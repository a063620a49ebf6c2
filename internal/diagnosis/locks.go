// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/words"
)

const (
	// longHeld is a wait for a lock that is worth a finding; stuck one that no purpose
	// takes. The runtime shows whole minutes.
	longHeld = time.Minute
	stuck    = 10 * time.Minute
	// beyondPurpose is how long no lock is held on purpose.
	beyondPurpose = 30 * time.Minute
	// maxObject is how far into an object a lock is at most.
	maxObject = 4 << 10
	// maxQueues is how many queues are judged, and maxCandidates how many goroutines
	// may hold a lock before nothing is said about which.
	maxQueues, maxCandidates = 64, 8
	// maxChain is how many goroutines a chain of holders has at most.
	maxChain = 16
)

const adviceLock = "Find the path that returns or panics without unlocking, locks again, or waits for other goroutines while it holds the lock; use defer."

// A queue is the goroutines that wait for one lock. Where no address is known, it is
// those that wait at one line.
type queue struct {
	lock    uint64 // 0 when unknown
	object  uint64 // address of the object that the lock is part of; 0 when unknown
	waiters []*waiter
	holders []candidate // the best ones; nil when there are none or too many
	many    int         // number of the best ones
}

// A waiter is a goroutine that waits for a lock.
type waiter struct {
	*parse.Detail
	call  int // index of the frame that called a method of package sync
	queue *queue
}

// locks returns the findings about locks.
func (d *dump) locks() (all []detectors.Finding) {
	l := &lockView{dump: d, waiting: make(map[uint64]*waiter)}
	l.survey()
	l.collect()
	l.findSites()
	l.indexNear()
	for _, q := range l.queues {
		l.hold(q)
	}
	told := make(map[string]int) // index of the finding, by the goroutines of its cycle
	ends := l.ends()
	for _, q := range l.queues {
		if ends[q] {
			continue
		}
		core := l.core(q)
		key := fmt.Sprint(core)
		if i, ok := told[key]; ok && len(core) > 0 {
			l.also(&all[i], q)
			continue
		}
		f, ok := l.finding(q, core)
		if !ok || len(all) == maxFindings {
			continue
		}
		if told[key] = len(all); len(core) == 0 {
			delete(told, key)
		}
		all = append(all, f)
	}
	return all
}

// A lockView is what a dump shows of locks.
type lockView struct {
	*dump
	queues  []*queue
	waiting map[uint64]*waiter // by goroutine
	sites   map[string][]lockSite
	with    map[uint64][]*parse.Detail // goroutines by objects of locks among their arguments
	within  map[string][]*parse.Detail // and by functions that take locks
	hidden  int                        // goroutines whose stacks are not whole in the dump
	partial bool                       // the dump lacks goroutines: the main one is not in it
}

// survey finds out what the dump lacks.
func (l *lockView) survey() {
	l.partial = true
	for i := range l.Goroutines {
		g := &l.Goroutines[i]
		if !g.Whole() {
			l.hidden += g.Count()
		}
		if g.ID == 1 {
			l.partial = false
		}
	}
}

// collect finds the goroutines that wait for locks, and their queues: the longest wait
// first.
func (l *lockView) collect() {
	for i := range l.Goroutines {
		g := &l.Goroutines[i]
		if !g.State.Lock() || l.known(g.Stack) {
			continue
		}
		w := &waiter{Detail: g, call: caller(g.Stack)}
		if g.ID != 0 {
			l.waiting[g.ID] = w
		}
		l.enqueue(w)
	}
	l.unite()
	for _, q := range l.queues {
		q.locate()
		slices.SortStableFunc(q.waiters, func(a, b *waiter) int {
			return cmp.Or(cmp.Compare(b.Wait, a.Wait), cmp.Compare(rank(a.State), rank(b.State)), cmp.Compare(a.ID, b.ID))
		})
	}
	slices.SortStableFunc(l.queues, func(a, b *queue) int {
		return cmp.Or(cmp.Compare(b.wait(), a.wait()), cmp.Compare(len(b.waiters), len(a.waiters)))
	})
}

// rank sorts a writer before the readers that wait behind it.
func rank(s goroutine.State) int {
	if s == goroutine.RWMutexRLock {
		return 1
	}
	return 0
}

// caller returns the index of the innermost frame outside the runtime and package sync.
func caller(s *goroutine.Stack) int {
	for i, f := range s.Frames {
		switch p := f.Package(); {
		case inRuntime(f), p == "sync", p == "internal/sync":
		default:
			return i
		}
	}
	return max(0, len(s.Frames)-1)
}

func (w *waiter) site() goroutine.Frame {
	if len(w.Stack.Frames) == 0 {
		return goroutine.Frame{}
	}
	return w.Stack.Frames[w.call]
}

// pointer returns the certain address at a position of a call, or 0.
func pointer(g *parse.Detail, frame, position int) uint64 {
	for _, p := range g.Pointers {
		if p.Frame == frame && p.Position == position {
			return p.Value
		}
	}
	return 0
}

// offsets has, by function of package sync that waits, how far into the lock its first
// argument points.
var offsets = map[string]uint64{
	"internal/sync.(*Mutex).lockSlow":       0,
	"sync.(*Mutex).lockSlow":                0,
	"sync.(*Mutex).Lock":                    0,
	"sync.(*RWMutex).Lock":                  0,
	"sync.(*RWMutex).RLock":                 0,
	"internal/sync.runtime_SemacquireMutex": 4,
	"sync.runtime_SemacquireRWMutexR":       12,
	"sync.runtime_SemacquireRWMutex":        8,
}

// lockOf returns the address of the lock that a goroutine waits for, or 0. A lock in an
// RWMutex is at its beginning.
func lockOf(w *waiter) uint64 {
	if w.Lock != 0 {
		return w.Lock
	}
	for i, f := range w.Stack.Frames[:min(w.call, len(w.Stack.Frames))] {
		offset, ok := offsets[f.Function]
		if p := pointer(w.Detail, i, 0); ok && p > offset {
			return p - offset
		}
	}
	return 0
}

func (l *lockView) enqueue(w *waiter) {
	lock := lockOf(w)
	site := w.site()
	i := slices.IndexFunc(l.queues, func(q *queue) bool {
		if lock != 0 || q.lock != 0 {
			return lock == q.lock
		}
		return q.waiters[0].site() == site && q.waiters[0].receiver() == w.receiver()
	})
	switch {
	case i >= 0:
	case len(l.queues) == maxQueues:
		return
	default:
		i = len(l.queues)
		l.queues = append(l.queues, &queue{lock: lock})
	}
	w.queue = l.queues[i]
	w.queue.waiters = append(w.queue.waiters, w)
}

// receiver returns the address of the receiver of the method that locks, or 0.
func (w *waiter) receiver() uint64 {
	if len(w.Stack.Frames) == 0 || !method(w.site().Function) {
		return 0
	}
	return pointer(w.Detail, w.call, 0)
}

// unite joins a queue without an address to the only one with an address whose
// goroutines lock on the same receiver, or else, where there are no addresses, to the
// only one that locks in methods of the same type: readers and writers of an RWMutex.
func (l *lockView) unite() {
	for i := 0; i < len(l.queues); i++ {
		q := l.queues[i]
		if q.lock != 0 || q.waiters[0].State == goroutine.MutexLock {
			continue
		}
		if to := l.kin(q); to != nil {
			for _, w := range q.waiters {
				w.queue = to
			}
			to.waiters = append(to.waiters, q.waiters...)
			l.queues = slices.Delete(l.queues, i, i+1)
			i--
		}
	}
}

// kin returns another queue for the same lock as q, if it is clear which lock that is.
func (l *lockView) kin(q *queue) (first *queue) {
	for _, other := range l.queues {
		switch {
		case other == q || !q.akin(other):
		case first == nil:
			first = other
		case other.identity() != 0 && first.identity() == 0:
			first = other
		case other.identity() != 0 && other.identity() != first.identity():
			return nil
		}
	}
	return first
}

// identity returns what tells the lock of q from others.
func (q *queue) identity() uint64 { return cmp.Or(q.lock, q.waiters[0].receiver()) }

func (q *queue) akin(other *queue) bool {
	a, b := q.waiters[0], other.waiters[0]
	if ra, rb := a.receiver(), b.receiver(); ra != 0 && rb != 0 {
		return ra == rb
	}
	t := words.Receiver(a.site().Function)
	return t != "" && t == words.Receiver(b.site().Function) && rwLock(b)
}

// rwLock reports whether the lock of a waiter may be an RWMutex.
func rwLock(w *waiter) bool {
	return w.State != goroutine.MutexLock || w.Stack.Has("sync.(*RWMutex).Lock")
}

// locate finds the object that the lock is part of: the argument of those who wait that
// is nearest below it.
func (q *queue) locate() {
	if q.lock == 0 {
		q.object = q.waiters[0].receiver()
		return
	}
	for _, w := range q.waiters {
		for _, p := range w.Pointers {
			if p.Frame >= w.call && p.Value <= q.lock && q.lock-p.Value < maxObject {
				q.object = max(q.object, p.Value)
			}
		}
	}
}

// count returns the number of goroutines in q.
func (q *queue) count() (n int) {
	for _, w := range q.waiters {
		n += w.Count()
	}
	return n
}

// wait returns the longest wait.
func (q *queue) wait() time.Duration { return q.waiters[0].Wait }

// finding returns what is to be said about a queue.
func (l *lockView) finding(q *queue, core []uint64) (f detectors.Finding, ok bool) {
	if len(core) == 0 && q.wait() < longHeld {
		return f, false
	}
	w := q.waiters[0]
	f = detectors.Finding{
		Detector: nameLock, Confidence: detectors.Medium, Stack: w.Stack, State: w.State, Age: q.wait(), CreatedBy: w.CreatedBy, Advice: adviceLock,
	}
	links := []link(nil)
	if len(core) > 0 {
		l.tellCycle(&f, core)
	} else {
		links = l.chain(q)
		for _, k := range links {
			f.Age = max(f.Age, k.queue.wait())
		}
		l.tellChain(&f, q, links)
	}
	l.also(&f, q)
	l.tellFirst(&f, q)
	if len(core) > 0 {
		f.Confidence = l.ofCycle(f.Age, core)
	} else {
		f.Confidence = l.ofQueue(f.Age, q, links)
	}
	l.weaken(&f, q, core, links)
	return f, true
}

// ofCycle returns the confidence of a deadlock of goroutines that wait for each other. In a
// cycle a minute is enough. Without it, sound goroutines that just wait for their turn may
// stand so: one that has unlocked is past the same line.
func (l *lockView) ofCycle(age time.Duration, core []uint64) detectors.Confidence {
	sure := l.sureOf(core)
	switch {
	case l.asleep():
		return detectors.High
	case age >= beyondPurpose && sure:
		return detectors.High
	case age >= longHeld && sure, age >= stuck:
		return detectors.Suspected
	case age >= longHeld, len(core) > 1 && l.only(core):
		return detectors.Medium
	}
	return detectors.Info
}

// only reports whether for each lock that goroutines of a cycle wait for, one goroutine
// alone may hold it.
func (l *lockView) only(core []uint64) bool {
	return !slices.ContainsFunc(core, func(id uint64) bool { return len(l.waiting[id].queue.holders) != 1 })
}

// ofQueue returns the confidence of a lock that is not released, which follows from the
// time, unless the goroutine at the end of the chain has moved since.
func (l *lockView) ofQueue(age time.Duration, q *queue, links []link) detectors.Confidence {
	single := q.count() == 1
	var end link
	if len(links) > 0 {
		end = links[len(links)-1]
	}
	switch {
	case single && end.queue != nil && standby(end.holder, end.queue.wait()):
		return detectors.Info
	case slices.ContainsFunc(links, func(k link) bool { return k.queue == end.queue && k.holder.moved(k.queue.wait()) }):
		if slices.ContainsFunc(q.waiters, func(w *waiter) bool { return detectors.Explain(w.Stack, w.State).Request }) {
			return detectors.Medium
		}
		return detectors.Info // they may wait for their turn by design
	case age >= beyondPurpose && !single:
		return detectors.High
	case age >= stuck:
		return detectors.Suspected
	}
	return detectors.Medium
}

// standby reports whether one goroutine that waits for a lock may wait for its turn by
// design: the one that holds the lock works, or waits for work.
func standby(holder candidate, wait time.Duration) bool {
	switch s := holder.State; {
	case holder.waits != nil, s == goroutine.ChanSend, s == goroutine.WaitGroupWait, s.Never():
		return false
	case holder.sure():
		return true
	}
	return holder.moved(wait)
}

// weaken lowers a finding about goroutines whose stacks are not whole, or that misses some
// which may matter.
func (l *lockView) weaken(f *detectors.Finding, q *queue, core []uint64, links []link) {
	concerned := make(map[*parse.Detail]bool)
	for _, w := range q.waiters {
		concerned[w.Detail] = true
	}
	for _, k := range links {
		concerned[k.holder.Detail] = true
	}
	for _, id := range core {
		concerned[l.waiting[id].Detail] = true
		for _, w := range l.waiting[id].queue.waiters {
			concerned[w.Detail] = true
		}
	}
	parts := 0
	for g := range concerned {
		if !g.Whole() {
			parts += g.Count()
		}
	}
	if parts > 0 {
		note(f, "The %s of %s here %s not whole in the dump.", words.Verb(parts, "stack", "stacks"), goroutines(parts), words.Verb(parts, "is", "are"))
	}
	if parts > 0 || l.Missing > 0 || len(core)+len(links) == 0 && l.hidden > 0 {
		f.Confidence = min(f.Confidence, detectors.Suspected)
	}
}
