// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parsed(t *testing.T, args ...string) options {
	t.Helper()
	o, err := parseOptions(args, nil)
	require.NoError(t, err)
	return o
}

// A regular snapshot begins within what is measured, well before its end.
func TestTheMeasuredTimeHasASnapshot(t *testing.T) {
	for _, args := range [][]string{nil, {"-quick"}, {"-parked", "1,300k"}} {
		o := parsed(t, args...)
		for i, parked := range o.parked {
			s := newScenario(o, i)
			first := firstRegular(parked)
			assert.Less(t, s.warmup, first, "%v, %d", args, parked)
			assert.GreaterOrEqual(t, s.warmup+s.duration-first, min(snapshotMargin, s.duration/2), "%v, %d", args, parked)
		}
	}
}

func TestSnapshotsOfMoreGoroutinesComeLater(t *testing.T) {
	assert.Equal(t, interval, firstRegular(100))
	assert.Equal(t, interval, firstRegular(10_000))
	assert.Equal(t, time.Minute, firstRegular(100_000))
}

func TestRounds(t *testing.T) {
	rounds := func(args ...string) (all []int) {
		o := parsed(t, args...)
		for i := range o.parked {
			all = append(all, o.roundsOf(i))
		}
		return all
	}
	assert.Equal(t, []int{1, roundsThere, 1}, rounds())
	assert.Equal(t, []int{3, 3}, rounds("-parked", "1,10k", "-rounds", "3"))
	assert.Equal(t, []int{3, 4}, rounds("-parked", "1,10k", "-rounds", "3,4"))
	assert.Equal(t, []int{1}, rounds("-quick"))
}

func TestTheSeedDecidesTheOrder(t *testing.T) {
	order := func(seed uint64) (all []string) {
		random := rand.New(rand.NewPCG(seed, 0))
		for range 10 {
			var turn []string
			for _, v := range shuffled(variants, random) {
				turn = append(turn, v.name)
			}
			assert.ElementsMatch(t, []string{off, offAgain, on, "contrib", "naive"}, turn)
			all = append(all, turn...)
		}
		return all
	}
	assert.Equal(t, order(1), order(1))
	assert.NotEqual(t, order(1), order(2))
	assert.NotEqual(t, slices.Repeat(order(1)[:len(variants)], 10), order(1), "another order each time")
}
