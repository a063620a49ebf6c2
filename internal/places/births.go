// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package places

import (
	"slices"

	"github.com/otelgoroutine/go/goroutine"
)

// A tally is a set of goroutines: equal tallies are the same goroutines.
type tally struct {
	count  int
	digest uint64
}

// births holds the goroutines at one place by the epochs of the newest snapshot,
// for every snapshot that was asked about. Epochs are merged and never split, so
// the epochs of the newest snapshot divide the goroutines of every earlier one
// exactly. It is reused from place to place: one for each of thousands of places
// would take tens of megabytes.
type births struct {
	of      *Place
	epochs  []goroutine.Epoch
	tallies []tally // by snapshot and epoch
	known   []bool  // by snapshot
	seen    []bool  // by epoch: whether a known snapshot has a goroutine of it
}

// born returns the births at p.
func (p *Place) born() *births {
	s := p.Series
	b := &s.births
	if b.of != p {
		b.of = p
		b.epochs = s.Newest().Epochs
		b.tallies = slices.Grow(b.tallies[:0], len(s.Snapshots)*len(b.epochs))[:len(s.Snapshots)*len(b.epochs)]
		b.known = append(b.known[:0], make([]bool, len(s.Snapshots))...)
		b.seen = append(b.seen[:0], make([]bool, len(b.epochs))...)
	}
	return b
}

// at returns the goroutines of snapshot i, by epoch.
func (b *births) at(i int) []tally {
	row := b.tallies[i*len(b.epochs) : (i+1)*len(b.epochs)]
	if !b.known[i] {
		b.known[i] = true
		clear(row)
		for _, g := range b.of.groups(i) {
			b.add(row, b.of.Series.Snapshots[i], g)
		}
	}
	return row
}

func (b *births) add(row []tally, s *goroutine.Snapshot, g *goroutine.Group) {
	eachBirth(b.epochs, s, g, func(k int, c goroutine.Cohort) {
		row[k].count += c.Count
		row[k].digest += c.Digest
		b.seen[k] = true
	})
}

// eachBirth calls f with the births of a group of snapshot s and in which of epochs they
// are, which are those of a later snapshot.
func eachBirth(epochs []goroutine.Epoch, s *goroutine.Snapshot, g *goroutine.Group, f func(k int, c goroutine.Cohort)) {
	k := 0
	for _, c := range g.Births {
		if c.Epoch < 0 || c.Epoch >= len(s.Epochs) || len(epochs) == 0 {
			continue // a saved snapshot may hold anything
		}
		for k < len(epochs)-1 && epochs[k].LastID < s.Epochs[c.Epoch].LastID {
			k++
		}
		f(k, c)
	}
}

// BornIn returns, by epoch of the newest snapshot, how many goroutines of snapshot i have
// a stack that match accepts.
func (s *Series) BornIn(i int, match func(*goroutine.Stack) bool) []int {
	epochs, was := s.Newest().Epochs, s.Snapshots[i]
	born := make([]int, len(epochs))
	for k := range was.Groups {
		if g := &was.Groups[k]; match(g.Stack) {
			eachBirth(epochs, was, g, func(k int, c goroutine.Cohort) { born[k] += c.Count })
		}
	}
	return born
}

// StoodFrom returns how many of the goroutines at p are known to have been there in
// snapshot i: all of their epoch are the same.
func (p *Place) StoodFrom(i int) (n int) {
	b := p.born()
	was := b.at(i)
	for k, now := range b.at(p.Series.Last()) {
		if now == was[k] {
			n += now.count
		}
	}
	return n
}

// epochOf returns the epoch in which an ID was born, or the number of epochs
// when it is newer than all of them.
func (b *births) epochOf(id uint64) int {
	k, _ := slices.BinarySearchFunc(b.epochs, id, func(e goroutine.Epoch, id uint64) int {
		if e.LastID < id {
			return -1
		}
		return 1
	})
	return k
}

// A step is what happened at a place between a snapshot and the next.
type step uint8

const (
	left step = 1 << iota
	joined
	known
)

// step returns what happened between snapshots i and i+1.
func (p *Place) step(i int) step {
	if p.steps == nil {
		p.steps = make([]step, p.Series.Last())
	}
	if p.steps[i] == 0 {
		p.steps[i] = known | p.compare(i)
	}
	return p.steps[i]
}

func (p *Place) compare(i int) (st step) {
	was, all := p.IDs(i)
	is, allNow := p.IDs(i + 1)
	if all && allNow {
		return compareIDs(was, is)
	}
	b := p.born()
	before, after := b.at(i), b.at(i+1)
	for k, was := range before {
		switch is := after[k]; {
		case is == was:
		case is.count < was.count:
			st |= left
		case is.count > was.count:
			st |= joined
		default: // one was replaced
			st |= left | joined
		}
	}
	if st&left == 0 && missing(was, is, allNow) {
		st |= left
	}
	return st
}

