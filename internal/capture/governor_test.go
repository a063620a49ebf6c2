package capture

import (
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
		work += time.Duration(float64(took) * cores[goroutine.SourceTrace])
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
			runs, share := simulate(NewGovernor(budget, epoch), tt.goroutines, tt.perGoroutine, 15*time.Second, 10*time.Minute)
			assert.GreaterOrEqual(t, runs, tt.minRuns)
			if runs > 1 {
				assert.LessOrEqual(t, share, budget.CPU)
			}
		})
	}
}

// A capture that costs ten times its prediction puts the governor in debt. The
// next capture waits until the debt is paid.
func TestASurpriseIsPaidBack(t *testing.T) {
	g := NewGovernor(budget, epoch)
	require.Nil(t, g.Allow(goroutine.SourceTrace, 1_000, epoch))
	g.Spent(goroutine.SourceTrace, 1_000, 2*time.Second, epoch)
	refusal := g.Allow(goroutine.SourceTrace, 1_000, epoch.Add(5*time.Minute))
	require.NotNil(t, refusal)
	assert.Equal(t, ReasonBudget, refusal.Reason)
	assert.True(t, refusal.waits())
	assert.Nil(t, g.Allow(goroutine.SourceTrace, 1_000, epoch.Add(25*time.Minute)))
}

func TestIdleCreditIsBounded(t *testing.T) {
	g := NewGovernor(budget, epoch)
	later := epoch.Add(24 * time.Hour)
	require.NotNil(t, g.Allow(goroutine.SourceTrace, 2_000_000, later), "what was earned in a day must not be spent at once")
	assert.LessOrEqual(t, g.credit, 3*time.Second)
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
	g.Spent(goroutine.SourceProfile, 1_000, 10*time.Millisecond, epoch)
	work, _ := g.Predict(goroutine.SourceProfile, 1_000)
	assert.Equal(t, 10*time.Millisecond, work, "up at once")
	g.Spent(goroutine.SourceProfile, 1_000, 2*time.Millisecond, epoch)
	work, _ = g.Predict(goroutine.SourceProfile, 1_000)
	assert.Equal(t, 8*time.Millisecond, work, "down by a quarter of the way")
}

func TestThePauseFollowsTheStopsMeasured(t *testing.T) {
	g := NewGovernor(budget, epoch)
	g.Stopped(goroutine.SourceText, 500, 10*time.Millisecond)
	_, pause := g.Predict(goroutine.SourceText, 1_000)
	assert.Equal(t, 20*time.Millisecond, pause, "up at once")
	g.Stopped(goroutine.SourceText, 500, 2*time.Millisecond)
	_, pause = g.Predict(goroutine.SourceText, 1_000)
	assert.Equal(t, 16*time.Millisecond, pause, "down by a quarter of the way")
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
	before := g.credit
	_ = g.Allow(goroutine.SourceTrace, 1_000, epoch.Add(-time.Hour))
	assert.Equal(t, before, g.credit)
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
	g.Charge(2*time.Second, epoch)
	require.NotNil(t, g.Allow(goroutine.SourceTrace, 1_000, epoch.Add(5*time.Minute)))
	assert.Nil(t, g.Allow(goroutine.SourceTrace, 1_000, epoch.Add(7*time.Minute)))
	g.Charge(-time.Hour, epoch.Add(7*time.Minute))
	assert.LessOrEqual(t, g.credit, time.Second, "a clock that went backwards earns nothing")
}
