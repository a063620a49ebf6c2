// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectortest

import (
	"container/heap"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// A Place is where a goroutine is and what it does there, as a source would
// report it.
type Place struct {
	Stack *goroutine.Stack
	State goroutine.State

	// Only snapshots of [goroutine.SourceText] have these.
	Lock      uint64
	CreatedBy goroutine.Frame
}

// At returns the place of a stack and a state. Each frame, leaf first, is
// written as a function name with or without a line, as in "main.handle:42";
// the file is named after the package: "main/main.go".
func At(state goroutine.State, frames ...string) Place {
	fs := make([]goroutine.Frame, len(frames))
	for i, f := range frames {
		fs[i] = frame(f)
	}
	return Place{Stack: goroutine.NewStack(fs), State: state}
}

func frame(text string) goroutine.Frame {
	f := goroutine.Frame{Function: text}
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		if line, err := strconv.Atoi(text[i+1:]); err == nil {
			f.Function, f.Line = text[:i], line
		}
	}
	pkg := f.Package()
	f.File = pkg + "/" + path.Base(pkg) + ".go"
	return f
}

// A Process is a simulated Go process. Its goroutines are born, stay at a place,
// move and exit in simulated time, which only [Process.Advance] moves. Its
// snapshots have IDs, births and epochs like those of a real process.
//
// A Process is not safe for concurrent use.
type Process struct {
	// Source is the source of the snapshots. The default is
	// [goroutine.SourceTrace]. The profile sources provide no IDs. Only
	// [goroutine.SourceText] provides locks and go statements.
	Source goroutine.Source

	now    time.Time
	rand   *rand.Rand
	next   uint64        // the next batch of IDs begins here
	procs  []batch       // IDs that were handed out, by P
	live   map[uint64]*g // by ID
	ids    []uint64      // of all that live, and of some that have exited
	spots  map[groupKey]*spot
	exits  exits // by time
	births goroutine.Births
}

type g struct {
	at    *spot
	since time.Time // when it came to its place
}

// A spot is a place, of which there is one for each key: goroutines are many, and
// places few.
type spot struct {
	groupKey
	plain *spot // without what only goroutine dumps tell
}

// A batch is the IDs that a P has left of those it was given.
type batch struct{ next, end uint64 }

// batchSize is how many IDs the runtime gives to a P at a time
// (_GoidCacheBatch in runtime/proc.go).
const batchSize = 16

// Start is the time at which every [Process] begins.
var Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// NewProcess returns a process without goroutines that has the given number of
// Ps and begins at [Start]. With one P, IDs rise in the order of birth; with
// more, each P uses up batches of 16 of its own, and a goroutine may have a
// lower ID than an older one. The P that starts a goroutine is chosen
// pseudo-randomly, and is the same in every run.
func NewProcess(procs int) *Process {
	return &Process{
		Source: goroutine.SourceTrace,
		now:    Start,
		rand:   rand.New(rand.NewPCG(1, 2)),
		next:   1,
		procs:  make([]batch, max(1, procs)),
		live:   make(map[uint64]*g),
		spots:  make(map[groupKey]*spot),
	}
}

// Now returns the time of the process.
func (p *Process) Now() time.Time { return p.now }

// Go starts n goroutines at a place and returns their IDs.
func (p *Process) Go(at Place, n int) []uint64 {
	ids, to := make([]uint64, n), p.spot(at)
	for i := range ids {
		ids[i] = p.newID()
		p.live[ids[i]] = &g{to, p.now}
	}
	p.ids = append(p.ids, ids...)
	return ids
}

func (p *Process) spot(at Place) *spot {
	plain := p.keyed(groupKey{stack: at.Stack, state: at.State})
	full := p.keyed(groupKey{at.Stack, at.State, at.Lock, at.CreatedBy})
	full.plain = plain
	return full
}

func (p *Process) keyed(key groupKey) *spot {
	if p.spots[key] == nil {
		p.spots[key] = &spot{groupKey: key}
	}
	return p.spots[key]
}

// GoFor starts a goroutine that exits after life, and returns its ID.
func (p *Process) GoFor(at Place, life time.Duration) uint64 {
	id := p.Go(at, 1)[0]
	heap.Push(&p.exits, exit{p.now.Add(life), id})
	return id
}

func (p *Process) newID() uint64 {
	b := &p.procs[p.rand.IntN(len(p.procs))]
	if b.next == b.end {
		*b = batch{p.next, p.next + batchSize}
		p.next = b.end
	}
	b.next++
	return b.next - 1
}

// Move moves goroutines to another place. It ignores goroutines that have
// exited.
func (p *Process) Move(to Place, ids ...uint64) {
	at := p.spot(to)
	for _, id := range ids {
		if g := p.live[id]; g != nil {
			g.at, g.since = at, p.now
		}
	}
}

// Exit ends goroutines.
func (p *Process) Exit(ids ...uint64) {
	for _, id := range ids {
		delete(p.live, id)
	}
}

// Advance moves the time forward by d. Goroutines started with [Process.GoFor]
// exit when their time is up.
func (p *Process) Advance(d time.Duration) {
	p.now = p.now.Add(d)
	for len(p.exits) > 0 && !p.exits[0].at.After(p.now) {
		p.Exit(heap.Pop(&p.exits).(exit).id)
	}
}

// Len returns the number of live goroutines.
func (p *Process) Len() int { return len(p.live) }

// Snapshot takes a snapshot at the current time.
func (p *Process) Snapshot() *goroutine.Snapshot {
	s := &goroutine.Snapshot{Time: p.now, Source: p.Source, Duration: time.Millisecond, Total: len(p.live)}
	p.ids = slices.DeleteFunc(p.ids, func(id uint64) bool { return p.live[id] == nil })
	slices.Sort(p.ids)
	index := make(map[*spot]int)
	for _, id := range p.ids {
		p.add(s, index, id)
	}
	if ids := p.ids; p.tellsIDs() && len(ids) > 0 {
		s.Epochs = p.births.Close(ids[len(ids)-1], p.now)
	}
	s.Sort()
	return s
}

func (p *Process) tellsIDs() bool {
	return p.Source == goroutine.SourceTrace || p.Source == goroutine.SourceRecorder || p.Source == goroutine.SourceText
}

// groupKey identifies a group. Unlike the key of a place, it distinguishes
// stacks that differ in any line.
type groupKey struct {
	stack     *goroutine.Stack
	state     goroutine.State
	lock      uint64
	createdBy goroutine.Frame
}

func (p *Process) add(s *goroutine.Snapshot, index map[*spot]int, id uint64) {
	live := p.live[id]
	at := live.at.plain
	if p.Source == goroutine.SourceText {
		at = live.at
	}
	i, ok := index[at]
	if !ok {
		i = len(s.Groups)
		index[at] = i
		s.Groups = append(s.Groups, goroutine.Group{Stack: at.stack, State: at.state, Lock: at.lock, CreatedBy: at.createdBy})
	}
	group := &s.Groups[i]
	if p.tellsIDs() {
		group.Add(1, []uint64{id}, []goroutine.Cohort{p.births.Cohort(id)})
	} else {
		group.Count++
	}
	if p.Source == goroutine.SourceText {
		group.Wait = max(group.Wait, p.now.Sub(live.since).Truncate(time.Minute))
	}
}

// exits is a heap, earliest first.
type exits []exit

type exit struct {
	at time.Time
	id uint64
}

func (e exits) Len() int           { return len(e) }
func (e exits) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e exits) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *exits) Push(x any)        { *e = append(*e, x.(exit)) }
func (e *exits) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}
