// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"fmt"
	"math"
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
	timers  func(*goroutine.Stack) (may, known bool) // may be nil
	known   func(*goroutine.Stack) bool              // see [Pass.Known]
	keeps   func(*goroutine.Stack) bool              // see [KnownStack.Owned]
	peers   func(pl *places.Place, n int, age time.Duration) (peers, string)
	trials  []trial

	// What mayRise needs: the least rise of all trials, between which epochs goroutines
	// were born that are new in one of them, and, by entry function, whether more were
	// started.
	least, after, until int
	more                map[string]bool

	asked int // of how many rises it was asked what speaks for their being alive

	// veto reports whether a rise, which accept was asked about before, shows that there is
	// no finding about its place, whatever other trials show. It may be nil.
	veto func(*rise) bool

	// accept returns the finding about a rise, if it is one. It finds out about life.
	accept func(*rise) (Finding, bool)
}

// A trial is an age limit and a span of time to judge with it, given by Steps+1
// points.
type trial struct {
	age     time.Duration
	points  []point
	minRise int
	from    int // the epochs after which, and until which, goroutines were born that are new
	until   int
	longest bool // the span is one of the longest that are tried
	strict  bool // the number must rise in every step, nothing may exit, and what is found must be sure
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
			if t, ok := r.newTrial(known, age, time.Duration(scale)*r.Window); ok && !t.start().Before(started.Add(r.Warmup)) {
				t.minRise, t.longest = scale*r.MinRise, scale == longest
				all = append(all, t)
			}
		}
		if len(all) == fewer {
			break // a higher age limit needs even more time
		}
	}
	return all
}

func (r *search) newTrial(known []point, age, span time.Duration) (t trial, ok bool) {
	t = trial{age: age, points: r.pick(known, span)}
	if t.points == nil {
		return t, false
	}
	s := r.Newest()
	t.from, t.until = s.EpochAt(t.start()), s.EpochAt(r.Time(r.Before(age)[r.Last()]))+1 // the epoch that was open then
	return t, true
}

// A steepness is a rise that is so steep that it is judged after a part of Window: in
// multiples of MinRise.
type steepness struct{ part, rise int }

// steep has to be such that what warm-up and pools do is not steep: a hundred within
// 7.5 minutes, eighty within 15, by default.
var steep = []steepness{{4, 10}, {2, 8}}

// steepTrials returns the trials of steep rises. Warm-up has no part in them: pools and
// connections that are made after a start do not grow at one rate for long. Half of MinAge
// is enough where none leave; where healthy goroutines leave later, MinAge is.
func (r *search) steepTrials() (all []trial) {
	for _, age := range []time.Duration{r.MinAge / 2, r.MinAge} {
		known := r.moments(age)
		for _, s := range steep {
			if t, ok := r.newTrial(known, age, r.Window/time.Duration(s.part)); ok {
				t.minRise = s.rise * r.MinRise
				all = append(all, t)
			}
		}
	}
	return all
}

// strictTrials returns the trials that find a leak sooner than others, and one that
// finds a slow one, where it is sure that the goroutines are not alive.
func (r *search) strictTrials() []trial {
	all := r.steepTrials()
	for i := range all {
		all[i].strict = true
	}
	if t, ok := r.newTrial(r.moments(r.MinAge), r.MinAge, longest*r.Window); ok {
		t.minRise, t.strict, t.longest = r.slowRise(), true, true
		all = append(all, t)
	}
	return all
}

// slowRise is the rise over the longest span that is enough where it is sure that the
// goroutines are not alive.
func (c LeakConfig) slowRise() int { return max(1, longest*c.MinRise*3/8) }

