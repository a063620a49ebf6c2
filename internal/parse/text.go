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
	// maxLine is how much of a line is read; the rest of it is skipped. Only
	// labels and foreign lines get that long.
	maxLine = 64 << 10
	// maxName is how much of a function name or a path is kept: its end, as
	// the runtime's own tracer does.
	maxName = 1 << 10
	// maxFrames is how many frames of a stack are kept. A dump shows 100 at
	// most, a profile and a trace 128.
	maxFrames = 128
	// maxState and maxStates bound the words of a state and how many that this
	// module does not know are told apart.
	maxState, maxStates = 64, 64
	// maxDistinct is how many bytes of distinct stacks are kept while a dump
	// is read: those of over 20,000 groups. A group and a frame take about
	// this much beside their text.
	maxDistinct          = 64 << 20
	groupCost, frameCost = 512, 80
	// maxWait is the longest wait that is believed: that of two centuries.
	maxWait = 100_000_000
)

// Text reads goroutine dumps: what pprof's debug=2, runtime.Stack, a panic and
// SIGQUIT write. Lines around them are skipped. at is when the dump was taken.
// births counts the goroutines by age; with nil there are IDs but no epochs.
// One births serves the dumps of one process.
//
// It always returns a snapshot, with whatever could be read. The error names
// up to 20 goroutines that could not, each with its line; those are
// [goroutine.Snapshot.Missing]. Labels are not read: a dump has them without
// anybody having asked. Several dumps in one input are counted together.
//
// Memory follows the number of distinct stacks and is bounded. What comes
// after the first 64 MiB of them is summed up by state.
func Text(r io.Reader, at time.Time, stacks *Stacks, births *goroutine.Births) (*goroutine.Snapshot, error) {
	stacks.next()
	t := newDump(r)
	t.stacks, t.births, t.snapshot.Time = stacks, births, at
	t.readAll()
	return t.finish()
}

func newDump(r io.Reader) *dump {
	t := &dump{
		in:       bufio.NewReaderSize(r, maxLine),
		snapshot: &goroutine.Snapshot{Source: goroutine.SourceText},
		index:    make(map[string]int),
		strings:  make(map[string]string),
		others:   make(map[goroutine.State]int),
		room:     maxDistinct,
	}
	t.each = t.count
	return t
}

// readAll reads the input to its end and gives each goroutine to t.each.
func (t *dump) readAll() {
	for t.read() {
		t.take()
	}
	t.end()
}

// A dump is the state of reading one.
type dump struct {
	in     *bufio.Reader
	stacks *Stacks
	births *goroutine.Births

	line    []byte // the current one, without its end; valid until the next read
	number  int    // of the line, from 1
	cut     bool   // line is the beginning of a longer one
	long    []byte // holds such a beginning
	partial bool   // line has no end: the input ends within it

	g     current
	key   []byte  // what g's group is known by: state, frames, creation site, lock
	words []words // the arguments of each frame of g; of length 0 where nobody wants them
	each  func()  // takes g when it was read

	snapshot *goroutine.Snapshot
	index    map[string]int          // of groups, by key
	strings  map[string]string       // every name and path once
	others   map[goroutine.State]int // of groups, of what is summed up
	room     int                     // bytes of distinct stacks that may still come
	states   states
	highest  uint64 // ID
	seen     bool   // a goroutine
	problems problems
	broken   error // of the reader
}

// A phase is a part of a goroutine's text.
type phase int

const (
	outside    phase = iota // not in a goroutine
	inStack                 // calls and their places, in turn
	inCreation              // the place of the go statement comes next
	inTail                  // nothing more of interest, up to the next blank line
)

// current is the goroutine being read.
type current struct {
	phase  phase
	line   int // of the header
	header header
	state  goroutine.State
	lock   uint64

	framesAt, callAt, createdAt int // offsets in key: of the frames, of a call without its place yet, of the creation site

	calls int // frames kept
	open  openCall
	fault string // why it cannot be described; empty when it can
}

// openCall is what a place that comes next would complete.
type openCall int

const (
	noCall      openCall = iota
	goCall               // a line of the runtime's form: a name and arguments
	foreignCall          // another line: the name of a C function, or noise
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

// skipLine skips the rest of a line. The end of the input ends it too.
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
)

