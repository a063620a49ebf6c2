// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

var (
	epoch  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	budget = Budget{CPU: 0.005, Pause: 10 * time.Millisecond}
)

// interval is the default of the monitor.
const interval = 15 * time.Second

// simulate asks the governor every interval and runs a source that takes
// perGoroutine whenever it is allowed. It returns how often the source ran and
// what share of one core that was.
func simulate(g *Governor, goroutines int, perGoroutine, interval, span time.Duration) (runs int, share float64) {
	var work time.Duration
	for passed := time.Duration(0); passed < span; passed += interval {
		now := epoch.Add(passed)
		if g.Allow(goroutine.SourceTrace, goroutines, now) != nil {
			continue
		}
		took := perGoroutine * time.Duration(goroutines)
		g.Spent(goroutine.SourceTrace, goroutines, took, now)
		work += took + beside[goroutine.SourceTrace]
		runs++
	}
	return runs, float64(work) / float64(span)
}

func TestShareStaysUnderTheBudgetAtAnyNumberOfGoroutines(t *testing.T) {
	for _, tt := range []struct {
		name         string
		goroutines   int
		perGoroutine time.Duration
		minRuns      int
	}{
		{"small process, every interval", 1_000, 2 * time.Microsecond, 40},
		{"10k", 10_000, 2 * time.Microsecond, 40},
		{"100k, stretched", 100_000, 2 * time.Microsecond, 8},
		{"a million, hardly", 1_000_000, time.Microsecond, 0},
		{"a million on a slow machine: not within ten minutes", 1_000_000, 20 * time.Microsecond, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			runs, share := simulate(NewGovernor(budget, epoch), tt.goroutines, tt.perGoroutine, interval, 10*time.Minute)
			assert.GreaterOrEqual(t, runs, tt.minRuns)
			if runs > 1 {
				assert.LessOrEqual(t, share, budget.CPU)
			}
		})
	}
}

// One capture that used far more than predicted neither silences the monitor nor
// comes for nothing.
func TestASurpriseIsPaidBackInInstalments(t *testing.T) {
	g := NewGovernor(budget, epoch)
	require.Nil(t, g.Allow(goroutine.SourceTrace, 1_000, epoch))
	g.Spent(goroutine.SourceTrace, 1_000, 5*time.Second, epoch)
	refusal := g.Allow(goroutine.SourceTrace, 1_000, epoch.Add(time.Second))
	require.NotNil(t, refusal)
	assert.Equal(t, ReasonBudget, refusal.Reason)
	assert.True(t, refusal.waits())
	assert.EqualError(t, refusal.Err, "the predicted CPU time is 15ms, plus 77ms for earlier captures that used more than was predicted; 5ms is available, and the next capture is possible in 17s")
	require.Nil(t, g.Allow(goroutine.SourceTrace, 1_000, epoch.Add(30*time.Second)), "two intervals later")

	spent, span := 5*time.Second, time.Duration(0)
	for ; g.debt > time.Second; span += interval {
		require.Less(t, span, 3*time.Hour)
		now := epoch.Add(30*time.Second + span)
		g.Next()
		if g.Allow(goroutine.SourceTrace, 1_000, now) == nil {
			g.Spent(goroutine.SourceTrace, 1_000, 3*time.Millisecond, now)
			spent += 3*time.Millisecond + beside[goroutine.SourceTrace]
		}
	}
	assert.Less(t, spent-g.debt, 2*loan+time.Duration(budget.CPU*float64(span+30*time.Second)))
}

// Twenty-six seconds are what a capture took that a pause fell into, where its CPU
// time is not known or a virtual machine takes the pause for it.
func TestNoMeasurementIsBelievedBeyondReason(t *testing.T) {
	for _, took := range []time.Duration{26 * time.Second, time.Hour, math.MaxInt64} {
		g := NewGovernor(budget, epoch)
		g.Spent(goroutine.SourceTrace, 5, took, epoch)
		g.Charge(0, epoch)
		refused := 0
		for now := epoch.Add(interval); g.Allow(goroutine.SourceTrace, 5, now) != nil; now = now.Add(interval) {
			refused++
			require.Less(t, refused, 10)
		}
		assert.LessOrEqual(t, refused, 2, "%v", took)
	}
}

