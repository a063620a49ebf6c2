// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"errors"
	"fmt"
	"math"
)

// A traceStatus is the status of a goroutine in a trace: one of the five in the
// format, or one of two added here.
type traceStatus uint8

const (
	statusUnknown traceStatus = iota
	statusRunnable
	statusRunning
	statusSyscall
	statusWaiting
	statusSwitched // waiting, in runtime.coroswitch
	statusGone
)

// reasonSyscall replaces the reason for a stack that was taken at the beginning of
// a system call.
const reasonSyscall = math.MaxUint32

// A mover is a goroutine that had events in the generation. Most goroutines have
// none.
//
// The events of a goroutine are in the batches of every M that it ran on or that
// woke it, in no particular order. But each event that can come from another M
// carries the goroutine's sequence number. The other events come from the M that
// runs the goroutine, after a start that carries a number. So the event with the
// highest number came last. Of several events with the same number, the last one
// in the stream of their M came last.
type mover struct {
	id     uint64
	seq    uint32 // sequence number of the event that status follows from
	parked uint32 // sequence number when stack was taken
	stack  uint32 // the stack at that time; 0 when unknown
	reason uint32 // why it blocked, as a string ID; 0 when stack is whole
	seen   uint32 // any stack it had in the generation, for its entry function
	status traceStatus
	worker bool // a worker of the garbage collector
	c      bool // a callback from C: its ID may be reused, with sequence numbers from 0
}

// follow records a status of the goroutine, unless a later one is known.
func (g *mover) follow(seq uint32, status traceStatus) {
	if seq >= g.seq {
		g.seq, g.status = seq, status
	}
}

// change records a status of the goroutine from an event that carries its stack
// and the reason. Without a stack, the goroutine went on. The stack may be new
// even when a later status is known, because a wakeup event does not carry it.
func (g *mover) change(seq uint32, status traceStatus, stack, reason uint32) {
	if g == nil {
		return
	}
	g.follow(seq, status)
	if seq >= g.parked {
		g.parked, g.stack, g.reason = seq, stack, reason
	}
}

// place returns where the goroutine was at the end of the generation. A goroutine
// that was woken is still where it stopped, if its stack was taken one sequence
// number earlier. An older stack is out of date.
func (g *mover) place() place {
	p := place{status: g.status, main: g.id == mainID}
	if g.parked == g.seq || g.status == statusRunnable && g.parked+1 == g.seq {
		p.stack, p.reason = g.stack, g.reason
	}
	return p
}

// A thread is an M and the goroutine that it is running.
type thread struct {
	m   uint64
	cur int32  // index into movers, or one of the constants below
	seq uint32 // the goroutine's sequence number
}

const (
	runsNothing = -1
	runsOther   = -2 // a goroutine beyond maxMovers
)

// Bounds on the memory for one generation. The runtime allows 10,000 Ms by
// default.
const (
	maxMovers  = 1 << 20
	maxThreads = 1 << 16

	// keepMovers is the capacity, in movers, that is kept between traces.
	keepMovers = 1 << 14
)

// mainID is the ID of the main goroutine.
const mainID = 1

// movements follows the goroutines of a generation through its events.
type movements struct {
	movers  []mover
	index   map[uint64]int32 // by ID
	threads map[uint64]thread
	missing int    // goroutines beyond maxMovers
	lastID  uint64 // the highest ID

	// still is called for each goroutine whose only event was its status.
	still func(id uint64, p place)
	// wakes records the wakeups in a window. It is nil outside windows.
	wakes *wakes
}

func (ms *movements) reset() {
	if len(ms.movers) > keepMovers || ms.index == nil {
		ms.movers, ms.index, ms.threads = nil, make(map[uint64]int32), make(map[uint64]thread)
	}
	ms.movers = ms.movers[:0]
	clear(ms.index)
	clear(ms.threads)
	ms.missing, ms.lastID = 0, 0
}

// find returns the index of a goroutine in movers, or runsOther when there is no
// room left.
func (ms *movements) find(id uint64) int32 {
	ms.lastID = max(ms.lastID, id)
	i, ok := ms.index[id]
	if ok {
		return i
	}
	if len(ms.movers) >= maxMovers {
		return runsOther
	}
	i = int32(len(ms.movers))
	ms.movers = append(ms.movers, mover{id: id})
	ms.index[id] = i
	return i
}

// begin is like find, for the event that introduces a goroutine in a generation.
func (ms *movements) begin(id uint64) int32 {
	i := ms.find(id)
	if i == runsOther {
		ms.missing++
	}
	return i
}

// read follows the events of one batch.
func (ms *movements) read(b batch) error {
	t, known := ms.threads[b.m]
	if !known {
		t = thread{m: b.m, cur: runsNothing}
	}
	c := cursor{data: b.data}
	var err error
	for c.more() && err == nil {
		at := c.pos
		if err = ms.event(&c, &t); err != nil {
			t.cur = runsNothing
			err = atByte(b.body+at, err)
		}
	}
	if known || t.cur != runsNothing && len(ms.threads) < maxThreads {
		ms.threads[b.m] = t
	}
	return err
}

var errShort = errors.New("an event is cut off")

