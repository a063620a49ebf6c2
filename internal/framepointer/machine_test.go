package framepointer

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Machine code by its bytes, so that the module has no assembly. What the
// assembler makes of a frame is push rbp; mov rbp, rsp … pop rbp; ret.
func TestAMD64(t *testing.T) {
	for _, tt := range []struct {
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
		{"jumps to another function: jmp +0x100", []byte{0xBD, 1, 0, 0, 0, 0xE9, 0, 1, 0, 0}, true},
		{"tail of a computed jump: jmp rax", []byte{0xBD, 1, 0, 0, 0, 0xFF, 0xE0, 0xC3}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := function{from: 16, to: 16 + uint64(len(tt.code))}
			assert.Equal(t, tt.spoils, spoils("amd64", f, tt.code, []function{f}))
		})
	}
}

func TestARM64(t *testing.T) {
	const ret, movz = "\xC0\x03\x5F\xD6", "\x3D\x00\x80\xD2" // mov x29, #1
	for _, tt := range []struct {
		name, code string
		spoils     bool
	}{
		{"untouched", ret, false},
		{"mov x29, #1", movz + ret, true},
		{"stp x29, x30, [sp, #-16]! … ldp", "\xFD\x7B\xBF\xA9" + movz + "\xFD\x7B\xC1\xA8" + ret, false},
		{"stp, not restored", "\xFD\x7B\xBF\xA9" + movz + ret, true},
		{"mov x8, x29 … mov x29, x8", "\xE8\x03\x1D\xAA" + movz + "\xFD\x03\x08\xAA" + ret, false},
		{"ldr x29, [sp, #8] of an argument", "\xFD\x07\x40\xF9" + ret, true},
		{"cmp x29, x0", "\xBF\x03\x00\xEB" + ret, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := function{to: uint64(len(tt.code))}
			assert.Equal(t, tt.spoils, spoils("arm64", f, []byte(tt.code), []function{f}))
		})
	}
}
