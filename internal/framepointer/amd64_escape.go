// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package framepointer

// An escaped is an instruction of those that came since SSSE3: after VEX or EVEX,
// or in the opcode maps 0F 38 and 0F 3A. Most work on vectors. They make up most
// of the code in assembly, and x86asm knows neither all of them nor the length
// of each, while their form is regular.
type escaped struct {
	length int
	writes [2]int8 // general registers, by number; -1 for none
	vector int8    // the vector register that it writes, if it writes one
}

const (
	maxInstruction = 16 // bytes, and one
	maxPrefixes    = 4

	// The opcode maps.
	map0F   = 1
	map0F38 = 2
	map0F3A = 3
)

// A form is what comes before the opcode.
type form struct {
	size      int // of the prefixes, with the escape
	opcodeMap byte
	pp        byte // 1: 66, 2: F3, 3: F2
	vex       bool
	reg, rm   int8 // bit 3 of the register in ModRM.reg and of that in ModRM.rm
	vvvv      int8
}

// decodeEscaped decodes the instruction that code begins with. It returns false
// for any of another kind. At least maxInstruction bytes must be there.
func decodeEscaped(code []byte) (escaped, bool) {
	f, ok := formOf(code)
	if !ok {
		return escaped{}, false
	}
	opcode, rest := code[f.size], code[f.size+1:]
	length := f.size + 1
	if f.vex && f.opcodeMap == map0F && opcode == 0x77 { // VZEROUPPER and VZEROALL
		return escaped{length: length, writes: [2]int8{-1, -1}, vector: -1}, true
	}
	length += operandSize(rest)
	if f.opcodeMap == map0F3A || f.opcodeMap == map0F && hasByte(opcode) {
		length++
	}
	return escaped{length, f.written(opcode, rest[0]), int8(rest[0]>>3&7) | f.reg}, true
}

func formOf(code []byte) (form, bool) {
	switch {
	case code[0] == 0xC5:
		b := code[1]
		return form{size: 2, opcodeMap: map0F, pp: b & 3, vex: true, reg: not(b, 7) << 3, vvvv: int8(^b >> 3 & 15)}, true
	case code[0] == 0xC4:
		f := extendedForm(code[1], code[2], 3)
		f.opcodeMap = code[1] & 31
		return f, f.opcodeMap >= map0F && f.opcodeMap <= map0F3A
	case code[0] == 0x62:
		f := extendedForm(code[1], code[2], 4)
		f.opcodeMap = code[1] & 7
		f.reg |= not(code[1], 4) << 4
		f.vvvv |= not(code[3], 3) << 4
		return f, f.opcodeMap >= map0F && f.opcodeMap <= map0F3A
	}
	return legacyForm(code)
}

func extendedForm(first, second byte, size int) form {
	return form{size: size, pp: second & 3, vex: true, reg: not(first, 7) << 3, rm: not(first, 5) << 3, vvvv: int8(^second >> 3 & 15)}
}

// not returns the opposite of a bit.
func not(b byte, bit int) int8 { return int8(^b >> bit & 1) }

// legacyForm recognizes the maps 0F 38 and 0F 3A without VEX.
func legacyForm(code []byte) (f form, ok bool) {
	for f.size < maxPrefixes && (code[f.size] == 0x66 || code[f.size] == 0xF2 || code[f.size] == 0xF3) {
		f.size++
	}
	if code[f.size]>>4 == 4 { // REX
		f.reg, f.rm = int8(code[f.size]>>2&1)<<3, int8(code[f.size]&1)<<3
		f.size++
	}
	if code[f.size] != 0x0F || code[f.size+1] != 0x38 && code[f.size+1] != 0x3A {
		return f, false
	}
	f.opcodeMap = map0F38 + code[f.size+1]>>1&1
	f.size += 2
	return f, true
}

// operandSize returns how many bytes ModRM has, with what belongs to it.
func operandSize(code []byte) int {
	mod, rm, size := code[0]>>6, code[0]&7, 1
	if mod == 3 {
		return size
	}
	wide := mod == 0 && rm == 5
	if rm == 4 {
		size++
		wide = mod == 0 && code[1]&7 == 5
	}
	switch {
	case mod == 1:
		size++
	case mod == 2 || wide:
		size += 4
	}
	return size
}

// hasByte reports whether an opcode of the map 0F has a constant of a byte.
func hasByte(opcode byte) bool {
	return opcode >= 0x70 && opcode <= 0x73 || opcode == 0xC2 || opcode >= 0xC4 && opcode <= 0xC6
}

// written returns the general registers that an instruction writes.
func (f form) written(opcode, modrm byte) [2]int8 {
	reg, rm := int8(modrm>>3&7)|f.reg, int8(-1)
	if modrm>>6 == 3 {
		rm = int8(modrm&7) | f.rm
	}
	one := func(r int8) [2]int8 { return [2]int8{r, -1} }
	switch key := int(f.opcodeMap)<<8 | int(opcode); {
	case !f.vex:
		switch key {
		case 0x2F0, 0x2F1, 0x2F6: // MOVBE or CRC32, ADCX or ADOX
			return one(reg)
		case 0x314, 0x315, 0x316, 0x317: // PEXTR
			return one(rm)
		}
	default:
		switch key {
		case 0x12C, 0x12D, 0x150, 0x178, 0x179, 0x193, 0x1C5, 0x1D7: // CVT to integers, MOVMSK, KMOV, PEXTRW, PMOVMSKB
			if key == 0x178 && f.pp != 2 && f.pp != 3 || key == 0x179 && f.pp != 2 && f.pp != 3 {
				break // to a vector
			}
			return one(reg)
		case 0x2F2, 0x2F5, 0x2F7, 0x3F0: // ANDN, BZHI, PDEP, PEXT, BEXTR, shifts, RORX
			return one(reg)
		case 0x2F6: // MULX
			return [2]int8{reg, f.vvvv}
		case 0x2F3: // BLSR and the like
			return one(f.vvvv)
		case 0x17E: // MOVD and MOVQ
			if f.pp == 1 {
				return one(rm)
			}
		case 0x314, 0x315, 0x316, 0x317: // PEXTR
			return one(rm)
		}
	}
	return one(-1)
}
