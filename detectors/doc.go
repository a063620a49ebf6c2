// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package detectors finds goroutines that will never finish, in a series of
// snapshots.
//
// A [Detector] has a name, a description, its needs and a function that judges a
// [Pass]. The function is pure: it takes the time from the snapshots, does not
// query the runtime and keeps no state. The same snapshots therefore always give
// the same findings, in a test as on a saved series.
//
// The built-in detectors document when they fire, why each threshold has its
// value, and what they cannot detect: [NewHang], [NewLeak], [NewGrowth],
// [NewDeadlock], [NewBlockedForever], [NewPileup], [NewSurge], [NewContention] and
// [NewStall].
// [Default] returns them all. To configure one, start from its defaults, such as
// [DefaultLeakConfig]. A value of 0 means 0. [Validate] reports invalid
// configurations.
//
// Package detectortest replays series of snapshots through a detector.
package detectors
