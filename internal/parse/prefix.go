// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import "bytes"

// A prefix is what stands before the text of a dump on its lines, as loggers, line
// numbers and quoting put it there. It is learned from a header: whatever stands
// before one. On other lines numbers in it may differ.
type prefix struct {
	text   []byte
	first  []byte // the beginning of text without its last blanks
	fields int    // words in text
	tail   int    // blanks at the end of text
	// exact counts lines that had the prefix, similar those that had as many words of
	// which some were in it, and absent those of the dump that had none.
	exact, similar, absent int
	tried                  int // lines on which shorter prefixes were tried
}

const (
	// maxPrefix is how many bytes of a line may stand before the text of a dump.
	maxPrefix = 1 << 10
	// maxTried is on how many lines after a header shorter prefixes are tried, and
	// maxShorter how many of them.
	maxTried, maxShorter = 8, 32
)

// learn takes a prefix from a header.
func (p *prefix) learn(text []byte) {
	if bytes.Equal(p.text, text) {
		return
	}
	n, same := p.match(text)
	fields := len(bytes.Fields(text))
	if !same || n != len(text) {
		p.exact, p.absent, p.tried = 0, 0, 0
		if fields != p.fields {
			p.similar = 0
		}
	}
	p.text, p.fields = append(p.text[:0], text...), fields
	p.first = bytes.TrimRight(p.text, " \t")
	p.tail = len(p.text) - len(p.first)
}

// cut returns the text of a line after the prefix. wanted says that the line
// before must go on in this one. ok is false if the line is not of the dump.
func (p *prefix) cut(line []byte, wanted bool) (text []byte, ok bool) {
	if n, ok := p.match(line); ok {
		p.exact++
		return line[n:], true
	}
	line = trimBlanks(line)
	if p.exact+p.similar+p.absent == 0 && p.tried < maxTried {
		tried := p.tried + 1
		text, ok := p.shorten(line)
		p.tried = tried
		if ok {
			return text, true
		}
	}
	if isLine(line) || len(line) == 0 {
		p.absent++
		return line, true
	}
	if p.exact < 2 || p.similar > 0 || !p.stable() {
		if text, similar, ok := p.words(line); ok && (similar || wanted || isLine(text) || len(text) == 0) {
			if similar {
				p.similar++
			}
			return text, true
		}
	}
	if p.exact == 0 && p.absent == 0 {
		if text := inner(line); len(text) > 0 {
			return text, true
		}
	}
	unknown := p.exact+p.similar+p.absent == 0 && bytes.IndexByte(line, ' ') < 0 // perhaps the name of a C function
	return line, wanted || unknown
}

// shorten tries shorter prefixes: the first or the last words before the first header
// may have been of that line only. It learns the one after which there is a line of a
// dump.
func (p *prefix) shorten(line []byte) (text []byte, ok bool) {
	whole := bytes.Clone(p.text)
	if text, ok := p.try(whole, line); ok {
		return text, true
	}
	tries := 0
	for end := bytes.LastIndexAny(p.first, " \t"); end >= 0 && tries < maxShorter; end = bytes.LastIndexAny(whole[:end], " \t") {
		tries++
		if text, ok := p.try(whole[:end+1], line); ok {
			return text, true
		}
	}
	for start := 0; start < len(whole) && tries < 2*maxShorter; start++ {
		if blank := whole[start] == ' ' || whole[start] == '\t'; blank == (start > 0 && (whole[start-1] == ' ' || whole[start-1] == '\t')) {
			continue
		}
		tries++
		if text, ok := p.try(whole[start:], line); ok {
			return text, true
		}
	}
	p.learn(whole)
	return nil, false
}

// try tries another prefix.
func (p *prefix) try(prefix, line []byte) (text []byte, ok bool) {
	p.learn(prefix)
	if n, ok := p.match(line); ok && isLine(line[n:]) {
		p.exact++
		return line[n:], true
	}
	text, similar, ok := p.words(line)
	return text, ok && similar && isLine(text)
}

