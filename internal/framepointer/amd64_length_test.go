package framepointer

import (
	"debug/elf"
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
	for i := 0; i < size && !t.Failed(); {
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
			assert.Equal(t, inst.Len, g.length, "% x: %v", code[i:i+g.length], inst)
			compareEffect(t, &inst, g)
		}
		i += g.length
	}
	assert.Greater(t, compared, 100_000)
	assert.Less(t, unknown, compared/1000, "tables between the functions")
}

// compareEffect demands that an instruction which need not be decoded has no
// effect.
func compareEffect(t *testing.T, inst *x86asm.Inst, g glance) {
	t.Helper()
	rel, direct := inst.Args[0].(x86asm.Rel)
	assert.Equal(t, direct, g.direct != none, "%v", inst)
	if direct {
		assert.Equal(t, int64(rel), g.offset, "%v", inst)
	} else if !g.matters {
		assert.Empty(t, stepsAMD64(inst, 0, nil), "%v", inst)
	}
}
