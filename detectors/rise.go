package detectors

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
	"github.com/otelgoroutine/go/internal/words"
)

// A search looks for places where the number of goroutines that stay keeps
// growing.
type search struct {
	LeakConfig
	*places.Series
	first   int // the snapshot where the search begins
	windows []Window
	window  *goroutine.Snapshot // the latest trace window; may be nil
	trials  []trial
}

// A trial is an age limit and a span of time to judge with it, given by Steps+1
// points.
type trial struct {
	age     time.Duration
	points  []point
	minRise int
}

// A point pairs a snapshot with the earlier time that it is compared with:
// goroutines counted in the snapshot have been there since that time. Spans are
// measured between these earlier times. Older snapshots are further apart, and
// so are the times that later snapshots can be compared with.
type point struct {
	snapshot int
	since    time.Time
}

func (t *trial) start() time.Time { return t.points[0].since }

// length returns the length of the span.
func (t *trial) length() time.Duration { return t.points[len(t.points)-1].since.Sub(t.start()) }

// newTrials returns the trials that the snapshots allow, by age limit and then
// by span, lowest first.
func (r *search) newTrials(started time.Time) (all []trial) {
	for age := r.MinAge; age <= r.MaxAge; age *= 2 {
		known, fewer := r.moments(age), len(all)
		for scale := 1; scale <= longest; scale *= 2 {
			points := r.pick(known, time.Duration(scale)*r.Window)
			if points != nil && !points[0].since.Before(started.Add(r.Warmup)) {
				all = append(all, trial{age, points, scale * r.MinRise})
			}
		}
		if len(all) == fewer {
			break // a higher age limit needs even more time
		}
	}
	return all
}

// longest reports whether the span is one of the longest that are tried.
func (r *search) longest(t trial) bool { return t.minRise == longest*r.MinRise }

// patient returns a search over the longest spans only, which requires a rise in
// every step.
func (r *search) patient() *search {
	p := *r
	p.MinSteps = r.Steps
	p.trials = slices.DeleteFunc(slices.Clone(r.trials), func(t trial) bool { return !r.longest(t) })
	return &p
}

// moments returns one point for each earlier time that snapshots can be compared
// with. Its snapshot is the first one compared with that time; for the last time
// it is the newest snapshot.
func (r *search) moments(age time.Duration) []point {
	var known []point
	for i, b := range r.Before(age) {
		if b >= r.first && (len(known) == 0 || r.Time(b).After(known[len(known)-1].since)) {
			known = append(known, point{i, r.Time(b)})
		}
	}
	if len(known) > 0 {
		known[len(known)-1].snapshot = r.Last()
	}
	return known
}

// pick returns points that divide the last w evenly. If the points are too far
// apart for that, it reaches back further. It returns nil when known does not
// reach back far enough.
func (r *search) pick(known []point, w time.Duration) []point {
	last := len(known) - 1
	if last < r.Steps {
		return nil
	}
	first := min(nearest(known, known[last].since.Add(-w)), last-r.Steps)
	for first > 0 && known[last].since.Sub(known[first].since) < w {
		first--
	}
	total := known[last].since.Sub(known[first].since)
	if total < w {
		return nil
	}
	picked := []point{known[first]}
	for i, at := 1, first; i < r.Steps; i++ {
		want := known[first].since.Add(total / time.Duration(r.Steps) * time.Duration(i))
		at = min(max(nearest(known, want), at+1), last-r.Steps+i)
		picked = append(picked, known[at])
	}
	return append(picked, known[last])
}

func nearest(known []point, t time.Time) int {
	best := 0
	for i, p := range known {
		if p.since.Sub(t).Abs() < known[best].since.Sub(t).Abs() {
			best = i
		}
	}
	return best
}

// judge returns a finding for each place that leaks.
func (r *search) judge(all []*places.Place) (found findings) {
	for _, pl := range all {
		if !r.mayRise(pl) {
			continue
		}
		if f, ok := r.judgePlace(pl); ok {
			found = append(found, f)
		}
	}
	return found
}

