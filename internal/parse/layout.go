// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
)

const (
	// maxPieces and maxPending bound how many lines, and how many bytes, one line of
	// a dump may have been wrapped into.
	maxPieces, maxPending = 32, 16 << 10
)

// A lineSink takes the lines of a dump.
type lineSink interface {
	// feed takes a line without its end. number is where it stands in the input. cut
	// says that line is only the beginning of a longer one. The line is valid during
	// the call.
	feed(line []byte, number int, cut bool)
}

// A layout restores the lines of a goroutine dump: it indents places with one tab,
// joins lines that were wrapped, and drops blank lines that were put between all
// lines. Lines that it does not recognize are passed on as they are.
type layout struct {
	out lineSink
	at  position

	number int // of the current line
	width  int // of the longest line so far: a line that was wrapped is as long
	spaced bool
	blanks int // blank lines not yet passed on

	// A line that may go on in the next one.
	pending pending
	text    []byte
	raw     []byte // its pieces, each with a line end
	pieces  int
	started int  // number of its first piece
	gap     int  // blank lines after its last piece
	ended   bool // the input has ended
	damaged bool // a header has no end, although a call follows
	named   bool // a place follows: what is pending is a name without arguments
	gaps    bool // there were blank lines between its pieces

	line, tab []byte // for lines that are changed
}

// A position is where in the text of a goroutine a line stands: after what.
type position int

const (
	atText position = iota // not in a goroutine
	atHeader
	atCall
	atPlace
	atCreation
	atEnd // after the place of the go statement
)

// pending is what kind of line may go on in the next one.
type pending int

const (
	notPending pending = iota
	pendingHeader
	pendingCall // its parenthesis is open
	pendingName
	pendingPlace
	pendingNumber // a complete place, whose number may go on
	pendingCreation
)

// wantsMore reports whether the last line was incomplete.
func (l *layout) wantsMore() bool { return l.pending != notPending }

// take takes a line. It may hold it back until the next line, or end, comes.
func (l *layout) take(line []byte, number int, cut bool) {
	l.number = number
	if !cut {
		line = trimBlanks(line)
	}
	if l.pending != notPending && l.join(line, cut) {
		return
	}
	if len(line) == 0 {
		l.blank()
		return
	}
	if !l.settleBlanks(line) {
		return
	}
	width := l.width
	if l.at != atText && l.at != atEnd {
		l.width = max(width, len(line))
	}
	switch {
	case cut:
		l.pass(line, number, cut)
	case line[0] == '\t' && l.tabbed(line, width):
	default:
		l.other(line)
	}
}

// trimBlanks returns a line without the blanks at its end.
func trimBlanks(line []byte) []byte {
	n := len(line)
	for n > 0 && (line[n-1] == ' ' || line[n-1] == '\t' || line[n-1] == '\r') {
		n--
	}
	return line[:n]
}

// end passes on what is held back at the end of the input.
func (l *layout) end() {
	l.ended = true
	if l.pending != notPending {
		l.flush()
	}
}

// blank takes a blank line. Between a header and a call, or a call and its place,
// it was put there.
func (l *layout) blank() {
	switch l.at {
	case atHeader, atCall, atCreation:
		l.blanks++
	case atPlace:
		if !l.spaced || l.blanks > 0 {
			l.passBlank()
			return
		}
		l.blanks++
	default:
		l.passBlank()
	}
}

func (l *layout) passBlank() {
	l.blanks, l.at = 0, atText
	l.out.feed(nil, l.number, false)
}

// settleBlanks decides about blank lines that were held back, by the line after
// them. It returns false if that line is one of others among those of the dump.
func (l *layout) settleBlanks(line []byte) bool {
	if l.blanks == 0 {
		return true
	}
	text := bytes.TrimLeft(line, " \t")
	switch {
	case l.blanks > 2 || isHeader(text):
	case l.goesOn(line, text):
		l.spaced, l.blanks = true, 0
		return true
	case (l.spaced || l.at != atPlace) && !isNote(text) && bytes.IndexByte(beforeParenthesis(text), ' ') >= 0 && !bytes.HasPrefix(text, headerStart):
		return false
	}
	l.passBlank()
	return true
}

