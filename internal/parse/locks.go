// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"cmp"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/lockcode"
)

// maxParties is how many goroutines are kept that wait for a lock, may hold one, or
// may wake one that does.
const maxParties = 4096

// mainGoroutine is the ID of the goroutine that runs main.main.
const mainGoroutine = 1

// Code tells what is known about the point of a function to which a call returns;
// see [lockcode.Reader].
type Code interface {
	At(function string, offset uintptr) lockcode.Point
}

// Locks reads from a goroutine dump which locks goroutines wait for, and what may
// hold them. code must be that of the process that wrote the dump. Of the arguments
// of calls, only the addresses of locks are returned. Memory is bounded, except for
// the names in the dump.
//
// A holder is certain if the code proves that it has acquired the lock: from an address
// at package level, or from an argument that the dump does not mark as uncertain. A
// lock that is known in this way to be another one rules a holder out. Of what comes
// from anything else, such as a field, a variable of a closure, or the one of two
// objects that comes first by some order, nothing is known: the goroutine may hold it.
//
// If the dump cannot be read to its end, what was read counts.
func Locks(dump io.Reader, code Code) []goroutine.LockQueue {
	l := &dumpLocks{locks: newLocks(), code: code, dump: newDump(dump)}
	l.dump.words = make([]words, maxFrames)
	l.dump.each = l.take
	l.dump.readAll()
	return l.finish()
}

// dumpLocks holds the state while a dump is searched for locks and their holders.
type dumpLocks struct {
	*locks
	code  Code
	dump  *dump
	calls []frame // frames of the current goroutine
}

// locks are the goroutines that have to do with locks, and the queues that follow
// from them.
type locks struct {
	parties []*party
	crowded bool // there were more parties than are kept
	queues  []*queue
}

func newLocks() *locks { return &locks{} }

// A party is a goroutine that has to do with locks, or several with the same stack.
type party struct {
	id    uint64   // the lowest
	more  []uint64 // IDs of others, rising; not all of them
	count int
	wait  time.Duration
	state goroutine.State
	at    goroutine.Frame // innermost frame of the program's code

	waits   bool // for a lock
	lock    uint64
	site    hold // that it is waiting at
	queue   int  // -1: none
	holds   []hold
	hands   bool
	unknown bool // code of a frame could not be read
	acts    lockcode.Acts

	// doubt is set while its frames are read, the innermost first, once one may have
	// released the locks of those further out.
	doubt bool
}

// A hold is a lock that a goroutine may hold, or the one that it waits for.
type hold struct {
	lockcode.Site
	in      string // function of the frame
	words   words  // its arguments
	address uint64 // 0 when unknown
}

// take takes a goroutine.
func (l *dumpLocks) take() {
	l.read()
	g := &l.dump.g
	p := &party{id: g.header.id, count: 1, wait: g.header.wait, state: g.state, lock: g.lock, queue: -1, waits: g.state.Lock(), at: l.user()}
	for i := range l.calls {
		l.frame(p, i)
	}
	l.add(p)
}

// add adds a party, unless it has nothing to do with locks.
func (l *locks) add(p *party) {
	if p.state == goroutine.CondWait && len(p.holds) == 1 {
		p.holds = nil // released while it waits
	}
	if !p.waits && len(p.holds) == 0 && !p.hands && !p.unknown && p.acts == 0 {
		return
	}
	if len(l.parties) == maxParties {
		l.crowded = true
		return
	}
	l.parties = append(l.parties, p)
}

// read reads the frames of the current goroutine.
func (l *dumpLocks) read() {
	d := l.dump
	l.calls = l.calls[:0]
	for f, rest, ok := cutFrame(d.key[d.g.framesAt:d.stackEnd()]); ok; f, rest, ok = cutFrame(rest) {
		l.calls = append(l.calls, f)
	}
}

// user returns the innermost frame outside the standard library, or else the
// innermost one.
func (l *dumpLocks) user() goroutine.Frame {
	for _, f := range l.calls {
		if at := l.dump.frame(f); !at.Standard() {
			return at
		}
	}
	if len(l.calls) > 0 {
		return l.dump.frame(l.calls[0])
	}
	return goroutine.Frame{}
}

// caller returns the frame that called a function of package sync: a sync.Once.
func (l *dumpLocks) caller(i int) goroutine.Frame {
	for _, f := range l.calls[i:] {
		if lockcode.PackageOf(string(f.name)) != "sync" {
			return l.dump.frame(f)
		}
	}
	return goroutine.Frame{}
}

// frame adds what frame i of the current goroutine tells about it.
func (l *dumpLocks) frame(p *party, i int) {
	w := &l.dump.words[i]
	name := string(l.calls[i].name)
	p.doubt = p.doubt || unwinds(name)
	if w.inlined || !worthReading(name) {
		return
	}
	p.passes(name, l.code.At(name, uintptr(w.offset)), *w, func() goroutine.Frame { return l.caller(i) })
}

