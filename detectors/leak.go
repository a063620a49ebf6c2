package detectors

import (
	"fmt"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// LeakConfig is the configuration of [NewLeak]. Start from [DefaultLeakConfig].
//
// MinAge, MaxAge, Window, Warmup and MinStand scale together: a service that is
// watched once a second in a demonstration may set them to seconds. All are at
// most [MaxHistory].
type LeakConfig struct {
	// MinAge is how long a goroutine must have stood where it is to count,
	// above 0. Default 5 min: longer than the time limits that services put on
	// a request, so that requests never count, however many there are.
	MinAge time.Duration

	// MaxAge bounds the search for the right age. Where goroutines older than
	// MinAge still move on, those standing twice as long are judged, and so
	// on up to MaxAge. So goroutines that leak where healthy ones wait for
	// long are found, only later. At least MinAge. Default 40 min, 8 × MinAge:
	// beyond, births are not known finely enough to tell the steps of a window
	// apart.
	MaxAge time.Duration

	// Window is the time over which the number must rise, above 0. Default
	// 30 min: long enough for a cache or a pool to fill and stop rising, short
	// enough to warn before the memory is gone. Windows of two and four times
	// the length are tried as well, with a rise two and four times as large:
	// they see leaks that come in bursts and are flat in between.
	Window time.Duration

	// Steps is how many parts a window has, 1 to 7, and MinSteps in how many
	// of them the number must rise, by half of what an even rise would be.
	// Defaults 5 and 4: a pool that grew once or twice rises in fewer, and
	// a leak may pause.
	Steps, MinSteps int

	// MinRise is how many more goroutines must stand there at the end of
	// a window, at least 1. Default 10, in 30 min one every three minutes: less
	// is in the noise of pools and caches that fill, and a month away from
	// harm.
	MinRise int

	// MaxExits is how many may have moved on for good since History reaches
	// back, in proportion to the rise, 0 to 1. Default 0.01: leaked goroutines
	// do not exit at all, and those of streams that last a day do so to a larger
	// part in two hours.
	MaxExits float64

	// MaxAway is how many of those that stood may have been elsewhere in the
	// next snapshot, on average and in proportion, 0 to 1. Default 0.01: an
	// idle pool's workers come and go more often than that, a forgotten
	// goroutine that wakes up for a ticker is back within a millisecond. One
	// more is added to those seen: that few were away says little where there
	// are few snapshots. With 0 none may have been.
	MaxAway float64

	// Warmup is the time after the start of the observation in which whatever
	// appears is taken as part of the service. Default 10 min: connections
	// and pools fill up after a start.
	Warmup time.Duration

	// MinStand is how long a goroutine must have stood still for a leak proof
	// to be worth its cost although nothing rises, and how far apart such
	// proofs are. Default 1 h: a single forgotten goroutine is not urgent.
	// Without the proof it changes nothing.
	MinStand time.Duration
}

// DefaultLeakConfig returns the defaults.
func DefaultLeakConfig() LeakConfig {
	return LeakConfig{
		MinAge:   5 * time.Minute,
		MaxAge:   40 * time.Minute,
		Window:   30 * time.Minute,
		Steps:    5,
		MinSteps: 4,
		MinRise:  10,
		MaxExits: 0.01,
		MaxAway:  0.01,
		Warmup:   10 * time.Minute,
		MinStand: time.Hour,
	}
}

func (c LeakConfig) checks() []check {
	return []check{
		above0("MinAge", c.MinAge),
		within("MaxAge", c.MaxAge),
		{"MaxAge", c.MaxAge, c.MaxAge >= c.MinAge, "at least MinAge"},
		above0("Window", c.Window),
		between("Steps", c.Steps, 1, places.Whole-1),
		{"MinSteps", c.MinSteps, c.MinSteps >= 1 && c.MinSteps <= c.Steps, "1 to Steps"},
		atLeast("MinRise", c.MinRise, 1),
		share("MaxExits", c.MaxExits),
		share("MaxAway", c.MaxAway),
		within("Warmup", c.Warmup),
		within("MinStand", c.MinStand),
	}
}

// NewLeak returns the detector "leak": goroutines that stand where they are
// and never leave, while ever more of them join. Confidence [Suspected], or
// [Confirmed] with the runtime's own proof.
//
// It judges by identity and not by counts, since counts rise with load just as
// they do with a leak. At each place (stack, line and state) it follows the
// goroutines of every epoch of birth. Those whose number and digest are what
// they were MinAge ago have stood there since; none was replaced. Where none was
// ever seen to leave, all that were there MinAge ago count. It fires when these
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
// On a suspicion it asks for trace windows: workers whose jobs are short stand
// in every snapshot. Where another goroutine wakes one of those that are
// suspected, and it comes back, they are a leak only when they have grown over
// the longest window of time that is tried, two hours by default, with
// confidence [Medium]. Being woken by a timer tells nothing. Where no trace
// windows can be had, the suspicion is reported without.
//
// Then, and where goroutines have stood still for MinStand, it asks for the leak
// proof. Where the user has opted into that, what is proven is reported whether
// it grows or not, and a single goroutine is enough; except for the main
// goroutine, which may wait for ever on purpose.
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
// leave. Where little traffic that lasts for minutes shares the place, on
// a machine with dozens of Ps, it finds leaks late: IDs left over from a P's old
// batch make young goroutines look old, and leave at a seemingly high age. What
// it takes for a leak although it is none: a population that keeps growing and
// whose members have lived for hours without one of them leaving. Such a finding
// goes away with the first exits, or with the end of the growth.
func NewLeak(c LeakConfig) *Detector {
	return configured(c, &Detector{
		Name:  "leak",
		Doc:   "Goroutines that never leave where they wait, while more and more join them.\n\nIt follows identities, not counts: load makes counts rise too.",
		Needs: Needs{IDs: true, History: min(c.reach(), MaxHistory)},
		Run:   c.run,
	})
}

// longest is by how much the longest window that is tried exceeds Window.
const longest = 4

// reach is how far back the longest window and its oldest goroutines are.
func (c LeakConfig) reach() time.Duration { return max(longest*c.Window+c.MaxAge, c.MinStand) }

func (c LeakConfig) run(p *Pass) error {
	all := c.rising(p)
	if len(all) > 0 && !c.watched(p) {
		all = nil
	}
	c.withProof(p, all).report(p)
	return nil
}

// watchWindows is how many trace windows a suspicion waits for, four minutes of
// snapshots by default. Fifty workers with a job a minute each are given one in
// one of them with a probability of 96 %.
const watchWindows = 16

// watched reports whether enough trace windows have shown what is suspected, or
// no more can be had, and asks for them. It asks before those that there are
// grow too old, so that what was watched once stays so.
func (c LeakConfig) watched(p *Pass) bool {
	now := p.Snapshot.Time
	recent := now.Add(-c.Window / 2)
	s := p.places()
	need := max(1, min(watchWindows, s.Last()-1-s.At(recent)))
	if windowsSince(p.Windows, recent) >= need {
		return true
	}
	coming := p.Ask(goroutine.SourceWindow)
	return windowsSince(p.Windows, now.Add(-c.Window)) >= need || !coming
}

// rising finds leaks by the rise of those that stand.
func (c LeakConfig) rising(p *Pass) (all findings) {
	s := p.places()
	r := search{LeakConfig: c, Series: s, first: s.Back(c.reach()), windows: p.Windows}
	if r.trials = r.newTrials(p.Started); len(r.trials) == 0 {
		return nil
	}
	all = r.judge(judged(s, places.ByStack, places.WokenByGoroutines, c.MinRise, p.Known))
	var ways []*places.Place
	for _, pl := range judged(s, places.ByEnds, places.WokenByGoroutines, c.MinRise, p.Known) {
		if pl.Stacks() > 1 && !all.atEnds(pl) {
			ways = append(ways, pl)
		}
	}
	all = append(all, r.judge(ways)...)
	return append(all, r.owned(p)...)
}

// atEnds reports whether a finding is about one of the stacks of pl.
func (fs findings) atEnds(pl *places.Place) bool {
	return slices.ContainsFunc(fs, func(f Finding) bool { return pl.SameEnds(f.Stack, f.State) })
}

// owned finds what the program makes and never closes, by the stacks that wait
// by design. It is patient: a fleet of servers that comes up within an hour and
// then stays rises in some steps of the longest window, and a leak in all.
func (r *search) owned(p *Pass) findings {
	notOwned := func(s *goroutine.Stack) bool { return !p.Owned(s) }
	all := r.patient().judge(judged(r.Series, places.ByStack, places.WokenByGoroutines, longest*r.MinRise, notOwned))
	for i := range all {
		all[i].unclosed()
	}
	return all
}

// unclosed makes f say what it means that its goroutines wait by design.
func (f *Finding) unclosed() {
	f.Confidence = Medium
	f.Message = fmt.Sprintf("%s of clients, pools or subscriptions that are never closed wait at %s in %s; %s more every minute.",
		goroutines(f.Count), where(f.Stack), f.State, perMinute(f.GrowthPerMinute))
	f.note("They wait there by design until what they belong to is closed; the fault is that more and more of it is made.")
	f.Advice = "Find what makes them, once per request perhaps, and close each or share one."
}
