// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// A Moment is one side of a [Diff].
type Moment struct {
	Target string    `json:"target,omitempty"`
	Time   time.Time `json:"time"`
	Source string    `json:"source"`
	Total  int       `json:"total"`
}

// A Diff is what changed from one snapshot to another.
type Diff struct {
	SchemaVersion string `json:"schema_version"`

	Before Moment `json:"before"`
	After  Moment `json:"after"`

	// Identity reports whether both sides are of one process and have goroutine
	// IDs. Only then are Born and Left known.
	Identity bool `json:"identity"`
	Born     int  `json:"born,omitempty"` // created since then and still present
	Left     int  `json:"left,omitempty"` // present before and exited since then

	States     []Change      `json:"states"`     // largest change first
	Categories []Change      `json:"categories"` // largest change first
	Stacks     []StackChange `json:"stacks"`     // stacks that changed, largest change first
	Unchanged  int           `json:"unchanged"`  // stacks with the same number of goroutines

	Filter *Filter `json:"filter,omitempty"` // which goroutines are compared; nil: all

	unfold bool // the text shows all frames
}

// A Change is a count before and after.
type Change struct {
	Name   string `json:"name"`
	Before int    `json:"before"`
	After  int    `json:"after"`
}

// Kind says how a stack changed.
type Kind string

// The kinds of change.
const (
	Appeared Kind = "appeared"
	Grew     Kind = "grew"
	Shrank   Kind = "shrank"
	Gone     Kind = "gone"
	Replaced Kind = "replaced" // the same number of goroutines, but different ones
)

// A StackChange is a stack with more, fewer or other goroutines than before.
type StackChange struct {
	Kind   Kind `json:"kind"`
	Before int  `json:"before"`
	After  int  `json:"after"`
	Delta  int  `json:"delta"`

	// Born is how many goroutines of this stack were created since then, and
	// Left how many of the earlier ones exited or moved on. Both need
	// Diff.Identity.
	Born int `json:"born,omitempty"`
	Left int `json:"left,omitempty"`

	Stack Stack `json:"stack"` // the later version, or the earlier one if the stack is gone
}

// NewDiff compares two snapshots by stack, innermost user line and state.
func NewDiff(before, after *goroutine.Snapshot, o Options) *Diff {
	d := &Diff{
		SchemaVersion: SchemaVersion,
		Before:        Moment{o.Target, before.Time, string(before.Source), before.Total},
		After:         Moment{o.Target, after.Time, string(after.Source), after.Total},
		Identity:      o.Same && before.HasIDs() && after.HasIDs(),
		Filter:        o.Filter.count(after, o.Whole),
		unfold:        o.Unfold,
	}
	d.States = changes(States(before), States(after))
	d.Categories = changes(categories(before), categories(after))
	last := uint64(0) // IDs are never reused
	if d.Identity {
		last = before.Epochs[len(before.Epochs)-1].LastID
	}
	for _, s := range sitesOf(before, after, last) {
		c, changed := d.changeOf(s)
		d.Born += c.Born
		switch {
		case !changed:
			d.Unchanged++
			continue
		case s.is != nil:
			c.Stack = StackOf(after, s.is, o)
		default:
			c.Stack = StackOf(before, s.was, o)
		}
		d.Stacks = append(d.Stacks, c)
	}
	if d.Identity {
		d.Left = max(0, before.Total-(after.Total-d.Born))
	}
	slices.SortStableFunc(d.Stacks, func(a, b StackChange) int {
		return cmp.Or(cmp.Compare(abs(b.Delta), abs(a.Delta)), cmp.Compare(b.Born+b.Left, a.Born+a.Left))
	})
	return d
}

// A site is a stack in one snapshot, in the other, or in both.
type site struct {
	before, after int
	was, is       *goroutine.Group // the largest group on each side; nil if there is none
	born          int              // goroutines of the later snapshot that were created in between
}

// sitesOf merges the groups of two snapshots into sites. The sites of the later
// snapshot come first, largest first. Goroutines with IDs above last were
// created in between.
func sitesOf(before, after *goroutine.Snapshot, last uint64) []*site {
	by := make(map[goroutine.GroupKey]*site)
	var list []*site
	at := func(g *goroutine.Group) *site {
		s := by[g.Key()]
		if s == nil {
			s = &site{}
			by[g.Key()], list = s, append(list, s)
		}
		return s
	}
	for i := range after.Groups {
		g := &after.Groups[i]
		s := at(g)
		stayed, _ := after.BornBy(g, last)
		s.is = cmp.Or(s.is, g)
		s.after += g.Count
		s.born += g.Count - stayed
	}
	for i := range before.Groups {
		g := &before.Groups[i]
		s := at(g)
		s.was = cmp.Or(s.was, g)
		s.before += g.Count
	}
	return list
}

// changeOf returns what changed at a site. ok is false if nothing changed.
func (d *Diff) changeOf(s *site) (c StackChange, ok bool) {
	c = StackChange{Before: s.before, After: s.after, Delta: s.after - s.before}
	if d.Identity {
		c.Born, c.Left = s.born, max(0, s.before-(s.after-s.born))
	}
	switch {
	case s.before == 0:
		c.Kind = Appeared
	case s.after == 0:
		c.Kind = Gone
	case c.Delta > 0:
		c.Kind = Grew
	case c.Delta < 0:
		c.Kind = Shrank
	case c.Born > 0:
		c.Kind = Replaced
	default:
		return c, false
	}
	return c, true
}

// changes pairs shares by name, largest change first.
func changes(before, after []Share) []Change {
	by := make(map[string]Change)
	for _, s := range after {
		by[s.Name] = Change{Name: s.Name, After: s.Count}
	}
	for _, s := range before {
		by[s.Name] = Change{Name: s.Name, Before: s.Count, After: by[s.Name].After}
	}
	return slices.SortedFunc(maps.Values(by), func(a, b Change) int {
		return cmp.Or(cmp.Compare(abs(b.After-b.Before), abs(a.After-a.Before)), cmp.Compare(b.After, a.After), cmp.Compare(a.Name, b.Name))
	})
}

func abs(n int) int { return max(n, -n) }
