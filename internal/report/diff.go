package report

import (
	"cmp"
	"fmt"
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
	Before Moment `json:"before"`
	After  Moment `json:"after"`

	// Identity: both sides are of one process and know goroutine IDs, so that
	// Born and Left are known.
	Identity bool `json:"identity"`
	Born     int  `json:"born,omitempty"` // here now, born since
	Left     int  `json:"left,omitempty"` // here before, ended since

	States     []Change      `json:"states"`     // largest change first
	Categories []Change      `json:"categories"` // likewise
	Stacks     []StackChange `json:"stacks"`     // what appeared, grew, shrank or went; largest change first
	Unchanged  int           `json:"unchanged"`  // stacks with as many goroutines as before
}

// A Change is a number before and after.
type Change struct {
	Name   string `json:"name"`
	Before int    `json:"before"`
	After  int    `json:"after"`
}

// Kind says in a word what became of a stack.
type Kind string

// The kinds of change.
const (
	Appeared Kind = "appeared"
	Grew     Kind = "grew"
	Shrank   Kind = "shrank"
	Went     Kind = "went"
	Replaced Kind = "replaced" // as many as before, but not the same goroutines
)

// A StackChange is a stack of which there are more or fewer, or others.
type StackChange struct {
	Kind   Kind `json:"kind"`
	Before int  `json:"before"`
	After  int  `json:"after"`
	Delta  int  `json:"delta"`

	// Where Diff.Identity: how many of those here now were born since, and how
	// many of those here before have left this stack: ended or moved on.
	Born int `json:"born,omitempty"`
	Left int `json:"left,omitempty"`

	Stack Stack `json:"stack"` // as it is after, or as it was before where it went
}

// NewDiff compares two snapshots, by stack, innermost user line and state.
func NewDiff(before, after *goroutine.Snapshot, o Options) *Diff {
	d := &Diff{
		Before:   Moment{o.Target, before.Time, string(before.Source), before.Total},
		After:    Moment{o.Target, after.Time, string(after.Source), after.Total},
		Identity: o.Same && before.HasIDs() && after.HasIDs(),
	}
	d.States = changes(states(before), states(after))
	d.Categories = changes(categories(before), categories(after))
	last := uint64(0)
	if d.Identity {
		last = before.Epochs[len(before.Epochs)-1].LastID
		d.total(after, last)
	}
	sites := meet(before, after)
	for _, key := range sites.order {
		d.add(sites.by[key], last, o)
	}
	slices.SortStableFunc(d.Stacks, func(a, b StackChange) int {
		return cmp.Or(cmp.Compare(abs(b.Delta), abs(a.Delta)), cmp.Compare(b.Born+b.Left, a.Born+a.Left))
	})
	return d
}

// total counts the whole process: an ID is never used again.
func (d *Diff) total(after *goroutine.Snapshot, last uint64) {
	stayed := 0
	for i := range after.Groups {
		n, _ := after.BornBy(&after.Groups[i], last)
		stayed += n
	}
	d.Born, d.Left = after.Total-stayed, max(0, d.Before.Total-stayed)
}

// A site is where goroutines stand in one snapshot, in the other, or in both.
type site struct {
	before, after       int
	was, is             *goroutine.Group // the largest; nil where there is none
	beforeOf, afterOf   *goroutine.Snapshot
	beforeAll, afterAll []*goroutine.Group
}

type sites struct {
	by    map[goroutine.GroupKey]*site
	order []goroutine.GroupKey // of those after first, largest first
}

// meet brings the groups of two snapshots together.
func meet(before, after *goroutine.Snapshot) sites {
	all := sites{by: make(map[goroutine.GroupKey]*site)}
	at := func(g *goroutine.Group) *site {
		key := g.Key()
		s := all.by[key]
		if s == nil {
			s = &site{beforeOf: before, afterOf: after}
			all.by[key] = s
			all.order = append(all.order, key)
		}
		return s
	}
	for i := range after.Groups {
		g := &after.Groups[i]
		s := at(g)
		s.is = cmp.Or(s.is, g)
		s.after += g.Count
		s.afterAll = append(s.afterAll, g)
	}
	for i := range before.Groups {
		g := &before.Groups[i]
		s := at(g)
		s.was = cmp.Or(s.was, g)
		s.before += g.Count
		s.beforeAll = append(s.beforeAll, g)
	}
	return all
}

// add adds the change of a site, if there is one.
func (d *Diff) add(s *site, last uint64, o Options) {
	c := StackChange{Before: s.before, After: s.after, Delta: s.after - s.before}
	if d.Identity {
		stayed := 0
		for _, g := range s.afterAll {
			n, _ := s.afterOf.BornBy(g, last)
			stayed += n
		}
		c.Born, c.Left = s.after-stayed, max(0, s.before-stayed)
	}
	switch {
	case s.before == 0:
		c.Kind = Appeared
	case s.after == 0:
		c.Kind = Went
	case c.Delta > 0:
		c.Kind = Grew
	case c.Delta < 0:
		c.Kind = Shrank
	case c.Born > 0:
		c.Kind = Replaced
	default:
		d.Unchanged++
		return
	}
	if s.is != nil {
		c.Stack = stackOf(s.afterOf, s.is, o)
	} else {
		c.Stack = stackOf(s.beforeOf, s.was, o)
	}
	d.Stacks = append(d.Stacks, c)
}

// changes pairs shares by name, largest change first.
func changes(before, after []Share) []Change {
	by := make(map[string]*Change)
	var list []*Change
	at := func(name string) *Change {
		if by[name] == nil {
			by[name] = &Change{Name: name}
			list = append(list, by[name])
		}
		return by[name]
	}
	for _, s := range after {
		at(s.Name).After = s.Count
	}
	for _, s := range before {
		at(s.Name).Before = s.Count
	}
	slices.SortStableFunc(list, func(a, b *Change) int {
		return cmp.Or(cmp.Compare(abs(b.After-b.Before), abs(a.After-a.Before)), cmp.Compare(b.After, a.After))
	})
	out := make([]Change, len(list))
	for i, c := range list {
		out[i] = *c
	}
	return out
}

func abs(n int) int { return max(n, -n) }

func address(a uint64) string { return fmt.Sprintf("0x%x", a) }
