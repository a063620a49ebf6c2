package detectors

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelgoroutine/go/internal/places"
)

// A search is for places at which those that stand become more.
type search struct {
	LeakConfig
	*places.Series
	first   int // snapshot to begin with
	windows []Window
	trials  []trial
}

// A trial is an age limit with a span of time in which it can be tried: a series
// of points, Steps+1 of them.
type trial struct {
	age     time.Duration
	points  []point
	minRise int
}

// A point stands for what was known in a snapshot: which goroutines had stood
// there since. Spans are measured in the latter, since snapshots further back
// are further apart, and so are the moments that later ones can be compared
// with.
type point struct {
	snapshot int
	since    time.Time
}

func (t *trial) start() time.Time { return t.points[0].since }

// length is how long the span is.
func (t *trial) length() time.Duration { return t.points[len(t.points)-1].since.Sub(t.start()) }

// newTrials returns what the snapshots allow to try, the lowest age limit and
// the shortest span first.
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
			break // a higher age limit needs more time still
		}
	}
	return all
}

// longest reports whether the span is one of the longest that are tried.
func (r *search) longest(t trial) bool { return t.minRise == longest*r.MinRise }

// patient returns a search over the longest spans alone, in all of whose steps
// the number must rise.
func (r *search) patient() *search {
	p := *r
	p.MinSteps = r.Steps
	p.trials = slices.DeleteFunc(slices.Clone(r.trials), func(t trial) bool { return !r.longest(t) })
	return &p
}

// moments returns one point for every moment that snapshots can be compared
// with: the first snapshot to know of it, and the newest one for the last.
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

// pick returns the points that divide the time back to w before the newest
// evenly. Where they are too far apart for that it reaches back further. It
// returns nil when they do not reach that far.
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

// mayRise tells the few places that may have new goroutines for long enough
// from the many that have not, at a fraction of the cost of judging them.
func (r *search) mayRise(pl *places.Place) bool {
	for _, t := range r.trials {
		from := r.Newest().EpochAt(t.start())
		until := r.Newest().EpochAt(r.Time(r.Before(t.age)[r.Last()])) + 1 // that may have been under way
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

// moveOn reports whether too many of those that stood were away for a while.
func (c LeakConfig) moveOn(st *places.Standing) bool {
	if c.MaxAway == 0 {
		return st.Away > 0
	}
	return float64(st.Away+1) > c.MaxAway*float64(st.Stood)
}

// A rise is what one trial says about one place.
type rise struct {
	*search
	*places.Standing
	trial
	place *places.Place
	gone  int
	born  int      // of those that stand, since the span began
	woken []uint64 // those of the rise that other goroutines wake now and then
	why   string   // the rise is of new goroutines
}

// leaks decides, and completes what is known about the rise.
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

// wokenAndBack returns those that stand and were woken by another goroutine in
// a trace window since the rise began, and are there again; where the rise is of
// newborn goroutines, of those only. Where none of an epoch is gone, whatever was
// woken came back.
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

// risen returns in how many steps the number rose by at least half of what an
// even rise would have. Less is not the same rise: a pool that grew once and
// a straggler in every other step.
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
	f.Count = r.now()
	f.GrowthPerMinute = float64(r.total()) / r.length().Minutes()
	f.Age = r.length()
	f.IDs = slices.DeleteFunc(f.IDs, func(id uint64) bool { return !r.Stands(id) })
	gone := "none"
	if r.gone > 0 {
		gone = fmt.Sprintf("only %d", r.gone)
	}
	f.Message = fmt.Sprintf("%s at %s %s stuck in %s: %s exited or moved on in %s; %s more every minute.",
		goroutines(f.Count), where(f.Stack), verb(f.Count, "is", "are"), f.State, gone, span(r.Ago(r.first)), perMinute(f.GrowthPerMinute))
	f.note("%s %s stood here for at least %s; %s ago there were %d.",
		goroutines(f.Count), verb(f.Count, "has", "have"), span(r.age), span(r.Ago(r.points[0].snapshot)), r.at(r.points[0]))
	f.note("The number rose in %d of %d steps of %s: %s.",
		r.risen(), len(r.points)-1, span(r.length()/time.Duration(len(r.points)-1)), r.course())
	f.note("%s", r.why)
	if others := r.place.Now() - f.Count; others > 0 {
		f.note("%s more %s here and not counted: younger, or moving on.", goroutines(others), verb(others, "is", "are"))
	}
	if n := r.place.Stacks(); n > 1 {
		f.note("They came here in %d different ways; the stack is the most frequent one.", n)
	}
	r.noteWoken(&f)
	f.Advice = adviceToWake(f.State)
	return f
}

// whyNew says why the goroutines of the rise are new in the process, or nothing
// when they are not.
func (r *rise) whyNew() string {
	if r.half(r.born) {
		return fmt.Sprintf("%d of them %s born within the last %s.", r.born, verb(r.born, "was", "were"), span(r.Newest().Time.Sub(r.start())))
	}
	if started := r.started(r.place, r.trial); r.half(started) {
		entry := r.place.Entry()
		is := r.StartedWith(entry, r.Last())
		return fmt.Sprintf("The goroutines started with %s went from %d to %d, whatever they do.", entry, is-started, is)
	}
	return ""
}

// noteWoken tells whether other goroutines still wake them. If so they may be
// members of a population that grows for hours.
func (r *rise) noteWoken(f *Finding) {
	n := windowsSince(r.windows, r.start())
	switch {
	case len(r.woken) > 0:
		f.Confidence = Medium
		f.note("Other goroutines still wake %d of them now and then; they come back and never end, as forgotten listeners do, and clients that stay for hours.", len(r.woken))
	case n > 0:
		f.note("In %s no goroutine woke one of them.", plural(n, "trace window"))
	}
}

func (r *rise) course() string {
	var numbers []string
	for _, p := range r.points {
		numbers = append(numbers, strconv.Itoa(r.at(p)))
	}
	return strings.Join(numbers, ", ")
}
