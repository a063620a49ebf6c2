package detectors

import (
	"fmt"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// DeadlockConfig is the configuration of [NewDeadlock]. Start from
// [DefaultDeadlockConfig].
type DeadlockConfig struct {
	// MinWait is how long a queue must have stood still. Default 60 s: no
	// sound program holds a lock for a minute while others wait for it. Above
	// 0, at most [MaxHistory].
	MinWait time.Duration

	// MinSnapshots is in how many snapshots it must have, 2 to 8. Default 4:
	// with fewer, a queue in one slow spell would do.
	MinSnapshots int

	// MaxChance is the greatest probability that a lock which is merely busy
	// gives the same snapshots, above 0 and at most 1. Default one in
	// a million: a monitor takes 5,760 snapshots a day.
	//
	// The worst case is a lock for which n+1 goroutines do nothing but queue,
	// work and queue again. The one that works in one snapshot does so in the
	// next with a probability of 1/(n+1), and only then are the same n waiting.
	// So a hundred waiters are convincing after four snapshots, three after
	// eleven, and a single one after 21.
	MaxChance float64
}

// DefaultDeadlockConfig returns the defaults.
func DefaultDeadlockConfig() DeadlockConfig {
	return DeadlockConfig{MinWait: time.Minute, MinSnapshots: 4, MaxChance: 1e-6}
}

// deadlockReach is how far back snapshots are wanted, in MinWait: half an hour
// by default, so that a queue of one gets its 21 snapshots where they are up to
// a minute and a half apart.
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
// A lock hands itself to its waiters in their order once one has waited for a
// millisecond. So the queue of a lock that is in use moves, however long it
// is, and one that no goroutine leaves belongs to a lock that is never
// released. It fires when, in every snapshot back to MinWait ago and in at
// least MinSnapshots, all goroutines that waited at a place were still waiting
// there in the next. Others may have joined them: that is how a deadlock shows.
//
// Before it fires it asks for a trace window. One in which a goroutine of the
// queue is woken clears the suspicion.
//
// Where every snapshot tells the addresses of the locks (goroutine dumps as
// text), each lock is judged on its own and named in [Finding.Subject], and
// a wait of MinWait that the runtime itself has measured needs no second
// snapshot. A goroutine dump among other snapshots clears a suspicion when by
// the runtime's clock the queue moves.
//
// What it cannot see: a stuck lock that shares its place with locks in use (an
// account's lock among those of other accounts, say), unless snapshots tell
// addresses. What it may take for a deadlock although it is none: a single
// goroutine that waits nearly always, in every one of 21 snapshots, for a lock
// that another one holds nearly always; and a lock held for minutes on
// purpose, while something loads.
func NewDeadlock(c DeadlockConfig) *Detector {
	return configured(c, &Detector{
		Name:  "deadlock",
		Doc:   "Goroutines that wait for a lock whose queue does not move.\n\nA live lock serves its waiters in their order, so no goroutine stays in the queue.",
		Needs: Needs{IDs: true, History: min(deadlockReach*c.MinWait, MaxHistory)},
		Run:   c.run,
	})
}

func (c DeadlockConfig) run(p *Pass) error {
	s := p.places()
	first := s.Back(deadlockReach * c.MinWait)
	by := s.Locks(first)
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

// A queue is what waits for locks at one place.
type queue struct {
	*places.Place
	since   int           // the snapshot since which no goroutine has left it
	windows int           // since then, in which none of them was handed the lock
	chance  float64       // that the queue of a busy lock looks the same
	waited  time.Duration // at least; as the snapshots show it or the runtime says
}

func newQueue(pl *places.Place, first int) *queue {
	q := &queue{Place: pl, since: max(first, pl.StoodSince()), chance: 1}
	for i := pl.Series.Last() - 1; i >= q.since; i-- {
		q.chance /= float64(pl.Count(i) + 1)
	}
	q.waited = pl.Series.Ago(q.since)
	return q
}

// stuck decides, and completes what is known about the queue's wait.
func (c DeadlockConfig) stuck(q *queue, text bool) bool {
	last := q.Series.Last()
	measured := q.LongestWait(last)
	if text && measured >= c.MinWait {
		q.waited = max(q.waited, measured)
		return true
	}
	return q.waited >= c.MinWait && last-q.since+1 >= c.MinSnapshots && q.chance <= c.MaxChance && !q.cleared()
}

// served reports whether a window since the queue seems to stand still showed
// one of the waiters being handed the lock: it took it and came back between
// snapshots. It asks for a window where there is none yet.
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

// waitError is by how much the runtime's own measure of a wait falls short: it
// counts whole minutes, from the first garbage collection after blocking, and
// there is one every two minutes at least.
const waitError = 3 * time.Minute

// cleared reports whether a goroutine dump shows that the queue moves after all:
// the runtime tells shorter waits than the snapshots suggest. A dump counts when
// it tells waits as long as that elsewhere; without garbage collections the
// runtime tells none.
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
		goroutines(f.Count), where(q.Stack), verb(f.Count, "is", "are"), q.State, span(q.waited))
	if n := s.Last() - q.since + 1; n > 1 {
		f.note("In %d snapshots over %s no goroutine left the queue.", n, span(s.Ago(q.since)))
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
		f.note("By the runtime's clock the longest wait is %s.", span(w))
	}
	q.noteOthers(&f, all)
	f.Advice = adviceLock
	return f
}

// noteOthers names the other queues that are stuck: a deadlock is usually
// between two, and each alone does not tell.
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
