package detectors

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// DeadlockConfig is the configuration of [NewDeadlock]. The zero value of a
// field stands for its default.
type DeadlockConfig struct {
	// MinWait is how long a queue must have stood still. Default 60 s: no
	// sound program holds a lock for a minute while others wait for it.
	MinWait time.Duration

	// MinLooks is in how many looks. Default 4: with fewer, a queue in one
	// slow spell would do.
	MinLooks int

	// MaxChance is the greatest chance that a lock which is merely busy looks
	// like this. Default one in a million: a monitor looks 5,760 times a day.
	//
	// The worst case is a lock for which n+1 goroutines do nothing but queue,
	// work and queue again. Whoever works at one look does so at the next
	// with a chance of 1/(n+1), and only then are the same n waiting. So
	// a hundred waiters are convincing after four looks, three after eleven,
	// and a single one after 21.
	MaxChance float64
}

// deadlockReach is how far back looks are wanted, in MinWait: half an hour by
// default, so that a queue of one gets its 21 looks where they are up to a
// minute and a half apart.
const deadlockReach = 30

func (c DeadlockConfig) withDefaults() DeadlockConfig {
	c.MinWait = orDefault(c.MinWait, time.Minute)
	c.MinLooks = orDefault(c.MinLooks, 4)
	c.MaxChance = orDefault(c.MaxChance, 1e-6)
	return c
}

func (c DeadlockConfig) validate() error {
	var errs []error
	if c.MinWait < 0 || c.MinWait > MaxHistory {
		errs = append(errs, bad("DeadlockConfig.MinWait", c.MinWait, fmt.Sprintf("0 to %v", MaxHistory)))
	}
	if c.MinLooks < 2 || c.MinLooks > keptWhole {
		errs = append(errs, bad("DeadlockConfig.MinLooks", c.MinLooks, fmt.Sprintf("2 to %d", keptWhole)))
	}
	if !(c.MaxChance > 0 && c.MaxChance <= 1) { // also NaN
		errs = append(errs, bad("DeadlockConfig.MaxChance", c.MaxChance, "above 0 to 1"))
	}
	return errors.Join(errs...)
}

// NewDeadlock returns the detector "deadlock": goroutines that wait for a
// sync.Mutex or sync.RWMutex whose queue does not move. Confidence [High].
//
// A lock hands itself to its waiters in their order once one has waited for a
// millisecond. So the queue of a lock that is in use moves, however long it
// is, and one from which nobody leaves belongs to a lock that is never
// released. It fires when, in every look back to MinWait ago and in at least
// MinLooks, all who waited at a place were still waiting there in the next.
// Others may have joined them: that is how a deadlock shows.
//
// Before it fires it asks for a window, in which all events are traced. One in
// which somebody in the queue is woken clears the suspicion.
//
// Where every look tells the addresses of the locks (goroutine dumps as text),
// each lock is judged on its own and named in [Finding.Subject], and a wait of
// MinWait that the runtime itself has measured needs no second look. A text
// look among others clears a suspicion: by the runtime's clock the queue moves.
//
// What it cannot see: a stuck lock that shares its place with locks in use (an
// account's lock among those of other accounts, say), unless looks tell
// addresses. What it may take for a deadlock although it is none: a single
// goroutine that waits nearly always, at every one of 21 looks, for a lock
// that another one holds nearly always; and a lock held for minutes on
// purpose, while something loads. An invalid configuration is reported by
// [Validate].
func NewDeadlock(c DeadlockConfig) *Detector {
	c = c.withDefaults()
	return configured(c.validate(), &Detector{
		Name:  "deadlock",
		Doc:   "Goroutines that wait for a lock whose queue does not move.\n\nA live lock serves its waiters in their order, so nobody stays in the queue.",
		Needs: Needs{IDs: true, History: min(deadlockReach*c.MinWait, MaxHistory)},
		Run:   c.run,
	})
}

func (c DeadlockConfig) run(p *Pass) error {
	looks := looksBack(p, deadlockReach*c.MinWait)
	text := !slices.ContainsFunc(looks, func(s *goroutine.Snapshot) bool { return s.Source != goroutine.SourceText })
	find := placeFinder{known: p.Known, state: goroutine.State.Lock, least: 1, byLock: text}
	var stuck []*queue
	var births ledger
	for _, pl := range find.find(looks) {
		births.fill(pl, looks)
		if q := stillSince(pl, looks, &births); c.stuck(q, text) && !q.served(p) {
			stuck = append(stuck, q)
		}
	}
	var found findings
	for _, q := range stuck {
		found = append(found, q.finding(stuck))
	}
	found.report(p)
	return nil
}

// A queue is what waits for locks at one place.
type queue struct {
	*place
	looks   []*goroutine.Snapshot
	first   int           // since this look nobody has left it
	windows int           // since then, in which nobody was handed the lock
	chance  float64       // that the queue of a busy lock looks the same
	waited  time.Duration // at least; as the looks show it or the runtime says
}

