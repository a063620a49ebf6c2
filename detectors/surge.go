package detectors

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// SurgeConfig is the configuration of [NewSurge]. Start from
// [DefaultSurgeConfig].
type SurgeConfig struct {
	// Threshold is the number of goroutines in the process above which it is
	// reported whatever it was before, at least 1. Default 100,000: they take
	// 250 MB of stacks at least, and few services are built for that. One that
	// is raises it, and math.MaxInt turns it off.
	Threshold int

	// Factor is how many times the recent median the number must be, above 1.
	// Default 2: the load of a service follows its users, who take hours to
	// double. math.Inf(1) turns the comparison off.
	Factor float64

	// MinRise is how many goroutines above the median it must be as well, at
	// least 1. Default 1,000: doubling from 40 to 80 is a few connections.
	MinRise int

	// Window is the time whose median is the measure, by time and not by
	// snapshots, since older ones are further apart. It must have passed since
	// the warm-up. Default 30 min: a burst is no part of it, and half an hour
	// after a lasting rise the new number is what is usual. Above 0, at most
	// [MaxHistory].
	Window time.Duration

	// Warmup is the time after the start of the observation that is no part
	// of the window. Default 10 min: a service that has just started has few
	// goroutines, and any load doubles them. At most [MaxHistory].
	Warmup time.Duration

	// MinSnapshots is in how many snapshots in a row the number must be so
	// high, 1 to 4. Default 3, three quarters of a minute: nothing can be done
	// about what is over by then. Where there have been fewer snapshots, as
	// with a single saved dump, the threshold holds for those.
	MinSnapshots int
}

// DefaultSurgeConfig returns the defaults.
func DefaultSurgeConfig() SurgeConfig {
	return SurgeConfig{
		Threshold:    100_000,
		Factor:       2,
		MinRise:      1000,
		Window:       30 * time.Minute,
		Warmup:       10 * time.Minute,
		MinSnapshots: 3,
	}
}

// minBaseline is how many snapshots a median must rest on. Together with
// MinSnapshots they are no more than a history never thins out.
const minBaseline = places.Whole / 2

func (c SurgeConfig) checks() []check {
	return []check{
		atLeast("Threshold", c.Threshold, 1),
		{"Factor", c.Factor, c.Factor > 1, "above 1"}, // not NaN
		atLeast("MinRise", c.MinRise, 1),
		above0("Window", c.Window),
		within("Warmup", c.Warmup),
		between("MinSnapshots", c.MinSnapshots, 1, places.Whole-minBaseline),
	}
}

// NewSurge returns the detector "surge": the process has far more goroutines
// than it used to have, or more than a threshold. Confidence [Info].
//
// It counts, and so cannot tell load from a fault: the other detectors do. It
// is for the first minutes of a fault, in which they do not know yet, and
// works with every source. It fires when the number in each of the newest
// MinSnapshots snapshots is
//
//   - above Threshold, or
//   - Factor times the median over the Window before, and MinRise above it.
//
// There is one finding for the whole process: its stack is the one at which
// the number rose most, or the largest, its stack ID is
// [goroutine.OtherStacks], and the evidence names the largest rises.
//
// What it cannot see: a rise that takes longer than Window to double, below
// Threshold. What it reports although nothing is wrong: a service that is
// built for more goroutines than Threshold, for as long as it has them; and
// a batch job that starts thousands of goroutines for longer than MinSnapshots,
// each time anew. A rise that lasts goes away when it has become the median.
func NewSurge(c SurgeConfig) *Detector {
	return configured(c, &Detector{
		Name:  "surge",
		Doc:   "The process has far more goroutines than it used to have, or more than a threshold.\n\nIt only counts: load does this as well as a fault.",
		Needs: Needs{History: c.Window},
		Run:   c.run,
	})
}

