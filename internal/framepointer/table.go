// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package framepointer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The layout of a function table, which is the same from Go 1.20 to 1.27:
// runtime.pcHeader, and in the part at its funcOffset the entry and the record
// of each function, followed by the records.
const (
	tableMagic   = 0xfffffff1
	headerSize   = 8 + 8*8
	recordOffset = 40 // of the bytes funcID and flag in a runtime._func, with two more bytes
	recordSize   = 44 // without what follows it
	flagAsm      = 1 << 2

	// Bounds on what is read. The largest programs known have a million
	// functions.
	maxFunctions = 4 << 20
	maxTable     = 1 << 30
	maxName      = 1 << 10
	chunkSize    = 256 << 10
)

// known is a function that every program has and that was always assembly.
const known = "runtime.memmove"

// A table is the function table of a program.
type table struct {
	at      io.ReaderAt
	size    int64
	count   int   // functions
	names   int64 // offsets in at: each part ends where the next begins
	units   int64
	files   int64
	values  int64
	entries int64
}

// A function is an entry of the table.
type function struct {
	name     string
	file     string // with its source
	from, to uint64 // offsets from the start of the text
}

// pkg returns the import path of the package of a function, and "" where the
// name has none: assembly may have functions that only its file knows.
func (f function) pkg() string {
	slash := strings.LastIndexByte(f.name, '/') + 1
	dot := strings.IndexByte(f.name[slash:], '.')
	if dot < 0 {
		return ""
	}
	return strings.NewReplacer("%2e", ".", "%22", `"`, "%25", "%").Replace(f.name[:slash+dot])
}

// newTable reads the header of a function table.
func newTable(at io.ReaderAt, size int64) (*table, error) {
	header := make([]byte, headerSize)
	if _, err := at.ReadAt(header, 0); err != nil {
		return nil, fmt.Errorf("function table: %w", err)
	}
	if !isTable(header) {
		return nil, fmt.Errorf("function table: the layout with the magic number %#x and pointers of %d bytes is not known", binary.LittleEndian.Uint32(header), header[7])
	}
	word := func(i int) int64 { return int64(binary.LittleEndian.Uint64(header[8+8*i:])) }
	t := &table{at: at, size: size, names: word(3), units: word(4), files: word(5), values: word(6), entries: word(7)}
	count := word(0)
	if count <= 0 || count > maxFunctions || size > maxTable ||
		t.names < headerSize || t.units < t.names || t.files < t.units || t.values < t.files || t.entries < t.values || t.entries+8*count+4 > size {
		return nil, errors.New("function table: its header is damaged")
	}
	t.count = int(count)
	return t, nil
}

// isTable reports whether the bytes may begin a function table.
func isTable(header []byte) bool {
	return binary.LittleEndian.Uint32(header) == tableMagic && header[4] == 0 && header[5] == 0 &&
		(header[6] == 1 || header[6] == 4) && header[7] == 8
}

// assembly returns the functions that were written in assembly. It reads the
// table once, in chunks, and checks that its records mean what they are taken
// to mean: the runtime has functions of both kinds.
func (t *table) assembly() ([]function, error) {
	entries, records := t.reader(), t.reader()
	var found []function
	var last uint64
	for i := range int64(t.count) {
		entry, err := entries.read(t.entries+8*i, 12) // with the address of the next
		if err != nil {
			return nil, err
		}
		from, to := uint64(binary.LittleEndian.Uint32(entry)), uint64(binary.LittleEndian.Uint32(entry[8:]))
		if from < last || to < from {
			return nil, errors.New("function table: the addresses do not ascend")
		}
		last = from
		record, err := records.read(t.entries+int64(binary.LittleEndian.Uint32(entry[4:])), recordSize)
		if err != nil {
			return nil, err
		}
		if uint64(binary.LittleEndian.Uint32(record)) != from {
			return nil, errors.New("function table: a record is not that of its function")
		}
		if record[recordOffset+1]&flagAsm == 0 {
			continue
		}
		f, err := t.function(record)
		if err != nil {
			return nil, err
		}
		f.from, f.to = from, to
		found = append(found, f)
	}
	return found, t.check(found)
}

// check tells whether the functions taken for assembly are what is known to be.
func (t *table) check(found []function) error {
	memmove := false
	for _, f := range found {
		memmove = memmove || f.name == known
		if f.name == "runtime.main" || f.name == "main.main" {
			return fmt.Errorf("function table: %s is marked as assembly, so that the layout is not the known one", f.name)
		}
	}
	if !memmove {
		return errors.New("function table: " + known + " is not marked as assembly, so that the layout is not the known one")
	}
	return nil
}

// loader is a function of package plugin, where plugins can be loaded.
const loader = "plugin._Cfunc_pluginOpen"

