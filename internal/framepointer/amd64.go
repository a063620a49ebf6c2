// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package framepointer

import "golang.org/x/arch/x86/x86asm"

// trap is what the linker puts between functions. Code is decoded with some
// behind it, so that the last instruction is like any other.
var trap = [maxInstruction]byte{0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC}

// framePointer is the number of the register in machine code.
const framePointer = 5

// readAMD64 appends the steps of a function. Bytes that are no known
// instruction, such as a table between functions, are passed over: where the
// next instruction begins is found again within a few.
func readAMD64(steps []step, code []byte, from uint64) []step {
	saved := make(map[x86asm.Reg]bool) // registers that the frame pointer was copied to
	size := len(code)
	code = append(code, trap[:]...)
	for i := 0; i < size; {
		at := from + uint64(i)
		if g, ok := glanceAt(code[i:]); ok {
			switch {
			case g.direct != none:
				steps = append(steps, step{effect: g.direct, at: at, target: at + uint64(g.length) + uint64(g.offset)})
			case g.matters || len(saved) > 0:
				steps = append(steps, decodeAMD64(code[i:i+g.length], at, saved)...)
			}
			i += g.length
		} else if e, ok := decodeEscaped(code[i:]); ok {
			steps = append(steps, e.steps(at, saved)...)
			i += e.length
		} else {
			i++
		}
	}
	return steps
}

// decodeAMD64 returns the steps of one instruction.
func decodeAMD64(code []byte, at uint64, saved map[x86asm.Reg]bool) []step {
	inst, err := x86asm.Decode(code, 64)
	if err != nil {
		return nil
	}
	return stepsAMD64(&inst, at, saved)
}

func (e escaped) steps(at uint64, saved map[x86asm.Reg]bool) (steps []step) {
	if vector := x86asm.X0 + x86asm.Reg(e.vector); saved[vector] {
		steps = append(steps, step{effect: clobber, at: at, slot: slot{kind: register, base: int(vector)}})
	}
	for _, r := range e.writes {
		reg := x86asm.RAX + x86asm.Reg(r)
		switch {
		case r == framePointer:
			steps = append(steps, step{effect: spoil, at: at})
		case r >= 0 && saved[reg]:
			steps = append(steps, step{effect: clobber, at: at, slot: slot{kind: register, base: int(reg)}})
		}
	}
	return steps
}

func stepsAMD64(inst *x86asm.Inst, at uint64, saved map[x86asm.Reg]bool) []step {
	if s := controlAMD64(inst, at); s.effect != none {
		return []step{s}
	}
	first, _ := inst.Args[0].(x86asm.Reg)
	switch {
	case inst.Op == x86asm.LEAVE:
		return []step{{effect: restore, at: at, slot: slot{kind: pushed}}}
	case inst.Op == x86asm.ENTER:
		return []step{{effect: save, at: at, slot: slot{kind: pushed}}, {effect: frame, at: at}}
	case inst.Op == x86asm.PUSH && first == x86asm.RBP:
		return []step{{effect: save, at: at, slot: slot{kind: pushed}}}
	case inst.Op == x86asm.POP && first == x86asm.RBP:
		return []step{{effect: restore, at: at, slot: slot{kind: pushed}}}
	case isMove(inst.Op) && inst.Args[1] == x86asm.RBP:
		to, ok := place(inst.Args[0])
		if !ok {
			return nil
		}
		if to.kind == register {
			saved[first] = true
		}
		return []step{{effect: save, at: at, slot: to}}
	}
	return writesAMD64(inst, at, saved)
}

// writesAMD64 returns what an instruction writes, as far as it matters.
func writesAMD64(inst *x86asm.Inst, at uint64, saved map[x86asm.Reg]bool) (steps []step) {
	for _, arg := range written(inst) {
		reg, ok := arg.(x86asm.Reg)
		switch {
		case !ok:
		case isFramePointer(reg):
			steps = append(steps, step{effect: writeAMD64(inst, reg), at: at})
			if from, ok := place(inst.Args[1]); ok && steps[len(steps)-1].effect == restore {
				steps[len(steps)-1].slot = from
			}
		case saved[whole(reg)]:
			steps = append(steps, step{effect: clobber, at: at, slot: slot{kind: register, base: int(whole(reg))}})
		}
	}
	for _, reg := range unnamed[inst.Op] {
		if saved[reg] && (inst.Op != x86asm.IMUL || inst.Args[1] == nil) {
			steps = append(steps, step{effect: clobber, at: at, slot: slot{kind: register, base: int(reg)}})
		}
	}
	return steps
}

