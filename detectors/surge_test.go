// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

func newSurge() *detectors.Detector { return detectors.NewSurge(detectors.DefaultSurgeConfig()) }

// totals returns snapshots of a process that had so many goroutines in each.
func totals(interval time.Duration, counts ...int) []*goroutine.Snapshot {
	series := make([]*goroutine.Snapshot, len(counts))
	for i, n := range counts {
		series[i] = &goroutine.Snapshot{
			Time:   detectortest.Start.Add(time.Duration(i) * interval),
			Source: goroutine.SourceProfile,
			Total:  n,
			Groups: []goroutine.Group{
				{Stack: atKeepAlive.Stack, State: atKeepAlive.State, Count: 2 * n / 3},
				{Stack: atHandler.Stack, State: atHandler.State, Count: n - 2*n/3},
			},
		}
	}
	return series
}

// level returns n snapshots with so many goroutines.
func level(n, count int) []int {
	counts := make([]int, n)
	for i := range counts {
		counts[i] = count
	}
	return counts
}

func join(parts ...[]int) []int {
	var all []int
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// TestSurge has snapshots every 30 s: half an hour is 60 of them, the warm-up 20.
func TestSurge(t *testing.T) {
	for name, tc := range map[string]struct {
		counts []int
		first  int // snapshot with a finding; -1: none
		text   string
	}{
		"doubled":                  {join(level(100, 1500), level(5, 3000)), 102, "2.0 times the median of the last 30 min (1500)"},
		"not quite":                {join(level(100, 1500), level(5, 2999)), -1, ""},
		"doubled, but small":       {join(level(100, 900), level(5, 1899)), -1, ""},
		"from nothing":             {join(level(100, 2), level(5, 1002)), 102, ""},
		"a blip":                   {join(level(100, 1500), level(2, 9000), level(20, 1500)), -1, ""},
		"warming up":               {join(level(20, 100), level(60, 5000)), -1, ""},
		"right after the warm-up":  {join(level(21, 100), level(60, 5000)), -1, ""},
		"as soon as it is known":   {join(level(79, 100), level(60, 5000)), 81, ""},
		"before it is known":       {join(level(49, 100), level(30, 5000)), -1, ""},
		"some are not described":   {join(level(100, 1500), level(5, 3000)), 102, ""},
		"above the threshold":      {join(level(100, 100_000), level(5, 100_001)), 102, "The process has 100001 goroutines, above the threshold of 100000, for at least 60 s."},
		"above it from the start":  {level(3, 100_001), 0, ""},
		"above it, in the warm-up": {join(level(5, 10), level(5, 200_000)), 7, ""},
		"at the threshold":         {level(100, 100_000), -1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			steps := detectortest.Run(t, newSurge(), totals(tick, tc.counts...)...)
			first := -1
			for i, s := range steps {
				require.LessOrEqual(t, len(s.Findings), 1)
				if len(s.Findings) > 0 && first < 0 {
					first = i
					assert.Contains(t, s.Findings[0].Message, tc.text)
					assert.Equal(t, detectors.Info, s.Findings[0].Confidence)
				}
			}
			assert.Equal(t, tc.first, first)
		})
	}
}

func TestSurgeTellsFacts(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Source = goroutine.SourceProfile
	p.Go(atKeepAlive, 3000)
	steps := detectortest.Run(t, newSurge(), detectortest.Series(p, 110, tick, func(i int) {
		if i >= 100 {
			p.Go(atSend, 500)
		}
	})...)
	detectortest.Compare(t, lastFindings(steps), detectortest.Want{
		Function: "main.(*Stage).emit", Line: 8, Count: 8000, Confidence: detectors.Info,
		Contains: "5000 goroutines in chan send at main.(*Stage).emit (main.go:8); there were 2500.",
	})
	f := lastFindings(steps)[0]
	assert.Equal(t, "The process has 8000 goroutines, 2.7 times the median of the last 30 min (3000), for at least 2 min.", f.Message)
	assert.Equal(t, "2 min ago there were 5500.", f.Evidence[0])
	assert.Equal(t, 2*time.Minute, f.Age)
	assert.InDelta(t, 1000, f.GrowthPerMinute, 1)
	assert.Equal(t, goroutine.OtherStacks, f.Stack.ID, "whatever rises most, it is one surge")
}

// TestSurgeCountsWhatIsMissing has a dump that was cut.
func TestSurgeCountsWhatIsMissing(t *testing.T) {
	s := totals(tick, 79_000)[0]
	s.Missing = 21_001
	detectortest.Compare(t, detectortest.Run(t, newSurge(), s)[0].Findings, detectortest.Want{Count: 100_001})
}

