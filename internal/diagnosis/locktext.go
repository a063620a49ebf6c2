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

// tellCycle describes goroutines each of which waits for another of them.
func (l *lockView) tellCycle(f *detectors.Finding, core []uint64) {
	first := l.waiting[core[0]]
	h := l.holding(first.ID, core)
	switch {
	case len(core) > 1:
		f.Message = fmt.Sprintf("Deadlock by lock order between goroutines %s: each has a lock that another of them waits for, %s.", joined(core), l.at(core))
		f.Advice = "Acquire these locks in the same order everywhere, or hold only one at a time."
		if w := l.waiting[core[1]]; first.queue == w.queue {
			f.Message = fmt.Sprintf("Deadlock between goroutines %s: each waits for a lock that one of them has, %s.", joined(core), l.at(core))
		}
	case h.reads && h.State != goroutine.RWMutexRLock:
		f.Message = fmt.Sprintf("Deadlock: goroutine %d wants the write lock at %s while it has the read lock, taken in %s.", h.ID, frameAt(first.site()), h.in())
		f.Advice = "Release the read lock before locking for writing, and check again under the write lock."
	case h.reads:
		f.Message = fmt.Sprintf("Deadlock by a recursive read lock: goroutine %d wants the read lock at %s again, which it took in %s, and a writer waits in between.", h.ID, frameAt(first.site()), h.in())
		f.Advice = "Do not call RLock while holding it: read first what the inner call needs, or use a function that expects the lock to be held."
	case h.once:
		f.Message = fmt.Sprintf("Deadlock: the function of a sync.Once in goroutine %d calls Do of the same Once again, at %s.", h.ID, frameAt(first.site()))
		f.Advice = "The function that Do calls must not come back to the same Once, also several calls down."
	default:
		f.Message = fmt.Sprintf("Deadlock: goroutine %d locks at %s what it has locked already, in %s.", h.ID, frameAt(first.site()), h.in())
		f.Advice = "Split the function into one that locks and one that expects the lock to be held, or unlock before the call."
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
	w := q.waiters[0]
	n := q.count()
	begin := fmt.Sprintf("%s %s for a lock at %s%s", goroutines(n), words.Verb(n, "waits", "wait"), frameAt(w.site()), longest(n, q.wait()))
	if len(links) == 0 {
		switch {
		case q.many > 0:
			f.Message = fmt.Sprintf("%s; %d goroutines use the same object, and any of them may hold it.", begin, q.many)
		default:
			f.Message = begin + "; no goroutine in the dump is seen to hold it" + l.unseen()
			note(f, "No other goroutine is past a line at which this lock is taken, and none has the object among its arguments.")
			f.Advice = "Find the path that returns or panics between Lock and Unlock; use defer."
		}
		return
	}
	last := links[len(links)-1].holder
	f.Message = fmt.Sprintf("%s; goroutine %d most likely holds it%s.", begin, last.ID, doing(last))
	if len(links) > 1 && len(q.holders) == 1 {
		f.Message = fmt.Sprintf("%s; behind it, through %s, is goroutine %d%s.", begin, goroutines(len(links)-1), last.ID, doing(last))
	}
	if len(q.holders) > 1 {
		f.Message = fmt.Sprintf("%s; it is most likely held by one of goroutines %s.", begin, joined(holderIDs(q)))
	}
	switch last.State {
	case goroutine.ChanSend, goroutine.ChanReceive, goroutine.Select, goroutine.WaitGroupWait, goroutine.CondWait:
		note(f, "If what should %s needs the same lock, as the goroutines here do, this never ends.", whatWakes(last.State))
		f.Advice = "Do not wait for other goroutines while holding a lock that they need: unlock before the wait."
	case goroutine.IOWait, goroutine.Syscall:
		f.Advice = "Set a deadline on I/O under a lock, or do the I/O without it."
	}
	for _, k := range links {
		l.participant(f, k, detectors.RoleHolder)
	}
}

// unseen says what it means that no goroutine is seen to hold a lock.
func (l *lockView) unseen() string {
	if l.Missing > 0 {
		return fmt.Sprintf("; %s could not be read, and may.", goroutines(l.Missing))
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
	noteCut(f, h.Detail)
}

// also adds the goroutines that wait in a queue.
func (l *lockView) also(f *detectors.Finding, q *queue) {
	for _, w := range q.waiters {
		if slices.Contains(f.IDs, w.ID) {
			continue
		}
		f.Count += 1 + w.More
		if len(f.Participants) == 0 || len(f.IDs) < goroutine.MaxIDs {
			f.IDs = goroutine.LowestIDs(f.IDs, w.ID)
		}
	}
	l.waitersAt(f, q)
}

// tellFirst says which goroutine was the first to wait.
func (l *lockView) tellFirst(f *detectors.Finding, q *queue) {
	first := q.waiters[0]
	l.noteStood(f, keyOf(first.Detail))
	if first.Wait > 0 {
		if n := q.longest(); n > 1 {
			note(f, "The longest wait is %s, that of %s, one of them %d.", words.Span(first.Wait), goroutines(n), first.ID)
		} else {
			note(f, "Goroutine %d was the first to wait: for %s, at %s.", first.ID, words.Span(first.Wait), frameAt(first.site()))
		}
		if q.count() > 1 {
			note(f, "A lock in use is handed to those that wait in turn: nothing got this one while the first waited.")
		}
	}
}

// longest returns how many goroutines have the longest wait. The runtime shows minutes.
func (q *queue) longest() (n int) {
	for n < len(q.waiters) && q.waiters[n].Wait == q.wait() {
		n++
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
		p.Count += 1 + w.More
		p.IDs = goroutine.LowestIDs(p.IDs, w.ID)
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
