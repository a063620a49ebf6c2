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
// their thousands, as with a semaphore. An invalid configuration is reported by
// [Validate].
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
		if left, joined := pl.Moves(begin); left > 0 && joined > 0 {
			f := found(Info, s, pl, since)
			f.Message = fmt.Sprintf("%s at %s %s been queueing %s for %s.",
				goroutines(f.Count), where(pl.Stack), verb(f.Count, "has", "have"), queueingFor(pl.State), span(f.Age))
			low, high := pl.Between(begin)
			f.note("In %d snapshots over %s there were %d to %d of them.", s.Last()-begin+1, span(s.Ago(begin)), low, high)
			f.note("The queue moves: from snapshot to snapshot, goroutines left it in %d of %d steps and joined it in %d.", left, s.Last()-begin, joined)
			noteWakers(&f, pl, window(p, s.Time(since)))
			f.Advice = adviceToSpeedUp(pl.State)
			all = append(all, f)
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

// window returns the newest window if it was opened since the queue is long. Else
// it asks for one and returns nil.
func window(p *Pass, since time.Time) *goroutine.Snapshot {
	if w := p.Inspections[goroutine.SourceWindow]; w != nil && !w.Time.Before(since) {
		return w
	}
	p.Ask(goroutine.SourceWindow)
	return nil
}

// noteWakers names the code that serves a queue.
func noteWakers(f *Finding, pl *places.Place, w *goroutine.Snapshot) {
	woken, most := wakers(pl, w)
	if most.Stack == nil || most.Stack.User().Function == "" {
		return
	}
	f.note("In a trace window, of the %d times that one of them was woken, %d were at %s, which %s.",
		woken, most.Count, where(most.Stack), serves(f.State))
}

// wakers returns how often a goroutine at a place was woken in a window, which
// may be nil, and where most often.
func wakers(pl *places.Place, w *goroutine.Snapshot) (woken int, most goroutine.Waker) {
	if w == nil {
		return 0, most
	}
	for i := range w.Movements {
		m := &w.Movements[i]
		if m.Key() != pl.Key() {
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

// serves says what code does that wakes goroutines in a queue of this state.
func serves(s goroutine.State) string {
	if s.Lock() {
		return "releases the lock"
	}
	return "receives what they send"
}

func queueingFor(s goroutine.State) string {
	if s.Lock() {
		return fmt.Sprintf("for a lock (%s)", s)
	}
	return "to send on a channel"
}

func adviceToSpeedUp(s goroutine.State) string {
	if s.Lock() {
		return "Find what is done while the lock is held; a mutex profile tells which code holds it for how long."
	}
	return "Find the receivers, and check whether there are enough of them for what is sent."
}
