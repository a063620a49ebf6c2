// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"fmt"
	"math"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// A Budget is what taking snapshots may cost the host.
type Budget struct {
	CPU   float64       // share of one core, over time
	Pause time.Duration // stop of the world, as predicted for one snapshot; 0 allows none
}

// A Governor decides from predictions which capture may run. It measures the CPU
// time of each source, predicts the cost of the next capture from the number of
// goroutines, and allows it when the CPU time earned so far covers the prediction.
// So with any number of goroutines, the share of one core stays within the budget,
// and the time between captures grows instead.
//
// A capture that costs more than there is leaves a debt. It is paid back with the
// captures that follow, each of which also pays a small part of it: one that was
// unexpectedly expensive delays the next a little, and its cost is in the share all
// the same. docs/DESIGN.md has the arithmetic.
//
// Its callers pass in the time. It is not safe for concurrent use.
type Governor struct {
	budget   Budget
	rates    map[goroutine.Source]rate
	credit   time.Duration // CPU time that may be spent; never negative
	debt     time.Duration // CPU time spent without credit; never negative
	wanted   time.Duration // CPU time last refused for lack of credit
	earnedAt time.Time
	loaded   int // snapshots skipped in a row because of load

	follow  time.Duration // predicted CPU time of what follows a snapshot
	charged time.Duration // CPU time of what followed the last one
	taken   bool          // a capture ran since Next

	delayed time.Time // when a capture was last delayed by the host
}

// A rate is what a source costs per goroutine.
type rate struct {
	work  time.Duration // CPU time
	pause time.Duration // stop of the world; 0 for a source whose stop does not grow
}

// beside is the CPU time that a source costs on other threads than that of its
// goroutine, whatever the number of goroutines. For a trace, the runtime stops and
// starts the world and wakes the goroutine that reads the trace.
var beside = map[goroutine.Source]time.Duration{
	goroutine.SourceTrace:    1500 * time.Microsecond,
	goroutine.SourceRecorder: 1500 * time.Microsecond,
	goroutine.SourceLocks:    1500 * time.Microsecond,
	goroutine.SourceWindow:   3 * time.Millisecond, // two generations
}

// readCost is what each byte of a trace costs the goroutine that reads it, and the
// garbage collector. With it and beside, what is charged for a trace is 99 to 111 %
// of the CPU time of a process that does nothing else, with 5 to 100,000 goroutines.
const readCost = 10 * time.Nanosecond

// firstRates are the costs assumed before the first measurement: the upper end of
// what docs/DESIGN.md records.
var firstRates = map[goroutine.Source]rate{
	goroutine.SourceTrace:    {work: 3 * time.Microsecond},
	goroutine.SourceRecorder: {work: 3 * time.Microsecond},
	goroutine.SourceLocks:    {work: 6 * time.Microsecond}, // half of it is to read code
	goroutine.SourceProfile:  {work: 2 * time.Microsecond},
	goroutine.SourceLabelled: {work: 4 * time.Microsecond},
	// The stop takes half a microsecond per frame: 2 µs for a goroutine with one
	// frame, 5.5 µs with 12, 15 µs with 42, at any number of goroutines. Reading
	// the text adds a third.
	goroutine.SourceText: {work: 15 * time.Microsecond, pause: 10 * time.Microsecond},
}

