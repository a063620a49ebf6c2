// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build race

package stress

// raceEnabled reports whether the race detector is on. It allows 8,128
// goroutines at a time.
const raceEnabled = true