func TestIdleCreditIsBounded(t *testing.T) {
	g := NewGovernor(budget, epoch)
	later := epoch.Add(24 * time.Hour)
	require.NotNil(t, g.Allow(goroutine.SourceTrace, 2_000_000, later), "what was earned in a day must not be spent at once")
	assert.LessOrEqual(t, g.credit, loan+3*time.Second)
}

func TestACaptureOverTheCreditLimitIsSavedFor(t *testing.T) {
	g := NewGovernor(budget, epoch)
	const goroutines = 10_000_000 // 30 s of CPU time: 100 minutes' worth
	require.NotNil(t, g.Allow(goroutine.SourceTrace, goroutines, epoch))
	assert.NotNil(t, g.Allow(goroutine.SourceTrace, goroutines, epoch.Add(99*time.Minute)))
	assert.Nil(t, g.Allow(goroutine.SourceTrace, goroutines, epoch.Add(100*time.Minute)))
}

func TestPauseIsPredictedFromTheNumberOfGoroutines(t *testing.T) {
	g := NewGovernor(Budget{CPU: 1, Pause: 10 * time.Millisecond}, epoch)
	now := epoch.Add(time.Hour)
	assert.Nil(t, g.Allow(goroutine.SourceText, 1_000, now))
	refusal := g.Allow(goroutine.SourceText, 1_001, now)
	require.NotNil(t, refusal)
	assert.Equal(t, ReasonPause, refusal.Reason)
	assert.Nil(t, g.Allow(goroutine.SourceTrace, 100_000, now), "its stop does not grow")
}

func TestRatesFollowWhatIsMeasured(t *testing.T) {
	g := NewGovernor(budget, epoch)
	spent := func(used time.Duration) time.Duration {
		g.Spent(goroutine.SourceProfile, 1_000, used, epoch)
		work, _ := g.Predict(goroutine.SourceProfile, 1_000)
		return work
	}
	assert.Equal(t, 7*time.Millisecond, spent(7*time.Millisecond), "up at once")
	assert.Equal(t, 28*time.Millisecond, spent(time.Minute), "to four times as much after one measurement")
	assert.Equal(t, 22*time.Millisecond, spent(4*time.Millisecond), "down by a quarter of the way")
	for range 10 {
		spent(3 * time.Second)
	}
	assert.Equal(t, 3*time.Second, spent(3*time.Second), "what lasts is believed")
	for range 100 {
		spent(0)
	}
	assert.Equal(t, 8*time.Millisecond, spent(time.Minute), "four times what is assumed at first, at least")
}

func TestThePauseFollowsTheStopsMeasured(t *testing.T) {
	g := NewGovernor(budget, epoch)
	stopped := func(stop time.Duration) time.Duration {
		g.Stopped(goroutine.SourceText, 500, stop)
		_, pause := g.Predict(goroutine.SourceText, 1_000)
		return pause
	}
	assert.Equal(t, 16*time.Millisecond, stopped(8*time.Millisecond), "up at once")
	assert.Equal(t, 14*time.Millisecond, stopped(4*time.Millisecond), "down by a quarter of the way")
	assert.Equal(t, 28*time.Millisecond, stopped(25*time.Second), "twice as long after a stop that the process was paused in")
	for range 20 {
		stopped(time.Second)
	}
	assert.Equal(t, 2*time.Second, stopped(time.Second), "what lasts is believed")
}

// If ten goroutines cost a millisecond, 100,000 must not be predicted to cost ten
// seconds.
func TestWhatDoesNotGrowIsNotExtrapolated(t *testing.T) {
	g := NewGovernor(budget, epoch)
	g.Spent(goroutine.SourceTrace, 10, time.Millisecond, epoch)
	g.Stopped(goroutine.SourceText, 10, time.Millisecond)
	work, _ := g.Predict(goroutine.SourceTrace, 100_000)
	assert.Less(t, work, time.Second)
	_, pause := g.Predict(goroutine.SourceText, 1_000)
	assert.LessOrEqual(t, pause, 10*time.Millisecond)
}

