package detectors

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// ContentionConfig is the configuration of [NewContention]. The zero value of
// a field stands for its default.
type ContentionConfig struct {
	// MinWaiters is how many goroutines must wait for locks at one place.
	// Default 100: with so many in line, a hundred critical sections pass
	// before a goroutine gets its turn.
	MinWaiters int

	// MinSenders is how many goroutines must wait to send on a channel at one
	// place. Default 1,000: to make senders wait is what channels are often
	// for. A pool whose members wait for the next stage to take their results
	// works as designed, and pools have hundreds of members, not thousands.
	MinSenders int

	// MinWait is for how long so many must have waited at every look. Default
	// 90 s: longer than most bursts and cold caches last, and at the default
	// interval of 15 s no look of that time has been thinned out, in which the
	// queue may have been gone.
	MinWait time.Duration

	// MinLooks is in how many looks at least. Default 4: fewer may have met
	// spells that were each over in a moment.
	MinLooks int
}

// contentionReach is how far back looks are wanted, in MinWait: so far back
// the age of a finding is known.
const contentionReach = 10

func (c ContentionConfig) withDefaults() ContentionConfig {
	c.MinWaiters = orDefault(c.MinWaiters, 100)
	c.MinSenders = orDefault(c.MinSenders, 1000)
	c.MinWait = orDefault(c.MinWait, 90*time.Second)
	c.MinLooks = orDefault(c.MinLooks, 4)
	return c
}

func (c ContentionConfig) validate() error {
	var errs []error
	for _, f := range []field[int]{{"MinWaiters", c.MinWaiters}, {"MinSenders", c.MinSenders}} {
		if f.value < 1 {
			errs = append(errs, bad("ContentionConfig."+f.name, f.value, "1 and more"))
		}
	}
	if c.MinWait < 0 || c.MinWait > MaxHistory {
		errs = append(errs, bad("ContentionConfig.MinWait", c.MinWait, fmt.Sprintf("0 to %v", MaxHistory)))
	}
	if c.MinLooks < 2 || c.MinLooks > keptWhole {
		errs = append(errs, bad("ContentionConfig.MinLooks", c.MinLooks, fmt.Sprintf("2 to %d", keptWhole)))
	}
	return errors.Join(errs...)
}

// NewContention returns the detector "contention": a long queue that moves,
// and that many goroutines spend their time in. Confidence [Info].
//
// It fires when, at every look back to MinWait ago and in at least MinLooks,
// so many goroutines waited at one place for a sync.Mutex, a sync.RWMutex or
// to send on a channel, and in this time somebody left the queue and somebody
// joined it. Where nobody leaves nobody is served: that is for the detectors
// "deadlock" and "leak" to judge. Where nobody joins, a batch is being worked
// off.
//
// It asks for a window, in which all events are traced, and names the code that
// most often wakes those in the queue: it releases the lock, or receives.
//
// Receivers and selects are not judged. Idle workers wait for jobs so, in any
// number, and whenever jobs come the queue moves: nothing in it tells who waits
// too long from who has nothing to do.
//
// Where every look tells the addresses of locks (goroutine dumps as text),
// each lock is judged on its own and named in [Finding.Subject].
//
// What it cannot see: queues at several places for one lock, each of which is
// short; and waits that are short enough to be over between looks, however
// many there are: the runtime's mutex profile counts those. What it may take
// for contention although it is none: one line of code that locks a hundred
// different locks, unless looks tell addresses; a stuck lock at the same place
// as one in use; and senders that a program holds back on purpose, in their
// thousands, as with a semaphore. An invalid configuration is reported by
// [Validate].
func NewContention(c ContentionConfig) *Detector {
	c = c.withDefaults()
	return configured(c.validate(), &Detector{
		Name:  "contention",
		Doc:   "Many goroutines wait all the time for a lock or to send on a channel, in a queue that moves.",
		Needs: Needs{IDs: true, History: min(contentionReach*c.MinWait, MaxHistory)},
		Run:   c.run,
	})
}

