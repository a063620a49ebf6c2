// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/otelgoroutine/go/detectors"
)

const (
	// absences is after how many snapshots in a row without its finding an
	// incident is resolved: a goroutine that is about to be scheduled, or
	// a proof that flaps, is missing in one or two.
	absences = 3

	// repeatEvery is how often an incident that has not become worse is reported
	// again: often enough for a person who comes on call, rarely enough not to be
	// filtered out. It holds while its detector finds it; and while its goroutines
	// are seen to stand, if it is an error: an outage goes on until they leave.
	repeatEvery = time.Hour

	// repeatKept is how often another incident is reported again whose goroutines
	// stand but which its detector no longer finds: a leak that has stopped growing
	// does no new harm.
	repeatKept = 8 * time.Hour

	// A finding that is only information about goroutines that stand is told once: what
	// is no fault and does not change needs no reminder.

	// growth is the factor by which the count must have grown since the last
	// report for the incident to be reported again, and growthEvery the minimum
	// time since then. A queue that fills up doubles every few minutes, which
	// changes nothing about what to do.
	growth      = 10
	growthEvery = 30 * time.Minute

	// settle is the minimum time since the last report for an incident to be
	// reported again because a detector that explains more has found it, without
	// a higher severity.
	settle = 5 * time.Minute

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
	yields    yielding
	company   *company
	absence   time.Duration // how long an incident must be absent at least
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
	finding  detectors.Finding // what is true of it now
	identity detectors.Identity
	seen     uint64        // step of the last finding
	absent   int           // checks in a row without one
	missed   time.Duration // when the first of these was

	last      detectors.Finding // as it was last found
	found     time.Time         // when that was
	since     time.Time         // since when the condition has held, at least
	stand     *stand            // its goroutines; nil unless it stands
	standing  bool              // some of them are where they were, as the newest snapshot shows
	spots     []spot            // its places, as far as its number of goroutines covers them
	uncounted int               // how many goroutines there the detector did not count

	// into is the incident of which this one has turned out to be a part; nil if it
	// is one of its own. It is not shown any more, and ends with the other.
	into *incident

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
	detector   string
}

func newTracker(y yielding) *tracker {
	return &tracker{yields: y, company: newCompany(), tracked: make(map[detectors.Identity]*incident)}
}

// A pass is what a tracker is told about one snapshot.
type pass struct {
	findings []detectors.Finding
	judged   map[string]string             // by detector that was to run: why it could not judge, as a clause; empty if it did
	view     *view                         // nil when the snapshot is not newer than the one before
	excluded map[detectors.Identity]string // by a known stack of the user, which it names; not among the findings
	now      time.Time
}

// step takes the findings of one snapshot and returns the events about them:
// ended incidents first, then those already open, then new ones.
//
// The incidents of a detector that did not judge, for lack of IDs or of history or
// after an error, are not ended by that; its findings still count. Several findings
// of one identity count as the largest of them. A time that is earlier than in the
// step before counts as no time having passed.
func (t *tracker) step(p *pass) []detectors.Event {
	t.advance(p.now)
	events := t.exclude(p)
	parts := t.match(p)
	events = append(events, t.end(p)...)
	for _, part := range parts {
		if part.of.seen != t.steps && part.of.open {
			part.join(&part.of.finding, part.finding)
		}
	}
	events = t.repeat(events, p.now)
	events, left, worst := t.report(events, p.now)
	return t.summarize(events, left, worst, p.now)
}

// findings returns those of the open incidents, including those that are not
// reported one by one, in the order of their opening.
func (t *tracker) findings() []detectors.Finding {
	var open []detectors.Finding
	for _, i := range t.incidents {
		if i.open && i.into == nil {
			open = append(open, i.finding)
		}
	}
	return open
}

// unexplained returns the candidates at whose places there is no open incident.
func (t *tracker) unexplained(all []detectors.Candidate) []detectors.Candidate {
	return slices.DeleteFunc(all, func(c detectors.Candidate) bool {
		return slices.ContainsFunc(t.incidents, func(i *incident) bool {
			return i.open && slices.ContainsFunc(spotsOf(&i.last, anyRole), func(s spot) bool { return s.has(c.Stack.ID, c.State) })
		})
	})
}

