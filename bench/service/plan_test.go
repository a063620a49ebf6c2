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
	for _, args := range [][]string{nil, {"-quick"}, {"-duration", "1s"}, {"-parked", "1,300k"}} {
		o := parsed(t, args...)
		for i, parked := range o.parked {
			s := newScenario(o, i)
			first := firstRegular(parked)
			assert.Less(t, s.Warmup, first, "%v, %d", args, parked)
			assert.GreaterOrEqual(t, s.Warmup+s.Duration-first, min(snapshotMargin, s.Duration/2), "%v, %d", args, parked)
		}
	}
}

func TestSnapshotsOfMoreGoroutinesComeLater(t *testing.T) {
	assert.Equal(t, interval, firstRegular(100))
	assert.Equal(t, interval, firstRegular(10_000))
	assert.Equal(t, time.Minute, firstRegular(100_000))
}

func TestRoundsAndTimes(t *testing.T) {
	o := parsed(t)
	assert.Equal(t, []int{100, 10_000, 100_000}, o.parked)
	assert.Equal(t, []int{1, roundsThere, 1}, o.rounds)
	assert.Equal(t, []int{3, 3}, parsed(t, "-parked", "1,10k", "-rounds", "3").rounds)
	assert.Equal(t, []int{3, 4}, parsed(t, "-parked", "1,10k", "-rounds", "3,4").rounds)
	assert.Equal(t, []int{1}, parsed(t, "-quick").rounds)

	o = parsed(t, "-duration", "2s", "-warmup", "0s")
	s := newScenario(o, 0)
	assert.Equal(t, 2*time.Second, s.Duration)
	assert.Zero(t, s.Warmup)
}

func TestACommandCanBeTypedAgain(t *testing.T) {
	o := parsed(t, "-variants", "off again,off", "-rounds", "2")
	assert.Equal(t, `go run ./bench/service -variants "off again,off" -rounds 2`, o.command())
}

func TestTheSeedDecidesTheOrder(t *testing.T) {
	order := func(seed uint64) (all []string) {
		random := rand.New(rand.NewPCG(seed, 0))
		for range 10 {
			turn := shuffled(variantNames, random)
			assert.ElementsMatch(t, variantNames, turn)
			all = append(all, turn...)
		}
		return all
	}
	assert.Equal(t, order(1), order(1))
	assert.NotEqual(t, order(1), order(2))
	assert.NotEqual(t, slices.Repeat(order(1)[:len(variantNames)], 10), order(1), "another order each time")
}
