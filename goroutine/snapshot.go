// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutine

import (
	"cmp"
	"slices"
	"time"
)

// A Source names the way a snapshot was taken. The values are those of the
// telemetry attribute goroutine.snapshot.source.
type Source string

// The sources. docs/DESIGN.md describes what each of them provides and costs.
const (
	SourceTrace    Source = "trace"
	SourceProfile  Source = "profile"
	SourceLabelled Source = "labelled_profile"
	SourceText     Source = "text"
	SourceProof    Source = "leak_proof"
	SourceRecorder Source = "flight_recorder" // the program's own, which it has handed over
	SourceWindow   Source = "trace_window"    // a trace of a span of time, with the wakeups in it
	SourceLocks    Source = "trace_locks"     // a trace with the queues for locks
)

// A Scheduler holds the scheduler's own counts of goroutines. They are
// approximate and need not add up to the total of a snapshot.
type Scheduler struct {
	Running  int64
	Runnable int64
	Waiting  int64
	NotInGo  int64 // in a system call or in C
	Created  int64 // since the start of the process
}

// MaxIDs is how many goroutine IDs a [Group] lists at most.
const MaxIDs = 10

// MaxEpochs is how many epochs a [Snapshot] has at most.
const MaxEpochs = 48

// A Snapshot is what every goroutine of one process was doing at one moment.
type Snapshot struct {
	Time     time.Time     // when the source had seen the last goroutine
	Source   Source        // how it was taken
	Duration time.Duration // how long taking and reading it took
	Bytes    int64         // amount of data that the source wrote; 0 if it writes none

	// Late is how much of the time since the snapshot before the process could not
	// run in, although it was time to: it was stopped by a signal or a debugger, its
	// machine slept, or the host gave it no CPU. In such a time goroutines stand for
	// no reason of their own. It may fall short by up to five seconds for each pause, in
	// a process in which nothing happens by up to the interval; a clock on the wall that
	// is set forward shows in it as a pause. 0 when there was no
	// pause, and when it is unknown, as for a snapshot of another process.
	Late time.Duration

	// Total is the number of goroutines in Groups: the sum of their counts.
	Total int
	// Groups holds every goroutine of the snapshot exactly once, largest
	// group first.
	Groups []Group
	// Missing is the number of goroutines that are known to exist but could not be
	// described, because the input was cut off or damaged.
	Missing int

	// Movements holds the wakeups during a trace window, by the place where the
	// goroutines were waiting, most wakeups first; at most [MaxMovements]. Only
	// snapshots of [SourceWindow] have them.
	Movements []Movement

	// Locks holds the queues for locks, most waiters first; at most [MaxLocks]. Only
	// what a process takes of itself on a suspicion has them: goroutine dumps, and
	// snapshots of [SourceLocks].
	Locks []LockQueue

	// Labelled has single goroutines with their labels, lowest ID first; at most
	// [MaxLabelled]. Only a goroutine dump that a process takes of itself on a suspicion
	// has them, and only if the dump shows labels: it is nil otherwise, and empty if the
	// dump shows none of the selected labels.
	Labelled []Labelled

	// Scheduler is what the scheduler counted when the snapshot was taken; zero
	// for a snapshot of another process.
	Scheduler Scheduler

	// Epochs divides goroutine IDs by time of birth, oldest first; at most
	// [MaxEpochs]. It is nil when the source has no IDs.
	Epochs []Epoch
}

// An Epoch is a span of time in which goroutines were born. IDs come from one
// rising counter, so the highest ID at some time divides the goroutines that were
// born before from those born after. The division is not exact: the runtime hands
// IDs to each P in batches of 16, and a P may use up a batch in a later epoch.
type Epoch struct {
	LastID uint64    // the highest ID of the epoch
	End    time.Time // when LastID was the highest ID: no goroutine of the epoch is younger
}

// A Cohort is the goroutines of a group that were born in one epoch.
type Cohort struct {
	Epoch  int    // index into [Snapshot.Epochs]
	Count  int    // of goroutines
	Digest uint64 // sum of [DigestID] over their IDs: with an equal count, an equal digest means the same goroutines
}

// A Label is a pprof label of a goroutine.
type Label struct{ Key, Value string }

// A Group is all goroutines of a snapshot that have the same stack, state and
// selected labels.
type Group struct {
	Stack *Stack // never nil
	State State
	Count int

	Births []Cohort // by epoch, oldest first; nil when the source has no IDs
	IDs    []uint64 // the lowest IDs, rising, at most [MaxIDs]: those of the oldest goroutines

	Labels []Label // selected ones, by key

	// Only a goroutine dump ([SourceText]) has these. Goroutines that differ in
	// one of them are in different groups.
	Lock      uint64 // address of the lock that they wait for; 0 when unknown
	CreatedBy Frame  // the go statement; zero when unknown
	// Cut says that the text of these goroutines is cut off or damaged: outer frames
	// are missing, and perhaps the go statement. Nothing that depends on the whole
	// stack is certain.
	Cut bool

	// Wait is the longest wait in the group that a goroutine dump shows, in whole
	// minutes; 0 when unknown. The runtime counts from the first garbage
	// collection after a goroutine has blocked.
	Wait time.Duration
}

