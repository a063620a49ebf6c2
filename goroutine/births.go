// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutine

import (
	"cmp"
	"slices"
	"time"
)

// Births estimates when the goroutines of one process were born, using only
// their IDs: it records the highest ID of each snapshot. It keeps fewer than
// [MaxEpochs] epochs, regardless of the number of goroutines and snapshots.
//
// To take a snapshot, count each goroutine with [Births.Cohort], then end the
// epoch with [Births.Close].
//
// The zero value is ready for use. A Births is not safe for concurrent use.
type Births struct {
	epochs []Epoch // oldest first, by rising LastID and End
}

// Cohort returns the cohort of one goroutine. Its epoch is an index into what
// the next call of [Births.Close] or [Births.Peek] returns.
func (b *Births) Cohort(id uint64) Cohort {
	epoch, _ := slices.BinarySearchFunc(b.epochs, id, func(e Epoch, id uint64) int { return cmp.Compare(e.LastID, id) })
	return Cohort{Epoch: epoch, Count: 1, Digest: DigestID(id)}
}

// Close ends the current epoch at last, the highest ID of a snapshot taken at
// time at. It returns the epochs of that snapshot, at most [MaxEpochs]; the
// caller owns the slice. It adds no epoch if no goroutine was born.
//
// When there is no room for another epoch, Close then merges two, chosen as by
// [Thin]: the error of a goroutine's age stays a fraction of that age.
func (b *Births) Close(last uint64, at time.Time) []Epoch {
	epochs := b.Peek(last, at)
	b.epochs = Thin(append(b.epochs[:0], epochs...), MaxEpochs-1, 1, func(e Epoch) time.Time { return e.End })
	return epochs
}

// Peek returns what [Births.Close] would return, without ending the epoch. It is
// for a snapshot whose highest ID cannot be trusted.
func (b *Births) Peek(last uint64, at time.Time) []Epoch {
	n := len(b.epochs)
	epochs := append(make([]Epoch, 0, n+1), b.epochs...)
	if n > 0 && last <= b.epochs[n-1].LastID {
		return epochs
	}
	if n > 0 && at.Before(b.epochs[n-1].End) {
		at = b.epochs[n-1].End // the clock was set back
	}
	return append(epochs, Epoch{LastID: last, End: at})
}

// Thin removes elements of a series in place until at most limit are left, and
// returns the series. The series must be in order of time. The oldest element
// and the newest ones, as many as the argument newest, are never removed; limit
// must be greater than newest.
//
// Of the others, Thin repeatedly removes the one that leaves the smallest gap in
// proportion to its age, which is measured from the newest element. A series
// that grows and is thinned again and again is dense near its end and reaches
// back to its beginning, with gaps in proportion to how long ago they were.
func Thin[T any](series []T, limit, newest int, at func(T) time.Time) []T {
	for len(series) > limit {
		victim := leastMissed(series, newest, at)
		series = slices.Delete(series, victim, victim+1)
	}
	return series
}

// leastMissed returns the index of the element that [Thin] removes first.
func leastMissed[T any](series []T, newest int, at func(T) time.Time) int {
	now := at(series[len(series)-1])
	victim, least := 1, 0.0
	for i := 1; i < len(series)-newest; i++ {
		gap, age := at(series[i+1]).Sub(at(series[i-1])), now.Sub(at(series[i]))
		if blur := float64(gap) / float64(age); i == 1 || blur < least {
			victim, least = i, blur
		}
	}
	return victim
}

// Add adds count goroutines to g, with some of their IDs and with their births.
// It keeps the lowest [MaxIDs] of the IDs.
func (g *Group) Add(count int, ids []uint64, births []Cohort) {
	if g.Count == 0 { // most groups are added to once: no room that is not used
		g.IDs, g.Births = slices.Grow(g.IDs, min(len(ids), MaxIDs)), slices.Grow(g.Births, len(births))
	}
	g.Count += count
	g.IDs = LowestIDs(g.IDs, ids...)
	for _, c := range births {
		g.Births = AddCohort(g.Births, c)
	}
}

// LowestIDs adds IDs to a rising list of the lowest IDs, without duplicates. It
// keeps the lowest [MaxIDs] of all IDs that were ever added. It may reuse
// lowest.
func LowestIDs(lowest []uint64, ids ...uint64) []uint64 {
	for _, id := range ids {
		i, found := slices.BinarySearch(lowest, id)
		if found || i == MaxIDs {
			continue
		}
		lowest = slices.Insert(lowest[:min(len(lowest), MaxIDs-1)], i, id)
	}
	return lowest
}

// AddCohort adds the goroutines of c to births, which has one cohort per epoch,
// oldest first. It may reuse births.
func AddCohort(births []Cohort, c Cohort) []Cohort {
	i := len(births)
	for i > 0 && births[i-1].Epoch > c.Epoch {
		i--
	}
	if i > 0 && births[i-1].Epoch == c.Epoch {
		births[i-1].Count += c.Count
		births[i-1].Digest += c.Digest
		return births
	}
	return slices.Insert(births, i, c)
}
