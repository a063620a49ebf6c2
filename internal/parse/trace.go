// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// A TraceDecoder reads execution traces of one process as snapshots.
//
// At the end of each generation of a trace, the runtime writes every goroutine
// that had no event in that generation, with its status and its whole stack. What
// the other goroutines were doing at that moment follows from their events. So the
// last complete generation of a trace is a snapshot of the moment it ends.
//
// A decoder keeps its buffers: from the second trace on, the memory it allocates
// depends on the number of distinct stacks, not on the number of goroutines. It is
// not safe for concurrent use.
type TraceDecoder struct {
	// ExcludeReader leaves out the goroutine that copies the trace from the
	// runtime to the trace's writer. Set it for a trace that the program did not
	// start.
	ExcludeReader bool

	// Old accepts traces of Go 1.22. Goroutines that did nothing while such a trace was
	// taken have no stacks; the error says how many.
	Old bool

	// Stop, if it is set, is asked before each batch of at most 64 KiB is read. Its
	// error ends the reading and is returned, without a snapshot.
	Stop func() error

	// Passed, if it is set, is called for the frames of the stacks with which a window
	// opens, with the addresses that the runtime has for them; see [lockcode.Reader.Call].
	Passed func(function string, pc uintptr)

	stacks *Stacks
	births *goroutine.Births

	// For the trace being read.
	version   int
	movements movements
	tables    traceTables
	crowds    []crowd
	index     map[place]int32 // index of each place in crowds
	recent    int32           // index of the crowd found last
	opening   *opening        // nil unless a window is read
	locks     *lockTrace      // nil unless locks are wanted

	// Learned from earlier traces.
	skipped skipped
	kinds   kinds
}

// NewTraceDecoder returns a decoder that shares stacks and births with other
// parsers of the same process. If either is nil, the decoder uses its own.
func NewTraceDecoder(stacks *Stacks, births *goroutine.Births) *TraceDecoder {
	if stacks == nil {
		stacks = NewStacks()
	}
	if births == nil {
		births = new(goroutine.Births)
	}
	d := &TraceDecoder{stacks: stacks, births: births}
	d.movements.still = d.add
	return d
}

// Decode returns the goroutines of the last complete generation of a trace. at is
// when the trace ended. Decode takes linear time and does not retain data.
//
// The error is [ErrNotTrace] or [ErrTraceVersion], without a snapshot, or it names
// the byte of the trace that is wrong. In that case the snapshot holds what could
// be read, which is all goroutines if only bytes after the last complete
// generation are wrong. The snapshot is nil when nothing could be read. An epoch
// ends only at a generation without an error.
//
// The runtime's own goroutines are left out. A running or runnable goroutine has
// no stack at the end of a generation. Such a goroutine is recognized as the
// runtime's by a stack that it had earlier in the generation, by a label (the
// garbage collector's workers), or by its ID, if it had a stack in one of the two
// traces before. Any other goroutine is counted as the program's.
func (d *TraceDecoder) Decode(data []byte, at time.Time) (*goroutine.Snapshot, error) {
	generation, outside, err := d.read(data)
	if err != nil {
		return nil, err
	}
	defer d.release()
	inside := d.readGeneration(data, generation)
	if err := d.stopped(); err != nil {
		return nil, err
	}
	s := d.snapshot(at, generation.complete && inside == nil)
	s.Bytes = int64(len(data))
	err = cmp.Or(inside, outside, d.bare(s))
	if err != nil && s.Total+s.Missing == 0 {
		s = nil
	}
	return s, err
}

