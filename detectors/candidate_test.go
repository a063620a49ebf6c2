// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

// candidates runs a shape from the start of a process on and returns what is under
// suspicion in each snapshot, by the time since the start.
func candidates(t *testing.T, d *detectors.Detector, s *service, sh shape, length time.Duration) (all map[time.Duration][]detectors.Candidate, found time.Duration) {
	t.Helper()
	r := detectortest.NewReplay(t, d)
	all = make(map[time.Duration][]detectors.Candidate)
	for s.elapsed() < length {
		s.tick++
		s.Advance(tick)
		sh(s)
		step := r.Step(s.Snapshot())
		if len(step.Status.Candidates) > 0 {
			all[s.elapsed()] = step.Status.Candidates
		}
		if len(step.Findings) > 0 && found == 0 {
			found = s.elapsed()
		}
	}
	return all, found
}

// The first hour of a leak does not look empty: what grows is named within minutes,
// with the time of the verdict, and the verdict comes by then.
func TestALeakIsACandidateUntilItIsJudged(t *testing.T) {
	s := newService(1, 1)
	all, found := candidates(t, newLeak(), s, together(steady, leak(atHandler, 40, 0)), time.Hour)
	require.NotZero(t, found)
	early := all[6*time.Minute]
	require.Len(t, early, 1)
	c := early[0]
	assert.Equal(t, atHandler.Stack.ID, c.Stack.ID)
	assert.Equal(t, atHandler.State, c.State)
	assert.InDelta(t, 40, c.GrowthPerMinute, 12)
	assert.Zero(t, c.Exits)
	assert.Contains(t, c.String(), ", no exits; a verdict is possible at ")
	for at := 6 * time.Minute; at < found; at += tick {
		require.NotEmpty(t, all[at], "after %v", at)
	}
	verdict := c.VerdictAt.Sub(s.Now().Add(-s.elapsed()))
	assert.InDelta(t, found.Minutes(), verdict.Minutes(), 2, "what was promised after six minutes")
	for at := range all {
		assert.Less(t, at, found, "a finding is not a candidate")
	}
}

// A leak that begins in a settled process gets a verdict when most of a window is
// filled.
func TestACandidateTellsWhenAVerdictIsPossible(t *testing.T) {
	const from = 90 * time.Minute
	s := newService(1, 1)
	all, found := candidates(t, newLeak(), s, leak(atHandler, 20, from), from+time.Hour)
	require.NotZero(t, found)
	early := all[from+10*time.Minute]
	require.Len(t, early, 1)
	verdict := early[0].VerdictAt.Sub(s.Now().Add(-s.elapsed()))
	assert.InDelta(t, found.Minutes(), verdict.Minutes(), 4)
}

// What comes and goes, comes once, or waits by design is not under suspicion.
func TestHealthyWorkIsNoCandidate(t *testing.T) {
	for name, sh := range map[string]shape{
		"steady load":     steady,
		"a burst":         func(s *service) { s.atOnce(atHandler, 100, 20) },
		"a pool":          func(s *service) { s.atOnce(atIdle, 100, 1) },
		"few":             leak(atHandler, 0.1, 0),
		"known by design": leak(detectortest.At(goroutine.Select, "net/http.(*persistConn).writeLoop:1"), 40, 0),
		"IO":              leak(place(goroutine.IOWait, "main.read:1"), 40, 0),
	} {
		t.Run(name, func(t *testing.T) {
			all, _ := candidates(t, newLeak(), newService(1, 1), sh, 40*time.Minute)
			assert.Empty(t, all)
		})
	}
}

// atOnce starts n goroutines that stay, in one tick.
func (s *service) atOnce(at detectortest.Place, n, tick int) {
	if s.tick == tick {
		s.Go(at, n)
	}
}

func TestCandidatesScale(t *testing.T) {
	d := detectors.Scaled(float64(time.Second) / float64(tick))[1] // a tick of 30 s stands for a second
	require.Equal(t, "leak", d.Name)
	p := detectortest.NewProcess(1)
	r := detectortest.NewReplay(t, d)
	for i := range 60 {
		p.Advance(time.Second)
		p.Go(atHandler, 20)
		if c := r.Step(p.Snapshot()).Status.Candidates; i == 15 {
			require.Len(t, c, 1)
			assert.WithinDuration(t, p.Now().Add(75*time.Second), c[0].VerdictAt, 2*time.Second)
		}
	}
}

func TestCandidateInWords(t *testing.T) {
	at := time.Date(2026, 1, 1, 5, 40, 0, 0, time.UTC)
	stack := place(goroutine.Select, "main.handler.func1:12").Stack
	for want, c := range map[string]detectors.Candidate{
		"main.handler.func1 (main.go:12): +40/min, 120 goroutines, no exits; a verdict is possible at 05:40 UTC":                    {Count: 120, GrowthPerMinute: 40, VerdictAt: at},
		"main.handler.func1 (main.go:12): +0.5/min, 12 goroutines, 1 exit; a verdict is possible at 05:40:07 UTC; it needs a proof": {Count: 12, GrowthPerMinute: 0.5, Exits: 1, VerdictAt: at.Add(7 * time.Second), Missing: "it needs a proof"},
		"main.handler.func1 (main.go:12): 1 goroutine, no exits":                                                                    {Count: 1},
	} {
		c.Stack = stack
		assert.Equal(t, want, c.String())
	}
}

// TestACandidateOfASteepGrowthIsPromisedSoon compares what is promised first with when it is
// told: trace windows are asked for when the time has come, and take some minutes.
func TestACandidateOfASteepGrowthIsPromisedSoon(t *testing.T) {
	for name, tc := range map[string]struct {
		detector  *detectors.Detector
		at        detectortest.Place
		perMinute int
		promised  time.Duration
		timers    bool
	}{
		"leak, 60 a minute":       {newLeak(), atInbox, 60, 10 * time.Minute, false},
		"leak, 12 a minute":       {newLeak(), atInbox, 12, 18 * time.Minute, false},
		"leak, 2 a minute":        {newLeak(), atInbox, 2, 45 * time.Minute, false},
		"growth, 60 a minute":     {newGrowth(), atDevice, 60, 10 * time.Minute, false},
		"growth, may be timed":    {newGrowth(), atInbox, 60, 10 * time.Minute, true},
		"growth is not its place": {newGrowth(), atInbox, 60, 0, false},
		"leak is not its place":   {newLeak(), atInbox, 60, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := detectortest.NewProcess(1)
			w := watch(t, *reading(tc.detector, tc.timers, true), func() *goroutine.Snapshot { return windowOf(p, tc.at, feeder) })
			promised, told := time.Duration(0), time.Duration(0)
			for due := 0; told == 0 && p.Now().Sub(detectortest.Start) < time.Hour; due += tc.perMinute {
				for ; due >= 4; due -= 4 {
					p.Go(tc.at, 1)
				}
				p.Advance(interval)
				step := w.step(p)
				if len(step.Findings) > 0 {
					told = p.Now().Sub(detectortest.Start)
				}
				for _, c := range step.Status.Candidates {
					if promised == 0 {
						promised = c.VerdictAt.Sub(detectortest.Start)
					}
				}
			}
			assert.InDelta(t, tc.promised.Minutes(), promised.Minutes(), 2.5)
			if tc.promised > 0 {
				assert.GreaterOrEqual(t, told, promised-time.Minute)
				assert.Less(t, told, promised+8*time.Minute)
			} else {
				assert.Zero(t, promised)
			}
		})
	}
}
