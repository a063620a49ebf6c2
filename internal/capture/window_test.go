// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"runtime/trace"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// windowed is how long the windows of these tests are open: enough for a hundred
// turns of the lock.
const windowed = 200 * time.Millisecond

// A store has one lock that all its users need.
type store struct {
	mu   sync.Mutex
	puts int
}

func (s *store) put() {
	s.mu.Lock()
	defer s.mu.Unlock()
	time.Sleep(2 * time.Millisecond)
	s.puts++
}

func (s *store) wait() {
	s.mu.Lock()
	defer s.mu.Unlock()
}

func newWindowCapturer() *Capturer {
	return New(Config{Budget: Budget{CPU: 1, Pause: time.Second}, Tracing: true})
}

// groupIn returns the group in this state whose stack contains a function with
// this name.
func groupIn(s *goroutine.Snapshot, function string, state goroutine.State) *goroutine.Group {
	for i := range s.Groups {
		for _, f := range s.Groups[i].Stack.Frames {
			if s.Groups[i].State == state && strings.HasSuffix(f.Function, function) {
				return &s.Groups[i]
			}
		}
	}
	return nil
}

// movement returns what woke the goroutines that were waiting in this state below
// a function.
func movement(s *goroutine.Snapshot, function string, state goroutine.State) *goroutine.Movement {
	for i := range s.Movements {
		m := &s.Movements[i]
		if m.State == state && slices.ContainsFunc(m.Stack.Frames, func(f goroutine.Frame) bool { return strings.HasSuffix(f.Function, function) }) {
			return m
		}
	}
	return nil
}

func TestWindowTellsWhatWakesGoroutines(t *testing.T) {
	var all sync.WaitGroup
	end := make(chan struct{})
	hot, stuck := new(store), new(store)
	stuck.mu.Lock()
	for range 20 {
		all.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
					hot.put()
				}
			}
		})
	}
	for range 5 {
		all.Go(stuck.wait)
	}
	defer func() {
		close(end)
		stuck.mu.Unlock()
		all.Wait()
	}()
	require.Eventually(t, func() bool { // all five have blocked before the window opens
		s, _ := newWindowCapturer().Window(time.Millisecond, nil)
		g := groupIn(s, "(*store).wait", goroutine.MutexLock)
		return g != nil && g.Count == 5
	}, 2*time.Minute, time.Millisecond)

	s, skip := newWindowCapturer().Window(windowed, nil)
	require.Nil(t, skip)
	assert.Equal(t, goroutine.SourceWindow, s.Source)
	assert.True(t, s.HasIDs())

	queue := movement(s, "(*store).put", goroutine.MutexLock)
	require.NotNil(t, queue)
	assert.Positive(t, queue.Woken)
	assert.NotEmpty(t, queue.Fed)
	require.NotEmpty(t, queue.Wakers)
	assert.Contains(t, queue.Wakers[0].Stack.User().Function, "(*store).put", "the one that unlocks")
	g := groupIn(s, "(*store).put", goroutine.MutexLock)
	require.NotNil(t, g)
	assert.Equal(t, g.Key(), queue.Key(), "one place, whole stack or not")

	still := groupIn(s, "(*store).wait", goroutine.MutexLock)
	require.NotNil(t, still)
	assert.Equal(t, 5, still.Count)
	assert.Nil(t, movement(s, "(*store).wait", goroutine.MutexLock), "no goroutine acquired the lock")
}

func TestWindowTellsTimers(t *testing.T) {
	end := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-end:
				return
			}
		}
	}()
	defer func() { close(end); <-done }()
	s, skip := newWindowCapturer().Window(windowed, nil)
	require.Nil(t, skip)
	m := movement(s, "TestWindowTellsTimers.func1", goroutine.Select)
	require.NotNil(t, m)
	assert.Positive(t, m.Woken)
	assert.Empty(t, m.Fed, "no goroutine woke it")
	assert.Len(t, m.Timed, 1, "the runtime did")
	require.NotEmpty(t, m.Wakers)
	assert.Empty(t, m.Wakers[0].Stack.User().Function, "the runtime woke it: %s", m.Wakers[0].Stack.Text(1000))
}

func TestWindowEndsEarly(t *testing.T) {
	stop := make(chan struct{})
	close(stop)
	c := New(Config{Budget: Budget{CPU: 1e6}, Tracing: true})
	var s *goroutine.Snapshot
	require.Eventually(t, func() bool { // otherwise the test would take an hour
		var skip *Skip
		s, skip = c.Window(time.Hour, stop)
		return skip == nil
	}, 2*time.Minute, time.Millisecond)
	assert.NotZero(t, s.Total)
}

func TestWindowMayBeRefused(t *testing.T) {
	c := New(Config{Budget: Budget{CPU: 1e-9, Pause: time.Second}, Tracing: true})
	_, skip := c.Window(time.Hour, nil)
	require.NotNil(t, skip)
	assert.Equal(t, ReasonBudget, skip.Reason)
	assert.Equal(t, goroutine.SourceWindow, skip.Source)

	s, skip := New(Config{Budget: Budget{CPU: 1}}).Window(time.Second, nil)
	assert.Nil(t, s, "no traces are taken")
	assert.Nil(t, skip)
}

func TestWindowGivesWayToTheUsersTrace(t *testing.T) {
	require.NoError(t, trace.Start(new(failing)))
	defer trace.Stop()
	_, skip := newWindowCapturer().Window(time.Millisecond, nil)
	require.NotNil(t, skip)
	assert.Equal(t, ReasonBusy, skip.Reason)
}

func worker(jobs <-chan time.Duration) {
	for job := range jobs {
		time.Sleep(job)
	}
}

// TestWindowTellsWhereAWaitThatItEndedBegan has a worker that is waiting when the
// window opens and still working when it closes.
func TestWindowTellsWhereAWaitThatItEndedBegan(t *testing.T) {
	jobs := make(chan time.Duration)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { worker(jobs) })
	}
	var sent sync.WaitGroup
	defer func() { sent.Wait(); close(jobs); all.Wait() }()
	allWait := func() bool {
		s, _ := newWindowCapturer().Window(time.Millisecond, nil)
		g := groupIn(s, ".worker", goroutine.ChanReceive)
		return g != nil && g.Count == 10
	}
	var s *goroutine.Snapshot
	var m *goroutine.Movement
	for try := 0; m == nil && try < 10; try++ { // on a busy machine the job may come too late for the window
		sent.Wait()
		require.Eventually(t, allWait, time.Minute, time.Millisecond)
		sent.Go(func() {
			time.Sleep(windowed / 4)
			jobs <- 2 * windowed
		})
		var skip *Skip
		s, skip = newWindowCapturer().Window(windowed, nil)
		require.Nil(t, skip)
		m = movement(s, ".worker", goroutine.ChanReceive)
	}
	require.NotNil(t, m)
	assert.Equal(t, 9, groupIn(s, ".worker", goroutine.ChanReceive).Count)
	assert.Equal(t, 1, m.Woken)
	assert.Len(t, m.Fed, 1)
	assert.Contains(t, m.Wakers[0].Stack.User().Function, "TestWindowTellsWhereAWait")
}
