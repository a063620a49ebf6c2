package places

import (
	"hash/maphash"
	"slices"

	"github.com/otelgoroutine/go/goroutine"
)

// An Activity is what goroutines do while certain functions are on their stacks:
// all goroutines of a series that have the outermost frames of a place in common
// with it. The goroutines of a request handler are one, whatever it calls.
//
// A place shows only where goroutines wait. A healthy request is hardly ever seen
// at the semaphore at which requests hang later, but in the handler that acquires
// it. An activity has that history.
type Activity struct {
	Series *Series
	Depth  int // number of frames in common, from the entry function on

	groups [][]*goroutine.Group // by snapshot
}

// outerSeed makes hashes of frames. It need not be the same in another process.
var outerSeed = maphash.MakeSeed()

// outer returns hashes of the outermost frames of a stack: element i is that of
// the i+1 outermost functions.
func (s *Series) outer(of *goroutine.Stack) []uint64 {
	if known, ok := s.outers[of]; ok {
		return known
	}
	frames := of.Visible()
	hashes := make([]uint64, 0, len(frames))
	last := uint64(0)
	for _, f := range slices.Backward(frames) {
		last = 31*last + maphash.String(outerSeed, f.Function)
		hashes = append(hashes, last)
	}
	if s.outers == nil {
		s.outers = make(map[*goroutine.Stack][]uint64)
	}
	s.outers[of] = hashes
	return hashes
}

// Depth returns how many frames the stack of p has, without those of the runtime
// at both ends.
func (p *Place) Depth() int { return len(p.Series.outer(p.Stack)) }

// Activity returns the goroutines that have the depth outermost functions in
// common with p. depth is 1 to [Place.Depth].
func (p *Place) Activity(depth int) *Activity {
	s := p.Series
	want := s.outer(p.Stack)[depth-1]
	a := &Activity{Series: s, Depth: depth, groups: make([][]*goroutine.Group, len(s.Snapshots))}
	for i, sn := range s.Snapshots {
		for j := range sn.Groups {
			g := &sn.Groups[j]
			if o := s.outer(g.Stack); len(o) >= depth && o[depth-1] == want && g.Stack.ID != goroutine.OtherStacks {
				a.groups[i] = append(a.groups[i], g)
			}
		}
	}
	return a
}

// Has reports whether the goroutines at p belong to a.
func (a *Activity) Has(p *Place) bool {
	return slices.ContainsFunc(a.groups[a.Series.Last()], func(g *goroutine.Group) bool { return slices.Contains(p.now, g) })
}

// Count returns how many goroutines a had in snapshot i.
func (a *Activity) Count(i int) (n int) {
	for _, g := range a.groups[i] {
		n += g.Count
	}
	return n
}

// tallies returns the goroutines of snapshot i by the epochs of a later snapshot.
func (a *Activity) tallies(i, later int) []tally {
	s := a.Series
	b := births{epochs: s.Snapshots[later].Epochs}
	b.seen = make([]bool, len(b.epochs))
	row := make([]tally, len(b.epochs))
	for _, g := range a.groups[i] {
		b.add(row, s.Snapshots[i], g)
	}
	return row
}

// ids returns the lowest IDs of snapshot i, rising, and the highest ID up to
// which they are all of them.
func (a *Activity) ids(i int) (ids []uint64, upto uint64) {
	upto = ^uint64(0)
	for _, g := range a.groups[i] {
		ids = append(ids, g.IDs...)
		if n := len(g.IDs); n < g.Count && n > 0 {
			upto = min(upto, g.IDs[n-1])
		} else if n < g.Count {
			upto = 0
		}
	}
	slices.Sort(ids)
	return ids, upto
}

// absent reports whether a goroutine was provably not in a list of ids.
func absent(id uint64, ids []uint64, upto uint64) bool {
	_, found := slices.BinarySearch(ids, id)
	return !found && id <= upto
}

// Left reports whether a goroutine that was in snapshot i was not in the next. It
// may miss one, as [Place.Left] may.
func (a *Activity) Left(i int) bool {
	before, after := a.tallies(i, i+1), a.tallies(i+1, i+1)
	for k, was := range before {
		if is := after[k]; is.count < was.count || is.count == was.count && is.digest != was.digest {
			return true
		}
	}
	was, _ := a.ids(i)
	is, upto := a.ids(i + 1)
	return slices.ContainsFunc(was, func(id uint64) bool { return absent(id, is, upto) })
}

// StoodSince returns the first snapshot since which a had goroutines and none
// left.
func (a *Activity) StoodSince() int {
	first := a.Series.Last()
	for first > 0 && len(a.groups[first-1]) > 0 && !a.Left(first-1) {
		first--
	}
	return first
}

// Joined returns a lower bound on how many goroutines were in snapshot until and
// not in snapshot before. With before -1 it is all of them.
func (a *Activity) Joined(before, until int) int {
	if before < 0 {
		return a.Count(until)
	}
	byEpoch := 0
	was, is := a.tallies(before, until), a.tallies(until, until)
	for k := range is {
		byEpoch += max(0, is[k].count-was[k].count)
	}
	byID := 0
	old, upto := a.ids(before)
	ids, _ := a.ids(until)
	for _, id := range ids {
		if absent(id, old, upto) {
			byID++
		}
	}
	return max(byEpoch, byID)
}

// Passed returns a sample of the goroutines of snapshot i that had joined since
// the snapshot before, and how many of those had left by the next. i must have a
// snapshot before and after it.
//
// When all of its IDs are listed, every one of them is in the sample. Otherwise
// the sample is the goroutines born since the snapshot before, or those with the
// lowest IDs, whichever are more; which of them left does not matter for the
// choice. When it cannot be proved that one left, it is taken to have stayed.
func (a *Activity) Passed(i int) (joined, left int) {
	before, uptoBefore := a.ids(i - 1)
	now, _ := a.ids(i)
	after, uptoAfter := a.ids(i + 1)
	for _, id := range now {
		if !absent(id, before, uptoBefore) {
			continue
		}
		joined++
		if absent(id, after, uptoAfter) {
			left++
		}
	}
	if len(now) == a.Count(i) {
		return joined, left
	}
	if j, l := a.newborn(i); j > joined {
		return j, l
	}
	return joined, left
}

// newborn returns how many goroutines of snapshot i were born after the snapshot
// before, and how many of those had left by the next, at least.
func (a *Activity) newborn(i int) (joined, left int) {
	s := a.Series
	epochs := s.Snapshots[i+1].Epochs
	now, after := a.tallies(i, i+1), a.tallies(i+1, i+1)
	for k, t := range now {
		if k > 0 && !epochs[k-1].End.Before(s.Time(i-1)) {
			joined += t.count
			left += max(0, t.count-after[k].count)
		}
	}
	return joined, left
}

// Rested returns how many of the goroutines listed in snapshot i were still there
// in snapshot later, and how many are listed.
func (a *Activity) Rested(i, later int) (rested, listed int) {
	was, _ := a.ids(i)
	is, _ := a.ids(later)
	for _, id := range was {
		if _, ok := slices.BinarySearch(is, id); ok {
			rested++
		}
	}
	return rested, len(was)
}
