package parse

import (
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// Births knows when goroutines were born, from their IDs alone: it remembers
// the highest ID at each snapshot. Its memory is bounded by
// [goroutine.MaxEpochs], whatever the number of goroutines.
//
// A Births belongs to one process and is not safe for concurrent use.
type Births struct {
	epochs []goroutine.Epoch // oldest first, by rising LastID and End
}

// index returns the index of the epoch that id was born in: len(epochs) for
// one born after the last that is known.
func (b *Births) index(id uint64) int {
	i, _ := slices.BinarySearchFunc(b.epochs, id, func(e goroutine.Epoch, id uint64) int {
		if e.LastID < id {
			return -1
		}
		return 1
	})
	return i
}

// close ends the current epoch at the highest ID of a snapshot taken at now.
// It returns the epochs that the snapshot's cohorts refer to, as a copy, and
// only then merges the two of them that matter least. An epoch in which
// nothing was born does not exist.
func (b *Births) close(last uint64, now time.Time) []goroutine.Epoch {
	epochs := b.peek(last, now)
	b.epochs = append(b.epochs[:0], epochs...)
	b.merge(now)
	return epochs
}

// peek returns what close would, and leaves the epochs as they are: for
// snapshots whose highest ID cannot be trusted.
func (b *Births) peek(last uint64, now time.Time) []goroutine.Epoch {
	n := len(b.epochs)
	epochs := append(make([]goroutine.Epoch, 0, n+1), b.epochs...)
	if n == 0 {
		return append(epochs, goroutine.Epoch{LastID: last, End: now})
	}
	newest := b.epochs[n-1]
	if last <= newest.LastID {
		return epochs
	}
	if now.Before(newest.End) {
		now = newest.End // the clock was set back
	}
	return append(epochs, goroutine.Epoch{LastID: last, End: now})
}

// merge keeps room for one more epoch. It drops the boundary whose loss blurs
// the past least: the one where the merged epoch is shortest in proportion to
// its age. So boundaries end up spaced in proportion to how long ago they
// were, and the ages of goroutines stay known to within a few percent.
func (b *Births) merge(now time.Time) {
	for len(b.epochs) >= goroutine.MaxEpochs {
		victim, least := 1, 0.0
		for i := 1; i < len(b.epochs)-1; i++ {
			span := b.epochs[i+1].End.Sub(b.epochs[i-1].End)
			age := now.Sub(b.epochs[i].End) + time.Nanosecond
			if blur := float64(span) / float64(age); i == 1 || blur < least {
				victim, least = i, blur
			}
		}
		b.epochs = slices.Delete(b.epochs, victim, victim+1)
	}
}

// addTo adds goroutines to a group: how many, the lowest of their IDs and
// their births.
func addTo(g *goroutine.Group, count int, ids []uint64, births []goroutine.Cohort) {
	g.Count += count
	for _, id := range ids {
		g.IDs = addID(g.IDs, id)
	}
	for _, c := range births {
		g.Births = addCohort(g.Births, c)
	}
}

// addCohort adds goroutines that were born in one epoch.
func addCohort(births []goroutine.Cohort, c goroutine.Cohort) []goroutine.Cohort {
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
