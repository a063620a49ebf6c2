// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package framepointer

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// thisProgram returns the executable of the test, and its file.
func thisProgram(t *testing.T) ([]byte, *elf.File) {
	t.Helper()
	if runtime.GOOS != "linux" || !followed(runtime.GOARCH) {
		t.Skip("needs an ELF executable")
	}
	path, err := os.Executable()
	require.NoError(t, err)
	program, err := os.ReadFile(path)
	require.NoError(t, err)
	file, err := elf.NewFile(bytes.NewReader(program))
	require.NoError(t, err)
	return program, file
}

// What a packer such as UPX leaves, what another linker may do, and damage: none
// of it can be decided, and all of it has a reason.
func TestProgramsThatCannotBeRead(t *testing.T) {
	program, file := thisProgram(t)
	table := file.Section(".gopclntab")
	fill := func(from, n uint64, b byte) func([]byte) {
		return func(p []byte) { copy(p[from:], bytes.Repeat([]byte{b}, int(n))) }
	}
	for name, tt := range map[string]struct {
		damage func([]byte)
		want   string
	}{
		"no sections, as after packing": {func(p []byte) { fill(0x28, 8, 0)(p); fill(0x3C, 4, 0)(p) }, "no function table"},
		"a table of another layout":     {fill(table.Offset, 4, 0), "layout with the magic number 0x0"},
		"a table without content":       {fill(table.Offset+headerSize, table.Size-headerSize, 0), "function table"},
		"a table of noise":              {fill(table.Offset+8, table.Size-8, 0x7F), "header is damaged"},
		"no pointer to the table":       {withoutPointers(table.Addr), "start of the text is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			damaged := bytes.Clone(program)
			tt.damage(damaged)
			functions, err := Scan(bytes.NewReader(damaged))
			assert.ErrorContains(t, err, tt.want)
			assert.Empty(t, functions)
			assert.Equal(t, Undecided, Judge(Program{GoVersion: "go1.26.8", GOARCH: "amd64", Err: err}).Status)
		})
	}
}

// withoutPointers removes all pointers to an address.
func withoutPointers(address uint64) func([]byte) {
	pointer := binary.LittleEndian.AppendUint64(nil, address)
	return func(p []byte) {
		p = p[4096:] // after the headers
		copy(p, bytes.ReplaceAll(p, pointer, make([]byte, 8)))
	}
}

func TestTruncatedPrograms(t *testing.T) {
	program, _ := thisProgram(t)
	for part := range 16 {
		_, err := Scan(bytes.NewReader(program[:len(program)*part/16]))
		assert.Error(t, err, part)
	}
}

func TestFilesThatAreNoPrograms(t *testing.T) {
	for _, file := range []string{"", "MZ", "#!/bin/sh\necho\n", "\x7fELF", "\xcf\xfa\xed\xfe" + "more", "MZ" + string(make([]byte, 100))} {
		_, err := Scan(bytes.NewReader([]byte(file)))
		assert.Error(t, err, "%q", file)
	}
}