// bare says how many goroutines have no stacks because the trace is old.
func (d *TraceDecoder) bare(s *goroutine.Snapshot) error {
	if d.version != trace122 {
		return nil
	}
	n := 0
	for i := range s.Groups {
		if g := &s.Groups[i]; len(g.Stack.Frames) == 0 && g.State != goroutine.Running && g.State != goroutine.Runnable {
			n += g.Count
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d goroutines have no stack: Go 1.22 writes none of goroutines that do nothing while a trace is taken; a goroutine dump (debug=2) has them all", n, s.Total)
}

// read finds the generation to read. outside is an error elsewhere in the trace.
// err means that there is nothing to read.
func (d *TraceDecoder) read(data []byte) (generation span, outside, err error) {
	version, err := traceVersion(data, d.Old)
	if err != nil {
		return span{}, nil, err
	}
	d.version = version
	generation, outside = lastGeneration(data, version)
	generation.stop = d.stopped
	return generation, outside, nil
}

func (d *TraceDecoder) stopped() error {
	if d.Stop == nil {
		return nil
	}
	return d.Stop()
}

// readGeneration reads the events first. It then reads the entries of the tables
// that the events refer to, because the tables come last.
func (d *TraceDecoder) readGeneration(data []byte, generation span) error {
	d.movements.reset()
	d.reset()
	err := generation.batches(data, isEvents, d.movements.read)
	d.tables.reset(data)
	d.want()
	return cmp.Or(err, d.tables.read(generation))
}

// A place is where a goroutine was, and its status.
type place struct {
	stack  uint32
	reason uint32 // why it blocked, as a string ID, or reasonSyscall; 0 when the stack is whole
	status traceStatus
	main   bool // the main goroutine: its stack lacks the frame that identifies it
}

// A crowd is the set of goroutines at one place.
type crowd struct {
	place
	count  int
	ids    []uint64
	births []goroutine.Cohort
}

const (
	// maxCrowds bounds the number of distinct places. Beyond it, goroutines are
	// counted by status.
	maxCrowds = 1 << 16
	// keepCrowds is the capacity, in crowds, that is kept between traces.
	keepCrowds = 1 << 12
	// otherStack stands for all stacks beyond maxCrowds.
	otherStack = math.MaxUint32
)

func (d *TraceDecoder) reset() {
	if d.index == nil || len(d.crowds) > keepCrowds {
		d.crowds, d.index = nil, make(map[place]int32)
	}
	d.crowds = d.crowds[:0]
	clear(d.index)
	d.recent = -1
}

// release forgets the trace.
func (d *TraceDecoder) release() { d.tables.reset(nil) }

// add counts a goroutine.
func (d *TraceDecoder) add(id uint64, p place) {
	c := d.crowd(p)
	d.opening.note(id, c.place)
	if p.stack == 0 {
		d.locks.note(id, d.kinds.of(id))
	}
	c.count++
	if n := len(c.ids); n < goroutine.MaxIDs || id < c.ids[n-1] {
		c.ids = goroutine.LowestIDs(c.ids, id)
	}
	c.births = goroutine.AddCohort(c.births, d.births.Cohort(id))
}

// crowd returns the crowd at a place. Consecutive goroutines in a trace are often
// at the same place.
func (d *TraceDecoder) crowd(p place) *crowd {
	if d.recent >= 0 && d.crowds[d.recent].place == p {
		return &d.crowds[d.recent]
	}
	i, ok := d.index[p]
	if !ok && len(d.crowds) >= maxCrowds {
		p = place{stack: otherStack, status: p.status}
		i, ok = d.index[p]
	}
	if !ok {
		i = int32(len(d.crowds))
		d.crowds = append(d.crowds, d.spare())
		d.crowds[i].place = p
		d.index[p] = i
	}
	d.recent = i
	return &d.crowds[i]
}

// spare returns an empty crowd that reuses the buffers of an earlier one.
func (d *TraceDecoder) spare() crowd {
	if len(d.crowds) == cap(d.crowds) {
		return crowd{}
	}
	c := d.crowds[:len(d.crowds)+1][len(d.crowds)]
	return crowd{ids: c.ids[:0], births: c.births[:0]}
}

// want marks the entries of the tables that the snapshot needs.
func (d *TraceDecoder) want() {
	for i := range d.crowds {
		d.tables.wantStack(d.crowds[i].stack)
	}
	for i := range d.movements.movers {
		g := &d.movements.movers[i]
		if g.status == statusGone {
			continue
		}
		p := g.place()
		d.tables.wantString(p.reason)
		d.tables.wantStack(cmp.Or(p.stack, g.seen))
	}
	d.movements.wakes.want(&d.tables)
}

// snapshot makes a snapshot from what was read. sound says whether an epoch can
// end at its highest ID.
func (d *TraceDecoder) snapshot(at time.Time, sound bool) *goroutine.Snapshot {
	d.stacks.next()
	d.kinds.next()
	s := &goroutine.Snapshot{Time: at, Source: goroutine.SourceTrace, Missing: max(d.movements.missing, 0)}
	d.addMovers()
	d.group(s)
	d.addMovements(s)
	if d.locks != nil {
		s.Locks = d.lockQueues()
	}
	if sound && d.opening == nil && d.locks == nil { // regular snapshots end epochs; others come in between
		s.Epochs = d.births.Close(d.movements.lastID, at)
	} else {
		s.Epochs = d.births.Peek(d.movements.lastID, at)
	}
	finish(s)
	return s
}

// addMovers counts the goroutines that had events.
func (d *TraceDecoder) addMovers() {
	for i := range d.movements.movers {
		g := &d.movements.movers[i]
		switch g.status {
		case statusUnknown:
			d.locks.note(g.id, kindUser)
			continue
		case statusGone:
			continue
		}
		p := g.place()
		if p.stack == 0 && d.leavesOut(d.kindOf(g)) {
			continue
		}
		d.add(g.id, p)
	}
}

// group makes the groups of a snapshot. It starts with the crowds whose stacks are
// whole, because they show what the stacks of the others lack. The largest crowds
// get a stack, up to twice the number of groups in a snapshot, and so do those
// that are blocked forever. Most of the remaining crowds would be summed up in the
// end.
func (d *TraceDecoder) group(s *goroutine.Snapshot) {
	if len(d.crowds) > 2*MaxGroups {
		slices.SortStableFunc(d.crowds, func(a, b crowd) int { return cmp.Compare(b.count, a.count) })
	}
	n := min(len(d.crowds), 2*MaxGroups)
	g := grouping{TraceDecoder: d, s: s, index: make(map[stackState]int, n)}
	s.Groups = slices.Grow(s.Groups, n)
	for _, whole := range []bool{true, false} {
		for n := range d.crowds {
			if c := &d.crowds[n]; (c.reason == 0) == whole {
				g.add(c, n < 2*MaxGroups)
			}
		}
	}
}

// A grouping makes the groups of a snapshot.
type grouping struct {
	*TraceDecoder
	s     *goroutine.Snapshot
	index map[stackState]int // into the snapshot's groups
	lost  int                // crowds beyond the largest that are blocked forever
}

// A stackState identifies a group. Several stacks in a trace, whole or cut, may
// stand for the same stack.
type stackState struct {
	stack *goroutine.Stack
	state goroutine.State
}

// add adds a crowd to a group. A large crowd goes to the group of its stack, any
// other to the group that sums up its state.
func (g *grouping) add(c *crowd, large bool) {
	frames, state, kind := g.describe(c)
	g.kinds.remember(kind, c.ids)
	if g.leavesOut(kind) {
		return
	}
	key := stackState{other, state}
	if c.stack != otherStack && (large || g.exempt(state)) {
		key.stack = g.stacks.Intern(frames)
	}
	i, ok := g.index[key]
	if !ok {
		i = len(g.s.Groups)
		g.index[key] = i
		g.s.Groups = append(g.s.Groups, goroutine.Group{Stack: key.stack, State: state})
	}
	g.s.Groups[i].Add(c.count, c.ids, c.births)
	g.opening.describe(c.place, key)
	g.pass(c.stack)
}

// pass calls Passed for the frames of a stack.
func (g *grouping) pass(stack uint32) {
	if g.Passed != nil && g.opening != nil && !g.opening.over {
		g.tables.each(stack, func(pc uint64, f goroutine.Frame) { g.Passed(f.Function, uintptr(pc)) })
	}
}

// exempt reports whether a crowd gets a stack although it is not among the
// largest.
func (g *grouping) exempt(state goroutine.State) bool {
	if !state.Never() || g.lost == MaxGroups {
		return false
	}
	g.lost++
	return true
}

// describe returns the whole stack of a crowd, its state and its kind. The stack
// is valid until the next call.
func (d *TraceDecoder) describe(c *crowd) ([]goroutine.Frame, goroutine.State, kind) {
	frames, ok := d.tables.frames(c.stack)
	if c.reason == 0 {
		d.skipped.learn(frames, c.status)
	}
	if ok && len(frames) == 0 && c.status == statusWaiting {
		// The stack is known to be empty: the goroutine has not run. Only
		// coroutines start out waiting, and they begin with this function.
		frames = named("runtime.corostart")
	}
	kind := kindOf(frames)
	if c.main {
		kind = kindUser
	}
	reason := ""
	if c.reason != reasonSyscall {
		reason = d.tables.strings[c.reason]
	}
	if len(frames) > 0 {
		frames = d.tables.prepend(d.skipped.above(frames[0], reason, c.reason == reasonSyscall), frames)
	}
	return frames, traceState(c.status, frames, reason), kind
}

// traceState returns what a goroutine is doing.
func traceState(status traceStatus, frames []goroutine.Frame, reason string) goroutine.State {
	switch status {
	case statusRunnable:
		return goroutine.Runnable
	case statusRunning:
		return goroutine.Running
	case statusSyscall:
		return goroutine.Syscall
	case statusSwitched:
		return goroutine.Coroutine
	}
	if s := parkedState(frames); s != goroutine.Waiting {
		return s
	}
	if s, ok := reasonStates[reason]; ok {
		return s
	}
	if !parked(frames) && stateOf(frames) == goroutine.Runnable {
		return goroutine.Runnable // preempted briefly
	}
	return goroutine.Waiting
}

// A kind says what a goroutine belongs to.
type kind uint8

const (
	kindUser   kind = iota // the program
	kindSystem             // the runtime
	kindReader             // the trace: this goroutine copies it to its writer
	kindWriter             // this module: this goroutine writes the recording that is being read
)

// The entry functions of the reader: from Go 1.25 on, and before.
const (
	readerFunction    = "runtime/trace.(*traceMultiplexer).startLocked.func1"
	readerFunction123 = "runtime/trace.Start.func1"
)

// writerFunction is the entry function of the goroutine that writes the recording
// of the program's own flight recorder. It lives for one snapshot.
const writerFunction = "github.com/otelgoroutine/go/internal/capture.(*recorderSource).write.func1"

// maxSystemDepth exceeds the number of frames of any runtime goroutine. If a stack
// is deeper, its outermost frame may be where the tracer cut it off.
const maxSystemDepth = 32

// kindOf returns the kind that follows from the entry function of a stack. The
// tracer cuts off the outermost frame, which is usually runtime.goexit. So the
// stack of a callback from C ends in the runtime, and a goroutine that was
// preempted in an entry function without a frame has only the frames of the
// preemption.
func kindOf(frames []goroutine.Frame) kind {
	n := len(frames)
	if n == 0 {
		return kindUser
	}
	switch entry := frames[n-1].Function; {
	case entry == readerFunction, entry == readerFunction123:
		return kindReader
	case entry == writerFunction:
		return kindWriter
	case n > maxSystemDepth, strings.HasPrefix(entry, "runtime.asyncPreempt"), strings.HasPrefix(entry, "runtime.cgocallback"):
		return kindUser
	case system(frames):
		return kindSystem
	}
	return kindUser
}

func (d *TraceDecoder) leavesOut(k kind) bool {
	return k == kindSystem || k == kindWriter || k == kindReader && d.ExcludeReader
}

// kindOf returns the kind of a goroutine that has no stack at the end of a
// generation.
func (d *TraceDecoder) kindOf(g *mover) kind {
	k := kindUser
	if frames, _ := d.tables.frames(g.seen); g.id == mainID {
		return k
	} else if len(frames) > 0 {
		k = kindOf(frames)
	} else if g.worker {
		k = kindSystem
	} else {
		k = d.kinds.of(g.id)
	}
	d.kinds.remember(k, []uint64{g.id})
	return k
}

// kinds remembers the IDs of goroutines that are not the program's, for traces in
// which they have no stack. IDs are never reused. An ID is forgotten when two
// traces in a row did not have it.
type kinds struct{ current, past map[uint64]kind }

// maxKinds bounds the number of IDs. The runtime has a few goroutines, plus one
// for each P.
const maxKinds = 4096

func (k *kinds) next() {
	k.past, k.current = k.current, k.past
	if k.current == nil {
		k.current = make(map[uint64]kind)
	}
	clear(k.current)
}

func (k *kinds) of(id uint64) kind {
	if kind, ok := k.current[id]; ok {
		return kind
	}
	return k.past[id]
}

func (k *kinds) remember(kind kind, ids []uint64) {
	if kind == kindUser {
		return
	}
	for _, id := range ids {
		if len(k.current) < maxKinds {
			k.current[id] = kind
		}
	}
}

// traceTables are the stacks and strings of a generation that are needed.
type traceTables struct {
	data    []byte
	stacks  map[uint32]int    // offset of the frames in data; 0 until found
	strings map[uint32]string // "" until found
	buf     []goroutine.Frame
}

const (
	// maxStrings bounds the number of names. In a program with more functions,
	// some functions have no name.
	maxStrings = 1 << 20
	// keepTables is the capacity, in entries, that is kept between traces.
	keepTables = 1 << 14
)

func (t *traceTables) reset(data []byte) {
	t.data = data
	if t.stacks == nil || len(t.stacks) > keepTables || len(t.strings) > keepTables {
		t.stacks, t.strings = make(map[uint32]int), make(map[uint32]string)
	}
	clear(t.stacks)
	clear(t.strings)
	clear(t.buf)
	t.buf = t.buf[:0]
}

func (t *traceTables) wantStack(id uint32) {
	if id != 0 && id != otherStack {
		t.stacks[id] = 0
	}
}

func (t *traceTables) wantString(id uint32) {
	if id != 0 && id != reasonSyscall && len(t.strings) < maxStrings {
		t.strings[id] = ""
	}
}

// read finds the stacks that are needed, then the strings they refer to.
func (t *traceTables) read(generation span) error {
	err := generation.batches(t.data, is(evStacks), t.readStacks)
	return cmp.Or(err, generation.batches(t.data, is(evStrings), t.readStrings))
}

func is(kind byte) func(byte) bool { return func(k byte) bool { return k == kind } }

// isEvents reports whether a batch of this kind holds events.
func isEvents(kind byte) bool {
	switch kind {
	case 0, evStacks, evStrings, evCPUSamples, evFrequency, evSync, evEndOfGeneration:
		return false
	}
	return true
}

func (t *traceTables) readStacks(b batch) error {
	c := cursor{data: b.data, pos: 1}
	for c.more() {
		at := b.body + c.pos
		if entry := c.byte(); entry != evStack {
			return atByte(at, fmt.Errorf("expected a stack, found entry %d", entry))
		}
		id := id32(c.uvarint())
		frames := b.body + c.pos
		n := c.uvarint()
		if n > maxDepth {
			return atByte(at, fmt.Errorf("a stack of %d frames, which must be at most %d", n, maxDepth))
		}
		found, wanted := t.stacks[id]
		wanted = wanted && found == 0
		for range n {
			c.uvarint() // PC
			function, file := id32(c.uvarint()), id32(c.uvarint())
			c.uvarint() // line
			if wanted {
				t.wantString(function)
				t.wantString(file)
			}
		}
		if c.bad {
			return atByte(at, io.ErrUnexpectedEOF)
		}
		if wanted {
			t.stacks[id] = frames
		}
	}
	return nil
}

func (t *traceTables) readStrings(b batch) error {
	c := cursor{data: b.data, pos: 1}
	for c.more() {
		at := b.body + c.pos
		if entry := c.byte(); entry != evString {
			return atByte(at, fmt.Errorf("expected a string, found entry %d", entry))
		}
		id, n := id32(c.uvarint()), c.uvarint()
		if c.bad || n > uint64(len(c.data)-c.pos) {
			return atByte(at, io.ErrUnexpectedEOF)
		}
		if s, wanted := t.strings[id]; wanted && s == "" {
			t.strings[id] = string(c.data[c.pos : c.pos+int(n)])
		}
		c.pos += int(n)
	}
	return nil
}

// frames returns the frames of a stack, leaf first, and whether the trace has the
// stack. The frames are valid until the next call. Frames without a function are
// left out: the runtime writes one for an empty stack.
func (t *traceTables) frames(id uint32) ([]goroutine.Frame, bool) {
	t.buf = t.buf[:0]
	ok := t.each(id, func(_ uint64, f goroutine.Frame) {
		if f.Function != "" {
			t.buf = append(t.buf, f)
		}
	})
	return t.buf, ok
}

// each calls f for each frame of a stack with its address, leaf first, and reports
// whether the trace has the stack.
func (t *traceTables) each(id uint32, f func(pc uint64, frame goroutine.Frame)) bool {
	at := t.stacks[id]
	if at == 0 {
		return false
	}
	c := cursor{data: t.data, pos: at}
	for range c.uvarint() {
		pc := c.uvarint()
		frame := goroutine.Frame{Function: t.strings[id32(c.uvarint())], File: t.strings[id32(c.uvarint())]}
		if line := c.uvarint(); line <= math.MaxInt32 {
			frame.Line = int(line)
		}
		f(pc, frame)
	}
	return true
}

// prepend returns above followed by frames, which it may overwrite.
func (t *traceTables) prepend(above, frames []goroutine.Frame) []goroutine.Frame {
	if len(above) == 0 {
		return frames
	}
	t.buf = slices.Insert(frames, 0, above...)
	return t.buf
}
