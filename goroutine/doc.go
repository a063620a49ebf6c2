// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package goroutine is the data model of this module: what every goroutine of
// one process was doing at one moment, as plain values, with the arithmetic on
// them.
//
// A [Snapshot] is aggregated. Goroutines with the same stack, the same state and
// the same selected labels form one [Group], so the size of a snapshot depends
// on the number of distinct stacks and not on the number of goroutines. A group
// keeps the identity of its goroutines in two forms: a count and a digest of the
// IDs for each [Epoch] of birth, and a list of the lowest IDs.
//
// # Concurrency
//
// A snapshot is written once, while it is taken, and only read afterwards. Treat
// everything that can be reached from it as read-only; snapshots share stacks.
//
// # Dependencies
//
// The package imports only the standard library and does not query the runtime.
package goroutine
