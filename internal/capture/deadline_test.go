// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"errors"
	"io"
	"runtime"
	"runtime/trace"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// passed returns a deadline that is over.
func passed() *allowance {
	a := newAllowance(time.Hour, unlimited)
	a.end()
	return a
}

func TestADeadlineIsOverInTimeOrOnRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAllowance(Deadline, unlimited)
		assert.False(t, a.over())
		assert.NoError(t, a.err())
		time.Sleep(Deadline)
		assert.True(t, a.over())
		assert.Equal(t, ReasonLate, reasonOf(t, a.err()))

		a = newAllowance(Deadline, unlimited)
		a.end()
		a.end()
		<-a.done()
		assert.True(t, a.over())
	})
	var never *allowance
	never.end()
	assert.False(t, never.over())
	assert.NoError(t, never.err())
	assert.Nil(t, never.done())
}

// Every source ends when its time is up, wherever the runtime permits.
func TestEverySourceEndsWhenItsTimeIsUp(t *testing.T) {
	stacks, births := parse.NewStacks(), new(goroutine.Births)
	tracing := newTraceSource(stacks, births)
	sources := []source{
		tracing,
		&windowSource{trace: tracing, span: time.Hour},
		newTextSource(),
		newTextSeries(stacks, births),
		&profileSource{stacks: stacks},
		&labelledSource{stacks: stacks},
	}
	for _, s := range sources {
		r, refusal := guarded(s, passed())
		require.NotNil(t, refusal, s.name())
		assert.Equal(t, ReasonLate, refusal.Reason, s.name())
		assert.Nil(t, r.Snapshot, s.name())
		assert.False(t, trace.IsEnabled(), s.name())

		if w, ok := s.(*windowSource); ok {
			w.span = time.Millisecond
		}
		_, refusal = guarded(s, newAllowance(time.Hour, unlimited))
		assert.Nil(t, refusal, "%s: the next one is taken", s.name())
	}
}

func TestABufferRefusesBytesAfterItsDeadline(t *testing.T) {
	a := newAllowance(time.Hour, unlimited)
	b := cappedBuffer{allowed: a}
	_, err := b.Write([]byte("in time"))
	require.NoError(t, err)
	a.end()
	_, err = b.Write([]byte("late"))
	assert.Equal(t, ReasonLate, reasonOf(t, err))
	assert.Equal(t, "in time", string(b.data))
}

// Reading a dump stops between two reads of its bytes.
func TestReadingADumpEndsWhenItsTimeIsUp(t *testing.T) {
	a := newAllowance(time.Hour, unlimited)
	r := &limitedReader{endlessDump{}, a}
	done := make(chan error)
	go func() {
		_, err := io.Copy(io.Discard, r)
		done <- err
	}()
	a.end()
	assert.Equal(t, ReasonLate, reasonOf(t, <-done))
}

type endlessDump struct{}

func (endlessDump) Read(p []byte) (int, error) { return len(p), nil }

// A capture that was aborted is refused as late, and no other source is tried for
// this snapshot: the machine is too slow for one capture already.
func TestAbortEndsTheCaptureInProgress(t *testing.T) {
	var c *Capturer
	hanging, next := &fake{as: goroutine.SourceTrace}, works(goroutine.SourceText)
	hanging.does = func() (*goroutine.Snapshot, error) {
		a := c.progress.current.Load()
		go c.Abort()
		<-a.done()
		return nil, a.err()
	}
	c = capturerOf(hanging, next, works(goroutine.SourceProfile))
	c.started = true
	s, skips := c.Take()
	assert.Nil(t, s)
	require.Len(t, skips, 1)
	assert.Equal(t, ReasonLate, skips[0].Reason)
	assert.Zero(t, next.took)

	assert.Empty(t, c.resting, "it was ended early, and is not late")
}

func TestTheNextSourceTakesOverFromOneThatWasLate(t *testing.T) {
	tracing := works(goroutine.SourceTrace)
	c := capturerOf(tracing, works(goroutine.SourceText), works(goroutine.SourceProfile))
	c.started = true
	c.resting.after(goroutine.SourceTrace, refuse(ReasonLate, "x"), Deadline, time.Now())
	s, skips := c.Take()
	require.NotNil(t, s)
	assert.Equal(t, goroutine.SourceText, s.Source)
	require.Len(t, skips, 1)
	assert.Equal(t, ReasonLate, skips[0].Reason)
	assert.Zero(t, tracing.took)
}

func TestAbortBetweenCapturesDoesNothing(t *testing.T) {
	c := capturerOf(works(goroutine.SourceProfile))
	c.Abort()
	s, skips := c.Take()
	assert.NotNil(t, s)
	assert.Empty(t, skips)
	c.Abort()
	s, _ = c.Take()
	assert.NotNil(t, s)
}

