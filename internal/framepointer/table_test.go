// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package framepointer

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A part of a function table: its offset, and what it holds.
const (
	namesOf = headerSize
	unitsOf = namesOf + 64
	filesOf = unitsOf + 8
	valueOf = filesOf + 64
	entryOf = valueOf + 8
)

// sampleTable returns the function table of a program with two functions from
// assembly and one from Go in between.
func sampleTable() []byte {
	le := binary.LittleEndian
	table := make([]byte, entryOf+3*8+4+3*recordSize)
	le.PutUint32(table, tableMagic)
	table[6], table[7] = 1, 8
	for i, word := range []uint64{3, 2, 0, namesOf, unitsOf, filesOf, valueOf, entryOf} {
		le.PutUint64(table[8+8*i:], word)
	}
	copy(table[namesOf:], "runtime.memmove\x00main.main\x00example.test/m%2ev.spoil.abi0\x00")
	le.PutUint32(table[unitsOf+4:], 12)
	copy(table[filesOf:], "runtime/a.s\x00m/b.s\x00")
	copy(table[valueOf:], []byte{2, 4}) // the first and the second file, in zigzag encoding and one too high
	for i, f := range []struct{ name, value, flag byte }{{0, 0, flagAsm}, {16, 0, 0}, {26, 1, flagAsm}} {
		record := entryOf + 3*8 + 4 + i*recordSize
		le.PutUint32(table[entryOf+8*i:], uint32(100*i))
		le.PutUint32(table[entryOf+8*i+4:], uint32(record-entryOf))
		le.PutUint32(table[record:], uint32(100*i))
		table[record+4], table[record+20], table[record+recordOffset+1] = f.name, f.value, f.flag
	}
	le.PutUint32(table[entryOf+3*8:], 300)
	return table
}

func readTable(data []byte) ([]function, error) {
	table, err := newTable(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	return table.assembly()
}

func TestFunctionsFromAssembly(t *testing.T) {
	functions, err := readTable(sampleTable())
	require.NoError(t, err)
	assert.Equal(t, []function{
		{name: "runtime.memmove", file: "runtime/a.s", from: 0, to: 100},
		{name: "example.test/m%2ev.spoil", file: "m/b.s", from: 200, to: 300},
	}, functions)
	assert.Equal(t, "example.test/m.v", functions[1].pkg())
}

func TestDamagedTables(t *testing.T) {
	flags := func(i int) int { return entryOf + 3*8 + 4 + i*recordSize + recordOffset + 1 }
	for name, tt := range map[string]struct {
		at   int
		to   byte
		want string
	}{
		"another layout":               {0, 0xF2, "the layout with the magic number 0xfffffff2"},
		"pointers of four bytes":       {7, 4, "pointers of 4 bytes"},
		"no functions":                 {8, 0, "its header is damaged"},
		"more functions than fit":      {9, 1, "its header is damaged"},
		"parts out of order":           {8 + 8*4, 1, "its header is damaged"},
		"addresses that descend":       {entryOf + 8, 255, "do not ascend"},
		"a record outside":             {entryOf + 4 + 1, 255, "it ends too soon"},
		"the record of another":        {entryOf + 3*8 + 4, 1, "not that of its function"},
		"a name outside":               {entryOf + 3*8 + 4 + 4 + 1, 255, "out of its range"},
		"Go code said to be assembly":  {flags(1), flagAsm, "main.main is marked as assembly"},
		"assembly said to be Go code":  {flags(0), 0, "runtime.memmove is not marked as assembly"},
		"a file outside":               {unitsOf + 5, 255, "out of its range"},
		"a number of a file outside":   {entryOf + 3*8 + 4 + 32 + 1, 255, "out of its range"},
		"the place of a value outside": {entryOf + 3*8 + 4 + 20 + 1, 255, "out of its range"},
	} {
		t.Run(name, func(t *testing.T) {
			table := sampleTable()
			table[tt.at] = tt.to
			_, err := readTable(table)
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

func TestTruncatedTables(t *testing.T) {
	table := sampleTable()
	for n := range len(table) - 3 {
		_, err := readTable(table[:n])
		assert.Error(t, err, n)
	}
}

func TestNamesOfFunctions(t *testing.T) {
	data := sampleTable()
	table, err := newTable(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	has, err := table.has("runtime.memmove", "main.main", "main.mai", "ain.main", "m/b.s")
	require.NoError(t, err)
	assert.Equal(t, []bool{true, true, false, false, false}, has)

	assert.NoError(t, table.checkNames(""))
	assert.NoError(t, table.checkNames("main.main"))
	assert.ErrorContains(t, table.checkNames("example.test/host.F"), "another program")
	copy(data[namesOf+16:], loader+"\x00")
	assert.ErrorContains(t, table.checkNames("main.main"), "can load plugins")
}
