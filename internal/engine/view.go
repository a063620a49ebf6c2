// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// A view is what the engine itself sees of the newest snapshot when it follows
// goroutines of findings. What costs a pass over all groups is computed once, and
// only when something is followed.
type view struct {
	*goroutine.Snapshot
	past    []*goroutine.Snapshot // earlier ones, oldest first
	windows []detectors.Window    // oldest first

	index *groupIndex
}

// A groupIndex finds groups by stack and by the IDs that they list.
type groupIndex struct {
	byStack map[goroutine.StackID][]*goroutine.Group
	byID    map[uint64]*goroutine.Group
	horizon uint64 // every goroutine with a lower ID is in byID
}

func (v *view) groups() *groupIndex {
	if v.index != nil {
		return v.index
	}
	ix := &groupIndex{make(map[goroutine.StackID][]*goroutine.Group, len(v.Groups)), make(map[uint64]*goroutine.Group), ^uint64(0)}
	for i := range v.Groups {
		g := &v.Groups[i]
		ix.byStack[g.Stack.ID] = append(ix.byStack[g.Stack.ID], g)
		for _, id := range g.IDs {
			ix.byID[id] = g
		}
		ix.horizon = min(ix.horizon, listsUpTo(g))
	}
	if v.Missing > 0 {
		ix.horizon = 0
	}
	v.index = ix
	return ix
}

// listsUpTo returns the ID up to which g lists all of its goroutines.
func listsUpTo(g *goroutine.Group) uint64 {
	switch {
	case len(g.IDs) == g.Count:
		return ^uint64(0)
	case len(g.IDs) == 0:
		return 0
	}
	return g.IDs[len(g.IDs)-1]
}

// at returns the groups at any of some places.
func (v *view) at(spots []spot) (all []*goroutine.Group) {
	for n, s := range spots {
		for _, g := range v.groups().byStack[s.stack] {
			earlier := func(other spot) bool { return other.has(g.Stack.ID, g.State) }
			if s.has(g.Stack.ID, g.State) && !slices.ContainsFunc(spots[:n], earlier) {
				all = append(all, g)
			}
		}
	}
	return all
}

// count returns how many goroutines are at any of some places.
func (v *view) count(spots []spot) (n int) {
	for _, g := range v.at(spots) {
		n += g.Count
	}
	return n
}

// A presence says whether a goroutine is at its place.
type presence int

const (
	unknown   presence = iota
	here               // it is listed there
	elsewhere          // it is listed at another place
	away               // it is not listed, and not at its place
	gone               // it is not listed, and has exited
)

// find says where a goroutine is. A snapshot lists the oldest goroutines of
// a group: one that is not listed has left the place if it would be.
func (v *view) find(id uint64, at spot) presence {
	if g := v.groups().byID[id]; g != nil {
		switch {
		case at.has(g.Stack.ID, g.State):
			return here
		case wideGroup(g):
			return unknown
		}
		return elsewhere
	}
	if id <= v.groups().horizon {
		return gone
	}
	if v.Missing > 0 {
		return unknown
	}
	for _, g := range append(v.at([]spot{at}), v.groups().byStack[goroutine.OtherStacks]...) {
		if id > listsUpTo(g) {
			return unknown
		}
	}
	return away
}

// wideGroup reports whether g sums up stacks, any of which its goroutines may have.
func wideGroup(g *goroutine.Group) bool { return g.Stack.ID == goroutine.OtherStacks }

// sumsUp reports whether the snapshot sums up stacks beyond a limit: any stack may
// be among them.
func (v *view) sumsUp() bool { return len(v.groups().byStack[goroutine.OtherStacks]) > 0 }

// newest returns the highest ID of the snapshot; 0 when it has no IDs.
func (v *view) newest() uint64 {
	if !v.HasIDs() {
		return 0
	}
	return v.Epochs[len(v.Epochs)-1].LastID
}

// before returns the newest snapshot of the history that is older than an age, or
// nil.
func (v *view) before(age time.Duration) *view {
	for _, s := range slices.Backward(v.past) {
		if v.Time.Sub(s.Time) > age {
			return &view{Snapshot: s}
		}
	}
	return nil
}

// explains returns how much of what f is about is at some places, and how much
// there is in all: goroutines or, when their number has grown, the growth.
func (v *view) explains(f *detectors.Finding, spots []spot) (n, of int) {
	n = v.count(spots)
	before := v.before(f.Age)
	if f.GrowthPerMinute <= 0 || before == nil {
		return n, f.Count
	}
	return n - before.count(spots), f.Count - before.Total - before.Missing
}
