// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package places

import "time"

// A Standing describes the goroutines of a place that have been there for at
// least some time. Other places may be asked before its methods are called.
type Standing struct {
	Counts []int // by snapshot; a lower bound
	Stood  int   // the sum of Counts
	Away   int   // how many of those were elsewhere in the next snapshot

	place  *Place
	first  int   // snapshot that the place was followed from
	before []int // by snapshot: the newest that is at least the age older, or -1
	now    []int // by epoch, in the newest snapshot
}

// StandingFor follows the goroutines of every epoch from snapshot first on and
// counts those that have been at p for at least age. If the number and digest of
// an epoch are the same as that long ago, none of its goroutines was replaced,
// and all are counted. If no goroutine has left since snapshot first, all that
// were there that long ago are counted.
func (p *Place) StandingFor(age time.Duration, first int) *Standing {
	s := p.Series
	b := p.born()
	st := &Standing{
		Counts: make([]int, len(s.Snapshots)), place: p, first: first,
		before: s.Before(age), now: make([]int, len(b.epochs)),
	}
	noneLeft := !p.LeftSince(first)
	for i := first; i <= s.Last(); i++ {
		b.at(i)
	}
	for k, seen := range b.seen {
		for i := first; seen && i <= s.Last(); i++ {
			st.step(b, i, k, noneLeft)
		}
	}
	for _, n := range st.Counts {
		st.Stood += n
	}
	return st
}

// step advances one epoch from snapshot i-1 to snapshot i. It keeps the count
// unless the number has fallen below it or a goroutine was replaced. It resets
// the count when the goroutines of the epoch are those that were there the age
// before.
func (st *Standing) step(b *births, i, k int, noneLeft bool) {
	here := b.at(i)[k]
	if i > st.first {
		left := max(0, st.now[k]-here.count)
		if was := b.at(i - 1)[k]; here.count == st.now[k] && was.count == here.count && was.digest != here.digest {
			left = min(1, here.count) // at least one of them was replaced
		}
		st.now[k] -= left
		st.Away += left
	}
	if old := st.before[i]; old >= st.first {
		if was := b.at(old)[k]; was == here || noneLeft {
			st.now[k] = was.count
		}
	}
	st.Counts[i] += st.now[k]
}

// Gone returns how many goroutines seem to have been there for at least the age
// and are missing from the newest snapshot. For each epoch it compares two
// snapshots that far apart, and takes the smaller count as the number that
// stayed. Unlike Counts, it is an upper bound. In an epoch from which goroutines
// leave all the time, Counts may be 0, and it is these epochs that show that
// goroutines leave.
//
// Both snapshots must be later than the epoch. A goroutine with an ID left over
// from an old batch looks old at birth, and is there in one snapshot only.
func (st *Standing) Gone() (n int) {
	b := st.place.born()
	s := st.place.Series
	for i := st.first; i <= s.Last(); i++ {
		b.at(i) // again, if another place was asked since
	}
	now := b.at(s.Last())
	for k, seen := range b.seen {
		most := 0
		for i, old := range st.before {
			if seen && old >= st.first && !s.Time(old).Before(b.epochs[k].End) {
				most = max(most, min(b.at(i)[k].count, b.at(old)[k].count))
			}
		}
		n += max(0, most-now[k].count)
	}
	return n
}

// BornAfter returns how many of the goroutines counted in the newest snapshot
// were born after t.
func (st *Standing) BornAfter(t time.Time) (n int) {
	for k, e := range st.place.born().epochs {
		if e.End.After(t) {
			n += st.now[k]
		}
	}
	return n
}

// Stands reports whether goroutines born in the epoch of an ID are counted in
// the newest snapshot.
func (st *Standing) Stands(id uint64) bool {
	k := st.place.born().epochOf(id)
	return k < len(st.now) && st.now[k] > 0
}

// Unchanged reports whether goroutines of the epoch of an ID are counted in the
// newest snapshot and are the same as in snapshot i: if the goroutine with the
// ID was there, it is there again.
func (st *Standing) Unchanged(id uint64, i int) bool {
	b := st.place.born()
	k := b.epochOf(id)
	return k < len(st.now) && st.now[k] > 0 && b.at(i)[k] == b.at(st.place.Series.Last())[k]
}

// YoungerThan reports whether the epoch of an ID ended after t.
func (st *Standing) YoungerThan(t time.Time, id uint64) bool {
	b := st.place.born()
	k := b.epochOf(id)
	return k < len(b.epochs) && b.epochs[k].End.After(t)
}
