package places

import (
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// Whole is how many of the newest snapshots a history never thins out. Where
// snapshots are rare, detectors can rely on as many.
const Whole = 8

// A Series is a process over time: snapshots in the order of their time.
type Series struct {
	// Snapshots holds at least one, the newest last. An index into it stands
	// for a snapshot throughout this package.
	Snapshots []*goroutine.Snapshot

	stacks  map[*goroutine.Stack]stack
	indexes [groupings]*index
	before  map[time.Duration][]int
	entries []map[string]int // by snapshot
	births  births           // of the place that was last asked about
}

// A stack is what is worked out once for each stack: snapshots share stacks,
// and a series has many times more groups than stacks.
type stack struct {
	user  string // innermost user function
	line  int    // in it
	entry string // function
}

// New returns the series of a history, oldest first, and a newer snapshot.
func New(history []*goroutine.Snapshot, newest *goroutine.Snapshot) *Series {
	return &Series{
		Snapshots: append(slices.Clip(history), newest),
		stacks:    make(map[*goroutine.Stack]stack),
	}
}

// Of reports whether s is the series of these snapshots.
func (s *Series) Of(history []*goroutine.Snapshot, newest *goroutine.Snapshot) bool {
	last := s.Last()
	return len(history) == last && s.Snapshots[last] == newest && slices.Equal(s.Snapshots[:last], history)
}

// WithIDs returns those of some snapshots that know goroutine IDs.
func WithIDs(all []*goroutine.Snapshot) []*goroutine.Snapshot {
	if !slices.ContainsFunc(all, lacksIDs) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), lacksIDs)
}

func lacksIDs(s *goroutine.Snapshot) bool { return !s.HasIDs() }

// Last returns the index of the newest snapshot.
func (s *Series) Last() int { return len(s.Snapshots) - 1 }

// Newest returns the newest snapshot.
func (s *Series) Newest() *goroutine.Snapshot { return s.Snapshots[s.Last()] }

// Time returns the time of snapshot i.
func (s *Series) Time(i int) time.Time { return s.Snapshots[i].Time }

// Ago returns how long before the newest snapshot snapshot i was taken.
func (s *Series) Ago(i int) time.Duration { return s.Newest().Time.Sub(s.Time(i)) }

// At returns the newest snapshot at or before t, and -1 when there is none.
func (s *Series) At(t time.Time) int {
	i, _ := slices.BinarySearchFunc(s.Snapshots, t, func(s *goroutine.Snapshot, t time.Time) int {
		if s.Time.After(t) {
			return 1
		}
		return -1
	})
	return i - 1
}

// From returns the oldest snapshot that was not taken before t: the number of
// snapshots when there is none.
func (s *Series) From(t time.Time) int { return s.At(t.Add(-1)) + 1 }

// Back returns the snapshot to begin with in order to look back for so long:
// the newest that is at least as old, or the oldest. Where snapshots are rare
// it reaches back further, over [Whole] of them.
func (s *Series) Back(reach time.Duration) int {
	return max(0, min(s.At(s.Newest().Time.Add(-reach)), len(s.Snapshots)-Whole))
}

// Begin returns the snapshot since which something must hold in order to have
// held for so long and in so many snapshots, and -1 when there are too few.
func (s *Series) Begin(wait time.Duration, snapshots int) int {
	return max(-1, min(s.At(s.Newest().Time.Add(-wait)), len(s.Snapshots)-snapshots))
}

// Locks returns [ByLock] where every snapshot since the first tells the
// addresses of locks, as goroutine dumps do, and else [ByStack].
func (s *Series) Locks(first int) Grouping {
	for _, sn := range s.Snapshots[first:] {
		if sn.Source != goroutine.SourceText {
			return ByStack
		}
	}
	return ByLock
}

// HeldSince returns the first of the newest snapshots in a row for which holds
// is true: the number of snapshots when it is not for the newest.
func (s *Series) HeldSince(holds func(i int) bool) int {
	first := len(s.Snapshots)
	for first > 0 && holds(first-1) {
		first--
	}
	return first
}

// Before returns, by snapshot, the newest that is at least age older, and -1
// where there is none.
func (s *Series) Before(age time.Duration) []int {
	if known, ok := s.before[age]; ok {
		return known
	}
	index := make([]int, len(s.Snapshots))
	for i := range index {
		index[i] = s.At(s.Time(i).Add(-age))
	}
	if s.before == nil {
		s.before = make(map[time.Duration][]int)
	}
	s.before[age] = index
	return index
}

// StartedWith returns how many goroutines of snapshot i have this entry
// function, whatever they do.
func (s *Series) StartedWith(entry string, i int) int {
	if s.entries == nil {
		s.entries = make([]map[string]int, len(s.Snapshots))
	}
	if s.entries[i] == nil {
		counts := make(map[string]int)
		groups := s.Snapshots[i].Groups
		for k := range groups {
			counts[s.stack(groups[k].Stack).entry] += groups[k].Count
		}
		s.entries[i] = counts
	}
	return s.entries[i][entry]
}

func (s *Series) stack(of *goroutine.Stack) stack {
	known, ok := s.stacks[of]
	if !ok {
		user := of.User()
		known = stack{user.Function, user.Line, of.Entry().Function}
		s.stacks[of] = known
	}
	return known
}

// WokenByGoroutines reports whether a goroutine in state s waits for another
// one, and not for the world outside or the time: on a channel, in a select, on
// a lock, a condition or a wait group. What waits on a nil channel is not
// woken at all.
func WokenByGoroutines(s goroutine.State) bool {
	switch s {
	case goroutine.ChanReceive, goroutine.ChanSend, goroutine.Select,
		goroutine.CondWait, goroutine.WaitGroupWait:
		return true
	}
	return s.Lock()
}
