// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package framepointer

import (
	"debug/elf"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/arch/x86/x86asm"
)

// The code of this test program has millions of instructions to compare with
// those of a complete decoder.
func TestLengthsOfInstructions(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("reads its own executable")
	}
	program, err := os.Executable()
	require.NoError(t, err)
	file, err := elf.Open(program)
	require.NoError(t, err)
	defer file.Close()
	code, err := file.Section(".text").Data()
	require.NoError(t, err)
	size := len(code)
	code = append(code, trap[:]...)
	compared, unknown := 0, 0
	for i := 0; i < size; {
		g, known := glanceAt(code[i:])
		if !known {
			e, ok := decodeEscaped(code[i:])
			i += max(e.length, 1)
			if !ok {
				unknown++
			}
			continue
		}
		if inst, err := x86asm.Decode(code[i:], 64); err == nil && inst.Op != 0 {
			compared++
			if problem := compare(&inst, g); problem != "" {
				t.Fatalf("% x: %v: %s", code[i:i+inst.Len], inst, problem)
			}
		}
		i += g.length
	}
	assert.Greater(t, compared, 100_000)
	assert.Less(t, unknown, compared/1000, "tables between the functions")
}

// compare says what is wrong with a glance at an instruction. One that need not be
// decoded must have no effect.
func compare(inst *x86asm.Inst, g glance) string {
	rel, direct := inst.Args[0].(x86asm.Rel)
	switch {
	case inst.Len != g.length:
		return fmt.Sprintf("it has %d bytes, not %d", inst.Len, g.length)
	case direct != (g.direct != none), int64(rel) != g.offset:
		return fmt.Sprintf("it leads to %v, not %d", rel, g.offset)
	case !direct && !g.matters && len(stepsAMD64(inst, 0, map[x86asm.Reg]bool{})) > 0:
		return "it has an effect"
	}
	return ""
}