const (
	// instalments is into how many parts a debt is divided: every capture pays one
	// of them beside its own cost. If a capture used ten seconds of CPU time, the
	// most that is believed, the next one has to wait for 0.16 s to be earned, with
	// the default budget 31 s. While captures go on costing more than predicted, the
	// debt grows until its instalments make up for the difference, which keeps the
	// share within the budget.
	instalments = 64
	// rise is how many times as expensive as before one measurement may make a
	// source, because it may be an accident. A cost that lasts reaches any height
	// within a few captures. A stop of the world is measured by the clock on the
	// wall, which a paused process falsifies, and rises more slowly.
	rise      = 4
	pauseRise = 2
	// mostWork is the most CPU time that one capture is believed to have used, or
	// rise times its prediction if that is more. A capture is ended after a few
	// seconds; a virtual machine that was paused in it sees the pause as CPU time.
	mostWork = 10 * time.Second
	// firstFollow is what is assumed to follow a snapshot before it is measured.
	firstFollow = time.Millisecond
	// delayRatio and leastDelay say when the host delays captures: one took more
	// than leastDelay on the clock, and delayRatio times the CPU time that it used.
	// delaySpan is how long that is remembered.
	delayRatio = 4
	leastDelay = 500 * time.Millisecond
	delaySpan  = time.Minute
	// loan is how much CPU time may be used before it is earned. With it, a process
	// with up to about 15,000 goroutines does not wait for its first snapshot.
	loan = 50 * time.Millisecond
	// creditSpan bounds what an idle governor saves up: the loan and what it earns
	// in this time or, if that is more, the cost of the one capture it is saving for.
	creditSpan = 10 * time.Minute
	// loadFactor is how many goroutines must be runnable per P before the process
	// counts as overloaded. loadPatience is how many snapshots in a row are
	// skipped for that reason. Then one is taken anyway: a lasting overload is
	// what people want to see.
	loadFactor   = 64
	loadPatience = 4
	// fewest is the smallest number of goroutines that a cost is measured and
	// predicted for. Otherwise the part that does not grow with them, about a
	// millisecond, would be taken for the cost of each goroutine.
	fewest = 256
	// forgetting is how slowly a refused source is forgiven: each refusal moves
	// its pause back towards the first assumption, by one part in this many.
	// Without that, a source that is never allowed would never be measured again.
	// With 15 s between refusals, half the way takes eleven minutes.
	forgetting = 64
)

// NewGovernor returns a governor that starts at now, with nothing but a loan.
func NewGovernor(b Budget, now time.Time) *Governor {
	g := &Governor{budget: b, rates: make(map[goroutine.Source]rate), credit: loan, follow: firstFollow, earnedAt: now}
	for s, r := range firstRates {
		g.rates[s] = r
	}
	return g
}

// Next begins a step: a snapshot and everything that follows it, which is charged
// with [Governor.Charge] until the next step.
func (g *Governor) Next() {
	if g.taken {
		g.follow = approach(g.follow, g.charged, max(rise*g.follow, firstFollow))
	}
	g.taken, g.charged = false, 0
}

// Allow returns nil if source may take a snapshot of this many goroutines now. The
// credit must cover its predicted cost and that of what follows it.
func (g *Governor) Allow(source goroutine.Source, goroutines int, now time.Time) *Refusal {
	work, pause := g.Predict(source, goroutines)
	refusal := g.AllowCost(work+g.follow, pause, now)
	if refusal != nil && refusal.Reason == ReasonPause {
		r := g.rates[source]
		r.pause -= (r.pause - firstRates[source].pause) / forgetting
		g.rates[source] = r
	}
	return refusal
}

// AllowCost returns nil if a capture with this predicted cost may run now.
func (g *Governor) AllowCost(work, pause time.Duration, now time.Time) *Refusal {
	g.earn(now)
	price := work + g.instalment()
	switch {
	case pause > g.budget.Pause:
		return refuse(ReasonPause, "the predicted stop of the world is %v; it must be at most %v", pause, g.budget.Pause)
	case g.credit < price:
		g.wanted = price
		return refuse(ReasonBudget, "the predicted CPU time is %v%s; %v is available, and the next capture is possible in %v",
			readable(work), g.indebted(), readable(g.credit), readable(g.Wait(work)))
	}
	return nil
}

// Spare reports whether a snapshot beyond the regular ones may be taken now. The credit
// must cover it, what follows it and, after that, reserve and the next regular
// snapshot. A refusal is not remembered: nothing saves up for such a snapshot.
func (g *Governor) Spare(source goroutine.Source, goroutines int, reserve time.Duration, now time.Time) bool {
	g.earn(now)
	work, _ := g.Predict(source, goroutines)
	return g.credit >= 2*(work+g.follow+g.instalment())+reserve
}

// indebted tells what a capture has to pay beside its own cost.
func (g *Governor) indebted() string {
	if i := g.instalment(); i > 0 {
		return fmt.Sprintf(", plus %v for earlier captures that used more than was predicted", readable(i))
	}
	return ""
}

// Wait returns how long it takes until a capture with this predicted CPU time is
// covered, if no other runs before it.
func (g *Governor) Wait(work time.Duration) time.Duration {
	missing := work + g.instalment() - g.credit
	if missing <= 0 {
		return 0
	}
	if wait := float64(missing) / g.budget.CPU; wait < math.MaxInt64 {
		return time.Duration(wait)
	}
	return math.MaxInt64
}