// TestSurgeWithoutPlaces has nothing that a stack could be told of.
func TestSurgeWithoutPlaces(t *testing.T) {
	s := &goroutine.Snapshot{Time: detectortest.Start, Total: 200_000, Groups: []goroutine.Group{{Stack: &goroutine.Stack{ID: goroutine.OtherStacks}, Count: 200_000}}}
	detectortest.Compare(t, detectortest.Run(t, newSurge(), s)[0].Findings, detectortest.Want{Count: 200_000, Contains: "at an unknown place"})
}

// TestSurgeEndsWhenItLasts: after half an hour it is what is usual.
func TestSurgeEndsWhenItLasts(t *testing.T) {
	steps := detectortest.Run(t, newSurge(), totals(interval, join(level(240, 1000), level(240, 5000))...)...)
	var found int
	for i, s := range steps {
		if len(s.Findings) > 0 {
			found = i
		}
	}
	assert.InDelta(t, 240+60, found, 15, "by time and not by snapshots, of which the newer are more")
}

// TestSurgeIsSilentUnderHealthyLoad asks for a smaller rise than the default,
// since the load is a tenth of what that is meant for.
func TestSurgeIsSilentUnderHealthyLoad(t *testing.T) {
	base := func(s *service) {
		if s.tick == 1 {
			s.Go(atKeepAlive, 300)
		}
	}
	for name, tc := range map[string]struct {
		shape
		length time.Duration
	}{
		"steady":      {together(base, steady), 4 * time.Hour},
		"wave":        {together(base, wave), 12 * time.Hour},
		"ramp":        {together(base, ramp), 3 * time.Hour},
		"all at once": {together(steady, slow, poolGrowth, streams(2*time.Hour), autoscaling(0.5), keepAlive(), fills()), 4 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := surgeWith(func(c *detectors.SurgeConfig) { c.MinRise = 100 })
			found, first := replay(t, d, newService(4, 1), tc.shape, tc.length)
			assert.Empty(t, found, "first after %v", first)
		})
	}
}

func TestSurgeWithRareSnapshots(t *testing.T) {
	steps := detectortest.Run(t, newSurge(), totals(20*time.Minute, join(level(8, 1000), level(3, 5000))...)...)
	assert.NotEmpty(t, lastFindings(steps))
	assert.Empty(t, steps[9].Findings)
}

func TestSurgeCanBeTurnedOff(t *testing.T) {
	counts := join(level(100, 1000), level(5, 1_000_000))
	for name, change := range map[string]func(*detectors.SurgeConfig){
		"no threshold":  func(c *detectors.SurgeConfig) { c.Threshold = math.MaxInt },
		"no comparison": func(c *detectors.SurgeConfig) { c.Factor = math.Inf(1) },
		"neither": func(c *detectors.SurgeConfig) {
			c.Threshold, c.Factor, c.MinRise = math.MaxInt, math.Inf(1), math.MaxInt
		},
	} {
		steps := detectortest.Run(t, surgeWith(change), totals(tick, counts...)...)
		assert.Equal(t, name != "neither", len(lastFindings(steps)) > 0, name)
	}
}

// TestABriefSurgeOnASuspicionIsNone has snapshots that are five seconds apart: three
// of them are ten seconds.
func TestABriefSurgeOnASuspicionIsNone(t *testing.T) {
	fired := func(high int) (n int) {
		series := totals(tick, level(100, 1500)...)
		for i := range 12 {
			s := totals(tick, map[bool]int{true: 9000, false: 1500}[i < high])[0]
			s.Time = series[len(series)-1].Time.Add(5 * time.Second)
			series = append(series, s)
		}
		for _, s := range detectortest.Run(t, newSurge(), series...) {
			n += len(s.Findings)
		}
		return n
	}
	assert.Zero(t, fired(4), "15 s")
	assert.Positive(t, fired(6), "25 s")
}

// TestAThresholdAloneJudgesAtOnce: an alert on the total needs no history, so that it
// ends when the number falls.
func TestAThresholdAloneJudgesAtOnce(t *testing.T) {
	alert := surgeWith(func(c *detectors.SurgeConfig) { c.Threshold, c.Factor = 500, math.Inf(1) })
	steps := detectortest.Run(t, alert, totals(tick, join(level(3, 100), level(3, 600), level(3, 100))...)...)
	for i, s := range steps {
		assert.True(t, s.Status.Judging, i)
		assert.Equal(t, i == 5, len(s.Findings) > 0, i)
	}
	assert.False(t, detectortest.Run(t, newSurge(), totals(tick, 100)...)[0].Status.Judging, "a comparison needs half an hour")
}
