// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
)

// with returns a configuration with a change.
func with[C any](c C, change func(*C)) C {
	change(&c)
	return c
}

func growthWith(change func(*detectors.GrowthConfig)) *detectors.Detector {
	c := detectors.DefaultGrowthConfig()
	change(&c)
	return detectors.NewGrowth(c)
}

func leakWith(change func(*detectors.LeakConfig)) *detectors.Detector {
	return detectors.NewLeak(with(detectors.DefaultLeakConfig(), change))
}

func deadlockWith(change func(*detectors.DeadlockConfig)) *detectors.Detector {
	return detectors.NewDeadlock(with(detectors.DefaultDeadlockConfig(), change))
}

func contentionWith(change func(*detectors.ContentionConfig)) *detectors.Detector {
	return detectors.NewContention(with(detectors.DefaultContentionConfig(), change))
}

func pileupWith(change func(*detectors.PileupConfig)) *detectors.Detector {
	return detectors.NewPileup(with(detectors.DefaultPileupConfig(), change))
}

func surgeWith(change func(*detectors.SurgeConfig)) *detectors.Detector {
	return detectors.NewSurge(with(detectors.DefaultSurgeConfig(), change))
}

func stallWith(change func(*detectors.StallConfig)) *detectors.Detector {
	return detectors.NewStall(with(detectors.DefaultStallConfig(), change))
}

func hangWith(change func(*detectors.HangConfig)) *detectors.Detector {
	return detectors.NewHang(with(detectors.DefaultHangConfig(), change))
}

