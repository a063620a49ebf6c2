// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package otelgoroutine shows what every goroutine of a Go service is doing,
// in the observability that the service already has.
//
//	monitor, err := otelgoroutine.Start(meterProvider)
//	if err != nil {
//		return err
//	}
//	defer monitor.Shutdown(context.Background())
//
// [Start] registers metrics of goroutine counts by state and by stack, and
// sends an event, which is a log record with a name, when work hangs, and when
// goroutines are deadlocked, leak, keep growing in number or block forever. A service
// without a LoggerProvider finds the events in its log: see [WithLogger].
// TELEMETRY.md lists every name.
//
// # Expected behaviour
//
// One goroutine takes a snapshot every interval (15 s by default; more often while
// something is suspected, less often while nothing happens), runs the detectors on
// it and sleeps until the next. Nothing stops the world for a walk
// over goroutines: a snapshot of 1,000 goroutines takes about a millisecond.
// When snapshots would exceed the [Budget], the interval is extended.
//
// After Start has returned, nothing in this package panics, blocks the program,
// prints, or ends it, but for the events that go to slog's default logger where nothing
// else hears them. Failures go to otel.Handle, once for each kind, and
// skipped snapshots are counted in goroutine.snapshot.skipped.
//
// The package changes no setting of the runtime and registers nothing global. It
// uses the process's flight recorder slot for a fraction of a second at a time,
// so that trace.Start, /debug/pprof/trace and continuous profilers work as if it
// were not there. While the program is traced by one of them, goroutine dumps take
// the place of traces, or goroutine profiles when a dump would stop the world for
// too long: see [SourceAuto]. A program with its own runtime/trace.FlightRecorder
// hands it over with [WithFlightRecorder], or starts it before, or shortly after, it
// calls Start.
//
// # Concurrency
//
// Everything in this package is safe for concurrent use.
package otelgoroutine
