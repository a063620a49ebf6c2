// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

const (
	// MaxDumps is how many dumps of one input are read.
	MaxDumps = 256
	// maxPreface and maxPrefaceLine bound the text that is kept from before a dump,
	// in lines and in bytes of a line.
	maxPreface, maxPrefaceLine = 32, 512
	// maxHeld is how many bytes of a goroutine are held back until it is known which
	// dump it is of.
	maxHeld = 256 << 10
	// maxHeldLines is how many lines.
	maxHeldLines = 4 << 10
	// maxSeen is how many words of 64 IDs are kept of a dump, to recognize the
	// beginning of the next one.
	maxSeen = 256 << 10
)

// ids is a set of goroutine IDs: a bit for each, by words of 64.
type ids map[uint64]uint64

func (s ids) has(id uint64) bool { return s[id/64]&(1<<(id%64)) != 0 }

func (s ids) add(id uint64) {
	if word, ok := s[id/64]; ok || len(s) < maxSeen {
		s[id/64] = word | 1<<(id%64)
	}
}

// A Dump is one goroutine dump of an input.
type Dump struct {
	Snapshot *goroutine.Snapshot
	// Line is where its first goroutine is, from 1.
	Line int
	// Process is the first word of its lines if the input has dumps of several processes,
	// such as the name of a pod; else it is empty.
	Process string
	// Timed says that the time of the snapshot is that of the log. Otherwise nothing
	// tells it.
	Timed bool
	// Preface is what stands before it, since the last goroutine of the dump before:
	// the last 32 lines that are not blank, of at most 512 bytes each. The runtime
	// says there why a process ended.
	Preface []string
	// Details has what the snapshot leaves out. Only the last two dumps of an input
	// keep the waits of single goroutines.
	Details *Details
}

// Dumps reads the goroutine dumps in a text, in their order, as [Text] reads one. The
// text may be a log, structured or not, a mail, a page, or the output of a tool: what
// is around the lines of a dump is found out from the dump's own grammar, and so are
// lost indentation, blank lines between all lines, and lines that were wrapped.
//
// A dump ends where a goroutine comes that it already has, or where the runtime says
// that the process ended, or a goroutine shows its own stack. Dumps of several processes
// are told apart by the first word of their lines; see [Dump.Process]. The time of a dump is that of the
// line with its first goroutine, if each dump has one and all are in order. Otherwise
// their times are at and the milliseconds after it.
//
// A goroutine whose text is cut or damaged keeps the frames before that;
// [goroutine.Group.Cut] marks it. Missing counts those whose header is damaged. The
// error says what could not be read, with its line, as in [Text]. If there is no
// goroutine in the text, there are no dumps and an error.
//
// Memory is bounded for any input: that of [Text] once for all dumps, twice if there are
// several processes, the details of two dumps of each, and a few buffers of 64 KiB.
func Dumps(r io.Reader, at time.Time, stacks *Stacks, births *goroutine.Births) ([]Dump, error) {
	s := &series{stacks: stacks, births: births, at: at, room: maxDistinct}
	return s.readAll(r)
}

// A series reads the dumps of an input, one after the other.
type series struct {
	stacks *Stacks
	births *goroutine.Births
	at     time.Time

	process []byte // the first word of its lines, where there may be several processes
	stamps  stamps
	untimed bool // a dump has no time, or not one after that of the dump before

	number int // of the current line
	bytes  int64

	details *details
	current *dump // nil: no goroutine yet
	line    int   // of its first header
	seen    ids
	room    int // for distinct stacks of later dumps

	partial  bool // the last line has no end
	strange  bool // since the last goroutine there was text that is not of a dump
	began    bool // since the last goroutine the runtime said that the process ends
	threads  bool // the runtime shows the stacks of its threads, some again
	skipping bool // the goroutine has been read before
	holding  bool
	held     held
	race     *race // the report that is being read

	preface, before []string // text since the last goroutine, and before the current dump

	dumps    []Dump
	more     int // dumps beyond the limit
	problems []error
}

// held is a goroutine that is held back.
type held struct {
	header header
	err    error
	line   int
	lines  []heldLine
	text   []byte
}

type heldLine struct{ end, number int }

