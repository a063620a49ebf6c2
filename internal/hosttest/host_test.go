// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hosttest

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/realprograms"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// patience is how long a test waits for what a service is to say soon, however busy
// this machine is.
const patience = 2 * time.Minute

// next returns what a service says next.
func (s *service) next(t *testing.T) update {
	t.Helper()
	select {
	case u, ok := <-s.updates:
		require.True(t, ok, "the service has ended")
		return u
	case <-time.After(patience):
		require.Fail(t, "the service says nothing")
		return update{}
	}
}

// tell tells the service to do something.
func (s *service) tell(t *testing.T, order byte) {
	t.Helper()
	_, err := s.in.Write([]byte{order})
	require.NoError(t, err)
}

// TestAStopInTheMiddleOfACapture stops a process for 25 s while it takes a trace.
// The snapshot of one of the next two intervals is taken. When the time that passed
// was charged as CPU time, the next one was hours away.
func TestAStopInTheMiddleOfACapture(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 40 s")
	}
	s := start(t, plan{Interval: 5 * time.Second})
	for tries := 0; !s.stopInTrace(t); tries++ {
		require.Less(t, tries, 5, "no stop fell into a capture")
	}
	first, second := s.next(t), s.next(t)
	assert.True(t, first.Source != "" || second.Source != "", "%+v, then %+v", first, second)
}

// stopInTrace stops the service for 25 s during its next trace. It reports whether
// the stop fell into a capture.
func (s *service) stopInTrace(t *testing.T) bool {
	t.Helper()
	const stop = 25 * time.Second
	s.tell(t, stopInTrace)
	var status syscall.WaitStatus
	_, err := syscall.Wait4(s.Process.Pid, &status, syscall.WUNTRACED, nil)
	require.NoError(t, err)
	require.True(t, status.Stopped(), "%v", status)
	time.Sleep(stop)
	continued := time.Now()
	require.NoError(t, s.Process.Signal(syscall.SIGCONT))
	u := s.next(t)
	for u.At.Before(continued) {
		u = s.next(t)
	}
	late := func(s otelgoroutine.Skip) bool { return s.Reason == "deadline" }
	return u.Took >= stop || slices.ContainsFunc(u.Skips, late)
}

// TestAPauseIsTold stops a process between two snapshots. The next one tells of it, in
// as far as it goes beyond the second that it falls into.
func TestAPauseIsTold(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 4 s")
	}
	s := start(t, plan{Interval: time.Second})
	s.next(t)
	for tries := range 5 {
		s.next(t)
		time.Sleep(300 * time.Millisecond) // in the middle of a wait, unless this machine is too busy
		require.NoError(t, s.Process.Signal(syscall.SIGSTOP))
		time.Sleep(3 * time.Second)
		require.NoError(t, s.Process.Signal(syscall.SIGCONT))
		u := s.next(t)
		for u.Source == "" {
			u = s.next(t)
		}
		if u.Late >= 2*time.Second {
			return
		}
		t.Logf("try %d: %+v", tries, u)
	}
	assert.Fail(t, "no pause was told")
}

// quiet waits until the service is seen as quiet, at a moment right after a snapshot.
func (s *service) quiet(t *testing.T) {
	t.Helper()
	last := s.next(t)
	for began := last.At; last.At.Sub(began) < 10*time.Minute; {
		u := s.next(t)
		if u.At.Sub(last.At) > 40*time.Second {
			return
		}
		last = u
	}
	require.Fail(t, "it is never quiet")
}

// TestADeadlockOfTwoIsToldWithinTwoMinutes plants it in a quiet process, at the worst
// moment: the next snapshot is 45 s away.
func TestADeadlockOfTwoIsToldWithinTwoMinutes(t *testing.T) {
	if !realprograms.Wanted() {
		t.Skipf("takes six minutes; %s=1 runs it", realprograms.Variable)
	}
	s := start(t, plan{})
	s.quiet(t)
	r := s.find(t, 10*time.Minute)
	t.Logf("%+v", r)
	assert.LessOrEqual(t, r.after, 2*time.Minute)
}

// A told is how a planted deadlock was found.
type told struct {
	after time.Duration // since it was planted
	gap   time.Duration // between two snapshots, at most
	cpu   time.Duration // that the process used in all
	ran   time.Duration
}

// find plants a deadlock after the next snapshot, and waits until it is told.
func (s *service) find(t *testing.T, patience time.Duration) (r told) {
	t.Helper()
	began, last := time.Now(), s.next(t).At
	s.tell(t, plantDeadlock)
	planted := time.Now()
	for {
		u := s.next(t)
		if u.Source != "" {
			t.Logf("%v after the last snapshot: %s in %v, skipped %v, found %v", u.At.Sub(last).Round(time.Millisecond), u.Source, u.Took, u.Skips, u.Detected)
			r.gap, last = max(r.gap, u.At.Sub(last)), u.At
		}
		r.after, r.ran, r.cpu = u.At.Sub(planted), u.At.Sub(began), u.CPU
		if slices.Contains(u.Detected, "deadlock") {
			return r
		}
		require.Less(t, r.after, patience, "%+v", u)
	}
}

// TestAStarvedHost has a service beside ten busy processes, and one that its
// container throttles. They are inspected at least every minute, and a deadlock of
// two goroutines is told within five minutes, although there is nothing to spare for
// snapshots beyond the regular ones. It takes up to eleven minutes: run it with
// -timeout 30m.
func TestAStarvedHost(t *testing.T) {
	if !realprograms.Wanted() {
		t.Skipf("takes eleven minutes; %s=1 runs it", realprograms.Variable)
	}
	idle := start(t, plan{}).find(t, 10*time.Minute)
	t.Logf("idle: %+v", idle)
	for name, starve := range map[string]func(*testing.T, *service){
		"ten busy processes": func(t *testing.T, _ *service) { busy(t, 10) },
		"throttled":          throttle,
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, plan{})
			starve(t, s)
			r := s.find(t, 5*time.Minute)
			t.Logf("%+v", r)
			assert.LessOrEqual(t, r.gap, time.Minute)
		})
	}
}