// patient returns a search over the longest spans only, which requires a rise in
// every step, and one that goes on.
func (r *search) patient() *search {
	p := *r
	p.more = nil
	p.MinSteps = r.Steps
	p.trials = slices.DeleteFunc(slices.Clone(r.trials), func(t trial) bool { return !t.longest || t.strict })
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

// judge returns a finding for each place that leaks and is not known to wait by design.
func (r *search) judge(all []*places.Place) (found findings) {
	for _, pl := range all {
		if !r.mayRise(pl) || r.known(pl.Stack) {
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
	if len(r.trials) == 0 {
		return false
	}
	if r.more == nil {
		r.prepare()
	}
	return 2*pl.Born(r.after, r.until) >= r.least && slices.ContainsFunc(r.trials, func(t trial) bool { return 2*pl.Born(t.from, t.until) >= t.minRise }) ||
		r.moreStarted(pl)
}

// prepare finds what the trials have in common.
func (r *search) prepare() {
	r.more = make(map[string]bool)
	r.least, r.after, r.until = math.MaxInt, math.MaxInt, 0
	for i := range r.trials {
		t := &r.trials[i]
		r.least, r.after, r.until = min(r.least, t.minRise), min(r.after, t.from), max(r.until, t.until)
	}
}

// moreStarted reports whether more goroutines with the entry function of a place have been
// started than have ended, in the time of one of the trials.
func (r *search) moreStarted(pl *places.Place) bool {
	more, ok := r.more[pl.Entry()]
	if !ok {
		more = slices.ContainsFunc(r.trials, func(t trial) bool { return 2*r.started(pl, t) >= t.minRise })
		r.more[pl.Entry()] = more
	}
	return more
}

// started returns how many more goroutines with the entry function of a place
// there are than at the start of a trial.
func (r *search) started(pl *places.Place, t trial) int {
	return r.StartedWith(pl.Entry(), r.Last()) - r.StartedWith(pl.Entry(), t.points[0].snapshot)
}

func (r *search) judgePlace(pl *places.Place) (first Finding, found bool) {
	var st *places.Standing
	for i, t := range r.trials {
		if st == nil || t.age != r.trials[i-1].age {
			st = pl.StandingFor(t.age, r.first)
		}
		if r.moveOn(st) {
			continue
		}
		rise := rise{search: r, Standing: st, trial: t, place: pl}
		if !rise.grows() {
			continue
		}
		f, ok := r.accept(&rise)
		switch {
		case r.veto != nil && r.veto(&rise):
			return Finding{}, false
		case ok && r.veto == nil:
			return f, true
		case ok && !found:
			first, found = f, true
		}
	}
	return first, found
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
	born  int    // of those that stay, how many were born since the span began
	why   string // why its goroutines are new; empty if they are not
	life  life
}

// grows reports whether the number of goroutines that stay grows. It also sets gone,
// born and why.
func (r *rise) grows() bool {
	if r.total() < r.minRise || r.risen() < r.MinSteps || r.young() == 0 || r.strict && !r.goesOn() {
		return false
	}
	r.gone = r.Gone()
	if float64(r.gone) > r.MaxExits*float64(r.total()) || r.strict && r.gone > 0 {
		return false
	}
	r.born = r.BornAfter(r.start())
	if r.why = r.whyNew(); r.why == "" {
		return false
	}
	return true
}

// goesOn reports whether the number rose in every step and goes on to rise: whether
// about as many are at the place and too young to be counted as the rise would have.
// Over the longest span, the rise must also have lasted for longer than that: a fleet
// that comes up for as long is then complete.
func (r *rise) goesOn() bool {
	if r.risen() < len(r.points)-1 || float64(r.young()) < 0.75*float64(r.total())/r.length().Minutes()*r.age.Minutes() {
		return false
	}
	return !r.longest || r.lasted() >= longest*r.Window+r.MinAge/2
}

// lasted returns for how long the number has risen until now, with what the first step
// lacks taken off.
func (r *rise) lasted() time.Duration {
	second := r.points[1]
	first, later := r.at(second)-r.at(r.points[0]), r.points[len(r.points)-1].since.Sub(second.since)
	if later <= 0 { // there is one step
		return r.length() + r.age
	}
	pace := float64(r.total()-first) / later.Minutes()
	if pace <= 0 {
		return 0
	}
	step := min(second.since.Sub(r.start()), time.Duration(float64(first)/pace*float64(time.Minute)))
	return step + later + r.age
}

// young returns how many goroutines are at the place and too young to be counted: if there
// are none, the number has ceased to grow.
func (r *rise) young() int { return r.place.Now() - r.now() }

// half reports whether n goroutines are half of the rise.
func (r *rise) half(n int) bool { return 2*n >= r.total() }

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
	r.noteLife(&f)
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

// noteLife notes what speaks for and against the goroutines being alive.
func (r *rise) noteLife(f *Finding) {
	switch {
	case len(r.life.fed) > 0:
		f.note("Other goroutines still wake %d of them now and then; they return and never exit, like forgotten listeners or clients that stay for hours.", len(r.life.fed))
	case len(r.life.timed) > 0 && r.place.State == goroutine.IOWait:
		f.note("Data or a deadline wakes %d of them now and then; they return and never exit.", len(r.life.timed))
	case len(r.life.timed) > 0:
		f.note("A timer wakes %d of them now and then; they return and never exit.", len(r.life.timed))
	case r.life.windows > 0:
		f.note("In %s none of them was seen to be woken and to return.", plural(r.life.windows, "trace window"))
	}
	switch {
	case r.life.told != "":
		f.note("%s", r.life.told)
	case r.life.most == 0:
		f.note("No goroutine that waits for a connection came with them.")
	case r.life.sure && r.life.most > 0:
		f.note("At most %d of them have a connection that stays.", r.life.most)
	}
	if waits := r.place.State == goroutine.ChanReceive || r.place.State == goroutine.Select; waits && r.life.sure {
		f.note("By its machine code, the function where they wait sets no timer.")
	}
}

func (r *rise) course() string {
	var numbers []string
	for _, p := range r.points {
		numbers = append(numbers, strconv.Itoa(r.at(p)))
	}
	return strings.Join(numbers, ", ")
}