// readAll reads an input to its end.
func (s *series) readAll(r io.Reader) ([]Dump, error) {
	l := &layout{out: s}
	u := newUnwrapper(l, &s.number, 0)
	in := bufio.NewReaderSize(r, maxLine)
	u.stamps, u.processes = &s.stamps, &processes{in: in, series: s}
	for first := true; ; {
		piece, err := in.ReadSlice('\n')
		s.bytes += int64(len(piece))
		last := !errors.Is(err, bufio.ErrBufferFull)
		if first && len(piece) > 0 {
			s.number++
		}
		if len(piece) > 0 || !first {
			if last {
				piece = trimBlanks(bytes.TrimSuffix(piece, []byte("\n")))
			}
			u.take(piece, first, last)
		}
		first = last
		if err != nil && last {
			u.end()
			l.end()
			u.processes.end()
			s.partial = len(piece) > 0 && !u.inField()
			if err == io.EOF {
				return u.processes.finish(nil)
			}
			return u.processes.finish(fmt.Errorf("reading after line %d: %w", s.number, err))
		}
	}
}

// feed takes a line of the text, as the runtime wrote it.
func (s *series) feed(line []byte, number int, cut bool) {
	if (s.race != nil || len(line) >= len(raceStart) && line[len(line)-1] == 'E') && s.raceLine(line, number) {
		return
	}
	if h, ok, err := anyHeader(line, cut); ok {
		s.header(h, err, number)
		return
	}
	switch {
	case s.skipping:
	case s.holding:
		s.hold(line, number)
	default:
		s.pass(line, number, cut)
	}
}

func anyHeader(line []byte, cut bool) (h header, ok bool, err error) {
	if bytes.HasPrefix(line, headerStart) {
		return parseHeader(line, cut)
	}
	if len(line) > 0 && isDigit(line[0]) {
		h, ok = parseMany(line)
	}
	return h, ok, nil
}

// header takes the header of a goroutine.
func (s *series) header(h header, err error, number int) {
	h.at = s.stamps.of(number)
	again := s.seen.has(h.id)
	if s.holding {
		s.settle(again)
		again = s.seen.has(h.id)
	}
	s.skipping = false
	running := h.state == string(goroutine.Running)
	switch {
	case len(s.seen) == 0 && (s.current == nil || !s.current.seen):
	case again && s.threads:
		s.skipping = true
		s.current.end()
		return
	case again || s.began || running && s.strange:
		s.split()
	case running:
		s.current.end()
		s.holding = true
		s.held = held{header: h, err: err, line: number, lines: s.held.lines[:0], text: s.held.text[:0]}
		return
	}
	s.begin(h, err, number)
}

// begin begins a goroutine of the current dump.
func (s *series) begin(h header, err error, number int) {
	if s.current == nil {
		s.open()
	}
	if !s.current.seen {
		s.line = number
		s.date(h.at)
		s.before, s.preface = s.recent(), nil
	}
	s.preface = s.preface[:0]
	s.strange, s.began = false, false
	s.current.number = number
	s.current.start(h, err)
	if h.id != 0 {
		s.seen.add(h.id)
	}
}

// date gives the current dump the time of its first line.
func (s *series) date(at time.Time) {
	n := len(s.dumps)
	if at.IsZero() || n > 0 && !at.After(s.dumps[n-1].Snapshot.Time) {
		s.untimed = true
	}
	if s.untimed {
		at = s.after(n)
	}
	s.current.snapshot.Time = at
}

// after returns the time of a dump if nothing tells it.
func (s *series) after(n int) time.Time { return s.at.Add(time.Duration(n) * time.Millisecond) }

// redate takes the times from dumps before one that has none.
func (s *series) redate() {
	var all []*goroutine.Snapshot
	var times []time.Time
	for i := range s.dumps {
		s.dumps[i].Timed = !s.untimed
		all, times = append(all, s.dumps[i].Snapshot), append(times, s.after(i))
	}
	if s.untimed {
		Redate(all, times)
	}
}

// open opens a dump.
func (s *series) open() {
	if s.stacks != nil {
		s.stacks.next()
	}
	d := newLinesDump()
	d.stacks, d.births, d.snapshot.Time = s.stacks, s.births, s.at
	d.keepCut, d.room = true, s.room
	s.details = follow(d)
	s.current, s.seen, s.threads = d, make(ids), false
	for _, line := range s.recent() { // what the runtime said before it
		if d.line = []byte(line); !s.foreign(d.line) {
			d.take()
		}
	}
}

