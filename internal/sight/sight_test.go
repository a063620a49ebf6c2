// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package sight

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

const every = 15 * time.Second

var (
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	two   = []*detectors.Detector{{Name: "leak"}, {Name: "surge"}}
	good  = []detectors.Status{{Detector: "leak", Judging: true}, {Detector: "surge", Judging: true}}
)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func taken(when time.Time) *goroutine.Snapshot {
	return &goroutine.Snapshot{Time: when, Source: goroutine.SourceTrace}
}

// states returns the states of the detectors.
func states(s Status) (all []string) {
	for _, d := range s.Detectors {
		all = append(all, d.State())
	}
	return all
}

func TestBeforeTheFirstSnapshotNothingIsJudged(t *testing.T) {
	s := New(every, two, start)
	now := s.Status(at(10))
	assert.Equal(t, []string{"short_history", "short_history"}, states(now))
	assert.Equal(t, 10*time.Second, now.Age)
	assert.Zero(t, now.Time)

	s.Skipped([]Skip{{goroutine.SourceProfile, "overload"}})
	now = s.Status(at(46))
	assert.Equal(t, []string{"no_snapshot", "no_snapshot"}, states(now))
	assert.Equal(t, "no snapshot was taken since the start 46 s ago (profile: too many goroutines are ready to run)", now.Detectors[0].Detail)
}

// A detector says from when it can judge, while snapshots go on: of a file, none follow.
func TestAShortHistoryHasAnEnd(t *testing.T) {
	short := []detectors.Status{detectors.NotJudging("leak", detectors.ReasonShortHistory, "there is 1"), detectors.NotJudging("surge", detectors.ReasonShortHistory, "there is 1")}
	short[0].JudgingAt = at(60).Add(time.Millisecond)
	s := New(every, two, start)
	s.Saw(taken(at(0)), short, nil, at(0))
	for range 2 {
		now := s.Status(at(1)).Detectors
		assert.Equal(t, "there is 1; possible from 00:01:01 UTC", now[0].Detail)
		assert.Equal(t, short[0].JudgingAt, now[0].JudgingAt)
		assert.Equal(t, "there is 1", now[1].Detail)
		s.Glimpsed(taken(at(1)), at(1))
	}
	now := s.Status(at(100)).Detectors
	assert.NotContains(t, now[0].Detail, "possible", "nothing is known of snapshots that stop")
	assert.Zero(t, now[0].JudgingAt)

	file := Of(taken(at(0)), short, at(1)).Detectors
	assert.Equal(t, "there is 1", file[0].Detail)
	assert.Zero(t, file[0].JudgingAt)
	assert.NotZero(t, short[0].JudgingAt, "what the caller has is not modified")
}

func TestASnapshotThatIsNotJudged(t *testing.T) {
	s := New(every, two, start)
	s.Saw(taken(at(0)), good, []Skip{{goroutine.SourceTrace, "slot_taken"}}, at(0))
	s.Glimpsed(&goroutine.Snapshot{Time: at(7), Source: goroutine.SourceProfile}, at(8))
	now := s.Status(at(10))
	assert.Equal(t, Status{Time: at(7), Source: goroutine.SourceProfile, Age: 3 * time.Second, Detectors: good,
		Skips: []Skip{{goroutine.SourceTrace, "slot_taken"}}}, now, "what was judged stays as it was")
}

func TestSnapshotsThatStopMakeEveryDetectorBlind(t *testing.T) {
	s := New(every, two, start)
	s.Saw(taken(at(14)), good, nil, at(15))
	s.Skipped([]Skip{{goroutine.SourceTrace, "cpu_budget"}, {goroutine.SourceTrace, "cpu_budget"}})
	now := s.Status(at(14 + 45))
	assert.Equal(t, []string{"judging", "judging"}, states(now), "three intervals are not too long")
	assert.Equal(t, 45*time.Second, now.Age)

	now = s.Status(at(14 + 46)) // nothing was called: the monitor may hang
	assert.Equal(t, []string{"no_snapshot", "no_snapshot"}, states(now))
	assert.Equal(t, "the last snapshot was taken 46 s ago (trace: its CPU time exceeds the budget so far)", now.Detectors[1].Detail)
	assert.Equal(t, at(14), now.Detectors[1].Since)
	assert.Equal(t, []string{"judging", "judging"}, []string{s.Current()[0].State(), s.Current()[1].State()})

	s.Saw(taken(at(100)), good, nil, at(100))
	now = s.Status(at(101))
	assert.Equal(t, []string{"judging", "judging"}, states(now))
	assert.Empty(t, now.Skips)
}