func TestAbortClosesAWindow(t *testing.T) {
	c := newWindowCapturer()
	c.governor.credit = time.Hour
	c.governor.budget.CPU = 1e6
	c.window.traced = time.Nanosecond
	var all sync.WaitGroup
	end := make(chan struct{})
	all.Go(func() { // until the window is open, there may be nothing to abort
		for {
			select {
			case <-end:
				return
			default:
				c.Abort()
				runtime.Gosched()
			}
		}
	})
	c.governor.credit = 1e6 * time.Hour
	s, skip := c.Window(time.Hour, nil)
	close(end)
	all.Wait()
	assert.Nil(t, s)
	require.NotNil(t, skip)
	assert.Equal(t, ReasonLate, skip.Reason)
	assert.False(t, trace.IsEnabled())
}

// On a starved host the timer of a window fires late. What the program did
// meanwhile is not read.
func TestAWindowThatClosesLateIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &windowSource{span: time.Millisecond}
		open, err := w.wait(newAllowance(Deadline, unlimited))
		require.NoError(t, err)
		assert.Equal(t, w.span, open)
	})
	w := &windowSource{span: -2 * windowSlack} // as if the timer had fired so late
	_, err := w.wait(newAllowance(Deadline, unlimited))
	assert.Equal(t, ReasonLate, reasonOf(t, err))
	assert.ErrorContains(t, err, "was open for")
}

func TestALateSourceRestsLongerEachTime(t *testing.T) {
	now, rs := time.Now(), make(rests)
	late := refuse(ReasonLate, "late")
	for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 10 * time.Minute, 10 * time.Minute} {
		rs.after(goroutine.SourceTrace, late, Deadline, now)
		refusal := rs.refuse(goroutine.SourceTrace, now)
		require.NotNil(t, refusal)
		assert.Equal(t, ReasonLate, refusal.Reason)
		assert.False(t, refusal.waits(), "another source takes over")
		now = now.Add(want)
		assert.NotNil(t, rs.refuse(goroutine.SourceTrace, now.Add(-time.Nanosecond)))
		assert.Nil(t, rs.refuse(goroutine.SourceTrace, now))
	}
	rs.after(goroutine.SourceTrace, nil, 0, now)
	rs.after(goroutine.SourceTrace, late, Deadline, now)
	assert.Nil(t, rs.refuse(goroutine.SourceTrace, now.Add(firstRest)), "after a success it starts from the beginning")
}

func TestWhichRefusalsLetASourceRest(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		source goroutine.Source
		reason Reason
		took   time.Duration
		rest   time.Duration
	}{
		{goroutine.SourceTrace, ReasonSize, Deadline, longestRest},
		{goroutine.SourceWindow, ReasonSize, Deadline, longestRest},
		{goroutine.SourceWindow, ReasonLate, Deadline, firstRest},
		{goroutine.SourceText, ReasonLate, Deadline, firstRest},
		{goroutine.SourceText, ReasonSize, Deadline, 0},
		{goroutine.SourceTrace, ReasonBusy, Deadline, 0},
		{goroutine.SourceTrace, ReasonError, Deadline, 0},
		{goroutine.SourceProfile, ReasonLate, Deadline, 0},
		{goroutine.SourceWindow, ReasonLate, windowSlack, firstRest},
		{goroutine.SourceTrace, ReasonLate, leastLate - 1, 0},
	} {
		rs := make(rests)
		rs.after(tt.source, &Refusal{Reason: tt.reason, Err: errors.New("x")}, tt.took, now)
		assert.Equal(t, tt.rest > 0, rs.refuse(tt.source, now) != nil, "%s %s", tt.source, tt.reason)
		assert.Nil(t, rs.refuse(tt.source, now.Add(tt.rest)), "%s %s", tt.source, tt.reason)
	}
}

// A window that was late does not keep snapshots from being traced, but no window
// is opened while snapshots are not traced.
func TestNoWindowWhileTracesRest(t *testing.T) {
	c := newWindowCapturer()
	c.governor.credit = time.Hour
	c.resting.after(goroutine.SourceTrace, refuse(ReasonLate, "x"), Deadline, time.Now())
	_, skip := c.Window(time.Millisecond, nil)
	require.NotNil(t, skip)
	assert.Equal(t, ReasonLate, skip.Reason)
	assert.NotContains(t, c.resting, goroutine.SourceWindow)

	c.resting = make(rests)
	c.resting.after(goroutine.SourceWindow, refuse(ReasonLate, "x"), Deadline, time.Now())
	_, skip = c.Window(time.Millisecond, nil)
	require.NotNil(t, skip)
	assert.Equal(t, ReasonLate, skip.Reason)
	c.Take()
	s, _ := c.Take()
	assert.Equal(t, goroutine.SourceTrace, s.Source)
}