func (c ContentionConfig) run(p *Pass) error {
	looks := looksBack(p, contentionReach*c.MinWait)
	begin := min(newestBefore(looks, p.Snapshot.Time.Add(-c.MinWait)), len(looks)-c.MinLooks)
	if begin < 0 {
		return nil
	}
	text := !slices.ContainsFunc(looks, func(s *goroutine.Snapshot) bool { return s.Source != goroutine.SourceText })
	find := placeFinder{known: p.Known, state: contended, least: min(c.MinWaiters, c.MinSenders), byLock: text}
	var found findings
	var births ledger
	for _, pl := range find.find(looks) {
		first := pl.heldSince(c.least(pl.key.State))
		if first > begin {
			continue
		}
		births.fill(pl, looks)
		if q := moves(pl, &births, begin); q.left > 0 && q.came > 0 {
			q.watch(p, looks[first].Time)
			found = append(found, q.finding(looks, first, begin))
		}
	}
	found.report(p)
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

// A moving queue is a place, and how often somebody left or joined it from one
// look to the next.
type moving struct {
	*place
	left, came, steps int

	window *goroutine.Snapshot // the newest since the queue is long; nil when there is none
}

// watch finds a window that shows who serves the queue, or asks for one.
func (q *moving) watch(p *Pass, since time.Time) {
	if w := p.Inspections[goroutine.SourceWindow]; w != nil && !w.Time.Before(since) {
		q.window = w
	} else {
		p.Ask(goroutine.SourceWindow)
	}
}

// wakers returns how often a member of the queue was woken in the window, and
// where most often.
func (q *moving) wakers() (woken int, most goroutine.Waker) {
	if q.window == nil {
		return 0, most
	}
	for i := range q.window.Movements {
		m := &q.window.Movements[i]
		if m.Key() != q.key.GroupKey {
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

// noteWakers names the code that serves the queue.
func (q *moving) noteWakers(f *Finding) {
	woken, most := q.wakers()
	if most.Stack == nil || most.Stack.User().Function == "" {
		return
	}
	f.note(fmt.Sprintf("All events were traced for a moment: of the %d times that one of them was woken, %d were at %s, which %s.",
		woken, most.Count, where(most.Stack), serves(f.State)))
}

// serves says what whoever wakes goroutines in a queue of this state does.
func serves(s goroutine.State) string {
	if s.Lock() {
		return "releases the lock"
	}
	return "receives what they send"
}

func moves(pl *place, births *ledger, begin int) moving {
	q := moving{place: pl}
	for i := begin; i < len(pl.groups)-1; i++ {
		q.steps++
		if left(pl, births, i) {
			q.left++
		}
		if came(births, i) {
			q.came++
		}
	}
	return q
}

func (q *moving) finding(looks []*goroutine.Snapshot, first, begin int) Finding {
	last := len(looks) - 1
	count := q.count(last)
	ids, _ := q.ids(last)
	f := Finding{
		Confidence: Info,
		Stack:      q.stack,
		State:      q.key.State,
		Count:      count,
		Age:        looks[last].Time.Sub(looks[first].Time),
		IDs:        ids,
		CreatedBy:  q.createdBy(),
	}
	f.Message = fmt.Sprintf("%s at %s %s queueing %s; it has been so for %s.",
		goroutines(count), where(q.stack), verb(count, "is", "are"), queueingFor(q.key.State), span(f.Age))
	if minutes := f.Age.Minutes(); minutes > 0 {
		f.GrowthPerMinute = float64(count-q.count(first)) / minutes
	}
	if q.key.lock != 0 {
		f.Subject = fmt.Sprintf("%#x", q.key.lock)
		f.note("The lock is at " + f.Subject + ".")
	}
	low, high := q.between(begin)
	f.note(fmt.Sprintf("In %d looks over %s there were %d to %d of them.", last-begin+1, span(looks[last].Time.Sub(looks[begin].Time)), low, high))
	f.note(fmt.Sprintf("The queue moves: somebody left it in %d of %d steps from look to look, somebody joined it in %d.", q.left, q.steps, q.came))
	q.noteWakers(&f)
	f.advise(whatSlows(f.State))
	return f
}

func queueingFor(s goroutine.State) string {
	if s.Lock() {
		return fmt.Sprintf("for a lock (%s)", s)
	}
	return "to send on a channel"
}

func whatSlows(s goroutine.State) string {
	if s.Lock() {
		return "see what is done while the lock is held; a mutex profile names who holds it for how long."
	}
	return "see who receives, and whether there are enough of them for what is sent."
}

// between returns the lowest and the highest count since a look.
func (pl *place) between(begin int) (low, high int) {
	low = pl.count(begin)
	for i := begin; i < len(pl.groups); i++ {
		low, high = min(low, pl.count(i)), max(high, pl.count(i))
	}
	return low, high
}
