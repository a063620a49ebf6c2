package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
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

// A candidate is a goroutine that may hold a lock.
type candidate struct {
	*parse.Detail
	frame int // index of the frame that shows it
	score int
	past  int // line of the call that locks, which it has passed; 0 when unknown
	reads bool
	once  bool    // it runs the function of a sync.Once
	waits *waiter // for a lock itself; nil if not
}

// locks returns the findings about locks.
func (d *dump) locks() (all []detectors.Finding) {
	l := &lockView{dump: d, waiting: make(map[uint64]*waiter)}
	l.collect()
	for _, q := range l.queues {
		l.hold(q)
	}
	told := make(map[string]int) // index of the finding, by the goroutines of its cycle
	for _, q := range l.queues {
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
		l.waiting[g.ID] = w
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
	t := receiverType(a.site().Function)
	return t != "" && t == receiverType(b.site().Function) && rwLock(b)
}

// rwLock reports whether the lock of a waiter may be an RWMutex.
func rwLock(w *waiter) bool {
	return w.State != goroutine.MutexLock || w.Stack.Has("sync.(*RWMutex).Lock")
}

// receiverType returns the part of a method's name up to its receiver's type, or "".
func receiverType(function string) string {
	i := strings.Index(function, ".(*")
	if i < 0 {
		return ""
	}
	end := strings.IndexByte(function[i:], ')')
	if end < 0 {
		return ""
	}
	return function[:i+end+1]
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
		n += 1 + w.More
	}
	return n
}

// wait returns the longest wait.
func (q *queue) wait() time.Duration { return q.waiters[0].Wait }

// hold finds the goroutines that may hold the lock of q. The best evidence is a goroutine
// that is past the line at which others wait for the lock, in a call on the same object;
// then one that has the object among its arguments.
func (l *lockView) hold(q *queue) {
	sites := q.sites()
	var best []candidate
	for i := range l.Goroutines {
		c, ok := l.candidate(q, sites, &l.Goroutines[i])
		switch {
		case !ok, len(best) > 0 && c.score < best[0].score:
		case len(best) > 0 && c.score == best[0].score:
			best = append(best, c)
		default:
			best = []candidate{c}
		}
	}
	if others := slices.DeleteFunc(slices.Clone(best), func(c candidate) bool { return c.waits != nil && c.waits.queue == q }); len(others) > 0 && best[0].score < pastLine {
		best = others // the object among one's arguments shows little about a goroutine in the queue
	}
	q.many = len(best)
	if len(best) <= maxCandidates {
		q.holders = best
	}
}

const (
	hasObject = 1
	pastLine  = 2
)

// A lockSite is a line at which goroutines wait for a lock.
type lockSite struct {
	line  int
	reads bool
}

// sites returns the lines at which goroutines of q wait, by function.
func (q *queue) sites() map[string][]lockSite {
	all := make(map[string][]lockSite)
	for _, w := range q.waiters {
		f, s := w.site(), lockSite{w.site().Line, w.State == goroutine.RWMutexRLock}
		if !slices.Contains(all[f.Function], s) {
			all[f.Function] = append(all[f.Function], s)
		}
	}
	return all
}

// candidate says how likely a goroutine holds the lock of q.
func (l *lockView) candidate(q *queue, sites map[string][]lockSite, g *parse.Detail) (c candidate, ok bool) {
	w := l.waiting[g.ID]
	first := 0
	if w != nil {
		first = w.call
		if w.queue == q && w.State != goroutine.RWMutexLock { // which may have read before
			first++
		}
	}
	c = candidate{Detail: g, waits: w}
	site := q.waiters[0].site()
	for i := first; i < len(g.Stack.Frames); i++ {
		f := g.Stack.Frames[i]
		if f.Standard() {
			continue
		}
		score := 0
		if q.hasObject(g, i) {
			score = hasObject
		}
		at, past := passed(sites[f.Function], f.Line)
		if own := w != nil && w.queue == q; own && i == w.call {
			past, score = past && at.reads, 0
		} else if own && score == 0 && receiverType(f.Function) == receiverType(site.Function) && method(f.Function) && !q.contradicts(g, i) {
			score = hasObject
		}
		if past && !q.contradicts(g, i) {
			score += pastLine
		}
		if i > first && q.once() && f == site && inOnce(g.Stack, i) {
			score, c.once = hasObject+pastLine, true
		}
		if score > c.score {
			c.score, c.frame = score, i
			c.past, c.reads = at.line, past && at.reads
		}
	}
	if c.score == hasObject && w != nil && w.queue == q && (w.Wait < q.wait() || !q.alone(g.Stack.Frames[c.frame].Function)) {
		return c, false // each of those that wait got there through such a call
	}
	return c, c.score > 0
}