// take reads one line of a dump.
func (t *dump) take() {
	switch line := t.line; {
	case bytes.HasPrefix(line, headerStart) && t.begin():
	case t.g.phase == outside:
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
	t.end()
	t.seen = true
	t.g = current{phase: inStack, line: t.number, header: h, state: t.states.of(h.state)}
	if err != nil {
		t.fault(err.Error())
	}
	t.key = append(append(t.key[:0], t.g.state...), 0)
	t.g.framesAt = len(t.key)
	return true
}

// fault gives up on the goroutine and skips the rest of it.
func (t *dump) fault(why string) { t.g.fault, t.g.phase = why, inTail }

// call takes a line that may be a call. A name of the runtime's has no spaces:
// it escapes them. Other lines may be names of C functions, or what another
// thread wrote in between.
func (t *dump) call(line []byte) {
	name, arguments, ok := cutArguments(line, t.cut)
	switch noise := len(name) == 0 || bytes.IndexByte(name, ' ') >= 0; {
	case noise, !ok && t.g.open == goCall:
		return
	case t.partial:
		t.fault("its text ends within a call")
		return
	case t.g.open != noCall:
		t.key = t.key[:t.g.callAt]
	}
	t.g.open, t.g.callAt = foreignCall, len(t.key)
	if ok {
		t.g.open = goCall
		t.lock(name, arguments)
	}
	if t.g.calls < maxFrames {
		t.key = appendName(t.key, name)
		if len(t.words) > 0 {
			t.words[t.g.calls] = wordsOf(arguments)
		}
	}
}

// cutArguments splits a call into the function's name and its arguments. ok is
// false when the line is no call; its name is then what is before the first
// parenthesis, as of a call that is cut off.
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
		name = []byte("runtime.gopanic") // the one name that a dump beautifies
	}
	return append(append(key, tail(name)...), '\n')
}

// tail returns the end of a name that is too long.
func tail[T string | []byte](name T) T {
	return name[max(len(name)-maxName, 0):]
}

// lockFunctions are the functions whose first argument is the address of the
// lock that they wait for. The compiler keeps it alive in some builds only; in
// the others a dump marks it with a question mark.
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
		return // as of a goroutine on another thread, whose stack is unavailable
	}
	if t.g.phase == inCreation {
		t.key = appendPlace(t.key, file, number)
		t.g.phase = inTail
		return
	}
	if t.g.open == noCall {
		t.fault(fmt.Sprintf("line %d is the place of a call that is not there", t.number))
		return
	}
	t.g.open = noCall
	if t.g.calls < maxFrames {
		t.key = appendPlace(t.key, file, number)
		t.g.calls++
	}
}

func appendPlace(key, file, number []byte) []byte {
	key = append(append(key, tail(file)...), ':')
	return append(append(key, number...), '\n')
}

// cutPlace splits "file:line", with anything after a space: the offset within
// the function, and registers. A path may hold spaces and colons.
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

// created takes the function that holds the go statement.
func (t *dump) created(function []byte) {
	if t.g.open == goCall {
		t.fault(fmt.Sprintf("line %d comes before the place of the last call", t.number))
		return
	}
	if t.g.open == foreignCall {
		t.key = t.key[:t.g.callAt]
	}
	if i := bytes.Index(function, []byte(" in goroutine ")); i >= 0 {
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
	case g.open == goCall || g.phase == inCreation:
		g.fault = "its text ends within a call"
	case g.open == foreignCall:
		t.key = t.key[:g.callAt]
	}
	t.g.phase = outside
	t.highest = max(t.highest, t.g.header.id)
	switch {
	case t.g.fault != "":
		t.snapshot.Missing++
		t.problems.add("line %d: %s: %s", t.g.line, t.g.header, t.g.fault)
	case t.g.header.id != 0: // 0 is the scheduler's own stack, in a crash
		t.each()
	}
}

// count counts the goroutine in its group.
func (t *dump) count() {
	end := len(t.key)
	t.g.createdAt = t.stackEnd()
	t.key = binary.LittleEndian.AppendUint64(t.key, t.g.lock)
	t.key = binary.LittleEndian.AppendUint64(t.key, uint64(t.g.createdAt))
	i, ok := t.index[string(t.key)]
	if !ok {
		i = t.newGroup(t.key[t.g.framesAt:t.g.createdAt], t.key[t.g.createdAt:end])
	}
	if i == systemGroup {
		return
	}
	group, id := &t.snapshot.Groups[i], t.g.header.id
	group.Count++
	group.Wait = max(group.Wait, t.g.header.wait)
	group.IDs = goroutine.LowestIDs(group.IDs, id)
	if t.births != nil {
		group.Births = goroutine.AddCohort(group.Births, t.births.Cohort(id))
	}
}

// stackEnd returns the offset in key of what comes after the frames.
func (t *dump) stackEnd() int {
	if t.g.createdAt == 0 {
		return len(t.key)
	}
	return t.g.createdAt
}

// systemGroup stands for the index of the group of goroutines that belong to
// the runtime itself, which some crashes show.
const systemGroup = -1

