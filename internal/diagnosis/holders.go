// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/words"
)

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

// sure reports whether all that a dump can show says that the goroutine holds the lock: it
// is past the line that takes it, in a call with its object. It may have unlocked since.
func (c *candidate) sure() bool { return c.score >= hasObject+pastLine }

// moved reports whether the goroutine has done something since others began to wait: the
// lock is held for long, or in turn, and not stuck.
func (c *candidate) moved(since time.Duration) bool {
	return c.Wait+time.Minute < since
}

// hold finds the goroutines that may hold the lock of q. The best evidence is a goroutine
// that is past the line at which others wait for the lock, in a call on the same object;
// then one that has the object among its arguments.
func (l *lockView) hold(q *queue) {
	var best []candidate
	for _, g := range l.near(q) {
		if g.ID == 0 { // of several, no single one can be named
			continue
		}
		c, ok := l.candidate(q, g)
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
	queue    *queue
	line     int
	reads    bool
	position int // of the object of the lock among the arguments of the call; -1 when unknown
}

// findSites finds the lines at which goroutines wait for locks, by function.
func (l *lockView) findSites() {
	l.sites = make(map[string][]lockSite)
	for _, q := range l.queues {
		for _, w := range q.waiters {
			f, s := w.site(), lockSite{q, w.site().Line, w.State == goroutine.RWMutexRLock, w.position()}
			if of := l.sites[f.Function]; len(of) < maxSites && !slices.Contains(of, s) {
				l.sites[f.Function] = append(of, s)
			}
		}
	}
}

// indexNear notes which goroutines have objects of locks among their arguments, and which
// are in functions that take locks.
func (l *lockView) indexNear() {
	l.with, l.within = make(map[uint64][]*parse.Detail), make(map[string][]*parse.Detail)
	for _, q := range l.queues {
		l.with[q.object], l.with[q.lock] = nil, nil
	}
	for i := range l.Goroutines {
		g := &l.Goroutines[i]
		for _, p := range g.Pointers {
			if all, ok := l.with[p.Value]; ok && (len(all) == 0 || all[len(all)-1] != g) {
				l.with[p.Value] = append(all, g)
			}
		}
		for _, f := range g.Stack.Frames {
			if all := l.within[f.Function]; l.sites[f.Function] != nil && (len(all) == 0 || all[len(all)-1] != g) {
				l.within[f.Function] = append(all, g)
			}
		}
	}
}

// near returns the goroutines that may hold the lock of q, in the order of the dump: those
// that wait for it, have its object, or are in a function that takes it.
func (l *lockView) near(q *queue) []*parse.Detail {
	may := make(map[*parse.Detail]bool)
	for _, w := range q.waiters {
		may[w.Detail] = true
		for _, g := range l.within[w.site().Function] {
			may[g] = true
		}
	}
	for _, g := range slices.Concat(l.with[q.object], l.with[q.lock]) {
		may[g] = true
	}
	var all []*parse.Detail
	for i := range l.Goroutines {
		if g := &l.Goroutines[i]; may[g] {
			all = append(all, g)
		}
	}
	return all
}

// maxSites is how many places of one function are known.
const maxSites = 256

// position returns where the object of the lock is among the arguments of the call that
// locks it, or -1.
func (w *waiter) position() int {
	for _, p := range w.Pointers {
		if p.Frame == w.call && w.queue.object != 0 && p.Value == w.queue.object {
			return p.Position
		}
	}
	return -1
}

// passed returns the last line that takes the lock of q, as others that wait there show, and
// that a goroutine in the same function is past; and what that is worth as evidence.
func (l *lockView) passed(q *queue, g *parse.Detail, i int) (last lockSite, score int) {
	f := g.Stack.Frames[i]
	for _, s := range l.sites[f.Function] {
		if n := s.tells(q, g, i); s.line < f.Line && n > 0 && (n > score || n == score && s.line >= last.line) {
			last, score = s, n
		}
	}
	return last, score
}

// tells returns what it is worth as evidence for the lock of q that a call is past s: the
// object of the lock that is taken there is the same argument in each call.
func (s *lockSite) tells(q *queue, g *parse.Detail, i int) int {
	object := uint64(0)
	if s.position >= 0 {
		object = pointer(g, i, s.position)
	}
	switch {
	case object != 0 && object == q.object:
		return pastLine + hasObject
	case object != 0 && q.object != 0, s.queue != q, q.contradicts(g, i):
		return 0
	case s.position < 0 && q.hasObject(g, i):
		return pastLine + hasObject
	}
	return pastLine
}

// candidate says how likely a goroutine holds the lock of q.
func (l *lockView) candidate(q *queue, g *parse.Detail) (c candidate, ok bool) {
	w := l.waiting[g.ID]
	own := w != nil && w.queue == q
	c = candidate{Detail: g, waits: w}
	for i := c.firstHeld(own); i < len(g.Stack.Frames); i++ {
		if !g.Stack.Frames[i].Standard() {
			l.weigh(&c, q, i, own)
		}
	}
	if c.score == hasObject && own && (w.Wait < q.wait() || !q.alone(g.Stack.Frames[c.frame].Function)) {
		return c, false // each of those that wait got there through such a call
	}
	return c, c.score > 0
}

// firstHeld returns the index of the innermost frame that may have taken the lock: not the
// one that waits for it, unless that may have taken it for reading before.
func (c *candidate) firstHeld(own bool) int {
	switch {
	case c.waits == nil:
		return 0
	case own && c.State != goroutine.RWMutexLock:
		return c.waits.call + 1
	}
	return c.waits.call
}

// weigh takes what a frame shows, if it is more than the frames before did. own says that
// the goroutine waits for the lock itself.
func (l *lockView) weigh(c *candidate, q *queue, i int, own bool) {
	f, site := c.Stack.Frames[i], q.waiters[0].site()
	at, score := l.passed(q, c.Detail, i)
	switch {
	case own && i == c.waits.call && at.reads:
		score = min(score, pastLine) // most release the read lock before they lock for writing
	case own && i == c.waits.call:
		score = 0
	case score > 0:
	case q.hasObject(c.Detail, i),
		own && method(f.Function) && words.Receiver(f.Function) == words.Receiver(site.Function) && !q.contradicts(c.Detail, i):
		score = hasObject
	}
	once := own && i > c.waits.call && q.once() && f == site && inOnce(c.Stack, i)
	if once {
		score = hasObject + pastLine
	}
	if score > c.score {
		c.score, c.frame, c.once = score, i, once
		c.past, c.reads = at.line, at.reads
	}
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

// unseenEnd returns the queue in which the goroutine at the end of a chain waits, if it
// waits there alone and no goroutine is seen to hold that lock; nil otherwise.
func unseenEnd(links []link) *queue {
	if len(links) == 0 {
		return nil
	}
	last := links[len(links)-1]
	if last.holder.waits == nil || len(last.queue.holders) > 1 {
		return nil
	}
	if q := last.holder.waits.queue; q != nil && q != last.queue && q.many == 0 && q.count() == 1 {
		return q
	}
	return nil
}

// ends returns the queues that are told with others, of which they are the end: the
// goroutine that stands in one may hold the lock of the other.
func (l *lockView) ends() map[*queue]bool {
	all := make(map[*queue]bool)
	for _, q := range l.queues {
		if end := unseenEnd(l.chain(q)); end != nil && q.wait() >= longHeld {
			all[end] = true
		}
	}
	return all
}
