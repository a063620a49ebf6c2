// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutine

// MaxLabelled is how many goroutines with labels a [Snapshot] lists at most.
const MaxLabelled = 10_000

// A Labelled is one goroutine with its labels.
type Labelled struct {
	ID     uint64
	Stack  *Stack // never nil
	State  State
	Labels []Label // selected ones, by key; never empty
}
