package main

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// resetPeakMemory begins a new peak. Where the system does not allow it,
// peakMemory keeps that of the whole process, and growth reads 0.
func resetPeakMemory() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// peakMemory returns the most memory that was resident since the reset.
func peakMemory() int64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if size, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(size), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}