// stable reports whether the prefix has any text but numbers and punctuation.
func (p *prefix) stable() bool {
	return bytes.ContainsFunc(p.first, func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' })
}

// match returns the length of the prefix at the beginning of a line: the same text,
// with other numbers.
func (p *prefix) match(line []byte) (n int, ok bool) {
	if bytes.HasPrefix(line, p.text) {
		return len(p.text), true
	}
	n, ok = alike(p.first, line)
	if !ok || len(p.first) == 0 {
		return 0, false
	}
	rest := line[n:]
	if len(trimBlanks(rest)) == 0 {
		return len(line), true // a blank line, with or without the blanks
	}
	if !bytes.HasPrefix(rest, p.text[len(p.first):]) {
		return 0, false
	}
	return n + p.tail, true
}

// alike returns how much of a line is like text: the same, but for numbers. Times
// lose zeros at their end, and grep ends the number of a line that it found with a
// colon, and of others with a dash.
func alike(text, line []byte) (n int, ok bool) {
	i := 0
	for i < len(text) {
		c := text[i]
		switch {
		case isDigit(c):
			if n == len(line) || !isDigit(line[n]) {
				return 0, false
			}
			i, n = i+digits(text[i:]), n+digits(line[n:])
			i, n = fraction(text, i), fraction(line, n)
		case c == ' ' || i == 0 && n < len(line) && line[n] == ' ':
			i, n = i+blanks(text[i:]), n+blanks(line[n:])
		case n == len(line) || line[n] != c && !(c == ':' && line[n] == '-'):
			return 0, false
		default:
			i, n = i+1, n+1
		}
	}
	return n, true
}

// digits returns how many digits b begins with.
func digits(b []byte) (n int) {
	for n < len(b) && isDigit(b[n]) {
		n++
	}
	return n
}

// fraction skips the fraction of a second.
func fraction(b []byte, i int) int {
	if i+1 < len(b) && (b[i] == '.' || b[i] == ',') && isDigit(b[i+1]) {
		return i + 1 + digits(b[i+1:])
	}
	return i
}

func blanks(b []byte) (n int) {
	for n < len(b) && b[n] == ' ' {
		n++
	}
	return n
}

// words skips as many words as the prefix has, whatever they are. similar says that
// one of them is the same but for numbers; the last one must be if there is no blank
// after it.
func (p *prefix) words(line []byte) (text []byte, similar, ok bool) {
	want, rest := p.text, line
	for i := range p.fields {
		want, rest = bytes.TrimLeft(want, " \t"), bytes.TrimLeft(rest, " \t")
		end, stop := bytes.IndexAny(want, " \t"), bytes.IndexAny(rest, " \t")
		if end < 0 {
			n, ok := alike(want, rest)
			return rest[n:], true, ok && i > 0
		}
		if stop < 0 {
			return nil, similar, similar && i == p.fields-1 && len(rest) > 0 // a blank line
		}
		n, same := alike(want[:end], rest[:stop])
		similar = similar || same && n == stop
		want, rest = want[end:], rest[stop:]
	}
	if bytes.HasPrefix(rest, want) {
		return rest[len(want):], similar, true
	}
	return bytes.TrimLeft(rest, " "), similar, true
}

// A border is what ends each line of a text in a box, such as │.
type border struct{ text []byte }

// maxBorder is how many bytes it has at most.
const maxBorder = 8

// cut returns a line without the border, which it learns from a header: f is what was
// found in the line.
func (b *border) cut(line []byte, f found) []byte {
	switch {
	case f.at >= 0 && f.end >= 0:
		rest := bytes.TrimSpace(line[f.end:])
		b.text = b.text[:0]
		if 0 < len(rest) && len(rest) <= maxBorder && len(bytes.Trim(rest, "|*#│┃║")) == 0 {
			b.text = append(b.text, rest...)
			line = line[:f.end]
		}
	case f.at < 0 && len(b.text) > 0:
		if text, ok := bytes.CutSuffix(trimBlanks(line), b.text); ok {
			line = trimBlanks(text)
		}
	}
	return line
}

// inner returns the line of a dump that stands at the end of a line, or nil.
func inner(line []byte) []byte {
	if i := bytes.Index(line, createdStart); i >= 0 {
		return line[i:]
	}
	if i := bytes.IndexByte(line, '\t'); i >= 0 && isPlace(line[i+1:]) {
		return line[i:]
	}
	open := bytes.LastIndexByte(line, '(')
	if open <= 0 {
		return nil
	}
	call := line[bytes.LastIndexByte(line[:open], ' ')+1:]
	if isGoCall(call) {
		return call
	}
	return nil
}
