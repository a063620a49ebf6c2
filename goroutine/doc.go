// Package goroutine is the data model of this module: what every goroutine of
// one process was doing at one moment, as plain values.
//
// A [Snapshot] is aggregated. Goroutines with the same stack, the same state
// and the same chosen labels form one [Group], so that the size of a snapshot
// follows the number of distinct stacks and not the number of goroutines.
// Identity survives the aggregation in two forms: each group tells how many of
// its goroutines were born in which [Epoch], with a digest of their IDs, and
// lists the few oldest IDs.
//
// # Concurrency
//
// A snapshot is written once, by whoever took it, and only read afterwards.
// Everything reachable from a published snapshot must be treated as read-only;
// stacks are shared between snapshots.
//
// # Dependencies
//
// The package imports the standard library only, and asks the runtime nothing.
package goroutine
