// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/framepointer"
	"github.com/otelgoroutine/go/internal/parse"
)

func unsafeVerdict() framepointer.Verdict {
	return framepointer.Verdict{Status: framepointer.Unsafe, Reason: "assembly", Advice: []string{"replace it"}}
}

func TestWhereTracesAreNotSafeDumpsMakeTheSeries(t *testing.T) {
	park(t, 10)
	c := New(Config{Budget: Budget{CPU: 1, Pause: time.Second}, Tracing: true})
	c.governor.credit = time.Hour
	c.safety.verdict = unsafeVerdict
	first, skips := c.Take()
	require.NotNil(t, first)
	require.Empty(t, skips)

	s, skips := c.Take()
	require.Len(t, skips, 1)
	assert.Equal(t, goroutine.SourceTrace, skips[0].Source)
	assert.Equal(t, ReasonUnsafe, skips[0].Reason)
	assert.ErrorContains(t, skips[0].Refusal, "replace it")
	require.NotNil(t, s)
	assert.Equal(t, goroutine.SourceText, s.Source)
	assert.True(t, s.HasIDs())

	s, skips = c.Take()
	assert.Empty(t, skips, "it is counted once")
	assert.Equal(t, goroutine.SourceText, s.Source)
	window, skip := c.Window(time.Millisecond, nil)
	assert.Nil(t, window)
	assert.Nil(t, skip)
}

func TestWhereDumpsStopTheWorldForTooLongProfilesTakeOver(t *testing.T) {
	c := New(Config{Budget: Budget{CPU: 1, Pause: time.Nanosecond}, Tracing: true})
	c.governor.credit = time.Hour
	c.safety.verdict = unsafeVerdict
	c.Take()
	s, skips := c.Take()
	require.NotNil(t, s)
	assert.Equal(t, goroutine.SourceProfile, s.Source)
	require.Len(t, skips, 2)
	assert.Equal(t, ReasonPause, skips[1].Reason)
}

func TestASeriesOfDumpsLacksTheStackOfItsReader(t *testing.T) {
	series, single := newTextSeries(parse.NewStacks(), new(goroutine.Births)), newTextSource()
	var without, with result
	require.Eventually(t, func() bool { // goroutines of other tests may still be ending
		var bad error
		without, bad = series.take(nil)
		require.NoError(t, bad)
		with, bad = single.take(nil)
		require.NoError(t, bad)
		return with.Total == without.Total
	}, time.Minute, time.Millisecond)
	assert.Empty(t, at(without.Snapshot, "take"))
	assert.NotEmpty(t, at(with.Snapshot, "take"))
	assert.Zero(t, without.Missing)
	assert.Equal(t, 1, without.States()[goroutine.Running])
	assert.NotEmpty(t, without.Epochs)
	for _, short := range []string{"", "x", "goroutine 1 [running]:\n"} {
		assert.Equal(t, short, string(withoutFirstStack([]byte(short))))
	}
}

// Where dumps are the whole series, they have the addresses of locks, so that each
// lock is judged by itself. In a series with traces they must not.
func TestASeriesHasLocksOnlyWithoutTraces(t *testing.T) {
	var mu sync.Mutex
	mu.Lock()
	var waiter sync.WaitGroup
	waiter.Go(func() { lockHere(&mu) })
	defer func() { mu.Unlock(); waiter.Wait() }()
	locks := func(c *Capturer) bool {
		c.started = true
		c.governor.credit = time.Hour
		var found bool
		require.Eventually(t, func() bool {
			s, _ := c.Take()
			require.NotNil(t, s)
			require.Equal(t, goroutine.SourceText, s.Source)
			groups := at(s, "lockHere")
			found = len(groups) > 0 && groups[0].Lock != 0
			return len(groups) > 0 && groups[0].State == goroutine.MutexLock
		}, time.Minute, time.Millisecond)
		return found
	}
	alone := New(Config{Budget: Budget{CPU: 1, Pause: time.Second}, Tracing: true})
	alone.safety.verdict = unsafeVerdict
	assert.True(t, locks(alone))

	mixed := New(Config{Budget: Budget{CPU: 1, Pause: time.Second}, Tracing: true})
	resume := stall(t)
	assert.False(t, locks(mixed))
	resume()
}
