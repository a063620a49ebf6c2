// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// raceStart is the first line of a report of the race detector.
var raceStart = []byte("WARNING: DATA RACE")

const (
	// maxRaceGoroutines and maxRaceLines bound what is kept of a race report.
	maxRaceGoroutines, maxRaceLines = 64, 512
)

// A race is a report of the race detector: the stacks of the goroutines that
// accessed the same memory, and where they were created.
type race struct {
	goroutines []*raceGoroutine
	current    *raceGoroutine
	creation   bool // the section says where current was created
	lines      int
	more       int // lines beyond the limit
	line       int // of its beginning
	accesses   []Access
}

// A raceGoroutine is a goroutine in a race report.
type raceGoroutine struct {
	header  header
	line    int
	stack   []raceLine // calls and places, in turn
	creator []raceLine
}

type raceLine struct {
	text   string
	number int
}

// take takes a line of the report. It returns false at a line that ends it.
func (r *race) take(line []byte, number int) bool {
	text := bytes.TrimSpace(line)
	switch {
	case len(text) == 0:
		r.current = nil
	case text[0] == '=', bytes.HasPrefix(text, headerStart) && isHeader(text):
		return false
	case r.section(text, number):
	case r.current != nil && (isCall(text) || isPlace(text)):
		r.add(text, number)
	}
	return true
}

// section takes the first line of a section: "Previous write at 0x1 by goroutine 7:",
// "Goroutine 7 (running) created at:".
func (r *race) section(text []byte, number int) bool {
	text, ok := bytes.CutSuffix(text, []byte(":"))
	if !ok {
		return false
	}
	if rest, ok := bytes.CutSuffix(text, []byte(") created at")); ok {
		rest, ok = bytes.CutPrefix(rest, []byte("Goroutine "))
		id, state, both := bytes.Cut(rest, []byte(" ("))
		if ok && both {
			r.creation, r.current = true, r.goroutine(id, number)
			if r.current != nil {
				r.current.header.state = string(state)
			}
			return true
		}
	}
	i := bytes.LastIndex(text, []byte(" by "))
	if i < 0 || !bytes.Contains(text[:i], []byte(" at 0x")) {
		return false
	}
	id := []byte("1")
	if by := text[i+len(" by "):]; string(by) != "main goroutine" {
		if id, ok = bytes.CutPrefix(by, headerStart); !ok {
			return false
		}
	}
	r.creation, r.current = false, r.goroutine(id, number)
	if r.current != nil && len(r.accesses) < maxRaceGoroutines {
		r.accesses = append(r.accesses, Access{r.current.header.id, access(text)})
	}
	return true
}

// access returns what a section is about, such as "previous write".
func access(section []byte) string {
	what, _, _ := bytes.Cut(section, []byte(" at 0x"))
	words := strings.Fields(strings.ToLower(valid(string(what[max(0, len(what)-maxState):]))))
	for i, w := range words {
		if w == "previous" || w == "atomic" {
			words = words[i:]
			break
		}
	}
	if len(words) > 0 && words[0] != "previous" && words[0] != "atomic" {
		words = words[len(words)-1:]
	}
	return strings.Join(words, " ")
}

// goroutine returns the goroutine with an ID, or nil.
func (r *race) goroutine(number []byte, line int) *raceGoroutine {
	id, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil || id == 0 {
		return nil
	}
	for _, g := range r.goroutines {
		if g.header.id == id {
			return g
		}
	}
	if len(r.goroutines) == maxRaceGoroutines {
		return nil
	}
	g := &raceGoroutine{header: header{id: id, state: "running"}, line: line}
	r.goroutines = append(r.goroutines, g)
	return g
}

func (r *race) add(text []byte, number int) {
	if r.lines == maxRaceLines {
		r.more++
		return
	}
	r.lines++
	l := raceLine{string(text), number}
	if r.creation {
		r.current.creator = append(r.current.creator, l)
	} else {
		r.current.stack = append(r.current.stack, l)
	}
}

// raceLine takes a line of a race report, if it is one.
func (s *series) raceLine(line []byte, number int) bool {
	if s.race == nil {
		if !bytes.Contains(line, raceStart) {
			return false
		}
		if s.holding {
			s.settle(false)
		}
		s.race = &race{line: number}
		s.text(line)
		return true
	}
	if s.race.take(line, number) {
		return true
	}
	s.endRace()
	return false
}

// endRace adds the goroutines of a race report, as a dump of its own.
func (s *series) endRace() {
	r := s.race
	s.race = nil
	if r == nil || len(r.goroutines) == 0 {
		return
	}
	s.split()
	if r.more > 0 {
		s.problems = append(s.problems, fmt.Errorf("line %d: a race report has %d lines more than are read", r.line, r.more))
	}
	for _, g := range r.goroutines {
		s.begin(g.header, nil, g.line)
		s.raceCalls(g.stack)
		if len(g.creator) >= 2 {
			s.pass(append([]byte("created by "), beforeArguments(g.creator[0].text)...), g.creator[0].number, false)
			s.pass([]byte("\t"+g.creator[1].text), g.creator[1].number, false)
		}
	}
	s.current.end()
	s.began = true
	s.details.Crash = Crash{Kind: CrashRace, Accesses: r.accesses, Goroutine: r.goroutines[0].header.id}
}

func (s *series) raceCalls(lines []raceLine) {
	for _, l := range lines {
		text := []byte(l.text)
		if isPlace(text) {
			text = append([]byte("\t"), text...)
		}
		s.pass(text, l.number, false)
	}
}

// beforeArguments returns the name in a call.
func beforeArguments(call string) string {
	name, _, _ := cutArguments([]byte(call), false)
	return string(name)
}