// mayRise reports whether a place may have enough new goroutines that have
// stayed for long enough. Few places do, and checking is far cheaper than
// judging.
func (r *search) mayRise(pl *places.Place) bool {
	for _, t := range r.trials {
		from := r.Newest().EpochAt(t.start())
		until := r.Newest().EpochAt(r.Time(r.Before(t.age)[r.Last()])) + 1 // the epoch that was open then
		if 2*pl.Born(from, until) >= t.minRise || 2*r.started(pl, t) >= t.minRise {
			return true
		}
	}
	return false
}

// started returns how many more goroutines with the entry function of a place
// there are than at the start of a trial.
func (r *search) started(pl *places.Place, t trial) int {
	return r.StartedWith(pl.Entry(), r.Last()) - r.StartedWith(pl.Entry(), t.points[0].snapshot)
}

func (r *search) judgePlace(pl *places.Place) (Finding, bool) {
	var st *places.Standing
	for i, t := range r.trials {
		if i == 0 || t.age != r.trials[i-1].age {
			st = pl.StandingFor(t.age, r.first)
		}
		if r.moveOn(st) {
			continue
		}
		rise := rise{search: r, Standing: st, trial: t, place: pl}
		if rise.leaks() && (len(rise.woken) == 0 || r.longest(t)) {
			return rise.finding(), true
		}
	}
	return Finding{}, false
}

// moveOn reports whether too many of the goroutines that stayed were away
// temporarily.
func (c LeakConfig) moveOn(st *places.Standing) bool {
	if c.MaxAway == 0 {
		return st.Away > 0
	}
	return float64(st.Away+1) > c.MaxAway*float64(st.Stood)
}

// A rise is the result of one trial at one place.
type rise struct {
	*search
	*places.Standing
	trial
	place *places.Place
	gone  int
	born  int      // of those that stay, how many were born since the span began
	woken []uint64 // IDs of goroutines of the rise that other goroutines wake
	why   string   // why its goroutines are new; empty if they are not
}

// leaks reports whether the rise is a leak. It also sets gone, born, woken and
// why.
func (r *rise) leaks() bool {
	if r.total() < r.minRise || r.risen() < r.MinSteps {
		return false
	}
	if r.gone = r.Gone(); float64(r.gone) > r.MaxExits*float64(r.total()) {
		return false
	}
	r.born = r.BornAfter(r.start())
	r.woken = r.wokenAndBack()
	r.why = r.whyNew()
	return r.why != ""
}

// half reports whether n goroutines are half of the rise.
func (r *rise) half(n int) bool { return 2*n >= r.total() }

