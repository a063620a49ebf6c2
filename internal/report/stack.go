// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// A Frame is one call.
type Frame struct {
	Function string `json:"function"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Standard bool   `json:"standard,omitempty"` // belongs to the standard library
}

// String formats the frame as function, file and line, on one line.
func (f *Frame) String() string {
	return goroutine.Frame{Function: f.Function, File: f.File, Line: f.Line}.String()
}

// frameOf returns nil for the zero frame.
func frameOf(f goroutine.Frame) *Frame {
	if f.Function == "" {
		return nil
	}
	return &Frame{f.Function, f.File, f.Line, f.Standard()}
}

// framesOf returns the visible frames of a stack, leaf first, and the index of
// the frame that names the place, [goroutine.Stack.User]. With terse, it does
// not mark the frames of the standard library.
func framesOf(s *goroutine.Stack, terse bool) (frames []Frame, user int) {
	visible := s.Visible()
	frames = make([]Frame, len(visible))
	for i, f := range visible {
		frames[i] = Frame{f.Function, f.File, f.Line, !terse && f.Standard()}
	}
	if terse {
		return frames, 0
	}
	user = slices.IndexFunc(frames, func(f Frame) bool { return !f.Standard })
	if user < 0 { // only standard library frames; the entry function identifies the stack best
		user = max(0, len(frames)-1)
	}
	return frames, user
}

// Frames returns the frames of a stack as in [Stack.Frames], and the index for
// [Place.User].
func Frames(s *goroutine.Stack) (frames []Frame, user int) { return framesOf(s, false) }

// A FrameTable stores each frame of many stacks once. Pages get one table
// instead of frames in each stack, which is a tenth of the size. The zero value
// is an empty table.
type FrameTable struct {
	Frames []Frame
	index  map[Frame]int
}

// Calls returns the indices of frames in t. It adds frames that t does not have
// yet.
func (t *FrameTable) Calls(frames []Frame) []int {
	calls := make([]int, len(frames))
	for i, f := range frames {
		n, known := t.index[f]
		if !known {
			if t.index == nil {
				t.index = make(map[Frame]int)
			}
			n = len(t.Frames)
			t.index[f] = n
			t.Frames = append(t.Frames, f)
		}
		calls[i] = n
	}
	return calls
}

// A Place is all goroutines with one stack and state.
type Place struct {
	ID     string  `json:"id"` // ID of the stack, the same on every replica
	State  string  `json:"state"`
	Count  int     `json:"count"`
	Oldest float64 `json:"oldest_seconds,omitempty"` // minimum age of the oldest goroutine; not set if nothing is known of it
	User   int     `json:"user,omitempty"`           // index of the frame that names the place
}

// A Stack is all goroutines with one stack and state and, if the snapshot has
// them, the same labels.
type Stack struct {
	Place
	Category string  `json:"category"`
	Percent  float64 `json:"percent"`

	Waiting float64  `json:"waiting_seconds,omitempty"` // longest wait according to the runtime, in whole minutes; 0 if unknown
	Births  []Birth  `json:"births,omitempty"`          // oldest first; nil if there are no IDs
	Waits   []Wait   `json:"waits,omitempty"`           // of single goroutines, longest first, at most goroutine.MaxIDs; nil if unknown
	IDs     []uint64 `json:"goroutine_ids,omitempty"`   // the oldest goroutines, at most goroutine.MaxIDs

	Labels    []Label `json:"labels,omitempty"`     // sorted by key; values are empty without Options.Values
	Lock      string  `json:"lock,omitempty"`       // address, if known and Options.Values is set
	CreatedBy *Frame  `json:"created_by,omitempty"` // the go statement, if known
	Known     string  `json:"known,omitempty"`      // why it waits by design; empty if unknown
	Cut       bool    `json:"cut,omitempty"`        // outer frames are missing: the dump is cut off or damaged there
	Frames    []Frame `json:"frames"`               // leaf first, without the runtime's own frames at either end
}

// A Wait is how long one goroutine has waited according to a goroutine dump.
type Wait struct {
	ID      uint64  `json:"goroutine_id"`
	Seconds float64 `json:"wait_seconds"` // whole minutes; 0 for less than one
}

// A Birth is how many goroutines have at least this age.
type Birth struct {
	Age   float64 `json:"age_seconds"` // minimum
	Count int     `json:"count"`       // created in this period, not cumulative
}

// A Label is a pprof label.
type Label struct {
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
}

func stacksOf(s *goroutine.Snapshot, o Options) []Stack {
	list := make([]Stack, len(s.Groups))
	for i := range s.Groups {
		list[i] = StackOf(s, &s.Groups[i], o)
	}
	return list
}

// StackOf describes a group of a snapshot.
func StackOf(s *goroutine.Snapshot, g *goroutine.Group, o Options) Stack {
	r := Stack{
		Place:    Place{ID: string(g.Stack.ID), State: string(g.State), Count: g.Count},
		Category: string(g.State.Category()), Percent: percent(g.Count, s.Total), Waiting: g.Wait.Seconds(),
		IDs: slices.Clone(g.IDs), CreatedBy: frameOf(g.CreatedBy), Cut: g.Cut,
	}
	if o.Waits != nil {
		r.Waits = longest(o.Waits(s, g))
	}
	r.Frames, r.User = framesOf(g.Stack, o.Terse)
	if born, ok := s.Oldest(g); ok {
		r.Oldest = Age(s.Time, born)
	}
	for _, c := range g.Births {
		if c.Epoch < len(s.Epochs) {
			r.Births = append(r.Births, Birth{Age(s.Time, s.Epochs[c.Epoch].End), c.Count})
		}
	}
	for _, l := range g.Labels {
		shown := Label{Key: l.Key}
		if o.Values {
			shown.Value = l.Value
		}
		r.Labels = append(r.Labels, shown)
	}
	if o.Values && g.Lock != 0 {
		r.Lock = fmt.Sprintf("0x%x", g.Lock)
	}
	if !o.Terse {
		if k, ok := detectors.KnownAs(g.Stack); ok {
			r.Known = k.Name + ": " + k.Reason
		}
	}
	return r
}
