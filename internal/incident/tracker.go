package incident

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// Kind is what an event says about an incident.
type Kind int

// The kinds of events.
const (
	Detected   Kind = iota + 1 // reported for the first time
	Repeated                   // still there: worse, back again, or there for long
	Resolved                   // gone
	Suppressed                 // the number of those not reported one by one has changed
)

var kinds = [...]string{Detected: "detected", Repeated: "repeated", Resolved: "resolved", Suppressed: "suppressed"}

// String returns the kind in lower case.
func (k Kind) String() string {
	if k < Detected || k > Suppressed {
		return fmt.Sprintf("kind(%d)", int(k))
	}
	return kinds[k]
}

// An Event is something to tell people.
type Event struct {
	Kind Kind
	Time time.Time // of the step

	// Incident is what the event is about. In a Suppressed event it is the
	// worst of those not reported, and zero when there are none any more.
	Incident Incident

	// Suppressed is how many open incidents are not reported one by one, those
	// included that did not even find room to be tracked. Set in Suppressed
	// events only.
	Suppressed int
}

// An Incident is a trouble from its first finding to its end.
type Incident struct {
	// ID is 16 hexadecimal digits, derived from the identity of the finding
	// and the time it was opened.
	ID      string
	Opened  time.Time
	Finding detectors.Finding // as it was last found

	// Reported is how many events there were: 0 when it is not reported one
	// by one.
	Reported int
}

// A Tracker follows incidents. Make one with [New]. It is not safe for
// concurrent use.
type Tracker struct {
	config  Config
	tracked map[detectors.Identity]*entry
	entries []*entry // the same, in the order of opening

	step    uint64        // number of the current step
	last    time.Time     // what the clock said in the last step
	elapsed time.Duration // since the first step; never runs backwards

	overflow   int // findings of this step that were not tracked
	summarized time.Duration
	summary    int  // what the last summary said
	summed     bool // whether there was one
}

// An entry is a tracked incident.
type entry struct {
	Incident
	identity detectors.Identity
	seen     uint64 // step of the last finding
	absent   int    // checks in a row without one

	turn   bool // reported one by one
	open   bool
	told   bool          // whether the reader takes it for open
	closed time.Duration // when it ended, while it is not open

	// What was reported last; the highest in the case of count and
	// confidence, so that a number that goes up and down is not worse.
	reported   time.Duration
	opening    time.Duration // when it was last reported as newly open
	count      int
	confidence detectors.Confidence
}

// New returns a tracker without incidents.
func New(config Config) *Tracker {
	return &Tracker{config: config.withDefaults(), tracked: make(map[detectors.Identity]*entry)}
}

// Step takes what was found in one look at a time and returns what is to be
// told about it, ends first, then what was open before, then what is new.
//
// ran tells by name which detectors did their work. One that did not, for want
// of IDs or after an error, has no say in whether its incidents are over; what
// it found nevertheless counts. Several findings of one identity count as the
// largest of them. A now that is earlier than in the step before counts as no
// time having passed.
func (t *Tracker) Step(ran map[string]bool, findings []detectors.Finding, now time.Time) []Event {
	t.advance(now)
	var strangers []*detectors.Finding
	for i := range findings {
		if !t.see(&findings[i]) {
			strangers = append(strangers, &findings[i])
		}
	}
	t.admit(strangers, now)
	events := t.end(ran, now)
	events = t.repeat(events, now)
	events, left, worst := t.report(events, now)
	return t.summarize(events, left, worst, now)
}

// Open returns the open incidents, those included that are not reported one
// by one, in the order of their opening.
func (t *Tracker) Open() []Incident {
	var open []Incident
	for _, e := range t.entries {
		if e.open {
			open = append(open, e.Incident)
		}
	}
	return open
}

func (t *Tracker) advance(now time.Time) {
	if t.step > 0 {
		t.elapsed += max(0, now.Sub(t.last))
	}
	t.last = now
	t.step++
	t.overflow = 0
}

// see brings a finding to its incident, and reports whether it has one.
func (t *Tracker) see(f *detectors.Finding) bool {
	e := t.tracked[f.Identity()]
	if e == nil {
		return false
	}
	if e.seen != t.step || e.Finding.Count < f.Count {
		t.found(e, f)
	}
	return true
}

func (t *Tracker) found(e *entry, f *detectors.Finding) {
	e.Finding = *f
	e.open, e.seen, e.absent = true, t.step, 0
}

// admit brings findings without an incident to those that they continue, and
// opens new ones for the others.
func (t *Tracker) admit(strangers []*detectors.Finding, now time.Time) {
	var lost map[likeness]*entry
	if len(strangers) > 0 {
		lost = t.lost()
	}
	for _, f := range strangers {
		if t.see(f) {
			continue // two of one identity
		}
		if len(lost) > 0 {
			like := likenessOf(f)
			if e := lost[like]; e != nil {
				delete(lost, like)
				t.rename(e, f)
				continue
			}
		}
		t.open(f, now)
	}
}

