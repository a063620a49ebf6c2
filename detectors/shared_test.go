// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

func snapshots(ids ...bool) (all []*goroutine.Snapshot) {
	for i, has := range ids {
		s := &goroutine.Snapshot{Time: time.Unix(int64(i), 0)}
		if has {
			s.Epochs = make([]goroutine.Epoch, 1)
		}
		all = append(all, s)
	}
	return all
}

// TestPassesShareTheModel: it is built once for a snapshot, and once more where
// some snapshots have no IDs.
func TestPassesShareTheModel(t *testing.T) {
	for want, series := range map[int][]*goroutine.Snapshot{
		1: snapshots(true, true, true),
		2: snapshots(true, false, true),
	} {
		base := NewPass(series)
		for range 3 {
			for _, needs := range []Needs{{}, {IDs: true}} {
				p, ok := base.For(needs)
				require.True(t, ok)
				assert.Same(t, p.places(), p.places())
				p.placesWithIDs()
			}
		}
		assert.Len(t, base.shared.series, want)
	}
}

// TestAPassBuiltByHand has no more than what a detector needs.
func TestAPassBuiltByHand(t *testing.T) {
	stack := goroutine.NewStack([]goroutine.Frame{{Function: "main.f"}})
	s := snapshots(true)[0]
	s.Total = 1
	s.Groups = []goroutine.Group{{Stack: stack, State: goroutine.ChanSendNil, Count: 1}}
	found := 0
	p := &Pass{Snapshot: s, Started: s.Time, Ask: func(goroutine.Source) bool { return false }, Report: func(Finding) { found++ }}
	p.Exclude(nil)
	for _, d := range Default() {
		require.NoError(t, d.Run(p))
	}
	assert.Equal(t, 1, found)
	assert.Len(t, p.shared.series, 1)
}
