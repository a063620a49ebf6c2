// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// A history is a process as the governor sees it: random costs that have little to
// do with what was predicted, at random times.
type history struct {
	*rand.Rand
	governor *Governor
	budget   Budget
	interval time.Duration
	now      time.Time
	elapsed  time.Duration // that the clock went forward
	spent    time.Duration // CPU time
	captures int
}

func newHistory(seed uint64) *history {
	h := &history{Rand: rand.New(rand.NewPCG(seed, 14)), now: epoch}
	h.budget = Budget{CPU: h.between(0.0005, 1), Pause: 10 * time.Millisecond}
	h.interval = time.Duration(h.between(1e8, 6e10))
	h.governor = NewGovernor(h.budget, h.now)
	return h
}

// between returns a number of any order of magnitude between two.
func (h *history) between(low, high float64) float64 {
	return low * math.Pow(high/low, h.Float64())
}

// cost returns a CPU time around a typical one: once in fifty times, up to what a
// capture can use before it is ended.
func (h *history) cost(typical time.Duration) time.Duration {
	if h.IntN(50) == 0 {
		return time.Duration(h.between(1e6, float64(mostWork)))
	}
	return time.Duration(h.between(0.2, 5) * float64(typical))
}

// step is one interval, at which nothing or several captures may happen.
func (h *history) step(goroutines int, typical time.Duration) {
	h.wait()
	h.governor.Next()
	for _, source := range []goroutine.Source{goroutine.SourceTrace, goroutine.SourceLabelled, goroutine.SourceWindow} {
		if h.governor.Allow(source, goroutines, h.now) != nil {
			return
		}
		used := h.cost(typical)
		h.governor.Spent(source, goroutines, used, h.now)
		h.spent += used + beside[source]
		h.captures++
		follows := h.cost(typical / 10)
		h.governor.Charge(follows, h.now)
		h.spent += follows
	}
}

// wait lets an interval pass, and sometimes sets the clock back.
func (h *history) wait() {
	passed := h.interval
	if h.IntN(100) == 0 {
		passed = -time.Duration(h.between(1e9, 1e14))
	}
	h.now = h.now.Add(passed)
	h.elapsed += max(passed, 0)
}

// owed returns what was spent without being earned or lent, beyond the debt that
// the governor knows of.
func (h *history) owed() time.Duration {
	earned := time.Duration(h.budget.CPU * float64(h.elapsed))
	return h.spent - loan - earned - h.governor.debt
}

// TestTheShareHoldsInTheLongRun checks on every step that what was spent was
// earned, lent or is owed, and that what is owed does not grow with time, although
// one capture in fifty uses far more than predicted. So in the long run the share
// of a core is that of the budget.
func TestTheShareHoldsInTheLongRun(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			h := newHistory(seed)
			goroutines := int(h.between(1, 1e6))
			typical := time.Duration(h.between(1e5, 1e9))
			var most time.Duration
			for range 20_000 {
				if h.IntN(2000) == 0 { // another load
					goroutines, typical = int(h.between(1, 1e6)), time.Duration(h.between(1e5, 1e9))
				}
				h.step(goroutines, typical)
				most = max(most, h.governor.debt)
				if owed := h.owed(); owed > time.Millisecond {
					require.Failf(t, "spent but not recorded", "%v", owed)
				}
			}
			share := float64(h.spent) / float64(h.elapsed)
			t.Logf("budget %.4f, interval %v, share %.4f in %v, %d captures, debt at most %v", h.budget.CPU, h.interval, share, h.elapsed, h.captures, most)
			assert.LessOrEqual(t, most, 8*mostWork)
			assert.Positive(t, h.captures)
		})
	}
}

// One capture, or what follows it, may use any CPU time: after a quiet hour of a
// small process the next capture comes within three intervals all the same.
func TestNoSingleCaptureSilencesTheMonitor(t *testing.T) {
	for used := time.Millisecond; used < time.Hour; used *= 3 {
		for name, spend := range map[string]func(*Governor, time.Time){
			"the capture":  func(g *Governor, now time.Time) { g.Spent(goroutine.SourceTrace, 5, used, now) },
			"what follows": func(g *Governor, now time.Time) { g.Charge(used, now) },
		} {
			g, now := NewGovernor(budget, epoch), epoch
			for range 4 * 60 {
				now = now.Add(interval)
				g.Next()
				require.Nil(t, g.Allow(goroutine.SourceTrace, 5, now))
				g.Spent(goroutine.SourceTrace, 5, 2*time.Millisecond, now)
				g.Charge(time.Millisecond, now)
			}
			spend(g, now)
			g.Next()
			assert.Nil(t, g.Allow(goroutine.SourceTrace, 5, now.Add(3*interval)), "%s used %v", name, used)
		}
	}
}

// A process that becomes expensive for good is inspected less often, and what it
// costs stays within the budget.
func TestALastingCostStretchesTheInterval(t *testing.T) {
	g := NewGovernor(budget, epoch)
	const span = 24 * time.Hour
	var spent, longest time.Duration
	last := epoch
	for now := epoch; now.Sub(epoch) < span; now = now.Add(interval) {
		g.Next()
		if g.Allow(goroutine.SourceTrace, 100, now) != nil {
			continue
		}
		used := 2 * time.Millisecond
		if now.Sub(epoch) > time.Hour {
			used = 2 * time.Second
			longest = max(longest, now.Sub(last))
		}
		g.Spent(goroutine.SourceTrace, 100, used, now)
		spent += used + beside[goroutine.SourceTrace]
		last = now
	}
	assert.LessOrEqual(t, spent, loan+time.Duration(budget.CPU*float64(span)))
	assert.Greater(t, longest, 380*time.Second, "2 s are earned in 400 s")
	assert.Less(t, longest, 600*time.Second)
}
