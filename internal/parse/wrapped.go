// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"

	"github.com/otelgoroutine/go/goroutine"
)

// join takes the line after one that is pending. If it goes on there, join takes it
// and returns true. Otherwise what was pending has been passed on as it was.
func (l *layout) join(line []byte, cut bool) bool {
	switch {
	case len(line) == 0 && l.gap == 0 && l.pieces < maxPieces:
		l.gap++
		return true
	case len(line) == 0 || cut || l.pieces >= maxPieces || len(l.text)+len(line) > maxPending:
		l.flush()
		return false
	}
	wide := len(l.last()) >= l.width
	l.width = max(l.width, len(line))
	var taken bool
	switch l.pending {
	case pendingHeader:
		taken = l.joinHeader(line)
	case pendingCall, pendingName:
		taken = l.joinCall(line, wide)
	case pendingPlace:
		taken = l.joinPlace(line)
	case pendingNumber:
		taken = l.joinNumber(line)
	case pendingCreation:
		taken = l.joinCreation(line, wide)
	}
	if !taken && l.pending != notPending {
		l.flush()
	}
	return taken
}

// last returns the last piece of what is pending.
func (l *layout) last() []byte {
	b := l.raw[:len(l.raw)-1]
	return b[bytes.LastIndexByte(b, '\n')+1:]
}

// grow appends a piece to what is pending.
func (l *layout) grow(p pending, space string, line []byte) bool {
	l.pending = p
	l.pieces++
	l.taken()
	l.text = append(append(l.text, space...), line...)
	l.raw = append(append(l.raw, line...), '\n')
	return true
}

// taken notes that the last piece has come: blank lines before it were put there.
func (l *layout) taken() { l.gaps, l.gap = l.gaps || l.gap > 0, 0 }

// joined returns what is pending with a line. The result is valid until the next
// call.
func (l *layout) joined(space string, line []byte) []byte {
	l.line = append(append(append(l.line[:0], l.text...), space...), line...)
	return l.line
}

// joinHeader joins a header. A line that was wrapped between words may have lost
// the space: the state tells.
func (l *layout) joinHeader(line []byte) bool {
	l.damaged = isGoCall(line)
	if f := headerStartOf(line); f.at == 0 || line[0] == '\t' || l.damaged {
		return false
	}
	direct, spaced := headerWorth(l.joined("", line)), headerWorth(l.joined(" ", line))
	switch {
	case direct == 0 && spaced == 0:
		space := ""
		if bytes.HasSuffix(l.text, []byte("goroutine")) || bytes.HasSuffix(l.text, []byte(",")) || bytes.IndexByte(l.text, '[') < 0 && line[0] == '[' {
			space = " "
		}
		return l.pieces < 8 && l.grow(pendingHeader, space, line)
	case direct >= spaced:
		l.taken()
		l.release(l.joined("", line))
	default:
		l.taken()
		l.release(l.joined(" ", line))
	}
	return true
}

// headerWorth says how well a line fits as a header: 0 not at all, 3 best.
func headerWorth(line []byte) int {
	f := headerStartOf(line)
	if f.at != 0 || f.end != len(line) {
		return 0
	}
	h, ok := parseMany(line)
	if !ok {
		var err error
		if h, ok, err = parseHeader(line, false); !ok || err != nil {
			return 0
		}
	}
	worth := 1
	if goroutine.State(h.state).Category() != goroutine.CategoryOther {
		worth++
	}
	if h.wait > 0 || !bytes.Contains(line, []byte("minutes")) {
		worth++
	}
	return worth
}

