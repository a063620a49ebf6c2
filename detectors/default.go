package detectors

import (
	"fmt"
	"math"
	"reflect"
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
	all := []*Detector{
		NewLeak(scaled(DefaultLeakConfig(), k)),
		NewDeadlock(scaled(DefaultDeadlockConfig(), k)),
		NewBlockedForever(DefaultBlockedForeverConfig()),
		NewPileup(scaled(DefaultPileupConfig(), k)),
		NewSurge(scaled(DefaultSurgeConfig(), k)),
		NewContention(scaled(DefaultContentionConfig(), k)),
		NewStall(scaled(DefaultStallConfig(), k)),
	}
	if !(k > 0) || math.IsInf(k, 1) { // also NaN
		for _, d := range all {
			refuse(fmt.Errorf("the scale is %v; must be above 0 and finite", k), d)
		}
	}
	return all
}

// scaled returns a configuration with its times multiplied by k.
func scaled[C any](c C, k float64) C {
	fields := reflect.ValueOf(&c).Elem()
	for i := range fields.NumField() {
		if d, ok := fields.Field(i).Addr().Interface().(*time.Duration); ok {
			*d = time.Duration(k * float64(*d))
		}
	}
	return c
}
