// Package goroutine is the data model of this module: what every goroutine of
// one process was doing at one moment, as plain values, with the arithmetic on
// them.
//
// A [Snapshot] is aggregated. Goroutines with the same stack, the same state
// and the same selected labels form one [Group], so the size of a snapshot
// depends on the number of distinct stacks and not on the number of goroutines.
// Identity survives the aggregation in two forms: a group counts its goroutines
// by the [Epoch] of their birth, each count with a digest of the IDs, and it
// lists a few of the oldest IDs.
//
// # Concurrency
//
// A snapshot is written once, while it is taken, and only read afterwards. Treat
// everything that can be reached from it as read-only; snapshots share stacks.
//
// # Dependencies
//
// The package imports only the standard library and asks the runtime nothing.
package goroutine
