// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
	"github.com/otelgoroutine/go/internal/words"
)

// A Candidate is a place that a detector suspects without a verdict yet. It is
// information for people who watch the process: it is shown beside the findings
// and never told as an event. Most candidates of a process that has just started
// are sound.
type Candidate struct {
	// Stack, State: where the goroutines are. Stack must not be nil.
	Stack *goroutine.Stack
	State goroutine.State

	Count           int           // number of goroutines there that are suspected; at least 1
	GrowthPerMinute float64       // in goroutines per minute; 0 when the number does not grow
	Age             time.Duration // minimum duration of the condition
	Exits           int           // how many of the goroutines there exited or moved on, as far as was seen

	// VerdictAt is the earliest time at which a finding is possible if it goes on like
	// this. It is zero when that is not known, and in the future otherwise.
	VerdictAt time.Time

	// Missing says what else is missing for a verdict, as a clause without a full
	// stop; may be empty.
	Missing string
}

// String returns c in one clause: "main.handler.func1 (main.go:12): +40/min, 120
// goroutines, no exits; a verdict is possible at 05:40 UTC".
func (c Candidate) String() string {
	said := []string{goroutines(c.Count)}
	if c.GrowthPerMinute > 0 {
		said = []string{"+" + perMinute(c.GrowthPerMinute) + "/min", goroutines(c.Count)}
	}
	exits := "no exits"
	if c.Exits > 0 {
		exits = plural(c.Exits, "exit")
	}
	text := where(c.Stack) + ": " + strings.Join(append(said, exits), ", ")
	if !c.VerdictAt.IsZero() {
		text += "; a verdict is possible at " + words.Clock(c.VerdictAt)
	}
	if c.Missing != "" {
		text += "; " + c.Missing
	}
	return text
}

// candidate calls Candidate, which a pass that was built by hand lacks.
func (p *Pass) candidate(c Candidate) {
	if p.Candidate != nil {
		p.Candidate(c)
	}
}

// What makes a rising place a candidate of the detector "leak". The values ask for
// less than a verdict does: a candidate is told to people who look, not to people on
// call.
const (
	// candidateAge is the share of MinAge that a goroutine must have stayed for: a
	// minute by default, longer than nearly all requests.
	candidateAge = 5
	// candidateSpan is the number of such ages over which the number must rise: three
	// minutes by default, so that the candidates of a process show after five.
	candidateSpan = 3
	// candidateParts is in how many parts of that time it must rise in each: a burst
	// rises in one.
	candidateParts = 3
	// candidatePlaces is how many places are examined at most, those with the most
	// new goroutines first.
	candidatePlaces = 20
)

// candidates names those of places whose number of goroutines keeps growing although
// the detector cannot judge them yet: the history is too short for a window, or
// something else is missing. ours reports whether the detector judges a place; it is
// asked last. Those that have become findings are left out by the engine.
func (c LeakConfig) candidates(p *Pass, all []*places.Place, ours func(*places.Place) bool, h haste) {
	s := p.places()
	age := c.MinAge / candidateAge
	first := s.Back(c.Window)
	from, until := s.Newest().EpochAt(s.Time(first)), s.Newest().EpochAt(s.Newest().Time.Add(-age))+1
	born := func(pl *places.Place) int { return pl.Born(from, until) }
	all = slices.DeleteFunc(all, func(pl *places.Place) bool { return 2*born(pl) < c.MinRise })
	slices.SortStableFunc(all, func(a, b *places.Place) int { return cmp.Compare(born(b), born(a)) })
	for _, pl := range all[:min(len(all), candidatePlaces)] {
		if !ours(pl) {
			continue
		}
		if candidate, ok := c.suspect(p, pl, first, age, h); ok {
			p.candidate(candidate)
		}
	}
}

// A haste is which trials a detector has besides those of [search.newTrials].
type haste struct {
	steep bool // those of [search.steepTrials]
	slow  bool // that of a slow rise over the longest span, of [search.strictTrials]
}

// timed reports whether it is known that goroutines at a place may wait for a timer:
// what grows there is no leak, but may be a growth.
func (p *Pass) timed(pl *places.Place) bool {
	may, _ := mayBeTimed(p.Timers, pl)
	return may
}