// One stop that happened to be long must not rule out the source for good: it
// would never be measured again.
func TestALongStopIsForgivenInTime(t *testing.T) {
	g := NewGovernor(Budget{CPU: 1, Pause: budget.Pause}, epoch)
	g.Stopped(goroutine.SourceText, 500, 50*time.Millisecond)
	g.Stopped(goroutine.SourceText, 500, 50*time.Millisecond)
	g.Stopped(goroutine.SourceText, 500, 50*time.Millisecond)
	now, refusals := epoch.Add(time.Hour), 0
	for ; g.Allow(goroutine.SourceText, 500, now) != nil; refusals++ {
		require.Less(t, refusals, 1_000)
	}
	assert.Greater(t, refusals, 40, "ten minutes at least, when it is asked for every 15 s")
	_, pause := g.Predict(goroutine.SourceText, 500)
	assert.LessOrEqual(t, pause, budget.Pause)
	for range 10_000 {
		g.Allow(goroutine.SourceText, 1_000_000, now)
	}
	_, pause = g.Predict(goroutine.SourceText, 1)
	assert.GreaterOrEqual(t, pause, firstRates[goroutine.SourceText].pause, "and never below what is assumed at first")
}

func TestAClockSetBackEarnsNothingAndBreaksNothing(t *testing.T) {
	g := NewGovernor(budget, epoch)
	g.Spent(goroutine.SourceTrace, 1_000, time.Second, epoch)
	credit, debt := g.credit, g.debt
	_ = g.Allow(goroutine.SourceTrace, 1_000, epoch.Add(-time.Hour))
	assert.Equal(t, credit, g.credit)
	assert.Equal(t, debt, g.debt)
	assert.Nil(t, g.Allow(goroutine.SourceTrace, 1_000, epoch.Add(-time.Hour+time.Minute)), "and time goes on from there")
}

func TestAClockSetForwardEarnsWhatCanBeSavedAtMost(t *testing.T) {
	g := NewGovernor(budget, epoch)
	_ = g.Allow(goroutine.SourceTrace, 1_000, epoch.Add(100*365*24*time.Hour))
	assert.LessOrEqual(t, g.credit, loan+3*time.Second)
}

func TestOverloadIsGivenInToAfterAWhile(t *testing.T) {
	g := NewGovernor(budget, epoch)
	assert.False(t, g.Overloaded(loadFactor*4-1, 4))
	for range loadPatience {
		assert.True(t, g.Overloaded(loadFactor*4, 4))
	}
	assert.False(t, g.Overloaded(loadFactor*4, 4), "a snapshot is taken of an overload that lasts")
	assert.True(t, g.Overloaded(loadFactor*4, 4), "and then none again")
}

func TestWhatFollowsACaptureIsPaidForToo(t *testing.T) {
	g := NewGovernor(budget, epoch)
	g.Charge(loan, epoch)
	require.NotNil(t, g.Allow(goroutine.SourceTrace, 1_000, epoch))
	g.Charge(-time.Hour, epoch)
	assert.Zero(t, g.credit, "a clock that went backwards earns nothing")
}

// A subscriber or a detector that uses 150 ms each time is predicted, so that the
// interval grows instead of a debt.
func TestWhatFollowsACaptureIsPredicted(t *testing.T) {
	const follows = 150 * time.Millisecond
	g := NewGovernor(budget, epoch)
	runs := 0
	const span = 3 * time.Hour
	for passed := time.Duration(0); passed < span; passed += interval {
		now := epoch.Add(passed)
		g.Next()
		if g.Allow(goroutine.SourceTrace, 10, now) == nil {
			g.Spent(goroutine.SourceTrace, 10, time.Millisecond, now)
			g.Charge(follows/3, now)
			g.Charge(2*follows/3, now)
			runs++
		}
	}
	assert.Equal(t, follows, g.follow)
	assert.Less(t, g.debt, follows)
	share := float64(runs) * float64(follows+time.Millisecond+beside[goroutine.SourceTrace]) / float64(span)
	assert.InEpsilon(t, budget.CPU, share, 0.05)
}

