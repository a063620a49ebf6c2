// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinetest_test

import (
	"testing"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/goroutinetest"
)

// runFor is what an integration test does: it puts a service under load.
func runFor(time.Duration) {}

// An integration test that lasts ten minutes fails when the service is deadlocked or
// hangs while it is under load.
func ExampleWatch() {
	_ = func(t *testing.T) { // func TestCheckoutUnderLoad(t *testing.T)
		goroutinetest.Watch(t)
		runFor(10 * time.Minute)
	}
}

// Leaks grow slowly. In a test whose requests, streams and locks last for seconds, a
// tenth of the usual times is enough, so that leaks are found within five minutes.
func ExampleWithScale() {
	_ = func(t *testing.T) {
		goroutinetest.Watch(t, goroutinetest.WithScale(0.1))
		runFor(10 * time.Minute)
	}
}

// A stack that waits by design is no fault, in tests as in production.
func ExampleWithKnownStacks() {
	known := detectors.KnownStack{
		Name:   "session",
		Reason: "a session waits for its client, for as long as the test runs",
		Match:  func(s *goroutine.Stack) bool { return s.Has("example.com/shop/session.(*Session).run") },
	}
	_ = func(t *testing.T) {
		goroutinetest.Watch(t, goroutinetest.WithKnownStacks(known))
		runFor(10 * time.Minute)
	}
}

// A test that waits for a fault of its own can end as soon as it has been found.
func ExampleWatcher_Findings() {
	_ = func(t *testing.T) {
		w := goroutinetest.Watch(t)
		for range 10 {
			runFor(time.Minute)
			if len(w.Findings()) > 0 {
				return // Watch tells
			}
		}
	}
}
