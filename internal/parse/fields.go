// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// maxKey bounds the name of a field, and maxHead how much of a field is read
	// before it is decided whether it is of a dump.
	maxKey, maxHead = 256, 4 << 10
)

// fields takes the text of a dump out of the quoted fields of structured records:
// JSON, logfmt and whatever has strings in quotes with escapes. The field is
// learned from a header: it is the one that a header is in.
type fields struct {
	out func(piece []byte, first, last bool) // takes the text, by lines

	known bool   // key is known
	key   []byte // of the field with the dump; empty: it has none
	quote byte
	// column is that of a field without a name, in its array or in a record without
	// braces and brackets such as CSV; keyColumn is that of the field with the dump.
	column, keyColumn, nested int
	ends                      bool // the field holds the ends of lines: without one, a line goes on

	state  fieldState
	name   []byte // of the next field
	word   []byte // outside quotes
	head   []byte // the field so far, or its beginning, with its escapes
	odd    bool   // the last byte was a backslash, not escaped itself
	mode   fieldMode
	chosen bool // a field of this record has been chosen by a header

	escape []byte // an escape that is not complete
	high   rune   // the first half of a surrogate pair
	line   []byte
	begun  bool // a part of line has been passed on
	lines  int  // of the field
	took   bool // a field of this record was passed on
}

type fieldState int

const (
	betweenFields fieldState = iota
	inField
	afterField // it may be a name
	bareField  // without quotes, up to the end of the line
)

type fieldMode int

const (
	fieldUndecided fieldMode = iota
	fieldPassed
	fieldSkipped
)

// start starts a record: a line.
func (f *fields) start() {
	f.state, f.chosen, f.took = betweenFields, false, false
	f.column, f.nested = 0, 0
	f.name, f.word = f.name[:0], f.word[:0]
	if f.quote == 0 {
		f.quote = '"'
	}
}

// startBare starts a record that is the text itself, with escapes.
func (f *fields) startBare() {
	f.start()
	f.state, f.mode, f.took, f.chosen = bareField, fieldPassed, true, true
	f.begin()
}

// write takes a piece of a record. last says that it is the last.
func (f *fields) write(b []byte, last bool) {
	for len(b) > 0 {
		switch f.state {
		case inField:
			b = f.inside(b)
		case bareField:
			f.decode(b)
			b = nil
		default:
			b = f.between(b)
		}
	}
	if !last {
		return
	}
	switch {
	case f.state == afterField, f.state == inField && f.mode == fieldUndecided:
		f.decide(true) // in the second case the record is cut
	case f.state == inField, f.state == bareField:
		f.finish()
	}
	f.state = betweenFields
}

// between takes bytes up to the next quote.
func (f *fields) between(b []byte) []byte {
	for i, c := range b {
		if f.state == afterField {
			switch c {
			case ' ', '\t':
				continue
			case ':':
				f.name = append(f.name[:0], f.head[:min(len(f.head), maxKey)]...)
				f.state = betweenFields
				continue
			}
			f.decide(true)
			f.state = betweenFields
		}
		switch c {
		case f.quote:
			f.state, f.odd, f.mode, f.head = inField, false, fieldUndecided, f.head[:0]
			f.begin()
			return b[i+1:]
		case '=', ':':
			if len(f.word) > 0 {
				f.name = append(f.name[:0], f.word...)
			}
			f.word = f.word[:0]
		case ' ', '\t':
			f.word = f.word[:0]
		case ',', '{', '[', '}', ']':
			f.name, f.word = f.name[:0], f.word[:0]
			f.structure(c)
		default:
			if len(f.word) < maxKey {
				f.word = append(f.word, c)
			}
		}
	}
	return nil
}

// structure takes a byte that separates fields.
func (f *fields) structure(c byte) {
	switch c {
	case '{', '[':
		f.nested++
		f.column = 0
	case '}', ']':
		f.nested--
	default:
		f.column++
	}
}

