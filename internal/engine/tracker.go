package engine

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

const (
	// absences is after how many snapshots in a row without its finding an
	// incident is resolved: a goroutine that is about to be scheduled, or
	// a proof that flaps, is missing in one or two.
	absences = 3

	// repeatEvery is how often an incident that has not become worse is reported
	// again: often enough for a person who comes on call, rarely enough not to be
	// filtered out.
	repeatEvery = time.Hour

	// growth is the factor by which the count must have grown since the last
	// report for the incident to be reported again at once.
	growth = 2

	// cooldown is how long after its end an incident that comes back is still the
	// same incident. It is also the minimum time between two reports of it as
	// open: a flapping incident is reported once per cooldown.
	cooldown = 10 * time.Minute

	// maxReported is how many incidents are reported one by one at a time:
	// few people read an eleventh. An incident keeps its turn until the
	// cooldown after its end, so that many short ones do not take turns.
	maxReported = 10

	// summaryEvery is the minimum time between summaries of the other incidents.
	summaryEvery = 10 * time.Minute

	// maxTracked is how many incidents are remembered at most. A thousand
	// take less than a megabyte next to what their stacks take, and those are
	// shared with the snapshots.
	maxTracked = 1000
)

// A tracker follows incidents, which are findings from their opening to their
// end. The number of its events is bounded for any input; see TestStorms.
type tracker struct {
	tracked   map[detectors.Identity]*incident
	incidents []*incident // the same, in the order of opening

	steps   uint64        // number of the current step
	last    time.Time     // what the clock said in the last step
	elapsed time.Duration // since the first step; never runs backwards

	overflow   int // findings of this step that were not tracked
	summarized time.Duration
	summary    int  // what the last summary said
	summed     bool // whether there was one
}

// An incident is a fault from its first finding to its end.
type incident struct {
	finding  detectors.Finding // as it was last found
	identity detectors.Identity
	seen     uint64 // step of the last finding
	absent   int    // checks in a row without one

	turn   bool // reported one by one
	open   bool
	told   bool          // whether it was reported as open
	closed time.Duration // when it ended, while it is not open

	// What was reported last; the highest in the case of count and
	// confidence, so that a number that goes up and down is not worse.
	reported   time.Duration
	opening    time.Duration // when it was last reported as newly open
	count      int
	confidence detectors.Confidence
}

func newTracker() *tracker {
	return &tracker{tracked: make(map[detectors.Identity]*incident)}
}

// step takes the findings of one snapshot and returns the events about them:
// ended incidents first, then those already open, then new ones.
//
// ran holds the names of the detectors that ran without an error. The incidents
// of a detector that did not, for lack of IDs or after an error, are not ended;
// its findings still count. Several findings of one identity count as the
// largest of them. A now that is earlier than in the step before counts as no
// time having passed.
func (t *tracker) step(ran map[string]bool, findings []detectors.Finding, now time.Time) []detectors.Event {
	t.advance(now)
	var fresh []*detectors.Finding
	for i := range findings {
		if !t.see(&findings[i]) {
			fresh = append(fresh, &findings[i])
		}
	}
	t.admit(fresh, now)
	events := t.end(ran, now)
	events = t.repeat(events, now)
	events, left, worst := t.report(events, now)
	return t.summarize(events, left, worst, now)
}

// findings returns those of the open incidents, including those that are not
// reported one by one, in the order of their opening.
func (t *tracker) findings() []detectors.Finding {
	var open []detectors.Finding
	for _, i := range t.incidents {
		if i.open {
			open = append(open, i.finding)
		}
	}
	return open
}

// resolveAll ends every open incident at once.
func (t *tracker) resolveAll(now time.Time) (events []detectors.Event) {
	t.advance(now)
	for _, i := range t.incidents {
		if i.open {
			events = t.close(events, i, now)
		}
	}
	return events
}

func (t *tracker) advance(now time.Time) {
	if t.steps > 0 {
		t.elapsed += max(0, now.Sub(t.last))
	}
	t.last = now
	t.steps++
	t.overflow = 0
}

// see updates the incident of a finding, and reports whether there is one.
func (t *tracker) see(f *detectors.Finding) bool {
	i := t.tracked[f.Identity()]
	if i == nil {
		return false
	}
	if i.seen != t.steps || i.finding.Count < f.Count {
		t.found(i, f)
	}
	return true
}

func (t *tracker) found(i *incident, f *detectors.Finding) {
	id, opened := i.finding.ID, i.finding.Opened
	i.finding = *f
	i.finding.ID, i.finding.Opened = id, opened
	i.open, i.seen, i.absent = true, t.steps, 0
}

// admit matches findings without an incident with incidents that they continue,
// and opens new incidents for the others.
func (t *tracker) admit(fresh []*detectors.Finding, now time.Time) {
	var lost map[likeness]*incident
	if len(fresh) > 0 {
		lost = t.lost()
	}
	for _, f := range fresh {
		if t.see(f) {
			continue // two of one identity
		}
		if len(lost) > 0 {
			like := likenessOf(f)
			if i := lost[like]; i != nil {
				delete(lost, like)
				t.rename(i, f)
				continue
			}
		}
		t.open(f, now)
	}
}

func (t *tracker) rename(i *incident, f *detectors.Finding) {
	delete(t.tracked, i.identity)
	i.identity = f.Identity()
	t.tracked[i.identity] = i
	t.found(i, f)
}