// compareIDs compares all goroutines of a snapshot, by rising ID, with all of the
// next. It is exact, and costs much less than births.
func compareIDs(was, is []uint64) (st step) {
	both := 0
	for i, k := 0, 0; i < len(was) && k < len(is); {
		switch {
		case was[i] == is[k]:
			both, i, k = both+1, i+1, k+1
		case was[i] < is[k]:
			i++
		default:
			k++
		}
	}
	if both < len(was) {
		st |= left
	}
	if both < len(is) {
		st |= joined
	}
	return st
}

// missing reports whether an ID listed in a snapshot is missing from the next
// although it would be listed there. It detects what births cannot: a goroutine
// that left while others of the same epoch joined.
func missing(was, is []uint64, all bool) bool {
	for _, id := range was {
		listed := all || len(is) > 0 && id <= is[len(is)-1]
		if _, ok := slices.BinarySearch(is, id); !ok && listed {
			return true
		}
	}
	return false
}

// Left reports whether a goroutine that was at p in snapshot i was not in the
// next. It may miss one that left while others of the same epoch joined, but
// true is always right. Left and the methods below need goroutine IDs.
func (p *Place) Left(i int) bool { return p.step(i)&left != 0 }

// Joined reports whether a goroutine that was at p in snapshot i+1 was not in
// snapshot i. It may miss one, as Left may.
func (p *Place) Joined(i int) bool { return p.step(i)&joined != 0 }

// LeftSince reports whether any goroutine left p after snapshot since.
func (p *Place) LeftSince(since int) bool {
	for i := since; i < p.Series.Last(); i++ {
		if p.Left(i) {
			return true
		}
	}
	return false
}

// Moves returns the numbers of steps between the snapshots from and until in
// which goroutines left p and in which goroutines joined it.
func (p *Place) Moves(from, until int) (left, joined int) {
	for i := from; i < until; i++ {
		if p.Left(i) {
			left++
		}
		if p.Joined(i) {
			joined++
		}
	}
	return left, joined
}

// StoodSince returns the first snapshot since which p had goroutines and none
// left.
func (p *Place) StoodSince() int {
	p.Stood(0)
	return p.since
}

// Stood reports whether p had goroutines in snapshot i and none has left since.
// It compares no more snapshots than that takes: of thousands of places, most need
// few.
func (p *Place) Stood(i int) bool {
	if !p.stood {
		p.stood, p.since = true, p.Series.Last()
	}
	for ; p.since > i; p.since-- {
		if p.moved || p.Count(p.since-1) == 0 || p.Left(p.since-1) {
			p.moved = true
			return false
		}
	}
	return true
}

// Unchanged reports whether the goroutines at p are those of the first snapshot.
func (p *Place) Unchanged() bool {
	was, all := p.IDs(0)
	if now, allNow := p.IDs(p.Series.Last()); all && allNow {
		return slices.Equal(was, now)
	}
	b := p.born()
	return p.count == p.Count(0) && slices.Equal(b.at(0), b.at(p.Series.Last()))
}

// AnyStoodSince reports whether some of the goroutines that were at p in
// snapshot i are known to be there in the newest.
func (p *Place) AnyStoodSince(i int) bool {
	b := p.born()
	now := b.at(p.Series.Last())
	for k, was := range b.at(i) {
		if was.count > 0 && was == now[k] {
			return true
		}
	}
	return false
}

// Births returns, by epoch of the newest snapshot, how many of its goroutines are
// at p, and the most that were there in any snapshot of the series: at least as many
// have been there.
func (p *Place) Births() (now, most []int) {
	b := p.born()
	now, most = make([]int, len(b.epochs)), make([]int, len(b.epochs))
	for i := range p.Series.Snapshots {
		for k, t := range b.at(i) {
			now[k], most[k] = t.count, max(most[k], t.count)
		}
	}
	return now, most
}

// Lately returns how many goroutines that were born after epoch from and no later than
// in epoch until of the newest snapshot were at p in one of the newest [Whole]
// snapshots: of each epoch the most in one of them. It counts goroutines that are
// elsewhere for a moment.
func (p *Place) Lately(from, until int) (n int) {
	b, s := p.born(), p.Series
	for k := max(0, from+1); k <= until && k < len(b.epochs); k++ {
		most := 0
		for i := max(0, s.Last()+1-Whole); i <= s.Last(); i++ {
			most = max(most, b.at(i)[k].count)
		}
		n += most
	}
	return n
}
