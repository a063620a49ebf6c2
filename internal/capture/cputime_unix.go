// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package capture

import (
	"syscall"
	"time"
)

// clockGrain is how much more than it tells may have been used.
const clockGrain = 0

// cpuClock returns the CPU time that this process has used.
func cpuClock() (used time.Duration, ok bool) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err == nil
}
