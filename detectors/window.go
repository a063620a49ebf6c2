// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// A Window is the part of a trace window ([goroutine.SourceWindow]) that is
// kept: which goroutines were woken, by the place where they had been waiting. Each
// map holds the 128 busiest places, regardless of state, and of each the IDs of some
// goroutines ([goroutine.SampleIDs]).
type Window struct {
	Time  time.Time                       // when the window ended
	Fed   map[goroutine.GroupKey][]uint64 // woken by other goroutines
	Timed map[goroutine.GroupKey][]uint64 // woken by the runtime: by a timer, or by the network in [goroutine.IOWait]
}

// windowsSince returns how many windows ended at t or later.
func windowsSince(windows []Window, t time.Time) (n int) {
	for _, w := range windows {
		if !w.Time.Before(t) {
			n++
		}
	}
	return n
}
