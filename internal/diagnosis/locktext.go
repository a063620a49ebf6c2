// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/words"
)

// sureOf reports whether each of the goroutines of a cycle is sure to have been given a
// lock that another one waits for, and no other goroutine may hold that. One that waits for
// itself has not unlocked before if it waits for long, and no other goroutine for longer.
func (l *lockView) sureOf(core []uint64) bool {
	for _, id := range core {
		w := l.waiting[id]
		if len(w.queue.holders) != 1 || !w.queue.holders[0].sure() || len(core) == 1 && (w.Wait < longHeld || w.Wait < w.queue.wait()) {
			return false
		}
	}
	return true
}

// tellCycle describes goroutines each of which waits for another of them.
func (l *lockView) tellCycle(f *detectors.Finding, core []uint64) {
	first := l.waiting[core[0]]
	h := l.holding(first.ID, core)
	begin, has := "Possible deadlock", "may have"
	switch {
	case l.asleep():
		begin, has = "Deadlock", "has"
	case l.sureOf(core):
		begin, has = "Deadlock", "most likely has"
	}
	if len(core) == 1 {
		l.tellSelf(f, h, begin, has)
	} else {
		l.tellOrder(f, core, begin, has)
	}
	f.Stack, f.State, f.CreatedBy, f.Age = first.Stack, first.State, first.CreatedBy, 0
	f.Count = len(core)
	for _, id := range core {
		w := l.waiting[id]
		f.Age = max(f.Age, w.Wait)
		f.IDs = goroutine.LowestIDs(f.IDs, id)
		l.participant(f, link{w.queue, l.holding(id, core)}, detectors.RoleCause)
	}
}

// tellOrder describes several goroutines that wait for each other.
func (l *lockView) tellOrder(f *detectors.Finding, core []uint64, begin, has string) {
	f.Message = fmt.Sprintf("%s by lock order between goroutines %s: each %s a lock that another of them waits for, %s.", begin, joined(core), has, l.at(core))
	f.Advice = "Acquire these locks in the same order everywhere, or hold only one at a time."
	queues := make(map[*queue]bool)
	several := false
	for _, id := range core {
		q := l.waiting[id].queue
		queues[q] = true
		several = several || len(q.holders) > 1
	}
	switch {
	case len(queues) == 1:
		f.Message = fmt.Sprintf("%s between goroutines %s: each waits for a lock that one of them %s, %s.", begin, joined(core), has, l.at(core))
	case several:
		f.Message = fmt.Sprintf("%s by lock order among goroutines %s: some of them %s locks that others of them wait for, %s.", begin, joined(core), strings.Replace(has, "has", "have", 1), l.at(core))
	}
}

// tellSelf describes a goroutine that waits for what it holds itself.
func (l *lockView) tellSelf(f *detectors.Finding, h candidate, begin, has string) {
	at := frameAt(h.waits.site())
	switch {
	case h.reads && h.State != goroutine.RWMutexRLock:
		f.Message = fmt.Sprintf("%s: goroutine %d wants the write lock at %s while it %s the read lock, taken in %s.", begin, h.ID, at, has, h.in())
		f.Advice = "Release the read lock before locking for writing, and check again under the write lock."
	case h.reads:
		f.Message = fmt.Sprintf("%s by a recursive read lock: goroutine %d wants the read lock at %s, which it %s already, from %s, and a writer waits in between.", begin, h.ID, at, has, h.in())
		f.Advice = "Do not call RLock while holding it: read first what the inner call needs, or use a function that expects the lock to be held."
	case h.once:
		f.Message = fmt.Sprintf("%s: the function of a sync.Once in goroutine %d calls Do at %s again, most likely of the same Once.", begin, h.ID, at)
		f.Advice = "The function that Do calls must not come back to the same Once, also several calls down."
	default:
		f.Message = fmt.Sprintf("%s: goroutine %d locks at %s what it %s locked already, in %s.", begin, h.ID, at, has, h.in())
		f.Advice = "Split the function into one that locks and one that expects the lock to be held, or unlock before the call."
	}
}

// at says where the goroutines of a cycle wait.
func (l *lockView) at(core []uint64) string {
	var places []string
	for _, id := range core {
		if at := frameAt(l.waiting[id].site()); !slices.Contains(places, at) {
			places = append(places, at)
		}
	}
	if more := len(places) - 3; more > 0 {
		places = append(places[:3], fmt.Sprintf("%d more places", more))
	}
	return "at " + strings.Join(places, " and ")
}