// TestConfigurationsAreChecked expects the error from Validate, and from Run
// of a detector that was not validated.
func TestConfigurationsAreChecked(t *testing.T) {
	for want, d := range map[string]*detectors.Detector{
		"GrowthConfig.MinAge is 0s; must be above 0 and at most 24h0m0s":      growthWith(func(c *detectors.GrowthConfig) { c.MinAge = 0 }),
		"GrowthConfig.Window is 25h0m0s; must be above 0 and at most 24h0m0s": growthWith(func(c *detectors.GrowthConfig) { c.Window = 25 * time.Hour }),
		"GrowthConfig.MinRise is 0; must be at least 1":                       growthWith(func(c *detectors.GrowthConfig) { c.MinRise = 0 }),
		"GrowthConfig.Warmup is -1s; must be 0 to 24h0m0s":                    growthWith(func(c *detectors.GrowthConfig) { c.Warmup = -time.Second }),
		"LeakConfig.MinAge is -1s; must be above 0 and at most 24h0m0s":       leakWith(func(c *detectors.LeakConfig) { c.MinAge = -time.Second }),
		"LeakConfig.MinAge is 0s; must be above 0 and at most 24h0m0s":        leakWith(func(c *detectors.LeakConfig) { c.MinAge = 0 }),
		"LeakConfig.MaxAge is 1s; must be at least MinAge":                    leakWith(func(c *detectors.LeakConfig) { c.MaxAge = time.Second }),
		"LeakConfig.MaxAge is 25h0m0s; must be 0 to 24h0m0s":                  leakWith(func(c *detectors.LeakConfig) { c.MaxAge = 25 * time.Hour }),
		"LeakConfig.Window is -1s; must be above 0 and at most 24h0m0s":       leakWith(func(c *detectors.LeakConfig) { c.Window = -time.Second }),
		"LeakConfig.Window is 0s; must be above 0 and at most 24h0m0s":        leakWith(func(c *detectors.LeakConfig) { c.Window = 0 }),
		"LeakConfig.Window is 25h0m0s; must be above 0 and at most 24h0m0s":   leakWith(func(c *detectors.LeakConfig) { c.Window = 25 * time.Hour }),
		"LeakConfig.Warmup is -1s; must be 0 to 24h0m0s":                      leakWith(func(c *detectors.LeakConfig) { c.Warmup = -time.Second }),
		"LeakConfig.MinStand is -1s; must be 0 to 24h0m0s":                    leakWith(func(c *detectors.LeakConfig) { c.MinStand = -time.Second }),
		"LeakConfig.Steps is 8; must be 1 to 7":                               leakWith(func(c *detectors.LeakConfig) { c.Steps = 8 }),
		"LeakConfig.Steps is 0; must be 1 to 7":                               leakWith(func(c *detectors.LeakConfig) { c.Steps = 0 }),
		"LeakConfig.MinSteps is 6; must be 1 to Steps":                        leakWith(func(c *detectors.LeakConfig) { c.MinSteps = 6 }),
		"LeakConfig.MinSteps is 0; must be 1 to Steps":                        leakWith(func(c *detectors.LeakConfig) { c.MinSteps = 0 }),
		"LeakConfig.MinRise is -1; must be at least 1":                        leakWith(func(c *detectors.LeakConfig) { c.MinRise = -1 }),
		"LeakConfig.MinRise is 0; must be at least 1":                         leakWith(func(c *detectors.LeakConfig) { c.MinRise = 0 }),
		"LeakConfig.MaxExits is 1.5; must be 0 to 1":                          leakWith(func(c *detectors.LeakConfig) { c.MaxExits = 1.5 }),
		"LeakConfig.MaxAway is -0.5; must be 0 to 1":                          leakWith(func(c *detectors.LeakConfig) { c.MaxAway = -0.5 }),
		"LeakConfig.MaxAway is NaN; must be 0 to 1":                           leakWith(func(c *detectors.LeakConfig) { c.MaxAway = math.NaN() }),
		"DeadlockConfig.MinWait is -1s; must be above 0":                      deadlockWith(func(c *detectors.DeadlockConfig) { c.MinWait = -time.Second }),
		"DeadlockConfig.MinWait is 0s; must be above 0":                       deadlockWith(func(c *detectors.DeadlockConfig) { c.MinWait = 0 }),
		"DeadlockConfig.MinWait is 25h0m0s; must be above 0":                  deadlockWith(func(c *detectors.DeadlockConfig) { c.MinWait = 25 * time.Hour }),
		"DeadlockConfig.MinSnapshots is 1; must be 2 to 8":                    deadlockWith(func(c *detectors.DeadlockConfig) { c.MinSnapshots = 1 }),
		"DeadlockConfig.MinSnapshots is 9; must be 2 to 8":                    deadlockWith(func(c *detectors.DeadlockConfig) { c.MinSnapshots = 9 }),
		"DeadlockConfig.MaxChance is -1; must be above 0 and at most 1":       deadlockWith(func(c *detectors.DeadlockConfig) { c.MaxChance = -1 }),
		"DeadlockConfig.MaxChance is 0; must be above 0 and at most 1":        deadlockWith(func(c *detectors.DeadlockConfig) { c.MaxChance = 0 }),
		"DeadlockConfig.MaxChance is 2; must be above 0 and at most 1":        deadlockWith(func(c *detectors.DeadlockConfig) { c.MaxChance = 2 }),
		"BlockedForeverConfig.MinCount is -1; must be at least 1":             detectors.NewBlockedForever(detectors.BlockedForeverConfig{MinCount: -1, MinRise: 1, Window: 1}),
		"BlockedForeverConfig.MinCount is 0; must be at least 1":              detectors.NewBlockedForever(detectors.BlockedForeverConfig{MinRise: 1, Window: 1}),
		"ContentionConfig.MinWaiters is -1; must be at least 1":               contentionWith(func(c *detectors.ContentionConfig) { c.MinWaiters = -1 }),
		"ContentionConfig.MinSenders is 0; must be at least 1":                contentionWith(func(c *detectors.ContentionConfig) { c.MinSenders = 0 }),
		"ContentionConfig.MinWait is -1s; must be 0 to 24h0m0s":               contentionWith(func(c *detectors.ContentionConfig) { c.MinWait = -time.Second }),
		"ContentionConfig.MinSnapshots is 1; must be 2 to 8":                  contentionWith(func(c *detectors.ContentionConfig) { c.MinSnapshots = 1 }),
		"ContentionConfig.MinSnapshots is 9; must be 2 to 8":                  contentionWith(func(c *detectors.ContentionConfig) { c.MinSnapshots = 9 }),
		"PileupConfig.MinCount is -1; must be at least 1":                     pileupWith(func(c *detectors.PileupConfig) { c.MinCount = -1 }),
		"PileupConfig.MinWait is -1s; must be 0 to 24h0m0s":                   pileupWith(func(c *detectors.PileupConfig) { c.MinWait = -time.Second }),
		"PileupConfig.MinStand is -1s; must be 0 to 24h0m0s":                  pileupWith(func(c *detectors.PileupConfig) { c.MinStand = -time.Second }),
		"PileupConfig.Window is 25h0m0s; must be above 0 and at most 24h":     pileupWith(func(c *detectors.PileupConfig) { c.Window = 25 * time.Hour }),
		"PileupConfig.Window is 1m0s; must be at least MinStand":              pileupWith(func(c *detectors.PileupConfig) { c.Window = time.Minute }),
		"PileupConfig.Warmup is -1s; must be 0 to 24h0m0s":                    pileupWith(func(c *detectors.PileupConfig) { c.Warmup = -time.Second }),
		"PileupConfig.MinSnapshots is 1; must be 2 to 8":                      pileupWith(func(c *detectors.PileupConfig) { c.MinSnapshots = 1 }),
		"PileupConfig.MinSnapshots is 9; must be 2 to 8":                      pileupWith(func(c *detectors.PileupConfig) { c.MinSnapshots = 9 }),
		"SurgeConfig.Threshold is -1; must be at least 1":                     surgeWith(func(c *detectors.SurgeConfig) { c.Threshold = -1 }),
		"SurgeConfig.Factor is 1; must be above 1":                            surgeWith(func(c *detectors.SurgeConfig) { c.Factor = 1 }),
		"SurgeConfig.Factor is NaN; must be above 1":                          surgeWith(func(c *detectors.SurgeConfig) { c.Factor = math.NaN() }),
		"SurgeConfig.MinRise is -1; must be at least 1":                       surgeWith(func(c *detectors.SurgeConfig) { c.MinRise = -1 }),
		"SurgeConfig.Window is -1s; must be above 0 and at most 24h0m0s":      surgeWith(func(c *detectors.SurgeConfig) { c.Window = -time.Second }),
		"SurgeConfig.Window is 25h0m0s; must be above 0 and at most 24h0m0s":  surgeWith(func(c *detectors.SurgeConfig) { c.Window = 25 * time.Hour }),
		"SurgeConfig.Warmup is -1s; must be 0 to 24h0m0s":                     surgeWith(func(c *detectors.SurgeConfig) { c.Warmup = -time.Second }),
		"SurgeConfig.MinSnapshots is 5; must be 1 to 4":                       surgeWith(func(c *detectors.SurgeConfig) { c.MinSnapshots = 5 }),
		"SurgeConfig.MinSnapshots is 0; must be 1 to 4":                       surgeWith(func(c *detectors.SurgeConfig) { c.MinSnapshots = 0 }),
		"StallConfig.MinWait is -1s; must be 0 to 24h0m0s":                    stallWith(func(c *detectors.StallConfig) { c.MinWait = -time.Second }),
		"StallConfig.MinWait is 25h0m0s; must be 0 to 24h0m0s":                stallWith(func(c *detectors.StallConfig) { c.MinWait = 25 * time.Hour }),
		"StallConfig.MinSnapshots is 1; must be 2 to 8":                       stallWith(func(c *detectors.StallConfig) { c.MinSnapshots = 1 }),
		"StallConfig.MinSnapshots is 9; must be 2 to 8":                       stallWith(func(c *detectors.StallConfig) { c.MinSnapshots = 9 }),
		"HangConfig.MinWait is 0s; must be above 0 and at most 24h0m0s":       hangWith(func(c *detectors.HangConfig) { c.MinWait = 0 }),
		"HangConfig.MinSnapshots is 9; must be 2 to 8":                        hangWith(func(c *detectors.HangConfig) { c.MinSnapshots = 9 }),
		"HangConfig.MaxChance is 0; must be above 0 and at most 1":            hangWith(func(c *detectors.HangConfig) { c.MaxChance = 0 }),
		"HangConfig.MinShare is NaN; must be 0 to 1":                          hangWith(func(c *detectors.HangConfig) { c.MinShare = math.NaN() }),
		"HangConfig.MinWaiters is 0; must be at least 1":                      hangWith(func(c *detectors.HangConfig) { c.MinWaiters = 0 }),
		"StallConfig.MaxCreated is -1; must be at least 0":                    stallWith(func(c *detectors.StallConfig) { c.MaxCreated = -1 }),
	} {
		t.Run(want, func(t *testing.T) {
			assert.ErrorContains(t, detectors.Validate([]*detectors.Detector{d}), want)
			assert.ErrorContains(t, d.Run(&detectors.Pass{}), want)
			assert.Zero(t, d.Needs.History, "a history of an impossible length")
		})
	}
}