// wokenAndBack returns the IDs of goroutines that another goroutine woke in a
// trace window since the rise began, and that have returned to the place. If at
// least half of the rise was born since then, only goroutines born since then
// are returned. A woken goroutine must have returned if the goroutines of its
// epoch are the same as before.
func (r *rise) wokenAndBack() (ids []uint64) {
	newborn := r.half(r.born)
	for i := range r.windows {
		w := &r.windows[i]
		before := r.At(w.Time)
		if before < r.first || w.Time.Before(r.start()) {
			continue
		}
		for _, id := range r.place.Woken(w.Fed) {
			if r.Unchanged(id, before) && (!newborn || r.YoungerThan(r.start(), id)) {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (r *rise) at(p point) int { return r.Counts[p.snapshot] }
func (r *rise) now() int       { return r.Counts[r.Last()] }
func (r *rise) total() int     { return r.now() - r.at(r.points[0]) }

// risen returns the number of steps with at least half of the growth of an even
// rise. Smaller steps do not count: a pool may grow once and have a straggler in
// every other step.
func (r *rise) risen() (n int) {
	for i := 1; i < len(r.points); i++ {
		a, b := r.points[i-1], r.points[i]
		share := float64(b.since.Sub(a.since)) / float64(r.length())
		if float64(r.at(b)-r.at(a)) >= share/2*float64(r.total()) {
			n++
		}
	}
	return n
}

func (r *rise) finding() Finding {
	f := found(Suspected, r.place, r.Last())
	f.Stands = true
	f.Count = r.now()
	f.GrowthPerMinute = float64(r.total()) / r.length().Minutes()
	f.Age = r.length()
	f.IDs = slices.DeleteFunc(f.IDs, func(id uint64) bool { return !r.Stands(id) })
	gone := "none"
	if r.gone > 0 {
		gone = fmt.Sprintf("only %d", r.gone)
	}
	f.Message = fmt.Sprintf("%s at %s %s blocked in %s, %s more every minute; %s exited or moved on in %s.",
		goroutines(f.Count), where(f.Stack), verb(f.Count, "is", "are"), f.State, perMinute(f.GrowthPerMinute), gone, words.Span(r.Ago(r.first)))
	f.note("%s %s stood here for at least %s; %s ago there were %d.",
		goroutines(f.Count), verb(f.Count, "has", "have"), words.Span(r.age), words.Span(r.Ago(r.points[0].snapshot)), r.at(r.points[0]))
	f.note("The number rose in %d of %d steps of %s: %s.",
		r.risen(), len(r.points)-1, words.Span(r.length()/time.Duration(len(r.points)-1)), r.course())
	f.note("%s", r.why)
	if others := r.place.Now() - f.Count; others > 0 {
		f.note("%d more %s here and not counted: younger, or moving on.", others, verb(others, "is", "are"))
	}
	if n := r.place.Stacks(); n > 1 {
		f.note("They got here by %d different call paths; the stack shown is the most frequent one.", n)
	}
	f.advise()
	r.noteWoken(&f)
	return f
}

// whyNew returns a sentence that says why the goroutines of the rise are new in
// the process. It returns "" when they are not.
func (r *rise) whyNew() string {
	if r.half(r.born) {
		return fmt.Sprintf("%d of them %s born within the last %s.", r.born, verb(r.born, "was", "were"), words.Span(r.Newest().Time.Sub(r.start())))
	}
	if started := r.started(r.place, r.trial); r.half(started) {
		entry := r.place.Entry()
		is := r.StartedWith(entry, r.Last())
		return fmt.Sprintf("The number of goroutines started with %s rose from %d to %d, wherever they are now.", entry, is-started, is)
	}
	return ""
}

// noteWoken notes whether other goroutines still wake them. If so, they may
// belong to a healthy population that grows for hours.
func (r *rise) noteWoken(f *Finding) {
	n := windowsSince(r.windows, r.start())
	switch {
	case len(r.woken) > 0:
		f.Confidence = Medium
		f.note("Other goroutines still wake %d of them now and then; they return and never exit, like forgotten listeners or clients that stay for hours.", len(r.woken))
	case r.timed():
		f.note("A timer wakes them: in a trace window no goroutine woke any of them, and the runtime did.")
		f.Advice = adviceTimer
	case n > 0:
		f.note("In %s no goroutine woke any of them.", plural(n, "trace window"))
	}
}

// timed reports whether the latest trace window shows that the runtime wakes
// goroutines of the place, and no goroutine does: there, only a timer is left.
func (r *rise) timed() bool {
	if r.window == nil || r.window.Time.Before(r.start()) {
		return false
	}
	woken := 0
	for i := range r.window.Movements {
		if m := &r.window.Movements[i]; m.Key() == r.place.Key {
			if len(m.Fed) > 0 {
				return false
			}
			woken += m.Woken
		}
	}
	return woken > 0
}

func (r *rise) course() string {
	var numbers []string
	for _, p := range r.points {
		numbers = append(numbers, strconv.Itoa(r.at(p)))
	}
	return strings.Join(numbers, ", ")
}
