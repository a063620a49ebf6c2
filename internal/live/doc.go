// Package live remembers what the live page of package debugpage shows: the
// counts of the last looks by state and by stack, what was found, and what
// looking cost.
//
// The monitor tells a [Recorder] about each look; pages ask it for a [View] of
// everything, or of what has changed since. A recorder takes no snapshots and
// has no goroutine. A monitor has one only once a page was made for it.
//
// # Bounds
//
// A recorder holds at most [maxGroups] groups, the counts of [maxSeries] of them
// over [seriesLooks] looks (1 MiB), the states over [pointLooks] looks and
// [maxEvents] events, next to the latest snapshot, which the monitor holds
// anyway.
//
// # Concurrency
//
// Everything in this package is safe for concurrent use. The monitor waits for
// a page at most while numbers are copied; nothing is encoded or sent
// under the lock.
package live
