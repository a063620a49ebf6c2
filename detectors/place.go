package detectors

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

const keptWhole = NewestKept

// A place is somewhere goroutines stand, seen over a series of looks: the
// groups of each look that share a key.
type place struct {
	key    placeKey
	stack  *goroutine.Stack     // of the largest group in the newest look
	groups [][]*goroutine.Group // by look, oldest first
}

// A placeKey is the key of a group and, where locks are told apart, the lock.
type placeKey struct {
	goroutine.GroupKey
	lock uint64
}

// A placeFinder selects the places that a detector judges.
type placeFinder struct {
	known   func(*goroutine.Stack) bool
	state   func(goroutine.State) bool
	least   int  // goroutines that a place must have in the newest look
	byLock  bool // one place per lock
	byEnds  bool // one place for all stacks with the same two ends, see endsID
	lineOf  map[*goroutine.Stack]int
	endsOf  map[*goroutine.Stack]goroutine.StackID
	byState map[goroutine.State]bool
}

// find returns the places of the newest look, in its order, with what was
// there in the looks before.
func (f *placeFinder) find(looks []*goroutine.Snapshot) []*place {
	f.lineOf = make(map[*goroutine.Stack]int)
	f.endsOf = make(map[*goroutine.Stack]goroutine.StackID)
	f.byState = make(map[goroutine.State]bool)
	last := len(looks) - 1
	index := make(map[placeKey]*place)
	var places []*place
	for i := range looks[last].Groups {
		g := &looks[last].Groups[i]
		if !f.wants(g) {
			continue
		}
		key := f.key(g)
		if index[key] == nil {
			index[key] = &place{key: key, stack: g.Stack, groups: make([][]*goroutine.Group, len(looks))}
			places = append(places, index[key])
		}
		index[key].groups[last] = append(index[key].groups[last], g)
	}
	places = slices.DeleteFunc(places, func(pl *place) bool {
		drop := pl.count(last) < f.least || f.known(pl.stack)
		if drop {
			delete(index, pl.key)
		}
		return drop
	})
	if len(places) > 0 {
		f.fill(index, looks[:last])
	}
	return places
}

func (f *placeFinder) fill(index map[placeKey]*place, looks []*goroutine.Snapshot) {
	for l, s := range looks {
		for i := range s.Groups {
			g := &s.Groups[i]
			if !f.wants(g) {
				continue
			}
			if pl := index[f.key(g)]; pl != nil {
				pl.groups[l] = append(pl.groups[l], g)
			}
		}
	}
}

func (f *placeFinder) wants(g *goroutine.Group) bool {
	want, ok := f.byState[g.State]
	if !ok {
		want = f.state(g.State)
		f.byState[g.State] = want
	}
	return want && g.Stack.ID != goroutine.OtherStacks
}

// key is Group.Key with the search for the user's line done once per stack:
// snapshots share stacks, and a history has many times more groups than stacks.
func (f *placeFinder) key(g *goroutine.Group) placeKey {
	line, ok := f.lineOf[g.Stack]
	if !ok {
		line = g.Key().Line
		f.lineOf[g.Stack] = line
	}
	key := placeKey{GroupKey: goroutine.GroupKey{Stack: g.Stack.ID, Line: line, State: g.State}}
	if f.byLock {
		key.lock = g.Lock
	}
	if f.byEnds {
		key.Stack = f.endsID(g.Stack)
	}
	return key
}

// endsID stands for all stacks with the same innermost user function and the
// same entry function: different ways from one to the other.
func (f *placeFinder) endsID(s *goroutine.Stack) goroutine.StackID {
	id, ok := f.endsOf[s]
	if !ok {
		id = goroutine.StackID(s.User().Function + " < " + s.Entry().Function)
		f.endsOf[s] = id
	}
	return id
}