// holding returns a goroutine as a candidate for a lock that one of the core waits for.
func (l *lockView) holding(id uint64, core []uint64) candidate {
	for _, other := range core {
		for _, h := range l.waiting[other].queue.holders {
			if h.ID == id {
				return h
			}
		}
	}
	return candidate{Detail: l.waiting[id].Detail, waits: l.waiting[id]}
}

// tellChain describes a queue whose holder waits for something else, or is not known.
func (l *lockView) tellChain(f *detectors.Finding, q *queue, links []link) {
	n := q.count()
	begin := fmt.Sprintf("%s %s for a lock at %s%s", goroutines(n), words.Verb(n, "waits", "wait"), frameAt(q.waiters[0].site()), longest(n, q.wait()))
	if n > 1 && q.identity() == 0 {
		note(f, "The dump has no address of this lock: these may be several locks that are taken at the same line.")
	}
	if len(links) == 0 {
		l.tellUnseen(f, q, begin)
		return
	}
	last := links[len(links)-1].holder
	holds := "may hold it"
	if last.sure() {
		holds = "most likely holds it"
	}
	f.Message = fmt.Sprintf("%s; goroutine %d %s%s.", begin, last.ID, holds, doing(last))
	switch {
	case len(q.holders) > 1:
		f.Message = fmt.Sprintf("%s; one of goroutines %s may hold it.", begin, joined(holderIDs(q)))
	case len(links) > 1:
		f.Message = fmt.Sprintf("%s; behind it, through %s, is goroutine %d%s.", begin, goroutines(len(links)-1), last.ID, doing(last))
	}
	l.tellHolder(f, last, q)
	if unseenEnd(links) != nil {
		note(f, "No goroutine is seen to hold the lock that goroutine %d waits for. A goroutine that waits for the first lock may, if it acquires the locks in another order; or it was not unlocked.", last.ID)
		f.Advice = "Find out whether these locks are acquired in different orders, and whether a path returns or panics without unlocking the second one; use defer."
	}
	for _, k := range links {
		l.participant(f, k, detectors.RoleHolder)
	}
}

// tellHolder says what follows from what a goroutine does that may hold a lock.
func (l *lockView) tellHolder(f *detectors.Finding, h candidate, q *queue) {
	if h.moved(q.wait()) {
		note(f, "Goroutine %d has moved on since others began to wait: if it holds the lock, it does so for long, or has got it in turn.", h.ID)
		return
	}
	switch h.State {
	case goroutine.ChanSend, goroutine.ChanReceive, goroutine.Select, goroutine.WaitGroupWait, goroutine.CondWait:
		note(f, "If what should %s needs the same lock, as the goroutines here do, this never ends.", whatWakes(h.State))
		f.Advice = "Do not wait for other goroutines while holding a lock that they need: unlock before the wait."
	case goroutine.IOWait, goroutine.Syscall:
		f.Advice = "Set a deadline on I/O under a lock, or do the I/O without it."
	}
}

// tellUnseen describes a queue of which no goroutine is seen to hold the lock.
func (l *lockView) tellUnseen(f *detectors.Finding, q *queue, begin string) {
	if q.many > 0 {
		f.Message = fmt.Sprintf("%s; %d goroutines use the same object, and any of them may hold it.", begin, q.many)
		return
	}
	f.Message = begin + "; no goroutine in the dump is seen to hold it" + l.unseen()
	note(f, "No other goroutine is past a line at which these take the lock, and none has its object among the arguments that the dump shows for certain. One that took it in another function would not show.")
	f.Advice = "Find the path that returns or panics between Lock and Unlock; use defer."
}

// unseen says what it means that no goroutine is seen to hold a lock.
func (l *lockView) unseen() string {
	switch {
	case l.Missing > 0:
		return fmt.Sprintf("; %s could not be read, and may.", goroutines(l.Missing))
	case l.hidden > 0:
		return fmt.Sprintf("; %s whose stack is not whole in the dump may.", goroutines(l.hidden))
	case l.partial:
		return ", but the dump is not whole (goroutine 1 is not in it), so that the holder may be missing."
	}
	return ": most likely it was not unlocked."
}

func holderIDs(q *queue) (ids []uint64) {
	for _, h := range q.holders {
		ids = append(ids, h.ID)
	}
	return ids
}

