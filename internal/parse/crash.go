// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

const (
	// maxDetailed is how many goroutines of a dump are kept with what the snapshot
	// leaves out, and maxOfGroup how many of them have the same stack.
	maxDetailed, maxOfGroup = 16 << 10, 64
	// maxWaits is how many waits of single goroutines are kept.
	maxWaits = 256 << 10
	// maxPointers is how many arguments of a goroutine are kept.
	maxPointers = 96
	// minPointer is the lowest value that is taken for an address: the first page of
	// memory is never mapped, and the runtime's own objects are far above.
	minPointer = 64 << 10
	// maxMessage is how many bytes of the message of a panic are kept, and
	// maxMessageLines how many of its lines.
	maxMessage, maxMessageLines = 1 << 10, 16
)

// Details are what a goroutine dump says beyond its snapshot. They are bounded.
type Details struct {
	Crash Crash
	// Goroutines are single goroutines: of each group the 64 with the longest waits,
	// 16,384 in all.
	Goroutines []Detail
	// Waits has the wait of each goroutine that the dump shows one of, the first 262,144.
	Waits []Wait
	// Leaked has the number of goroutines with the mark "(leaked)" by group: those that
	// the runtime proved to be blocked forever.
	Leaked map[goroutine.GroupKey]int
}

// A Detail is one goroutine of a dump, or several with one header, which have no IDs.
type Detail struct {
	ID        uint64 // 0 for several with one header
	Parent    uint64 // the goroutine that created it; 0 when unknown, as before Go 1.21
	State     goroutine.State
	Wait      time.Duration // in whole minutes; 0 if below one
	Stack     *goroutine.Stack
	CreatedBy goroutine.Frame
	Lock      uint64 // address of the lock that it waits for; 0 when unknown
	// Elided is how many frames the dump left out in the middle of the stack; -1 if it
	// does not say how many.
	Elided int
	// Cut says that the text of the goroutine is cut off or damaged, as in
	// [goroutine.Group].
	Cut      bool
	More     int       // goroutines that are not listed, at one of them: of the same group or the same header
	Pointers []Pointer // arguments that are certain addresses, innermost call first
}

// Whole reports whether the dump shows the whole stack. It shows none of a goroutine that
// ran on another thread.
func (g *Detail) Whole() bool { return g.Elided == 0 && !g.Cut && len(g.Stack.Frames) > 0 }

// Count returns how many goroutines g stands for.
func (g *Detail) Count() int { return 1 + g.More }

// A Pointer is an argument of a call: an address that the dump does not mark as
// uncertain.
type Pointer struct {
	Frame    int // index into the frames of the stack
	Position int // of the argument, by words
	Value    uint64
}

// A Wait is how long one goroutine has waited, or at most several with one header.
type Wait struct {
	ID    uint64 // 0 for several
	Count int    // of goroutines
	For   time.Duration
	Group goroutine.GroupKey
}

// Read is [Text], and returns what the snapshot leaves out as well.
func Read(r io.Reader, at time.Time, stacks *Stacks, births *goroutine.Births) (*goroutine.Snapshot, *Details, error) {
	stacks.next()
	t := newDump(r)
	t.stacks, t.births, t.snapshot.Time = stacks, births, at
	d := follow(t)
	t.readAll()
	s, err := t.finish()
	return s, &d.Details, err
}

// follow has the details of a dump read along with its snapshot. Call it before the first
// line.
func follow(t *dump) *details {
	d := &details{dump: t, of: make(map[int][]int)}
	d.Leaked = make(map[goroutine.GroupKey]int)
	t.arguments = new(arguments)
	t.aside = d.aside
	t.each = func() {
		t.count()
		d.take()
	}
	return d
}

// details holds the state while the details of a dump are read.
type details struct {
	Details
	dump   *dump
	of     map[int][]int // indices of the goroutines kept, by group
	open   bool          // the message of a panic may go on
	lines  int           // of the message
	elided int           // of the current goroutine
	recent []string      // the newest lines before the first goroutine
}