// newGroup makes the group of the goroutine, from the parts of its key, and
// returns its index.
func (t *dump) newGroup(stack, creation []byte) int {
	cost := groupCost + len(t.key) + frameCost*t.g.calls
	if cost > t.room {
		return t.otherGroup()
	}
	t.room -= cost
	frames, i := t.frames(stack), systemGroup
	if !system(frames) {
		i = len(t.snapshot.Groups)
		group := goroutine.Group{Stack: t.stacks.Intern(frames), State: t.g.state, Lock: t.g.lock}
		if by := t.frames(creation); len(by) > 0 {
			group.CreatedBy = by[0]
		}
		t.snapshot.Groups = append(t.snapshot.Groups, group)
	}
	t.index[string(t.key)] = i
	return i
}

// otherGroup returns the index of the group of what is summed up by state.
func (t *dump) otherGroup() int {
	i, ok := t.others[t.g.state]
	if !ok {
		i = len(t.snapshot.Groups)
		t.others[t.g.state] = i
		t.snapshot.Groups = append(t.snapshot.Groups, goroutine.Group{Stack: other, State: t.g.state})
	}
	return i
}

// frames reads frames from the form that they have in a key.
func (t *dump) frames(key []byte) []goroutine.Frame {
	var list []goroutine.Frame
	for f, rest, ok := cutFrame(key); ok; f, rest, ok = cutFrame(rest) {
		list = append(list, t.frame(f))
	}
	return list
}

func (t *dump) frame(f frame) goroutine.Frame {
	return goroutine.Frame{Function: t.string(f.name), File: t.string(f.file), Line: f.line}
}

// A frame is a frame as a key holds it.
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

// string returns b as a string, the same one each time.
func (t *dump) string(b []byte) string {
	s, ok := t.strings[string(b)]
	if !ok {
		s = strings.ToValidUTF8(string(b), "\uFFFD")
		t.strings[string(b)] = s
	}
	return s
}

func (t *dump) finish() (*goroutine.Snapshot, error) {
	s := t.snapshot
	if t.births != nil && t.highest > 0 {
		s.Epochs = t.births.Close(t.highest, s.Time)
	}
	finish(s)
	if !t.seen && t.broken == nil {
		return s, errors.New("no goroutine found: this is not a goroutine dump as pprof writes it with debug=2")
	}
	return s, errors.Join(t.problems.err(), t.broken)
}

// A header is the first line of a goroutine.
type header struct {
	id    uint64
	state string
	wait  time.Duration
}

// String returns the header without labels.
func (h header) String() string {
	if h.state == "" {
		return fmt.Sprintf("goroutine %d", h.id)
	}
	return fmt.Sprintf("goroutine %d [%.*s]", h.id, maxState, h.state)
}

// parseHeader reads
//
//	goroutine N [gp=… m=… mp=…] [state, attribute, …] {label: value, …}:
//
// ok is false when the line is something else. An attribute that is not known
// is skipped. Go 1.26 has the labels within the brackets, quoted; Go 1.27 after
// them, with quotes where needed. A line that is cut may lack its end.
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

// attributes reads a header from its bracket on, and reports whether it is
// complete as far as the state goes.
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

// onlyFields reports whether what stands between ID and state is what the
// runtime puts there: fields such as "gp=0xc000006380".
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

// skipTo returns the index of the first of some bytes outside quotes and
// braces, or -1.
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

// attribute takes what stands between two commas of the brackets.
func (h *header) attribute(b []byte, first bool) {
	if i := bytes.Index(b, []byte(" labels:{")); i >= 0 {
		b = b[:i]
	}
	if first {
		h.state = stateWords(string(b))
		return
	}
	if number, ok := bytes.CutSuffix(bytes.TrimSpace(b), []byte(" minutes")); ok {
		if n, err := strconv.Atoi(string(number)); err == nil && n > 0 && n < maxWait {
			h.wait = time.Duration(n) * time.Minute
		}
	}
}

// stateWords removes what the runtime adds to the words of a state.
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

// states bounds the states that foreign input can bring about.
type states struct{ foreign map[string]bool }

// of returns the state of these words: [goroutine.Waiting] when there are none
// or too many.
func (s *states) of(words string) goroutine.State {
	state := goroutine.State(strings.ToValidUTF8(words, "\uFFFD"))
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

// maxProblems is how many problems an error tells one by one.
const maxProblems = 20

// problems collects what was wrong with parts of an input.
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

// err returns everything collected as one error, or nil.
func (p *problems) err() error {
	if p.more > 0 {
		return errors.Join(append(p.told, fmt.Errorf("and %d more", p.more))...)
	}
	return errors.Join(p.told...)
}
