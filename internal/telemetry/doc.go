// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package telemetry is the only package that uses instruments and loggers.
//
// catalog.go is the single table of all names. Everything that an observation
// needs is computed when a snapshot is published. The callbacks run under the
// metric pipeline's lock and once for each reader, so they only load an atomic
// pointer and walk a short list. They never return an error, because one error
// makes a periodic reader drop its whole export.
//
// # Concurrency
//
// Publish, Skipped, SetOpen and the event methods are called from a single
// goroutine, the monitor's. The callbacks run on any goroutine.
package telemetry
