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
	// maxSeen is of how many goroutines of a dump the IDs are kept, to recognize
	// the beginning of the next dump.
	maxSeen = 1 << 20
)

// A Dump is one goroutine dump of an input.
type Dump struct {
	Snapshot *goroutine.Snapshot
	// Line is where its first goroutine is, from 1.
	Line int
	// Preface is what stands before it, since the last goroutine of the dump before:
	// the last 32 lines that are not blank, of at most 512 bytes each. The runtime
	// says there why a process ended.
	Preface []string
	// Details has what the snapshot leaves out.
	Details *Details
}

// Dumps reads the goroutine dumps in a text, in their order, as [Text] reads one. The
// text may be a log, structured or not, a mail, a page, or the output of a tool: what
// is around the lines of a dump is found out from the dump's own grammar, and so are
// lost indentation, blank lines between all lines, and lines that were wrapped.
//
// A dump ends where a goroutine comes that it already has, or where the runtime says
// that the process ended, or a goroutine shows its own stack. at is the time of all of
// them.
//
// A goroutine whose text is cut or damaged keeps the frames before that;
// [goroutine.Group.Cut] marks it. Missing counts those whose header is damaged. The
// error says what could not be read, with its line, as in [Text]. If there is no goroutine in the text, there are no dumps and an
// error.
//
// Memory is bounded for any input: that of [Text] once for all dumps, and a few
// buffers of 64 KiB.
func Dumps(r io.Reader, at time.Time, stacks *Stacks, births *goroutine.Births) ([]Dump, error) {
	s := &series{stacks: stacks, births: births, at: at, room: maxDistinct}
	broken := s.readAll(r)
	return s.finish(broken)
}

// A series reads the dumps of an input, one after the other.
type series struct {
	stacks *Stacks
	births *goroutine.Births
	at     time.Time

	number int // of the current line
	bytes  int64

	details *details
	current *dump // nil: no goroutine yet
	line    int   // of its first header
	seen    map[uint64]struct{}
	room    int // for distinct stacks of later dumps

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

// readAll reads an input to its end. The error is the reader's.
func (s *series) readAll(r io.Reader) error {
	l := &layout{out: s}
	u := newUnwrapper(l, &s.number, 0)
	in := bufio.NewReaderSize(r, maxLine)
	for first := true; ; {
		piece, err := in.ReadSlice('\n')
		s.bytes += int64(len(piece))
		last := !errors.Is(err, bufio.ErrBufferFull)
		if first && len(piece) > 0 {
			s.number++
		}
		if len(piece) > 0 || !first {
			if last {
				piece = bytes.TrimRight(piece, "\r\n")
			}
			u.take(piece, first, last)
		}
		first = last
		if err != nil && last {
			u.end()
			l.end()
			if d := s.current; d != nil && len(piece) > 0 && !u.inField() && (d.g.open == foreignCall || d.g.phase == inCreation && bytes.HasPrefix(d.line, createdStart)) {
				d.g.torn = true // the input ends within the name
			}
			if err == io.EOF {
				return nil
			}
			return fmt.Errorf("reading after line %d: %w", s.number, err)
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
	again := s.has(h.id)
	if s.holding {
		s.settle(again)
		again = s.has(h.id)
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

func (s *series) has(id uint64) bool {
	_, ok := s.seen[id]
	return ok
}

// begin begins a goroutine of the current dump.
func (s *series) begin(h header, err error, number int) {
	if s.current == nil {
		s.open()
	}
	if !s.current.seen {
		s.line = number
		s.before, s.preface = s.preface, nil
	}
	s.preface = s.preface[:0]
	s.strange, s.began = false, false
	s.current.number = number
	s.current.start(h, err)
	if h.id != 0 && len(s.seen) < maxSeen {
		s.seen[h.id] = struct{}{}
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
	s.current, s.seen, s.threads = d, make(map[uint64]struct{}), false
	for _, line := range s.preface { // what the runtime said before it
		d.line = []byte(line)
		d.take()
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
	s.dumps = append(s.dumps, Dump{Snapshot: snapshot, Line: s.line, Preface: s.before, Details: &s.details.Details})
	s.before = nil
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
	if len(s.preface) == maxPreface {
		copy(s.preface, s.preface[1:])
		s.preface = s.preface[:maxPreface-1]
	}
	s.preface = append(s.preface, valid(string(line[:min(len(line), maxPrefaceLine)])))
}

// hold keeps a line of the goroutine that is held back.
func (s *series) hold(line []byte, number int) {
	s.held.text = append(s.held.text, line...)
	s.held.lines = append(s.held.lines, heldLine{len(s.held.text), number})
	if len(s.held.text) > maxHeld || bytes.HasSuffix(line, unwindable) {
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
	s.current.seen = true
	s.line, s.before, s.preface = s.number, s.preface, nil
}

func (s *series) finish(broken error) ([]Dump, error) {
	s.endRace()
	if s.holding {
		s.settle(false)
	}
	s.lonely()
	s.split()
	if s.more > 0 {
		s.problems = append(s.problems, fmt.Errorf("only the first %d dumps are read, and %d more are not", MaxDumps, s.more))
	}
	if len(s.dumps) == 0 && broken == nil {
		return nil, errors.New("no goroutine found: this is not a goroutine dump as pprof writes it with debug=2")
	}
	return s.dumps, errors.Join(append(s.problems, broken)...)
}
