// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"html"
)

// maxNesting is how deep structured records may be nested.
const maxNesting = 4

// An unwrapper takes the text of a goroutine dump out of whatever was put around
// it, by what stands around its headers: nothing; a prefix on each line, or on the
// first one; the field of a structured record. What the content of a field is
// wrapped in is decided anew.
type unwrapper struct {
	layout *layout
	depth  int
	number *int // of the current line of the input

	form      form
	prefix    prefix
	border    border
	fields    fields
	inner     *unwrapper // takes the content of fields
	long      longLine
	clean     []byte
	stamps    *stamps    // takes the times of lines with headers; nil for the content of fields
	processes *processes // takes the lines of other processes; nil for those
}

// form is what was found around the last header.
type form int

const (
	noForm form = iota // no header yet
	plainForm
	prefixForm
	fieldForm
)

// longLine says what is done with the rest of a line that is longer than the
// buffer.
type longLine int

const (
	notLong longLine = iota
	dropped
	scanned
)

func newUnwrapper(l *layout, number *int, depth int) *unwrapper {
	u := &unwrapper{layout: l, number: number, depth: depth}
	u.fields.out = u.content
	return u
}

// content takes a line, or a piece of it, from a field.
func (u *unwrapper) content(piece []byte, first, last bool) {
	if u.inner == nil {
		u.inner = newUnwrapper(u.layout, u.number, u.depth+1)
	}
	u.inner.take(piece, first, last)
}

// take takes a line without its end, or a piece of one that is longer than the
// buffer.
func (u *unwrapper) take(piece []byte, first, last bool) {
	switch {
	case !first:
		if u.long == scanned {
			u.fields.write(piece, last)
		}
		if last {
			u.long = notLong
		}
	case last:
		u.line(piece)
	default:
		u.longLine(piece)
	}
}

// longLine takes the beginning of a line that is longer than the buffer.
func (u *unwrapper) longLine(piece []byte) {
	u.long = dropped
	f := findHeader(piece)
	bare := escapedEnd(piece, f)
	switch {
	case bare && u.depth < maxNesting && !u.fields.quoted(piece, f.at):
		u.long = scanned
		u.fields.startBare()
		u.fields.write(piece, false)
	case f.at == 0 || u.form == plainForm && u.layout.inGoroutine() || u.depth == maxNesting:
		u.layout.take(piece, *u.number, true)
	case f.at > 0 && f.at <= maxPrefix && !u.fields.quoted(piece, f.at):
		u.form = prefixForm
		u.prefix.learn(piece[:f.at])
		u.layout.take(piece[f.at:], *u.number, true)
	case f.at < 0 && u.form == prefixForm:
		if text, ok := u.prefix.cut(piece, u.layout.wantsMore()); ok {
			u.layout.take(text, *u.number, true)
		}
	default:
		u.long = scanned
		if f.at >= 0 && u.fields.quoted(piece, f.at) {
			u.form = fieldForm
		}
		u.fields.start()
		u.fields.write(piece, false)
	}
}

// escapedEnd reports whether a line goes on after its header with the escaped end of
// a line.
func escapedEnd(line []byte, f found) bool {
	return f.at >= 0 && bytes.Contains(line[max(f.at, f.end):], []byte(`\n`))
}

// line takes a line.
func (u *unwrapper) line(line []byte) {
	if bytes.IndexByte(line, 0x1b) >= 0 {
		u.clean = withoutEscapes(u.clean[:0], line)
		line = u.clean
	}
	if u.processes != nil && u.form == prefixForm {
		var taken bool
		if line, taken = u.processes.take(line); taken {
			return
		}
	}
	if u.form == plainForm && len(line) > 0 && line[0] == '\t' {
		u.layout.take(line, *u.number, false)
		return
	}
	f := findStart(line)
	if text := u.spelled(line, f); text != nil {
		u.split(text)
		return
	}
	if marked(line) {
		line = withoutHTML(line)
		f = findStart(line)
	}
	line = u.border.cut(line, f)
	if f.at > 0 && u.stamps != nil {
		u.stamps.add(*u.number, timeOf(line, f.at))
	}
	switch {
	case u.depth == maxNesting:
	case f.at > 0 && u.fields.quoted(line, f.at):
		u.form = fieldForm
		u.record(line)
		return
	case escapedEnd(line, f):
		u.fields.startBare()
		u.fields.write(line, true)
		return
	case f.at < 0 && u.form == fieldForm && u.record(line):
		return
	case f.at < 0 && u.form == noForm && u.ending(line):
		return
	}
	if clean := withoutHTML(line); len(clean) != len(line) {
		line, f = clean, findStart(clean)
	}
	u.text(line, f)
}

// ending takes a record before the first header in which the runtime says that the
// process ends.
func (u *unwrapper) ending(line []byte) bool {
	at := endingAt(line)
	return at > 0 && u.fields.quoted(line, at) && u.record(line)
}

// text takes a line that is not a record.
func (u *unwrapper) text(line []byte, f found) {
	switch {
	case f.at < 0:
		u.more(line)
	case f.at == 0:
		u.form = plainForm
		u.layout.take(line, *u.number, false)
	case f.at <= maxPrefix && (f.end >= 0 || u.form == noForm || u.form == prefixForm):
		if u.processes != nil {
			var taken bool
			if line, taken = u.processes.begins(line, f.at, u.prefix.fields); taken {
				return
			}
		}
		u.form = prefixForm
		u.prefix.learn(line[:f.at])
		u.layout.take(line[f.at:], *u.number, false)
	default:
		u.more(line)
	}
}

