// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

const (
	// maxLine is how many bytes of a line are read; the rest is skipped. Only
	// labels and foreign lines are that long.
	maxLine = 64 << 10
	// maxFrames is how many frames of a stack are kept. A dump shows at most 100,
	// a profile or a trace 128.
	maxFrames = 128
	// maxState bounds the length of a state in bytes. maxStates bounds the number
	// of distinct unknown states.
	maxState, maxStates = 64, 64
	// maxDistinct is how many bytes of distinct stacks are kept while a dump is
	// read: enough for over 20,000 groups.
	maxDistinct = 64 << 20
	// groupCost and frameCost are the approximate bytes that a group and a frame
	// take in addition to their text.
	groupCost, frameCost = 512, 80
	// maxWait is the longest wait accepted as real, in minutes: two centuries.
	maxWait = 100_000_000
)

// Text reads a goroutine dump, as written by pprof's debug=2, runtime.Stack, a
// panic or SIGQUIT. It skips other lines around the dump. at is when the dump was
// taken. births serves all dumps of one process; if it is nil, the snapshot has
// IDs but no epochs.
//
// Text always returns a snapshot of what it could read. The error names up to 20
// goroutines that it could not read, each with its line.
// [goroutine.Snapshot.Missing] counts them. Labels are not read, because the
// runtime writes them without being asked to; [LabelledText] reads those that were
// chosen. Several dumps in one input are
// counted together.
//
// Memory depends on the number of distinct stacks and is bounded: after the first
// 64 MiB of them, goroutines are summed up by state.
func Text(r io.Reader, at time.Time, stacks *Stacks, births *goroutine.Births) (*goroutine.Snapshot, error) {
	stacks.next()
	t := newDump(r)
	t.stacks, t.births, t.snapshot.Time = stacks, births, at
	t.readAll()
	return t.finish()
}

func newDump(r io.Reader) *dump {
	t := newLinesDump()
	t.in = bufio.NewReaderSize(r, maxLine)
	return t
}

// newLinesDump returns a dump whose lines the caller sets.
func newLinesDump() *dump {
	t := &dump{
		snapshot: &goroutine.Snapshot{Source: goroutine.SourceText},
		index:    make(map[string]int),
		names:    make(names),
		others:   make(map[goroutine.State]int),
		room:     maxDistinct,
	}
	t.each = t.count
	return t
}

// readAll reads the input to its end and calls t.each for each goroutine.
func (t *dump) readAll() {
	for t.read() {
		t.take()
	}
	t.end()
}

// A dump holds the state while a dump is read.
type dump struct {
	in     *bufio.Reader
	stacks *Stacks
	births *goroutine.Births

	line    []byte // the current line, without its end; valid until the next read
	number  int    // of the line, from 1
	cut     bool   // line holds only the beginning of the line
	long    []byte // the buffer for a line that is cut
	partial bool   // line has no end: the input ends within it

	g         current
	key       []byte            // identifies the group of g: state, frames, creation site, lock
	words     []words           // the arguments of each frame of g; empty when they are not needed
	arguments *arguments        // the same, not yet read; nil when they are not needed
	each      func()            // called after g is read
	aside     func(line []byte) // called with lines that are no call; may be nil

	labelling *labelling // of single goroutines; nil: labels are not read

	snapshot *goroutine.Snapshot
	index    map[string]int // index of each group, by key
	names    names
	others   map[goroutine.State]int // index of each group that sums up the rest, by state
	room     int                     // for distinct stacks, in bytes
	summed   int                     // goroutines for whose stacks there was no room
	states   states
	highest  uint64 // highest ID
	seen     bool   // at least one goroutine was seen
	problems problems
	broken   error // from the reader

	form formSeen
	// several says that there was a header of several goroutines, which has no IDs.
	several bool
	// keepCut keeps a goroutine whose text is cut or damaged, with the frames before
	// that. Otherwise it is missing.
	keepCut bool
}

// A phase is the part of a goroutine's text that is being read.
type phase int

const (
	outside    phase = iota // not in a goroutine
	inStack                 // calls and their places, in turn
	inCreation              // the place of the go statement comes next
	inTail                  // the rest, up to the next blank line
)

// current is the goroutine being read.
type current struct {
	phase  phase
	line   int // of the header
	header header
	state  goroutine.State
	lock   uint64

	// Offsets in key: of the frames, of a call that has no place yet, of the
	// creation site.
	framesAt, callAt, createdAt int

	calls int // frames kept
	group int // its index, once it is counted
	open  openCall
	fault string // why the goroutine cannot be described, or ""
	torn  bool   // its last line was the beginning of a call
	cut   bool   // frames are missing

	headless bool // its header is damaged

	parent uint64 // the goroutine that executed the go statement; 0 when unknown
}

