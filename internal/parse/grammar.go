// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"strconv"
	"strings"
)

// The lines of a goroutine dump, recognized wherever they stand: what a line means
// is decided by its own form, not by the tool that has wrapped it.

var (
	manyStart  = []byte(" goroutines [")
	ancestors  = []byte("[originating from goroutine")
	elided     = []byte("frames elided...")
	unwindable = []byte("stack unavailable")
)

// maxRegisters is how many bytes of a header may stand between the ID and the state.
const maxRegisters = 256

// A found header is where a header begins in a line, and where it ends.
type found struct {
	at  int // -1: there is none
	end int // after its last colon; -1: the line ends before the header does
	// many is set for "48 goroutines [semacquire]:".
	many bool
}

// findHeader finds a header anywhere in a line.
func findHeader(line []byte) found {
	for from := 0; from < len(line); {
		i := bytes.Index(line[from:], headerStart[:len(headerStart)-1])
		if i < 0 {
			break
		}
		if f := headerAt(line, from+i); f.at >= 0 {
			return f
		}
		from += i + len(headerStart) - 1
	}
	return found{at: -1}
}

// findStart finds what a line of others cannot have: a header, or the first line of a
// race report.
func findStart(line []byte) found {
	f := findHeader(line)
	if f.at < 0 {
		if i := bytes.Index(line, raceStart); i >= 0 {
			return found{at: i, end: i + len(raceStart)}
		}
	}
	return f
}

// headerAt returns the header around the word "goroutine" at i.
func headerAt(line []byte, i int) found {
	none := found{at: -1}
	if bytes.HasPrefix(line[max(i-1, 0):], manyStart) {
		at := i - 1
		for at > 0 && isDigit(line[at-1]) {
			at--
		}
		if at == i-1 || i-1-at > 9 || at > 0 && isWord(line[at-1]) {
			return none
		}
		return found{at: at, end: headerEnd(line, i-1+len(manyStart)), many: true}
	}
	if !bytes.HasPrefix(line[i:], headerStart) {
		return none
	}
	rest := line[i+len(headerStart):]
	digits := 0
	for digits < len(rest) && isDigit(rest[digits]) {
		digits++
	}
	fields, _, bracket := bytes.Cut(rest[digits:min(len(rest), digits+maxRegisters)], []byte("["))
	if digits == 0 || !bracket || !onlyFields(fields) {
		return none
	}
	return found{at: i, end: headerEnd(line, i+len(headerStart)+digits+len(fields)+1)}
}

// headerEnd returns the end of a header whose bracket has been opened before from,
// or -1.
func headerEnd(line []byte, from int) int {
	end := skipTo(line[from:], "]")
	if end < 0 {
		return -1
	}
	from += end + 1
	if i := bytes.IndexByte(line[from:], ':'); i == 0 {
		return from + 1
	}
	if bytes.HasPrefix(line[from:], []byte(" {")) { // labels
		if end = skipTo(line[from:], ":"); end >= 0 {
			return from + end + 1
		}
	}
	return -1
}

