// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"syscall"
	"time"
)

// pause sleeps in the system: Go's own timers may be a millisecond late in a
// process that does little else. d must be positive.
func pause(d time.Duration) {
	t := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&t, nil) // pace asks the clock again
}
