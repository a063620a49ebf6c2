// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// Debug1 reads a goroutine profile in text form, as pprof writes it with debug=1.
// at is when the profile was taken. labels selects the pprof labels that
// distinguish groups. The snapshot has no IDs.
//
// The format hides the runtime's frames at the leaf, and with them whether a
// goroutine sends, receives or selects. States that follow from frames of the
// standard library remain (locks, I/O, sleep and others). A goroutine that is
// parked for another reason is in state [goroutine.Waiting].
//
// The header states the number of goroutines. If the text is cut off or damaged,
// the goroutines that it does not describe are counted in
// [goroutine.Snapshot.Missing], and the error says which line is wrong. Without a
// header the snapshot is nil.
func Debug1(data []byte, at time.Time, stacks *Stacks, labels Labels) (*goroutine.Snapshot, error) {
	d := &listing{labels: labels, names: make(names)}
	for n := 1; len(data) > 0; n++ {
		line, rest, _ := bytes.Cut(data, []byte("\n"))
		d.take(n, bytes.TrimRight(line, "\r"))
		data = rest
	}
	if !d.header {
		return nil, errors.New("goroutine profile: not the text that pprof writes with debug=1: it must have a line \"goroutine profile: total N\"")
	}
	d.end()
	s := d.snapshot(at, stacks)
	if s.Missing > 0 {
		d.problems.add("goroutine profile: cut off or damaged: it describes %[2]d goroutines, and its header says %[1]d", d.told, s.Total)
	}
	return s, d.problems.err()
}

// A listing holds the state while such a text is read.
type listing struct {
	labels   Labels
	header   bool // a header was read
	told     int  // goroutines in the header
	current  *record
	records  []record
	names    names
	problems problems
}

// A record is a set of goroutines with the same stack and the same labels.
type record struct {
	count  int
	leaf   uint64 // innermost return address
	first  uint64 // innermost address that is shown
	frames []goroutine.Frame
	labels []goroutine.Label
}

var (
	labelsStart = []byte("# labels: ")
	frameStart  = []byte("#\t")
)

// take reads one line.
func (d *listing) take(n int, line []byte) {
	switch {
	case d.takeHeader(line), !d.header:
	case len(line) == 0:
		d.end()
	case bytes.HasPrefix(line, labelsStart):
		d.takeLabels(n, line[len(labelsStart):])
	case bytes.HasPrefix(line, frameStart):
		d.takeFrame(n, line[len(frameStart):])
	case line[0] == '#':
	default:
		d.begin(n, line)
	}
}

// takeHeader takes "goroutine profile: total N".
func (d *listing) takeHeader(line []byte) bool {
	name, number, ok := bytes.Cut(line, []byte(" profile: total "))
	if !ok || string(name) != "goroutine" && string(name) != leakType {
		return false
	}
	told, err := strconv.Atoi(string(number))
	if err != nil || told < 0 || told > maxCount-d.told {
		return false
	}
	d.end()
	d.header, d.told = true, d.told+told
	return true
}

// begin takes "N @ 0x… 0x…".
func (d *listing) begin(n int, line []byte) {
	d.end()
	number, addresses, ok := bytes.Cut(line, []byte(" @"))
	count, err := strconv.Atoi(string(number))
	if !ok || err != nil || count <= 0 || count > maxCount {
		d.problems.add("goroutine profile: line %d must be a count and a stack, and is %.40q", n, line)
		return
	}
	d.current = &record{count: count}
	fields := bytes.Fields(addresses)
	if len(fields) > 0 {
		d.current.leaf, _ = parseAddress(fields[0])
	}
}

func parseAddress(b []byte) (uint64, bool) {
	digits, ok := bytes.CutPrefix(b, []byte("0x"))
	if !ok {
		return 0, false
	}
	a, err := strconv.ParseUint(string(digits), 16, 64)
	return a, err == nil
}

// takeLabels takes {"key":"value", …}.
func (d *listing) takeLabels(n int, line []byte) {
	if d.current == nil || d.labels.none() {
		return
	}
	labels, ok := quotedPairs(string(line))
	if !ok {
		d.problems.add("goroutine profile: the labels in line %d must be {\"key\":\"value\", …}", n)
	}
	d.current.labels = d.labels.choose(labels)
}