// doing says what a goroutine that may hold a lock does.
func doing(h candidate) string {
	if h.State.Lock() {
		return fmt.Sprintf(", and waits for a lock at %s itself", where(h.Stack))
	}
	return fmt.Sprintf(", and is in %s at %s%s", h.State, where(h.Stack), waited(h.Wait))
}

// in names the call that shows that a goroutine has a lock.
func (c candidate) in() string { return frameAt(c.Stack.Frames[c.frame]) }

// participant adds a holder, with what shows that it is one.
func (l *lockView) participant(f *detectors.Finding, k link, role detectors.Role) {
	if len(f.Participants) == detectors.MaxParticipants {
		return
	}
	h := k.holder
	why := "has the object of the lock, in " + h.in()
	switch {
	case h.once:
		why = "runs the function of the sync.Once"
	case h.past > 0:
		why = fmt.Sprintf("is past line %d, which takes the lock, in %s", h.past, h.in())
	}
	f.Participants = append(f.Participants, detectors.Participant{
		Role: role, Stack: h.Stack, State: h.State, Count: 1, IDs: []uint64{h.ID}, CreatedBy: h.CreatedBy, Note: fmt.Sprintf("goroutine %d %s", h.ID, why),
	})
}

// also adds the goroutines that wait in a queue.
func (l *lockView) also(f *detectors.Finding, q *queue) {
	for _, w := range q.waiters {
		if slices.Contains(f.IDs, w.ID) {
			continue
		}
		f.Count += w.Count()
		if w.ID != 0 && (len(f.Participants) == 0 || len(f.IDs) < goroutine.MaxIDs) {
			f.IDs = goroutine.LowestIDs(f.IDs, w.ID)
		}
	}
	l.waitersAt(f, q)
}

// tellFirst says which goroutine was the first to wait.
func (l *lockView) tellFirst(f *detectors.Finding, q *queue) {
	first := q.waiters[0]
	l.noteStood(f, keyOf(first.Detail))
	n := q.longest()
	switch {
	case first.Wait == 0:
	case first.ID == 0:
		note(f, "The longest wait is %s.", words.Span(first.Wait))
	case n > 1:
		note(f, "The longest wait is %s, that of %s, one of them goroutine %d.", words.Span(first.Wait), goroutines(n), first.ID)
	default:
		note(f, "Goroutine %d was the first to wait: for %s, at %s.", first.ID, words.Span(first.Wait), frameAt(first.site()))
	}
}

// longest returns how many goroutines have the longest wait. The runtime shows minutes.
func (q *queue) longest() (n int) {
	for _, w := range q.waiters {
		switch {
		case w.Wait < q.wait():
			return n
		case w.ID == 0:
			n += w.Count()
		default:
			n++
		}
	}
	return n
}

// waitersAt adds the places at which goroutines of a queue wait, but for causes.
func (l *lockView) waitersAt(f *detectors.Finding, q *queue) {
	type place struct {
		stack *goroutine.Stack
		state goroutine.State
	}
	var order []place
	at := make(map[place]*detectors.Participant)
	for _, w := range q.waiters {
		if slices.ContainsFunc(f.Participants, func(p detectors.Participant) bool { return slices.Contains(p.IDs, w.ID) }) {
			continue
		}
		k := place{w.Stack, w.State}
		p := at[k]
		if p == nil {
			p = &detectors.Participant{Role: detectors.RoleWaiter, Stack: w.Stack, State: w.State, CreatedBy: w.CreatedBy}
			if w.Wait > 0 {
				p.Note = "for up to " + words.Span(w.Wait)
			}
			at[k], order = p, append(order, k)
		}
		p.Count += w.Count()
		if w.ID != 0 {
			p.IDs = goroutine.LowestIDs(p.IDs, w.ID)
		}
	}
	for _, k := range order {
		if len(f.Participants) == detectors.MaxParticipants {
			return
		}
		f.Participants = append(f.Participants, *at[k])
	}
}

// longest says how long the longest of n waits is.
func longest(n int, d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case n == 1:
		return waited(d)
	}
	return " for up to " + words.Span(d)
}

// joined formats IDs as in "1, 2 and 3".
func joined(ids []uint64) string {
	var b strings.Builder
	for i, id := range ids {
		switch {
		case i == 0:
		case i == len(ids)-1:
			b.WriteString(" and ")
		default:
			b.WriteString(", ")
		}
		fmt.Fprint(&b, id)
	}
	return b.String()
}
