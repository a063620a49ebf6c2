// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package framepointer

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func spoils(t *testing.T, arch string, code []byte) bool {
	f := function{from: 16, to: 16 + uint64(len(code))}
	spoils, err := f.spoils(f.steps(nil, arch, code), []function{f})
	require.NoError(t, err)
	return spoils
}

// Machine code by its bytes, so that the module has no assembly. What the
// assembler makes of a frame is push rbp; mov rbp, rsp … pop rbp; ret.
var amd64Code = []struct {
	name   string
	code   []byte
	spoils bool
}{
	{"untouched", []byte{0x48, 0x31, 0xC0, 0xC3}, false},
	{"mov ebp, 1", []byte{0xBD, 1, 0, 0, 0, 0xC3}, true},
	{"compared only: cmp rbp, rax", []byte{0x48, 0x39, 0xC5, 0xC3}, false},
	{"frame", []byte{0x55, 0x48, 0x89, 0xE5, 0xBD, 1, 0, 0, 0, 0x5D, 0xC3}, false},
	{"frame, not popped", []byte{0x55, 0x48, 0x89, 0xE5, 0x58, 0xC3}, true},
	{"saved in r8: mov r8, rbp … mov rbp, r8", []byte{0x49, 0x89, 0xE8, 0xBD, 1, 0, 0, 0, 0x4C, 0x89, 0xC5, 0xC3}, false},
	{"saved in r8, which is lost: xor r8, r8", []byte{0x49, 0x89, 0xE8, 0xBD, 1, 0, 0, 0, 0x4D, 0x31, 0xC0, 0x4C, 0x89, 0xC5, 0xC3}, true},
	{"argument: mov rbp, [rsp+8]", []byte{0x48, 0x8B, 0x6C, 0x24, 8, 0xC3}, true},
	{"saved on the stack", []byte{0x48, 0x89, 0x6C, 0x24, 8, 0xBD, 1, 0, 0, 0, 0x48, 0x8B, 0x6C, 0x24, 8, 0xC3}, false},
	{"restored on one path only: je ret", []byte{0x55, 0xBD, 1, 0, 0, 0, 0x74, 1, 0x5D, 0xC3}, true},
	{"early return", []byte{0x74, 7, 0x55, 0xBD, 1, 0, 0, 0, 0x5D, 0xC3}, false},
	{"after vzeroupper at the end", []byte{0xBD, 1, 0, 0, 0, 0xC5, 0xF8, 0x77, 0xC3}, true},
	{"mulx rbp, rax, rcx", []byte{0xC4, 0xE2, 0xFB, 0xF6, 0xE9, 0xC3}, true},
	{"adcx rbp, rax", []byte{0x66, 0x48, 0x0F, 0x38, 0xF6, 0xE8, 0xC3}, true},
	{"vpxor ymm5, ymm5, ymm5", []byte{0xC5, 0xD5, 0xEF, 0xED, 0xC3}, false},
	{"calls Go with it: call +0x100", []byte{0x55, 0xBD, 1, 0, 0, 0, 0xE8, 0, 1, 0, 0, 0x5D, 0xC3}, true},
	{"calls what may be Go code with it: call rax", []byte{0x55, 0xBD, 1, 0, 0, 0, 0xFF, 0xD0, 0x5D, 0xC3}, true},
	{"saved in r8 across a call: call +0", []byte{0x49, 0x89, 0xE8, 0xE8, 0, 0, 0, 0, 0xBD, 1, 0, 0, 0, 0x4C, 0x89, 0xC5, 0xC3}, true},
	{"saved in rax, then mul rcx", []byte{0x48, 0x89, 0xE8, 0x48, 0xF7, 0xE1, 0xBD, 1, 0, 0, 0, 0x48, 0x89, 0xC5, 0xC3}, true},
	{"saved in r8 around mul rcx", []byte{0x49, 0x89, 0xE8, 0x48, 0xF7, 0xE1, 0xBD, 1, 0, 0, 0, 0x4C, 0x89, 0xC5, 0xC3}, false},
	{"saved in xmm0: movq xmm0, rbp … movq rbp, xmm0", []byte{0x66, 0x48, 0x0F, 0x6E, 0xC5, 0xBD, 1, 0, 0, 0, 0x66, 0x48, 0x0F, 0x7E, 0xC5, 0xC3}, false},
	{"saved in xmm0, then xorps xmm0, xmm0", []byte{0x66, 0x48, 0x0F, 0x6E, 0xC5, 0x0F, 0x57, 0xC0, 0x66, 0x48, 0x0F, 0x7E, 0xC5, 0xC3}, true},
	{"saved in xmm0, then vpxor xmm0, xmm0, xmm0", []byte{0x66, 0x48, 0x0F, 0x6E, 0xC5, 0xC5, 0xF9, 0xEF, 0xC0, 0x66, 0x48, 0x0F, 0x7E, 0xC5, 0xC3}, true},
	{"endbr64", []byte{0xF3, 0x0F, 0x1E, 0xFA, 0xC3}, false},
	{"xchg rbp, rax", []byte{0x48, 0x95, 0xC3}, true},
	{"leave without a frame", []byte{0xC9, 0xC3}, true},
	{"movabs rbp", []byte{0x48, 0xBD, 1, 2, 3, 4, 5, 6, 7, 8, 0xC3}, true},
	{"movabs r13", []byte{0x49, 0xBD, 1, 2, 3, 4, 5, 6, 7, 8, 0xC3}, false},
	{"jumps to another function: jmp +0x100", []byte{0xBD, 1, 0, 0, 0, 0xE9, 0, 1, 0, 0}, true},
	{"tail of a computed jump: jmp rax", []byte{0xBD, 1, 0, 0, 0, 0xFF, 0xE0, 0xC3}, true},
}