// joinCall joins a call: its name, or its arguments. wide says that the last line
// was as long as the longest, as lines are that were wrapped.
func (l *layout) joinCall(line []byte, wide bool) bool {
	text := bytes.TrimLeft(line, " \t")
	if l.named = line[0] == '\t' || isPlace(text); l.named || bytes.HasPrefix(text, createdStart) || isHeader(text) {
		return false
	}
	joined := l.joined("", text)
	alone := isGoCall(text)
	switch {
	case isCall(joined) && (!alone || wide || l.pending == pendingCall && !closes(l.text)):
		l.taken()
		l.release(joined)
		return true
	case alone || closes(joined) && !opensCall(joined):
		return false
	case l.pending == pendingName && !wide:
		return false
	case bytes.IndexByte(joined, '(') < 0:
		return bytes.IndexByte(text, ' ') < 0 && l.grow(pendingName, "", text)
	}
	i := bytes.IndexByte(joined, '(')
	return bytes.IndexByte(joined[:i], ' ') < 0 && l.grow(pendingCall, "", text)
}

// closes reports whether a line ends with a parenthesis.
func closes(line []byte) bool { return line[len(line)-1] == ')' }

// joinPlace joins a place that has no number yet.
func (l *layout) joinPlace(line []byte) bool {
	text := bytes.TrimLeft(line, " \t")
	if line[0] == '\t' || isGoCall(text) || isNote(text) || isHeader(text) {
		return false
	}
	if _, _, ok := cutPlace(bytes.TrimLeft(l.joined("", line), " \t")); ok && isPlace(bytes.TrimLeft(l.line, " \t")) {
		if isDigit(l.line[len(l.line)-1]) && bytes.LastIndexByte(l.line, ':') > bytes.LastIndexByte(l.line, ' ') {
			return l.grow(pendingNumber, "", line)
		}
		l.taken()
		l.release(l.line)
		return true
	}
	if bytes.HasPrefix(l.line, []byte("\t/")) && bytes.IndexByte(line, ' ') >= 0 && bytes.IndexByte(line, '(') < 0 {
		return false
	}
	return bytes.IndexByte(line, '(') < 0 && bytes.IndexByte(line, ' ') < 0 && l.grow(pendingPlace, "", line)
}

// joinNumber joins a place whose number, or the offset after it, may go on. The
// place is complete without.
func (l *layout) joinNumber(line []byte) bool {
	digits := 0
	for digits < len(line) && isDigit(line[digits]) {
		digits++
	}
	rest := line[digits:]
	if digits > 0 && len(rest) == 0 || startsAny(rest, " +", " fp=", " sp=", " pc=") || digits == 0 && startsAny(rest, "+0x", "fp=", "pc=") {
		space := ""
		if digits == 0 && rest[0] != ' ' {
			space = " "
		}
		l.taken()
		l.release(l.joined(space, line))
		return true
	}
	return false
}

// joinCreation joins the function of a go statement. Whatever follows it on its
// line is of no use.
func (l *layout) joinCreation(line []byte, wide bool) bool {
	text := bytes.TrimLeft(line, " \t")
	if line[0] == '\t' || isPlace(text) || isHeader(text) || isGoCall(text) {
		return false
	}
	complete := false
	if bytes.HasPrefix(l.text, createdStart) {
		complete = bytes.IndexByte(l.text[len(createdStart):], ' ') >= 0
	}
	switch {
	case string(l.text) == "created":
		return startsAny(text, "by ") && l.grow(pendingCreation, " ", text)
	case string(l.text) == "created by":
		return l.grow(pendingCreation, " ", text)
	case complete || len(text) < len(line) || startsAny(text, "in goroutine", "in ", "goroutine "):
		return isCreator(text) && l.grow(pendingCreation, " ", text)
	}
	name, tail, spaced := bytes.Cut(text, []byte(" "))
	if !wide || spaced && !isCreator(tail) || len(name) == 0 {
		return false
	}
	return l.grow(pendingCreation, "", text)
}

// isCreator reports whether text is the end, or part of it, of "in goroutine 7".
func isCreator(text []byte) bool {
	text = bytes.TrimRight(text, "0123456789")
	const words = "in goroutine "
	return bytes.Contains([]byte(words), text)
}
