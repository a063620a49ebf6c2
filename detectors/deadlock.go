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
	// MinWait is how long a queue must not have moved. Default 60 s: no correct
	// program holds a lock for a minute while other goroutines wait for it. Above
	// 0, at most [MaxHistory].
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

func (c DeadlockConfig) checks() []check {
	return []check{
		above0("MinWait", c.MinWait),
		inARow("MinSnapshots", c.MinSnapshots),
		{"MaxChance", c.MaxChance, c.MaxChance > 0 && c.MaxChance <= 1, "above 0 and at most 1"},
	}
}

// NewDeadlock returns the detector "deadlock": goroutines that wait for a
// sync.Mutex or sync.RWMutex whose queue does not move. Confidence [High].
//
// Once a goroutine has waited for a millisecond, a lock is handed to its waiters
// in order. The queue of a lock in use therefore moves, however long it is. A
// queue that no goroutine leaves belongs to a lock that is never released. The
// detector fires when, over at least MinWait and at least MinSnapshots
// snapshots, no goroutine that waited at a place left it. Other goroutines may
// have joined: in a deadlock they usually do.
//
// Before it fires, it asks for a trace window. If a goroutine in the queue is
// woken in a window, the detector does not fire.
//
// When every snapshot has the addresses of locks (goroutine dumps in text form),
// each lock is judged on its own and named in [Finding.Subject], and one
// snapshot is enough if the runtime itself has measured a wait of MinWait. The
// detector does not fire if a goroutine dump among other snapshots shows, by the
// runtime's clock, that the queue moves.
//
// False negatives: a stuck lock that shares its place with locks in use (for
// example one account's lock among those of other accounts), unless snapshots
// have addresses. False positives: a single goroutine that waits, in each of 21
// snapshots, for a lock that another goroutine holds nearly all the time; and a
// lock held for minutes on purpose, for example while something loads.
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
	var stuck []*queue
	for _, pl := range judged(s, by, goroutine.State.Lock, 1, p.Known) {
		if q := newQueue(pl, first); c.stuck(q, by == places.ByLock) && !q.served(p) {
			stuck = append(stuck, q)
		}
	}
	var all findings
	for _, q := range stuck {
		all = append(all, q.finding(stuck))
	}
	all.report(p)
	return nil
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
		p.abstain(ReasonShortHistory, fmt.Sprintf("a lock with a single waiter needs %d snapshots within %s; there are %d", single, words.Span(deadlockReach*c.MinWait), n))
	}
}

// A queue is the goroutines that wait for locks at one place.
type queue struct {
	*places.Place
	since   int           // the snapshot since which no goroutine has left
	windows int           // trace windows since then in which no waiter was handed the lock
	chance  float64       // probability that the queue of a busy lock looks the same
	waited  time.Duration // minimum wait, from the snapshots or the runtime
}

func newQueue(pl *places.Place, first int) *queue {
	q := &queue{Place: pl, since: max(first, pl.StoodSince()), chance: 1}
	for i := pl.Series.Last() - 1; i >= q.since; i-- {
		q.chance /= float64(pl.Count(i) + 1)
	}
	q.waited = pl.Series.Ago(q.since)
	return q
}

// stuck reports whether the queue is stuck. It also sets q.waited from the wait
// that the runtime measured.
func (c DeadlockConfig) stuck(q *queue, text bool) bool {
	last := q.Series.Last()
	measured := q.LongestWait(last)
	if text && measured >= c.MinWait {
		q.waited = max(q.waited, measured)
		return true
	}
	return q.waited >= c.MinWait && last-q.since+1 >= c.MinSnapshots && q.chance <= c.MaxChance && !q.cleared()
}

// served reports whether a trace window shows that a waiter was handed the lock
// since the queue seems to have stopped: the waiter took the lock and returned
// to the queue between two snapshots. If there is no such window yet, served
// asks for one.
func (q *queue) served(p *Pass) bool {
	waiting, _ := q.IDs(q.since)
	for _, w := range p.Windows {
		if w.Time.Before(q.Series.Time(q.since)) {
			continue
		}
		if slices.ContainsFunc(q.Woken(w.Fed), func(id uint64) bool { return slices.Contains(waiting, id) }) {
			return true
		}
		q.windows++
	}
	if q.windows == 0 {
		p.Ask(goroutine.SourceWindow)
	}
	return false
}

// waitError is the most by which the runtime underestimates a wait. It counts
// whole minutes from the first garbage collection after the goroutine blocked,
// and garbage is collected at least every two minutes.
const waitError = 3 * time.Minute

// cleared reports whether a goroutine dump shows that the queue moves: the
// runtime reports shorter waits than the snapshots suggest. A dump counts only
// if it shows waits that long elsewhere, because the runtime measures no waits
// without garbage collections.
func (q *queue) cleared() bool {
	for i := q.since; i <= q.Series.Last(); i++ {
		s := q.Series.Snapshots[i]
		if s.Source != goroutine.SourceText {
			continue
		}
		due := s.Time.Sub(q.Series.Time(q.since)) - waitError
		elsewhere := func(g goroutine.Group) bool { return g.Wait >= due }
		if q.LongestWait(i) < due && slices.ContainsFunc(s.Groups, elsewhere) {
			return true
		}
	}
	return false
}

func (q *queue) finding(all []*queue) Finding {
	s := q.Series
	f := found(High, q.Place, q.since)
	f.Age = q.waited
	ids, _ := q.IDs(q.since)
	f.IDs = slices.Clone(ids)
	f.Message = fmt.Sprintf("%s at %s %s waiting for a lock (%s) not acquired by any waiter for %s.",
		goroutines(f.Count), where(q.Stack), verb(f.Count, "is", "are"), q.State, words.Span(q.waited))
	if n := s.Last() - q.since + 1; n > 1 {
		f.note("In %d snapshots over %s no goroutine left the queue.", n, words.Span(s.Ago(q.since)))
		f.note("The probability of this for a lock in use is %s.", oneIn(q.chance))
	}
	if q.windows > 0 {
		f.note("In %s none of them was handed the lock.", plural(q.windows, "trace window"))
	}
	were := q.Count(q.since)
	if joined := f.Count - were; joined > 0 {
		f.note("%s joined the %d that waited at first.", goroutines(joined), were)
	}
	if w := q.LongestWait(s.Last()); w > 0 {
		f.note("By the runtime's clock the longest wait is %s.", words.Span(w))
	}
	q.noteOthers(&f, all)
	f.Advice = adviceLock
	return f
}

// noteOthers names the other stuck queues. A deadlock usually involves two, and
// one of them alone does not explain it.
func (q *queue) noteOthers(f *Finding, all []*queue) {
	if len(all) < 2 {
		return
	}
	f.note("%d lock queues are stuck.", len(all))
	for _, other := range all {
		if other != q {
			f.note("Another one: %s at %s.", goroutines(other.Now()), where(other.Stack))
		}
	}
}
