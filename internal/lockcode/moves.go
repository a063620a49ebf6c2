// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lockcode

import (
	"strings"

	"golang.org/x/arch/x86/x86asm"

	"github.com/otelgoroutine/go/internal/framepointer"
)

// vectorSize is how much an instruction may store whose size is not known.
const vectorSize = 64

// movesAMD64 returns what the instructions of a function do to registers and slots.
func movesAMD64(code []byte, from uintptr) (all []move) {
	for i := 0; i < len(code); {
		at := from + uintptr(i)
		inst, err := x86asm.Decode(code[i:], 64)
		if err != nil {
			n, ok := framepointer.AMD64Length(code[i:])
			if !ok {
				return append(all, move{at: at, act: leaves})
			}
			i += n
			all = append(all, move{at: at, act: spoils})
			continue
		}
		i += inst.Len
		n := len(all)
		all = appendMoves(all, &inst, from+uintptr(i))
		if len(all) == n {
			all = append(all, move{})
		}
		for k := n; k < len(all); k++ {
			all[k].at = at
		}
	}
	return all
}

// appendMoves appends what one instruction does. end is the address behind it.
func appendMoves(all []move, inst *x86asm.Inst, end uintptr) []move {
	if flow, ok := flowMove(inst, end); ok {
		return append(all, flow)
	}
	switch inst.Op {
	case x86asm.PUSH:
		return append(all, move{act: adjusts, disp: -wordSize})
	case x86asm.POP:
		return append(written(all, inst, 0), move{act: adjusts, disp: wordSize})
	case x86asm.MOV:
		return append(all, moveOf(inst))
	case x86asm.LEA:
		return append(all, addressOf(inst, end)...)
	case x86asm.ADD, x86asm.SUB:
		return append(all, sumOf(inst))
	case x86asm.XCHG, x86asm.XADD:
		return written(written(all, inst, 0), inst, 1)
	case x86asm.CMPXCHG:
		return append(written(all, inst, 0), move{act: sets, to: firstRegister})
	case x86asm.CMP, x86asm.TEST, x86asm.NOP, x86asm.BT, x86asm.UCOMISD, x86asm.UCOMISS:
		return all
	}
	all = written(all, inst, 0)
	if !writesFirst(inst) {
		all = append(all, move{act: forgets})
	}
	return all
}

// flowMove returns what an instruction does to the control flow.
func flowMove(inst *x86asm.Inst, end uintptr) (m move, ok bool) {
	rel, relative := inst.Args[0].(x86asm.Rel)
	if relative {
		m.target = end + uintptr(int64(rel))
	}
	switch {
	case inst.Op == x86asm.CALL:
		m.act = calls
	case inst.Op == x86asm.JMP && relative:
		m.act = jumps
	case inst.Op == x86asm.JMP:
		m.act = leaves
	case inst.Op == x86asm.RET, inst.Op == x86asm.UD2, inst.Op == x86asm.INT:
		m.act = dies
	case relative:
		m.act = branches
	default:
		return m, false
	}
	return m, true
}

// moveOf returns what a MOV does.
func moveOf(inst *x86asm.Inst) move {
	to, whole := registerOf(inst.Args[0])
	switch {
	case to == stackPointer:
		return move{act: spoils}
	case to == 0:
		return storeOf(inst, 0, inst.Args[1])
	case !whole:
		return move{act: sets, to: to}
	}
	switch from := inst.Args[1].(type) {
	case x86asm.Reg:
		if from == x86asm.RSP {
			return move{act: points} // of a local variable; not of an argument
		}
		if reg, ok := registerOf(from); ok {
			return move{act: copies, to: to, from: reg}
		}
	case x86asm.Mem:
		if from.Base == x86asm.RSP && from.Index == 0 && from.Segment == 0 {
			return move{act: loads, to: to, disp: from.Disp}
		}
	}
	return move{act: sets, to: to}
}

// addressOf returns what a LEA does.
func addressOf(inst *x86asm.Inst, end uintptr) []move {
	to, whole := registerOf(inst.Args[0])
	mem, ok := inst.Args[1].(x86asm.Mem)
	base, _ := registerOf(mem.Base)
	switch {
	case !ok || to == 0:
		return []move{{act: forgets}}
	case to == stackPointer && mem.Base == x86asm.RSP && mem.Index == 0:
		return []move{{act: adjusts, disp: mem.Disp}}
	case to == stackPointer:
		return []move{{act: spoils}}
	case mem.Base == x86asm.RSP || mem.Index == x86asm.RSP:
		return []move{{act: points, disp: mem.Disp}, {act: sets, to: to}}
	case !whole || mem.Index != 0:
	case mem.Base == x86asm.RIP:
		return []move{{act: fixes, to: to, target: end + uintptr(mem.Disp)}}
	case base != 0:
		return []move{{act: copies, to: to, from: base, disp: mem.Disp}}
	}
	return []move{{act: sets, to: to}}
}

