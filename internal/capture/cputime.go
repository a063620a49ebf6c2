// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"runtime"
	"time"
)

// CPUTime runs f and returns the CPU time that it used on the calling goroutine.
// Waiting costs nothing: not for a lock, not for a CPU that others use, and not
// while the process or the machine is paused.
//
// On Linux it is exact. Elsewhere it is an upper bound: the time that passed, or
// the CPU time of the whole process meanwhile where that is less. Goroutines that f
// starts are not measured. The goroutine is locked to its thread while f runs; if f
// panics, the lock is released.
func CPUTime(f func()) time.Duration { return measure(f).cpu }

// A usage is what running a function took.
type usage struct {
	wall time.Duration
	cpu  time.Duration // at most wall
}

func measure(f func()) (u usage) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, ok := cpuClock()
	began := time.Now()
	f()
	u.wall = time.Since(began)
	after, _ := cpuClock()
	u.cpu = u.wall
	if ok {
		u.cpu = min(u.wall, max(after-before, 0)+clockGrain)
	}
	return u
}