// A Movement is the wakeups, during a trace window, of goroutines that were
// waiting at one place.
type Movement struct {
	Stack  *Stack // where they waited; never nil
	State  State
	Woken  int      // number of wakeups
	Wakers []Waker  // by number of wakeups, highest first, at most [MaxWakers]
	Fed    []uint64 // IDs of some goroutines that were woken by another goroutine, not by the runtime; see [SampleIDs]

	// Timed has the IDs of some that the runtime itself woke: by a timer, or in the
	// state [IOWait] because the network or a deadline did. See [SampleIDs].
	Timed []uint64
}

// MaxMovements is how many movements a [Snapshot] lists at most.
const MaxMovements = 1024

// MaxSample is how many IDs [SampleIDs] keeps.
const MaxSample = 16

// SampleIDs adds IDs to a sample without duplicates. Of all IDs that were ever
// added, it keeps the [MaxSample] with the lowest [DigestID], which is as good
// as a random choice. Their order has no meaning. It may reuse sample.
func SampleIDs(sample []uint64, ids ...uint64) []uint64 {
	for _, id := range ids {
		i, found := slices.BinarySearchFunc(sample, DigestID(id), func(id, digest uint64) int { return cmp.Compare(DigestID(id), digest) })
		if found || i == MaxSample {
			continue
		}
		sample = slices.Insert(sample[:min(len(sample), MaxSample-1)], i, id)
	}
	return sample
}

// MaxWakers is how many wakers a [Movement] lists at most.
const MaxWakers = 4

// A Waker is a place that wakes goroutines: a stack that unlocks, sends, receives
// or closes. It has no frames when the runtime itself woke them, for a timer or
// the network.
type Waker struct {
	Stack *Stack // never nil
	Count int    // number of wakeups
}

// DigestID hashes a goroutine ID, so that sums of the results tell sets of IDs
// apart. It is the finalizer of SplitMix64.
func DigestID(id uint64) uint64 {
	id += 0x9e3779b97f4a7c15
	id = (id ^ id>>30) * 0xbf58476d1ce4e5b9
	id = (id ^ id>>27) * 0x94d049bb133111eb
	return id ^ id>>31
}

// Key returns the key of the groups of goroutines that wait at the place of m.
func (m *Movement) Key() GroupKey { return GroupKey{m.Stack.ID, m.Stack.User().Line, m.State} }

// Key returns what identifies the place of g, in its snapshot and in others of
// the same process.
func (g *Group) Key() GroupKey { return GroupKey{g.Stack.ID, g.Stack.User().Line, g.State} }

// A GroupKey identifies a place: the functions on a stack, the line in its
// [Stack.User] frame, and a state. Groups that differ only in other lines, labels
// or locks share a key.
type GroupKey struct {
	Stack StackID
	Line  int
	State State
}

// HasIDs reports whether the snapshot knows goroutine IDs.
func (s *Snapshot) HasIDs() bool { return len(s.Epochs) > 0 }

// States returns the number of goroutines in each state. The numbers add up to
// [Snapshot.Total].
func (s *Snapshot) States() map[State]int {
	m := make(map[State]int)
	for i := range s.Groups {
		m[s.Groups[i].State] += s.Groups[i].Count
	}
	return m
}

// Oldest returns a time by which the oldest goroutine of g was born: its age is
// at least s.Time minus that. ok is false when nothing is known of its age: the snapshot
// has no IDs, or it is the first in which the goroutine can be.
func (s *Snapshot) Oldest(g *Group) (born time.Time, ok bool) {
	if len(g.Births) == 0 || g.Births[0].Epoch >= len(s.Epochs) {
		return time.Time{}, false
	}
	born = s.Epochs[g.Births[0].Epoch].End
	if !born.Before(s.Time) {
		return time.Time{}, false
	}
	return born, true
}

// EpochAt returns the index of the last epoch that ended at or before t, or -1
// when every epoch ended later.
func (s *Snapshot) EpochAt(t time.Time) int {
	i, _ := slices.BinarySearchFunc(s.Epochs, t, func(e Epoch, t time.Time) int {
		if e.End.After(t) {
			return 1
		}
		return -1
	})
	return i - 1
}

// BornBy returns how many goroutines of g have an ID of at most last, and the
// sum of their digests. It is exact when last is the LastID of an epoch of s;
// otherwise it counts the epochs before.
//
// Epochs are merged as they age and never split. So the LastID of an epoch of a
// snapshot is exact for all earlier ones that were taken after the epoch ended.
func (s *Snapshot) BornBy(g *Group, last uint64) (count int, digest uint64) {
	for _, c := range g.Births {
		if c.Epoch >= len(s.Epochs) || s.Epochs[c.Epoch].LastID > last {
			break
		}
		count += c.Count
		digest += c.Digest
	}
	return count, digest
}

// Sort sorts the groups: largest first, then by stack, state and all other
// distinguishing fields, so that the order does not depend on the source.
func (s *Snapshot) Sort() {
	slices.SortFunc(s.Groups, func(a, b Group) int {
		// Counts mostly differ, and whole stacks are slow to compare.
		if c := cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Stack.ID, b.Stack.ID), cmp.Compare(a.State, b.State)); c != 0 {
			return c
		}
		return cmp.Or(
			slices.CompareFunc(a.Stack.Frames, b.Stack.Frames, compareFrames),
			slices.CompareFunc(a.Labels, b.Labels, compareLabels),
			cmp.Compare(a.Lock, b.Lock),
			compareFrames(a.CreatedBy, b.CreatedBy),
		)
	})
}

func compareFrames(a, b Frame) int {
	return cmp.Or(cmp.Compare(a.Function, b.Function), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
}

func compareLabels(a, b Label) int {
	return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value))
}
