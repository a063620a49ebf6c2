// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package lab

// ResetPeakMemory does nothing: this system is not asked.
func ResetPeakMemory() {}

// ResidentMemory returns 0: this system is not asked.
func ResidentMemory() (peak, now int64) { return 0, 0 }