// endsInCall is said of a goroutine whose last call is incomplete.
const endsInCall = "its text ends within a call"

// openCall says whether a call is still waiting for its place, and which kind it
// is.
type openCall int

const (
	noCall      openCall = iota
	goCall               // a call as the runtime writes it: a name and arguments
	foreignCall          // any other line: the name of a C function, or noise
)

// read reads the next line.
func (t *dump) read() bool {
	line, err := t.in.ReadSlice('\n')
	t.snapshot.Bytes += int64(len(line))
	t.cut = errors.Is(err, bufio.ErrBufferFull)
	if t.cut {
		t.long = append(t.long[:0], line...)
		line = t.long
		err = t.skipLine()
	}
	t.number++
	t.partial = err == io.EOF && len(line) > 0
	t.line = bytes.TrimRight(line, "\r\n")
	if err != nil && err != io.EOF {
		t.broken = fmt.Errorf("reading after line %d: %w", t.number, err)
	}
	return err == nil || len(line) > 0 && !t.cut
}

// skipLine skips the rest of a line. The line may end with the input.
func (t *dump) skipLine() error {
	for {
		rest, err := t.in.ReadSlice('\n')
		t.snapshot.Bytes += int64(len(rest))
		if !errors.Is(err, bufio.ErrBufferFull) {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

var (
	headerStart   = []byte("goroutine ")
	createdStart  = []byte("created by ")
	ancestorStart = []byte("[originating from goroutine ")
	inGoroutine   = []byte(" in goroutine ") // since Go 1.21
)

// take reads one line of a dump.
func (t *dump) take() {
	t.form.bare = false
	switch line := t.line; {
	case bytes.HasPrefix(line, headerStart) && t.begin():
	case t.g.phase == outside:
		t.ignore(line)
	case len(line) == 0:
		t.end()
	case t.g.phase == inTail:
	case line[0] == '\t':
		t.place(line[1:])
	case t.g.phase == inCreation:
	case bytes.HasPrefix(line, createdStart):
		t.created(line[len(createdStart):])
	case bytes.HasPrefix(line, ancestorStart):
		t.g.phase = inTail
	default:
		t.call(line)
	}
}

// begin begins a goroutine if the line is a header.
func (t *dump) begin() bool {
	h, ok, err := parseHeader(t.line, t.cut || t.partial)
	if !ok {
		return false
	}
	t.start(h, err)
	return true
}

// start starts the goroutine of a header. err is what is wrong with the header.
func (t *dump) start(h header, err error) {
	t.end()
	t.seen = true
	t.g = current{phase: inStack, line: t.number, header: h, state: t.states.of(h.state)}
	if err != nil {
		t.fault(err.Error())
		t.g.headless = true
	}
	t.labelling.header(t.line)
	t.key = append(append(t.key[:0], t.g.state...), 0)
	t.g.framesAt = len(t.key)
}

// fault records why the goroutine cannot be described, and skips the rest of it.
func (t *dump) fault(why string) { t.g.fault, t.g.phase = why, inTail }

// call takes a line that may be a call. The runtime escapes spaces in names. Any
// other line may be the name of a C function, or the output of another thread.
func (t *dump) call(line []byte) {
	name, arguments, ok := cutArguments(line, t.cut)
	switch noise := len(name) == 0 || bytes.IndexByte(name, ' ') >= 0; {
	case noise, !ok && t.g.open == goCall:
		t.ignore(line)
		return
	case t.partial:
		t.fault(endsInCall)
		return
	case t.keepCut && !ok && bytes.IndexByte(line, '(') > 0:
		t.g.torn = true
		return
	case t.g.open != noCall:
		t.key = t.key[:t.g.callAt]
	}
	t.g.open, t.g.callAt, t.g.torn = foreignCall, len(t.key), false
	if ok {
		t.g.open = goCall
		t.lock(name, arguments)
	}
	if t.g.calls < maxFrames {
		t.key = appendName(t.key, name)
		t.arguments.set(t.g.calls, arguments)
		if len(t.words) > 0 {
			t.words[t.g.calls] = wordsOf(arguments)
		}
	}
}

// ignore takes a line that is no part of the snapshot.
func (t *dump) ignore(line []byte) {
	if t.aside != nil {
		t.aside(line)
	}
}

// cutArguments splits a call into the function's name and its arguments. If the
// line is not a complete call, ok is false and name is everything before the first
// parenthesis.
func cutArguments(line []byte, cut bool) (name, arguments []byte, ok bool) {
	i := bytes.LastIndexByte(line, '(')
	if i > 0 && (cut || line[len(line)-1] == ')') {
		return line[:i], line[i+1:], true
	}
	name, _, _ = bytes.Cut(line, []byte("("))
	return name, nil, false
}

// appendName appends a function name and a line end.
func appendName(key, name []byte) []byte {
	if string(name) == "panic" {
		name = []byte("runtime.gopanic") // the only name that a dump changes
	}
	return append(append(key, tail(name)...), '\n')
}

// lockFunctions are the functions whose first argument is the address of the lock
// they wait for. Where the compiler does not keep that argument alive, a dump
// marks it with a question mark.
var lockFunctions = map[string]bool{
	"internal/sync.(*Mutex).lockSlow": true,
	"sync.(*Mutex).lockSlow":          true, // before Go 1.24
	"sync.(*RWMutex).Lock":            true,
	"sync.(*RWMutex).RLock":           true,
}

// lock takes the address of a lock from a call that waits for it.
func (t *dump) lock(name, arguments []byte) {
	if t.g.lock != 0 || !t.g.state.Lock() || !lockFunctions[string(name)] {
		return
	}
	first := arguments
	if i := bytes.IndexAny(arguments, ",)"); i >= 0 {
		first = arguments[:i]
	}
	t.g.lock = certain(first)
}

// place takes a line that may be the file and line of a call.
func (t *dump) place(line []byte) {
	file, number, ok := cutPlace(line)
	if !ok {
		return // the note that a running goroutine's stack is unavailable
	}
	t.form.place(line, file, number)
	if t.g.phase == inCreation {
		t.key = appendPlace(t.key, file, number)
		t.g.phase = inTail
		return
	}
	if t.g.open == noCall {
		t.fault(fmt.Sprintf("line %d is the place of a missing call", t.number))
		return
	}
	t.g.open = noCall
	if t.g.calls < maxFrames {
		t.key = appendPlace(t.key, file, number)
		if len(t.words) > 0 {
			t.words[t.g.calls].offset = offsetOf(line)
		}
		t.g.calls++
	}
}

func appendPlace(key, file, number []byte) []byte {
	key = append(append(key, tail(file)...), ':')
	return append(append(key, number...), '\n')
}

// cutPlace splits "file:line". After a space, the line may go on with the offset
// within the function and with registers; both are ignored. A path may contain
// spaces and colons.
func cutPlace(line []byte) (file, number []byte, ok bool) {
	colon := bytes.LastIndexByte(line, ':')
	if colon <= 0 {
		return nil, nil, false
	}
	number, _, _ = bytes.Cut(line[colon+1:], []byte(" "))
	if len(number) == 0 || len(number) > 9 {
		return nil, nil, false
	}
	for _, c := range number {
		if c < '0' || c > '9' {
			return nil, nil, false
		}
	}
	return line[:colon], number, true
}

// created takes the function that contains the go statement.
func (t *dump) created(function []byte) {
	if t.g.open == goCall {
		t.fault(fmt.Sprintf("line %d comes before the place of the last call", t.number))
		return
	}
	if t.g.open == foreignCall {
		t.key = t.key[:t.g.callAt]
	}
	if i := bytes.Index(function, inGoroutine); i >= 0 {
		t.g.parent, _ = strconv.ParseUint(string(function[i+len(inGoroutine):]), 10, 64)
		function = function[:i]
	}
	t.g.phase, t.g.open, t.g.createdAt = inCreation, noCall, len(t.key)
	t.key = appendName(t.key, function)
}

// end ends a goroutine and counts it.
func (t *dump) end() {
	switch g := &t.g; {
	case g.phase == outside:
		return
	case g.fault != "":
	case g.torn || g.open == goCall || g.phase == inCreation:
		g.fault = endsInCall
	case g.open == foreignCall:
		t.key = t.key[:g.callAt]
	}
	if t.keepCut && t.g.fault != "" && !t.g.headless {
		t.cutGoroutine()
	} else {
		t.form.end(&t.g)
	}
	t.g.phase = outside
	t.highest = max(t.highest, t.g.header.id)
	switch {
	case t.g.fault != "":
		t.snapshot.Missing++
		t.problems.add("line %d: %s: %s", t.g.line, t.g.header, t.g.fault)
	case t.g.header.id != 0 || t.g.header.count > 0: // ID 0 is the scheduler's own stack, in a crash
		t.g.state = t.renamed()
		t.each()
	}
}

// count counts the goroutine in its group.
func (t *dump) count() {
	end := len(t.key)
	t.g.createdAt = t.stackEnd()
	t.key = binary.LittleEndian.AppendUint64(t.key, t.g.lock)
	t.key = binary.LittleEndian.AppendUint64(t.key, uint64(t.g.createdAt))
	if t.g.cut {
		t.key = append(t.key, 1)
	}
	i, ok := t.index[string(t.key)]
	if !ok {
		i = t.newGroup(t.key[t.g.framesAt:t.g.createdAt], t.key[t.g.createdAt:end])
	}
	t.g.group = i
	if i == systemGroup {
		return
	}
	group, id := &t.snapshot.Groups[i], t.g.header.id
	group.Count += max(1, t.g.header.count)
	group.Wait = max(group.Wait, t.g.header.wait)
	if id == 0 {
		t.several = true
		return
	}
	group.IDs = goroutine.LowestIDs(group.IDs, id)
	if t.births != nil {
		group.Births = goroutine.AddCohort(group.Births, t.births.Cohort(id))
	}
	t.labelling.add(id, group)
}

// stackEnd returns the offset in key where the frames end.
func (t *dump) stackEnd() int {
	if t.g.createdAt == 0 {
		return len(t.key)
	}
	return t.g.createdAt
}

// systemGroup is the index for the runtime's own goroutines, which have no group.
// Some crashes show them.
const systemGroup = -1

// newGroup makes the goroutine's group from the parts of its key, and returns the
// index of the group.
func (t *dump) newGroup(stack, creation []byte) int {
	cost := groupCost + len(t.key) + frameCost*t.g.calls
	if cost > t.room {
		t.summed += max(1, t.g.header.count)
		return t.otherGroup()
	}
	t.room -= cost
	frames, i := unwrapped(t.frames(stack)), systemGroup
	if !system(frames) {
		i = len(t.snapshot.Groups)
		group := goroutine.Group{Stack: t.stacks.Intern(frames), State: t.g.state, Lock: t.g.lock, Cut: t.g.cut}
		if by := t.frames(creation); len(by) > 0 {
			group.CreatedBy = by[0]
		}
		t.snapshot.Groups = append(t.snapshot.Groups, group)
	}
	t.index[string(t.key)] = i
	return i
}

// otherGroup returns the index of the group that sums up the remaining goroutines
// in this state.
func (t *dump) otherGroup() int {
	i, ok := t.others[t.g.state]
	if !ok {
		i = len(t.snapshot.Groups)
		t.others[t.g.state] = i
		t.snapshot.Groups = append(t.snapshot.Groups, goroutine.Group{Stack: other, State: t.g.state})
	}
	return i
}

// frames reads the frames in one part of a key.
func (t *dump) frames(key []byte) []goroutine.Frame {
	var list []goroutine.Frame
	for f, rest, ok := cutFrame(key); ok; f, rest, ok = cutFrame(rest) {
		list = append(list, t.frame(f))
	}
	return list
}

func (t *dump) frame(f frame) goroutine.Frame {
	return goroutine.Frame{Function: t.names.of(f.name), File: t.names.of(f.file), Line: f.line}
}

// A frame is one frame as stored in a key.
type frame struct {
	name, file []byte
	line       int
}

// cutFrame reads the first frame of a key and returns the rest.
func cutFrame(key []byte) (f frame, rest []byte, ok bool) {
	name, rest, ok := bytes.Cut(key, []byte("\n"))
	place, rest, complete := bytes.Cut(rest, []byte("\n"))
	if !ok || !complete {
		return frame{}, nil, false
	}
	colon := bytes.LastIndexByte(place, ':')
	line, _ := strconv.Atoi(string(place[colon+1:]))
	return frame{name, place[:colon], line}, rest, true
}

func (t *dump) finish() (*goroutine.Snapshot, error) {
	s := t.snapshot
	if t.several {
		t.births = nil
		for i := range s.Groups {
			s.Groups[i].Births, s.Groups[i].IDs = nil, nil
		}
	}
	if t.births != nil && t.highest > 0 {
		s.Epochs = t.births.Close(t.highest, s.Time)
	}
	s.Labelled = t.labelling.finish()
	finish(s)
	if !t.seen && t.broken == nil {
		return s, ErrNoGoroutine
	}
	return s, errors.Join(t.problems.err(), t.broken)
}

// A header is the first line of a goroutine.
type header struct {
	id     uint64
	state  string
	wait   time.Duration
	leaked bool      // the runtime's leak proof marked it
	count  int       // of goroutines, when the header is that of several; else 0
	at     time.Time // of its line in a log; zero when unknown
}

// String returns the header without labels.
func (h header) String() string {
	if h.count > 0 {
		return fmt.Sprintf("%d goroutines [%.*s]", h.count, maxState, h.state)
	}
	if h.state == "" {
		return fmt.Sprintf("goroutine %d", h.id)
	}
	return fmt.Sprintf("goroutine %d [%.*s]", h.id, maxState, h.state)
}

// parseHeader reads
//
//	goroutine N [gp=… m=… mp=…] [state, attribute, …] {label: value, …}:
//
// ok is false when the line is not a header. Unknown attributes are skipped. Go
// 1.26 writes the labels inside the brackets, quoted. Go 1.27 writes them after
// the brackets, quoted only where needed. A line that is cut may lack its end.
func parseHeader(line []byte, cut bool) (h header, ok bool, err error) {
	rest := line[len(headerStart):]
	digits := 0
	for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
		digits++
	}
	number := rest[:digits]
	fields, rest, bracket := bytes.Cut(rest[digits:], []byte("["))
	if digits == 0 || !bracket || !onlyFields(fields) || !cut && line[len(line)-1] != ':' {
		return h, false, nil
	}
	if h.id, err = strconv.ParseUint(string(number), 10, 64); err != nil {
		return header{}, true, fmt.Errorf("the ID %.20s… is too large", number)
	}
	if !h.attributes(rest) {
		return h, true, errors.New("the header is cut off or its brackets, braces and quotes do not match")
	}
	return h, true, nil
}

// attributes reads a header from its opening bracket on. It reports whether the
// header is complete up to the closing bracket.
func (h *header) attributes(rest []byte) bool {
	for first := true; ; first = false {
		end := skipTo(rest, ",]")
		if end < 0 {
			return false
		}
		h.attribute(rest[:end], first)
		if rest[end] == ']' {
			return true
		}
		rest = rest[end+1:]
	}
}

// onlyFields reports whether the text between ID and state contains only what the
// runtime writes there: fields such as "gp=0xc000006380".
func onlyFields(b []byte) bool {
	if len(b) == 0 || b[0] != ' ' {
		return false
	}
	for field := range bytes.FieldsSeq(b) {
		if bytes.IndexByte(field, '=') < 0 {
			return false
		}
	}
	return true
}

// skipTo returns the index of the first byte of stop outside quotes and braces,
// or -1.
func skipTo(b []byte, stop string) int {
	quoted, depth := false, 0
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			depth++
		case c == '}':
			depth--
		case depth <= 0 && strings.IndexByte(stop, c) >= 0:
			return i
		}
	}
	return -1
}