// unnamed are the registers that instructions write and do not name.
var unnamed = map[x86asm.Op][]x86asm.Reg{
	x86asm.MUL:        {x86asm.RAX, x86asm.RDX},
	x86asm.IMUL:       {x86asm.RAX, x86asm.RDX}, // if it has one operand
	x86asm.DIV:        {x86asm.RAX, x86asm.RDX},
	x86asm.IDIV:       {x86asm.RAX, x86asm.RDX},
	x86asm.CDQ:        {x86asm.RDX},
	x86asm.CQO:        {x86asm.RDX},
	x86asm.CDQE:       {x86asm.RAX},
	x86asm.CMPXCHG:    {x86asm.RAX},
	x86asm.CMPXCHG16B: {x86asm.RAX, x86asm.RDX},
	x86asm.CPUID:      {x86asm.RAX, x86asm.RBX, x86asm.RCX, x86asm.RDX},
	x86asm.RDTSC:      {x86asm.RAX, x86asm.RDX},
	x86asm.RDTSCP:     {x86asm.RAX, x86asm.RCX, x86asm.RDX},
	x86asm.XGETBV:     {x86asm.RAX, x86asm.RDX},
	x86asm.SYSCALL:    {x86asm.RAX, x86asm.RCX, x86asm.R11},
	x86asm.LODSB:      {x86asm.RAX, x86asm.RSI, x86asm.RCX},
	x86asm.LODSQ:      {x86asm.RAX, x86asm.RSI, x86asm.RCX},
	x86asm.MOVSB:      {x86asm.RDI, x86asm.RSI, x86asm.RCX},
	x86asm.MOVSQ:      {x86asm.RDI, x86asm.RSI, x86asm.RCX},
	x86asm.STOSB:      {x86asm.RDI, x86asm.RCX},
	x86asm.STOSQ:      {x86asm.RDI, x86asm.RCX},
	x86asm.SCASB:      {x86asm.RDI, x86asm.RCX},
	x86asm.CMPSB:      {x86asm.RDI, x86asm.RSI, x86asm.RCX},
}

// writeAMD64 returns what a write to the frame pointer is.
func writeAMD64(inst *x86asm.Inst, reg x86asm.Reg) effect {
	if reg != x86asm.RBP {
		return spoil
	}
	if from, ok := inst.Args[1].(x86asm.Mem); ok && inst.Op == x86asm.LEA && from.Base == x86asm.RSP && from.Index == 0 {
		return frame
	}
	switch {
	case !isMove(inst.Op):
		return spoil
	case inst.Args[1] == x86asm.RSP:
		return frame
	}
	if _, ok := place(inst.Args[1]); ok {
		return restore
	}
	return spoil
}

// controlAMD64 returns the step of an instruction that changes the control
// flow, other than a direct jump or call.
func controlAMD64(inst *x86asm.Inst, at uint64) step {
	switch inst.Op {
	case x86asm.RET, x86asm.LRET, x86asm.IRETQ:
		return step{effect: exit, at: at}
	case x86asm.JMP:
		return step{effect: indirect, at: at}
	case x86asm.CALL:
		return step{effect: call, at: at, target: elsewhere}
	case x86asm.UD2, x86asm.HLT:
		return step{effect: jump, at: at, target: at} // to nowhere
	}
	return step{}
}

func isMove(op x86asm.Op) bool {
	return op == x86asm.MOV || op == x86asm.MOVQ
}

// place returns the slot that an operand is.
func place(arg x86asm.Arg) (slot, bool) {
	switch arg := arg.(type) {
	case x86asm.Mem:
		return slot{stored, int(arg.Base)<<16 | int(arg.Index)<<8 | int(arg.Scale), arg.Disp}, true
	case x86asm.Reg:
		return slot{kind: register, base: int(whole(arg))}, !isFramePointer(arg) && arg != x86asm.RSP
	}
	return slot{}, false
}

// written returns the operands that an instruction writes.
func written(inst *x86asm.Inst) []x86asm.Arg {
	switch inst.Op {
	case x86asm.CMP, x86asm.TEST, x86asm.BT, x86asm.PUSH, x86asm.CALL, x86asm.NOP,
		x86asm.MUL, x86asm.DIV, x86asm.IDIV, x86asm.OUT:
		return nil
	case x86asm.IMUL:
		if inst.Args[1] == nil {
			return nil
		}
	case x86asm.XCHG, x86asm.XADD:
		return inst.Args[:2]
	}
	return inst.Args[:1]
}

func isFramePointer(r x86asm.Reg) bool { return whole(r) == x86asm.RBP }

// whole returns the 64-bit register that a general register is part of.
func whole(r x86asm.Reg) x86asm.Reg {
	switch {
	case r >= x86asm.AL && r <= x86asm.BL:
		return r - x86asm.AL + x86asm.RAX
	case r >= x86asm.AH && r <= x86asm.BH:
		return r - x86asm.AH + x86asm.RAX
	case r >= x86asm.SPB && r <= x86asm.R15B:
		return r - x86asm.SPB + x86asm.RSP
	case r >= x86asm.AX && r <= x86asm.R15W:
		return r - x86asm.AX + x86asm.RAX
	case r >= x86asm.EAX && r <= x86asm.R15L:
		return r - x86asm.EAX + x86asm.RAX
	}
	return r
}