// inside takes bytes of a field, up to its closing quote.
func (f *fields) inside(b []byte) []byte {
	end := f.closing(b)
	text := b
	if end >= 0 {
		text = b[:end]
	}
	switch f.mode {
	case fieldPassed:
		f.decode(text)
	case fieldUndecided:
		n := min(len(text), maxHead-len(f.head))
		f.head = append(f.head, text[:n]...)
		if len(f.head) == maxHead {
			f.decide(false)
			if f.mode == fieldPassed {
				f.decode(text[n:])
			}
		}
	}
	if end < 0 {
		return nil
	}
	if f.mode == fieldUndecided {
		f.state = afterField
	} else {
		f.finish()
	}
	return b[end+1:]
}

// closing returns the index of the quote that ends the field, or -1.
func (f *fields) closing(b []byte) int {
	i := 0
	if f.odd && len(b) > 0 {
		i, f.odd = 1, false
	}
	for i < len(b) {
		quote := bytes.IndexByte(b[i:], f.quote)
		rest := b[i:]
		if quote >= 0 {
			rest = b[i : i+quote]
		}
		odd := trailing(rest)%2 == 1
		switch {
		case quote < 0:
			f.odd = odd
			return -1
		case !odd && quote+1 < len(b[i:]) && b[i+quote+1] == f.quote && i+quote > 0:
			quote++ // doubled, as in CSV
		case !odd:
			return i + quote
		}
		i += quote + 1
	}
	return -1
}

// trailing returns how many backslashes b ends with.
func trailing(b []byte) (n int) {
	for n < len(b) && b[len(b)-1-n] == '\\' {
		n++
	}
	return n
}

// decide decides whether the field is of the dump, by its beginning or all of it.
func (f *fields) decide(whole bool) {
	has := findStart(f.head).at >= 0
	same := f.known && bytes.Equal(f.name, f.key) && (len(f.key) > 0 || f.unnamed())
	switch {
	case has && (!f.chosen || same):
		f.known, f.chosen = true, true
		f.key, f.keyColumn = append(f.key[:0], f.name...), f.column
		f.ends = whole && bytes.HasSuffix(f.head, []byte(`\n`)) && trailing(f.head[:len(f.head)-1])%2 == 1
		f.mode = fieldPassed
	case same:
		f.mode = fieldPassed
	case !f.known && endingAt(f.head) >= 0: // what the runtime says before the first header
		f.mode = fieldPassed
	case !f.known && !whole && bytes.Contains(f.head, []byte(`\n`)):
		f.mode = fieldPassed
	default:
		f.mode = fieldSkipped
	}
	if f.mode == fieldPassed {
		f.took = true
		f.decode(f.head)
		if whole {
			f.finish()
		}
	}
	if whole {
		f.name = f.name[:0]
	}
}

// unnamed reports whether a field without a name may be of the dump: it is in the same
// column of a table, or in an array of lines, which may have a time before each line.
func (f *fields) unnamed() bool {
	if f.nested <= 0 && f.column != f.keyColumn {
		return false
	}
	return digits(f.head) < len(f.head) || f.column >= f.keyColumn && len(f.head) < minTimeDigits
}

// minTimeDigits is how many digits the time since 1970 has in seconds.
const minTimeDigits = 10

// begin begins the text of a field.
func (f *fields) begin() {
	f.lines, f.high, f.escape = 0, 0, f.escape[:0]
}

// finish ends the text of a field.
func (f *fields) finish() {
	f.state = betweenFields
	f.name = f.name[:0]
	if f.mode != fieldPassed {
		return
	}
	for _, c := range f.escape {
		f.put(c)
	}
	f.escape = f.escape[:0]
	if len(f.line) > 0 || f.begun || f.lines == 0 {
		if f.ends && f.lines == 0 && len(f.line) > 0 {
			return // goes on in the next record
		}
		f.endLine()
	}
}

// end ends what goes on in a record that never came.
func (f *fields) end() {
	if len(f.line) > 0 {
		f.endLine()
	}
}

// decode takes text with escapes.
func (f *fields) decode(b []byte) {
	for len(b) > 0 {
		if len(f.escape) > 0 {
			f.escape = append(f.escape, b[0])
			b = b[1:]
			f.unescape()
			continue
		}
		i := bytes.IndexByte(b, '\\')
		if i < 0 {
			f.puts(b)
			return
		}
		f.puts(b[:i])
		f.escape = append(f.escape, '\\')
		b = b[i+1:]
	}
}