// passes adds what is known about a point of a function that is on the stack of p.
// Functions that carry out locking, and the runtime, hold no locks of the program.
// caller returns the frame that has called the function, if that is of package sync.
func (p *party) passes(function string, point lockcode.Point, w words, caller func() goroutine.Frame) {
	if function == "sync.(*WaitGroup).Go.func1" {
		p.acts |= lockcode.Finishes
	}
	defer func() { p.doubt = p.doubt || point.Frees || !point.Read && !standard(function) }()
	if !point.Read {
		p.unknown = p.unknown || !standard(function)
		return
	}
	switch {
	case standard(function):
	case p.id == mainGoroutine: // what it does at the end of the program wakes no worker
		p.acts |= point.Again
	default:
		p.acts |= point.Later
	}
	for _, s := range point.Holds {
		s.Sure = s.Sure && !p.doubt && p.state != goroutine.CondWait // which releases a lock
		p.holds = append(p.holds, holdOf(s, function, w, caller))
	}
	p.hands = p.hands || point.Hands && !standard(function)
	if point.Waits.Kind == lockcode.AnyKind {
		return
	}
	if h := holdOf(point.Waits, function, w, caller); !p.waits {
		p.holds = append(p.holds, h) // it may have been handed the lock, and not have run since
	} else if p.site.Kind == lockcode.AnyKind {
		p.site = hold{Site: point.Waits, in: function, words: w}
	}
}

func holdOf(s lockcode.Site, function string, w words, caller func() goroutine.Frame) hold {
	if lockcode.PackageOf(s.Frame.Function) == "sync" {
		s.Frame = caller()
	}
	return hold{Site: s, in: function, words: w}
}

// unwinds reports whether a function carries out what the functions that have called it
// have deferred, such as to release a lock.
func unwinds(function string) bool {
	switch function {
	case "panic", "runtime.gopanic", "runtime.Goexit", "runtime.deferreturn":
		return true
	}
	return false
}

// worthReading leaves out the functions of the standard library that hold no lock of
// others while they call what may take long, and our own: the goroutine that has the
// dump taken holds a lock of the monitor.
func worthReading(name string) bool {
	switch lockcode.PackageOf(name) {
	case "runtime", "internal/sync", "internal/poll", "syscall", "time", "net/http", "net", "bufio", "io", "testing", "context", "os", "internal/syscall/unix",
		"github.com/otelgoroutine/go/otelgoroutine", "github.com/otelgoroutine/go/internal/capture":
		return false
	case "sync":
		return strings.HasPrefix(name, "sync.(*Once)") || strings.HasPrefix(name, "sync.(*WaitGroup).Go")
	}
	return true
}

func standard(name string) bool { return goroutine.Frame{Function: name}.Standard() }

// finish returns the queues, those with the most waiters first.
func (l *locks) finish() []goroutine.LockQueue {
	for _, p := range l.parties {
		for i := range p.holds {
			p.holds[i].locate()
		}
		if p.waits {
			p.site.locate()
			l.enqueue(p)
		}
	}
	l.sort()
	all := make([]goroutine.LockQueue, len(l.queues))
	for i, q := range l.queues {
		all[i] = l.result(q)
	}
	return all
}

// locate finds out the address of a lock that may be held or waited for.
func (h *hold) locate() {
	switch i := h.Argument - 1; {
	case h.Address != 0:
		h.address = uint64(h.Address)
	case i >= 0 && i < h.words.n && h.words.value[i] != 0:
		h.address = h.words.value[i] + uint64(h.Offset)
	}
}

// A queue is the goroutines that wait for one lock in one state.
type queue struct {
	lock    uint64
	state   goroutine.State
	class   class
	site    uintptr // at which they wait, when the lock is unknown
	waiters []*party
}

// A class says what can hold up a goroutine that waits.
type class uint8

const (
	forMutex  class = iota
	forWriter       // a reader or a writer waits for a writer of a sync.RWMutex, or for one that waits for readers
	forReader       // the first writer waits for the readers
)

func (p *party) class() class {
	switch {
	case p.state == goroutine.RWMutexLock:
		return forReader
	case p.state == goroutine.RWMutexRLock || p.site.Kind == lockcode.Write:
		return forWriter
	}
	return forMutex
}

// enqueue adds a goroutine to the queue that it waits in.
func (l *locks) enqueue(p *party) {
	p.lock = cmp.Or(p.lock, p.site.address)
	lock, site := p.lock, uintptr(0)
	if lock == 0 {
		site = p.site.PC
	}
	i := slices.IndexFunc(l.queues, func(q *queue) bool {
		return q.lock == lock && q.state == p.state && q.class == p.class() && q.site == site
	})
	if i < 0 {
		if len(l.queues) == goroutine.MaxLocks {
			l.crowded = true
			return
		}
		i = len(l.queues)
		l.queues = append(l.queues, &queue{lock: lock, state: p.state, class: p.class(), site: site})
	}
	l.queues[i].waiters = append(l.queues[i].waiters, p)
}

