// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/words"
)

// A cause says what kind of fault holds up queues for good.
type cause int

const (
	unknownCause cause = iota
	lockOrder
	lockedTwice
	upgraded      // a read lock is held while the same lock is wanted for writing
	recursiveRead // a read lock is wanted again while a writer waits
	lostUnlock
	heldWaiting // for a channel, a wait group or a condition
	tangled     // several goroutines may hold a lock: which of these it is, is not known
)

func (f *fault) cause() cause {
	if !f.dead {
		return unknownCause
	}
	holds := f.causes()
	if len(holds) == 0 {
		return lostUnlock
	}
	last := holds[len(holds)-1].holder
	switch {
	case f.tangled():
		return tangled
	case f.cycle < 0:
		return heldWaiting
	case len(holds) == 1 && last.Reads:
		return upgraded
	case len(holds) == 1:
		return lockedTwice
	}
	for _, h := range holds {
		if len(holds) == 2 && h.holder.Reads && h.holder.State == goroutine.RWMutexRLock {
			return recursiveRead
		}
	}
	return lockOrder
}

// describe adds message, evidence and advice.
func (f *fault) describe(p *Pass, to *Finding) {
	to.Message = f.message(to)
	f.explain(to)
	f.proof(to)
	f.byLock(to)
	f.suspects(p, to)
	to.Advice = f.advice()
}

func (f *fault) message(to *Finding) string {
	q := f.queues[0]
	at := where(q.Stack)
	if n := len(f.queues) - 1; n > 0 {
		at += " and " + plural(n, "other place")
	}
	age := words.Span(to.Age)
	if f.cause() == unknownCause {
		return fmt.Sprintf("%s for %s: %s %s for it at %s (%s).", f.headline(), age, goroutines(to.Count), verb(to.Count, "waits", "wait"), at, q.State)
	}
	return fmt.Sprintf("%s; %s %s waited at %s (%s) for %s.", f.headline(), goroutines(to.Count), verb(to.Count, "has", "have"), at, q.State, age)
}

// headline names the fault.
func (f *fault) headline() string {
	holds := f.causes()
	switch f.cause() {
	case lockOrder:
		return fmt.Sprintf("Deadlock by lock order between %s", goroutines(len(holds)))
	case lockedTwice:
		if !holds[0].holder.Certain {
			return "Deadlock: a lock is locked twice by the same goroutine, or was not unlocked by one that has moved on"
		}
		return "Deadlock: a lock is locked twice by the same goroutine"
	case upgraded:
		return "Deadlock: a goroutine that holds a read lock wants the same lock for writing"
	case recursiveRead:
		return "Deadlock by a recursive read lock: a goroutine wants a read lock that it already holds, and a writer waits in between"
	case lostUnlock:
		return "A lock was not unlocked: no goroutine is left that can hold it"
	case heldWaiting:
		return "Deadlock: a goroutine holds a lock while it waits for others that cannot go on"
	case tangled:
		return "Deadlock: no goroutine that can hold the lock can go on (lock order, a lock locked twice, or one that was not unlocked)"
	}
	if f.waited() >= beyondPurpose*f.config.MinWait {
		return "A lock has not been acquired, longer than any purpose takes,"
	}
	return "A lock has not been acquired"
}

// explain says which goroutine holds what.
func (f *fault) explain(to *Finding) {
	for _, h := range f.causes() {
		switch {
		case f.dead: // which is so for good
			to.note("%s %s.", sentence(nameOf(h.holder)), f.noteOn(h))
		case h.sole:
			to.note("In %s %s %s.", f.dumped(), nameOf(h.holder), f.noteOn(h))
		}
	}
	if f.cause() == heldWaiting {
		h := f.causes()[0].holder
		switch n := len(h.Wakers); {
		case n == 0:
			to.note("No goroutine is left that can end its wait (%s).", h.State)
		default:
			to.note("Only goroutines that wait for the lock can end its wait (%s): %s.", h.State, idList(h.Wakers))
		}
	}
	if f.cause() == lostUnlock {
		to.note("No goroutine that is as old as the queue is between a lock and an unlock that could be this one's.")
	}
}

// nameOf names the goroutines that a holder stands for.
func nameOf(h *goroutine.LockHolder) string {
	if h.Count > 1 {
		return fmt.Sprintf("each of %s, one of them %d,", goroutines(h.Count), h.ID)
	}
	return fmt.Sprintf("goroutine %d", h.ID)
}

// sentence returns a clause with a capital letter.
func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// noteOn says what a holder holds and does, as a clause.
func (f *fault) noteOn(h hold) string {
	q := &f.dump.queues[h.queue]
	holds := "holds " + lockName(q.LockQueue)
	if !h.sole && !h.holder.Certain || h.holder.Count > 1 {
		holds = "may hold " + lockName(q.LockQueue)
	}
	if h.holder.Reads {
		holds += " for reading"
	}
	if in := h.holder.Locked.Function; in != "" {
		holds += ", locked in " + in
	}
	if h.holder.Queue >= 0 {
		return fmt.Sprintf("%s, and waits for %s at %s", holds, wantedName(f.dump.queues[h.holder.Queue].LockQueue), frameAt(h.holder.At))
	}
	return fmt.Sprintf("%s, and is %s", holds, doing(h.holder))
}

// doing says in which state a holder is, and where if that is known.
func doing(h *goroutine.LockHolder) string {
	switch {
	case h.At.Function != "":
		return fmt.Sprintf("in %s at %s", h.State, frameAt(h.At))
	case h.State == goroutine.Running:
		return "running"
	}
	return fmt.Sprintf("in %s", h.State)
}

func lockName(q *goroutine.LockQueue) string {
	if q.Lock == 0 {
		return "a lock wanted at " + frameAt(q.At)
	}
	return fmt.Sprintf("lock %#x", q.Lock)
}