// attribute takes one attribute: the text between two commas inside the brackets.
func (h *header) attribute(b []byte, first bool) {
	if i := bytes.Index(b, []byte(" labels:{")); i >= 0 {
		b = b[:i]
	}
	if first {
		h.state, h.leaked = stateWords(string(b)), bytes.Contains(b, []byte(" (leaked)"))
		return
	}
	if number, ok := bytes.CutSuffix(bytes.TrimSpace(b), []byte(" minutes")); ok {
		if n, err := strconv.Atoi(string(number)); err == nil && n > 0 && n < maxWait {
			h.wait = time.Duration(n) * time.Minute
		}
	}
}

// stateWords removes what the runtime appends to the text of a state.
func stateWords(s string) string {
	for {
		before := len(s)
		for _, note := range []string{" (durable)", " (scan)", " (leaked)"} {
			s = strings.TrimSuffix(s, note)
		}
		if len(s) == before {
			return s
		}
	}
}

// states bounds the number of unknown states in an input.
type states struct{ foreign map[string]bool }

// of returns the state with this text. It returns [goroutine.Waiting] when the
// text is empty or too long, or when there are already too many unknown states.
func (s *states) of(words string) goroutine.State {
	state := goroutine.State(valid(words))
	if state.Category() != goroutine.CategoryOther || s.foreign[words] {
		return state
	}
	if words == "" || len(state) > maxState || strings.ContainsRune(words, 0) || len(s.foreign) >= maxStates {
		return goroutine.Waiting
	}
	if s.foreign == nil {
		s.foreign = make(map[string]bool)
	}
	s.foreign[words] = true
	return state
}

// maxProblems is how many problems an error lists individually.
const maxProblems = 20

// problems collects what is wrong with parts of an input.
type problems struct {
	told []error
	more int
}

func (p *problems) add(format string, args ...any) {
	if len(p.told) == maxProblems {
		p.more++
		return
	}
	p.told = append(p.told, fmt.Errorf(format, args...))
}

// err returns all problems as one error, or nil if there are none.
func (p *problems) err() error {
	if p.more > 0 {
		return errors.Join(append(p.told, fmt.Errorf("and %d more", p.more))...)
	}
	return errors.Join(p.told...)
}
