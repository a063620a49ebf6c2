// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package framepointer

import (
	"errors"
	"slices"
	"sort"
)

// An effect is what one instruction does to the frame pointer, or to the
// control flow that leads from one such instruction to the next.
type effect uint8

const (
	none      effect = iota
	save             // the frame pointer is stored in a slot
	restore          // the frame pointer is loaded from a slot
	clobber          // a slot gets another value
	recompute        // the frame pointer becomes that of the caller, by arithmetic
	frame            // the frame pointer is set up for a frame
	spoil            // the frame pointer gets any other value
	call             // to target
	jump             // to target
	branch           // to target, or on
	indirect         // a jump to an address that is computed
	exit             // the function returns
)

// A step is an instruction that matters. Offsets are those of the text section.
type step struct {
	effect effect
	at     uint64
	slot   slot
	target uint64
}

// ends reports whether nothing that follows a step in memory follows it in time.
func (s step) ends() bool { return s.effect == jump || s.effect == indirect || s.effect == exit }

// A slot is where a function keeps the frame pointer of its caller: on the
// stack below what was pushed, at an offset from a register, or in a register.
type slot struct {
	kind   slotKind
	base   int
	offset int64
}

type slotKind uint8

const (
	pushed slotKind = iota
	stored
	register
)

const (
	// maxSlots bounds the slots that are told apart; each is a bit.
	maxSlots = 64
	// maxPasses bounds how often the instructions of a function are visited. Real
	// code takes fewer than ten passes.
	maxPasses = 200
)

// A state is what is known before an instruction. Bits of saved are slots that
// hold the frame pointer of the caller.
type state struct {
	reached bool
	changed bool // the frame pointer may differ from that of the caller
	wild    bool // it may be no frame pointer at all
	saved   uint64
}

// join returns what is known where two paths meet.
func (s state) join(o state) state {
	switch {
	case !s.reached:
		return o
	case !o.reached:
		return s
	}
	return state{true, s.changed || o.changed, s.wild || o.wild, s.saved & o.saved}
}

// A flow follows the frame pointer through one function.
type flow struct {
	from, to uint64 // of the function
	steps    []step // by address
	slots    []slot
	// registers has the bits of the slots that are registers.
	registers uint64
	before    []state // each step
	computed  state   // at any indirect jump: it may lead to any step that nothing else leads to
}

// spoils reports whether a function may return with a frame pointer that is not
// that of its caller, or jump to another function with it. calls are the
// functions that it calls while the frame pointer is none.
//
// Each instruction is visited with every state that may precede it, so that
// what counts is the way that a path through the function takes, and not the
// order of the instructions.
func (f *flow) spoils() (spoils bool, calls []uint64, err error) {
	if !slices.ContainsFunc(f.steps, func(s step) bool { return s.effect == spoil || s.effect == frame || s.effect == restore }) {
		return false, nil, nil
	}
	f.before = make([]state, len(f.steps))
	if !f.settle() {
		return false, nil, errors.New("its jumps are nested too deeply")
	}
	for i, s := range f.steps {
		b := f.before[i]
		switch {
		case !b.reached:
		case s.effect == exit && b.changed:
			spoils = true
		case (s.effect == jump || s.effect == branch) && b.changed && !f.within(s.target):
			spoils = true
		case s.effect == call && b.wild:
			calls = append(calls, s.target)
		}
	}
	return spoils, calls, nil
}

func (f *flow) within(pc uint64) bool { return f.from <= pc && pc < f.to }

// settle computes the state before each step. It returns false if there is no
// end to it: states only ever get worse, but that takes long where jumps back
// are nested without limit.
func (f *flow) settle() bool {
	f.reach(0, state{reached: true})
	changed := true
	for pass := 0; changed; pass++ {
		if pass == maxPasses {
			return false
		}
		changed = false
		for i := range f.steps {
			if f.before[i].reached {
				changed = f.follow(i) || changed
			}
		}
		if !changed && f.computed.reached {
			changed = f.reachUnreached()
		}
	}
	return true
}

// follow carries the state past a step to those that come next.
func (f *flow) follow(i int) (changed bool) {
	s, after := f.steps[i], f.after(i)
	switch s.effect {
	case exit:
		return false
	case indirect:
		f.computed = f.computed.join(after)
		return false
	case jump:
		return f.within(s.target) && f.reach(f.index(s.target), after)
	case branch:
		changed = f.within(s.target) && f.reach(f.index(s.target), after)
	}
	return f.reach(i+1, after) || changed
}

// reachUnreached lets indirect jumps lead to whatever follows the end of a path
// and is not known to be reached otherwise.
func (f *flow) reachUnreached() (changed bool) {
	for i := range f.before {
		if !f.before[i].reached && i > 0 && f.steps[i-1].ends() {
			changed = f.reach(i, f.computed) || changed
		}
	}
	return changed
}

func (f *flow) reach(i int, s state) (changed bool) {
	if i >= len(f.before) {
		return false
	}
	joined := f.before[i].join(s)
	changed = joined != f.before[i]
	f.before[i] = joined
	return changed
}

// index returns the first step at an address or behind it.
func (f *flow) index(pc uint64) int {
	return sort.Search(len(f.steps), func(i int) bool { return f.steps[i].at >= pc })
}

// after returns the state after a step.
func (f *flow) after(i int) state {
	s, step := f.before[i], f.steps[i]
	bit := f.bit(step)
	switch step.effect {
	case save:
		switch {
		case !s.changed:
			s.saved |= bit
		case step.slot.kind != pushed: // what was pushed before is still there
			s.saved &^= bit
		}
	case clobber:
		s.saved &^= bit
	case call: // in the calling conventions of Go no register but the frame pointer survives
		s.saved &^= f.registers
	case restore:
		whole := s.saved&bit != 0
		s.changed, s.wild = !whole, !whole
	case recompute:
		s.changed, s.wild = false, false
	case frame:
		s.changed, s.wild = true, false
	case spoil:
		s.changed, s.wild = true, true
	}
	return s
}

// bit returns the bit of a slot, and none from the slot after maxSlots on.
func (f *flow) bit(s step) uint64 {
	if s.effect != save && s.effect != restore && s.effect != clobber {
		return 0
	}
	i := slices.Index(f.slots, s.slot)
	if i < 0 && s.effect == save && len(f.slots) < maxSlots {
		i = len(f.slots)
		f.slots = append(f.slots, s.slot)
		if s.slot.kind == register {
			f.registers |= 1 << i
		}
	}
	if i < 0 {
		return 0
	}
	return 1 << i
}