func (ms *movements) event(c *cursor, t *thread) error {
	event := c.byte()
	spec := eventSpecs[event]
	if spec.args == 0 {
		return fmt.Errorf("unknown event %d", event)
	}
	var args [maxArgs]uint64
	for i := range spec.args {
		args[i] = c.uvarint()
	}
	if c.bad {
		return errShort
	}
	if event == evGoStatus || event == evGoStatusStack {
		return ms.status(t, args[1], args[2], args[3], id32(args[4]))
	}
	ms.move(t, event, &args, id32(args[spec.stack]))
	return nil
}

// id32 narrows a string or stack ID. The runtime counts IDs from 1 in each
// generation, so an ID that does not fit did not come from the runtime.
func id32(id uint64) uint32 {
	if id > math.MaxUint32 {
		return 0
	}
	return uint32(id)
}

// status takes the status of a goroutine at the beginning of a generation. A
// goroutine without further events kept that status.
func (ms *movements) status(t *thread, id, m, status uint64, stack uint32) error {
	if status < uint64(statusRunnable) || status > uint64(statusWaiting) {
		return fmt.Errorf("goroutine %d has status %d", id, status)
	}
	s := traceStatus(status)
	if t.m == noThread {
		ms.lastID = max(ms.lastID, id)
		ms.still(id, place{stack: stack, status: s, main: id == mainID})
		return nil
	}
	i := ms.begin(id)
	if s == statusRunning || s == statusSyscall && m == t.m {
		t.cur, t.seq = i, 0
	}
	if i >= 0 {
		ms.movers[i].change(0, s, stack, 0)
	}
	return nil
}

// move is the state machine: it applies an event to the goroutine that the event
// names, and to the goroutine that the M runs. stack belongs to the latter.
func (ms *movements) move(t *thread, event byte, args *[maxArgs]uint64, stack uint32) {
	var g *mover // the goroutine that the M runs
	if t.cur >= 0 {
		g = &ms.movers[t.cur]
		if eventSpecs[event].stack != 0 && stack != 0 {
			g.seen = stack
		}
	}
	switch event {
	case evGoCreate:
		ms.create(args[1], statusRunnable, id32(args[2]))
	case evGoCreateBlocked:
		ms.create(args[1], statusWaiting, id32(args[2]))
	case evGoCreateSyscall:
		t.cur, t.seq = ms.begin(args[1]), 0
		if t.cur >= 0 {
			ms.movers[t.cur] = mover{id: args[1], status: statusSyscall, c: true}
		}
	case evGoStart:
		ms.start(t, args[1], uint32(args[2]))
	case evGoUnblock:
		ms.unblock(args[1], uint32(args[2]), stack)
	case evGoSwitch:
		g.change(t.seq, statusSwitched, 0, 0)
		ms.start(t, args[1], uint32(args[2]))
	case evGoSwitchDestroy:
		ms.destroy(t, g)
		ms.start(t, args[1], uint32(args[2]))
	case evGoDestroy, evGoDestroySyscall:
		ms.destroy(t, g)
	case evGoStop:
		g.change(t.seq, statusRunnable, stack, 0)
		t.cur = runsNothing
	case evGoBlock:
		g.change(t.seq, statusWaiting, stack, id32(args[1]))
		ms.wakes.parked(t.cur, t.seq, stack, id32(args[1]))
		t.cur = runsNothing
	case evGoSyscallBegin:
		g.change(t.seq, statusSyscall, stack, reasonSyscall)
	case evGoSyscallEnd:
		g.change(t.seq, statusRunning, 0, 0)
	case evGoSyscallEndBlocked: // the call returned, and the goroutine waits for a P at the same place
		if g != nil {
			g.follow(t.seq, statusRunnable)
		}
		t.cur = runsNothing
	case evGoLabel: // only the workers of the garbage collector have labels
		if g != nil {
			g.worker = true
		}
	}
}

// create records a new goroutine. Until it stops for the first time, only the
// first frame of its stack is known.
func (ms *movements) create(id uint64, status traceStatus, stack uint32) {
	i := ms.begin(id)
	if i < 0 {
		return
	}
	g := &ms.movers[i]
	g.change(0, status, stack, 0)
	if g.seen == 0 {
		g.seen = stack
	}
}

func (ms *movements) start(t *thread, id uint64, seq uint32) {
	t.cur, t.seq = ms.find(id), seq
	if t.cur >= 0 {
		ms.movers[t.cur].follow(seq, statusRunning)
	}
}

// unblock records a wakeup. stack belongs to the goroutine that woke this one.
func (ms *movements) unblock(id uint64, seq, stack uint32) {
	i := ms.find(id)
	if i < 0 {
		return
	}
	ms.wakes.woke(i, seq, stack)
	g := &ms.movers[i]
	if g.c && (g.status != statusWaiting || seq != g.seq+1) {
		return // from an earlier use of the ID; an event with the right number may be, too, and then the goroutine becomes runnable too early
	}
	g.follow(seq, statusRunnable)
}

func (ms *movements) destroy(t *thread, g *mover) {
	if g != nil {
		g.follow(t.seq, statusGone)
	} else if t.cur == runsOther {
		ms.missing--
	}
	t.cur = runsNothing
}