// readable rounds to three digits or so.
func readable(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second)
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Microsecond)
}

// Overloaded reports whether to skip a snapshot because too many runnable
// goroutines queue for procs Ps. After loadPatience skips in a row it returns
// false.
func (g *Governor) Overloaded(runnable, procs int) bool {
	if runnable < loadFactor*procs || g.loaded >= loadPatience {
		g.loaded = 0
		return false
	}
	g.loaded++
	return true
}

// Starved reports whether the host recently delayed a capture, because it gave its
// thread no CPU or paused the process. What traces the program for a span of time
// would then do so for much longer.
func (g *Governor) Starved(now time.Time) bool {
	since := now.Sub(g.delayed)
	return !g.delayed.IsZero() && since >= 0 && since < delaySpan
}

// Took records how long a capture took on the clock, and how much CPU time it used
// on its own thread. Each tells anew whether the host delays captures. It returns for
// how long the host delayed this one, 0 when it did not.
func (g *Governor) Took(wall, used time.Duration, now time.Time) time.Duration {
	g.delayed = time.Time{}
	if wall <= max(leastDelay, delayRatio*used) {
		return 0
	}
	g.delayed = now
	return wall - used
}

// Predict returns what source would cost now.
func (g *Governor) Predict(source goroutine.Source, goroutines int) (work, pause time.Duration) {
	r := g.rates[source]
	return beside[source] + r.work*time.Duration(max(goroutines, fewest)), r.pause * time.Duration(goroutines)
}

// Spent records the CPU time that a capture used on its own thread, and what
// tracing cost the program meanwhile, whether or not it succeeded.
func (g *Governor) Spent(source goroutine.Source, goroutines int, used time.Duration, now time.Time) {
	g.earn(now)
	predicted, _ := g.Predict(source, goroutines)
	used = min(max(used, 0), max(mostWork, rise*predicted))
	instalment := g.instalment()
	g.debt -= instalment
	g.pay(used + beside[source] + instalment)
	g.taken = true
	r := g.rates[source]
	r.work = approach(r.work, each(used, goroutines), rise*max(r.work, firstRates[source].work))
	g.rates[source] = r
}

// Stopped records how long a capture stopped the world, for a source whose stop
// grows with the number of goroutines.
func (g *Governor) Stopped(source goroutine.Source, goroutines int, stop time.Duration) {
	r := g.rates[source]
	r.pause = approach(r.pause, each(stop, goroutines), pauseRise*max(r.pause, firstRates[source].pause))
	g.rates[source] = r
}

// each returns the part of a cost that falls on each goroutine.
func each(total time.Duration, goroutines int) time.Duration {
	return total / time.Duration(max(goroutines, fewest))
}

// approach returns the updated prediction after a measurement. It rises at once,
// to the highest that is accepted, and falls by a quarter of the difference: what
// was expensive once is likely to be so again.
func approach(predicted, measured, highest time.Duration) time.Duration {
	if measured > predicted {
		return min(measured, highest)
	}
	return predicted - (predicted-measured)/4
}

// Charge records CPU time that was not spent on a capture itself but on what
// followed.
func (g *Governor) Charge(work time.Duration, now time.Time) {
	g.earn(now)
	work = min(max(work, 0), max(mostWork, rise*g.follow))
	g.charged += work
	g.pay(work)
}

// instalment is what the next capture has to pay of the debt.
func (g *Governor) instalment() time.Duration { return g.debt / instalments }

// pay takes work from the credit. What it does not cover becomes debt.
func (g *Governor) pay(work time.Duration) {
	g.credit -= work
	if g.credit < 0 {
		g.debt -= g.credit
		g.credit = 0
	}
}

// earn adds what was earned since the last time. What is more than can be saved up
// pays the debt.
func (g *Governor) earn(now time.Time) {
	if passed := now.Sub(g.earnedAt); passed > 0 {
		g.credit += time.Duration(g.budget.CPU * float64(passed))
		most := max(loan+time.Duration(g.budget.CPU*float64(creditSpan)), g.wanted)
		if over := g.credit - most; over > 0 {
			g.credit = most
			g.debt = max(g.debt-over, 0)
		}
	}
	g.earnedAt = now
}