// TestZeroIsZero has every field at 0 that can be.
func TestZeroIsZero(t *testing.T) {
	assert.NoError(t, detectors.Validate([]*detectors.Detector{
		leakWith(func(c *detectors.LeakConfig) { c.MaxExits, c.MaxAway, c.Warmup, c.MinStand = 0, 0, 0, 0 }),
		contentionWith(func(c *detectors.ContentionConfig) { c.MinWait = 0 }),
		pileupWith(func(c *detectors.PileupConfig) { c.MinWait, c.MinStand, c.Warmup = 0, 0, 0 }),
		surgeWith(func(c *detectors.SurgeConfig) { c.Warmup = 0 }),
		stallWith(func(c *detectors.StallConfig) { c.MinWait, c.MaxCreated = 0, 0 }),
		hangWith(func(c *detectors.HangConfig) { c.MinShare = 0 }),
	}))
}

func TestScaleIsChecked(t *testing.T) {
	for _, k := range []float64{0, -1, math.Inf(1), math.Inf(-1), math.NaN()} {
		for _, d := range detectors.Scaled(k) {
			err := detectors.Validate([]*detectors.Detector{d})
			assert.ErrorContains(t, err, fmt.Sprintf("the scale is %v; must be above 0 and finite", k), d.Name)
		}
	}
	assert.ErrorContains(t, detectors.Validate(detectors.Scaled(1e6)), "LeakConfig.MinAge is 83333h20m0s; must be above 0 and at most 24h0m0s")
}

