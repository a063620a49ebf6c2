// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

func ofState(state goroutine.State, n int) *goroutine.Snapshot {
	stack := goroutine.NewStack([]goroutine.Frame{{Function: "main.f"}})
	return &goroutine.Snapshot{Time: at, Total: n, Groups: []goroutine.Group{{Stack: stack, State: state, Count: n}}}
}

func checkOf(h Health, name string) Check {
	for _, c := range h.Checks {
		if c.Name == name {
			return c
		}
	}
	return Check{}
}

// A rule of thumb does not call usual what a finding calls a fault.
func TestHealthDoesNotContradictFindings(t *testing.T) {
	s := ofState(goroutine.ChanSend, 50)
	fault := detectors.Finding{Detector: "leak", Confidence: detectors.Suspected, Stack: s.Groups[0].Stack, State: goroutine.ChanSend, Message: "m"}
	assert.Equal(t, "100.0% are waiting on channels, over 50%: usual for idle workers", checkOf(one(s, Options{}).Health, "channel").Message)
	h := one(s, Options{}, fault).Health
	assert.Equal(t, "100.0% are waiting on channels, over 50%: see Findings", checkOf(h, "channel").Message)
	assert.Equal(t, "100.0% are blocked, over 80%: see Findings", checkOf(h, "blocked").Message)

	fault.Confidence = detectors.Info
	assert.NotContains(t, checkOf(one(s, Options{}, fault).Health, "channel").Message, "see Findings")
	fault.Confidence, fault.State = detectors.Medium, ""
	fault.Participants = []detectors.Participant{{Stack: fault.Stack, State: goroutine.Select}}
	assert.Contains(t, checkOf(one(s, Options{}, fault).Health, "channel").Message, "see Findings")
}

// What a finding says of many goroutines is not called usual either.
func TestHealthDoesNotCallALeakUsual(t *testing.T) {
	s := ofState(goroutine.IOWait, 1200)
	leak := detectors.Finding{Detector: "leak", Confidence: detectors.Suspected, Stack: s.Groups[0].Stack, State: goroutine.IOWait, Count: 120, Message: "m"}
	assert.Equal(t, "1200 goroutines, over 1000: see Findings", checkOf(one(s, Options{}, leak).Health, "goroutines").Message)
	leak.Count = 12
	assert.Equal(t, "1200 goroutines, over 1000: usual under load", checkOf(one(s, Options{}, leak).Health, "goroutines").Message)
}

// A wait group is not a lock.
func TestOnlyLocksAreLocks(t *testing.T) {
	assert.Equal(t, LevelOK, checkOf(one(ofState(goroutine.WaitGroupWait, 50), Options{}).Health, "mutex").Level)
	assert.Equal(t, LevelWarn, checkOf(one(ofState(goroutine.MutexLock, 50), Options{}).Health, "mutex").Level)
}
