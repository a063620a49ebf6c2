package detectors

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// SurgeConfig is the configuration of [NewSurge]. The zero value of a field
// stands for its default.
type SurgeConfig struct {
	// Threshold is the number of goroutines in the process above which it is
	// reported whatever it was before. Default 100,000: they take 250 MB of
	// stacks at least, and few services are built for that. One that is raises
	// it, and math.MaxInt turns it off.
	Threshold int

	// Factor is how many times the recent median the number must be. Default
	// 2: the load of a service follows its users, who take hours to double.
	// math.Inf(1) turns the comparison off.
	Factor float64

	// MinRise is how many goroutines above the median it must be as well.
	// Default 1,000: doubling from 40 to 80 is a few connections.
	MinRise int

	// Window is the time whose median is the measure, by time and not by
	// looks, since older looks are further apart. It must have passed since
	// the warm-up. Default 30 min: a burst is no part of it, and half an hour
	// after a lasting rise the new number is what is usual.
	Window time.Duration

	// Warmup is the time after the start of the observation that is no part
	// of the window. Default 10 min: a service that has just started has few
	// goroutines, and any load doubles them.
	Warmup time.Duration

	// MinLooks is in how many looks in a row the number must be so high.
	// Default 3, three quarters of a minute: what is over by then, nobody can
	// do anything about. Where there have been fewer looks, as with a single
	// saved dump, the threshold holds for those. At most 4.
	MinLooks int
}

func (c SurgeConfig) withDefaults() SurgeConfig {
	c.Threshold = orDefault(c.Threshold, 100_000)
	c.Factor = orDefault(c.Factor, 2)
	c.MinRise = orDefault(c.MinRise, 1000)
	c.Window = orDefault(c.Window, 30*time.Minute)
	c.Warmup = orDefault(c.Warmup, 10*time.Minute)
	c.MinLooks = orDefault(c.MinLooks, 3)
	return c
}

// baselineLooks is how many looks a median must rest on. Together with
// MinLooks they are no more than a History never thins out.
const baselineLooks = keptWhole / 2

func (c SurgeConfig) validate() error {
	var errs []error
	if c.Threshold < 1 {
		errs = append(errs, bad("SurgeConfig.Threshold", c.Threshold, "1 and more"))
	}
	if !(c.Factor > 1) { // also NaN
		errs = append(errs, bad("SurgeConfig.Factor", c.Factor, "above 1"))
	}
	if c.MinRise < 1 {
		errs = append(errs, bad("SurgeConfig.MinRise", c.MinRise, "1 and more"))
	}
	for _, f := range []field[time.Duration]{{"Window", c.Window}, {"Warmup", c.Warmup}} {
		if f.value < 0 || f.value > MaxHistory {
			errs = append(errs, bad("SurgeConfig."+f.name, f.value, fmt.Sprintf("0 to %v", MaxHistory)))
		}
	}
	if c.MinLooks < 1 || c.MinLooks > keptWhole-baselineLooks {
		errs = append(errs, bad("SurgeConfig.MinLooks", c.MinLooks, fmt.Sprintf("1 to %d", keptWhole-baselineLooks)))
	}
	return errors.Join(errs...)
}

// NewSurge returns the detector "surge": the process has far more goroutines
// than it used to have, or more than a threshold. Confidence [Info].
//
// It counts, and so cannot tell load from a fault: the other detectors do. It
// is for the first minutes of a fault, in which they do not know yet, and
// works with every source. It fires when the number in each of the newest
// MinLooks looks is
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
// a batch job that starts thousands of goroutines for longer than MinLooks,
// each time anew. A rise that lasts goes away when it has become the median.
// An invalid configuration is reported by [Validate].
func NewSurge(c SurgeConfig) *Detector {
	c = c.withDefaults()
	return configured(c.validate(), &Detector{
		Name:  "surge",
		Doc:   "The process has far more goroutines than it used to have, or more than a threshold.\n\nIt only counts: load does this as well as a fault.",
		Needs: Needs{History: c.Window},
		Run:   c.run,
	})
}

func (c SurgeConfig) run(p *Pass) error {
	looks := looksBack(p, c.Window)
	s := surge{looks: looks, doubled: len(looks), over: since(looks, float64(c.Threshold)+1)}
	if median, ok := c.median(looks, p.Started); ok {
		s.median = median
		s.doubled = since(looks, max(c.Factor*float64(median), float64(median)+float64(c.MinRise)))
	}
	needed := min(c.MinLooks, len(looks))
	switch {
	case len(looks)-s.doubled >= needed:
		p.Report(s.finding(s.doubled, fmt.Sprintf("The process has %s, %.1f times the median of the last %s (%d).",
			goroutines(s.now()), float64(s.now())/float64(max(1, s.median)), span(c.Window), s.median)))
	case len(looks)-s.over >= needed:
		p.Report(s.finding(s.over, fmt.Sprintf("The process has %s, above the threshold of %d.", goroutines(s.now()), c.Threshold)))
	}
	return nil
}

