package detectors

import (
	"fmt"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// ContentionConfig is the configuration of [NewContention]. Start from
// [DefaultContentionConfig].
type ContentionConfig struct {
	// MinWaiters is how many goroutines must wait for locks at one place, at
	// least 1. Default 100: with so many in line, a hundred critical sections
	// pass before a goroutine gets its turn.
	MinWaiters int

	// MinSenders is how many goroutines must wait to send on a channel at one
	// place, at least 1. Default 1,000: to make senders wait is what channels
	// are often for. A pool whose members wait for the next stage to take their
	// results works as designed, and pools have hundreds of members, not
	// thousands.
	MinSenders int

	// MinWait is for how long so many must have waited in every snapshot.
	// Default 90 s: longer than most bursts and cold caches last, and at the
	// default interval of 15 s no snapshot of that time has been thinned out, in
	// which the queue may have been gone. At most [MaxHistory]; with 0 only
	// MinSnapshots counts.
	MinWait time.Duration

	// MinSnapshots is in how many snapshots at least, 2 to 8. Default 4: fewer
	// may have met spells that were each over in a moment.
	MinSnapshots int
}

// DefaultContentionConfig returns the defaults.
func DefaultContentionConfig() ContentionConfig {
	return ContentionConfig{MinWaiters: 100, MinSenders: 1000, MinWait: 90 * time.Second, MinSnapshots: 4}
}

// contentionReach is how far back snapshots are wanted, in MinWait: so far back
// the age of a finding is known.
const contentionReach = 10

func (c ContentionConfig) checks() []check {
	return []check{
		atLeast("MinWaiters", c.MinWaiters, 1),
		atLeast("MinSenders", c.MinSenders, 1),
		within("MinWait", c.MinWait),
		inARow("MinSnapshots", c.MinSnapshots),
	}
}

// NewContention returns the detector "contention": a long queue that moves,
// and that many goroutines spend their time in. Confidence [Info].
//
// It fires when, in every snapshot back to MinWait ago and in at least
// MinSnapshots, so many goroutines waited at one place for a sync.Mutex,
// a sync.RWMutex or to send on a channel, and in this time a goroutine left the
// queue and another one joined it. Where none leaves, none is served: that is
// for the detectors "deadlock" and "leak" to judge. Where none joins, a batch is
// being worked off.
//
// It asks for a trace window and names the code that most often wakes the
// goroutines of the queue: it releases the lock, or receives.
//
// Receivers and selects are not judged. Idle workers wait for jobs so, in any
// number, and whenever jobs come the queue moves: nothing in it tells
// a goroutine that waits too long from one that has nothing to do.
//
// Where every snapshot tells the addresses of locks (goroutine dumps as text),
// each lock is judged on its own and named in [Finding.Subject].
//
// What it cannot see: queues at several places for one lock, each of which is
// short; and waits that are short enough to be over between snapshots, however
// many there are: the runtime's mutex profile counts those. What it may take
// for contention although it is none: one line of code that locks a hundred
// different locks, unless snapshots tell addresses; a stuck lock at the same
// place as one in use; and senders that a program holds back on purpose, in
// their thousands, as with a semaphore.
func NewContention(c ContentionConfig) *Detector {
	return configured(c, &Detector{
		Name:  "contention",
		Doc:   "Many goroutines wait all the time for a lock or to send on a channel, in a queue that moves.",
		Needs: Needs{IDs: true, History: min(contentionReach*c.MinWait, MaxHistory)},
		Run:   c.run,
	})
}

func (c ContentionConfig) run(p *Pass) error {
	s := p.places()
	begin := s.Begin(c.MinWait, c.MinSnapshots)
	if begin < 0 {
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

// contended reports whether a goroutine in state s waits in a queue that there
// would not be if things went faster.
func contended(s goroutine.State) bool { return s.Lock() || s == goroutine.ChanSend }

func (c ContentionConfig) least(s goroutine.State) int {
	if s.Lock() {
		return c.MinWaiters
	}
	return c.MinSenders
}

// movingQueue returns the finding for a place where there has been a queue since
// a snapshot, as seen since a later one.
func movingQueue(p *Pass, pl *places.Place, since, begin int) Finding {
	s := pl.Series
	f := found(Info, pl, since)
	what, served, advice := queueFor(pl.State)
	f.Message = fmt.Sprintf("%s at %s %s been queueing %s for %s.",
		goroutines(f.Count), where(pl.Stack), verb(f.Count, "has", "have"), what, span(f.Age))
	low, high := pl.Between(begin)
	f.note("In %d snapshots over %s there were %d to %d of them.", s.Last()-begin+1, span(s.Ago(begin)), low, high)
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

// wakers returns how often a goroutine at a place was woken in a window, and
// where most often.
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

// queueFor says what goroutines in a queue of this state wait for, what the code
// does that wakes them, and what to do about the queue.
func queueFor(s goroutine.State) (what, served, advice string) {
	if s.Lock() {
		return fmt.Sprintf("for a lock (%s)", s), "releases the lock",
			"Find what is done while the lock is held; a mutex profile tells which code holds it for how long."
	}
	return "to send on a channel", "receives what they send",
		"Find the receivers, and check whether there are enough of them for what is sent."
}