// What is charged while no snapshot is taken says nothing about what follows one.
func TestAStepWithoutASnapshotPredictsNothing(t *testing.T) {
	g := NewGovernor(budget, epoch)
	g.follow = 40 * time.Millisecond
	g.Next()
	g.Charge(time.Millisecond, epoch)
	g.Next()
	assert.Equal(t, 40*time.Millisecond, g.follow)
}

func TestAStarvedHostIsRecognized(t *testing.T) {
	for _, tt := range []struct {
		name       string
		wall, used time.Duration
		starved    bool
	}{
		{"idle host", 3 * time.Millisecond, 2 * time.Millisecond, false},
		{"waits, but not for long", 400 * time.Millisecond, 2 * time.Millisecond, false},
		{"expensive", 3 * time.Second, 2 * time.Second, false},
		{"starved", 1400 * time.Millisecond, 3 * time.Millisecond, true},
		{"stopped", 25 * time.Second, 3 * time.Millisecond, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := NewGovernor(budget, epoch)
			assert.False(t, g.Starved(epoch))
			g.Took(tt.wall, tt.used, epoch)
			assert.Equal(t, tt.starved, g.Starved(epoch.Add(time.Second)))
			assert.False(t, g.Starved(epoch.Add(delaySpan)), "it is tried again")
			assert.False(t, g.Starved(epoch.Add(-time.Hour)), "a clock set back")
			g.Took(3*time.Millisecond, 2*time.Millisecond, epoch.Add(time.Second))
			assert.False(t, g.Starved(epoch.Add(2*time.Second)), "the next capture was not delayed")
		})
	}
}

// TestSnapshotsBeyondTheRegularOnes has a suspicion after ten minutes, with snapshots
// every five seconds while there is enough to spare: with every number of goroutines, a
// window can be paid for after each of them, and the next regular one is not delayed.
func TestSnapshotsBeyondTheRegularOnes(t *testing.T) {
	const each = 2 * time.Microsecond
	for _, tt := range []struct{ goroutines, fewest, most int }{{100, 36, 36}, {1_000, 36, 36}, {10_000, 36, 36}, {100_000, 1, 24}, {1_000_000, 0, 0}} {
		g := NewGovernor(budget, epoch)
		regular, _ := simulate(g, tt.goroutines, each, interval, 10*time.Minute)
		now, taken := epoch.Add(10*time.Minute), 0
		work, _ := g.Predict(goroutine.SourceTrace, tt.goroutines)
		for range 36 {
			if g.Spare(goroutine.SourceTrace, tt.goroutines, 2*work, now) {
				g.Spent(goroutine.SourceTrace, tt.goroutines, each*time.Duration(tt.goroutines), now)
				taken++
				require.Nil(t, g.AllowCost(2*work, 0, now), "the window")
				require.Nil(t, g.Allow(goroutine.SourceTrace, tt.goroutines, now), "the next one")
			}
			now = now.Add(5 * time.Second)
		}
		t.Logf("%d goroutines: %d regular ones, then %d in three minutes", tt.goroutines, regular, taken)
		assert.GreaterOrEqual(t, taken, tt.fewest, tt.goroutines)
		assert.LessOrEqual(t, taken, tt.most, tt.goroutines)
	}
}

// Nothing is saved up for a snapshot that there is no budget for.
func TestSpareAsksForNothing(t *testing.T) {
	g := NewGovernor(budget, epoch)
	assert.False(t, g.Spare(goroutine.SourceTrace, 1_000_000, 0, epoch))
	assert.Zero(t, g.wanted)
	assert.Equal(t, loan, g.credit)
}