// goesOn reports whether a line after a blank one goes on with the goroutine.
func (l *layout) goesOn(line, text []byte) bool {
	if l.at == atCall || l.at == atCreation {
		return line[0] == '\t' || isPlace(text) || len(text) < len(line)
	}
	return isGoCall(text) || isNote(text) || startsCall(text) || l.spaced && bytes.IndexByte(text, ' ') < 0
}

// beforeParenthesis returns what may be the name of a function.
func beforeParenthesis(text []byte) []byte {
	name, _, _ := bytes.Cut(text, []byte("("))
	return name
}

// startsCall reports whether a line may be the beginning of a call.
func startsCall(text []byte) bool {
	if !startsName(text[0]) {
		return false
	}
	name := beforeParenthesis(text)
	return bytes.IndexByte(name, ' ') < 0 && bytes.IndexByte(name, '.') > 0
}

// pass passes on a line as it is, or as it has been restored.
func (l *layout) pass(line []byte, number int, cut bool) { l.out.feed(line, number, cut) }

// tabbed takes a line that begins with a tab, if it is a place or a note as the
// runtime writes it.
func (l *layout) tabbed(line []byte, width int) bool {
	if len(line) > 1 && (line[1] == '\t' || line[1] == ' ') {
		return false
	}
	_, number, ok := cutPlace(line[1:])
	switch {
	case !ok && (l.at == atCall || l.at == atCreation) && !isNote(line[1:]):
		l.hold(pendingPlace, line)
		return true
	case !ok:
		return false
	case isDigit(line[len(line)-1]) && len(line)+7 >= width && bytes.HasSuffix(line, number) && line[len(line)-len(number)-1] == ':':
		l.hold(pendingNumber, line)
		return true
	}
	l.place(line)
	return true
}

// place passes on a place.
func (l *layout) place(line []byte) {
	if l.at == atCreation {
		l.at = atEnd
	} else if l.at != atText && l.at != atEnd {
		l.at = atPlace
	}
	l.pass(line, l.number, false)
}

// other takes any line that is not a place with its tab.
func (l *layout) other(line []byte) {
	text := bytes.TrimLeft(line, " \t")
	switch f := headerStartOf(text); {
	case f.at == 0 && f.end == len(text):
		l.header(text)
	case f.at == 0 && f.end < 0 && l.at != atCall:
		l.hold(pendingHeader, text)
	case l.at == atText || l.at == atEnd:
		l.outside(line)
	case bytes.HasPrefix(text, createdStart):
		l.hold(pendingCreation, text)
	case (l.at == atCall || l.at == atCreation) && isPlace(text):
		l.indented(text)
	case isCall(text):
		l.at = atCall
		l.pass(text, l.number, false)
	default:
		l.unknown(line, text)
	}
}

// outside takes a line that is not in a goroutine: it may be the beginning of a
// header.
func (l *layout) outside(line []byte) {
	if string(line) == "goroutine" {
		l.hold(pendingHeader, line)
		return
	}
	l.pass(line, l.number, false)
}

// headerStartOf returns the header that a line begins with.
func headerStartOf(text []byte) found {
	if !bytes.HasPrefix(text, headerStart) && (len(text) == 0 || !isDigit(text[0])) {
		return found{at: -1}
	}
	return findHeader(text)
}

func (l *layout) header(line []byte) {
	l.at, l.spaced, l.width = atHeader, false, len(line)
	l.pass(line, l.number, false)
}

// indented passes on a place that has lost its tab.
func (l *layout) indented(text []byte) {
	if _, number, _ := cutPlace(text); bytes.HasSuffix(text, number) && len(text)+16 >= l.width {
		l.hold(pendingNumber, text)
		return
	}
	l.tab = append(append(l.tab[:0], '\t'), text...)
	l.place(l.tab)
}

