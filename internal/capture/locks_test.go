// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// The functions are of another package, because locks of this one are the monitor's own.
package capture_test

import (
	"runtime"
	"runtime/trace"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

var (
	shelf   sync.Mutex // at package level, so that its address is known
	release = make(chan struct{})
)

//go:noinline
func keepShelf() { shelf.Lock(); <-release; shelf.Unlock() }

//go:noinline
func wantShelf() { shelf.Lock(); defer shelf.Unlock() }

// TestLocksOfATrace has a goroutine that holds a lock, and others that wait for it.
func TestLocksOfATrace(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("code is not read here")
	}
	var all sync.WaitGroup
	all.Go(keepShelf)
	for shelf.TryLock() {
		shelf.Unlock()
		time.Sleep(time.Millisecond)
	}
	for range 3 {
		all.Go(wantShelf)
	}
	defer all.Wait()
	defer close(release)
	for _, tc := range []struct {
		name     string
		recorder *trace.FlightRecorder
	}{
		{"a trace", nil}, // the first: beside a recorder, there is no room for one
		{"a recording", newRecorder()},
	} {
		if tc.recorder != nil {
			require.NoError(t, tc.recorder.Start())
			defer tc.recorder.Stop()
		}
		q := settled(t, capture.New(capture.Config{Budget: capture.Budget{CPU: 100}, Tracing: true, Recorder: tc.recorder}))
		assert.NotZero(t, q.Lock, tc.name)
		require.Len(t, q.Holders, 1, tc.name)
		assert.True(t, q.Holders[0].Sole, tc.name)
		assert.Contains(t, q.Holders[0].At.Function, "keepShelf", tc.name)
		assert.Equal(t, goroutine.ChanReceive, q.Holders[0].State, tc.name)
		assert.False(t, q.Open, tc.name)
	}
}

// settled returns the queue of wantShelf from a trace in which nothing else of the
// process was running that could hold a lock, and whose goroutines had been waiting.
func settled(t *testing.T, c *capture.Capturer) *goroutine.LockQueue {
	t.Helper()
	for range 1000 {
		s, skip := c.Locks()
		switch {
		case skip != nil:
			require.Equal(t, capture.ReasonBudget, skip.Reason, skip)
		case s == nil:
			t.Skip("this process cannot be traced")
		default:
			require.Equal(t, goroutine.SourceLocks, s.Source)
			if q := queueOf(s, "wantShelf"); q != nil && q.Count == 3 && !q.Open && len(q.Holders) == 1 {
				return q
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("there must be a queue of three")
	return nil
}

func newRecorder() *trace.FlightRecorder {
	return trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: time.Millisecond})
}

func queueOf(s *goroutine.Snapshot, function string) *goroutine.LockQueue {
	for i := range s.Locks {
		if strings.Contains(s.Locks[i].At.Function, function) {
			return &s.Locks[i]
		}
	}
	return nil
}

func TestLocksNeedTraces(t *testing.T) {
	c := capture.New(capture.Config{Budget: capture.Budget{CPU: 1}})
	s, skip := c.Locks()
	assert.Nil(t, s)
	assert.Nil(t, skip, "traces are off")
}
