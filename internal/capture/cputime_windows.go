// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"syscall"
	"time"
)

// clockGrain is how much more than it tells may have been used: the times of a
// process advance with the system's timer, 64 times a second.
const clockGrain = time.Second / 64

// cpuClock returns the CPU time that this process has used.
func cpuClock() (used time.Duration, ok bool) {
	process, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0, false
	}
	var created, ended, kernel, user syscall.Filetime
	if err := syscall.GetProcessTimes(process, &created, &ended, &kernel, &user); err != nil {
		return 0, false
	}
	return ticks(kernel) + ticks(user), true
}

// ticks returns a span that the system counts in steps of 100 ns. Filetime's own
// Nanoseconds is for dates.
func ticks(f syscall.Filetime) time.Duration {
	return time.Duration(int64(f.HighDateTime)<<32|int64(f.LowDateTime)) * 100
}
