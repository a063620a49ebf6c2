package detectors

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// LeakConfig is the configuration of [NewLeak]. The zero value of a field
// stands for its default.
//
// MinAge, Window and Warmup scale together: a service that is watched once a
// second in a demonstration may set them to seconds.
type LeakConfig struct {
	// MinAge is how long a goroutine must have stood where it is to count.
	// Default 5 min: longer than the time limits that services put on a
	// request, so that requests never count, however many there are.
	MinAge time.Duration

	// MaxAge bounds the search for the right age. Where goroutines older than
	// MinAge still move on, those standing twice as long are judged, and so
	// on up to MaxAge. So goroutines that leak where healthy ones wait for
	// long are found, only later. Default 8 × MinAge: beyond, births are not
	// known finely enough to tell the steps of a window apart.
	MaxAge time.Duration

	// Window is the time over which the number must rise. Default 30 min:
	// long enough for a cache or a pool to fill and stop rising, short enough
	// to warn before the memory is gone. Windows of two and four times the
	// length are tried as well, with a rise two and four times as large: they
	// see leaks that come in bursts and are flat in between.
	Window time.Duration

	// Steps is how many parts a window has, MinSteps in how many of them the
	// number must rise, by half of what an even rise would be. Defaults 5 and
	// 4: a pool that grew once or twice rises in fewer, and a leak may pause.
	Steps, MinSteps int

	// MinRise is how many more goroutines must stand there at the end of a
	// window. Default 10, in 30 min one every three minutes: less is in the
	// noise of pools and caches that fill, and a month away from harm.
	MinRise int

	// MaxExits is how many may have moved on for good since History reaches
	// back, in proportion to the rise. Default 0.01: leaked goroutines do not
	// exit at all, and those of streams that last a day do so to a larger part
	// in the two hours that are looked at.
	MaxExits float64

	// MaxAway is how many of those that stood may have been elsewhere at the
	// next look, on average and in proportion. Default 0.01: an idle pool's
	// workers come and go more often than that, a forgotten goroutine that
	// wakes up for a ticker is back within a millisecond. One more is added to
	// those seen: that few were away says little where few looks were made.
	MaxAway float64

	// Warmup is the time after the start of the observation in which whatever
	// appears is taken as part of the service. Default 10 min: connections
	// and pools fill up after a start.
	Warmup time.Duration

	// MinStand is how long a goroutine must have stood still for a leak proof
	// to be worth its cost although nothing rises, and how far apart such
	// proofs are. Default 2 × Window, an hour: nobody waits for the news of
	// a single forgotten goroutine. Without the proof it changes nothing.
	MinStand time.Duration
}

// longest is by how much the longest window that is tried exceeds Window.
const longest = 4

func (c LeakConfig) withDefaults() LeakConfig {
	c.MinAge = orDefault(c.MinAge, 5*time.Minute)
	c.MaxAge = orDefault(c.MaxAge, 8*c.MinAge)
	c.Window = orDefault(c.Window, 30*time.Minute)
	c.Steps = orDefault(c.Steps, 5)
	c.MinSteps = orDefault(c.MinSteps, c.Steps-c.Steps/5)
	c.MinRise = orDefault(c.MinRise, 10)
	c.MaxExits = orDefault(c.MaxExits, 0.01)
	c.MaxAway = orDefault(c.MaxAway, 0.01)
	c.Warmup = orDefault(c.Warmup, 10*time.Minute)
	c.MinStand = orDefault(c.MinStand, 2*c.Window)
	return c
}

