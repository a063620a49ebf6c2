// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package sockets

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAWalkVisitsAllOnceAndEvenly(t *testing.T) {
	for _, limit := range []int{1, 2, 3, 64, 256, 1000, 4096, 1 << 16} {
		seen := make([]int, limit)
		w := newWalk(limit)
		var first []int
		for i := range limit {
			at := w.next()
			seen[at]++
			if i < limit/16 {
				first = append(first, at)
			}
		}
		assert.Equal(t, slices.Repeat([]int{1}, limit), seen, "%d", limit)
		slices.Sort(first)
		for i := 1; i < len(first); i++ {
			assert.LessOrEqual(t, first[i]-first[i-1], 48, "gaps of a sample of a sixteenth of %d", limit)
		}
	}
}