// take takes the goroutine that was just counted.
func (d *details) take() {
	t, elided := d.dump, d.elided
	d.open, d.elided = false, 0
	d.recall()
	i := t.g.group
	if i == systemGroup || t.snapshot.Groups[i].Stack == other {
		return
	}
	g, h := &t.snapshot.Groups[i], &t.g.header
	count := max(1, h.count)
	if h.leaked {
		d.Leaked[g.Key()] += count
	}
	d.Crash.blame(h.id, t.g.line)
	if h.wait > 0 && len(d.Waits) < maxWaits {
		d.Waits = append(d.Waits, Wait{h.id, count, h.wait, g.Key()})
	}
	d.keep(i, Detail{
		ID: h.id, Parent: t.g.parent, State: g.State, Wait: h.wait, Stack: g.Stack, CreatedBy: g.CreatedBy, Lock: g.Lock,
		Elided: elided, Cut: t.g.cut, More: count - 1,
	})
}

// keep keeps a goroutine of a group if there is room, or in place of one with a shorter
// wait.
func (d *details) keep(group int, g Detail) {
	kept := d.of[group]
	switch {
	case len(kept) < maxOfGroup && len(d.Goroutines) < maxDetailed:
		d.of[group] = append(kept, len(d.Goroutines))
		g.Pointers = d.pointers()
		d.Goroutines = append(d.Goroutines, g)
		return
	case len(kept) == 0:
		return
	}
	shortest := slices.MinFunc(kept, func(a, b int) int { return cmp.Compare(d.Goroutines[a].Wait, d.Goroutines[b].Wait) })
	if was := &d.Goroutines[shortest]; was.Wait < g.Wait {
		g.More, g.Pointers = g.More+was.Count(), d.pointers()
		*was = g
		return
	}
	d.Goroutines[kept[0]].More += g.Count()
}

