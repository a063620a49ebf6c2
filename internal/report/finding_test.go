// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// A fault of two places is told once: each place has a line, in the text, and an
// object, in the JSON.
func TestParticipants(t *testing.T) {
	pool := goroutine.NewStack([]goroutine.Frame{{Function: "main.(*pool).work", File: "/src/pool.go", Line: 21}})
	made := goroutine.Frame{Function: "main.newPool", File: "/src/pool.go", Line: 9}
	f := detectors.Finding{
		Detector: "hang", Confidence: detectors.High, Message: "Work has stopped.", Stack: pool, State: goroutine.ChanReceive, Count: 308,
		Unjudged: "the newest snapshots have no goroutine IDs",
		Participants: []detectors.Participant{
			{Role: detectors.RoleCause, Stack: pool, State: goroutine.ChanReceive, Count: 8, IDs: []uint64{4, 5}, CreatedBy: made, Note: "all workers of the pool"},
			{Role: detectors.RoleWaiter, Count: 300},
		},
		Evidence: []string{"Evidence."},
	}
	r := one(sample(), Options{}, f)
	assert.Contains(t, textOf(t, r), `
  hang (high): Work has stopped.
    Not judged now: the newest snapshots have no goroutine IDs.
    cause: 8 goroutines at main.(*pool).work (pool.go:21) in chan receive, created by main.newPool (pool.go:9): all workers of the pool
    waiting: 300 goroutines at an unknown place
    - Evidence.
`)
	require.Len(t, r.Findings[0].Participants, 2)
	cause := r.Findings[0].Participants[0]
	assert.Equal(t, "cause", cause.Role)
	assert.Equal(t, string(pool.ID), cause.StackID)
	assert.Equal(t, &Frame{"main.newPool", "/src/pool.go", 9, false}, cause.CreatedBy)
	assert.Len(t, cause.Frames, 1)
	assert.Nil(t, Briefly([]detectors.Finding{f})[0].Participants[0].Frames)
	assert.Equal(t, []uint64{4, 5}, cause.IDs)
}
