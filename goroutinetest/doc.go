// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package goroutinetest runs the detectors of otelgoroutine over the duration of a
// test, and fails the test with what they found: deadlocks, hangs, goroutines that
// leak and goroutines that can never be woken, each with its evidence and stacks. It is
// for integration tests that last minutes:
//
//	func TestCheckout(t *testing.T) {
//		goroutinetest.Watch(t)
//		...
//	}
//
// Use go.uber.org/goleak for the end of a unit test: it fails for each goroutine that
// is left, at once, and needs no time. This package judges what goroutines do while the
// test runs, as the monitor does in production, and so it needs time: a deadlock or a
// hang must stand for a minute, and a leak must grow for a quarter of an hour or more
// ([WithScale] shortens that). docs/testing.md says which of them to use when.
//
// # Whose goroutines
//
// A monitor sees the whole process. A watcher leaves out goroutines that stood where
// they stand before [Watch] was called, as those that an earlier test has left behind.
// It marks the goroutine that calls Watch with the pprof label "goroutinetest.test",
// which all goroutines inherit that are started by it, and leaves what only concerns
// goroutines of other watched tests to those. Goroutines without the label, such as
// those of a server that TestMain has started, are everyone's: every watched test that
// runs at the time fails.
//
// # Cost
//
// Watchers share one capturer, with each other and with the monitors of the program,
// within the lowest budget of all of them; that of a watcher is a quarter of a core.
// Each watcher keeps a history of some megabytes. Watch takes one goroutine dump, which
// stops the process for some 10 µs per goroutine.
//
// # Concurrency
//
// Watch may be called by parallel tests and subtests. It must not be called in a bubble
// of testing/synctest, whose time is not that of the detectors.
package goroutinetest