func (c SurgeConfig) run(p *Pass) error {
	s := p.places()
	now := population(s, s.Last())
	needed := len(s.Snapshots) - min(c.MinSnapshots, len(s.Snapshots)-s.Back(c.Window))
	if median, ok := c.median(s, p.Started); ok {
		if since := surgedSince(s, max(c.Factor*float64(median), float64(median)+float64(c.MinRise))); since <= needed {
			p.Report(c.finding(s, since, fmt.Sprintf("The process has %s, %.1f times the median of the last %s (%d).",
				goroutines(now), float64(now)/float64(max(1, median)), span(c.Window), median)))
			return nil
		}
	}
	if since := surgedSince(s, float64(c.Threshold)+1); since <= needed {
		p.Report(c.finding(s, since, fmt.Sprintf("The process has %s, above the threshold of %d.", goroutines(now), c.Threshold)))
	}
	return nil
}

// population is how many goroutines snapshot i knows of.
func population(s *places.Series, i int) int { return s.Snapshots[i].Total + s.Snapshots[i].Missing }

// surgedSince returns the first of the newest snapshots in a row with at least
// so many goroutines.
func surgedSince(s *places.Series, limit float64) int {
	return s.HeldSince(func(i int) bool { return float64(population(s, i)) >= limit })
}

// median returns the number of goroutines that the process had or exceeded in
// half of the time since the beginning of the window. ok is false when the
// snapshots after the warm-up do not reach back for Window, or are too few. The
// newest MinSnapshots are not counted.
func (c SurgeConfig) median(s *places.Series, started time.Time) (median int, ok bool) {
	first := max(s.Back(c.Window), s.From(started.Add(c.Warmup)))
	end := len(s.Snapshots) - c.MinSnapshots
	if end-first < minBaseline || s.Ago(first) < c.Window {
		return 0, false
	}
	type level struct {
		count int
		held  time.Duration
	}
	var levels []level
	for i := first; i < end; i++ {
		levels = append(levels, level{population(s, i), s.Time(i + 1).Sub(s.Time(i))})
	}
	slices.SortFunc(levels, func(a, b level) int { return cmp.Compare(a.count, b.count) })
	total, held := s.Time(end).Sub(s.Time(first)), time.Duration(0)
	for _, l := range levels {
		if held += l.held; 2*held >= total {
			return l.count, true
		}
	}
	return 0, false
}

// finding returns the finding for a surge since a snapshot, and tells what there
// was before it.
func (c SurgeConfig) finding(s *places.Series, since int, message string) Finding {
	since = max(since, s.Back(c.Window))
	before := since - 1
	if since == s.Back(c.Window) {
		before = -1 // out of the window
	}
	rises := changes(s, before)
	f := Finding{
		Confidence: Info,
		Stack:      processWide(rises[0].stack),
		Count:      population(s, s.Last()),
		Age:        s.Ago(since),
		Message:    message,
		Advice:     "Compare goroutine.stack.goroutine.count by code.function.name before and now, with the number of requests beside it.",
	}
	if before >= 0 {
		was, ago := population(s, before), s.Ago(before)
		f.GrowthPerMinute = max(0, float64(f.Count-was)/ago.Minutes())
		f.note("%s ago there were %d.", span(ago), was)
	}
	for _, r := range rises[:min(len(rises), shownRises)] {
		f.note("%s", r.String())
	}
	return f
}

// shownRises is how many places the evidence names.
const shownRises = 3

// A change is how many goroutines were at one place before, and how many are
// now.
type change struct {
	stack    *goroutine.Stack
	state    goroutine.State
	from, to int
}

// String tells the change.
func (c *change) String() string {
	text := fmt.Sprintf("%s in %s at %s", goroutines(c.to), c.state, where(c.stack))
	if c.from == 0 {
		return text + "."
	}
	return fmt.Sprintf("%s; there were %d.", text, c.from)
}

// changes compares the places now with those of a snapshot, or with nothing when
// that is -1. Those that rose most come first. There is at least one change, be
// it that of no place at all: what was summed up has none.
func changes(s *places.Series, before int) (all []change) {
	for _, pl := range s.Places(places.ByStack) {
		c := change{stack: pl.Stack, state: pl.State, to: pl.Now()}
		if before >= 0 {
			c.from = pl.Count(before)
		}
		all = append(all, c)
	}
	if all == nil {
		return []change{{stack: &goroutine.Stack{ID: goroutine.OtherStacks}, to: population(s, s.Last())}}
	}
	slices.SortStableFunc(all, func(a, b change) int { return cmp.Compare(b.to-b.from, a.to-a.from) })
	return all
}
