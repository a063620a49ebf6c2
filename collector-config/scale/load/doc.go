// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package load makes the load of a fleet on one machine: [Replicas] are services
// that export the library's telemetry by OTLP, and [Targets] are processes that
// serve net/http/pprof.
//
// Neither is a process of its own, because a thousand of them would take the
// machine from what is measured. What they send is real: a few processes with
// goroutines that change, started by [Record], write execution traces and
// profiles. Each target serves such a recording from one of them, and each replica
// has a MeterProvider and the library's own telemetry, to which it shows the
// snapshots in a recording.
package load
