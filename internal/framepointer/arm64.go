// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package framepointer

import (
	"encoding/binary"

	"golang.org/x/arch/arm64/arm64asm"
)

// readARM64 appends the steps of a function. Words that cannot be decoded are
// data or instructions newer than the decoder. Of those, only atomic ones write a
// general register.
func readARM64(steps []step, code []byte, from uint64) []step {
	saved := make(map[arm64asm.Reg]bool)
	for i := 0; i+4 <= len(code); i += 4 {
		if n := frameEnd(code[i:]); n > 0 {
			steps = append(steps, step{effect: recompute, at: from + uint64(i)})
			i += n - 4
			continue
		}
		word, at := binary.LittleEndian.Uint32(code[i:]), from+uint64(i)
		if !mayMatter(word, len(saved) > 0) {
			continue
		}
		inst, err := arm64asm.Decode(code[i : i+4])
		switch {
		case err == nil:
			steps = append(steps, stepsARM64(&inst, at, saved)...)
		case atomicallyWrites(word):
			steps = append(steps, step{effect: spoil, at: at})
		}
	}
	return steps
}

// mayMatter reports whether a word may be a branch or name the frame pointer,
// because decoding takes a thousand times longer. Every field for a register is
// checked, whether or not the word has it.
func mayMatter(word uint32, saved bool) bool {
	const fp, beforeFP = 29, 28                                // the second of a pair is not named
	if saved || word>>26&0b111 == 0b101 && word>>29 != 0b111 { // branches and system
		return true
	}
	rd, rn, rt2, rm := word&31, word>>5&31, word>>10&31, word>>16&31
	switch {
	case word>>25&0b111 == 0b111: // on vectors; the result may be in a general register
		return rd == fp
	case word>>25&0b101 == 0b100 && word>>26&1 == 1: // load and store vectors; the base may be moved on
		return rn == fp
	}
	return rd == fp || rn == fp || rt2 == fp || rm == fp || rd == beforeFP || rm == beforeFP
}

// frameEnd returns the length of the code that code begins with, if that is how
// the assembler ends a function that calls no other, and else 0. The frame pointer
// of the caller, which is eight bytes below the end of the frame, is computed and
// not loaded, and then the frame is dropped:
//
//	ADD $size-8, RSP, R29
//	ADD $size, RSP, RSP
func frameEnd(code []byte) int {
	const fp, sp = 29, 31
	offset, pop := sumOfAdds(code, fp)
	if offset == 0 {
		return 0
	}
	size, rest := sumOfAdds(pop, sp)
	if size != offset+8 {
		return 0
	}
	return len(code) - len(rest)
}

// sumOfAdds returns the constant that is added to the stack pointer, into the
// register to, and the code behind the addition. The assembler takes one
// instruction for twelve bits, two for 24, or another register.
func sumOfAdds(code []byte, to uint32) (sum uint32, rest []byte) {
	const sp, other = 31, 27
	from := uint32(sp)
	for ; len(code) >= 4; code = code[4:] {
		word := binary.LittleEndian.Uint32(code)
		switch {
		case word&0xFF8003FF == 0x91000000|from<<5|to && from != other: // ADD of a constant
			sum += word >> 10 & 0xFFF << (word >> 22 & 1 * 12)
			from = to
		case word&0xFFE0001F == 0xD2800000|other && sum == 0: // MOVZ
			sum, from = word>>5&0xFFFF, other
		case word&0xFFE0001F == 0xF2A00000|other && from == other: // MOVK of the upper half
			sum |= word >> 5 & 0xFFFF << 16
		case word == 0x8B206000|other<<16|sp<<5|to && from == other: // ADD of the register
			return sum, code[4:]
		default:
			return sum, code
		}
	}
	return sum, code
}

// atomicallyWrites reports whether a word is an instruction of the Large System
// Extensions that loads the old value of memory into the frame pointer.
func atomicallyWrites(word uint32) bool {
	const fp = 29
	switch {
	case word&0x3F200C00 == 0x38200000: // LDADD and the like, SWP
		return word&31 == fp
	case word&0x3FA07C00 == 0x08A07C00: // CAS
		return word>>16&31 == fp
	case word&0xBFA07C00 == 0x08207C00: // CASP, of two registers
		return word>>16&30 == fp-1
	}
	return false
}

func stepsARM64(inst *arm64asm.Inst, at uint64, saved map[arm64asm.Reg]bool) []step {
	if s := controlARM64(inst, at); s.effect != none {
		return []step{s}
	}
	switch inst.Op {
	case arm64asm.STP, arm64asm.STR, arm64asm.STUR:
		if touches(inst.Args[0]) || inst.Op == arm64asm.STP && touches(inst.Args[1]) {
			return []step{{effect: save, at: at, slot: slot{kind: stored}}}
		}
	case arm64asm.LDP, arm64asm.LDR, arm64asm.LDUR:
		if inst.Args[0] == arm64asm.X29 || inst.Op == arm64asm.LDP && inst.Args[1] == arm64asm.X29 {
			return []step{{effect: restore, at: at, slot: slot{kind: stored}}}
		}
	case arm64asm.MOV, arm64asm.ORR:
		if to, ok := inst.Args[0].(arm64asm.Reg); ok && copied(inst) == arm64asm.X29 {
			saved[to] = true
			return []step{{effect: save, at: at, slot: slot{kind: register, base: int(to)}}}
		}
	}
	return writesARM64(inst, at, saved)
}

