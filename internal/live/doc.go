// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package live stores what the live page of package debugpage shows: the counts
// of past snapshots by state and by stack, findings and events, and the cost of
// the snapshots. It uses the model of package report.
//
// A [Recorder] receives each snapshot of a monitor. Pages request a [View] from
// it, either of everything or of the changes since their last view. A recorder
// takes no snapshots and has no goroutine of its own.
//
// # Bounds
//
// A recorder holds at most [maxGroups] groups, the counts of [maxSeries] of them
// over [seriesLength] snapshots (1 MiB), the states over [historyLength]
// snapshots and [maxEvents] events. It also holds the latest snapshot, which the
// monitor holds anyway.
//
// # Concurrency
//
// Everything in this package is safe for concurrent use. A page delays the
// monitor only while numbers are copied; nothing is encoded or sent under the
// lock.
package live