// once reports whether the lock is that of a sync.Once.
func (q *queue) once() bool { return inOnce(q.waiters[0].Stack, q.waiters[0].call) }

// inOnce reports whether the call at an index is that of a sync.Once's Do.
func inOnce(s *goroutine.Stack, i int) bool {
	return i > 0 && strings.HasPrefix(s.Frames[i-1].Function, "sync.(*Once).")
}

// alone reports whether only one goroutine of q got there through a function.
func (q *queue) alone(function string) bool {
	n := 0
	for _, w := range q.waiters {
		if w.Stack.Has(function) {
			n++
		}
	}
	return n == 1
}

// passed returns the last line of those at which goroutines wait that a goroutine at a
// line of the same function has passed.
func passed(sites []lockSite, line int) (last lockSite, ok bool) {
	for _, s := range sites {
		if s.line < line && s.line >= last.line {
			last, ok = s, true
		}
	}
	return last, ok
}

// hasObject reports whether a call has the object of the lock, or the lock, among its
// arguments.
func (q *queue) hasObject(g *parse.Detail, frame int) bool {
	return slices.ContainsFunc(g.Pointers, func(p parse.Pointer) bool {
		return p.Frame == frame && (q.object != 0 && p.Value == q.object || q.lock != 0 && p.Value == q.lock)
	})
}

// contradicts reports whether a call is on another object.
func (q *queue) contradicts(g *parse.Detail, frame int) bool {
	p := pointer(g, frame, 0)
	return method(g.Stack.Frames[frame].Function) && q.object != 0 && p != 0 && p != q.object
}

// core returns the goroutines of a deadlock behind q, by ID: those that, over the locks
// that they wait for and the goroutines that may hold these, wait for themselves. It
// returns nil if any goroutine that may hold one of these locks does not wait for a lock,
// or if none is known.
func (l *lockView) core(q *queue) (ids []uint64) {
	reached := make(map[uint64]bool)
	if !l.reach(q, reached) {
		return nil
	}
	for id := range reached {
		own := make(map[uint64]bool)
		if l.reach(l.waiting[id].queue, own); own[id] {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// reach adds the goroutines that may hold the lock of q, and so on. It reports whether
// all of them wait for locks.
func (l *lockView) reach(q *queue, reached map[uint64]bool) (closed bool) {
	if q == nil || len(q.holders) == 0 {
		return false
	}
	closed = true
	for _, h := range q.holders {
		switch {
		case reached[h.ID]:
		case h.waits == nil:
			closed = false
		default:
			reached[h.ID] = true
			closed = l.reach(h.waits.queue, reached) && closed
		}
	}
	return closed
}

// A link is a goroutine of a chain: it may hold the lock of a queue.
type link struct {
	queue  *queue
	holder candidate
}

// chain follows a queue to its holder, from there to the queue in which that one waits,
// and so on, as long as there is only one.
func (l *lockView) chain(q *queue) (links []link) {
	for len(links) < maxChain && q != nil && len(q.holders) > 0 {
		if slices.ContainsFunc(links, func(k link) bool { return k.queue == q }) {
			break
		}
		for _, h := range q.holders {
			links = append(links, link{q, h})
		}
		last := links[len(links)-1].holder
		if len(q.holders) > 1 || last.waits == nil {
			break
		}
		q = last.waits.queue
	}
	return links
}

// finding returns what is to be said about a queue.
func (l *lockView) finding(q *queue, core []uint64) (f detectors.Finding, ok bool) {
	if len(core) == 0 && q.wait() < longHeld {
		return f, false
	}
	w := q.waiters[0]
	f = detectors.Finding{
		Detector: nameLock, Confidence: detectors.Medium, Stack: w.Stack, State: w.State, Age: q.wait(), CreatedBy: w.CreatedBy, Advice: adviceLock,
	}
	if len(core) > 0 {
		l.tellCycle(&f, core)
	} else {
		links := l.chain(q)
		for _, k := range links {
			f.Age = max(f.Age, k.queue.wait())
		}
		l.tellChain(&f, q, links)
	}
	l.also(&f, q)
	l.tellFirst(&f, q)
	f.Confidence = confidence(f.Age, len(core) > 0)
	if len(core) > 0 && l.asleep() {
		f.Confidence = detectors.High
	}
	if w.Elided != 0 || l.Missing > 0 {
		f.Confidence = min(f.Confidence, detectors.Suspected)
	}
	return f, true
}

// confidence of a lock that is not released follows from the time. In a cycle a minute is
// enough.
func confidence(age time.Duration, cycle bool) detectors.Confidence {
	switch {
	case age >= beyondPurpose:
		return detectors.High
	case age >= stuck, cycle && age >= longHeld:
		return detectors.Suspected
	}
	return detectors.Medium
}
