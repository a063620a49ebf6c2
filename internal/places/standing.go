package places

import "time"

// A Standing is what is known about those goroutines of a place that have stood
// there for at least some time.
type Standing struct {
	Counts []int // by snapshot; a lower bound
	Stood  int   // the sum of Counts
	Away   int   // how many of those were not there in the next snapshot

	place  *Place
	first  int   // snapshot that the place was followed from
	before []int // by snapshot: the newest that is at least the age older, or -1
	now    []int // by epoch, in the newest snapshot
}

// StandingFor follows the goroutines of every epoch from snapshot to snapshot,
// from the first on, and counts those that have stood at p for at least age.
// Those of an epoch whose number and digest are what they were that long ago
// have; none was replaced. Where none left since the first snapshot, all that
// were there that long ago have.
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

// step brings one epoch from the snapshot before i to snapshot i. Those that
// stood there still do, as long as the number has not fallen and none was
// replaced; and all do that were there the age before.
func (st *Standing) step(b *births, i, k int, noneLeft bool) {
	here := b.at(i)[k]
	if i > st.first {
		left := max(0, st.now[k]-here.count)
		if was := b.at(i - 1)[k]; here.count == st.now[k] && was.count == here.count && was.digest != here.digest {
			left = min(1, here.count) // one of them was replaced, at least
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

// Gone returns how many goroutines seem to have stood for as long and are not
// in the newest snapshot: of each epoch, those that were there in both of two
// snapshots that far apart. It counts too many rather than too few, unlike
// Counts. In an epoch from which goroutines leave all the time none is known to
// stand, and just those epochs tell that goroutines do leave.
//
// Both snapshots must be later than the epoch. A goroutine with an ID left over
// from an old batch looks old at birth, and is there in one snapshot only.
func (st *Standing) Gone() (n int) {
	b := st.place.born()
	s := st.place.Series
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

// BornAfter returns how many of those that stand in the newest snapshot were
// born after t.
func (st *Standing) BornAfter(t time.Time) (n int) {
	for k, e := range st.place.born().epochs {
		if e.End.After(t) {
			n += st.now[k]
		}
	}
	return n
}

// Stands reports whether goroutines born in the epoch of an ID stand in the
// newest snapshot.
func (st *Standing) Stands(id uint64) bool {
	k := st.place.born().epochOf(id)
	return k < len(st.now) && st.now[k] > 0
}

// Unchanged reports whether goroutines of the epoch of an ID stand there, and
// all that were there in snapshot i are in the newest: if the one with the ID
// was there, it is there again.
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