// simple are the escapes of one letter.
var simple = [256]byte{'n': '\n', 't': '\t', 'r': '\r', '"': '"', '\\': '\\', '/': '/', 'b': ' ', 'f': ' ', 'v': ' ', 'a': ' ', '\'': '\''}

// coded are the lengths of the escapes with the number of a character.
var coded = [256]int{'u': 6, 'U': 10, 'x': 4}

// unescape decodes the escape, if it is complete.
func (f *fields) unescape() {
	e := f.escape
	if len(e) == 2 {
		if c := simple[e[1]]; c != 0 {
			f.escape = e[:0]
			f.put(c)
			return
		}
	}
	want := coded[e[1]]
	base := rune(16)
	first := 2
	if isDigit(e[1]) {
		want, base, first = 4, 8, 1
	}
	switch {
	case want == 0 || len(e) > first && !isDigit(e[len(e)-1]) && (base == 8 || !isHex(e[len(e)-1]|0x20)):
		f.escape = nil // not an escape
		f.puts(e)
		return
	case len(e) < want:
		return
	}
	var r rune
	for _, c := range e[first:] {
		r = r*base + rune(hexValue(c))
	}
	f.escape = e[:0]
	if e[1] == 'u' {
		f.rune(r)
	} else if base == 8 || e[1] == 'x' {
		f.put(byte(r))
	} else {
		f.character(r)
	}
}

// rune takes a character of an escape \uXXXX.
func (f *fields) rune(r rune) {
	switch {
	case f.high != 0:
		r = utf16.DecodeRune(f.high, r)
		f.high = 0
	case utf16.IsSurrogate(r):
		f.high = r
		return
	}
	f.character(r)
}

// character takes a character that was escaped.
func (f *fields) character(r rune) {
	if r < utf8.RuneSelf {
		f.put(byte(r))
		return
	}
	f.line = utf8.AppendRune(f.line, r)
	f.spill()
}

func hexValue(c byte) int {
	if isDigit(c) {
		return int(c - '0')
	}
	return int(c|0x20-'a') + 10
}

// put takes a byte of the text.
func (f *fields) put(c byte) {
	if c == '\n' {
		f.endLine()
		f.lines++
		return
	}
	f.line = append(f.line, c)
	f.spill()
}

// spill passes on the beginning of a line that is longer than the buffer.
func (f *fields) spill() {
	if len(f.line) >= maxLine {
		f.out(f.line, !f.begun, false)
		f.line, f.begun = f.line[:0], true
	}
}

// puts takes text without escapes.
func (f *fields) puts(b []byte) {
	for len(b) > 0 {
		n := min(len(b), maxLine)
		f.line = append(f.line, b[:n]...)
		b = b[n:]
		f.spill()
	}
}

func (f *fields) endLine() {
	f.out(bytes.TrimRight(f.line, "\r"), !f.begun, true)
	f.line, f.begun = f.line[:0], false
}

// quoted reports whether the header at an offset of a line is in a field: within
// quotes that end on this line, or before an escaped end of a line. If the ends of
// lines are escaped outside quotes, the fields are not those of this line.
func (f *fields) quoted(line []byte, at int) bool {
	quote, around := byte(0), byte(0)
	for i := 0; i < len(line); i++ {
		if i == at {
			if around = quote; quote == 0 {
				return false
			}
		}
		switch c := line[i]; {
		case c == '\\':
			if i++; quote == 0 && i > at && i < len(line) && line[i] == 'n' {
				return false
			}
		case c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\'' && opensQuote(line[:i])):
			quote = c
		}
	}
	if quote != 0 && bytes.IndexByte(line[at:], around) < 0 && !bytes.Contains(line[at:], []byte(`\n`)) {
		return false
	}
	f.quote = around
	return true
}

// opensQuote reports whether an apostrophe after b may open a string.
func opensQuote(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	switch b[len(b)-1] {
	case ' ', '=', ':', '(', '[', '{', ',', 'b':
		return true
	}
	return false
}