// stillSince goes back from the newest look for as long as nobody left.
func stillSince(pl *place, looks []*goroutine.Snapshot, births *ledger) *queue {
	last := len(looks) - 1
	q := &queue{place: pl, looks: looks, first: last, chance: 1}
	for q.first > 0 && pl.count(q.first-1) > 0 && !left(pl, births, q.first-1) {
		q.first--
		q.chance /= float64(pl.count(q.first) + 1)
	}
	q.waited = looks[last].Time.Sub(looks[q.first].Time)
	return q
}

// stuck decides, and completes what is known about the queue's wait.
func (c DeadlockConfig) stuck(q *queue, text bool) bool {
	measured := longestWait(q.groups[len(q.looks)-1])
	if text && measured >= c.MinWait {
		q.waited = max(q.waited, measured)
		return true
	}
	return q.waited >= c.MinWait && len(q.looks)-q.first >= c.MinLooks && q.chance <= c.MaxChance && !q.cleared()
}

// served reports whether a window since the queue seems to stand still showed
// one of those waiting being handed the lock: it took it and came back between
// looks. It asks for a window where there is none yet.
func (q *queue) served(p *Pass) bool {
	since := q.looks[q.first].Time
	waiting, _ := q.ids(q.first)
	for _, w := range p.Windows {
		if w.Time.Before(since) {
			continue
		}
		for _, id := range w.fed(q.place) {
			if slices.Contains(waiting, id) {
				return true
			}
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

// cleared reports whether a text look shows that the queue moves after all:
// the runtime tells shorter waits than the looks suggest. A look counts when
// it tells waits as long as that elsewhere; without garbage collections the
// runtime tells none.
func (q *queue) cleared() bool {
	for i := q.first; i < len(q.looks); i++ {
		s := q.looks[i]
		if s.Source != goroutine.SourceText {
			continue
		}
		due := s.Time.Sub(q.looks[q.first].Time) - waitError
		if longestWait(q.groups[i]) < due && longestWait(pointers(s.Groups)) >= due {
			return true
		}
	}
	return false
}

func longestWait(groups []*goroutine.Group) time.Duration {
	var longest time.Duration
	for _, g := range groups {
		longest = max(longest, g.Wait)
	}
	return longest
}

func pointers(groups []goroutine.Group) []*goroutine.Group {
	ps := make([]*goroutine.Group, len(groups))
	for i := range groups {
		ps[i] = &groups[i]
	}
	return ps
}

func (q *queue) finding(all []*queue) Finding {
	last := len(q.looks) - 1
	count, were := q.count(last), q.count(q.first)
	ids, _ := q.ids(q.first)
	f := Finding{
		Confidence: High,
		Stack:      q.stack,
		State:      q.key.State,
		Count:      count,
		Age:        q.waited,
		IDs:        ids,
		CreatedBy:  q.createdBy(),
		Message: fmt.Sprintf("%s at %s %s waiting for a lock (%s) that nobody has got for %s.",
			goroutines(count), where(q.stack), verb(count, "is", "are"), q.key.State, span(q.waited)),
	}
	if minutes := q.looks[last].Time.Sub(q.looks[q.first].Time).Minutes(); minutes > 0 {
		f.GrowthPerMinute = float64(count-were) / minutes
	}
	if q.key.lock != 0 {
		f.Subject = fmt.Sprintf("%#x", q.key.lock)
		f.note("The lock is at " + f.Subject + ".")
	}
	if n := last - q.first + 1; n > 1 {
		f.note(fmt.Sprintf("In %d looks over %s nobody left the queue.", n, span(q.looks[last].Time.Sub(q.looks[q.first].Time))))
		f.note(fmt.Sprintf("The chance that a busy lock looks like this is %s.", oneIn(q.chance)))
	}
	if q.windows > 0 {
		f.note(fmt.Sprintf("All events were traced for a moment, %s: none of them was handed the lock.", plural(q.windows, "time")))
	}
	if came := count - were; came > 0 {
		f.note(fmt.Sprintf("%s joined the %d that waited at first.", goroutines(came), were))
	}
	if w := longestWait(q.groups[last]); w > 0 {
		f.note(fmt.Sprintf("By the runtime's clock the longest wait is %s.", span(w)))
	}
	q.noteOthers(&f, all)
	f.advise(whoHolds)
	return f
}

// noteOthers names the other queues that are stuck: a deadlock is usually
// between two, and each alone does not tell.
func (q *queue) noteOthers(f *Finding, all []*queue) {
	if len(all) < 2 {
		return
	}
	f.note(fmt.Sprintf("%d lock queues are stuck.", len(all)))
	for _, other := range all {
		if other != q {
			f.note(fmt.Sprintf("Another one: %s at %s.", goroutines(other.count(len(other.looks)-1)), where(other.stack)))
		}
	}
}

func oneIn(chance float64) string {
	if n := 1 / chance; n < 1e9 {
		return fmt.Sprintf("one in %.0f", math.Floor(n))
	}
	return "less than one in a billion"
}