// split ends the current dump.
func (s *series) split() {
	if s.current == nil {
		return
	}
	d := s.current
	s.current, s.seen = nil, nil
	d.end()
	s.room = d.room
	d.snapshot.Bytes, s.bytes = s.bytes, 0
	if len(s.dumps) == MaxDumps {
		s.more++
		return
	}
	snapshot, err := d.finish()
	s.problems = append(s.problems, err)
	if d.summed > 0 {
		s.problems = append(s.problems, fmt.Errorf("line %d: %d goroutines are counted by state only: their stacks are beyond the 64 MiB that are kept", s.line, d.summed))
	}
	s.dumps = append(s.dumps, Dump{Snapshot: snapshot, Line: s.line, Preface: s.before, Details: &s.details.Details})
	s.before = nil
	if n := len(s.dumps) - 3; n >= 0 { // a report compares the last two
		old := s.dumps[n].Details
		old.Goroutines, old.Waits = nil, nil
	}
}

// pass takes a line that is not a header.
func (s *series) pass(line []byte, number int, cut bool) {
	d := s.current
	if d == nil {
		s.text(line)
		return
	}
	if outside := d.g.phase == outside || d.g.phase == inTail; outside && len(line) > 0 && (s.began || line[0] != '\t' && !isLine(line)) {
		s.text(line)
		if s.began {
			return // it is of the next dump
		}
	}
	d.line, d.number, d.cut = line, number, cut
	d.take()
}

// text takes a line that is not of a goroutine.
func (s *series) text(line []byte) {
	if len(line) == 0 {
		return
	}
	s.strange = true
	switch {
	case string(line) == "-----":
		s.threads = true
	case startsAny(line, "SIG") && s.threads:
	case startsAny(line, endings...) && (!s.began || len(s.preface) == maxPreface):
		s.began = true
		s.preface = s.preface[max(0, len(s.preface)-maxNotes):]
	}
	if len(s.preface) == maxPreface && s.began {
		return // what the runtime says first is why the process ends
	}
	if len(s.preface) == 2*maxPreface {
		s.preface = s.preface[:copy(s.preface, s.recent())]
	}
	s.preface = append(s.preface, valid(string(line[:min(len(line), maxPrefaceLine)])))
}

// recent returns the newest lines of the text before a dump.
func (s *series) recent() []string { return s.preface[max(0, len(s.preface)-maxPreface):] }

// hold keeps a line of the goroutine that is held back.
func (s *series) hold(line []byte, number int) {
	s.held.text = append(s.held.text, line...)
	s.held.lines = append(s.held.lines, heldLine{len(s.held.text), number})
	if len(s.held.text) > maxHeld || len(s.held.lines) > maxHeldLines || bytes.HasSuffix(line, unwindable) {
		s.settle(false)
	}
}

// settle passes on what is held back: to the current dump, or to a new one.
func (s *series) settle(isNew bool) {
	if isNew && !s.threads {
		s.split()
	}
	s.holding = false
	h := &s.held
	s.begin(h.header, h.err, h.line)
	from := 0
	for _, l := range h.lines {
		s.pass(h.text[from:l.end], l.number, false)
		from = l.end
	}
}

// lonely opens a dump without goroutines for what the runtime says about the end of a
// process that has none left, or that was told to show none.
func (s *series) lonely() {
	if s.current != nil || len(s.dumps) > 0 || !s.began {
		return
	}
	s.open()
	s.current.seen, s.untimed = true, true
	s.line, s.before, s.preface = s.number, s.preface, nil
}

func (s *series) finish(broken error) ([]Dump, error) {
	s.endRace()
	if s.holding {
		s.settle(false)
	}
	s.lonely()
	if s.current != nil {
		s.current.tear(s.partial)
	}
	s.split()
	s.redate()
	if s.more > 0 {
		s.problems = append(s.problems, fmt.Errorf("only the first %d dumps are read, and %d more are not", MaxDumps, s.more))
	}
	if len(s.dumps) == 0 && broken == nil {
		return nil, ErrNoGoroutine
	}
	return s.dumps, errors.Join(append(s.problems, broken)...)
}
