// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package goroutinereceiver is a receiver for the OpenTelemetry Collector. It observes
// Go processes that serve net/http/pprof, and sends what otelgoroutine would send from
// inside of them: goroutine counts as metrics, and leaks, deadlocks and hangs as log
// events.
//
// # How it works
//
// Each target has a goroutine of its own that takes a snapshot at every interval, judges
// it and hands the results to the next consumers. Slots bound how many snapshots are
// taken at the same time; a quarter of them is always there for targets that answer, so
// that targets that hang cannot hold up the others.
//
// # Concurrency
//
// Nothing is shared between targets but the HTTP client, the slots and the counters.
// Consumers are called from the goroutines of targets, after the slot was given back: a
// consumer that blocks holds up the target whose data it has, and no snapshot of
// another.
package goroutinereceiver

//go:generate mdatagen metadata.yaml
