// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package parse turns bytes into snapshots. It reads execution traces
// ([TraceDecoder]), pprof profiles ([Profile], and [Debug1] for their text form)
// and goroutine dumps ([Text], and [Dumps] in whatever they are wrapped in).
//
// It never calls the runtime for data and has no clock, so the same code reads
// input from this process, from another process and from a file. Every parser is
// fuzzed. For any input, a parser returns what it could read, and an error that
// says what it could not read and where.
//
// A state is derived from the frames at the leaf of a stack, by the tables in
// states.go. Snapshots share stacks through [Stacks]. [goroutine.Births] knows
// when goroutines were born. [finish] orders and bounds the groups that a parser
// found.
package parse
