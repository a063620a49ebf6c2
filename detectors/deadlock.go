// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
	"github.com/otelgoroutine/go/internal/words"
)

// DeadlockConfig is the configuration of [NewDeadlock]. Start from
// [DefaultDeadlockConfig].
type DeadlockConfig struct {
	// MinWait is how long a queue must not have moved. Default 60 s: few programs
	// hold a lock for a minute while other goroutines wait for it. Above 0, at most
	// [MaxHistory]. A queue that has not moved for ten times as long is suspected,
	// and for thirty times as long, half an hour by default, beyond any purpose.
	MinWait time.Duration

	// MinSnapshots is the minimum number of snapshots in which the queue must not
	// have moved, 2 to 8. Default 4: with fewer, one slow moment would be enough.
	MinSnapshots int

	// MaxChance is the maximum probability that a lock that is merely busy
	// produces the same snapshots, above 0 and at most 1. Default one in a
	// million: a monitor takes 5,760 snapshots a day.
	//
	// The worst case is a lock for which n+1 goroutines do nothing but queue, work
	// and queue again. The goroutine that works in one snapshot also works in the
	// next with a probability of 1/(n+1), and only then are the same n goroutines
	// waiting. With a hundred waiters the default is reached after four snapshots,
	// with three after eleven, and with a single one after 21.
	MaxChance float64
}

// DefaultDeadlockConfig returns the defaults.
func DefaultDeadlockConfig() DeadlockConfig {
	return DeadlockConfig{MinWait: time.Minute, MinSnapshots: 4, MaxChance: 1e-6}
}

// deadlockReach is how far back snapshots are needed, in multiples of MinWait:
// half an hour by default. A queue of one gets its 21 snapshots even when they
// are up to a minute and a half apart.
const deadlockReach = 30

const (
	// suspectedAfter and beyondPurpose are how many times MinWait a queue stands
	// before it is suspected whatever holds the lock, and before it is a fault.
	suspectedAfter = 10
	beyondPurpose  = deadlockReach
	// askChance is the probability that a busy lock produces the same snapshots from
	// which on a dump is worth its cost.
	askChance = 0.01
	// leastAttended is how many goroutines must wait for locks to be worth more
	// snapshots: two of them may wait for each other.
	leastAttended = 2
	// firstDumpPart is the part of MinWait, and firstDumpSnapshots the number of
	// snapshots, for which a queue must have stood for a first dump: five seconds by
	// default.
	firstDumpPart      = 12
	firstDumpSnapshots = 2
	// tracesInWait is how many traces with locks may be taken in MinWait; they are no
	// closer than a part of the time for which the queue has stood.
	tracesInWait = 4
	traceSpacing = 8
)

func (c DeadlockConfig) checks() []check {
	return []check{
		above0("MinWait", c.MinWait),
		inARow("MinSnapshots", c.MinSnapshots),
		{"MaxChance", c.MaxChance, c.MaxChance > 0 && c.MaxChance <= 1, "above 0 and at most 1"},
	}
}

// NewDeadlock returns the detector "deadlock": goroutines that wait for a
// sync.Mutex or sync.RWMutex whose queue does not move. Confidence [Medium] at
// first, [High] for a fault.
//
// Once a goroutine has waited for a millisecond, a lock is handed to its waiters
// in order. The queue of a lock in use therefore moves, however long it is. A
// queue that no goroutine leaves belongs to a lock that is not released. The
// detector fires when, over at least MinWait and at least MinSnapshots snapshots,
// no goroutine that waited at a place left it. Other goroutines may have joined.
// That is a fact and not yet a fault: a lock may be held for minutes on purpose.
//
// When a queue has stood for MinWait, the detector asks for a goroutine dump and
// judges by [goroutine.Snapshot.Locks], which goroutines may hold the lock. It is a
// fault, and the confidence High, when none of these can ever release it: each of
// them waits in a queue of the same fault (a cycle; a goroutine that locks the same
// lock twice; a recursive read lock), or for a channel, a wait group or a condition
// on which only goroutines in these queues can act; or no goroutine that is as old
// as the queue can hold it (an unlock that was forgotten). Without such evidence the
// confidence is [Suspected] after ten times MinWait, and High after thirty times:
// no purpose takes half an hour.
//
// With thousands of goroutines a dump does not fit the default budget. The detector then
// judges in the same way by a trace with locks ([goroutine.SourceLocks]), which does not
// stop the world. A trace has the calls on each stack but no addresses: goroutines that
// wait at one call count as one queue, and the sentences name calls instead of locks. A
// goroutine that runs may hold anything; the detector asks again until none did that is
// as old as the queue.
//
// A dump also has the runtime's own measure of waits, so that a queue of one need
// not be seen in 21 snapshots. Where dumps are refused, a single waiter needs those: five
// minutes at an interval of 15 s. The history keeps them up to an interval of 90 s. While
// a queue stands, the detector asks for more frequent snapshots ([Pass.Attend]).
//
// All queues of one fault are one finding: those that a dump connects, and those
// that stopped within MinWait of each other. Its stack is that of the queue that
// stopped first. Participants are the goroutines of a cycle or the holder, and the
// places where others wait.
//
// Before it fires, it asks for a trace window. If a goroutine in the queue is woken
// in a window, the detector does not fire. It does not fire, either, if a goroutine
// dump among other snapshots shows, by the runtime's clock, that the queue moves.
//
// False negatives: a stuck lock that shares its place with locks in use (for
// example one account's lock among those of other accounts), unless every snapshot
// is a goroutine dump. A fault stays medium for ten minutes if a goroutine that is
// as old as the queue holds another lock of the same kind and is not stuck, if one that
// waits for a channel holds the lock and any other goroutine may still use a channel, and
// on processors whose code is not read (see docs/DESIGN.md). False positives: a
// single goroutine that waits, in each of 21 snapshots, for a lock that another
// goroutine holds nearly all the time. High: a lock that is held for minutes on
// purpose while no goroutine holds it, until a timer's function releases it.
func NewDeadlock(c DeadlockConfig) *Detector {
	return configured(c, &Detector{
		Name:  "deadlock",
		Doc:   "Goroutines that wait for a lock whose queue does not move.\n\nA lock in use serves its waiters in order, so no goroutine stays in its queue.",
		Needs: Needs{IDs: true, History: min(deadlockReach*c.MinWait, MaxHistory)},
		Run:   c.run,
	})
}

