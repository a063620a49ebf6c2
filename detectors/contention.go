// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"fmt"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
	"github.com/otelgoroutine/go/internal/words"
)

// ContentionConfig is the configuration of [NewContention]. Start from
// [DefaultContentionConfig].
type ContentionConfig struct {
	// MinWaiters is how many goroutines must wait for locks at one place, at least
	// 1. Default 100: a goroutine at the end of such a queue waits for a hundred
	// critical sections.
	MinWaiters int

	// MinSenders is how many goroutines must wait to send on a channel at one
	// place, at least 1. Default 1,000: channels often exist to make senders wait.
	// A pool whose workers wait for the next stage to take their results works as
	// designed, and pools have hundreds of workers, not thousands.
	MinSenders int

	// MinWait is how long every snapshot must have shown that many waiting
	// goroutines. Default 90 s: longer than most bursts and cold caches last. At
	// the default interval of 15 s no snapshot of that period has been thinned
	// out, so the queue cannot have been gone in a missing one. At most
	// [MaxHistory]; with 0 only MinSnapshots applies.
	MinWait time.Duration

	// MinSnapshots is the minimum number of snapshots with that many waiting
	// goroutines, 2 to 8. Default 4: fewer may have coincided with separate short
	// bursts.
	MinSnapshots int
}

// DefaultContentionConfig returns the defaults.
func DefaultContentionConfig() ContentionConfig {
	return ContentionConfig{MinWaiters: 100, MinSenders: 1000, MinWait: 90 * time.Second, MinSnapshots: 4}
}

// contentionReach is how far back snapshots are needed, in multiples of MinWait.
// It bounds the age of a finding.
const contentionReach = 10

func (c ContentionConfig) checks() []check {
	return []check{
		atLeast("MinWaiters", c.MinWaiters, 1),
		atLeast("MinSenders", c.MinSenders, 1),
		within("MinWait", c.MinWait),
		inARow("MinSnapshots", c.MinSnapshots),
	}
}

// NewContention returns the detector "contention": many goroutines spend their
// time in a long queue that moves. Confidence [Info].
//
// It fires when every snapshot of the last MinWait, and at least MinSnapshots of
// them, shows at least MinWaiters goroutines at one place waiting for a
// sync.Mutex or sync.RWMutex, or at least MinSenders waiting to send on a
// channel, and during this time goroutines left the queue and others joined it.
// A queue that no goroutine leaves is for the detectors "deadlock" and "leak" to
// judge. A queue that no goroutine joins is a batch being worked off.
//
// It asks for a trace window and names the code that most often wakes goroutines
// in the queue: the code that releases the lock, or that receives.
//
// Receivers and selects are not judged. Any number of idle workers may wait for
// jobs this way, and their queue moves whenever jobs arrive. Nothing
// distinguishes a goroutine that waits too long from one that has nothing to do.
//
// When every snapshot has the addresses of locks (goroutine dumps in text form),
// each lock is judged on its own and named in [Finding.Subject].
//
// False negatives: several short queues for one lock, at different places; and
// any number of waits that begin and end between two snapshots, which the
// runtime's mutex profile counts. False positives: one line of code that locks a
// hundred different locks, unless snapshots have addresses; a stuck lock at the
// same place as one in use; and thousands of senders that a program holds back
// on purpose, as with a semaphore.
func NewContention(c ContentionConfig) *Detector {
	return configured(c, &Detector{
		Name:   "contention",
		Doc:    "Many goroutines constantly wait for a lock or to send on a channel, in a queue that moves.",
		Needs:  Needs{IDs: true, History: min(contentionReach*c.MinWait, MaxHistory)},
		Yields: []string{"deadlock", "hang", "leak", "pileup"},
		Run:    c.run,
	})
}

func (c ContentionConfig) run(p *Pass) error {
	s := p.places()
	begin := s.Begin(c.MinWait, c.MinSnapshots)
	if begin < 0 {
		p.tooShort(s, c.MinSnapshots, c.MinWait, "")
		return nil
	}
	first := s.Back(contentionReach * c.MinWait)
	var all findings
	for _, pl := range judged(s, s.Locks(first), contended, min(c.MinWaiters, c.MinSenders), p.Known) {
		since := max(first, pl.HeldSince(c.least(pl.State)))
		if since > begin {
			continue
		}
		if left, joined := pl.Moves(begin, s.Last()); left > 0 && joined > 0 {
			all = append(all, movingQueue(p, pl, since, begin))
		}
	}
	all.report(p)
	return nil
}

// contended reports whether a goroutine in state s waits in a queue that faster
// service would shorten.
func contended(s goroutine.State) bool { return s.Lock() || s == goroutine.ChanSend }

func (c ContentionConfig) least(s goroutine.State) int {
	if s.Lock() {
		return c.MinWaiters
	}
	return c.MinSenders
}

// movingQueue returns the finding for a place that has had a queue since
// snapshot since. Its evidence covers the snapshots from begin on.
func movingQueue(p *Pass, pl *places.Place, since, begin int) Finding {
	s := pl.Series
	f := found(Info, pl, since)
	what, served, advice := queueFor(pl.State)
	f.Message = fmt.Sprintf("%s at %s %s been queueing %s for %s.",
		goroutines(f.Count), where(pl.Stack), verb(f.Count, "has", "have"), what, words.Span(f.Age))
	low, high := pl.Between(begin)
	f.note("In %d snapshots over %s there were %d to %d of them.", s.Last()-begin+1, words.Span(s.Ago(begin)), low, high)
	left, joined := pl.Moves(begin, s.Last())
	f.note("The queue moves: from snapshot to snapshot, goroutines left it in %d of %d steps and joined it in %d.", left, s.Last()-begin, joined)
	if w := p.Inspections[goroutine.SourceWindow]; w == nil || w.Time.Before(s.Time(since)) {
		p.Ask(goroutine.SourceWindow)
	} else if woken, most := wakers(w, pl); most.Stack != nil && most.Stack.User().Function != "" {
		f.note("In a trace window, of the %d times that one of them was woken, %d were at %s, which %s.",
			woken, most.Count, where(most.Stack), served)
	}
	f.Advice = advice
	return f
}

// wakers returns how often goroutines at a place were woken in a window, and the
// most frequent waker.
func wakers(w *goroutine.Snapshot, pl *places.Place) (woken int, most goroutine.Waker) {
	for i := range w.Movements {
		m := &w.Movements[i]
		if m.Key() != pl.Key {
			continue
		}
		woken += m.Woken
		for _, w := range m.Wakers {
			if w.Count > most.Count {
				most = w
			}
		}
	}
	return woken, most
}

// queueFor returns what goroutines in state s are queueing for, what the code
// that wakes them does, and what to do about the queue.
func queueFor(s goroutine.State) (what, served, advice string) {
	if s.Lock() {
		return fmt.Sprintf("for a lock (%s)", s), "releases the lock",
			"Find what is done while the lock is held; a mutex profile shows which code holds it, and for how long."
	}
	return "to send on a channel", "receives what they send",
		"Find the receivers, and check whether there are enough of them for what is sent."
}