const ret, movz = "\xC0\x03\x5F\xD6", "\x3D\x00\x80\xD2" // mov x29, #1

var arm64Code = []struct {
	name, code string
	spoils     bool
}{
	{"untouched", ret, false},
	{"mov x29, #1", movz + ret, true},
	{"stp x29, x30, [sp, #-16]! … ldp", "\xFD\x7B\xBF\xA9" + movz + "\xFD\x7B\xC1\xA8" + ret, false},
	{"stp, not restored", "\xFD\x7B\xBF\xA9" + movz + ret, true},
	{"mov x8, x29 … mov x29, x8", "\xE8\x03\x1D\xAA" + movz + "\xFD\x03\x08\xAA" + ret, false},
	{"ldr x29, [sp, #8] of an argument", "\xFD\x07\x40\xF9" + ret, true},
	{"ldadd x0, x29, [x1]", "\x3D\x00\x20\xF8" + ret, true},
	{"ldadd x29, x0, [x1]", "\x20\x00\x3D\xF8" + ret, false},
	{"swp x0, x29, [x1]", "\x3D\x80\x20\xF8" + ret, true},
	{"cas x29, x0, [x1]", "\x20\x7C\xBD\xC8" + ret, true},
	{"casp x28, x29, x0, x1, [x2]", "\x40\x7C\x3C\x48" + ret, true},
	{"blr x0 with it", "\xFD\x7B\xBF\xA9" + movz + "\x00\x00\x3F\xD6\xFD\x7B\xC1\xA8" + ret, true},
	{"leaf with a frame: sub x29, sp, #8 … add x29, sp, #24; add sp, sp, #32", "\xFE\x0F\x1E\xF8\xFD\x83\x1F\xF8\xFD\x23\x00\xD1" + movz + "\xFD\x63\x00\x91\xFF\x83\x00\x91" + ret, false},
	{"leaf with a frame of 64 KiB", "\xFD\x23\x00\xD1\xFD\x43\x40\x91\xBD\x23\x00\x91\xFF\x43\x40\x91\xFF\x43\x00\x91" + ret, false},
	{"leaf with a frame of 4112 bytes, which takes another register",
		"\xFD\x23\x00\xD1" + movz + "\x1B\x01\x82\xD2\xFD\x63\x3B\x8B\x1B\x02\x82\xD2\xFF\x63\x3B\x8B" + ret, false},
	{"add sp, sp, #8", movz + "\xFF\x23\x00\x91" + ret, true},
	{"leaf that drops another size: add x29, sp, #24; add sp, sp, #48", "\xFD\x23\x00\xD1\xFD\x63\x00\x91\xFF\xC3\x00\x91" + ret, true},
	{"fmov x29, d0", "\x1D\x00\x66\x9E" + ret, true},
	{"fmov d29, x0", "\x1D\x00\x67\x9E" + ret, false},
	{"ldr q0, [x29], #16", "\xA0\x07\xC1\x3C" + ret, true},
	{"ldr q29, [x0], #16", "\x1D\x04\xC1\x3C" + ret, false},
	{"cmp x29, x0", "\xBF\x03\x00\xEB" + ret, false},
}

func TestAMD64(t *testing.T) {
	for _, tt := range amd64Code {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.spoils, spoils(t, "amd64", tt.code))
		})
	}
}

func TestARM64(t *testing.T) {
	for _, tt := range arm64Code {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.spoils, spoils(t, "arm64", []byte(tt.code)))
		})
	}
}