// sort sorts the queues and numbers the waiters by them.
func (l *locks) sort() {
	for _, q := range l.queues {
		slices.SortFunc(q.waiters, func(a, b *party) int { return cmp.Compare(a.id, b.id) })
	}
	slices.SortStableFunc(l.queues, func(a, b *queue) int {
		return cmp.Or(cmp.Compare(b.count(), a.count()), cmp.Compare(a.lock, b.lock), cmp.Compare(a.waiters[0].id, b.waiters[0].id))
	})
	for i, q := range l.queues {
		for _, p := range q.waiters {
			p.queue = i
		}
	}
}

// count returns the number of goroutines in q.
func (q *queue) count() (n int) {
	for _, p := range q.waiters {
		n += p.count
	}
	return n
}

func (l *locks) result(q *queue) goroutine.LockQueue {
	r := goroutine.LockQueue{Lock: q.lock, State: q.state, At: q.waiters[0].at, Count: q.count(), Open: l.crowded}
	for _, p := range q.waiters {
		r.Wait = max(r.Wait, p.wait)
		r.Waiters = append(append(r.Waiters, p.id), p.more...)
		r.Open = r.Open || p.site.in == "" // the code at which it waits is unknown
	}
	slices.Sort(r.Waiters)
	r.Waiters = slices.Clip(r.Waiters[:min(len(r.Waiters), goroutine.MaxWaiters)])
	for _, p := range l.parties {
		h, ok := l.holder(p, q)
		switch {
		case !ok:
		case len(r.Holders) == goroutine.MaxHolders:
			r.Open = true
		default:
			r.Holders = append(r.Holders, h)
		}
	}
	if sole := slices.IndexFunc(r.Holders, func(h goroutine.LockHolder) bool { return h.Sole }); sole >= 0 {
		r.Holders, r.Open = r.Holders[sole:sole+1], false
	}
	slices.SortStableFunc(r.Holders, func(a, b goroutine.LockHolder) int {
		switch {
		case a.Certain == b.Certain:
			return 0
		case a.Certain:
			return -1
		}
		return 1
	})
	return r
}

// holder returns p as a holder of the lock of q, if it may be one.
func (l *locks) holder(p *party, q *queue) (h goroutine.LockHolder, ok bool) {
	h = goroutine.LockHolder{ID: p.id, Count: p.count, State: p.state, Wait: p.wait, At: p.at, Queue: p.queue}
	if q.class == forWriter && p.class() == forReader && p.waits && (p.lock == q.lock || p.lock == 0 || q.lock == 0) {
		h.Locked, h.Certain = p.site.Frame, p.lock != 0 && p.lock == q.lock
		return h, true // the writer that waits for the readers is next
	}
	for i := range p.holds {
		held := &p.holds[i]
		if may, certain := held.fits(q); may && (!ok || certain) {
			ok, h.Certain = true, certain
			h.Locked, h.Reads = held.Frame, held.Kind == lockcode.Read
			h.Sole = certain && held.Address != 0 && !h.Reads
			if certain {
				break
			}
		}
	}
	if !ok && !q.standard() {
		ok = p.hands || p.unknown
	}
	if ok && !p.waits {
		l.wakers(&h)
	}
	return h, ok
}

// standard reports whether a lock belongs to the standard library.
func (q *queue) standard() bool {
	return standard(q.waiters[0].site.in) && !strings.HasPrefix(q.waiters[0].site.in, "sync.")
}

// fits reports whether a lock that may be held may be that of q, and whether it
// certainly is.
func (h *hold) fits(q *queue) (may, certain bool) {
	switch {
	case h.Kind == lockcode.AnyKind:
	case q.class == forMutex && h.Kind != lockcode.Mutex,
		q.class == forReader && h.Kind != lockcode.Read,
		q.class == forWriter && h.Kind != lockcode.Write:
		return false, false
	}
	site := q.waiters[0].site.in
	switch {
	case standard(h.in) && lockcode.PackageOf(h.in) != lockcode.PackageOf(site), standard(site) && !standard(h.in):
		return false, false // a lock of one package is not held by another
	case q.lock == 0:
		return true, false
	case h.address != 0:
		return h.address == q.lock, h.address == q.lock && h.Sure
	}
	return true, false
}

// wakers finds the goroutines that may wake a holder.
func (l *locks) wakers(h *goroutine.LockHolder) {
	needs, ok := partners[h.State]
	if !ok {
		return
	}
	h.Many = l.crowded
	for _, p := range l.parties {
		if p.id == h.ID && p.count == 1 || p.acts&needs == 0 && !p.unknown {
			continue
		}
		if len(h.Wakers) == goroutine.MaxHolderWakers {
			h.Many = true
			return
		}
		h.Wakers = append(h.Wakers, goroutine.LockWaker{ID: p.id, Queue: p.queue})
	}
}

// partners has what another goroutine must do for one in a state to go on.
var partners = map[goroutine.State]lockcode.Acts{
	goroutine.ChanSend:      lockcode.Receives,
	goroutine.ChanReceive:   lockcode.Sends,
	goroutine.WaitGroupWait: lockcode.Finishes,
	goroutine.CondWait:      lockcode.Signals,
}
