//go:build !linux

package main

func resetPeakMemory() {}

// residentMemory returns 0: this system is not asked.
func residentMemory() (peak, now int64) { return 0, 0 }