func (t *Tracker) rename(e *entry, f *detectors.Finding) {
	delete(t.tracked, e.identity)
	e.identity = f.Identity()
	t.tracked[e.identity] = e
	t.found(e, f)
}

// open opens an incident where there is room for one.
func (t *Tracker) open(f *detectors.Finding, now time.Time) {
	if len(t.tracked) >= t.config.MaxTracked {
		t.overflow++
		return
	}
	e := &entry{identity: f.Identity()}
	e.ID, e.Opened = newID(e.identity, now), now
	t.tracked[e.identity] = e
	t.entries = append(t.entries, e)
	t.found(e, f)
}

// A likeness is what stays the same when the stack of a trouble changes a
// little: where the goroutines wait and where they were started.
type likeness struct{ detector, subject, user, entry string }

func likenessOf(f *detectors.Finding) likeness {
	return likeness{f.Detector, f.Subject, f.Stack.User().Function, f.Stack.Entry().Function}
}

// lost returns the open incidents whose trouble was not found in this step, by
// their likeness. A finding without an incident that is like one continues it.
func (t *Tracker) lost() map[likeness]*entry {
	lost := make(map[likeness]*entry)
	for _, e := range t.entries {
		if e.open && e.seen != t.step && e.Finding.Stack.ID != goroutine.OtherStacks {
			lost[likenessOf(&e.Finding)] = e
		}
	}
	return lost
}

func newID(identity detectors.Identity, opened time.Time) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %d", identity, opened.UnixNano())
	return fmt.Sprintf("%016x", h.Sum64())
}

// end closes incidents that have been absent for long enough, and forgets
// those that need not be remembered any more.
func (t *Tracker) end(ran map[string]bool, now time.Time) (events []Event) {
	for _, e := range t.entries {
		if !e.open || e.seen == t.step || !ran[e.identity.Detector] {
			continue
		}
		e.absent++
		if e.absent < t.config.Absences {
			continue
		}
		e.open, e.closed = false, t.elapsed
		if e.told {
			e.told = false
			events = append(events, t.event(Resolved, e, now))
		}
	}
	t.entries = slices.DeleteFunc(t.entries, t.forget)
	return events
}

// forget drops e unless it is open or keeps its turn.
func (t *Tracker) forget(e *entry) bool {
	if e.open || e.turn && t.elapsed-e.closed < t.config.Cooldown {
		return false
	}
	delete(t.tracked, e.identity)
	return true
}

// repeat tells of incidents that are worse, back again or there for long.
func (t *Tracker) repeat(events []Event, now time.Time) []Event {
	for _, e := range t.entries {
		if !e.turn || e.seen != t.step || !t.due(e) {
			continue
		}
		if !e.told {
			e.told, e.opening = true, t.elapsed
		}
		events = append(events, t.event(Repeated, e, now))
	}
	return events
}

// due decides whether the newest finding of e is worth an event.
func (t *Tracker) due(e *entry) bool {
	if !e.told { // it was over, and is back
		return t.elapsed-e.opening >= t.config.Cooldown
	}
	return e.Finding.Confidence > e.confidence ||
		e.Finding.Count/t.config.Growth >= e.count ||
		t.elapsed-e.reported >= t.config.RepeatEvery
}

// report gives the turns that are free to the worst of those that have none.
// It returns how many are left, and the worst of them.
func (t *Tracker) report(events []Event, now time.Time) (_ []Event, left int, worst *entry) {
	free := t.config.MaxReported
	var waiting []*entry
	for _, e := range t.entries {
		if e.turn {
			free--
		} else {
			waiting = append(waiting, e)
		}
	}
	slices.SortStableFunc(waiting, worstFirst)
	for len(waiting) > 0 && free > 0 {
		e := waiting[0]
		e.turn, e.told, e.opening = true, true, t.elapsed
		events = append(events, t.event(Detected, e, now))
		waiting, free = waiting[1:], free-1
	}
	if len(waiting) > 0 {
		worst = waiting[0]
	}
	return events, len(waiting), worst
}

func worstFirst(a, b *entry) int {
	return cmp.Or(
		cmp.Compare(b.Finding.Confidence, a.Finding.Confidence),
		cmp.Compare(b.Finding.Count, a.Finding.Count),
	)
}

// summarize tells how many are not reported, when that has changed.
func (t *Tracker) summarize(events []Event, left int, worst *entry, now time.Time) []Event {
	n := left + t.overflow
	if n == t.summary || t.summed && t.elapsed-t.summarized < t.config.SummaryEvery {
		return events
	}
	t.summary, t.summarized, t.summed = n, t.elapsed, true
	e := Event{Kind: Suppressed, Time: now, Suppressed: n}
	if worst != nil {
		e.Incident = worst.Incident
	}
	return append(events, e)
}

// event makes an event of e and remembers what it told.
func (t *Tracker) event(kind Kind, e *entry, now time.Time) Event {
	e.Reported++
	e.reported = t.elapsed
	e.count = max(1, e.count, e.Finding.Count)
	e.confidence = max(e.confidence, e.Finding.Confidence)
	return Event{Kind: kind, Time: now, Incident: e.Incident}
}
