// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// TestSnapshotsKeepTheMonotonicClock checks that all times have a monotonic
// reading. Then ages, intervals and the order of snapshots do not change when the
// system clock is set.
func TestSnapshotsKeepTheMonotonicClock(t *testing.T) {
	c := New(Config{Budget: Budget{CPU: 1, Pause: time.Second}, Tracing: true})
	c.governor.credit = time.Hour
	seen := make(map[goroutine.Source]bool)
	check := func(s *goroutine.Snapshot) {
		t.Helper()
		require.NotNil(t, s)
		seen[s.Source] = true
		assert.True(t, monotonic(s.Time), "time of a snapshot of source %s", s.Source)
		for _, e := range s.Epochs {
			assert.True(t, monotonic(e.End), "end of an epoch")
		}
	}
	for range 2 {
		s, _ := c.Take()
		check(s)
	}
	labelled, _ := c.Labelled([]string{"key"}, nil)
	check(labelled)
	dump, _ := c.Text()
	require.NotNil(t, dump)
	check(dump)
	window, _ := c.Window(time.Millisecond, nil)
	check(window)
	assert.Len(t, seen, 5, "%v", seen)
}

// monotonic reports whether t has a monotonic reading. Round strips it.
func monotonic(t time.Time) bool { return t != t.Round(0) }