// resolveAll ends every open incident at once.
func (t *tracker) resolveAll(now time.Time) (events []detectors.Event) {
	t.advance(now)
	for _, i := range t.incidents {
		if i.open {
			i.ended("The process has ended.")
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

// A part is a finding of this step that belongs to an open incident.
type part struct {
	of      *incident
	finding *detectors.Finding
	join    func(whole, part *detectors.Finding)
}

// match finds the incidents of the findings of a step, opens new ones, and makes
// those that are about the same goroutines one. It returns the findings that are
// part of an incident that itself was not found.
func (t *tracker) match(p *pass) (parts []part) {
	all, kept := t.candidates(p.findings)
	host := t.yields.hosts(all, p.view)
	yields := slices.Clone(host)
	t.company.hosts(all, host, t.yields, p.view)
	outgrown(all, kept, host)
	var fresh []int
	for k := range p.findings {
		if host[k] == k && !t.see(all[k], p) {
			fresh = append(fresh, k)
		}
	}
	t.admit(fresh, all, firstParts(host, kept), p)
	of := func(k int) *incident {
		if i := kept[k]; i != nil {
			return i
		}
		return t.tracked[all[k].Identity()]
	}
	for k, h := range host {
		if h == k {
			continue
		}
		own, whole := of(k), of(h)
		if whole == nil || own == whole {
			continue // there was no room, or it was continued
		}
		if own != nil {
			own.into = whole
		}
		if kept[k] == nil {
			join := absorb
			if yields[k] != h {
				join = accompany
			}
			parts = append(parts, part{whole, all[k], join})
		}
	}
	return parts
}

// outgrown makes an incident that stands and was not found part of a finding of the same
// detector that lists all of its goroutines and is as certain: a queue that was told by
// itself, and has become part of a larger one.
func outgrown(all []*detectors.Finding, kept map[int]*incident, host []int) {
	if len(kept) == 0 {
		return
	}
	found := newRegister(all[:len(all)-len(kept)])
	for k, i := range kept {
		f := &i.last
		if host[k] != k || !f.Stands {
			continue
		}
		ids := idsOf(f, anyRole)
		for _, h := range found.overlapping(f) {
			g := all[h]
			if host[h] == h && g.Detector == f.Detector && g.Confidence >= f.Confidence && len(ids) > 0 && common(ids, idsOf(g, anyRole)) == len(ids) {
				host[k] = h
				break
			}
		}
	}
}

// candidates returns the findings of a step, and those of the open incidents that
// were not found in it; these incidents by the index of their finding.
func (t *tracker) candidates(findings []detectors.Finding) (all []*detectors.Finding, kept map[int]*incident) {
	for k := range findings {
		all = append(all, &findings[k])
	}
	mayMerge := func(i *incident) bool { return i.open && i.into == nil && (len(t.yields) > 0 || i.last.Stands) }
	if !slices.ContainsFunc(t.incidents, mayMerge) {
		return all, nil
	}
	found := make(map[detectors.Identity]bool)
	for k := range findings {
		found[findings[k].Identity()] = true
	}
	kept = make(map[int]*incident)
	for _, i := range t.incidents {
		if mayMerge(i) && !found[i.identity] {
			kept[len(all)] = i
			all = append(all, &i.last)
		}
	}
	return all, kept
}

// firstParts returns, for each finding, the first of the open incidents that turned
// out to be part of it: if the finding is new, it continues that one.
func firstParts(host []int, kept map[int]*incident) map[int]*incident {
	first := make(map[int]*incident)
	for k := len(host) - 1; k >= 0 && len(kept) > 0; k-- {
		if i := kept[k]; i != nil && host[k] != k {
			first[host[k]] = i
		}
	}
	return first
}

// see updates the incident of a finding, and reports whether there is one.
func (t *tracker) see(f *detectors.Finding, p *pass) bool {
	i := t.tracked[f.Identity()]
	if i == nil {
		return false
	}
	if i.seen != t.steps || i.finding.Count < f.Count {
		t.found(i, f, p)
	}
	return true
}

func (t *tracker) found(i *incident, f *detectors.Finding, p *pass) {
	id, opened, before := i.finding.ID, i.finding.Opened, i.found
	i.finding = *f
	i.finding.ID, i.finding.Opened = id, opened
	if !i.open {
		i.since = time.Time{}
	}
	i.lasts(before, p.view, p.now)
	i.open, i.seen, i.absent, i.into, i.standing = true, t.steps, 0, nil, false
	i.last, i.found, i.stand, i.uncounted = i.finding, p.now, nil, 0
	i.spots = spotsOf(f, counted)
	if p.view == nil {
		return
	}
	if own := i.spots[:min(1, len(i.spots))]; p.view.count(own) >= f.Count {
		i.spots = own // the number is that of its own place
	}
	i.uncounted = max(0, p.view.count(i.spots)-f.Count)
	if f.Stands {
		i.stand = newStand(f, p.view)
	}
}

// admit matches findings without an incident with incidents that they continue,
// and opens new incidents for the others. See firstParts for weaker.
func (t *tracker) admit(fresh []int, all []*detectors.Finding, weaker map[int]*incident, p *pass) {
	if len(fresh) == 0 {
		return
	}
	lost := t.lost()
	for _, k := range fresh {
		f := all[k]
		if t.see(f, p) {
			continue // two of one identity
		}
		i := lost.continued(f)
		if i == nil {
			i = weaker[k]
		}
		if i != nil && i.seen != t.steps {
			t.rename(i, f, p)
		} else {
			t.open(f, p)
		}
	}
}

func (t *tracker) rename(i *incident, f *detectors.Finding, p *pass) {
	delete(t.tracked, i.identity)
	if i.identity.Detector != f.Detector {
		i.since = time.Time{} // it is another condition
	}
	i.identity = f.Identity()
	t.tracked[i.identity] = i
	t.found(i, f, p)
}

// open opens an incident if there is room for one.
func (t *tracker) open(f *detectors.Finding, p *pass) {
	if len(t.tracked) >= maxTracked {
		t.overflow++
		return
	}
	i := &incident{identity: f.Identity()}
	i.finding.ID, i.finding.Opened = newID(i.identity, p.now), p.now
	t.tracked[i.identity] = i
	t.incidents = append(t.incidents, i)
	t.found(i, f, p)
}

// A likeness is what stays the same when the stack of a fault changes a
// little: where the goroutines wait and where they were started.
type likeness struct{ detector, subject, user, entry string }

func likenessOf(f *detectors.Finding) likeness {
	return likeness{f.Detector, f.Subject, f.Stack.User().Function, f.Stack.Entry().Function}
}

// A losses finds open incidents whose fault was not found in a step. A finding
// without an incident that is like one continues it; so does one about the same
// goroutines, if these stand.
type losses struct {
	alike    map[likeness]*incident
	standing []*incident
	register *register // of their findings
	taken    map[*incident]bool
}

func (t *tracker) lost() *losses {
	l := &losses{alike: make(map[likeness]*incident), taken: make(map[*incident]bool)}
	var findings []*detectors.Finding
	for _, i := range t.incidents {
		if i.open && i.into == nil && i.seen != t.steps && !wide(&i.last) {
			l.alike[likenessOf(&i.last)] = i
			if i.last.Stands {
				l.standing, findings = append(l.standing, i), append(findings, &i.last)
			}
		}
	}
	l.register = newRegister(findings)
	return l
}

// continued returns the incident that a finding continues, or nil.
func (l *losses) continued(f *detectors.Finding) *incident {
	if len(l.alike) == 0 {
		return nil
	}
	i := l.alike[likenessOf(f)]
	for _, k := range l.register.overlapping(f) {
		if other := l.standing[k]; i == nil && other.identity.Detector == f.Detector && (other.last.Subject == f.Subject || shared(&other.last, f)) {
			i = other
		}
	}
	if i == nil || l.taken[i] {
		return nil
	}
	l.taken[i] = true
	return i
}

// shared reports whether two findings list a goroutine in common.
func shared(a, b *detectors.Finding) bool { return common(idsOf(a, anyRole), idsOf(b, anyRole)) > 0 }

func newID(identity detectors.Identity, opened time.Time) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %d", identity, opened.UnixNano())
	return fmt.Sprintf("%016x", h.Sum64())
}

// end closes incidents that are over, brings the others that were not found up to
// date, and forgets closed ones that are no longer needed.
func (t *tracker) end(p *pass) (events []detectors.Event) {
	for _, i := range t.incidents {
		if i.open && i.into == nil && i.seen != t.steps && t.over(i, p) {
			events = t.close(events, i, p.now)
		}
	}
	for _, i := range t.incidents {
		if i.open && i.into != nil && !i.whole().open {
			i.ended(fmt.Sprintf("It was part of incident %s, which has ended.", i.whole().finding.ID))
			events = t.close(events, i, p.now)
		}
	}
	t.incidents = slices.DeleteFunc(t.incidents, t.forget)
	return events
}

// exclude closes incidents of which it was decided late that they are excluded, as when
// the dump that decides was refused at first. What was part of one is on its own again:
// the exclusion is not about it.
func (t *tracker) exclude(p *pass) (events []detectors.Event) {
	if len(p.excluded) == 0 {
		return nil
	}
	for _, i := range t.incidents {
		name, ok := p.excluded[i.identity]
		if !ok || !i.open {
			continue
		}
		for _, part := range t.incidents {
			if part.into == i {
				part.into = nil
			}
		}
		i.into = nil
		i.ended(fmt.Sprintf("It is excluded by the known stack %s.", name))
		events = t.close(events, i, p.now)
	}
	return events
}

// whole returns the incident that i is part of.
func (i *incident) whole() *incident {
	for i.into != nil {
		i = i.into
	}
	return i
}

// over reports whether an incident that was not found is over, and says what is
// true now. One that stands is over when its goroutines have left, whatever its
// detector says; any other when it is missing in several passes in which its
// detector judged, or in which there was no goroutine at its places.
func (t *tracker) over(i *incident, p *pass) bool {
	i.standing = false
	why, ran := p.judged[i.identity.Detector]
	switch {
	case i.stand != nil:
		if p.view == nil || !i.follow(p.view, p.now) {
			return false
		}
		i.left(p.view)
		return true
	case ran && why == "" || i.vacant(p.view):
		if i.absent++; i.absent == 1 {
			i.missed = t.elapsed
		}
		if i.absent >= absences && t.elapsed-i.missed >= t.absence {
			i.vanished(p.view, p.now)
			return true
		}
	case !ran:
		why = "its detector did not run"
	}
	if p.view != nil {
		i.finding = i.last
		i.finding.Unjudged = why
		i.refresh(p.view, p.now)
	}
	return false
}

// close ends an incident, and reports its end if it was reported as open.
func (t *tracker) close(events []detectors.Event, i *incident, now time.Time) []detectors.Event {
	i.open, i.closed, i.standing = false, t.elapsed, false
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
		current := i.seen == t.steps || i.standing
		if !i.turn || !i.open || i.into != nil || !current || !t.due(i) {
			continue
		}
		if !i.told {
			i.told, i.opening = true, t.elapsed
		}
		events = append(events, t.event(detectors.Repeated, i, now))
	}
	return events
}

// due decides whether what is known of i now is worth an event.
func (t *tracker) due(i *incident) bool {
	if !i.told { // it was over, and is back
		return t.elapsed-i.opening >= cooldown
	}
	f, ago := &i.finding, t.elapsed-i.reported
	every := repeatEvery
	if i.standing && f.Confidence.Severity() != detectors.SeverityError {
		every = repeatKept
	}
	return f.Confidence > i.confidence && f.Confidence.Severity() != i.confidence.Severity() ||
		f.Detector != i.detector && ago >= settle ||
		f.Count/growth >= i.count && ago >= growthEvery ||
		ago >= every && !(f.Stands && f.Confidence.Severity() == detectors.SeverityInfo)
}

// report gives the free turns to the worst incidents without one. It returns how
// many are left without a turn, and the worst of them.
func (t *tracker) report(events []detectors.Event, now time.Time) (_ []detectors.Event, left int, worst *incident) {
	free := maxReported
	var waiting []*incident
	for _, i := range t.incidents {
		if i.turn {
			free--
		} else if i.into == nil {
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
	i.detector = i.finding.Detector
	return detectors.Event{Kind: kind, Time: now, Finding: i.finding}
}