// more takes a line without a header.
func (u *unwrapper) more(line []byte) {
	switch u.form {
	case fieldForm:
		if isLine(line) {
			u.layout.take(line, *u.number, false)
		}
	case prefixForm:
		text, ok := u.prefix.cut(line, u.layout.wantsMore())
		if !ok && u.prefix.exact == 0 && u.prefix.absent > 0 {
			u.form, ok = plainForm, true // only the first line has one
		}
		if ok {
			u.layout.take(text, *u.number, false)
		}
	default:
		u.layout.take(line, *u.number, false)
	}
}

// record takes a structured record. It reports whether the record has a field of the
// dump.
func (u *unwrapper) record(line []byte) bool {
	u.fields.start()
	u.fields.write(line, true)
	return u.fields.took
}

// marked reports whether a line is HTML: its quotes, if any, are entities.
func marked(line []byte) bool {
	tags := bytes.IndexByte(line, '<') >= 0 && bytes.IndexByte(line, '>') >= 0
	if !tags && !(bytes.IndexByte(line, '&') >= 0 && bytes.IndexByte(line, ';') >= 0) {
		return false
	}
	if tags {
		line = withoutTags(line)
	}
	return bytes.IndexByte(line, '"') < 0 && bytes.IndexByte(line, '\'') < 0
}

// withoutHTML returns a line without tags and entities of HTML, and with plain
// spaces. HTML may be quoted in HTML.
func withoutHTML(line []byte) []byte {
	for range 3 {
		before := len(line)
		if bytes.IndexByte(line, '<') >= 0 && bytes.IndexByte(line, '>') >= 0 {
			line = withoutTags(line)
		}
		if bytes.IndexByte(line, '&') >= 0 && bytes.IndexByte(line, ';') >= 0 {
			line = []byte(html.UnescapeString(string(line)))
		}
		if len(line) == before {
			break
		}
	}
	if bytes.Contains(line, noBreak) {
		line = bytes.ReplaceAll(line, noBreak, []byte(" "))
	}
	return line
}

// noBreak is a space that does not break.
var noBreak = []byte("\u00a0")

// withoutEscapes appends a line without the control sequences of a terminal.
func withoutEscapes(to, line []byte) []byte {
	for len(line) > 0 {
		i := bytes.IndexByte(line, 0x1b)
		if i < 0 {
			return append(to, line...)
		}
		to = append(to, line[:i]...)
		line = line[i+1:]
		line = line[sequence(line):]
	}
	return to
}

// sequence returns the length of a control sequence after the escape.
func sequence(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	switch b[0] {
	case '[':
		for i := 1; i < len(b); i++ {
			if b[i] >= 0x40 && b[i] <= 0x7e {
				return i + 1
			}
		}
		return len(b)
	case ']': // up to a bell, or to an escape and a backslash
		if i := bytes.IndexAny(b, "\a\x1b"); i >= 0 {
			return i + 1
		}
		return len(b)
	}
	return 1
}

// tags are elements of HTML that text may be marked up with. Go has <autogenerated>
// and <unknown line number>, which are none.
var tags = map[string]bool{
	"a": true, "b": true, "i": true, "p": true, "u": true, "br": true, "em": true, "td": true, "tr": true, "tt": true, "li": true, "ol": true, "ul": true,
	"div": true, "pre": true, "code": true, "span": true, "font": true, "mark": true, "strong": true, "samp": true, "small": true, "table": true, "tbody": true,
	"html": true, "head": true, "body": true, "title": true, "meta": true, "details": true, "summary": true, "blockquote": true, "textarea": true, "article": true, "section": true,
}

// withoutTags returns a line without the tags of HTML.
func withoutTags(line []byte) []byte {
	var to []byte
	from := 0
	for i := 0; i < len(line); i++ {
		if line[i] != '<' {
			continue
		}
		if n := tag(line[i:]); n > 0 {
			to = append(to, line[from:i]...)
			from = i + n
			i = from - 1
		}
	}
	if from == 0 {
		return line
	}
	return append(to, line[from:]...)
}

// maxTag and maxTagName bound the length of a tag and of its name.
const maxTag, maxTagName = 2 << 10, 16

// tag returns the length of the tag that b begins with, or 0.
func tag(b []byte) int {
	name := bytes.TrimPrefix(b[1:], []byte("/"))
	name = name[:min(len(name), maxTagName)]
	if i := bytes.IndexAny(name, " /\t>"); i >= 0 {
		name = name[:i]
	}
	if !tags[string(bytes.ToLower(name))] {
		return 0
	}
	return bytes.IndexByte(b[:min(len(b), maxTag)], '>') + 1
}

// inField reports whether the text is in the fields of records.
func (u *unwrapper) inField() bool { return u.form == fieldForm }

// end passes on what is held back at the end of the input.
func (u *unwrapper) end() {
	u.fields.end()
	if u.inner != nil {
		u.inner.end()
	}
}
