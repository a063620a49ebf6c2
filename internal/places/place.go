// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package places

import (
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// A Grouping says which groups of goroutines are at the same place.
type Grouping int

// The groupings. Each of them also distinguishes the state and the line in the
// innermost user frame.
const (
	ByStack Grouping = iota // one place for each stack ID: groups that have the same goroutine.GroupKey
	ByLock                  // one for each stack ID and lock, where the source tells addresses
	ByEnds                  // one for all stacks with the same innermost user function and the same entry function
	groupings
)

// A Place is where goroutines are in the newest snapshot of a series.
type Place struct {
	Series *Series
	Stack  *goroutine.Stack // of the largest group in the newest snapshot
	State  goroutine.State
	Lock   uint64 // with ByLock: the address of the lock, 0 when unknown

	// Key is the key of the groups. With [ByEnds] its Stack stands for several
	// stacks and is not the ID of one.
	Key goroutine.GroupKey

	index *index
	now   []*goroutine.Group   // in the newest snapshot
	count int                  // there
	past  [][]*goroutine.Group // by snapshot; nil until the index is filled
	steps []step               // by snapshot, once known
	stood bool                 // since holds what is known so far
	moved bool                 // and one left, or it had none, before since
	since int                  // the snapshot since which p had goroutines and none left, as far as compared
}

// An index holds the places of one grouping.
type index struct {
	by     Grouping
	places []*Place // in the order of the newest snapshot
	find   map[key]*Place
	filled bool
}

// A key identifies a place in an index.
type key struct {
	goroutine.GroupKey
	lock  uint64
	entry string
}

// Places returns the places of the newest snapshot, the one with its largest
// group first. Goroutines summed up under [goroutine.OtherStacks] have no place.
func (s *Series) Places(by Grouping) []*Place {
	if s.indexes[by] == nil {
		s.indexes[by] = s.newIndex(by)
	}
	return s.indexes[by].places
}

func (s *Series) newIndex(by Grouping) *index {
	groups := s.Newest().Groups
	ix := &index{by: by, places: make([]*Place, 0, len(groups)), find: make(map[key]*Place, len(groups))}
	slab, cells := make([]Place, len(groups)), make([]*goroutine.Group, len(groups))
	for i := range groups {
		g := &groups[i]
		if g.Stack.ID == goroutine.OtherStacks {
			continue
		}
		k := s.key(g, by)
		p := ix.find[k]
		if p == nil {
			p = &slab[len(ix.places)]
			*p = Place{Stack: g.Stack, State: g.State, Lock: k.lock, Key: k.GroupKey, Series: s, index: ix}
			ix.find[k] = p
			ix.places = append(ix.places, p)
		}
		cells = put(&p.now, g, cells)
		p.count += g.Count
	}
	return ix
}

// key is g.Key with the search for the user's line done once for each stack.
func (s *Series) key(g *goroutine.Group, by Grouping) key {
	st := s.stack(g.Stack)
	k := key{GroupKey: goroutine.GroupKey{Stack: g.Stack.ID, Line: st.line, State: g.State}}
	switch by {
	case ByLock:
		k.lock = g.Lock
	case ByEnds:
		k.Stack, k.entry = goroutine.StackID(st.user), st.entry
	}
	return k
}

// fill finds the places of an index in the snapshots before the newest.
func (s *Series) fill(ix *index) {
	if ix.filled {
		return
	}
	ix.filled = true
	n := s.Last()
	rows := make([][]*goroutine.Group, n*len(ix.places))
	for i, p := range ix.places {
		p.past = rows[i*n : (i+1)*n]
	}
	for i := range n {
		groups := s.Snapshots[i].Groups
		cells := make([]*goroutine.Group, len(groups))
		for j := range groups {
			g := &groups[j]
			if p := ix.find[s.key(g, ix.by)]; p != nil && g.Stack.ID != goroutine.OtherStacks {
				cells = put(&p.past[i], g, cells)
			}
		}
	}
}

// put adds a group to a place. Nearly always it is the only one there and uses
// one of the cells.
func put(at *[]*goroutine.Group, g *goroutine.Group, cells []*goroutine.Group) (rest []*goroutine.Group) {
	if len(*at) > 0 {
		*at = append(*at, g)
		return cells
	}
	cells[0] = g
	*at = cells[:1:1]
	return cells[1:]
}

// groups returns the groups at p in snapshot i.
func (p *Place) groups(i int) []*goroutine.Group {
	if i == p.Series.Last() {
		return p.now
	}
	p.Series.fill(p.index)
	return p.past[i]
}

// Now returns how many goroutines are at p in the newest snapshot.
func (p *Place) Now() int { return p.count }

// Count returns how many goroutines were at p in snapshot i.
func (p *Place) Count(i int) int {
	n := 0
	for _, g := range p.groups(i) {
		n += g.Count
	}
	return n
}

// Share returns, of all goroutines with the starter of p in the snapshots before
// one, the share that was at p; 0 when there were none.
func (p *Place) Share(before int) float64 {
	here, all := 0, 0
	for i := range before {
		here += p.Count(i)
		all += p.Series.StartedWith(p.Starter(), i)
	}
	return float64(here) / float64(max(1, all))
}

// HeldSince returns the first snapshot since which at least n goroutines were at
// p in every snapshot. It returns the number of snapshots when that is not true
// of the newest.
func (p *Place) HeldSince(n int) int {
	return p.Series.HeldSince(func(i int) bool { return p.Count(i) >= n })
}

// Between returns the lowest and the highest count since a snapshot.
func (p *Place) Between(since int) (low, high int) {
	low, high = p.count, p.count
	for i := since; i < p.Series.Last(); i++ {
		n := p.Count(i)
		low, high = min(low, n), max(high, n)
	}
	return low, high
}

// IDs returns the lowest IDs at p in snapshot i, rising and at most
// [goroutine.MaxIDs], and whether those are all.
func (p *Place) IDs(i int) (ids []uint64, all bool) {
	groups := p.groups(i)
	if len(groups) == 1 {
		ids = groups[0].IDs
	} else {
		for _, g := range groups {
			ids = append(ids, g.IDs...)
		}
		slices.Sort(ids)
	}
	ids = ids[:min(len(ids), goroutine.MaxIDs)]
	return slices.Clip(ids), len(ids) == p.Count(i)
}

// Stacks returns how many different stacks p has in the newest snapshot.
func (p *Place) Stacks() int {
	ids := make(map[goroutine.StackID]bool)
	for _, g := range p.now {
		ids[g.Stack.ID] = true
	}
	return len(ids)
}

// Entry returns the entry function of the goroutines at p.
func (p *Place) Entry() string { return p.Series.stack(p.Stack).entry }

// Starter returns the function that the goroutines at p were started for: the entry
// function, or what that calls where it belongs to a library that runs functions of
// others, such as [sync.WaitGroup.Go].
func (p *Place) Starter() string { return p.Series.stack(p.Stack).starter }

// Started returns the goroutines that were started for the same function.
func (p *Place) Started() *Activity { return p.Activity(1 + p.Series.stack(p.Stack).below) }

// SameEnds reports whether goroutines with this stack and state belong to p
// under [ByEnds].
func (p *Place) SameEnds(s *goroutine.Stack, state goroutine.State) bool {
	a, b := p.Series.stack(s), p.Series.stack(p.Stack)
	return state == p.State && a.user == b.user && a.entry == b.entry
}

// CreatedBy returns the go statement, or the zero Frame when the source does not
// provide it.
func (p *Place) CreatedBy() goroutine.Frame {
	for _, g := range p.now {
		if g.CreatedBy != (goroutine.Frame{}) {
			return g.CreatedBy
		}
	}
	return goroutine.Frame{}
}

// LongestWait returns the longest wait in snapshot i, as the runtime measured
// it; 0 when the source does not provide it.
func (p *Place) LongestWait(i int) (longest time.Duration) {
	for _, g := range p.groups(i) {
		longest = max(longest, g.Wait)
	}
	return longest
}

// Born returns how many of the goroutines in the newest snapshot were born
// after its epoch from and no later than in its epoch until.
func (p *Place) Born(from, until int) (n int) {
	for _, g := range p.now {
		for _, c := range g.Births {
			if c.Epoch > from && c.Epoch <= until {
				n += c.Count
			}
		}
	}
	return n
}

// Oldest returns a time before which the oldest goroutine of the newest
// snapshot was born. ok is false when that is not known; see [goroutine.Snapshot.Oldest].
func (p *Place) Oldest() (born time.Time, ok bool) {
	for _, g := range p.now {
		if t, known := p.Series.Newest().Oldest(g); known && (!ok || t.Before(born)) {
			born, ok = t, true
		}
	}
	return born, ok
}

// Woken returns the IDs in woken that belong to p. woken holds IDs of woken
// goroutines by the place where they were waiting.
func (p *Place) Woken(woken map[goroutine.GroupKey][]uint64) (ids []uint64) {
	seen := make(map[goroutine.GroupKey]bool)
	for _, g := range p.now {
		if k := p.Series.key(g, ByStack).GroupKey; !seen[k] {
			seen[k] = true
			ids = append(ids, woken[k]...)
		}
	}
	return ids
}