// stacks returns how many different stacks a place has in a look.
func (pl *place) stacks(look int) int {
	ids := make(map[goroutine.StackID]bool)
	for _, g := range pl.groups[look] {
		ids[g.Stack.ID] = true
	}
	return len(ids)
}

// count returns how many goroutines stood at pl.
func (pl *place) count(look int) int {
	n := 0
	for _, g := range pl.groups[look] {
		n += g.Count
	}
	return n
}

// ids returns the lowest IDs of a look, and whether those are all.
func (pl *place) ids(look int) (ids []uint64, all bool) {
	for _, g := range pl.groups[look] {
		ids = append(ids, g.IDs...)
	}
	slices.Sort(ids)
	ids = ids[:min(len(ids), goroutine.MaxIDs)]
	return ids, len(ids) == pl.count(look)
}

// heldSince returns the first of the newest looks in a row in each of which at
// least n goroutines stood at pl: the number of looks when the newest is none.
func (pl *place) heldSince(n int) int {
	first := len(pl.groups)
	for first > 0 && pl.count(first-1) >= n {
		first--
	}
	return first
}

// createdBy returns the go statement where the source tells it.
func (pl *place) createdBy() goroutine.Frame {
	for _, g := range pl.groups[len(pl.groups)-1] {
		if g.CreatedBy != (goroutine.Frame{}) {
			return g.CreatedBy
		}
	}
	return goroutine.Frame{}
}

// A tally is a set of goroutines: equal tallies are the same goroutines.
type tally struct {
	count  int
	digest uint64
}

// A ledger holds, for every look, the goroutines at one place by the epochs of
// the newest look. Epochs merge and never split, so that those of the newest
// look divide the goroutines of every earlier one exactly.
type ledger struct {
	epochs  []goroutine.Epoch
	tallies []tally // look by look
	seen    []int   // the epochs that anybody was from in any look
}

// fill reads a place. The ledger is reused from place to place.
func (l *ledger) fill(pl *place, looks []*goroutine.Snapshot) {
	l.epochs = looks[len(looks)-1].Epochs
	l.tallies = append(l.tallies[:0], make([]tally, len(looks)*len(l.epochs))...)
	for i, s := range looks {
		for _, g := range pl.groups[i] {
			l.add(l.look(i), s, g)
		}
	}
	l.seen = l.seen[:0]
	for k := range l.epochs {
		for i := range looks {
			if l.look(i)[k].count > 0 {
				l.seen = append(l.seen, k)
				break
			}
		}
	}
}

func (l *ledger) add(row []tally, s *goroutine.Snapshot, g *goroutine.Group) {
	k := 0
	for _, c := range g.Births {
		if c.Epoch < 0 || c.Epoch >= len(s.Epochs) {
			continue // not a snapshot of ours: a detector must not panic on it
		}
		for k < len(row)-1 && l.epochs[k].LastID < s.Epochs[c.Epoch].LastID {
			k++
		}
		row[k].count += c.Count
		row[k].digest += c.Digest
	}
}

// look returns the tallies of one look, by epoch.
func (l *ledger) look(i int) []tally {
	return l.tallies[i*len(l.epochs) : (i+1)*len(l.epochs)]
}

// left reports whether somebody who was there in look i was not in the next.
func left(pl *place, births *ledger, i int) bool {
	before, after := births.look(i), births.look(i+1)
	for _, k := range births.seen {
		if was, is := before[k], after[k]; is.count < was.count || is.count == was.count && is.digest != was.digest {
			return true
		}
	}
	return missing(pl, i)
}

// missing reports whether one of the listed IDs of look i is not among those
// of the next although it would have to be. It sees what the births cannot:
// somebody who left while more of the same epoch came.
func missing(pl *place, i int) bool {
	was, _ := pl.ids(i)
	is, all := pl.ids(i + 1)
	for _, id := range was {
		listed := all || len(is) > 0 && id <= is[len(is)-1]
		if _, ok := slices.BinarySearch(is, id); !ok && listed {
			return true
		}
	}
	return false
}