// population is how many goroutines a look knows of.
func population(s *goroutine.Snapshot) int { return s.Total + s.Missing }

// since returns the first of the newest looks in a row with at least so many
// goroutines: the number of looks when the newest has fewer.
func since(looks []*goroutine.Snapshot, limit float64) int {
	first := len(looks)
	for first > 0 && float64(population(looks[first-1])) >= limit {
		first--
	}
	return first
}

// median returns the number of goroutines that the process had or exceeded in
// half of the time since the oldest look. ok is false when the looks after the
// warm-up do not reach back for Window, or are too few. The newest MinLooks
// are not counted.
func (c SurgeConfig) median(looks []*goroutine.Snapshot, started time.Time) (median int, ok bool) {
	warm := newestBefore(looks, started.Add(c.Warmup-1)) + 1
	usual := looks[warm:max(warm, len(looks)-c.MinLooks)]
	if len(usual) < baselineLooks || looks[len(looks)-1].Time.Sub(usual[0].Time) < c.Window {
		return 0, false
	}
	type level struct {
		count int
		held  time.Duration
	}
	levels := make([]level, len(usual))
	var total time.Duration
	for i, s := range usual {
		held := looks[warm+i+1].Time.Sub(s.Time)
		levels[i] = level{population(s), held}
		total += held
	}
	slices.SortFunc(levels, func(a, b level) int { return cmp.Compare(a.count, b.count) })
	var held time.Duration
	for _, l := range levels {
		if held += l.held; 2*held >= total {
			return l.count, true
		}
	}
	return 0, false
}

// A surge is what the looks say about the number of goroutines.
type surge struct {
	looks   []*goroutine.Snapshot
	median  int
	doubled int // since this look the number is far above the median
	over    int // since this look it is above the threshold
}

func (s *surge) newest() *goroutine.Snapshot { return s.looks[len(s.looks)-1] }
func (s *surge) now() int                    { return population(s.newest()) }

// finding returns the finding for a surge that began with look first.
func (s *surge) finding(first int, message string) Finding {
	var before *goroutine.Snapshot
	if first > 0 {
		before = s.looks[first-1]
	}
	rises := changes(before, s.newest())
	f := Finding{
		Confidence: Info,
		Stack:      processWide(rises[0].stack),
		Count:      s.now(),
		Age:        s.newest().Time.Sub(s.looks[first].Time),
		Message:    message,
	}
	if before != nil {
		risen, ago := s.now()-population(before), s.newest().Time.Sub(before.Time)
		f.GrowthPerMinute = max(0, float64(risen)/ago.Minutes())
		f.note(fmt.Sprintf("%s ago it was %d.", span(ago), population(before)))
	}
	for _, r := range rises[:min(len(rises), shownRises)] {
		f.note(r.String())
	}
	f.advise("compare goroutine.stack.goroutine.count by code.function.name before and now, with the number of requests beside it.")
	return f
}

// shownRises is how many places the evidence names.
const shownRises = 3

// A change is how many goroutines stood at one place before, and how many do
// now.
type change struct {
	goroutine.GroupKey
	stack    *goroutine.Stack
	from, to int
}

// String tells the change to people.
func (c *change) String() string {
	if c.from == 0 {
		return fmt.Sprintf("%s in %s at %s.", goroutines(c.to), c.State, where(c.stack))
	}
	return fmt.Sprintf("%s in %s at %s; there were %d.", goroutines(c.to), c.State, where(c.stack), c.from)
}

// changes compares the places of two looks, those that rose most first. before
// may be nil. There is at least one change, be it that of no place at all:
// what was summed up has none.
func changes(before, now *goroutine.Snapshot) []change {
	index := make(map[goroutine.GroupKey]int)
	var all []change
	for i := range now.Groups {
		g := &now.Groups[i]
		if g.Stack.ID == goroutine.OtherStacks {
			continue
		}
		key := g.Key()
		at, ok := index[key]
		if !ok {
			at = len(all)
			index[key] = at
			all = append(all, change{GroupKey: key, stack: g.Stack})
		}
		all[at].to += g.Count
	}
	if before != nil {
		for i := range before.Groups {
			g := &before.Groups[i]
			if at, ok := index[g.Key()]; ok {
				all[at].from += g.Count
			}
		}
	}
	if all == nil {
		return []change{{stack: &goroutine.Stack{ID: goroutine.OtherStacks}, to: population(now)}}
	}
	slices.SortStableFunc(all, func(a, b change) int { return cmp.Compare(b.to-b.from, a.to-a.from) })
	return all
}