// copied returns the register that an instruction copies whole, or 0.
func copied(inst *arm64asm.Inst) arm64asm.Reg {
	from := inst.Args[1]
	if inst.Op == arm64asm.ORR {
		if from != arm64asm.XZR {
			return 0
		}
		from = inst.Args[2]
	}
	reg, _ := from.(arm64asm.Reg)
	return reg
}

// writesARM64 returns what an instruction writes, as far as it matters.
func writesARM64(inst *arm64asm.Inst, at uint64, saved map[arm64asm.Reg]bool) (steps []step) {
	for _, reg := range writtenARM64(inst) {
		switch {
		case reg == arm64asm.X29:
			steps = append(steps, writeARM64(inst, at))
		case saved[reg]:
			steps = append(steps, step{effect: clobber, at: at, slot: slot{kind: register, base: int(reg)}})
		}
	}
	return steps
}

// writeARM64 returns what a write to the frame pointer is.
func writeARM64(inst *arm64asm.Inst, at uint64) step {
	if len(inst.Args) > 1 && inst.Args[1] == arm64asm.RegSP(arm64asm.SP) { // MOV, ADD and SUB
		return step{effect: frame, at: at}
	}
	if from := copied(inst); (inst.Op == arm64asm.MOV || inst.Op == arm64asm.ORR) && from > arm64asm.WZR && from < arm64asm.XZR {
		return step{effect: restore, at: at, slot: slot{kind: register, base: int(from)}}
	}
	return step{effect: spoil, at: at}
}

// controlARM64 returns the step of an instruction that changes the control
// flow.
func controlARM64(inst *arm64asm.Inst, at uint64) step {
	s := step{at: at}
	for _, arg := range inst.Args {
		if rel, ok := arg.(arm64asm.PCRel); ok {
			s.target = at + uint64(int64(rel))
		}
	}
	switch inst.Op {
	case arm64asm.RET:
		s.effect = exit
	case arm64asm.BL:
		s.effect = call
	case arm64asm.BLR:
		s.effect, s.target = call, elsewhere
	case arm64asm.BR:
		s.effect = indirect
	case arm64asm.B:
		s.effect = jump
		if _, conditional := inst.Args[0].(arm64asm.Cond); conditional {
			s.effect = branch
		}
	case arm64asm.CBZ, arm64asm.CBNZ, arm64asm.TBZ, arm64asm.TBNZ:
		s.effect = branch
	case arm64asm.BRK, arm64asm.HLT:
		s.effect, s.target = jump, at // to nowhere
	}
	return s
}

// writtenARM64 returns the general registers that an instruction writes, each
// by its 64-bit name: the first operand but for stores, comparisons and the
// like, the second one of a load of two, and a base that is moved on.
func writtenARM64(inst *arm64asm.Inst) (regs []arm64asm.Reg) {
	add := func(arg arm64asm.Arg) {
		switch r := arg.(type) {
		case arm64asm.Reg:
			regs = append(regs, wholeARM64(r))
		case arm64asm.RegSP:
			regs = append(regs, wholeARM64(arm64asm.Reg(r)))
		}
	}
	for _, arg := range inst.Args {
		if m, ok := arg.(arm64asm.MemImmediate); ok && (m.Mode == arm64asm.AddrPreIndex || m.Mode == arm64asm.AddrPostIndex || m.Mode == arm64asm.AddrPostReg) {
			add(m.Base)
		}
	}
	switch {
	case readsFirst[inst.Op]:
		return regs
	case inst.Op == arm64asm.LDP || inst.Op == arm64asm.LDPSW || inst.Op == arm64asm.LDNP || inst.Op == arm64asm.LDXP || inst.Op == arm64asm.LDAXP:
		add(inst.Args[1])
	}
	add(inst.Args[0])
	return regs
}

// readsFirst are the instructions with a general register as the first operand
// that they do not write. Those that store exclusively write whether they did.
var readsFirst = map[arm64asm.Op]bool{
	arm64asm.STR: true, arm64asm.STUR: true, arm64asm.STP: true, arm64asm.STNP: true,
	arm64asm.STRB: true, arm64asm.STURB: true, arm64asm.STRH: true, arm64asm.STURH: true,
	arm64asm.STTR: true, arm64asm.STTRB: true, arm64asm.STTRH: true,
	arm64asm.STLR: true, arm64asm.STLRB: true, arm64asm.STLRH: true,
	arm64asm.CMP: true, arm64asm.CMN: true, arm64asm.TST: true, arm64asm.CCMP: true, arm64asm.CCMN: true,
	arm64asm.BLR: true, arm64asm.BR: true, arm64asm.RET: true, arm64asm.MSR: true,
	arm64asm.CBZ: true, arm64asm.CBNZ: true, arm64asm.TBZ: true, arm64asm.TBNZ: true,
}

func touches(arg arm64asm.Arg) bool { return arg == arm64asm.X29 }

func wholeARM64(r arm64asm.Reg) arm64asm.Reg {
	if r >= arm64asm.W0 && r <= arm64asm.WZR {
		return r - arm64asm.W0 + arm64asm.X0
	}
	return r
}