// came reports whether somebody in look i+1 was not there in look i.
func came(births *ledger, i int) bool {
	before, after := births.look(i), births.look(i+1)
	for _, k := range births.seen {
		if was, is := before[k], after[k]; is.count > was.count || is.count == was.count && is.digest != was.digest {
			return true
		}
	}
	return false
}

// anyLeft reports whether anybody was seen to leave pl, in any look.
func anyLeft(pl *place, births *ledger) bool {
	for i := range len(pl.groups) - 1 {
		if left(pl, births, i) {
			return true
		}
	}
	return false
}

// looksBack returns the snapshots of a pass, oldest first and the one to judge
// last, no further back than the newest that is at least as old as reach. Where
// looks are rare it returns as many as a History never thins out.
func looksBack(p *Pass, reach time.Duration) []*goroutine.Snapshot {
	begin := newestBefore(p.History, p.Snapshot.Time.Add(-reach))
	begin = max(0, min(begin, len(p.History)+1-keptWhole))
	return append(slices.Clone(p.History[begin:]), p.Snapshot)
}

// newestBefore returns the index of the newest look at or before t, or -1.
func newestBefore(looks []*goroutine.Snapshot, t time.Time) int {
	i, _ := slices.BinarySearchFunc(looks, t, func(s *goroutine.Snapshot, t time.Time) int {
		if s.Time.After(t) {
			return 1
		}
		return -1
	})
	return i - 1
}

// processWide returns the stack of a finding that concerns the whole process
// and is best shown by one stack. Its ID is that of everything summed up: the
// identity of the finding must not change with what shows it best.
func processWide(shown *goroutine.Stack) *goroutine.Stack {
	return &goroutine.Stack{ID: goroutine.OtherStacks, Frames: shown.Frames}
}

// findings collects what a detector found at single places.
type findings []Finding

// report hands them over, largest first. Those with the same identity, which
// differ in the line only, become one that the largest leads: the identity of
// a finding has no line.
func (fs findings) report(p *Pass) {
	slices.SortStableFunc(fs, func(a, b Finding) int { return cmp.Compare(b.Count, a.Count) })
	index := make(map[Identity]int)
	var merged []Finding
	for _, f := range fs {
		i, ok := index[f.Identity()]
		if !ok {
			index[f.Identity()] = len(merged)
			merged = append(merged, f)
			continue
		}
		merged[i].join(&f)
	}
	for _, f := range merged {
		p.Report(f)
	}
}

// join adds a finding with the same identity to a larger one.
func (f *Finding) join(other *Finding) {
	f.note(fmt.Sprintf("The same is true of %s at %s.", goroutines(other.Count), where(other.Stack)))
	f.Count += other.Count
	f.GrowthPerMinute += other.GrowthPerMinute
	f.Age = max(f.Age, other.Age)
	f.IDs = append(slices.Clone(f.IDs), other.IDs...)
	slices.Sort(f.IDs)
	f.IDs = f.IDs[:min(len(f.IDs), goroutine.MaxIDs)]
}

// note adds a sentence of evidence while there is room.
func (f *Finding) note(sentence string) {
	if len(f.Evidence) < MaxEvidence {
		f.Evidence = append(f.Evidence, sentence)
	}
}

// where names the place of a stack for people: function, file and line.
func where(s *goroutine.Stack) string {
	u := s.User()
	if u.Function == "" {
		return "an unknown place"
	}
	if u.File == "" {
		return u.Function
	}
	return fmt.Sprintf("%s (%s:%d)", u.Function, path.Base(u.File), u.Line)
}

func goroutines(n int) string { return plural(n, "goroutine") }

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// verb returns one of two forms of a verb.
func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// span formats a duration for people, to two units at most.
func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

// bad returns an error for a value that is not allowed.
func bad(field string, value any, allowed string) error {
	return fmt.Errorf("%s is %v; allowed are %s", field, value, allowed)
}
