// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package places

import (
	"cmp"
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
	Depth  int // number of frames in common, from the entry function on; the least with these goroutines

	common uint64               // hash of these frames
	groups [][]*goroutine.Group // by snapshot
	lists  []list               // by snapshot, once known
	since  int                  // see StoodSince; -1 until known
}

// A list is the goroutines of an activity in one snapshot whose IDs are known.
type list struct {
	known bool
	ids   []listed // by rising ID
	upto  uint64   // ids holds all IDs up to this one
	all   bool     // ids holds all IDs
}

// listed is one of them: its ID, and the group that it belongs to.
type listed struct {
	id uint64
	at *goroutine.Group
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
// common with p. depth is 1 to [Place.Depth]. The activities of two depths are one
// when they have the same goroutines.
func (p *Place) Activity(depth int) *Activity {
	s := p.Series
	want := s.outer(p.Stack)[depth-1]
	if a := s.acts[want]; a != nil {
		return a
	}
	n := len(s.Snapshots)
	a := &Activity{Series: s, Depth: depth, common: want, groups: make([][]*goroutine.Group, n), lists: make([]list, n), since: -1}
	if s.acts == nil {
		s.acts = make(map[uint64]*Activity)
	}
	s.acts[want] = a
	for i := range s.Snapshots {
		a.groups[i] = a.of(p, i)
	}
	if depth > 1 {
		if wider := p.Activity(depth - 1); a.same(wider) {
			s.acts[want] = wider
			return wider
		}
	}
	return a
}

// same reports whether a has as many groups as a wider activity: then it has the
// same.
func (a *Activity) same(wider *Activity) bool {
	return slices.EqualFunc(a.groups, wider.groups, func(g, h []*goroutine.Group) bool { return len(g) == len(h) })
}

// of returns the groups of snapshot i: of those of the activity that is one frame
// wider, or of all.
func (a *Activity) of(p *Place, i int) (all []*goroutine.Group) {
	s := a.Series
	if a.Depth == 1 {
		return s.byEntry(i)[a.common]
	}
	for _, g := range p.Activity(a.Depth - 1).groups[i] {
		if o := s.outer(g.Stack); len(o) >= a.Depth && o[a.Depth-1] == a.common {
			all = append(all, g)
		}
	}
	return all
}

// byEntry returns the groups of snapshot i by the hash of their outermost frame.
func (s *Series) byEntry(i int) map[uint64][]*goroutine.Group {
	if s.entries == nil {
		s.entries = make([]map[uint64][]*goroutine.Group, len(s.Snapshots))
	}
	if s.entries[i] == nil {
		groups := s.Snapshots[i].Groups
		by := make(map[uint64][]*goroutine.Group)
		for k := range groups {
			if o := s.outer(groups[k].Stack); len(o) > 0 && groups[k].Stack.ID != goroutine.OtherStacks {
				by[o[0]] = append(by[o[0]], &groups[k])
			}
		}
		s.entries[i] = by
	}
	return s.entries[i]
}

// Has reports whether the goroutines at p belong to a.
func (a *Activity) Has(p *Place) bool {
	o := a.Series.outer(p.Stack)
	return len(o) >= a.Depth && o[a.Depth-1] == a.common
}

// Count returns how many goroutines a had in snapshot i.
func (a *Activity) Count(i int) (n int) {
	for _, g := range a.groups[i] {
		n += g.Count
	}
	return n
}

// Usual returns where the goroutines that are at p now were in the snapshots before
// one, of those with the lowest IDs: their most frequent place, and its share. Both
// are zero where the stack of p is empty, as it may be when a trace lacks it.
func (p *Place) Usual(until int) (at goroutine.GroupKey, share float64) {
	counts := make(map[goroutine.GroupKey]int)
	all := p.sightings(until, func(g *goroutine.Group) { counts[p.Series.key(g, ByStack).GroupKey]++ })
	for k, n := range counts {
		if n > counts[at] || n == counts[at] && (k.Stack < at.Stack || k.Stack == at.Stack && k.Line < at.Line) {
			at = k
		}
	}
	return at, float64(counts[at]) / float64(max(1, all))
}

// Was returns the share of the goroutines that are at p now, of those with the lowest
// IDs, which match in the snapshots before one; 0 when none of them was there then.
func (p *Place) Was(until int, match func(*goroutine.Group) bool) float64 {
	n := 0
	all := p.sightings(until, func(g *goroutine.Group) {
		if match(g) {
			n++
		}
	})
	return float64(n) / float64(max(1, all))
}

// sightings calls see with the group of each of the goroutines that are at p now, of
// those with the lowest IDs, in each snapshot before one that shows it. It returns how
// often.
func (p *Place) sightings(until int, see func(*goroutine.Group)) (n int) {
	if p.Depth() == 0 {
		return 0
	}
	a := p.Started()
	ids, _ := p.IDs(p.Series.Last())
	for i := range until {
		for _, id := range ids {
			if g := a.list(i).find(id); g != nil {
				see(g)
				n++
			}
		}
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

// list returns the goroutines of snapshot i whose IDs are known.
func (a *Activity) list(i int) *list {
	l := &a.lists[i]
	if l.known {
		return l
	}
	*l = list{known: true, upto: ^uint64(0), all: true}
	for _, g := range a.groups[i] {
		if len(g.IDs) < g.Count {
			l.all = false
			l.upto = min(l.upto, lastID(g))
		}
		l.add(g)
	}
	l.cut(maxListed)
	return l
}

// lastID returns the highest ID that g lists, or 0.
func lastID(g *goroutine.Group) uint64 {
	if len(g.IDs) == 0 {
		return 0
	}
	return g.IDs[len(g.IDs)-1]
}

// maxListed is how many IDs a list has at most, the lowest. It bounds time and
// memory.
const maxListed = 512

// add adds the goroutines of g, apart from those that are too high for the list.
func (l *list) add(g *goroutine.Group) {
	for _, id := range g.IDs {
		if id > l.upto {
			break
		}
		l.ids = append(l.ids, listed{id, g})
	}
	if len(l.ids) > 4*maxListed {
		l.cut(maxListed)
	}
}

// cut sorts the list and cuts it to a length.
func (l *list) cut(most int) {
	slices.SortFunc(l.ids, func(a, b listed) int { return cmp.Compare(a.id, b.id) })
	if len(l.ids) > most {
		l.ids = l.ids[:most]
		l.all, l.upto = false, min(l.upto, l.ids[most-1].id)
	}
}

// find returns the group of a goroutine in l, or nil when it is not listed.
func (l *list) find(id uint64) *goroutine.Group {
	if i, ok := slices.BinarySearchFunc(l.ids, id, func(k listed, id uint64) int { return cmp.Compare(k.id, id) }); ok {
		return l.ids[i].at
	}
	return nil
}

// lacks reports whether a goroutine was provably not in l.
func (l *list) lacks(id uint64) bool { return id <= l.upto && l.find(id) == nil }

// elsewhere reports whether a goroutine was provably not where k is.
func (a *Activity) elsewhere(l *list, k listed) bool {
	at := l.find(k.id)
	return at == nil && k.id <= l.upto || at != nil && !a.Series.same(at, k.at)
}

// same reports whether two groups are at the same place.
func (s *Series) same(g, h *goroutine.Group) bool {
	if g.State != h.State {
		return false
	}
	return g.Stack == h.Stack || g.Stack.ID == h.Stack.ID && s.stack(g.Stack).line == s.stack(h.Stack).line
}

// Left reports whether a goroutine that was in snapshot i was not in the next. It
// may miss one, as [Place.Left] may.
func (a *Activity) Left(i int) bool {
	was, is := a.list(i), a.list(i+1)
	if slices.ContainsFunc(was.ids, func(k listed) bool { return is.lacks(k.id) }) {
		return true
	}
	if was.all && is.all {
		return false
	}
	before, after := a.tallies(i, i+1), a.tallies(i+1, i+1)
	for k, was := range before {
		if is := after[k]; is.count < was.count || is.count == was.count && is.digest != was.digest {
			return true
		}
	}
	return false
}

// StoodSince returns the first snapshot since which a had goroutines and none
// left.
func (a *Activity) StoodSince() int {
	if a.since >= 0 {
		return a.since
	}
	a.since = a.Series.Last()
	for a.since > 0 && len(a.groups[a.since-1]) > 0 && !a.Left(a.since-1) {
		a.since--
	}
	return a.since
}

// Joined returns a lower bound on how many goroutines of snapshot until were not in
// snapshot before, or at other places.
func (a *Activity) Joined(before, until int) int {
	byEpoch := 0
	was, is := a.tallies(before, until), a.tallies(until, until)
	for k := range is {
		byEpoch += max(0, is[k].count-was[k].count)
	}
	byID := 0
	for _, k := range a.list(until).ids {
		if a.elsewhere(a.list(before), k) {
			byID++
		}
	}
	return max(byEpoch, byID)
}

// Passed returns a sample of the goroutines that had come to their places in
// snapshot i since the snapshot before, and how many of those moved on until
// snapshot later. A goroutine that is still in the activity, at another place, has
// moved on: the goroutine of a connection handles one request after another.
//
// When all IDs are listed, every one of them is in the sample. Otherwise the
// sample is the goroutines born since the snapshot before, or those with the
// lowest IDs, whichever are more; which of them moved on does not matter for the
// choice. When it cannot be proved that one moved on, it is taken to have stayed.
func (a *Activity) Passed(i, later int) (came, passed int) {
	before, now := a.list(i-1), a.list(i)
	for _, k := range now.ids {
		if !a.elsewhere(before, k) {
			continue
		}
		came++
		if a.movedOn(k, i, later) {
			passed++
		}
	}
	if now.all {
		return came, passed
	}
	if c, p := a.newborn(i, later); c > came {
		return c, p
	}
	return came, passed
}

// movedOn reports whether a goroutine that is listed in snapshot i was provably
// not at the same place in one of the snapshots until snapshot later.
func (a *Activity) movedOn(k listed, i, later int) bool {
	for i++; i <= later; i++ {
		if a.elsewhere(a.list(i), k) {
			return true
		}
	}
	return false
}

// newborn returns how many goroutines of snapshot i were born after the snapshot
// before, and how many of those had left by snapshot later, at least.
func (a *Activity) newborn(i, later int) (came, left int) {
	s := a.Series
	epochs := s.Snapshots[later].Epochs
	now, after := a.tallies(i, later), a.tallies(later, later)
	for k, t := range now {
		if k > 0 && !epochs[k-1].End.Before(s.Time(i-1)) {
			came += t.count
			left += max(0, t.count-after[k].count)
		}
	}
	return came, left
}

// Rested returns how many of the goroutines listed in snapshot i were listed at
// the same place in every snapshot until snapshot later, and how many are listed.
func (a *Activity) Rested(i, later int) (rested, listed int) {
	was := a.list(i)
	for _, k := range was.ids {
		stays := true
		for n := i + 1; stays && n <= later; n++ {
			at := a.list(n).find(k.id)
			stays = at != nil && a.Series.same(at, k.at)
		}
		if stays {
			rested++
		}
	}
	return rested, len(was.ids)
}