// checkNames tells whether a program has all of its code in its executable: it
// must not load plugins, and must have a function with the name own, if that is
// not "".
func (t *table) checkNames(own string) error {
	names := []string{loader, own}[:1+min(len(own), 1)]
	has, err := t.has(names...)
	switch {
	case err != nil:
		return err
	case has[0]:
		return errors.New("the program can load plugins, whose code is not known")
	case own != "" && !has[1]:
		return errors.New("the executable is that of another program, which loaded this one")
	}
	return nil
}

// has reports which names of functions the table has. It searches the names only,
// which are in one part of it.
func (t *table) has(names ...string) ([]bool, error) {
	found := make([]bool, len(names))
	buf := make([]byte, maxName+chunkSize)
	kept := 1 // bytes at the start of buf that end the last chunk, or the zero that ends a name
	for at := t.names; at < t.units; {
		n := int(min(chunkSize, t.units-at))
		if err := t.read(buf[kept:kept+n], at, t.units); err != nil {
			return nil, err
		}
		at += int64(n)
		text := buf[:kept+n]
		for i, name := range names {
			found[i] = found[i] || bytes.Contains(text, []byte("\x00"+name+"\x00"))
		}
		kept = copy(buf, text[max(0, len(text)-maxName):])
	}
	return found, nil
}

// function returns the names in a record.
func (t *table) function(record []byte) (f function, err error) {
	word := func(offset int) int64 { return int64(binary.LittleEndian.Uint32(record[offset:])) }
	name, err := t.text(t.names+word(4), t.units)
	if err != nil {
		return f, err
	}
	file, err := t.file(word(20), word(32))
	return function{name: strings.TrimSuffix(name, ".abi0"), file: file}, err
}

// file returns the file that a function begins in: the first value of a table
// is the number of the file in its compilation unit, and a unit has the offsets
// of the names of its files.
func (t *table) file(values, unit int64) (string, error) {
	var delta [binary.MaxVarintLen32]byte
	if err := t.read(delta[:], t.values+values, t.entries); err != nil {
		return "", err
	}
	first, n := binary.Varint(delta[:])
	var offset [4]byte
	if n <= 0 {
		return "", nil
	}
	if err := t.read(offset[:], t.units+4*(unit+first-1), t.files); err != nil {
		return "", err
	}
	if name := binary.LittleEndian.Uint32(offset[:]); name != 1<<32-1 {
		return t.text(t.files+int64(name), t.values)
	}
	return "", nil // removed by the linker
}

// text returns the string at an offset, at most maxName bytes of it.
func (t *table) text(offset, end int64) (string, error) {
	for size := int64(128); ; size *= 2 {
		buf := make([]byte, max(min(size, end-offset), 1))
		if err := t.read(buf, offset, end); err != nil {
			return "", err
		}
		if n := bytes.IndexByte(buf, 0); n >= 0 {
			return string(buf[:n]), nil
		}
		if size >= maxName || int64(len(buf)) < size {
			return string(buf), nil
		}
	}
}

// read fills buf from an offset, before the end of its part of the table.
func (t *table) read(buf []byte, offset, end int64) error {
	if offset < headerSize || offset+int64(len(buf)) > end {
		return errors.New("function table: an offset is out of its range")
	}
	if _, err := t.at.ReadAt(buf, offset); err != nil {
		return fmt.Errorf("function table: %w", err)
	}
	return nil
}

// span returns the first and the last address of the text.
func (t *table) span() (from, to uint64, err error) {
	var first, last [4]byte
	if _, err = t.at.ReadAt(first[:], t.entries); err == nil {
		_, err = t.at.ReadAt(last[:], t.entries+8*int64(t.count))
	}
	return uint64(binary.LittleEndian.Uint32(first[:])), uint64(binary.LittleEndian.Uint32(last[:])), err
}

func (t *table) reader() *chunks {
	return &chunks{at: t.at, size: t.size, left: 2*(t.size/chunkSize) + 16}
}

// chunks reads what is mostly in order, a chunk at a time.
type chunks struct {
	at    io.ReaderAt
	size  int64
	start int64
	data  []byte
	left  int64 // chunks that may still be read
}

// read returns n bytes, which are valid until the next call.
func (c *chunks) read(offset, n int64) ([]byte, error) {
	if offset < 0 || offset+n > c.size {
		return nil, errors.New("function table: it ends too soon")
	}
	if offset < c.start || offset+n > c.start+int64(len(c.data)) {
		if c.left--; c.left < 0 {
			return nil, errors.New("function table: its records are out of order")
		}
		c.data = append(c.data[:0], make([]byte, min(chunkSize, c.size-offset))...)
		if _, err := c.at.ReadAt(c.data, offset); err != nil {
			return nil, fmt.Errorf("function table: %w", err)
		}
		c.start = offset
	}
	return c.data[offset-c.start:][:n], nil
}
