// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package framepointer

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
)

// FuzzDecode decodes bytes as the code of a function. Whatever they are, the
// steps are in it, ascend, and are few, and following them comes to an end.
func FuzzDecode(f *testing.F) {
	for _, code := range amd64Code {
		f.Add(true, code.code)
	}
	for _, code := range arm64Code {
		f.Add(false, []byte(code.code))
	}
	f.Add(true, bytes.Repeat([]byte{0x55, 0x74, 0xFE, 0x5D, 0x75, 0xFB}, 100))
	f.Fuzz(func(t *testing.T, amd64 bool, code []byte) {
		if len(code) > 1<<14 {
			return
		}
		arch := "arm64"
		if amd64 {
			arch = "amd64"
		}
		fn := function{from: 1 << 20, to: 1<<20 + uint64(len(code))}
		steps := fn.steps(nil, arch, bytes.Clone(code))
		assert.LessOrEqual(t, len(steps), 2*len(code))
		last := fn.from
		for _, s := range steps {
			assert.GreaterOrEqual(t, s.at, last)
			assert.Less(t, s.at, fn.to)
			last = s.at
		}
		_, _ = fn.spoils(steps, []function{fn}) // ends
	})
}

// FuzzGlance passes over instructions: each has a length, and one decoder.
func FuzzGlance(f *testing.F) {
	for _, code := range amd64Code {
		f.Add(code.code)
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		code = append(bytes.Clone(code[:min(len(code), 64)]), trap[:]...)
		for len(code) > maxInstruction {
			g, known := glanceAt(code)
			e, escaped := decodeEscaped(code)
			assert.False(t, known && escaped, "% x", code)
			length := max(g.length, e.length, 1)
			assert.LessOrEqual(t, length, maxInstruction)
			code = code[length:]
		}
	})
}

// FuzzTable reads bytes as a function table.
func FuzzTable(f *testing.F) {
	good := sampleTable()
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := newTable(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		assert.LessOrEqual(t, 8*table.count, len(data))
		functions, _ := table.assembly()
		for _, fn := range functions {
			assert.LessOrEqual(t, fn.from, fn.to)
			assert.LessOrEqual(t, len(fn.name), maxName)
			assert.LessOrEqual(t, len(fn.file), maxName)
		}
	})
}
