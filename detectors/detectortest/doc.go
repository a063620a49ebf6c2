// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package detectortest helps to test detectors: it makes series of snapshots,
// replays them through a detector and compares the findings.
//
// A series comes from a [Process], a simulated Go process whose goroutines are
// born, move and exit in simulated time, so that hours take a moment. [Run]
// replays a series through the engine that a monitor uses, and checks that the
// detector keeps its contract. [Compare] compares findings with those that a
// test expects.
//
// A series of snapshots of a real process can be replayed as well.
//
// # Dependencies
//
// The package imports the standard library and packages of this module.
package detectortest
