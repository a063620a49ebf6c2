// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"fmt"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
	"github.com/otelgoroutine/go/internal/words"
)

// BlockedForeverConfig is the configuration of [NewBlockedForever]. Start from
// [DefaultBlockedForeverConfig]. Window and Warmup scale together.
type BlockedForeverConfig struct {
	// MinCount is how many goroutines must be blocked at one place, at least 1.
	// Default 1: a single one certainly never ends.
	MinCount int

	// MinRise is by how many goroutines the number at a place must rise to be a
	// fault, at least 1. Default 5: a program that adds a component or a tenant adds
	// one or two.
	MinRise int

	// Window is the shortest time over which the number must keep rising, above 0 and
	// at most [MaxHistory]: in each third of it by at least half of what an even rise
	// would be. Longer times are tried as well, up to 40 times Window (where snapshots
	// are rare, up to that of the last eight) and as far as the history reaches, so that
	// a slow growth is found as soon as it has reached MinRise. Default 3 min: components
	// start faster than that.
	Window time.Duration

	// Warmup is the time after the first snapshot in which all goroutines are taken as
	// part of the service, at most [MaxHistory]. Default 2 min.
	Warmup time.Duration
}

// DefaultBlockedForeverConfig returns the defaults.
func DefaultBlockedForeverConfig() BlockedForeverConfig {
	return BlockedForeverConfig{MinCount: 1, MinRise: 5, Window: 3 * time.Minute, Warmup: 2 * time.Minute}
}

func (c BlockedForeverConfig) checks() []check {
	return []check{
		atLeast("MinCount", c.MinCount, 1),
		atLeast("MinRise", c.MinRise, 1),
		above0("Window", c.Window),
		within("Warmup", c.Warmup),
	}
}

// longestSpan is how far back a growth is looked for, in windows: two hours by
// default, as of the detector "leak".
const longestSpan = 40

// NewBlockedForever returns the detector "blocked_forever": goroutines that
// nothing can ever wake, because they send to or receive from a nil channel,
// or wait in a select without cases. One snapshot is enough.
//
// That they never end is certain, but alone it is no fault: the Done channel of a
// context that is never cancelled is nil, so is a stop channel that means never, and
// a goroutine may wait in a select without cases to keep a thread or memory alive.
// Confidence is therefore [Info] for a fixed number of them. It is [Suspected] when
// the number at a place keeps rising, by at least MinRise in Window or a longer time:
// whatever these goroutines were meant to do, each of them stays for as long as the
// process, with its memory.
//
// A select without cases in the goroutine of main.main is exempt: there it is
// the customary way to keep a program running.
//
// False positives of the growth: a fleet of components, each with a goroutine that
// waits this way on purpose, that comes up over more than Window. Exclude its stack.
// False negatives: fewer than MinRise goroutines in 40 times Window, two hours by
// default, and bursts with long pauses in between. These stay information.
//
// The source must distinguish a nil channel from a real one. Sources without the
// runtime's own wait reasons do so by a line number in the runtime, which is
// known for Go 1.26 and 1.27. With other Go versions they report an ordinary
// channel, and this detector finds nothing.
func NewBlockedForever(c BlockedForeverConfig) *Detector {
	return configured(c, &Detector{
		Name:   "blocked_forever",
		Doc:    "Goroutines that nothing can ever wake: on a nil channel, or in a select without cases.",
		Needs:  Needs{History: min(c.Warmup+longestSpan*c.Window, MaxHistory)},
		Yields: []string{"deadlock", "hang"},
		Run:    c.run,
	})
}

func (c BlockedForeverConfig) run(p *Pass) error {
	var all findings
	s := p.places()
	for _, pl := range judged(s, places.ByStack, goroutine.State.Never, c.MinCount, p.Known) {
		if pl.State != goroutine.SelectNoCases || !keepsRunning(pl.Stack) {
			all = append(all, c.lost(pl, c.rises(p.Started, pl)))
		}
	}
	all.report(p)
	return nil
}

// rises returns how the number at a place kept rising, up to when it last rose; nil if
// it did not.
func (c BlockedForeverConfig) rises(started time.Time, pl *places.Place) *steady {
	s, until := pl.Series, lastRise(pl)
	reach := min(s.At(s.Time(until).Add(-longestSpan*c.Window)), s.Last()+1-places.Whole)
	return keepsRising(s, pl.Count, max(s.From(started.Add(c.Warmup)), reach), until, c.Window, c.MinRise)
}

// lastRise returns the snapshot in which the number at a place was larger than in the
// one before for the last time; the first snapshot when there is none. What never ends
// is there still when it no longer gets more.
func lastRise(pl *places.Place) int {
	for i := pl.Series.Last(); i > 0; i-- {
		if pl.Count(i) > pl.Count(i-1) {
			return i
		}
	}
	return 0
}

// lost returns the finding for a place where goroutines are blocked forever. rise
// says how their number kept rising; nil if it did not.
func (c BlockedForeverConfig) lost(pl *places.Place, rise *steady) Finding {
	since := pl.HeldSince(1)
	f := found(Info, pl, since)
	f.Stands, f.GrowthPerMinute = true, 0
	f.Advice = "If this is on purpose, there is nothing to do; exclude the stack to hear no more of it. Otherwise find what it was meant to wait for: a channel that was never made, or a field that is set later."
	rose := ""
	if rise != nil {
		f.Confidence = Suspected
		f.Advice = "Find how goroutines keep getting to this line and what they were meant to wait for: a channel that was never made, or a field that is set later. Those that are there stay until the process ends."
		rose = c.rose(&f, pl.Series, rise)
	}
	f.Message = fmt.Sprintf("%s at %s %s blocked in %s, which nothing can ever end%s.",
		goroutines(f.Count), where(pl.Stack), verb(f.Count, "is", "are"), pl.State, rose)
	f.note("%s waits forever by definition.", operation(pl.State))
	f.noteNumber(pl.Count(since), rise)
	if born, ok := pl.Oldest(); ok {
		if age := pl.Series.Newest().Time.Sub(born); age >= time.Second {
			f.note("The oldest of them was born at least %s ago.", words.Span(age))
		}
	}
	return f
}

// rose says how the number rises or rose, and sets the growth while it rises.
func (c BlockedForeverConfig) rose(f *Finding, s *places.Series, rise *steady) string {
	if ago := s.Ago(rise.until); ago > max(c.Window, rise.over/3) {
		return fmt.Sprintf("; their number rose by %d in %s, until %s ago", rise.total, words.Span(rise.over), words.Span(ago))
	}
	f.GrowthPerMinute = rise.perMinute()
	return fmt.Sprintf("; there are %s more every minute", perMinute(f.GrowthPerMinute))
}

// noteNumber notes how the number has changed since it was as given.
func (f *Finding) noteNumber(before int, rise *steady) {
	switch {
	case rise != nil:
		f.note("The number rose by %d in %s, evenly.", rise.total, words.Span(rise.over))
	case f.Age > 0 && before == f.Count:
		f.note("It is the same number as %s ago.", words.Span(f.Age))
	case f.Age > 0:
		f.note("%s ago there %s %d.", words.Span(f.Age), verb(before, "was", "were"), before)
	}
}

func operation(s goroutine.State) string {
	if s == goroutine.SelectNoCases {
		return "A select without cases"
	}
	return "Sending to or receiving from a nil channel"
}