// TestWarmupOfZero has a leak from the start.
func TestWarmupOfZero(t *testing.T) {
	shape := leak(atHandler, 4, 0)
	_, first := replay(t, newLeak(), newService(1, 1), shape, time.Hour)
	_, sooner := replay(t, leakWith(func(c *detectors.LeakConfig) { c.Warmup = 0 }), newService(1, 1), shape, time.Hour)
	assert.InDelta(t, 10, (first - sooner).Minutes(), 2)
}

// TestNoneMayLeave has leaks of which one goroutine in a thousand exits, or is
// somewhere else in a snapshot.
func TestNoneMayLeave(t *testing.T) {
	var all []uint64
	exits := func(s *service) {
		all = append(all, s.Go(atHandler, 100)...)
		if s.tick == 60 {
			s.Exit(all[0])
		}
	}
	found, _ := replay(t, newLeak(), newService(1, 1), exits, time.Hour)
	assert.NotEmpty(t, found)
	all = nil
	found, _ = replay(t, leakWith(func(c *detectors.LeakConfig) { c.MaxExits = 0 }), newService(1, 1), exits, time.Hour)
	assert.Empty(t, found)

	const length = 3 * time.Hour
	strict := func() *detectors.Detector {
		return leakWith(func(c *detectors.LeakConfig) { c.MaxAway = 0 })
	}
	found, _ = replay(t, newLeak(), newService(1, 1), tickers(10, 0), length)
	assert.NotEmpty(t, found)
	found, _ = replay(t, strict(), newService(1, 1), tickers(10, 0), length)
	assert.Empty(t, found)
	found, _ = replay(t, strict(), newService(1, 1), leak(atHandler, 10, 0), time.Hour)
	assert.NotEmpty(t, found, "where none was away")
}

// TestNoneMayBeCreated has one goroutine created for each snapshot.
func TestNoneMayBeCreated(t *testing.T) {
	series := detectortest.Series(stuck(), 20, interval, nil)
	for i, s := range series {
		s.Scheduler.Created = int64(i)
	}
	assert.NotEmpty(t, lastFindings(detectortest.Run(t, newStall(), series...)))
	assert.Empty(t, lastFindings(detectortest.Run(t, stallWith(func(c *detectors.StallConfig) { c.MaxCreated = 0 }), series...)))
}
