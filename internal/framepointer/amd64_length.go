// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package framepointer

import "encoding/binary"

// The instructions of the one-byte opcode map and of the map 0F, a letter for
// each opcode:
//
//	.  no ModRM byte
//	b  the same, with a constant of one byte
//	z  the same, with a constant of four bytes, or of two with the prefix 66
//	m  a ModRM byte
//	n  the same, with a constant of one byte
//	y  the same, with a constant of four bytes, or of two with the prefix 66
//	v  a ModRM byte, but no general register is written or copied
//	w  the same, with a constant of one byte
//	r  the register in the lowest three bits of the opcode
//	j  a jump, a return or the like
//	J  the same, with a constant of one byte
//	L  the same, with a constant of four bytes
//	*  one of those that glance.irregular knows
//	?  no instruction, a prefix, an escape to another map, or one for kernels
const (
	oneByte = "" +
		"mmmmbz??mmmmbz??" + // 00
		"mmmmbz??mmmmbz??" + // 10
		"mmmmbz??mmmmbz??" + // 20
		"mmmmbz??mmmmbz??" + // 30
		"????????????????" + // 40
		"rrrrrrrrrrrrrrrr" + // 50
		"???m????zybn...." + // 60
		"JJJJJJJJJJJJJJJJ" + // 70
		"ny?nmmmmmmmmmmm*" + // 80
		"rrrrrrrr..?....." + // 90
		"****....bz......" + // A0
		"****************" + // B0
		"nn*j??ny*j*j.b?j" + // C0
		"mmmm???.vvvvvvvv" + // D0
		"JJJJbbbbLL?J...." + // E0
		"?.??j.**......m*" //   F0
	twoByte = "" +
		"mmmm?.....?j?v??" + // 00
		"vvvvvvvvvvvvvvmv" + // 10
		"????????vvvvmmvv" + // 20
		"......?.????????" + // 30
		"mmmmmmmmmmmmmmmm" + // 40
		"mvvvvvvvvvvvvvvv" + // 50
		"vvvvvvvvvvvvvvmv" + // 60 with MOVD and MOVQ, which may copy the frame pointer
		"wwwwvvv.????vvmv" + // 70
		"LLLLLLLLLLLLLLLL" + // 80
		"mmmmmmmmmmmmmmmm" + // 90
		"...mnm??...mnmmm" + // A0
		"mmmmmmmmmmnmmmmm" + // B0
		"mmwmwnwmrrrrrrrr" + // C0
		"vvvvvvvmvvvvvvvv" + // D0
		"vvvvvvvvvvvvvvvv" + // E0
		"vvvvvvvvvvvvvvvv" //   F0
)

// A glance is what can be told of an instruction without decoding it. Few must be
// decoded, which takes twenty times as long.
type glance struct {
	length  int
	matters bool // it may change the control flow, or names the frame pointer where it may write or copy it
	// A call, a jump or a branch to an offset from the end of the instruction.
	direct effect
	offset int64
}

// glanceAt looks at the instruction that code begins with. It returns false for
// those that decodeEscaped knows and for bytes that are none. At least
// maxInstruction bytes must be there.
func glanceAt(code []byte) (glance, bool) {
	i, short := 0, false // 66
	for ; i < maxPrefixes && isPrefix(code[i]); i++ {
		short = short || code[i] == 0x66
	}
	var rex byte
	if code[i]>>4 == 4 {
		rex = code[i]
		i++
	}
	opcodes := oneByte
	if code[i] == 0x0F {
		opcodes = twoByte
		i++
	}
	opcode, rest := code[i], code[i+1:]
	g := glance{length: i + 1}
	kind := opcodes[opcode]
	if kind == '*' {
		kind = g.irregular(opcode, rest, rex, short)
	}
	g.add(kind, opcode, rest, rex, short)
	return g, kind != '?'
}

func isPrefix(b byte) bool {
	switch b {
	case 0x66, 0xF2, 0xF3, 0xF0, 0x2E, 0x36, 0x3E, 0x26, 0x64, 0x65, 0x67:
		return true
	}
	return false
}

// irregular returns the kind of an instruction of the one-byte map whose form
// depends on more than its opcode. It adds to the length what that kind does not
// have.
func (g *glance) irregular(opcode byte, rest []byte, rex byte, short bool) (kind byte) {
	extension := rest[0] >> 3 & 7
	switch {
	case opcode == 0x8F && extension == 0: // POP
		return 'm'
	case opcode <= 0xA3 && opcode >= 0xA0: // MOV of an address
		g.length += 8
		return '.'
	case opcode >= 0xB0 && opcode <= 0xBF: // MOV of a constant
		g.length += constantSize(opcode, rex, short)
		return 'r'
	case opcode == 0xC2 || opcode == 0xCA: // RET n
		g.length += 2
		return 'j'
	case opcode == 0xC8: // ENTER
		g.length += 3
		return 'j'
	case opcode == 0xF6 && extension <= 1: // TEST
		return 'n'
	case opcode == 0xF7 && extension <= 1:
		return 'y'
	case opcode == 0xFF && (extension == 2 || extension == 4): // CALL, JMP
		g.matters = true
		return 'v'
	case opcode >= 0xF6:
		return 'm'
	}
	return '?'
}

// constantSize returns the size of the constant of a MOV to a register.
func constantSize(opcode, rex byte, short bool) int {
	switch {
	case opcode < 0xB8:
		return 1
	case rex&8 != 0:
		return 8
	case short:
		return 2
	}
	return 4
}

// add adds what follows the opcode of an instruction of a kind.
func (g *glance) add(kind, opcode byte, rest []byte, rex byte, short bool) {
	switch kind {
	case 'm', 'n', 'y':
		g.length += operandSize(rest)
		g.matters = names(rest[0], rex)
	case 'v', 'w':
		g.length += operandSize(rest)
	case 'r':
		g.matters = opcode&7 == framePointer && rex&1 == 0
	case 'j':
		g.matters = true
	case 'J':
		g.direct, g.offset = directEffect(opcode), int64(int8(rest[0]))
	case 'L':
		g.direct, g.offset = directEffect(opcode), int64(int32(binary.LittleEndian.Uint32(rest)))
	}
	g.length += constant(kind, rex, short)
}

// directEffect returns what a jump or a call to an offset does.
func directEffect(opcode byte) effect {
	switch opcode {
	case 0xE8:
		return call
	case 0xE9, 0xEB:
		return jump
	}
	return branch
}

// constant returns the size of the constant of an instruction of a kind.
func constant(kind, rex byte, short bool) int {
	switch kind {
	case 'b', 'n', 'w', 'J':
		return 1
	case 'z', 'y':
		if short && rex&8 == 0 {
			return 2
		}
		return 4
	case 'L':
		return 4
	}
	return 0
}

// names reports whether a ModRM byte names the frame pointer as an operand. As
// part of an address it is only read.
func names(modrm, rex byte) bool {
	return modrm>>3&7 == framePointer && rex&4 == 0 || modrm>>6 == 3 && modrm&7 == framePointer && rex&1 == 0
}

// AMD64Length returns the length of the instruction at the beginning of code, also
// of those that x86asm does not know. ok is false for bytes that are none.
func AMD64Length(code []byte) (n int, ok bool) {
	if len(code) < maxInstruction {
		code = append(append(make([]byte, 0, 2*maxInstruction), code...), trap[:]...)
	}
	if g, ok := glanceAt(code); ok {
		return g.length, true
	}
	e, ok := decodeEscaped(code)
	return e.length, ok
}
