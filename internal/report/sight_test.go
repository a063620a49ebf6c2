// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/sight"
)

// seen is what is known 12 s after a snapshot.
func seen(ds ...detectors.Status) *Sight {
	return SightOf(sight.Status{Time: at, Age: 12345 * time.Millisecond, Detectors: ds,
		Skips: []sight.Skip{{Source: "trace", Reason: "slot_taken"}}})
}

var (
	judges  = detectors.Status{Detector: "surge", Judging: true, Since: at}
	lacks   = detectors.NotJudging("leak", detectors.ReasonNoIDs, "snapshots have no goroutine IDs")
	lacks2  = detectors.NotJudging("stall", detectors.ReasonNoIDs, "snapshots have no goroutine IDs")
	tooFew  = detectors.NotJudging("deadlock", detectors.ReasonShortHistory, "4 snapshots are needed; there is 1")
	finding = detectors.Finding{Detector: "surge", Confidence: detectors.Info, Message: "Many."}
)

func TestFindingsSayWhatTheyCover(t *testing.T) {
	text := func(s *Sight, found ...detectors.Finding) string {
		return textOf(t, one(sample(), Options{Sight: s}, found...))
	}
	assert.Contains(t, text(seen(judges)), "\nFindings\n  none\n  Judging: 1 of 1 detector. Newest snapshot 12 s old.\n\n")
	missing := text(seen(lacks, judges, tooFew, lacks2))
	assert.Contains(t, missing, `
Findings
  none from 1 of 4 detectors; the others are not judging
  Judging: 1 of 4 detectors. Newest snapshot 12 s old.

`)
	assert.True(t, strings.HasSuffix(missing, `
Detectors that are not judging
  Not judging: leak, stall (snapshots have no goroutine IDs)
  Not judging: deadlock (4 snapshots are needed; there is 1)
`), missing)
	assert.Contains(t, text(seen(lacks, judges), finding), `
Findings
  surge (info): Many.

  Judging: 1 of 2 detectors. Newest snapshot 12 s old.

`)
	assert.Contains(t, text(seen(lacks)), "\n  unknown: no detector is judging\n  Judging: 0 of 1 detector. Newest snapshot 12 s old.\n")
	assert.Contains(t, text(seen()), "\n  unknown: no detector is used\n  No detector is used. Newest snapshot 12 s old.\n")
	assert.Contains(t, textOf(t, New(nil, nil, Options{Sight: SightOf(sight.Status{Age: time.Minute, Detectors: []detectors.Status{tooFew}})})),
		"No snapshot has been taken yet.\n  Judging: 0 of 1 detector. There is no snapshot yet.\n  Not judging: deadlock (")
}

func TestTheSightIsInTheJSON(t *testing.T) {
	s := seen(lacks, judges)
	assert.Equal(t, &Sight{
		Age: 12.345, Judging: 1, taken: true,
		Detectors: []DetectorStatus{
			{Name: "leak", Reason: "no_ids", Detail: "snapshots have no goroutine IDs"},
			{Name: "surge", Judging: true, Since: at},
		},
		Skips:   []Skip{{"trace", "slot_taken"}},
		Summary: "Judging: 1 of 2 detectors. Not judging: leak (snapshots have no goroutine IDs). Newest snapshot 12 s old.",
	}, s)
	assert.Same(t, s, one(sample(), Options{Sight: s}).Sight)
	require.NotNil(t, SightOf(sight.Status{}).Detectors, "a list, not null")
}

func TestANumberOfFindingsIsNoPromise(t *testing.T) {
	assert.Equal(t, "no findings", seen(judges).Count(0))
	assert.Equal(t, "1 finding", seen(judges).Count(1))
	assert.Equal(t, "no findings from 1 of 2 detectors", seen(judges, lacks).Count(0))
	assert.Equal(t, "2 findings from 1 of 2 detectors", seen(judges, lacks).Count(2))
	assert.Equal(t, "no detector is judging", seen(lacks).Count(0))
	assert.Equal(t, "no detector is judging", seen().Count(0))
	assert.False(t, seen().All())
}

// What is under suspicion is shown with the findings, and is information only.
func TestCandidatesAreShown(t *testing.T) {
	stack := &goroutine.Stack{ID: "s1", Frames: []goroutine.Frame{{Function: "main.f", File: "/src/main.go", Line: 12}}}
	suspects := detectors.NotJudging("leak", detectors.ReasonShortHistory, "7 snapshots are needed; there are 6")
	suspects.Candidates = []detectors.Candidate{
		{Stack: stack, State: goroutine.Select, Count: 120, GrowthPerMinute: 40, Age: 3 * time.Minute, VerdictAt: at.Truncate(time.Minute)},
		{Stack: stack, State: goroutine.ChanSend, Count: 3, GrowthPerMinute: math.Inf(1), Exits: 1, Missing: "it waits"},
	}
	s := seen(suspects, judges)
	first := "main.f (main.go:12): +40/min, 120 goroutines, no exits; a verdict is possible at " + at.Format("15:04 MST")
	assert.Equal(t, Candidate{Detector: "leak", Severity: "info", Message: first, State: "select", StackID: "s1",
		At: &Frame{Function: "main.f", File: "/src/main.go", Line: 12}, Count: 120, GrowthPerMinute: 40, Age: 180, VerdictAt: at.Truncate(time.Minute)}, s.Candidates[0])
	_, err := json.Marshal(s)
	require.NoError(t, err, "a growth that is not a number")
	assert.Contains(t, textOf(t, one(sample(), Options{Sight: s})), "\n  Under suspicion, no verdict yet:\n    leak: "+first+"\n    leak: main.f (main.go:12): +")
	assert.NotContains(t, textOf(t, one(sample(), Options{Sight: seen(lacks)})), "suspicion")
}
