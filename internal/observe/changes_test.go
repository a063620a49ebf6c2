// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/sight"
)

var start = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// A story is the statuses of a process, one for each step, and what changes.
type story struct {
	changes Changes
	now     time.Time
	status  Status
}

func newStory() *story {
	return &story{now: start, status: Status{Name: "http://host", Sight: sight.Status{Time: start, Detectors: []detectors.Status{
		detectors.NotJudging("leak", detectors.ReasonShortHistory, "too few"), {Detector: "stall", Judging: true},
	}}}}
}

// step returns the kinds of the changes of a step.
func (s *story) step(failed bool) string {
	s.now = s.now.Add(15 * time.Second)
	s.status.Points = append(s.status.Points, Point{Time: s.now, Failed: failed})
	if !failed {
		s.status.Snapshot = &goroutine.Snapshot{Total: 3, Time: s.now}
	}
	var kinds []string
	for _, c := range s.changes.Next(&s.status, s.now) {
		kinds = append(kinds, string(c.Kind))
	}
	return strings.Join(kinds, " ")
}

func (s *story) fails(err error) string {
	if s.status.Err == nil {
		s.status.Since = s.now.Add(15 * time.Second)
	}
	s.status.Err = err
	return s.step(true)
}

func (s *story) succeeds() string {
	s.status.Err = nil
	return s.step(false)
}

func TestChanges(t *testing.T) {
	gone := errors.New("gone")
	s := newStory()
	assert.Equal(t, "unreachable", s.fails(gone))
	assert.Empty(t, s.fails(errors.New("gone in another way")), "told once")
	assert.Equal(t, "observed", s.succeeds(), "it was never reachable before")
	for range 100 {
		assert.Empty(t, s.succeeds())
	}
	assert.Equal(t, "unreachable", s.fails(gone))
	assert.Empty(t, s.fails(gone))
	s.status.Err = nil
	back := s.changes.Next(&Status{Snapshot: s.status.Snapshot, Sight: s.status.Sight}, s.now.Add(time.Minute))
	assert.Equal(t, []Change{{Kind: Reachable, Time: s.now.Add(time.Minute), Away: 75 * time.Second}}, back)

	s.fails(gone)
	s.status.Restarts++
	assert.Equal(t, "reachable restarted", s.succeeds())
	assert.Empty(t, s.succeeds())
	s.status.Restarts++
	assert.Equal(t, "restarted", s.succeeds())

	s.status.Err = gone
	assert.Equal(t, "incomplete", s.step(false))
	assert.Empty(t, s.step(false))
	assert.Equal(t, "complete", s.succeeds())
}

func TestChangesOfWhatIsJudged(t *testing.T) {
	s := newStory()
	s.succeeds()
	leak := &s.status.Sight.Detectors[0]
	*leak = detectors.Status{Detector: "leak", Judging: true}
	assert.Equal(t, "judging", s.succeeds(), "all are")
	*leak = detectors.NotJudging("leak", detectors.ReasonNoIDs, "no IDs")
	assert.Equal(t, "judging", s.succeeds())
	leak.Detail = "still no IDs"
	assert.Empty(t, s.succeeds())
	*leak = detectors.NotJudging("leak", detectors.ReasonShortHistory, "1 of 3")
	assert.Equal(t, "judging", s.succeeds(), "it can again")
	*leak = detectors.NotJudging("leak", detectors.ReasonShortHistory, "2 of 3")
	assert.Empty(t, s.succeeds())
}

func TestChangesOfCandidates(t *testing.T) {
	s := newStory()
	s.succeeds()
	at := func(i int) detectors.Candidate {
		return detectors.Candidate{Stack: detectortest.At(goroutine.Select, fmt.Sprintf("main.f%d:1", i)).Stack, State: goroutine.Select, Count: 9}
	}
	leak := &s.status.Sight.Detectors[0]
	leak.Candidates = []detectors.Candidate{at(1), at(2)}
	assert.Equal(t, "suspected suspected", s.succeeds())
	leak.Candidates = []detectors.Candidate{at(2)}
	assert.Empty(t, s.succeeds())
	leak.Candidates = nil
	s.now = s.now.Add(50 * time.Minute)
	leak.Candidates = []detectors.Candidate{at(1)}
	assert.Empty(t, s.succeeds(), "it comes and goes")
	s.now = s.now.Add(70 * time.Minute)
	assert.Equal(t, "suspected", s.succeeds())
	s.status.Restarts++
	assert.Equal(t, "restarted suspected", s.succeeds())
	for i := range maxSuspected + 50 {
		leak.Candidates = []detectors.Candidate{at(i)}
		s.succeeds()
	}
	assert.LessOrEqual(t, len(s.changes.suspected), maxSuspected+1)
}