// sumOf returns what an ADD or a SUB does.
func sumOf(inst *x86asm.Inst) move {
	to, whole := registerOf(inst.Args[0])
	if to == 0 {
		return storeOf(inst, 0, nil)
	}
	imm, ok := inst.Args[1].(x86asm.Imm)
	n := int64(imm)
	if inst.Op == x86asm.SUB {
		n = -n
	}
	switch {
	case to == stackPointer && ok && whole:
		return move{act: adjusts, disp: n}
	case to == stackPointer:
		return move{act: spoils}
	case ok && whole:
		return move{act: copies, to: to, from: to, disp: n}
	}
	return move{act: sets, to: to}
}

// written appends that an operand is overwritten with anything.
func written(all []move, inst *x86asm.Inst, i int) []move {
	switch to, _ := registerOf(inst.Args[i]); {
	case to == stackPointer:
		return append(all, move{act: spoils})
	case to != 0:
		return append(all, move{act: sets, to: to})
	}
	if _, ok := inst.Args[i].(x86asm.Mem); ok {
		return append(all, storeOf(inst, i, nil))
	}
	return all
}

// storeOf returns the move that writes an operand in memory, or one that does nothing
// if that is no slot: what is elsewhere is nothing that is known.
func storeOf(inst *x86asm.Inst, i int, from x86asm.Arg) move {
	mem, ok := inst.Args[i].(x86asm.Mem)
	switch {
	case !ok || mem.Base != x86asm.RSP && mem.Index != x86asm.RSP:
		return move{}
	case mem.Index != 0:
		return move{act: spoils}
	}
	m := move{act: stores, disp: mem.Disp, size: int64(inst.MemBytes)}
	if reg, whole := registerOf(from); whole {
		m.from = reg
	}
	if m.size == 0 {
		m.size = vectorSize
	}
	return m
}

// registerOf returns the register that an operand is, or is a part of, and whether it
// is the whole of it.
func registerOf(arg x86asm.Arg) (r register, whole bool) {
	reg, ok := arg.(x86asm.Reg)
	switch {
	case !ok:
		return 0, false
	case reg >= x86asm.RAX && reg <= x86asm.R15:
		return register(reg-x86asm.RAX) + 1, true
	case reg >= x86asm.EAX && reg <= x86asm.R15L:
		return register(reg-x86asm.EAX) + 1, false
	case reg >= x86asm.AX && reg <= x86asm.R15W:
		return register(reg-x86asm.AX) + 1, false
	case reg >= x86asm.SPB && reg <= x86asm.R15B:
		return register(reg-x86asm.SPB) + stackPointer, false
	case reg >= x86asm.AH && reg <= x86asm.BH:
		return register(reg-x86asm.AH) + 1, false
	case reg >= x86asm.AL && reg <= x86asm.BL:
		return register(reg-x86asm.AL) + 1, false
	}
	return 0, false
}

// writesFirst reports whether an instruction writes no register but its first operand.
// Of others than these that is not known.
func writesFirst(inst *x86asm.Inst) bool {
	switch inst.Op {
	case x86asm.AND, x86asm.OR, x86asm.XOR, x86asm.ADC, x86asm.SBB, x86asm.INC, x86asm.DEC, x86asm.NEG, x86asm.NOT,
		x86asm.SHL, x86asm.SHR, x86asm.SAR, x86asm.ROL, x86asm.ROR, x86asm.BSWAP, x86asm.BSF, x86asm.BSR,
		x86asm.MOVZX, x86asm.MOVSX, x86asm.MOVSXD, x86asm.MOVD, x86asm.MOVQ, x86asm.MOVUPS, x86asm.MOVAPS,
		x86asm.MOVUPD, x86asm.MOVDQU, x86asm.MOVSS, x86asm.MOVSD_XMM, x86asm.XORPS, x86asm.PXOR, x86asm.POPCNT:
		return true
	case x86asm.IMUL:
		return inst.Args[1] != nil
	}
	name := inst.Op.String()
	return strings.HasPrefix(name, "SET") || strings.HasPrefix(name, "CMOV") || strings.HasPrefix(name, "CVT")
}
