package detectors

import (
	"fmt"
	"math"
	"time"
)

// Default returns the built-in detectors with their default configurations:
// leak, deadlock, blocked_forever, pileup, surge, contention and stall.
func Default() []*Detector { return Scaled(1) }

// Scaled returns the built-in detectors with each of their times multiplied by
// k, which must be above 0 and finite: with 0.01 a leak is found in half
// a minute instead of 45. It is for demonstrations and for tests that make the
// faults themselves, with an interval between snapshots that is scaled alike:
// what takes a service minutes must then take it as much less, or healthy work
// looks like standing still. Numbers of goroutines and of snapshots stay as they
// are. [Validate] reports a k that cannot be.
func Scaled(k float64) []*Detector {
	leak, deadlock, pileup := DefaultLeakConfig(), DefaultDeadlockConfig(), DefaultPileupConfig()
	surge, contention, stall := DefaultSurgeConfig(), DefaultContentionConfig(), DefaultStallConfig()
	for _, d := range []*time.Duration{
		&leak.MinAge, &leak.MaxAge, &leak.Window, &leak.Warmup, &leak.MinStand,
		&deadlock.MinWait,
		&pileup.MinWait, &pileup.MinStand, &pileup.Window, &pileup.Warmup,
		&surge.Window, &surge.Warmup,
		&contention.MinWait,
		&stall.MinWait,
	} {
		*d = time.Duration(k * float64(*d))
	}
	all := []*Detector{
		NewLeak(leak),
		NewDeadlock(deadlock),
		NewBlockedForever(DefaultBlockedForeverConfig()),
		NewPileup(pileup),
		NewSurge(surge),
		NewContention(contention),
		NewStall(stall),
	}
	if !(k > 0) || math.IsInf(k, 1) { // also NaN
		for _, d := range all {
			refuse(fmt.Errorf("the scale is %v; must be above 0 and finite", k), d)
		}
	}
	return all
}