func (c DeadlockConfig) run(p *Pass) error {
	s := p.places()
	first := s.Back(deadlockReach * c.MinWait)
	by := s.Locks(first)
	c.abstainIfShort(p, s, first, by)
	var standing []*queue
	waiting := 0
	for _, pl := range judged(s, by, goroutine.State.Lock, 1, p.Known) {
		waiting += pl.Now()
		if q := newQueue(pl, first); q.since < s.Last() || by == places.ByLock {
			standing = append(standing, q)
		}
	}
	if waiting >= leastAttended || len(standing) > 0 {
		p.attend()
	}
	if len(standing) == 0 {
		return nil
	}
	settled := c.settled(p, standing, by)
	d := c.lockDumpOf(p, settled)
	for _, f := range faultsOf(c, d, settled) {
		if f.proven {
			p.Report(f.finding(p))
		}
	}
	if c.wantsFirst(p, standing) || c.wantsDump(p, d, settled) {
		if coming := p.Ask(goroutine.SourceText); !coming && c.wantsTrace(p, d, settled) {
			p.Ask(goroutine.SourceLocks)
		}
	}
	return nil
}

// wantsFirst reports whether a queue has just stopped and there is no dump since. What
// a dump shows to be for good stays so; and while few goroutines have piled up behind
// the queue, a dump is within the pause budget.
func (c DeadlockConfig) wantsFirst(p *Pass, standing []*queue) bool {
	last := p.Inspections[goroutine.SourceText]
	return slices.ContainsFunc(standing, func(q *queue) bool {
		n := q.Series.Last() - q.since + 1
		return n >= firstDumpSnapshots && q.waited >= c.MinWait/firstDumpPart && (last == nil || last.Time.Before(q.began()))
	})
}

// settled returns the queues that have stood for long enough and that nothing shows
// to move. The waits that the runtime measures count if every snapshot has them: a
// finding must not come and go with the source.
func (c DeadlockConfig) settled(p *Pass, standing []*queue, by places.Grouping) (settled []*queue) {
	for _, q := range standing {
		measured := q.LongestWait(q.Series.Last())
		if q.measured = by == places.ByLock && measured >= c.MinWait; q.measured {
			q.waited = max(q.waited, measured)
		}
		stood := q.waited >= c.MinWait && q.Series.Last()-q.since+1 >= c.MinSnapshots && !q.cleared()
		if (q.measured || stood && q.chance <= askChance || stood && len(standing) > 1) && !q.served(p) {
			settled = append(settled, q)
		}
	}
	return settled
}

// wantsDump reports whether a dump may tell more about one of the queues: there is
// none since it stopped, or it has stood for twice as long as at the last one and is
// not known to be a fault.
func (c DeadlockConfig) wantsDump(p *Pass, d *lockDump, settled []*queue) bool {
	chance := 1.0
	for _, q := range settled {
		chance *= q.chance
	}
	last := p.Inspections[goroutine.SourceText]
	for _, q := range settled {
		switch {
		case !q.measured && chance > askChance || d.fate(q) == dead:
		case last == nil || last.Time.Before(q.began()), p.Snapshot.Time.Sub(q.began()) >= 2*last.Time.Sub(q.began()):
			return true
		}
	}
	return false
}

// wantsTrace reports whether a trace with locks may tell more: nothing shows a fault,
// and there is none since the newest queue stopped, or it may have found a goroutine
// running that could have held a lock. As time goes on, traces get rarer.
func (c DeadlockConfig) wantsTrace(p *Pass, d *lockDump, settled []*queue) bool {
	if len(settled) == 0 || d.tells(settled) == dead {
		return false
	}
	last, now := p.Inspections[goroutine.SourceLocks], p.Snapshot.Time
	began, newest := now, time.Time{}
	for _, q := range settled {
		if q.began().Before(began) {
			began = q.began()
		}
		if q.began().After(newest) {
			newest = q.began()
		}
	}
	return last == nil || last.Time.Before(newest) || now.Sub(last.Time) >= max(c.MinWait/tracesInWait, now.Sub(began)/traceSpacing)
}

// abstainIfShort abstains when there are too few snapshots to judge a lock with a single
// waiter. Where they are rare, there always are. Dumps have the runtime's own
// measure of waits, so that one is enough.
func (c DeadlockConfig) abstainIfShort(p *Pass, s *places.Series, first int, by places.Grouping) {
	single := 1 + int(math.Ceil(math.Log2(1/c.MaxChance)))
	switch n := len(s.Snapshots) - first; {
	case by == places.ByLock:
	case s.Begin(c.MinWait, c.MinSnapshots) < 0:
		p.tooShort(s, c.MinSnapshots, c.MinWait, "")
	case n < single:
		at := judgingAt(s, first, single, 0)
		if at.Sub(s.Time(first)) > deadlockReach*c.MinWait {
			at = time.Time{} // they are too rare
		}
		p.abstainUntil(at, fmt.Sprintf("a lock with a single waiter needs %d snapshots within %s; there are %d", single, words.Span(deadlockReach*c.MinWait), n))
	}
}
