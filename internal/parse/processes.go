// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/otelgoroutine/go/goroutine"
)

const (
	// maxProcesses is how many processes are told apart in an input, besides the first
	// one.
	maxProcesses = 15
	// maxTries is how many words that are none of processes are looked up in the lines
	// that come.
	maxTries = 64
	// ahead is how many bytes of these lines.
	ahead = 16 << 10
)

// processes tells processes apart whose lines are mixed in one input, as tools do that
// follow several pods: by the first word of their lines. A word is taken for a process
// if there are headers behind it and behind another one, and further lines with both.
type processes struct {
	in     *bufio.Reader // for the lines that come
	series *series       // of the first process
	own    []byte        // its word; nil: not known
	seen   int           // lines that began with it
	others []*process
	kept   []byte
	tries  int // for words that were none of processes
	more   int // the first line of a process beyond the limit
}

// A process is another one.
type process struct {
	word   []byte
	series *series
	layout *layout
	lines  *unwrapper
}

// take takes a line of another process. Otherwise it returns the line, which may have
// moved.
func (s *processes) take(line []byte) (same []byte, taken bool) {
	if s.own == nil {
		return line, false
	}
	word := firstWord(line)
	if bytes.Equal(word, s.own) {
		s.seen++
		return line, false
	}
	for _, o := range s.others {
		if bytes.Equal(word, o.word) {
			o.lines.line(line)
			return nil, true
		}
	}
	if s.resembles(word) || endingAt(line) > len(word) { // what it says before its first header
		line = s.keep(line)
		return line, s.alive(line[:len(word)]) && s.add(line[:len(word)], line)
	}
	return line, false
}

// resembles reports whether a word is that of the first process with other numbers.
func (s *processes) resembles(word []byte) bool {
	n, ok := alike(s.own, word)
	return ok && n == len(word)
}

// begins takes a line with a header at an offset, if it is the first one of another
// process. Otherwise it returns the line, which may have moved.
func (s *processes) begins(line []byte, at, fields int) (same []byte, taken bool) {
	word := firstWord(line[:at])
	if len(word) == at || !isProcess(word) || bytes.Equal(word, s.own) {
		return line, false
	}
	if s.own != nil && len(bytes.Fields(line[:at])) == fields {
		line = s.keep(line)
		if word = line[:len(word)]; s.alive(word) && s.add(word, line) {
			return nil, true
		}
	}
	if len(s.others) < maxProcesses {
		s.own, s.seen = bytes.Clone(word), 1
		s.series.process = s.own
	}
	return line, false
}

// keep copies a line, because looking ahead moves the buffer that it is in.
func (s *processes) keep(line []byte) []byte {
	s.kept = append(s.kept[:0], line...)
	return s.kept
}

// alive reports whether there are other lines of this process, and of the first one.
func (s *processes) alive(word []byte) bool {
	if s.tries == maxTries || !isProcess(word) {
		return false
	}
	again, own := false, s.seen > 1
	rest, _ := s.in.Peek(ahead)
	for line := range bytes.Lines(rest) {
		first := firstWord(line)
		again = again || bytes.Equal(first, word)
		own = own || bytes.Equal(first, s.own)
	}
	if !again || !own {
		s.tries++
		return false
	}
	return true
}

// add begins to read another process.
func (s *processes) add(word, line []byte) bool {
	if len(s.others) == maxProcesses {
		s.tries++
		if s.more == 0 {
			s.more = s.series.number
		}
		return false
	}
	other := &series{stacks: NewStacks(), births: new(goroutine.Births), at: s.series.at, room: maxDistinct / maxProcesses, process: bytes.Clone(word)}
	o := &process{word: other.process, series: other, layout: &layout{out: other}}
	o.lines = newUnwrapper(o.layout, &s.series.number, 0)
	o.lines.stamps = &other.stamps
	s.others = append(s.others, o)
	o.lines.line(line)
	return true
}

// end ends the lines of all other processes.
func (s *processes) end() {
	for _, o := range s.others {
		o.lines.end()
		o.layout.end()
	}
}

// finish returns the dumps of all processes, in their order.
func (s *processes) finish(broken error) ([]Dump, error) {
	dumps, err := s.series.finish(broken)
	if s.more > 0 {
		err = errors.Join(fmt.Errorf("line %d: only %d processes are told apart by the first word of their lines; further ones are read as one with %.64s", s.more, maxProcesses+1, s.own), err)
	}
	several := false
	for _, o := range s.others {
		more, problem := o.series.finish(nil)
		if len(more) == 0 {
			continue // it only said something
		}
		for i := range more {
			more[i].Process = valid(string(o.word))
		}
		dumps, err, several = append(dumps, more...), errors.Join(err, problem), true
	}
	for i := range dumps {
		if several && dumps[i].Process == "" {
			dumps[i].Process = valid(string(s.own))
		}
	}
	slices.SortStableFunc(dumps, func(a, b Dump) int { return cmp.Compare(a.Line, b.Line) })
	return dumps, err
}

// firstWord returns the first word of a line.
func firstWord(line []byte) []byte {
	if i := bytes.IndexAny(line, " \t"); i >= 0 {
		return line[:i]
	}
	return line
}

// isProcess reports whether a word may be the name of a process: it has two letters in a
// row, and is no time of day.
func isProcess(word []byte) bool {
	letters := 0
	for i, c := range word {
		if c == ':' && i > 0 && isDigit(word[i-1]) && i+1 < len(word) && isDigit(word[i+1]) {
			return false
		}
		if letters > 1 {
			continue
		}
		letters++
		if !isWord(c) || isDigit(c) {
			letters = 0
		}
	}
	return letters > 1
}

// foreign reports whether a line from before a dump is of another process that ends.
func (s *series) foreign(line []byte) bool {
	word := firstWord(line)
	return s.process != nil && endingAt(line) > len(word) && isProcess(word) && !bytes.Equal(word, s.process)
}
