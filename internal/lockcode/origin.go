// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lockcode

import (
	"slices"
	"strings"
)

// Which lock a function works on is known if the pointer to it is proven to come from
// an argument, or from an address at package level, whichever way the function has
// gone. Of an argument, a dump has the value: the one in the slot of the frame to which
// the compiler saves the register that the argument arrives in. That is the value that
// the function was called with, unless the function stores another one there.

const (
	// maxArguments is how many words of arguments are told apart. A dump shows ten.
	maxArguments = 10
	// firstSlot is how far behind the stack pointer at the entry of a function the
	// slots of its arguments are: in front is the address to which it returns.
	firstSlot = 8
	wordSize  = 8
)

// A register is a general register, counted from 1 in the order of the machine. 0 is
// none.
type register uint8

const (
	maxRegisters = 16

	firstRegister register = 1 // of the first argument of a call
	stackPointer  register = 5
)

// A move is what an instruction does to registers, slots and the control flow.
type move struct {
	at     uintptr
	act    act
	to     register
	from   register
	disp   int64
	size   int64   // of what is stored, in bytes
	target uintptr // of a jump or a call
}

// An act is the kind of a move.
type act uint8

const (
	rests    act = iota // nothing of interest
	sets                // to = something
	copies              // to = from + disp
	fixes               // to = target
	loads               // to = the slot at disp from the stack pointer
	stores              // the slot = from, or something if that is 0
	points              // the address of the slot is computed
	adjusts             // the stack pointer is moved by disp
	forgets             // any register but the stack pointer is something else
	spoils              // as forgets; any slot, and the stack pointer, may be, too
	branches            // to target, or on
	jumps               // to target
	leaves              // to an address that is computed
	dies                // nowhere
	calls               // target, or a function that is computed if that is 0
)

// An origin is where a value comes from.
type origin struct {
	kind  originKind
	index int8  // of an argument's word
	off   int64 // what is added; the address of what is at package level
}

type originKind uint8

const (
	unknown originKind = iota
	argument
	fixed
)

// A scene is where the registers have their values from at a point.
type scene struct {
	reached bool
	lost    bool  // the stack pointer is not known
	sp      int64 // from its value at the entry
	regs    [maxRegisters + 1]origin
}

// join returns what holds where two paths meet.
func (s scene) join(o scene) scene {
	if !s.reached || !o.reached {
		if o.reached {
			return o
		}
		return s
	}
	s.lost = s.lost || o.lost || s.sp != o.sp
	for i := range s.regs {
		if s.regs[i] != o.regs[i] {
			s.regs[i] = origin{}
		}
	}
	return s
}

// A calleeKind is what matters of a function that is called.
type calleeKind uint8

const (
	ordinary calleeKind = iota
	growth              // it makes the stack grow
	noReturn
)

// A tracer finds out where values come from.
type tracer struct {
	moves   []move
	entry   uintptr
	kind    func(callee uintptr) calleeKind
	slots   []register // of each argument's word: the register that it arrives in
	dirty   [maxArguments]bool
	targets map[uintptr]scene // of jumps
}

// origins calls each with what is known in front of the instructions at these
// addresses, which rise. It calls it for none if the function cannot be followed.
func origins(moves []move, entry, end uintptr, at []uintptr, kind func(callee uintptr) calleeKind, each func(i int, s *scene)) {
	t := &tracer{moves: moves, entry: entry, kind: kind}
	if slices.ContainsFunc(moves, func(m move) bool { return m.act == leaves }) {
		return // it may lead to any instruction
	}
	t.arguments()
	for t.trace(end) {
		if t.clean() {
			t.walk(func(m *move, s *scene) bool {
				if i, ok := slices.BinarySearch(at, m.at); ok {
					each(i, s)
				}
				return true
			})
			return
		}
	}
}

// arguments finds out which register each argument arrives in, from the code that
// saves them while the stack grows. It knows those that come before the first one
// that is not exactly a word, because only these are at the same place in a dump.
func (t *tracer) arguments() {
	at := slices.IndexFunc(t.moves, func(m move) bool { return m.act == calls && t.kind(m.target) == growth })
	first := at
	for first > 0 && (t.moves[first-1].act == stores || t.moves[first-1].act == rests) {
		first--
	}
	for i := first; i >= 0 && i < at && len(t.slots) < maxArguments; i++ {
		m := &t.moves[i]
		if m.act == rests {
			continue
		}
		if m.disp != firstSlot+wordSize*int64(len(t.slots)) || m.size != wordSize {
			return
		}
		t.slots = append(t.slots, m.from)
	}
}

