// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"cmp"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// DecodeWindow is like [TraceDecoder.Decode], for a trace of a span of time. The
// snapshot is of the end of the span and holds the wakeups in it as
// [goroutine.Movement]. before is a trace of the moment the window opened. Only
// before shows where a goroutine was waiting until its first wakeup in the window.
// In each trace, only the last generation counts.
func (d *TraceDecoder) DecodeWindow(before, data []byte, at time.Time) (*goroutine.Snapshot, error) {
	d.opening = &opening{at: make(map[uint64]place), places: make(map[place]stackState)}
	defer func() { d.opening, d.movements.wakes = nil, nil }()
	if _, err := d.Decode(before, at); err != nil {
		return nil, err
	}
	d.opening.over = true
	d.movements.wakes = &wakes{by: make(map[turn]uint32), from: make(map[turn]parkedAt)}
	s, err := d.Decode(data, at)
	if s != nil {
		s.Source = goroutine.SourceWindow
	}
	return s, err
}

// An opening records where goroutines were when a window opened.
type opening struct {
	at     map[uint64]place // by ID
	places map[place]stackState
	over   bool // the window is open: nothing more is recorded
}

// maxOpening bounds the goroutines that are remembered while a window is read.
const maxOpening = 1 << 18

func (o *opening) note(id uint64, p place) {
	if o != nil && !o.over && len(o.at) < maxOpening {
		o.at[id] = p
	}
}

func (o *opening) describe(p place, key stackState) {
	if o != nil && !o.over {
		o.places[p] = key
	}
}

// A turn is one wait of a goroutine: an index into movers, and the sequence number
// at which the wait began.
type turn struct {
	mover int32
	seq   uint32
}

// parkedAt is where a goroutine waited, as a stack ID, and why, as a string ID.
type parkedAt struct{ stack, reason uint32 }

// wakes records what began and ended each wait. The sequence number of a wakeup is
// one higher than that of the wait. The two may come in any order.
type wakes struct {
	by   map[turn]uint32 // the stack that ended the wait; 0 for the runtime itself
	from map[turn]parkedAt
}

// maxTurns bounds each of the maps. If a window has more, the first ones are kept.
const maxTurns = 1 << 18

func (w *wakes) woke(mover int32, seq, stack uint32) {
	if w != nil && seq > 0 && len(w.by) < maxTurns {
		w.by[turn{mover, seq - 1}] = stack
	}
}

func (w *wakes) parked(mover int32, seq, stack, reason uint32) {
	if w != nil && mover >= 0 && stack != 0 && len(w.from) < maxTurns {
		w.from[turn{mover, seq}] = parkedAt{stack, reason}
	}
}

// want marks the table entries for both ends of each wait that ended.
func (w *wakes) want(t *traceTables) {
	if w == nil {
		return
	}
	for ended, by := range w.by {
		t.wantStack(by)
		if from, ok := w.from[ended]; ok {
			t.wantStack(from.stack)
			t.wantString(from.reason)
		}
	}
}

// addMovements counts the wakeups.
func (d *TraceDecoder) addMovements(s *goroutine.Snapshot) {
	if d.movements.wakes == nil {
		return
	}
	places := make(map[parkedAt]stackState)
	index := make(map[stackState]int)
	by := make(map[wokenBy]int)
	for ended, stack := range d.movements.wakes.by {
		key := d.waitedAt(ended, places)
		if key.stack == nil {
			continue
		}
		i, ok := index[key]
		if !ok {
			i = len(s.Movements)
			index[key] = i
			s.Movements = append(s.Movements, goroutine.Movement{Stack: key.stack, State: key.state})
		}
		by[wokenBy{i, stack}]++
		m := &s.Movements[i]
		m.Woken++
		if id := d.movements.movers[ended.mover].id; stack != 0 {
			m.Fed = goroutine.SampleIDs(m.Fed, id)
		} else {
			m.Timed = goroutine.SampleIDs(m.Timed, id)
		}
	}
	d.addWakers(s, by)
	sortMovements(s)
}

// waitedAt returns the place of a wait that ended. Its stack is nil when it is
// unknown, or when the goroutine is left out. places caches the places described
// before.
func (d *TraceDecoder) waitedAt(t turn, places map[parkedAt]stackState) stackState {
	from, ok := d.movements.wakes.from[t]
	if !ok && t.seq == 0 {
		return d.opening.places[d.opening.at[d.movements.movers[t.mover].id]]
	}
	key, ok := places[from]
	if !ok && from.stack != 0 {
		key = d.placeOf(from)
		places[from] = key
	}
	return key
}

func (d *TraceDecoder) placeOf(p parkedAt) stackState {
	c := crowd{place: place{stack: p.stack, reason: p.reason, status: statusWaiting}}
	frames, state, kind := d.describe(&c)
	if d.leavesOut(kind) {
		return stackState{}
	}
	return stackState{d.stacks.Intern(frames), state}
}

// wokenBy is the index of a movement, and a stack that woke goroutines in it.
type wokenBy struct {
	movement int
	stack    uint32
}

func (d *TraceDecoder) addWakers(s *goroutine.Snapshot, counts map[wokenBy]int) {
	order := make([]wokenBy, 0, len(counts))
	for by := range counts {
		order = append(order, by)
	}
	slices.SortFunc(order, func(a, b wokenBy) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a.movement, b.movement), cmp.Compare(a.stack, b.stack))
	})
	for _, by := range order {
		m := &s.Movements[by.movement]
		if len(m.Wakers) < goroutine.MaxWakers {
			frames, _ := d.tables.frames(by.stack)
			m.Wakers = append(m.Wakers, goroutine.Waker{Stack: d.stacks.Intern(frames), Count: counts[by]})
		}
	}
}

// sortMovements sorts the movements, most wakeups first, and bounds their number.
func sortMovements(s *goroutine.Snapshot) {
	slices.SortFunc(s.Movements, func(a, b goroutine.Movement) int {
		return cmp.Or(cmp.Compare(b.Woken, a.Woken), cmp.Compare(a.Stack.ID, b.Stack.ID), cmp.Compare(a.State, b.State))
	})
	s.Movements = slices.Clip(s.Movements[:min(len(s.Movements), goroutine.MaxMovements)])
}
