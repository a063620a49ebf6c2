// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"fmt"
	"math"
	"reflect"
	"time"
)

// Default returns the built-in detectors with their default configurations:
// hang, leak, growth, deadlock, blocked_forever, pileup, surge, contention and stall.
func Default() []*Detector { return Scaled(1) }

// Scaled returns the built-in detectors with all of their durations multiplied
// by k, which must be above 0 and finite. With 0.01 a leak is found in half a
// minute instead of 45 minutes. Numbers of goroutines and of snapshots are not
// scaled. [Validate] reports an invalid k.
//
// Scaled is meant for demonstrations, and for tests that create faults:
//
//	otelgoroutine.Start(mp,
//		otelgoroutine.WithInterval(150*time.Millisecond),
//		otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 0.2, Pause: 10 * time.Millisecond}),
//		otelgoroutine.WithDetectors(detectors.Scaled(0.01)...))
//
// tells of a deadlock after a second. Scale the interval between snapshots and the
// program's own delays by the same factor, as here the default of 15 s; otherwise healthy
// work appears to stand still. So it is not for production: work that waits for 0.6 s
// would be taken for work that waits for a minute.
func Scaled(k float64) []*Detector {
	all := []*Detector{
		NewHang(scaled(DefaultHangConfig(), k)),
		NewLeak(scaled(DefaultLeakConfig(), k)),
		NewGrowth(scaled(DefaultGrowthConfig(), k)),
		NewDeadlock(scaled(DefaultDeadlockConfig(), k)),
		NewBlockedForever(scaled(DefaultBlockedForeverConfig(), k)),
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
