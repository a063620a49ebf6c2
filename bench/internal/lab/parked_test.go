// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Goroutines that have not run yet are not parked, however many of the
// runtime's own are.
func TestAwaitParkedLeavesNoneOnTheWay(t *testing.T) {
	const n = 200
	gate := make(chan struct{})
	defer close(gate)
	for range 20 {
		before := arrived()
		for range n {
			go func() { wait(gate) }()
		}
		runtime.GC() // its workers come to wait too
		require.NoError(t, AwaitParked())
		require.Equal(t, before+n, arrived())
	}
}

//go:noinline
func wait(gate chan struct{}) { <-gate }

// arrived counts the goroutines that are parked in wait.
func arrived() int {
	text := make([]byte, 8<<20)
	text = text[:runtime.Stack(text, true)]
	n := 0
	for block := range strings.SplitSeq(string(text), "\n\n") {
		head, _, _ := strings.Cut(block, "\n")
		if strings.Contains(head, "[chan receive") && strings.Contains(block, "/lab.wait(") {
			n++
		}
	}
	return n
}
