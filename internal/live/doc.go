// Package live remembers what the live page of package debugpage shows: the
// counts of past snapshots by state and by stack, findings and events, and what
// the snapshots cost. It uses the model of package report.
//
// A [Recorder] is given each snapshot of a monitor; pages ask it for a [View] of
// everything, or of what has changed since. A recorder takes no snapshots and
// has no goroutine.
//
// # Bounds
//
// A recorder holds at most [maxGroups] groups, the counts of [maxSeries] of them
// over [seriesLength] snapshots (1 MiB), the states over [historyLength]
// snapshots and [maxEvents] events, next to the latest snapshot, which the
// monitor holds anyway.
//
// # Concurrency
//
// Everything in this package is safe for concurrent use. The monitor waits for
// a page at most while numbers are copied; nothing is encoded or sent
// under the lock.
package live
