// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/goroutine"
)

func TestFinish(t *testing.T) {
	s := &goroutine.Snapshot{Epochs: []goroutine.Epoch{{LastID: 1 << 40}}}
	for i := range MaxGroups + 100 {
		g := goroutine.Group{Stack: goroutine.NewStack([]goroutine.Frame{{Function: "main.f", Line: i}}), State: goroutine.Select}
		if i%2 == 0 {
			g.State = goroutine.IOWait
		}
		g.Add(1+i%3, []uint64{uint64(i)}, []goroutine.Cohort{{Count: 1 + i%3}})
		s.Groups = append(s.Groups, g)
	}
	rest := goroutine.Group{Stack: other, State: goroutine.Select}
	rest.Add(1_000_000, []uint64{1 << 30}, []goroutine.Cohort{{Count: 1_000_000}})
	s.Groups = append(s.Groups, rest, goroutine.Group{Stack: other, State: goroutine.IOWait, Count: 1, Births: []goroutine.Cohort{{Count: 1}}})
	want, states := 0, s.States()
	for _, n := range states {
		want += n
	}
	finish(s)
	requireSane(t, s)
	assert.Equal(t, want, s.Total)
	assert.Equal(t, states, s.States())
	assert.Len(t, s.Groups, MaxGroups+2)
	assert.Equal(t, other, s.Groups[0].Stack, "largest first")
	others := 0
	for _, g := range s.Groups {
		if g.Stack == other {
			others++
		}
	}
	assert.Equal(t, 2, others, "one for each state")
}

// A snapshot that is kept takes no more memory than it needs.
func TestSnapshotsHaveNoRoomToSpare(t *testing.T) {
	s := &goroutine.Snapshot{Groups: make([]goroutine.Group, 0, 64)}
	for i := range 37 {
		g := goroutine.Group{Stack: goroutine.NewStack([]goroutine.Frame{{Function: "main.f", Line: i}})}
		g.Add(1, []uint64{uint64(i)}, []goroutine.Cohort{{Count: 1}})
		assert.Equal(t, 1, cap(g.IDs))
		assert.Equal(t, 1, cap(g.Births))
		s.Groups = append(s.Groups, g)
	}
	finish(s)
	assert.Len(t, s.Groups, 37)
	assert.LessOrEqual(t, cap(s.Groups), 37*9/8)
}

func TestWhatIsBlockedForeverIsNotSummedUp(t *testing.T) {
	crowd := func(state goroutine.State, groups, count int) *goroutine.Snapshot {
		s := &goroutine.Snapshot{}
		for i := range groups {
			s.Groups = append(s.Groups, goroutine.Group{Stack: goroutine.NewStack([]goroutine.Frame{{Function: "main.f", Line: i}}), State: state, Count: count})
		}
		return s
	}
	s := crowd(goroutine.Select, MaxGroups, 2)
	s.Groups = append(s.Groups, crowd(goroutine.ChanReceiveNil, 3, 1).Groups...)
	finish(s)
	assert.Len(t, s.Groups, MaxGroups+1)
	assert.Equal(t, goroutine.Group{Stack: other, State: goroutine.Select, Count: 6}, s.Groups[0])
	assert.Equal(t, 3, s.States()[goroutine.ChanReceiveNil])
	assert.Equal(t, 2*MaxGroups+3, s.Total)

	s = crowd(goroutine.SelectNoCases, MaxGroups+5, 1)
	finish(s)
	assert.Len(t, s.Groups, MaxGroups+1, "there is a limit for them too")
	assert.Equal(t, MaxGroups+5, s.Total)
}