// quotedPairs reads {"key":"value", …}, and reports whether it is complete.
func quotedPairs(s string) (labels []goroutine.Label, ok bool) {
	s, ok = strings.CutPrefix(s, "{")
	for ok && s != "}" {
		var key, value string
		if key, s, ok = cutQuoted(s); !ok {
			break
		}
		if s, ok = strings.CutPrefix(s, ":"); !ok {
			break
		}
		if value, s, ok = cutQuoted(s); !ok {
			break
		}
		labels = append(labels, goroutine.Label{Key: key, Value: value})
		s = strings.TrimPrefix(s, ", ")
	}
	return labels, ok
}

func cutQuoted(s string) (value, rest string, ok bool) {
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", s, false
	}
	value, err = strconv.Unquote(quoted)
	return value, s[len(quoted):], err == nil
}

// takeFrame takes "address name+offset file:line", separated by tabs. A frame
// without a name has only its address.
func (d *listing) takeFrame(n int, line []byte) {
	if d.current == nil {
		return
	}
	fields := bytes.FieldsFunc(line, func(c rune) bool { return c == '\t' })
	address, ok := uint64(0), false
	if len(fields) > 0 {
		address, ok = parseAddress(fields[0])
	}
	if !ok {
		d.drop("goroutine profile: line %d must be a frame, and is %.40q", n, line)
		return
	}
	f := goroutine.Frame{Function: d.names.of(fields[0])}
	if len(fields) > 1 {
		if f, ok = d.frame(fields[1:]); !ok {
			d.drop("goroutine profile: line %d is cut off or not a frame: %.40q", n, line)
			return
		}
	}
	r := d.current
	if len(r.frames) == 0 {
		r.first = address
	}
	if len(r.frames) < maxFrames {
		r.frames = append(r.frames, f)
	}
}

func (d *listing) frame(fields [][]byte) (f goroutine.Frame, ok bool) {
	name := fields[0]
	if i := bytes.LastIndex(name, []byte("+0x")); i > 0 {
		name = name[:i]
	}
	f.Function = d.names.of(tail(name))
	file, number, ok := cutPlace(fields[len(fields)-1])
	if len(fields) != 2 || !ok {
		return f, false
	}
	f.File = d.names.of(tail(file))
	f.Line, _ = strconv.Atoi(string(number))
	return f, true
}

// drop discards the current record.
func (d *listing) drop(format string, args ...any) {
	d.current = nil
	d.problems.add(format, args...)
}

func (d *listing) end() {
	if d.current != nil {
		d.records = append(d.records, *d.current)
		d.current = nil
	}
}

func (d *listing) snapshot(at time.Time, stacks *Stacks) *goroutine.Snapshot {
	stacks.next()
	park := d.park()
	var gs groups
	total := 0
	for _, r := range d.records {
		if total += r.count; total > maxCount {
			break
		}
		gs.of(stacks.Intern(r.frames), r.state(park), r.labels).Count += r.count
	}
	s := &goroutine.Snapshot{Time: at, Source: goroutine.SourceProfile, Groups: gs.list}
	if d.labels.shownIn(s.Groups) {
		s.Source = goroutine.SourceLabelled
	}
	finish(s)
	s.Missing = max(0, d.told-s.Total)
	return s
}

// park returns the return address of parked goroutines, in runtime.gopark, or 0
// when it is unknown. All parked goroutines have the same one, and for some of
// them the frames show that they are parked.
func (d *listing) park() uint64 {
	for i := range d.records {
		r := &d.records[i]
		if s, ok := match(parkedRules, r.frames); ok && r.hides() && !strings.HasPrefix(string(s), "synctest") && s != goroutine.Coroutine {
			return r.leaf
		}
	}
	return 0
}

// hides reports whether the runtime's frames are left out at the leaf. A leaf that
// is shown has the address of its call, which is one before the return address or,
// after a signal, the return address itself.
func (r *record) hides() bool {
	return len(r.frames) > 0 && r.first != r.leaf && r.first+1 != r.leaf
}

func (r *record) state(park uint64) goroutine.State {
	if !r.hides() {
		return stateOf(r.frames)
	}
	if s, ok := match(parkedRules, r.frames); ok {
		return s
	}
	switch innermost := r.frames[0].Function; {
	case innermost == "os/signal.signal_recv": // it called runtime.notetsleepg
		return goroutine.Syscall
	case strings.HasPrefix(innermost, "iter.Pull"): // it called runtime.coroswitch
		return goroutine.Coroutine
	case park != 0 && r.leaf != park:
		return goroutine.Running // or runnable: in the runtime, but not parked
	}
	return goroutine.Waiting
}
