// Package telemetry is the only package that touches instruments and loggers.
//
// catalog.go is the one table of every name. Everything that an observation
// needs is computed when a snapshot is published; the callbacks, which run
// under the metric pipeline's lock and once for each reader, load an atomic
// pointer and walk a short list. They never return an error, because one error
// makes a periodic reader drop its whole export.
//
// # Concurrency
//
// Publish, Skipped, SetOpen and the event methods are called from one goroutine, the
// monitor's. The callbacks run on any.
package telemetry