// pointers returns the arguments of the current goroutine that are addresses.
func (d *details) pointers() []Pointer {
	var room [maxPointers]Pointer
	all := room[:0]
	for i := range d.dump.g.calls {
		w := d.dump.arguments.of(i)
		for k, value := range w.value[:w.n] {
			if value >= minPointer && len(all) < maxPointers {
				all = append(all, Pointer{i, k, value})
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return slices.Clone(all)
}

// A CrashKind is a reason why a process ended, or why a dump was written.
type CrashKind string

// The kinds.
const (
	NoCrash       CrashKind = ""
	CrashPanic    CrashKind = "panic"
	CrashFatal    CrashKind = "fatal error" // the runtime gave up; no recover catches it
	CrashSignal   CrashKind = "signal"
	CrashRecorded CrashKind = "recovered panic" // net/http caught it; the process went on
	CrashRace     CrashKind = "data race"       // a report of the race detector
)

// A Crash is what a dump says about why the process ended.
type Crash struct {
	Kind CrashKind
	// Message is that of the panic or the fatal error, or the name of the signal, as
	// the runtime wrote it, without the words in front and at most 1 KiB of it. It may
	// have data of the program.
	Message string
	// Recovered are the messages of panics that were recovered before, the first one
	// first. A deferred function panicked again.
	Recovered []string
	// Signal is what the runtime says of the signal behind a panic or a fatal error,
	// such as "SIGSEGV: segmentation violation", and Address the address in question.
	Signal     string
	Address    uint64
	HasAddress bool
	// Notes are lines that the runtime wrote before a fatal error to explain it, at
	// most four.
	Notes []string
	// InC says that a signal came while C code ran.
	InC bool
	// SignalCode is what the system says about where a signal came from, as Linux
	// numbers it: 0 or less if a process sent it, above if an instruction raised it.
	SignalCode    int32
	HasSignalCode bool
	// Accesses are those of a data race, the newest first.
	Accesses []Access
	// Goroutine is the goroutine that panicked or that the runtime stopped, as far as
	// the dump says; 0 when unknown. For a signal from outside, it only ran.
	Goroutine uint64

	told int // line of the newest message
}

// An Access is one to memory that a report of the race detector is about.
type Access struct {
	Goroutine uint64
	What      string // such as "write" or "previous read"
}

const (
	maxNotes     = 4
	maxRecovered = 16
	maxRecent    = 64 // with the stack of the runtime after a fatal error
)

// blame takes the first goroutine after the message as the one that it is about.
func (c *Crash) blame(id uint64, line int) {
	if c.Kind != NoCrash && c.Goroutine == 0 && line > c.told {
		c.Goroutine = id
	}
}

// aside takes a line that belongs to no goroutine, or to none of its calls.
func (d *details) aside(line []byte) {
	if n, ok := elidedFrames(line); ok {
		d.elided = n
		return
	}
	if d.dump.g.phase != outside {
		return
	}
	text := strings.ToValidUTF8(string(line[:min(len(line), 2*maxMessage)]), "\uFFFD")
	if len(d.Goroutines) == 0 && strings.TrimSpace(text) != "" {
		d.recent = append(d.recent[max(0, len(d.recent)-maxRecent+1):], text)
	}
	d.Crash.read(d, text)
}

// crashMarks begin the lines with which the runtime says why the process ends.
var crashMarks = slices.DeleteFunc(slices.Clone(endings), func(mark string) bool { return !strings.HasSuffix(mark, ": ") })

// recall looks for the end of the process in the lines right before the first goroutine,
// behind what a logger has written at the beginning of each line: the prefix of a dump is
// known only from its first goroutine on.
func (d *details) recall() {
	lines := d.recent
	d.recent = nil
	if d.Crash.Kind != NoCrash || len(d.Goroutines) > 0 {
		return
	}
	for i, line := range lines {
		at := markIn(line)
		if at <= 0 || i+1 < len(lines) && !follows(line[:at], lines[i+1]) {
			continue
		}
		for _, l := range lines[i:] {
			if n, ok := similar(line[:at], l); ok {
				l = l[n:]
			}
			text, _, _ := strings.Cut(l, endOfField)
			d.Crash.read(d, inBox(text, line[:at]))
		}
		d.Crash.told, d.open = 0, false
		return
	}
}

// follows reports whether a line can come after the one in which the runtime says why the
// process ends, behind a prefix: it has a similar one, or the runtime goes on without any.
func follows(prefix, line string) bool {
	_, ok := similar(prefix, line)
	return ok || startsAny([]byte(strings.TrimSpace(line)), "[signal ", "panic: ", "runtime stack:", "PC=")
}

// similar returns how much of a line is like a prefix, in which numbers may change, or of
// which at least the beginning is the same.
func similar(prefix, line string) (n int, ok bool) {
	text := strings.TrimRight(prefix, " \t")
	if n, ok := alike([]byte(text), []byte(line)); ok && text != "" {
		for blanks := len(prefix) - len(text); blanks > 0 && n < len(line) && (line[n] == ' ' || line[n] == '\t'); blanks-- {
			n++
		}
		return n, true
	}
	return min(len(prefix), len(line)), strings.HasPrefix(line, prefix[:min(len(prefix), 4)])
}

// inBox returns a line without the border of a box, if the prefix begins with it as well.
func inBox(line, prefix string) string {
	for _, border := range []string{"│", "┃", "║", "|"} {
		if text, ok := strings.CutSuffix(strings.TrimRight(line, " "), border); ok && strings.Contains(prefix, border) {
			return strings.TrimRight(text, " ")
		}
	}
	return line
}

// endOfField ends a line in a field of a structured record.
const endOfField = `\n"`

// isRecord reports whether a line looks like a structured record: its field with the text
// is known only from the first goroutine on.
func isRecord(line string) bool {
	return strings.HasPrefix(line, "{") && strings.HasSuffix(line, "}") && strings.Contains(line, `":`)
}

// ofRecord returns the text of a line in a structured record.
func ofRecord(line string) (text string, ok bool) {
	text, _, ok = strings.Cut(line, endOfField)
	if !ok {
		return "", false
	}
	i := max(strings.LastIndex(text, `:"`), strings.LastIndex(text, `: "`)+1)
	text, err := strconv.Unquote(`"` + text[i+2:] + `"`)
	return text, err == nil && i > 0
}

// markIn returns where a line has one of crashMarks behind something that is no word, or -1.
func markIn(line string) int {
	for _, mark := range crashMarks {
		if i := strings.Index(line, mark); i == 0 || i > 0 && !isLetter(line[i-1]) && !strings.HasSuffix(line[:i], "[signal ") {
			return i
		}
	}
	return -1
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// elidedFrames reads the note that frames were left out. n is -1 if it does not say how many.
func elidedFrames(line []byte) (n int, ok bool) {
	line, ok = bytes.CutPrefix(bytes.TrimSpace(line), []byte("..."))
	if !ok {
		return 0, false
	}
	line, ok = bytes.CutSuffix(line, []byte(" frames elided..."))
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(string(line))
	if err != nil { // "additional"
		n = -1
	}
	return n, true
}

// read takes a line outside the goroutines. What comes first counts: what the runtime
// writes afterwards, such as a second panic while it prints, follows from it.
func (c *Crash) read(d *details, line string) {
	if c.Goroutine != 0 {
		return
	}
	bare := strings.TrimSpace(line)
	switch {
	case strings.Contains(line, "http: panic serving "), strings.Contains(line, "http2: panic serving "):
		_, message, _ := strings.Cut(line, ": panic serving ")
		_, message, _ = strings.Cut(message, ": ")
		message, _, _ = strings.Cut(message, endOfField)
		c.begin(d, CrashRecorded, message)
	case strings.HasPrefix(bare, "panic: "):
		c.panics(d, strings.TrimPrefix(bare, "panic: "))
	case strings.HasPrefix(bare, "fatal error: "):
		if c.Kind == CrashPanic { // such as "panic holding locks"
			return
		}
		c.begin(d, CrashFatal, strings.TrimPrefix(bare, "fatal error: "))
	case strings.HasPrefix(bare, "[signal "):
		c.signal(bare)
		d.open = false
	case strings.HasPrefix(bare, "PC=0x") && c.Kind == CrashSignal && !c.HasSignalCode:
		c.code(bare)
	case strings.HasPrefix(bare, "signal arrived during cgo execution"), strings.HasPrefix(bare, "signal arrived during external code execution"):
		c.InC = true
	case isRecord(line):
		if text, ok := ofRecord(line); ok && c.Kind != NoCrash {
			c.read(d, text)
			return
		}
		d.open = false
	case d.open && bare != "" && !strings.HasPrefix(bare, "goroutine ") && d.lines < maxMessageLines:
		d.lines++
		c.Message = bound(c.Message + "\n" + strings.TrimRight(line, " \t"))
	case bare == "":
		d.open = d.open && d.lines == 0 && c.Kind == CrashPanic && strings.HasPrefix(c.Message, "test timed out")
	case strings.HasPrefix(bare, "runtime: "), strings.HasPrefix(bare, "unexpected fault address "):
		if c.Kind != CrashPanic && len(c.Notes) < maxNotes {
			c.Notes = append(c.Notes, bound(bare))
		}
	case c.Kind == NoCrash && asksForDump(bare):
		c.begin(d, CrashSignal, bare)
		d.open = false
	}
}

// asksForDump reports whether a line is the one that the runtime begins a dump with
// when a signal has ended the process: "SIGQUIT: quit".
func asksForDump(line string) bool {
	name, what, ok := strings.Cut(line, ": ")
	return ok && strings.HasPrefix(name, "SIG") && len(name) > 4 && strings.ToUpper(name) == name && !strings.Contains(name, " ") && what != "" && len(line) < 80
}

func (c *Crash) begin(d *details, kind CrashKind, message string) {
	c.Kind, c.Message, c.told = kind, bound(message), d.dump.number
	d.open, d.lines = kind != CrashFatal, 0
}

// panics takes a line with a panic. Of several, the last one is why the process ended,
// and the first one where it began.
func (c *Crash) panics(d *details, message string) {
	for _, note := range []string{" [recovered, repanicked]", " [recovered]"} {
		if m, ok := strings.CutSuffix(message, note); ok {
			if len(c.Recovered) < maxRecovered {
				c.Recovered = append(c.Recovered, bound(m))
			}
			c.begin(d, CrashPanic, m)
			return
		}
	}
	if c.Kind == CrashPanic && c.Message != message && len(c.Recovered) < maxRecovered && (len(c.Recovered) == 0 || c.Recovered[len(c.Recovered)-1] != c.Message) {
		c.Recovered = append(c.Recovered, c.Message) // not recovered, but not the last one either
	}
	c.begin(d, CrashPanic, message)
}

// signal reads "[signal SIGSEGV: segmentation violation code=0x1 addr=0x18 pc=0x4…]".
func (c *Crash) signal(line string) {
	line = strings.TrimSuffix(strings.TrimPrefix(line, "[signal "), "]")
	name, _, _ := strings.Cut(line, " code=")
	c.Signal = bound(name)
	if _, rest, ok := strings.Cut(line, " addr=0x"); ok {
		digits, _, _ := strings.Cut(rest, " ")
		if address, err := strconv.ParseUint(digits, 16, 64); err == nil {
			c.Address, c.HasAddress = address, true
		}
	}
}

// code reads "PC=0x49aa21 m=0 sigcode=0 addr=0x18".
func (c *Crash) code(line string) {
	for field := range strings.FieldsSeq(line) {
		digits, ok := strings.CutPrefix(field, "sigcode=")
		if !ok {
			continue
		}
		if code, err := strconv.ParseUint(digits, 10, 64); err == nil {
			c.SignalCode, c.HasSignalCode = int32(code), true // -6 is printed without a sign
		}
	}
}

func bound(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxMessage)], "") }