// A field is a field of a configuration, for the errors that name it.
type field[T any] struct {
	name  string
	value T
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

func (c LeakConfig) validate() error {
	var errs []error
	for _, f := range []field[time.Duration]{{"MinAge", c.MinAge}, {"MaxAge", c.MaxAge}, {"Window", c.Window}, {"Warmup", c.Warmup}, {"MinStand", c.MinStand}} {
		if f.value < 0 || f.value > MaxHistory {
			errs = append(errs, bad("LeakConfig."+f.name, f.value, fmt.Sprintf("0 to %v", MaxHistory)))
		}
	}
	if c.MaxAge < c.MinAge {
		errs = append(errs, bad("LeakConfig.MaxAge", c.MaxAge, "MinAge and more"))
	}
	if c.Steps < 1 || c.Steps > keptWhole-1 {
		errs = append(errs, bad("LeakConfig.Steps", c.Steps, fmt.Sprintf("1 to %d", keptWhole-1)))
	}
	if c.MinSteps < 1 || c.MinSteps > c.Steps {
		errs = append(errs, bad("LeakConfig.MinSteps", c.MinSteps, "1 to Steps"))
	}
	if c.MinRise < 1 {
		errs = append(errs, bad("LeakConfig.MinRise", c.MinRise, "1 and more"))
	}
	for _, f := range []field[float64]{{"MaxExits", c.MaxExits}, {"MaxAway", c.MaxAway}} {
		if !(f.value >= 0 && f.value <= 1) { // also NaN
			errs = append(errs, bad("LeakConfig."+f.name, f.value, "0 to 1"))
		}
	}
	return errors.Join(errs...)
}

// NewLeak returns the detector "leak": goroutines that stand where they are
// and never leave, while ever more of them join. Confidence [Suspected], or
// [Confirmed] with the runtime's own proof.
//
// It judges by identity and not by counts, since counts rise with load just as
// they do with a leak. At each place (stack, line and state) it follows the
// goroutines of every epoch of birth. Those whose number and digest are what
// they were MinAge ago have stood there since; nobody was replaced. Where
// nobody was ever seen to leave, all who were there MinAge ago count. It fires
// when these
//
//   - rose in MinSteps of the Steps of a window, and by MinRise in total,
//   - do not move on: almost none left for good (MaxExits) or for a while
//     (MaxAway), and
//   - are new: at least half of the rise was born within the window, or the
//     goroutines with the same entry function have become more by as many.
//     Workers that go idle one after the other are neither.
//
// The window begins after Warmup. What stood there by then is not counted in
// the rise.
//
// It judges goroutines that wait for a channel, a select, a lock, a condition
// or a wait group; never those in IO, system calls, sleep or coroutines.
//
// On a suspicion it asks for windows, in which all events are traced: workers
// whose jobs are short stand at every look. Where another goroutine wakes one of
// those that are suspected, and it comes back, they are a leak only when they
// have grown over the longest window that is tried, two hours by default, with
// confidence [Medium]. Being woken by a timer tells nothing. Where no windows
// can be had, the suspicion is reported without.
//
// Then, and where goroutines have stood still for MinStand, it asks for the leak
// proof. Where the user has opted into that, what is proven is
// reported whether it grows or not, and a single goroutine is enough; except
// for the main goroutine, which may wait for ever on purpose.
//
// Of the stacks that wait by design it judges those that belong to a client,
// a pool or a subscription of the program's own (see [KnownStack]): where one is
// made per request and none closed, they are all that shows. A fleet of servers
// that comes up and stays looks the same until it is complete, so there only
// the longest window counts (2 h), and all of its steps. What takes up to an
// hour and a half to come up is thus never found, and confidence is [Medium].
//
// Goroutines that come to one line in different ways, each too seldom to be
// judged alone, are judged together when they were started with the same
// function.
//
// What it cannot see without the proof: fewer than MinRise a window; leaks that
// pause for longer than the longest window's step (24 min); and leaks at
// a place where healthy goroutines stand for longer than MaxAge before they
// leave. Where little traffic that lasts for
// minutes shares the place, on a machine with dozens of Ps, it finds leaks
// late: IDs left over from a P's old batch make young goroutines look old, and
// leave at a seemingly high age. What it takes for a leak although it
// is none: a population that keeps growing and whose members have lived for
// hours without one of them leaving. Such a finding goes away with the first
// exits, or with the end of the growth. An invalid configuration is reported
// by [Validate].
func NewLeak(c LeakConfig) *Detector {
	c = c.withDefaults()
	return configured(c.validate(), &Detector{
		Name:  "leak",
		Doc:   "Goroutines that never leave where they wait, while ever more join them.\n\nIt follows identities, not counts: load makes counts rise too.",
		Needs: Needs{IDs: true, History: min(c.reach(), MaxHistory)},
		Run:   c.run,
	})
}

// configured makes a detector with an invalid configuration say so, to
// Validate and to whoever runs it all the same.
func configured(err error, d *Detector) *Detector {
	if err != nil {
		d.config = err
		d.Needs.History = 0
		d.Run = func(*Pass) error { return err }
	}
	return d
}

// reach is how far back the longest window and its oldest goroutines are.
func (c LeakConfig) reach() time.Duration { return max(longest*c.Window+c.MaxAge, c.MinStand) }

func (c LeakConfig) run(p *Pass) error {
	found := c.rising(p)
	if len(found) > 0 && !c.watched(p) {
		found = nil
	}
	c.withProof(p, found).report(p)
	return nil
}

// watchWindows is how many windows a suspicion waits for, four minutes of looks
// by default. Fifty workers with a job a minute each are given one in one of
// them with a chance of 96 %.
const watchWindows = 16

// watched reports whether enough windows have shown what is suspected, or no
// more can be had, and asks for them. It asks before those that there are grow
// too old, so that what was watched once stays so.
func (c LeakConfig) watched(p *Pass) bool {
	now := p.Snapshot.Time
	recent := now.Add(-c.Window / 2)
	need := max(1, min(watchWindows, len(p.History)-newestBefore(p.History, recent)-1))
	if windowsSince(p.Windows, recent) >= need {
		return true
	}
	coming := p.Ask(goroutine.SourceWindow)
	return windowsSince(p.Windows, now.Add(-c.Window)) >= need || !coming
}

// rising finds leaks by the rise of those who stand.
func (c LeakConfig) rising(p *Pass) (found findings) {
	looks := looksBack(p, c.reach())
	trials := c.trials(looks, p.Started)
	if len(trials) == 0 {
		return nil
	}
	entries := census{looks: looks, opened: p.Windows}
	find := placeFinder{known: p.Known, state: leakable, least: c.MinRise}
	found = c.judgeAll(find.find(looks), &entries, trials)
	find.byEnds = true
	ways := slices.DeleteFunc(find.find(looks), func(pl *place) bool {
		return pl.stacks(len(looks)-1) < 2 || found.atEnds(&find, pl)
	})
	found = append(found, c.judgeAll(ways, &entries, trials)...)
	return append(found, c.owned(p, &entries, trials)...)
}

// owned finds what the program makes and never closes, by the stacks that wait
// by design. It is patient: a fleet of servers that comes up within an hour and
// then stays rises in some steps of the longest window, and a leak in all.
func (c LeakConfig) owned(p *Pass, entries *census, trials []trial) findings {
	c.MinSteps = c.Steps
	find := placeFinder{known: func(s *goroutine.Stack) bool { return !p.Owned(s) }, state: leakable, least: longest * c.MinRise}
	found := c.judgeAll(find.find(entries.looks), entries, c.patient(trials))
	for i := range found {
		found[i].unclosed()
	}
	return found
}

// patient leaves only the longest windows.
func (c LeakConfig) patient(trials []trial) (patient []trial) {
	for _, t := range trials {
		if last := t.windows[len(t.windows)-1]; last.minRise == longest*c.MinRise {
			t.windows = []window{last}
			patient = append(patient, t)
		}
	}
	return patient
}

// unclosed makes f say what it means that its goroutines wait by design.
func (f *Finding) unclosed() {
	f.Confidence = Medium
	f.Message = fmt.Sprintf("%s of clients, pools or subscriptions that are never closed wait at %s in %s; %s more every minute.",
		goroutines(f.Count), where(f.Stack), f.State, perMin(f.GrowthPerMinute))
	f.note("They wait there by design until what they belong to is closed; the fault is that ever more of it is made.")
	f.advise("see what makes them, once per request perhaps, and either closes none or should share one.")
}

func (c LeakConfig) judgeAll(places []*place, entries *census, trials []trial) (found findings) {
	var births ledger
	for _, pl := range places {
		if !mayRise(pl, entries, trials) {
			continue
		}
		births.fill(pl, entries.looks)
		if f, ok := c.judge(pl, entries, &births, trials); ok {
			found = append(found, f)
		}
	}
	return found
}

// atEnds reports whether one of the stacks of pl has been found already.
func (fs findings) atEnds(find *placeFinder, pl *place) bool {
	return slices.ContainsFunc(fs, func(f Finding) bool { return f.State == pl.key.State && find.endsID(f.Stack) == pl.key.Stack })
}

// leakable reports whether a goroutine in state s can be leaked: whether it
// waits for other goroutines, and not for the world outside or the time.
func leakable(s goroutine.State) bool {
	switch s {
	case goroutine.ChanReceive, goroutine.ChanSend, goroutine.Select,
		goroutine.CondWait, goroutine.WaitGroupWait:
		return true
	}
	return s.Lock()
}

// A trial is an age limit with the windows in which it can be tried.
type trial struct {
	age     time.Duration
	before  []int // by look: the newest look that is age older, or -1
	windows []window
}

// A window is a series of points in time, Steps+1 of them.
type window struct {
	points  []point
	minRise int
}

// A point stands for what was known at a look: who had stood there since.
// Windows are measured in the latter, since looks further back are further
// apart, and so are the moments that later looks can be compared with.
type point struct {
	look  int
	since time.Time
}

// trials returns what the looks allow to try, the lowest age limit and the
// shortest window first.
func (c LeakConfig) trials(looks []*goroutine.Snapshot, started time.Time) []trial {
	var all []trial
	for age := c.MinAge; age <= c.MaxAge; age *= 2 {
		t := trial{age: age, before: before(looks, age)}
		known := points(looks, t.before)
		for scale := 1; scale <= longest; scale *= 2 {
			w := c.window(known, time.Duration(scale)*c.Window)
			if w != nil && !w[0].since.Before(started.Add(c.Warmup)) {
				t.windows = append(t.windows, window{w, scale * c.MinRise})
			}
		}
		if t.windows == nil {
			break // a higher age limit needs more time still
		}
		all = append(all, t)
	}
	return all
}

func before(looks []*goroutine.Snapshot, age time.Duration) []int {
	index := make([]int, len(looks))
	for i, s := range looks {
		index[i] = newestBefore(looks, s.Time.Add(-age))
	}
	return index
}

// points returns one point for every moment that looks can be compared with:
// the first look to know of it, and the newest look for the last.
func points(looks []*goroutine.Snapshot, before []int) []point {
	var known []point
	for i, b := range before {
		if b >= 0 && (len(known) == 0 || looks[b].Time.After(known[len(known)-1].since)) {
			known = append(known, point{i, looks[b].Time})
		}
	}
	if len(known) > 0 {
		known[len(known)-1].look = len(looks) - 1
	}
	return known
}

// window picks the points that divide the time back to w before the newest
// evenly. Where they are too far apart for that it reaches back further. It
// returns nil when they do not reach that far.
func (c LeakConfig) window(known []point, w time.Duration) []point {
	last := len(known) - 1
	if last < c.Steps {
		return nil
	}
	first := min(nearestPoint(known, known[last].since.Add(-w)), last-c.Steps)
	for first > 0 && known[last].since.Sub(known[first].since) < w {
		first--
	}
	total := known[last].since.Sub(known[first].since)
	if total < w {
		return nil
	}
	picked := []point{known[first]}
	for i, at := 1, first; i < c.Steps; i++ {
		want := known[first].since.Add(total / time.Duration(c.Steps) * time.Duration(i))
		at = min(max(nearestPoint(known, want), at+1), last-c.Steps+i)
		picked = append(picked, known[at])
	}
	return append(picked, known[last])
}

func nearestPoint(known []point, t time.Time) int {
	best := 0
	for i, p := range known {
		if p.since.Sub(t).Abs() < known[best].since.Sub(t).Abs() {
			best = i
		}
	}
	return best
}

// standing is what is known about the goroutines of one place that have stood
// there for at least some time.
type standing struct {
	births *ledger
	counts []int // by look
	now    []int // by epoch, in the newest look
	stood  int   // sum of counts
	away   int   // how many of those were gone in the look after
	gone   int   // how many seem to have stood so long and left for good
}

// stand follows the goroutines of every epoch from look to look. before is by
// look the one that must have shown the same goroutines; where nobody ever
// left, those that it showed are the same.
func stand(births *ledger, before []int, nobodyLeft bool) *standing {
	st := &standing{births: births, counts: make([]int, len(before)), now: make([]int, len(births.epochs))}
	for _, k := range births.seen {
		for i, b := range before {
			st.step(i, b, k, nobodyLeft)
		}
	}
	for _, n := range st.counts {
		st.stood += n
	}
	return st
}

// step brings one epoch from the look before i to look i. Who stood there
// before still does, as long as the number has not fallen and nobody was
// replaced; and all do who did so in look b already.
func (st *standing) step(i, b, k int, nobodyLeft bool) {
	here := st.births.look(i)[k]
	if i > 0 {
		left := max(0, st.now[k]-here.count)
		if was := st.births.look(i - 1)[k]; here.count == st.now[k] && was.count == here.count && was.digest != here.digest {
			left = min(1, here.count) // one of them was replaced, at least
		}
		st.now[k] -= left
		st.away += left
	}
	if b >= 0 {
		if was := st.births.look(b)[k]; was == here || nobodyLeft {
			st.now[k] = was.count
		}
	}
	st.counts[i] += st.now[k]
}

// gone returns how many goroutines seem to have stood for so long and are not
// in the newest look: of each epoch, those that were there in both of two looks
// that far apart. It counts too many rather than too few, unlike stand. In an
// epoch from which somebody leaves all the time nobody is known to stand, and
// just those epochs tell that goroutines do leave.
//
// Both looks must be later than the epoch. A goroutine with an ID left over
// from an old batch looks old at birth, and is there in one look only.
func gone(births *ledger, looks []*goroutine.Snapshot, before []int) int {
	n := 0
	now := births.look(len(looks) - 1)
	for _, k := range births.seen {
		most := 0
		for i, b := range before {
			if b >= 0 && !looks[b].Time.Before(births.epochs[k].End) {
				most = max(most, min(births.look(i)[k].count, births.look(b)[k].count))
			}
		}
		n += max(0, most-now[k].count)
	}
	return n
}

// bornAfter returns how many of those who stand there now were born after t.
func (st *standing) bornAfter(t time.Time) int {
	born := 0
	for _, k := range st.births.seen {
		if st.births.epochs[k].End.After(t) {
			born += st.now[k]
		}
	}
	return born
}

// A census counts goroutines by entry function, in the looks that are asked
// about.
type census struct {
	looks   []*goroutine.Snapshot
	opened  []Window
	byLook  map[int]map[string]int
	entries map[*goroutine.Stack]string
}

func (c *census) count(look int, entry string) int {
	if c.byLook == nil {
		c.byLook, c.entries = make(map[int]map[string]int), make(map[*goroutine.Stack]string)
	}
	if c.byLook[look] == nil {
		c.byLook[look] = make(map[string]int)
		for i := range c.looks[look].Groups {
			g := &c.looks[look].Groups[i]
			c.byLook[look][c.entry(g.Stack)] += g.Count
		}
	}
	return c.byLook[look][entry]
}

func (c *census) entry(s *goroutine.Stack) string {
	entry, ok := c.entries[s]
	if !ok {
		entry = s.Entry().Function
		c.entries[s] = entry
	}
	return entry
}

// mayRise tells the few places that may have new goroutines for long enough
// from the many that have not, at a fraction of the cost of judging them.
func mayRise(pl *place, entries *census, trials []trial) bool {
	last := len(entries.looks) - 1
	now := entries.looks[last]
	entry := pl.stack.Entry().Function
	for _, t := range trials {
		until := now.EpochAt(entries.looks[t.before[last]].Time) + 1 // that may have been under way
		for _, w := range t.windows {
			from := now.EpochAt(w.points[0].since)
			if 2*pl.born(from, until) >= w.minRise || 2*(entries.count(last, entry)-entries.count(w.points[0].look, entry)) >= w.minRise {
				return true
			}
		}
	}
	return false
}

// born returns how many of the goroutines in the newest look were born after
// epoch from and no later than in epoch until.
func (pl *place) born(from, until int) int {
	n := 0
	for _, g := range pl.groups[len(pl.groups)-1] {
		for _, c := range g.Births {
			if c.Epoch > from && c.Epoch <= until {
				n += c.Count
			}
		}
	}
	return n
}

// judge tries one place.
func (c LeakConfig) judge(pl *place, entries *census, births *ledger, trials []trial) (Finding, bool) {
	nobodyLeft := !anyLeft(pl, births)
	for _, t := range trials {
		st := stand(births, t.before, nobodyLeft)
		if float64(st.away+1) > c.MaxAway*float64(st.stood) {
			continue
		}
		st.gone = gone(births, entries.looks, t.before)
		for _, w := range t.windows {
			r := rise{trial: t, window: w, standing: st, census: entries, place: pl}
			if c.leaks(&r) && (len(r.fed) == 0 || w.minRise >= longest*c.MinRise) {
				return r.finding(), true
			}
		}
	}
	return Finding{}, false
}

// A rise is what one trial says about one place and one window.
type rise struct {
	trial
	window
	*standing
	*census
	place *place
	fresh string   // why the rise is of new goroutines, once known
	fed   []uint64 // those of the rise that other goroutines wake now and then
}

func (c LeakConfig) leaks(r *rise) bool {
	if r.total() < r.minRise || r.risen() < c.MinSteps {
		return false
	}
	if float64(r.gone) > c.MaxExits*float64(r.total()) {
		return false
	}
	born := r.bornAfter(r.points[0].since)
	r.fresh = r.freshness(born)
	r.fed = r.fedAndBack(2*born >= r.total())
	return r.fresh != ""
}

// fedAndBack returns who of those that stand was woken by another goroutine in
// a window since the rise began, and is there again; with fresh, of those born
// since only. Where nobody of an epoch is gone, whoever was woken came back.
func (r *rise) fedAndBack(fresh bool) (ids []uint64) {
	for i := range r.opened {
		w := &r.opened[i]
		before := newestBefore(r.looks, w.Time)
		if before < 0 || w.Time.Before(r.points[0].since) {
			continue
		}
		was, is := r.births.look(before), r.births.look(r.last())
		for _, id := range w.fed(r.place) {
			k := r.epochOf(id)
			if r.stands(k) && was[k] == is[k] && (!fresh || r.births.epochs[k].End.After(r.points[0].since)) {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// stands reports whether goroutines of epoch k stand there.
func (r *rise) stands(k int) bool { return k < len(r.now) && r.now[k] > 0 }

func (r *rise) epochOf(id uint64) int {
	k, _ := slices.BinarySearchFunc(r.births.epochs, id, func(e goroutine.Epoch, id uint64) int {
		if e.LastID < id {
			return -1
		}
		return 1
	})
	return k
}

func (r *rise) first() int { return r.points[0].look }
func (r *rise) last() int  { return len(r.counts) - 1 }
func (r *rise) total() int { return r.counts[r.last()] - r.counts[r.first()] }

// length is how long the window is.
func (r *rise) length() time.Duration {
	return r.points[len(r.points)-1].since.Sub(r.points[0].since)
}

// risen returns in how many steps the number rose by at least half of what an
// even rise would have. Less is not the same rise: a pool that grew once and
// a straggler in every other step.
func (r *rise) risen() int {
	n := 0
	for i := 1; i < len(r.points); i++ {
		a, b := r.points[i-1], r.points[i]
		share := float64(b.since.Sub(a.since)) / float64(r.length())
		if float64(r.counts[b.look]-r.counts[a.look]) >= share/2*float64(r.total()) {
			n++
		}
	}
	return n
}

// freshness says why the goroutines of the rise are new in the process, or
// nothing when they are not.
func (r *rise) freshness(born int) string {
	if 2*born >= r.total() {
		return fmt.Sprintf("%s of them %s born within the last %s.", strconv.Itoa(born), verb(born, "was", "were"), span(r.looks[r.last()].Time.Sub(r.points[0].since)))
	}
	entry := r.place.stack.Entry().Function
	was, is := r.count(r.first(), entry), r.count(r.last(), entry)
	if 2*(is-was) >= r.total() {
		return fmt.Sprintf("The goroutines started with %s went from %d to %d, whatever they do.", entry, was, is)
	}
	return ""
}

func (r *rise) finding() Finding {
	count := r.counts[r.last()]
	perMinute := float64(r.total()) / r.length().Minutes()
	f := Finding{
		Confidence:      Suspected,
		Stack:           r.place.stack,
		State:           r.place.key.State,
		Count:           count,
		GrowthPerMinute: perMinute,
		Age:             r.length(),
		IDs:             r.standingIDs(),
		CreatedBy:       r.place.createdBy(),
		Message: fmt.Sprintf("%s at %s %s stuck in %s and %s left in %s; %s more every minute.",
			goroutines(count), where(r.place.stack), verb(count, "is", "are"), r.place.key.State, someone(r.gone), span(r.watched()), perMin(perMinute)),
	}
	f.note(fmt.Sprintf("%s %s stood here for at least %s; %s ago it was %d.",
		goroutines(count), verb(count, "has", "have"), span(r.age), span(r.ago()), r.counts[r.first()]))
	f.note(fmt.Sprintf("The number rose in %d of %d steps of %s: %s.",
		r.risen(), len(r.points)-1, span(r.length()/time.Duration(len(r.points)-1)), r.course()))
	f.note(r.fresh)
	if others := r.place.count(r.last()) - count; others > 0 {
		f.note(fmt.Sprintf("%s more %s here and not counted: younger, or on the move.", goroutines(others), verb(others, "is", "are")))
	}
	if n := r.place.stacks(r.last()); n > 1 {
		f.note(fmt.Sprintf("They came here in %d different ways, of which the stack is the most frequent.", n))
	}
	r.noteFed(&f)
	f.advise(whoWakes(f.State))
	return f
}

// noteFed tells whether others still wake them. If so they may be members of
// a population that grows for hours.
func (r *rise) noteFed(f *Finding) {
	n := windowsSince(r.opened, r.points[0].since)
	switch {
	case len(r.fed) > 0:
		f.Confidence = Medium
		f.note(fmt.Sprintf("Other goroutines still wake %d of them now and then; they come back and never end. Forgotten listeners do so, and clients that stay for hours.", len(r.fed)))
	case n > 0:
		f.note(fmt.Sprintf("All events were traced for a moment, %s: no goroutine woke one of them.", plural(n, "time")))
	}
}

// ago is how long before the newest look the first point was known.
func (r *rise) ago() time.Duration {
	return r.looks[r.last()].Time.Sub(r.looks[r.first()].Time)
}

// watched is how long exits have been looked for.
func (r *rise) watched() time.Duration {
	return r.looks[r.last()].Time.Sub(r.looks[0].Time)
}

func (r *rise) course() string {
	var numbers []string
	for _, p := range r.points {
		numbers = append(numbers, strconv.Itoa(r.counts[p.look]))
	}
	return strings.Join(numbers, ", ")
}

// standingIDs returns the lowest IDs of epochs whose goroutines stand there.
func (r *rise) standingIDs() []uint64 {
	ids, _ := r.place.ids(r.last())
	return slices.DeleteFunc(ids, func(id uint64) bool { return !r.stands(r.epochOf(id)) })
}

func someone(n int) string {
	if n == 0 {
		return "none has"
	}
	return fmt.Sprintf("only %d %s", n, verb(n, "has", "have"))
}

func perMin(rate float64) string {
	if rate < 10 {
		return fmt.Sprintf("%.1f", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}
