// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lockcode

import (
	"golang.org/x/arch/x86/x86asm"

	"github.com/otelgoroutine/go/internal/framepointer"
)

// back is how many instructions before one that uses a register are searched for
// the one that sets it.
const back = 8

// A machine decodes the instructions of a function one after another.
type machine struct {
	code   []byte
	from   uintptr
	recent []x86asm.Inst // up to the current one
	ends   []uintptr     // of them
}

// decodeAMD64 calls each for every instruction that matters. It returns false for
// code that it cannot read.
func decodeAMD64(code []byte, from uintptr, each func(step)) bool {
	m := &machine{code: code, from: from}
	for i := 0; i < len(code); {
		inst, err := x86asm.Decode(code[i:], 64)
		if err != nil {
			n, ok := framepointer.AMD64Length(code[i:])
			if !ok {
				return false
			}
			i += n
			m.recent, m.ends = m.recent[:0], m.ends[:0]
			continue
		}
		at := from + uintptr(i)
		i += inst.Len
		m.recent, m.ends = append(m.recent, inst), append(m.ends, at+uintptr(inst.Len))
		if s, ok := m.step(at); ok {
			each(s)
		}
	}
	return true
}

// step returns the step of the newest instruction, if it matters.
func (m *machine) step(at uintptr) (s step, ok bool) {
	inst, end := &m.recent[len(m.recent)-1], m.ends[len(m.ends)-1]
	s = step{at: at, next: end}
	rel, relative := inst.Args[0].(x86asm.Rel)
	if relative {
		s.target = end + uintptr(int64(rel))
	}
	switch inst.Op {
	case x86asm.RET:
		s.flow = exit
	case x86asm.UD2, x86asm.INT:
		s.flow = stop
	case x86asm.JMP:
		s.flow = computed
		if relative {
			s.flow = jump
		}
	case x86asm.CALL:
		s.effect = indirect
		if relative {
			s.effect = direct
			s.lock = m.argument()
		}
	case x86asm.LEA:
		mem, _ := inst.Args[1].(x86asm.Mem)
		if mem.Base != x86asm.RIP {
			return s, false
		}
		s.target = end + uintptr(mem.Disp) // perhaps the code of a closure
	default:
		switch {
		case relative:
			s.flow = branch
		case locked(inst):
			s.lock, s.atomic = m.operand(inst, end), add
			if inst.Op == x86asm.CMPXCHG {
				s.atomic = swap
			}
		default:
			return s, false
		}
	}
	return s, true
}

func locked(inst *x86asm.Inst) bool {
	for _, p := range inst.Prefix {
		if p&^x86asm.PrefixImplicit == x86asm.PrefixLOCK {
			return true
		}
	}
	return inst.Op == x86asm.XCHG
}

// operand returns the address or the offset that an atomic instruction works on.
func (m *machine) operand(inst *x86asm.Inst, end uintptr) lock {
	for _, arg := range inst.Args {
		if mem, ok := arg.(x86asm.Mem); ok {
			return m.pointer(mem, end)
		}
	}
	return lock{}
}

// argument returns the same for the first argument of a call.
func (m *machine) argument() lock {
	l := lock{base: firstRegister}
	inst, i := m.sets(x86asm.RAX)
	if inst == nil {
		return l
	}
	switch from := inst.Args[1].(type) {
	case x86asm.Mem:
		if inst.Op == x86asm.LEA {
			l = m.pointer(from, m.ends[i])
			l.base, l.disp = firstRegister, 0
		}
	case x86asm.Reg:
		if inst.Op == x86asm.MOV {
			l.based = true
		}
	}
	return l
}

// pointer returns what an address consists of.
func (m *machine) pointer(mem x86asm.Mem, end uintptr) lock {
	switch {
	case mem.Base == x86asm.RIP:
		return lock{address: end + uintptr(mem.Disp)}
	case mem.Index != 0:
		return lock{}
	}
	base, _ := registerOf(mem.Base)
	l := lock{base: base, disp: mem.Disp}
	if inst, i := m.sets(mem.Base); inst != nil && inst.Op == x86asm.LEA {
		if from, ok := inst.Args[1].(x86asm.Mem); ok && from.Base == x86asm.RIP {
			l.address = m.ends[i] + uintptr(from.Disp) + uintptr(mem.Disp)
		}
		return l
	}
	l.based, l.offset = true, mem.Disp
	return l
}

// sets returns which of the last instructions has set a register, or nil.
func (m *machine) sets(reg x86asm.Reg) (*x86asm.Inst, int) {
	last := len(m.recent) - 2
	for i := last; i >= 0 && i > last-back; i-- {
		inst := &m.recent[i]
		if inst.Op == x86asm.CALL {
			return nil, 0
		}
		if to, ok := inst.Args[0].(x86asm.Reg); ok && to == reg {
			return inst, i
		}
	}
	return nil, 0
}