// suspect returns the candidate for a place, from snapshot first on, of goroutines
// that have stayed for age.
func (c LeakConfig) suspect(p *Pass, pl *places.Place, first int, age time.Duration, h haste) (Candidate, bool) {
	s, st := pl.Series, pl.StandingFor(age, first)
	from := max(first, s.From(s.Time(first).Add(age))) // before that, no goroutine can be seen to have stayed
	r := keepsRising(s, func(i int) int { return st.Counts[i] }, from, s.Last(), candidateSpan*age, c.MinRise)
	if r == nil || c.moveOn(st) || 2*st.BornAfter(s.Time(r.since).Add(-age)) < r.total {
		return Candidate{}, false
	}
	gone := st.Gone()
	if float64(gone) > c.MaxExits*float64(r.total) {
		return Candidate{}, false
	}
	found := Candidate{
		Stack: pl.Stack, State: pl.State, Count: st.Counts[s.Last()], GrowthPerMinute: r.perMinute(), Age: s.Ago(r.since), Exits: gone,
	}
	onset, now := s.Time(r.since).Add(-age), s.Newest().Time
	found.VerdictAt = c.soonest(p.Started, onset, now, found.GrowthPerMinute, h)
	switch {
	case !found.VerdictAt.IsZero():
	case c.soonest(p.Started, now, now, found.GrowthPerMinute, h).IsZero():
		found.Missing = "it grows too slowly for a verdict"
	default:
		found.Missing = "a verdict needs a growth that stays even, or trace windows"
	}
	return found, true
}

// soonest returns the earliest time after now of a verdict about a growth that began at
// onset and goes on at a rate; zero when there is none. A trial's span must be filled,
// because old snapshots are further apart than its steps, and the rise in it must be large
// enough. Spans of ordinary trials lie after the warm-up. The time is rounded up to the
// minute.
func (c LeakConfig) soonest(started, onset, now time.Time, perMinute float64, h haste) (earliest time.Time) {
	try := func(begin time.Time, span, age time.Duration, rise int) {
		if perMinute*span.Minutes() < float64(rise) {
			return
		}
		if t := c.roundUp(begin.Add(span + age)); t.After(now) && (earliest.IsZero() || t.Before(earliest)) {
			earliest = t
		}
	}
	for _, s := range steep {
		if h.steep {
			try(onset, c.Window/time.Duration(s.part), c.MinAge/2, s.rise*c.MinRise)
		}
	}
	warm := started.Add(c.Warmup)
	if onset.After(warm) {
		warm = onset
	}
	try(warm, c.Window, c.MinAge, c.MinRise)
	if h.slow {
		try(onset, longest*c.Window, c.MinAge, c.slowRise())
	}
	return earliest
}

// roundUp rounds a time up to the minute; to the second in a demonstration, whose times
// are seconds.
func (c LeakConfig) roundUp(t time.Time) time.Time {
	unit := time.Minute
	if c.Window < 10*time.Minute {
		unit = time.Second
	}
	if up := t.Truncate(unit); up.Before(t) {
		return up.Add(unit)
	}
	return t
}

// A steady is a number that keeps rising.
type steady struct {
	since, until int           // the snapshots between which it does
	total        int           // by how much it rose
	over         time.Duration // in which time
}

func (r *steady) perMinute() float64 { return float64(r.total) / r.over.Minutes() }

// keepsRising returns the longest time up to snapshot until in which a number has been
// rising by at least least, evenly: in each third of the time by at least half of what
// an even rise would be. The times tried are span and longer ones, each by a quarter,
// back to snapshot from. It returns nil when there is none. A number that rose once,
// however much, does not keep rising.
func keepsRising(s *places.Series, count func(i int) int, from, until int, span time.Duration, least int) (last *steady) {
	if from >= until || s.Time(until).Sub(s.Time(from)) < span {
		return nil
	}
	for since := until; since > from; span += max(1, span/4) {
		since = max(from, s.At(s.Time(until).Add(-span)))
		if r := newSteady(s, count, since, until); r.total >= least && r.even(s, count) {
			last = r
		}
	}
	if last == nil {
		return nil
	}
	since := last.since // of the longest time, up to a quarter too early
	for since+2 < until && count(since+1) == count(since) {
		since++
	}
	return newSteady(s, count, since, until)
}

func newSteady(s *places.Series, count func(i int) int, since, until int) *steady {
	return &steady{since, until, count(until) - count(since), s.Time(until).Sub(s.Time(since))}
}

// even reports whether the number rose in each part of the time.
func (r *steady) even(s *places.Series, count func(i int) int) bool {
	before := r.since
	for part := 1; part <= candidateParts; part++ {
		next := s.At(s.Time(r.since).Add(r.over * time.Duration(part) / candidateParts))
		if 2*candidateParts*(count(next)-count(before)) < r.total {
			return false
		}
		before = next
	}
	return true
}