// wantedName is lockName in a sentence that says where the lock is wanted.
func wantedName(q *goroutine.LockQueue) string {
	if q.Lock == 0 {
		return "a lock"
	}
	return lockName(q)
}

func frameAt(f goroutine.Frame) string {
	if f.File == "" {
		return f.Function
	}
	return fmt.Sprintf("%s (%s:%d)", f.Function, path.Base(f.File), f.Line)
}

func idList(wakers []goroutine.LockWaker) string {
	var ids []string
	for _, w := range wakers[:min(len(wakers), 4)] {
		ids = append(ids, fmt.Sprintf("goroutine %d", w.ID))
	}
	if more := len(wakers) - len(ids); more > 0 {
		ids = append(ids, fmt.Sprintf("%d more", more))
	}
	return strings.Join(ids, ", ")
}

// proof says why the queue does not move.
func (f *fault) proof(to *Finding) {
	q := f.queues[0]
	s := q.Series
	if q.Lock != 0 {
		to.note("The lock is at %#x.", q.Lock)
	}
	if n := s.Last() - q.since + 1; n > 1 {
		to.note("In %d snapshots over %s no goroutine left the queue.", n, words.Span(s.Ago(q.since)))
		if !f.dead && q.chance <= f.config.MaxChance {
			to.note("The probability of this for a lock in use is %s.", oneIn(q.chance))
		}
	}
	if q.windows > 0 {
		to.note("In %s none of them was handed the lock.", plural(q.windows, "trace window"))
	}
	if joined := q.Now() - q.Count(q.since); joined > 0 {
		to.note("%s joined the %d that waited at first.", goroutines(joined), q.Count(q.since))
	}
	if w := q.LongestWait(s.Last()); w > 0 {
		to.note("By the runtime's clock the longest wait is %s.", words.Span(w))
	}
}

// byLock counts the goroutines by lock.
func (f *fault) byLock(to *Finding) {
	var seen []int
	for _, q := range f.queues {
		for _, i := range f.dump.of(q) {
			if len(seen) < 3 && !slices.Contains(seen, i) {
				seen = append(seen, i)
				of := f.dump.queues[i].LockQueue
				at := ""
				if of.Lock == 0 {
					at = " at " + frameAt(of.At)
				}
				to.note("In %s %s %s waiting for %s%s (%s).", f.dumped(), goroutines(of.Count), verb(of.Count, "was", "were"), wantedName(of), at, of.State)
			}
		}
	}
}

// dumped names the dump that the sentences about single locks are from.
func (f *fault) dumped() string {
	what := "dump"
	if f.dump.sitesOnly() {
		what = "trace"
	}
	if ago := f.queues[0].Series.Newest().Time.Sub(f.dump.Time); ago >= time.Second {
		return fmt.Sprintf("a %s %s ago", what, words.Span(ago))
	}
	return "the " + what
}

// suspects names goroutines that may hold the lock when nothing better is known.
func (f *fault) suspects(p *Pass, to *Finding) {
	if f.dead || len(f.causes()) > 0 && f.causes()[0].sole {
		return
	}
	if f.dump != nil && len(f.holds) > 0 {
		i := f.holds[0].queue
		if n := len(f.dump.queues[i].holders); n > 0 {
			h := f.dump.queues[i].holders[0]
			to.note("%s may hold it, one of them goroutine %d, %s in %s.", goroutines(n), h.ID, doing(&h), f.dumped())
		}
		return
	}
	if g := f.queues[0].insider(p); g != nil {
		to.note("It may be held by goroutine %d, which has been in a call on the same receiver since before: in %s at %s.", g.IDs[0], g.State, where(g.Stack))
	}
}

// insider returns the only goroutine that stands in a method of the receiver on
// which the goroutines of q lock, and that is as old as the queue.
func (q *queue) insider(p *Pass) (only *goroutine.Group) {
	receiver := words.Receiver(q.Stack.User().Function)
	if receiver == "" {
		return nil
	}
	for i := range p.Snapshot.Groups {
		g := &p.Snapshot.Groups[i]
		if g.State.Lock() || len(g.IDs) == 0 || g.IDs[0] > q.older() || !onReceiver(g.Stack, receiver) {
			continue
		}
		if only != nil || g.Count > 1 {
			return nil
		}
		only = g
	}
	return only
}

func onReceiver(s *goroutine.Stack, receiver string) bool {
	for _, f := range s.Frames {
		if words.Receiver(f.Function) == receiver {
			return true
		}
	}
	return false
}

// advice says what to do next.
func (f *fault) advice() string {
	switch f.cause() {
	case lockOrder:
		return "Acquire these locks in the same order everywhere, or hold only one at a time. Only a restart frees these goroutines."
	case lockedTwice, upgraded:
		return "Split the function into one that locks and one that expects the lock to be held, or unlock before the call back. Only a restart frees these goroutines."
	case recursiveRead:
		return "Do not call RLock while holding it: read what the inner call needs first, or use a function that expects the lock to be held. Only a restart frees these goroutines."
	case lostUnlock:
		return "Find the path that returns or panics without unlocking; use defer. Only a restart frees these goroutines."
	case tangled:
		return "Acquire these locks in the same order everywhere, do not lock one that is held, and unlock on every path. Only a restart frees these goroutines."
	case heldWaiting:
		return "Do not wait for other goroutines while holding a lock that they need: unlock before the wait. Only a restart frees these goroutines."
	}
	if f.confidence() == Medium {
		return "If the holder is meant to keep the lock for this long, nothing is wrong but the wait. Otherwise find out what it waits for; the saved profile or /debug/pprof/goroutine?debug=1 shows all stacks."
	}
	return adviceLock
}
