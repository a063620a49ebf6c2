// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
	"github.com/otelgoroutine/go/internal/words"
)

// SurgeConfig is the configuration of [NewSurge]. Start from
// [DefaultSurgeConfig].
type SurgeConfig struct {
	// Threshold is the number of goroutines above which the process is reported,
	// regardless of its earlier numbers, at least 1. Default 100,000: their stacks
	// take at least 250 MB, and few services are designed for that. Raise it for a
	// service that is; math.MaxInt turns it off.
	Threshold int

	// Factor is how many times the recent median the number must be, above 1.
	// Default 2: the load of a service follows its users and takes hours to
	// double. math.Inf(1) turns the comparison off: then Threshold alone counts, from
	// the first snapshot on, as an alert on the total.
	Factor float64

	// MinRise is how far above the median the number must be as well, in
	// goroutines, at least 1. Default 1,000: a few connections are enough to
	// double 40 to 80.
	MinRise int

	// Window is the time over which the median is taken. The median is weighted by
	// time, not by snapshots, because older snapshots are further apart. A full
	// Window must have passed since the warm-up. Default 30 min: a burst does not
	// affect the median, and half an hour after a lasting rise the new number is
	// normal. Above 0, at most [MaxHistory].
	Window time.Duration

	// Warmup is the time after the first snapshot that is excluded from the
	// window. Default 10 min: a service that has just started has few goroutines,
	// and any load doubles them. At most [MaxHistory].
	Warmup time.Duration

	// MinSnapshots is in how many consecutive snapshots the number must be that
	// high, 1 to 4. Default 3. If there are fewer snapshots, as with a single saved
	// dump, Threshold applies to those.
	MinSnapshots int

	// MinWait is how long the number must be that high, as far as there are snapshots.
	// Default 20 s: on a suspicion, three snapshots take ten, and there is nothing to
	// do about so short a surge. At most [MaxHistory].
	MinWait time.Duration
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
		MinWait:      20 * time.Second,
	}
}

// minBaseline is the minimum number of snapshots for a median. Together with
// MinSnapshots it does not exceed the number that a history never thins out.
const minBaseline = places.Whole / 2

func (c SurgeConfig) checks() []check {
	return []check{
		atLeast("Threshold", c.Threshold, 1),
		{"Factor", c.Factor, c.Factor > 1, "above 1"}, // not NaN
		atLeast("MinRise", c.MinRise, 1),
		above0("Window", c.Window),
		within("Warmup", c.Warmup),
		between("MinSnapshots", c.MinSnapshots, 1, places.Whole-minBaseline),
		within("MinWait", c.MinWait),
	}
}

// NewSurge returns the detector "surge": the process has far more goroutines
// than before, or more than a threshold. Confidence [Info].
//
// It only counts, and so cannot distinguish load from a fault, as the other
// detectors do. It covers the first minutes of a fault, before the others can
// fire, and works with every source. It fires when the number in each of the
// newest MinSnapshots snapshots, over at least MinWait, is
//
//   - above Threshold, or
//   - at least Factor times the median over the preceding Window, and at least
//     MinRise above it.
//
// There is one finding for the whole process. Its stack is the one where the
// number rose most or, without an earlier snapshot, the largest. Its stack ID is
// [goroutine.OtherStacks]. The evidence names the largest rises.
//
// False negatives: below Threshold, a rise that takes longer than Window to
// double the number. False positives: a service designed for more than Threshold
// goroutines, for as long as it has them; and a batch job, each time it runs
// thousands of goroutines for longer than MinSnapshots. The finding for a
// lasting rise is resolved once the new number has become the median.
func NewSurge(c SurgeConfig) *Detector {
	return configured(c, &Detector{
		Name:   "surge",
		Doc:    "The process has far more goroutines than before, or more than a threshold.\n\nIt only counts, so the cause may be load as well as a fault.",
		Needs:  Needs{History: c.Window},
		Yields: []string{"deadlock", "hang", "blocked_forever", "leak", "pileup", "contention"},
		Run:    c.run,
	})
}

func (c SurgeConfig) run(p *Pass) error {
	s := p.places()
	now := population(s, s.Last())
	needed := len(s.Snapshots) - min(c.MinSnapshots, len(s.Snapshots)-s.Back(c.Window))
	needed = min(needed, max(0, s.At(s.Newest().Time.Add(-c.MinWait))))
	if math.IsInf(c.Factor, 1) {
		// nothing is compared, so that no history is needed
	} else if median, ok := c.median(s, p.Started); ok {
		if since := surgedSince(s, max(c.Factor*float64(median), float64(median)+float64(c.MinRise))); since <= needed {
			p.Report(c.finding(s, since, fmt.Sprintf("The process has %s, %.1f times the median of the last %s (%d)",
				goroutines(now), float64(now)/float64(max(1, median)), words.Span(c.Window), median)))
			return nil
		}
	} else {
		p.tooShort(s, c.MinSnapshots+minBaseline, c.Warmup+c.Window, "; until then it compares with its threshold only")
	}
	if since := surgedSince(s, float64(c.Threshold)+1); since <= needed {
		p.Report(c.finding(s, since, fmt.Sprintf("The process has %s, above the threshold of %d", goroutines(now), c.Threshold)))
	}
	return nil
}

// population returns the number of goroutines in snapshot i, including those
// that could not be described.
func population(s *places.Series, i int) int { return s.Snapshots[i].Total + s.Snapshots[i].Missing }

// surgedSince returns the first snapshot since which every snapshot had at least
// limit goroutines.
func surgedSince(s *places.Series, limit float64) int {
	return s.HeldSince(func(i int) bool { return float64(population(s, i)) >= limit })
}

// median returns the median number of goroutines in the window, weighted by
// time. ok is false when the snapshots after the warm-up do not cover Window, or
// are too few. The newest MinSnapshots are excluded.
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

// finding returns the finding for a surge since a snapshot, with the numbers
// before it. message lacks the time and the full stop.
func (c SurgeConfig) finding(s *places.Series, since int, message string) Finding {
	since = max(since, s.Back(c.Window))
	before := since - 1
	if since == s.Back(c.Window) {
		before = -1 // outside the window
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
		f.note("%s ago there were %d.", words.Span(ago), was)
	}
	if f.Age >= time.Second {
		f.Message += fmt.Sprintf(", for at least %s", words.Span(f.Age))
	}
	f.Message += "."
	for _, r := range rises[:min(len(rises), shownRises)] {
		if r.to > r.from {
			f.note("%s", r.String())
		}
	}
	return f
}

// shownRises is the maximum number of places that the evidence names.
const shownRises = 3

// A change is the number of goroutines at one place before and now.
type change struct {
	stack    *goroutine.Stack
	state    goroutine.State
	from, to int
}

// String describes the change in one sentence.
func (c *change) String() string {
	text := fmt.Sprintf("%s in %s at %s", goroutines(c.to), c.state, where(c.stack))
	if c.from == 0 {
		return text + "."
	}
	return fmt.Sprintf("%s; there were %d.", text, c.from)
}

// changes compares the current places with those of snapshot before, or with
// none when before is -1. The largest rises come first. There is always at least
// one change: if all goroutines are summed up under goroutine.OtherStacks, it
// stands for these.
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
