// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"os"
	"strings"
)

// ResetPeakMemory begins a new peak. Where the system does not allow it, the
// peak stays that of the whole process.
func ResetPeakMemory() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// ResidentMemory returns the bytes that were resident at most since the reset,
// and those that are now.
func ResidentMemory() (peak, now int64) {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		_, _ = fmt.Sscanf(line, "VmHWM: %d kB", &peak)
		_, _ = fmt.Sscanf(line, "VmRSS: %d kB", &now)
	}
	return peak << 10, now << 10
}