// parseMany reads the header of several goroutines.
func parseMany(line []byte) (h header, ok bool) {
	number, rest, ok := bytes.Cut(line, manyStart)
	if !ok {
		return h, false
	}
	if len(number) > 9 {
		return h, false
	}
	n, err := strconv.Atoi(string(number))
	if err != nil || n <= 0 || !h.attributes(rest) {
		return header{}, false
	}
	h.count = n
	return h, true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWord(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' }

// isCall reports whether a line is a call as the runtime writes it: a name without
// spaces, and arguments that are numbers.
func isCall(line []byte) bool {
	if len(line) < 3 || line[len(line)-1] != ')' || !startsName(line[0]) {
		return false
	}
	i := bytes.LastIndexByte(line, '(')
	if i <= 0 || bytes.IndexByte(line[:i], ' ') >= 0 || bytes.IndexByte(line[:i], '\t') >= 0 {
		return false
	}
	return onlyArguments(line[i+1 : len(line)-1])
}

// isGoCall reports whether a line is a call that cannot be the end of a longer one.
func isGoCall(line []byte) bool {
	if !isCall(line) {
		return false
	}
	name := line[:bytes.LastIndexByte(line, '(')]
	return bytes.IndexByte(name, '.') > 0 || string(name) == "panic"
}

func startsName(c byte) bool { return isWord(c) && !isDigit(c) || c >= 0x80 || c == '%' }

// inArguments are the bytes of arguments.
var inArguments = func() (set [256]bool) {
	for _, c := range []byte("0123456789abcdefx?.,{} _") {
		set[c] = true
	}
	return set
}()

func onlyArguments(b []byte) bool {
	for _, c := range b {
		if !inArguments[c] {
			return false
		}
	}
	return true
}

// isPlace reports whether a line without its indentation is a file and a line, and
// no other text that ends with a colon and a number.
func isPlace(line []byte) bool {
	file, number, ok := cutPlace(line)
	if !ok {
		return false
	}
	rest := line[len(file)+1+len(number):]
	if len(rest) > 0 && !startsAny(rest, " +0x", " fp=", " sp=", " pc=") && string(rest) != " +" && string(rest) != " +0" {
		return false
	}
	rooted := file[0] == '/' || file[0] == '\\' || len(file) > 2 && file[1] == ':'
	if !rooted && bytes.IndexByte(file, ' ') >= 0 || bytes.ContainsAny(file, "(\t") {
		return false
	}
	return isSource(file)
}

// sources are the ends of the names of files that calls are in.
var sources = map[string]bool{
	"go": true, "s": true, "S": true, "c": true, "cc": true, "cpp": true, "cxx": true, "h": true, "hpp": true, "m": true, "mm": true,
	"goc": true, "y": true, "l": true, "rl": true, "qtpl": true, "templ": true, "rs": true, "swigcxx": true, "asm": true, "f": true, "f90": true,
}

func isSource(file []byte) bool {
	if bytes.HasPrefix(file, []byte("<")) || string(file) == "??" || string(file) == "?" {
		return true
	}
	dot := bytes.LastIndexByte(file, '.')
	return dot >= 0 && sources[string(file[dot+1:])]
}

func startsAny(b []byte, starts ...string) bool {
	for _, s := range starts {
		if strings.HasPrefix(string(b[:min(len(b), len(s))]), s) {
			return true
		}
	}
	return false
}

// isLine reports whether a line, with or without its indentation, can only be of a
// goroutine dump.
func isLine(line []byte) bool {
	text := bytes.TrimLeft(line, " \t")
	return isGoCall(text) || isPlace(text) || isNote(text) || isHeader(text)
}

// isNote reports whether a line is one of the runtime's that is neither a header, a
// call nor a place.
func isNote(text []byte) bool {
	return bytes.HasPrefix(text, createdStart) || bytes.HasPrefix(text, ancestors) ||
		bytes.HasPrefix(text, []byte("...")) && bytes.HasSuffix(text, elided) ||
		bytes.HasPrefix(text, headerStart) && bytes.HasSuffix(text, unwindable) ||
		startsAny(text, "pc=0x", "non-Go function")
}

func isHeader(text []byte) bool {
	f := findHeader(text)
	return f.at == 0 && f.end == len(text)
}

// endings are how the runtime begins to say that the process ends.
var endings = []string{"panic: ", "fatal error: ", "SIGQUIT: ", "SIGABRT: ", "SIGSEGV: ", "SIGBUS: ", "SIGTRAP: ", "SIGFPE: ", "SIGILL: ", "SIGSYS: ", "unexpected fault address", "runtime: goroutine stack exceeds", "WARNING: DATA RACE"}

// endingAt returns where in a line the runtime says that the process ends, or -1.
func endingAt(line []byte) int {
	for _, e := range endings[:3] {
		if i := bytes.Index(line, []byte(e)); i >= 0 {
			return i
		}
	}
	return -1
}