// trace carries what is known along all paths until nothing changes any more. It
// returns false if that takes too long.
func (t *tracer) trace(end uintptr) bool {
	t.targets = make(map[uintptr]scene)
	begin := scene{reached: true}
	for i, reg := range t.slots {
		if reg != 0 && !t.dirty[i] {
			begin.regs[reg] = origin{kind: argument, index: int8(i)}
		}
	}
	t.targets[t.entry] = begin
	for range maxPasses {
		changed := false
		t.walk(func(m *move, s *scene) bool {
			if m.act == jumps || m.act == branches {
				if t.entry <= m.target && m.target < end {
					was := t.targets[m.target]
					now := was.join(*s)
					t.targets[m.target], changed = now, changed || now != was
				}
			}
			return true
		})
		if !changed {
			return true
		}
	}
	return false
}

// walk calls each with what is known in front of each move that is reached.
func (t *tracer) walk(each func(*move, *scene) bool) {
	var s scene
	var last uintptr
	for i := range t.moves {
		m := &t.moves[i]
		if target, ok := t.targets[m.at]; ok && m.at != last {
			s = s.join(target)
		}
		last = m.at
		if !s.reached {
			continue
		}
		if !each(m, &s) {
			return
		}
		t.apply(m, &s)
	}
}

// apply lets a move happen.
func (t *tracer) apply(m *move, s *scene) {
	switch m.act {
	case sets:
		s.regs[m.to] = origin{}
	case copies:
		s.regs[m.to] = s.regs[m.from].plus(m.disp)
	case fixes:
		s.regs[m.to] = origin{kind: fixed, off: int64(m.target)}
	case loads:
		s.regs[m.to] = t.slot(s, m.disp)
	case adjusts:
		s.sp += m.disp
	case forgets, calls:
		s.regs = [maxRegisters + 1]origin{}
	case spoils:
		s.regs, s.lost = [maxRegisters + 1]origin{}, true
	case jumps, leaves, dies:
		*s = scene{}
	}
	if m.act == calls && t.kind(m.target) == noReturn {
		*s = scene{}
	}
}

func (o origin) plus(n int64) origin {
	if o.kind != unknown {
		o.off += n
	}
	return o
}

// slot returns what is in a slot.
func (t *tracer) slot(s *scene, disp int64) origin {
	if at := s.sp + disp - firstSlot; !s.lost && at >= 0 && at%wordSize == 0 {
		if i := at / wordSize; i < int64(len(t.slots)) && !t.dirty[i] {
			return origin{kind: argument, index: int8(i)}
		}
	}
	return origin{}
}

// clean reports whether the slots have the values that the function was called with.
// Those that have not are left out from then on.
func (t *tracer) clean() bool {
	was := t.dirty
	t.walk(func(m *move, s *scene) bool {
		switch m.act {
		case stores:
			t.stored(m, s)
		case points:
			if at := s.sp + m.disp; s.lost || at >= firstSlot {
				t.spoil(0, maxArguments)
			}
		case spoils:
			t.spoil(0, maxArguments)
		}
		return true
	})
	return was == t.dirty
}

// stored marks the slots into which a move stores anything else.
func (t *tracer) stored(m *move, s *scene) {
	if s.lost {
		t.spoil(0, maxArguments)
		return
	}
	at := s.sp + m.disp - firstSlot
	if at+m.size <= 0 {
		return
	}
	first, behind := max(at, 0)/wordSize, (at+m.size+wordSize-1)/wordSize
	if m.size == wordSize && at == first*wordSize && s.regs[m.from] == (origin{kind: argument, index: int8(first)}) {
		return
	}
	t.spoil(first, behind)
}

func (t *tracer) spoil(first, behind int64) {
	for i := first; i < min(behind, maxArguments); i++ {
		t.dirty[i] = true
	}
}

// prove finds out which locks the steps of f work on, as far as the code proves it.
func (f *function) prove() {
	if len(f.sites) == 0 {
		return
	}
	var at []uintptr
	var of []*lock
	for i := range f.steps {
		s := &f.steps[i]
		l := &s.lock
		if s.effect == acquire {
			l = &f.locks[s.site]
		}
		if l.base == 0 || s.effect != acquire && s.effect != release {
			continue
		}
		l.address = 0 // what precedes an instruction need not have been carried out before it
		at, of = append(at, s.at), append(of, l)
	}
	if len(at) == 0 {
		return
	}
	origins(movesOf(f.code, f.entry), f.entry, f.end, at, kindOf, func(i int, s *scene) {
		switch from, l := s.regs[of[i].base], of[i]; from.kind {
		case argument:
			l.index, l.offset = int(from.index)+1, from.off+l.disp
		case fixed:
			l.address = uintptr(from.off + l.disp)
		}
	})
	for i := range f.sites {
		l := &f.locks[i]
		f.sites[i].Address = l.address
		if l.index != 0 && !f.generic() {
			f.sites[i].Argument, f.sites[i].Offset = l.index, l.offset
		}
	}
}

// generic reports whether f is generic, or part of a function that is. Of these, the
// compiler leaves the first parameter out of dumps, however many words that has: it is
// taken for the dictionary, but may be the receiver.
func (f *function) generic() bool { return strings.Contains(f.name, "[") }
