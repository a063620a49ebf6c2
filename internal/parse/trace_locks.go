// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/lockcode"
)

// A trace has what the code of the process must be asked about: the address of each
// call on the stack of each goroutine. It lacks the arguments of calls, so that the
// address of a lock is known only at package level, and goroutines that wait for
// others are queued by the call in which they wait.
//
// A generation ends in a cut: each goroutine is where its last event has left it.
// One without an event was there throughout, and what would have woken it, had it been
// woken, is an event. So what a trace shows of parked goroutines holds for one moment,
// as a dump does. A goroutine that was running has no stack and may hold anything.

// TracedCode tells what is known about the calls in a trace; see [lockcode.Reader].
type TracedCode interface {
	Call(pc uintptr) lockcode.Call
	Returns(c lockcode.Call, address uintptr) lockcode.Point
}

// maxLockCrowds is how many places are searched for locks, the largest first.
const maxLockCrowds = 1 << 14

// DecodeLocks is like [TraceDecoder.Decode], for a trace of this process: the snapshot
// has the queues for locks too, and no epoch ends with it. self is the ID of the
// goroutine that takes the trace, which runs and holds no lock of the program.
func (d *TraceDecoder) DecodeLocks(data []byte, at time.Time, code TracedCode, self uint64) (*goroutine.Snapshot, error) {
	d.locks = &lockTrace{code: code, self: self, unseen: party{queue: -1, state: goroutine.Running, unknown: true}}
	defer func() { d.locks = nil }()
	s, err := d.Decode(data, at)
	if s != nil {
		s.Source = goroutine.SourceLocks
	}
	return s, err
}

// A lockTrace is needed while a trace is searched for locks.
type lockTrace struct {
	code   TracedCode
	self   uint64
	unseen party // the goroutines whose stacks the trace does not have
	calls  []tracedCall
}

// A tracedCall is a frame of a stack, and the address of its call.
type tracedCall struct {
	goroutine.Frame
	pc uintptr
	lockcode.Call
}

// note notes a goroutine without a stack.
func (l *lockTrace) note(id uint64, k kind) {
	if l == nil || id == l.self || k != kindUser {
		return
	}
	l.unseen.count++
	if l.unseen.id == 0 || id < l.unseen.id {
		l.unseen.id = id
	}
}

// lockQueues returns the queues for locks.
func (d *TraceDecoder) lockQueues() []goroutine.LockQueue {
	l := newLocks()
	l.crowded = d.movements.missing > 0 || len(d.crowds) > maxLockCrowds
	for i := range d.crowds[:min(len(d.crowds), maxLockCrowds)] {
		if p := d.party(&d.crowds[i]); p != nil {
			l.add(p)
		}
	}
	if u := &d.locks.unseen; u.count > 0 {
		l.add(u)
	}
	return l.finish()
}

// party returns the goroutines at one place, or nil if they have no stack or are not
// of the program. A goroutine that was woken while it waited for a lock may have been
// handed it, and one whose outermost frames were cut off may hold anything.
func (d *TraceDecoder) party(c *crowd) *party {
	if c.stack == 0 {
		return nil
	}
	_, state, kind := d.describe(c)
	if kind == kindReader || kind == kindWriter || c.count == 1 && c.ids[0] == d.locks.self {
		return nil
	}
	calls, seen := d.callsOf(c.stack)
	p := &party{id: c.ids[0], more: slices.Clone(c.ids[1:]), count: c.count, state: state, queue: -1, waits: state.Lock(), at: userOf(calls)}
	p.unknown = !seen || len(calls) == maxDepth || c.status == statusRunnable && inLock(calls)
	for i, n := 0, 0; i < len(calls); i += n {
		n = frameOf(calls[i:])
		p.passesCall(d.locks.code, calls, i, n)
	}
	return p
}

// callsOf returns the calls of a stack, leaf first, and whether the trace has the
// stack. They are valid until the next call.
func (d *TraceDecoder) callsOf(stack uint32) (calls []tracedCall, seen bool) {
	calls = d.locks.calls[:0]
	seen = d.tables.each(stack, func(pc uint64, f goroutine.Frame) {
		calls = append(calls, tracedCall{Frame: f, pc: uintptr(pc), Call: d.locks.code.Call(uintptr(pc))})
	})
	d.locks.calls = calls
	return calls, seen
}

// frameOf returns how many of the first calls are in one frame of the machine's: the
// first, and those of the functions that it was inlined into. A function is not
// inlined into itself. Of a frame the first call is the one that returns; the others
// are where the inlined code begins.
func frameOf(calls []tracedCall) int {
	n := 1
	for ; n < len(calls) && calls[n-1].Inlined && calls[n].Entry == calls[0].Entry; n++ {
		if slices.ContainsFunc(calls[:n], func(c tracedCall) bool { return c.Frame.Function == calls[n].Frame.Function }) {
			break
		}
	}
	return n
}

// passesCall adds what the code tells about a frame of n calls.
func (p *party) passesCall(code TracedCode, calls []tracedCall, i, n int) {
	c := calls[i].Call
	p.doubt = p.doubt || unwinds(c.Function)
	if !worthReading(c.Function) {
		return
	}
	p.passes(c.Function, code.Returns(c, calls[i].pc+1), words{}, func() goroutine.Frame {
		for _, c := range calls[i+n:] {
			if c.Package() != "sync" {
				return c.Frame
			}
		}
		return goroutine.Frame{}
	})
}

// inLock reports whether a goroutine was in a call of package sync that acquires.
func inLock(calls []tracedCall) bool {
	for _, c := range calls {
		switch c.Package() {
		case "runtime":
		case "sync", "internal/sync":
			return true
		default:
			return false
		}
	}
	return false
}

// userOf returns the innermost frame outside the standard library, or else the
// innermost one.
func userOf(calls []tracedCall) goroutine.Frame {
	for _, c := range calls {
		if !c.Standard() {
			return c.Frame
		}
	}
	if len(calls) > 0 {
		return calls[0].Frame
	}
	return goroutine.Frame{}
}