func TestMissingIDsAreExplained(t *testing.T) {
	blind := []detectors.Status{detectors.NotJudging("leak", detectors.ReasonNoIDs, "snapshots have no goroutine IDs"), good[1]}
	s := New(every, two, start)
	s.Saw(taken(start), blind, []Skip{{goroutine.SourceTrace, "slot_taken"}}, start)
	now := s.Status(start)
	assert.Equal(t, []string{"no_ids", "judging"}, states(now))
	assert.Equal(t, "snapshots have no goroutine IDs (no trace: another execution trace is running)", now.Detectors[0].Detail)
	assert.Equal(t, "snapshots have no goroutine IDs", blind[0].Detail, "what the engine keeps is not touched")
}

func TestAPauseIsNotAMissingSnapshot(t *testing.T) {
	s := New(every, two, start)
	s.Saw(taken(start), good, nil, start)
	s.Pause(detectors.ReasonNoListener, "nothing hears the telemetry", at(30))
	s.Pause(detectors.ReasonNoListener, "nothing hears the telemetry", at(45))
	now := s.Status(at(1000))
	assert.Equal(t, []string{"no_listener", "no_listener"}, states(now))
	assert.Equal(t, at(30), now.Detectors[0].Since)
	_, stale := s.Age(at(1000))
	assert.False(t, stale)
	s.Saw(taken(at(1000)), good, nil, at(1000))
	assert.Equal(t, []string{"judging", "judging"}, states(s.Status(at(1000))))
}

func TestFilesDoNotGetTooOld(t *testing.T) {
	s := New(0, two, start)
	s.Saw(taken(start), good, nil, at(7200))
	now := s.Status(at(7200))
	assert.Equal(t, []string{"judging", "judging"}, states(now))
	assert.Equal(t, 2*time.Hour, now.Age)
}

func TestAnEndedObservationJudgesNothing(t *testing.T) {
	s := New(every, two, start)
	s.Saw(taken(start), good, nil, start)
	assert.Equal(t, []string{"stopped", "stopped"}, states(s.Status(at(5)).Stopped()))
	assert.Equal(t, []string{"judging", "judging"}, states(s.Status(at(5))))
}

func TestNothingIsKnownOfANilSight(t *testing.T) {
	var s *Sight
	assert.Zero(t, s.Status(start))
	assert.Nil(t, s.Current())
	age, stale := s.Age(start)
	assert.Zero(t, age)
	assert.False(t, stale)
}

func TestStatusIsSafeForConcurrentUse(t *testing.T) {
	s := New(every, two, start)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for i := range 1000 {
				now := s.Status(at(i))
				now.Detectors[0].Detail = "mine"
				s.Age(at(i))
			}
		})
	}
	for i := range 1000 {
		s.Saw(taken(at(i)), good, []Skip{{goroutine.SourceWindow, "cpu_budget"}}, at(i))
		s.Skipped(nil)
		s.Pause(detectors.ReasonNoListener, "", at(i))
	}
	readers.Wait()
	assert.Empty(t, good[0].Detail)
}

func TestAnUnknownReasonIsShownAsItIs(t *testing.T) {
	s := New(every, two, start)
	s.Saw(taken(start), good, []Skip{{goroutine.SourceTrace, "moon"}}, start)
	s.Skipped([]Skip{{goroutine.SourceTrace, "moon"}})
	assert.Contains(t, s.Status(at(100)).Detectors[0].Detail, "(trace: moon)")
}

// A process that is known to be as in its newest snapshot is judged by it, however old
// it is; one of which nothing is heard is not.
func TestAQuietProcessIsStillJudged(t *testing.T) {
	s := New(every, two, start)
	s.Saw(taken(at(0)), good, nil, at(1))
	for i := range 8 {
		s.Quiet(at(15 * i))
	}
	now := s.Status(at(105 + 44))
	assert.Equal(t, []string{"judging", "judging"}, states(now))
	assert.Equal(t, 149*time.Second, now.Age)
	now = s.Status(at(105 + 46))
	assert.Equal(t, []string{"no_snapshot", "no_snapshot"}, states(now), "over three intervals since the last that is known")
}