// unknown takes a line in a goroutine that is no complete line of a dump.
func (l *layout) unknown(line, text []byte) {
	open := bytes.IndexByte(text, '(')
	name := text
	if open >= 0 {
		name = text[:open]
	}
	spaces := bytes.IndexByte(name, ' ') >= 0
	switch {
	case isNote(text):
		l.note(text)
	case (l.at == atCall || l.at == atCreation) && !spaces && open < 0:
		l.hold(pendingPlace, line)
	case spaces || l.at == atCreation:
		l.pass(line, l.number, false)
	case string(text) == "created" || string(text) == "created by":
		l.hold(pendingCreation, text)
	case open < 0:
		l.hold(pendingName, text)
	case opensCall(text):
		l.hold(pendingCall, text)
	default:
		l.at = atCall // a call whose arguments are not numbers
		l.pass(line, l.number, false)
	}
}

// note passes on a line that is neither a call nor a place.
func (l *layout) note(text []byte) {
	switch {
	case bytes.HasPrefix(text, ancestors):
		l.at = atEnd
	case startsAny(text, "pc=0x"):
		l.tab = append(append(l.tab[:0], '\t'), text...)
		text = l.tab
	}
	l.pass(text, l.number, false)
}

// opensCall reports whether a line with a parenthesis is only the beginning of a
// call: "main.(*T" and "main.(*T).f(0x1, " are.
func opensCall(text []byte) bool {
	last := bytes.LastIndexByte(text, '(')
	rest := text[last+1:]
	if text[len(text)-1] != ')' {
		return true
	}
	return bytes.HasPrefix(rest, []byte("*"))
}

// hold holds a line back until the next one shows whether it goes on.
func (l *layout) hold(p pending, line []byte) {
	l.pending, l.pieces, l.gap, l.gaps, l.started = p, 1, 0, false, l.number
	l.text = append(l.text[:0], line...)
	l.raw = append(append(l.raw[:0], line...), '\n')
}

// flush passes on what is pending, when it does not go on.
func (l *layout) flush() {
	p := l.pending
	if p == pendingNumber || p == pendingCreation && bytes.HasPrefix(l.text, createdStart) {
		l.release(l.text) // complete without
		l.passGap()
		return
	}
	l.pending = notPending
	first, rest, _ := bytes.Cut(l.raw, []byte("\n"))
	cut := false
	switch {
	case p == pendingHeader:
		l.at, cut = atEnd, l.ended || l.damaged
	case p == pendingCall, p == pendingName && l.named:
		l.at = atCall
	}
	l.named = false
	l.pass(first, l.started, cut)
	for len(rest) > 0 {
		first, rest, _ = bytes.Cut(rest, []byte("\n"))
		l.pass(first, l.number-1, false)
	}
	l.passGap()
}

// passGap takes the blank lines after what was pending.
func (l *layout) passGap() {
	if l.gap > 0 {
		l.gap = 0
		l.blank()
	}
}

// release passes on a line that was pending and is complete.
func (l *layout) release(text []byte) {
	p := l.pending
	number := l.number
	l.pending, l.number = notPending, l.started
	switch p {
	case pendingHeader:
		l.header(text)
		l.width = max(l.width, len(l.last()))
	case pendingPlace, pendingNumber:
		l.tab = append(append(l.tab[:0], '\t'), bytes.TrimLeft(text, " \t")...)
		l.place(l.tab)
	case pendingCreation:
		l.at = atCreation
		if l.pieces > 1 {
			text = createdBy(text)
		}
		l.pass(text, l.number, false)
	default:
		l.at = atCall
		l.pass(text, l.number, false)
	}
	l.spaced = l.spaced || l.gaps
	l.number = number
}

// inGoroutine reports whether the last line was of a goroutine.
func (l *layout) inGoroutine() bool { return l.at != atText && l.at != atEnd }

// createdBy returns a line with the function of a go statement and nothing after it.
func createdBy(line []byte) []byte {
	if i := bytes.IndexByte(line[min(len(createdStart), len(line)):], ' '); i >= 0 {
		return line[:len(createdStart)+i]
	}
	return line
}
