// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package places

import (
	"cmp"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// Whole is the number of newest snapshots that a history never thins out.
// Detectors can rely on these even when snapshots are rare.
const Whole = 8

// A Series is a process over time: snapshots in the order of their time.
type Series struct {
	// Snapshots holds at least one, the newest last. An index into it stands
	// for a snapshot throughout this package.
	Snapshots []*goroutine.Snapshot

	stacks   map[*goroutine.Stack]stack
	outers   map[*goroutine.Stack][]uint64   // see outer
	acts     map[uint64]*Activity            // by hash of the frames in common
	entries  []map[uint64][]*goroutine.Group // by snapshot; see byEntry
	indexes  [groupings]*index
	before   map[time.Duration][]int
	starters []map[string]int // by snapshot
	births   births           // of the place used last
}

// A stack caches what is computed for a stack. Snapshots share stacks, and a
// series has many times more groups than stacks.
type stack struct {
	user  string // innermost user function
	line  int    // in it
	entry string // function

	starter string // see Starter
	below   int    // how many frames are outside of it
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

// WithIDs returns the snapshots that have goroutine IDs.
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

// At returns the newest snapshot at or before t, or -1 when there is none.
func (s *Series) At(t time.Time) int {
	i, _ := slices.BinarySearchFunc(s.Snapshots, t, func(s *goroutine.Snapshot, t time.Time) int {
		if s.Time.After(t) {
			return 1
		}
		return -1
	})
	return i - 1
}

// From returns the oldest snapshot at or after t, or the number of snapshots
// when there is none.
func (s *Series) From(t time.Time) int { return s.At(t.Add(-1)) + 1 }

// Back returns the snapshot from which to begin in order to cover the time
// reach: the newest that is at least that old, or else the oldest. When
// snapshots are rare, it reaches back further, to include at least [Whole]
// snapshots.
func (s *Series) Back(reach time.Duration) int {
	return max(0, min(s.At(s.Newest().Time.Add(-reach)), len(s.Snapshots)-Whole))
}

// Begin returns the snapshot since which a condition must hold in order to have
// held for at least wait and in at least as many snapshots as given. It returns
// -1 when there are too few.
func (s *Series) Begin(wait time.Duration, snapshots int) int {
	return max(-1, min(s.At(s.Newest().Time.Add(-wait)), len(s.Snapshots)-snapshots))
}

// BeginRunning is [Series.Begin] in time that the process had to work: each gap
// between two snapshots counts without the time in which the process could not
// run ([goroutine.Snapshot.Late]), and at most as long as given. A pause of an
// hour that no snapshot tells of is one gap.
func (s *Series) BeginRunning(wait time.Duration, snapshots int, most time.Duration) int {
	for i := s.Last(); i >= 0; i-- {
		if s.Running(i, most) >= wait {
			return min(i, len(s.Snapshots)-snapshots)
		}
	}
	return -1
}

// Running returns how much time the process had to work since snapshot i, with
// gaps as in [Series.BeginRunning].
func (s *Series) Running(i int, most time.Duration) (sum time.Duration) {
	for i++; i <= s.Last(); i++ {
		sum += max(0, min(s.Time(i).Sub(s.Time(i-1))-s.Snapshots[i].Late, most))
	}
	return sum
}

// CameAndWent returns how many goroutines of the process were born between
// snapshots from and until, and how many of these were gone by the latter. Both
// may be wrong by the IDs that the runtime hands out ahead, 16 for each P. ok is
// false when the epochs have been merged, so that it is not known.
func (s *Series) CameAndWent(from, until int) (born, gone int, ok bool) {
	last := s.lastID(from)
	k, ok := slices.BinarySearchFunc(s.Snapshots[until].Epochs, last, func(e goroutine.Epoch, id uint64) int { return cmp.Compare(e.LastID, id) })
	if !ok {
		return 0, 0, false
	}
	born = int(s.lastID(until) - last)
	return born, born - s.bornAfter(until, k), true
}

// lastID returns the highest ID that was in use by snapshot i.
func (s *Series) lastID(i int) uint64 {
	e := s.Snapshots[i].Epochs
	if len(e) == 0 {
		return 0
	}
	return e[len(e)-1].LastID
}

// bornAfter returns how many goroutines of snapshot i were born after its epoch.
func (s *Series) bornAfter(i, epoch int) (n int) {
	groups := s.Snapshots[i].Groups
	for k := range groups {
		for _, c := range groups[k].Births {
			if c.Epoch > epoch {
				n += c.Count
			}
		}
	}
	return n
}

// Locks returns [ByLock] when every snapshot from first on is a goroutine dump,
// which has the addresses of locks, and otherwise [ByStack].
func (s *Series) Locks(first int) Grouping {
	for _, sn := range s.Snapshots[first:] {
		if sn.Source != goroutine.SourceText {
			return ByStack
		}
	}
	return ByLock
}

// HeldSince returns the first snapshot since which holds is true of every
// snapshot. It returns the number of snapshots when holds is false for the
// newest.
func (s *Series) HeldSince(holds func(i int) bool) int {
	first := len(s.Snapshots)
	for first > 0 && holds(first-1) {
		first--
	}
	return first
}

// Before returns, for each snapshot, the newest one that is at least age older,
// or -1 when there is none.
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

// runners are entry functions that call one function of the program, which the
// goroutine is for.
var runners = []string{
	"sync.(*WaitGroup).Go.func1", "golang.org/x/sync/errgroup.(*Group).Go.func1", "time.goFunc",
	"github.com/sourcegraph/conc.(*WaitGroup).Go.func1", "github.com/oklog/run.(*Group).Run.func1",
}

// StartedWith returns how many goroutines of snapshot i have this entry function or
// starter (see [Place.Starter]), at any place.
func (s *Series) StartedWith(function string, i int) int {
	if s.starters == nil {
		s.starters = make([]map[string]int, len(s.Snapshots))
	}
	if s.starters[i] == nil {
		counts := make(map[string]int)
		groups := s.Snapshots[i].Groups
		for k := range groups {
			st := s.stack(groups[k].Stack)
			counts[st.entry] += groups[k].Count
			if st.starter != st.entry {
				counts[st.starter] += groups[k].Count
			}
		}
		s.starters[i] = counts
	}
	return s.starters[i][function]
}

// StarterOf returns what [Place.Starter] returns for goroutines with a stack.
func (s *Series) StarterOf(of *goroutine.Stack) string { return s.stack(of).starter }

func (s *Series) stack(of *goroutine.Stack) stack {
	known, ok := s.stacks[of]
	if !ok {
		user := of.User()
		known = stack{user: user.Function, line: user.Line, entry: of.Entry().Function}
		known.starter = known.entry
		if frames := of.Visible(); len(frames) > 1 && slices.Contains(runners, known.entry) {
			known.starter, known.below = frames[len(frames)-2].Function, 1
		}
		s.stacks[of] = known
	}
	return known
}

// WokenByGoroutines reports whether a goroutine in state s waits for another
// goroutine and not for external events or the time: on a channel, in a select,
// or for a lock, a condition or a wait group. A goroutine that waits on a nil
// channel is never woken, so it is false.
func WokenByGoroutines(s goroutine.State) bool {
	switch s {
	case goroutine.ChanReceive, goroutine.ChanSend, goroutine.Select,
		goroutine.CondWait, goroutine.WaitGroupWait:
		return true
	}
	return s.Lock()
}