// open opens an incident if there is room for one.
func (t *tracker) open(f *detectors.Finding, now time.Time) {
	if len(t.tracked) >= maxTracked {
		t.overflow++
		return
	}
	i := &incident{identity: f.Identity()}
	i.finding.ID, i.finding.Opened = newID(i.identity, now), now
	t.tracked[i.identity] = i
	t.incidents = append(t.incidents, i)
	t.found(i, f)
}

// A likeness is what stays the same when the stack of a fault changes a
// little: where the goroutines wait and where they were started.
type likeness struct{ detector, subject, user, entry string }

func likenessOf(f *detectors.Finding) likeness {
	return likeness{f.Detector, f.Subject, f.Stack.User().Function, f.Stack.Entry().Function}
}

// lost returns the open incidents whose fault was not found in this step, by
// their likeness. A finding without an incident that is like one continues it.
func (t *tracker) lost() map[likeness]*incident {
	lost := make(map[likeness]*incident)
	for _, i := range t.incidents {
		if i.open && i.seen != t.steps && i.finding.Stack.ID != goroutine.OtherStacks {
			lost[likenessOf(&i.finding)] = i
		}
	}
	return lost
}

func newID(identity detectors.Identity, opened time.Time) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %d", identity, opened.UnixNano())
	return fmt.Sprintf("%016x", h.Sum64())
}

// end closes incidents that have been absent for long enough, and forgets closed
// ones that are no longer needed.
func (t *tracker) end(ran map[string]bool, now time.Time) (events []detectors.Event) {
	for _, i := range t.incidents {
		if !i.open || i.seen == t.steps || !ran[i.identity.Detector] {
			continue
		}
		i.absent++
		if i.absent < absences {
			continue
		}
		events = t.close(events, i, now)
	}
	t.incidents = slices.DeleteFunc(t.incidents, t.forget)
	return events
}

// close ends an incident, and reports its end if it was reported as open.
func (t *tracker) close(events []detectors.Event, i *incident, now time.Time) []detectors.Event {
	i.open, i.closed = false, t.elapsed
	if !i.told {
		return events
	}
	i.told = false
	return append(events, t.event(detectors.Resolved, i, now))
}

// forget drops i unless it is open or keeps its turn.
func (t *tracker) forget(i *incident) bool {
	if i.open || i.turn && t.elapsed-i.closed < cooldown {
		return false
	}
	delete(t.tracked, i.identity)
	return true
}

// repeat adds events for incidents that are worse, back again, or open for a
// long time.
func (t *tracker) repeat(events []detectors.Event, now time.Time) []detectors.Event {
	for _, i := range t.incidents {
		if !i.turn || i.seen != t.steps || !t.due(i) {
			continue
		}
		if !i.told {
			i.told, i.opening = true, t.elapsed
		}
		events = append(events, t.event(detectors.Repeated, i, now))
	}
	return events
}

// due decides whether the newest finding of i is worth an event.
func (t *tracker) due(i *incident) bool {
	if !i.told { // it was over, and is back
		return t.elapsed-i.opening >= cooldown
	}
	return i.finding.Confidence > i.confidence ||
		i.finding.Count/growth >= i.count ||
		t.elapsed-i.reported >= repeatEvery
}

// report gives the free turns to the worst incidents without one. It returns how
// many are left without a turn, and the worst of them.
func (t *tracker) report(events []detectors.Event, now time.Time) (_ []detectors.Event, left int, worst *incident) {
	free := maxReported
	var waiting []*incident
	for _, i := range t.incidents {
		if i.turn {
			free--
		} else {
			waiting = append(waiting, i)
		}
	}
	slices.SortStableFunc(waiting, worstFirst)
	for len(waiting) > 0 && free > 0 {
		i := waiting[0]
		i.turn, i.told, i.opening = true, true, t.elapsed
		events = append(events, t.event(detectors.Detected, i, now))
		waiting, free = waiting[1:], free-1
	}
	if len(waiting) > 0 {
		worst = waiting[0]
	}
	return events, len(waiting), worst
}

func worstFirst(a, b *incident) int {
	return cmp.Or(
		cmp.Compare(b.finding.Confidence, a.finding.Confidence),
		cmp.Compare(b.finding.Count, a.finding.Count),
	)
}

// summarize adds an event with the number of incidents that are not reported,
// when it has changed.
func (t *tracker) summarize(events []detectors.Event, left int, worst *incident, now time.Time) []detectors.Event {
	n := left + t.overflow
	if n == t.summary || t.summed && t.elapsed-t.summarized < summaryEvery {
		return events
	}
	t.summary, t.summarized, t.summed = n, t.elapsed, true
	e := detectors.Event{Kind: detectors.Suppressed, Time: now, Suppressed: n}
	if worst != nil {
		e.Finding = worst.finding
	}
	return append(events, e)
}

// event returns an event about i and records what it reported.
func (t *tracker) event(kind detectors.Kind, i *incident, now time.Time) detectors.Event {
	i.reported = t.elapsed
	i.count = max(1, i.count, i.finding.Count)
	i.confidence = max(i.confidence, i.finding.Confidence)
	return detectors.Event{Kind: kind, Time: now, Finding: i.finding}
}
