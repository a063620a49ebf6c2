// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func minutes(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }

func TestEpochAt(t *testing.T) {
	s := &Snapshot{Epochs: []Epoch{{10, minutes(0)}, {20, minutes(5)}, {30, minutes(5)}, {40, minutes(9)}}}
	for _, c := range []struct {
		at   time.Time
		want int
	}{
		{minutes(-1), -1}, {minutes(0).Add(-1), -1}, {minutes(0), 0}, {minutes(4), 0},
		{minutes(5).Add(-1), 0}, {minutes(5), 2}, {minutes(8), 2}, {minutes(9), 3}, {minutes(1000), 3}, {time.Time{}, -1},
	} {
		assert.Equal(t, c.want, s.EpochAt(c.at), c.at)
	}
	assert.Equal(t, -1, (&Snapshot{}).EpochAt(noon))
}

func TestBornBy(t *testing.T) {
	s := &Snapshot{Epochs: []Epoch{{10, minutes(0)}, {20, minutes(5)}, {30, minutes(9)}}}
	g := &Group{Count: 7, Births: []Cohort{{0, 3, 100}, {2, 4, 1000}}}
	for _, c := range []struct {
		last   uint64
		count  int
		digest uint64
	}{{0, 0, 0}, {9, 0, 0}, {10, 3, 100}, {20, 3, 100}, {29, 3, 100}, {30, 7, 1100}, {1 << 63, 7, 1100}} {
		count, digest := s.BornBy(g, c.last)
		assert.Equal(t, c.count, count, "by %d", c.last)
		assert.Equal(t, c.digest, digest, "by %d", c.last)
	}
	count, _ := s.BornBy(&Group{Count: 3}, 100)
	assert.Zero(t, count, "a group without births")
	count, _ = (&Snapshot{}).BornBy(g, 100)
	assert.Zero(t, count, "a snapshot without epochs")
}

func TestOldest(t *testing.T) {
	s := &Snapshot{Time: minutes(9), Epochs: []Epoch{{10, minutes(0)}, {20, minutes(5)}, {30, minutes(9)}}}
	born, ok := s.Oldest(&Group{Births: []Cohort{{Epoch: 1}}})
	assert.True(t, ok)
	assert.Equal(t, minutes(5), born)
	_, ok = s.Oldest(&Group{})
	assert.False(t, ok)
	_, ok = s.Oldest(&Group{Births: []Cohort{{Epoch: 2}}})
	assert.False(t, ok, "born since the snapshot before, or, in the first one, at any time")
	s.Time = minutes(4)
	_, ok = s.Oldest(&Group{Births: []Cohort{{Epoch: 1}}})
	assert.False(t, ok, "the clock was set back")
	_, ok = s.Oldest(&Group{Births: []Cohort{{Epoch: 3}}})
	assert.False(t, ok, "an epoch that is not there")
}

// variants returns groups of which no two are the same.
func variants() []Group {
	var groups []Group
	for _, stack := range []*Stack{NewStack(nil), NewStack(frames("main.f")), NewStack([]Frame{{"main.f", "a.go", 9}}), NewStack(frames("main.g"))} {
		for _, state := range []State{Running, Select} {
			for _, labels := range [][]Label{nil, {{"k", "v"}}, {{"k", "w"}}, {{"k", "v"}, {"l", ""}}} {
				for _, lock := range []uint64{0, 1} {
					for _, by := range []Frame{{}, {"main.a", "a.go", 1}, {"main.a", "a.go", 2}} {
						groups = append(groups, Group{Stack: stack, State: state, Count: 1 + len(labels), Labels: labels, Lock: lock, CreatedBy: by})
					}
				}
			}
		}
	}
	return groups
}

// TestSortIsDeterministic shuffles: whatever the order was, it becomes one.
func TestSortIsDeterministic(t *testing.T) {
	want := &Snapshot{Groups: variants()}
	want.Sort()
	for i := 1; i < len(want.Groups); i++ {
		require.GreaterOrEqual(t, want.Groups[i-1].Count, want.Groups[i].Count)
	}
	for range 20 {
		s := &Snapshot{Groups: variants()}
		rand.Shuffle(len(s.Groups), func(i, j int) { s.Groups[i], s.Groups[j] = s.Groups[j], s.Groups[i] })
		s.Sort()
		require.Equal(t, fmt.Sprint(describe(want)), fmt.Sprint(describe(s)))
	}
}

func describe(s *Snapshot) []string {
	var all []string
	for _, g := range s.Groups {
		all = append(all, fmt.Sprint(g.Count, g.Stack.ID, g.Stack.Frames, g.State, g.Labels, g.Lock, g.CreatedBy))
	}
	return all
}

func TestStatesAddUp(t *testing.T) {
	s := &Snapshot{Groups: variants()}
	for _, g := range s.Groups {
		s.Total += g.Count
	}
	sum := 0
	for _, n := range s.States() {
		sum += n
	}
	assert.Equal(t, s.Total, sum)
	assert.Len(t, s.States(), 2)
	assert.Empty(t, (&Snapshot{}).States())
}

func TestKey(t *testing.T) {
	key := func(line int, state State) GroupKey {
		return (&Group{Stack: NewStack([]Frame{{"runtime.gopark", "p.go", 1}, {"main.f", "f.go", line}}), State: state}).Key()
	}
	assert.Equal(t, key(7, Select), key(7, Select))
	assert.NotEqual(t, key(7, Select), key(8, Select), "another line")
	assert.NotEqual(t, key(7, Select), key(7, ChanSend), "another state")
}

// TestDigestID checks what the sums rely on: different sets of the same size
// and sum of IDs have different digests.
func TestDigestID(t *testing.T) {
	assert.NotEqual(t, DigestID(1)+DigestID(4), DigestID(2)+DigestID(3))
	seen := make(map[uint64]bool)
	for id := range uint64(10_000) {
		require.False(t, seen[DigestID(id)], id)
		seen[DigestID(id)] = true
	}
}

func TestHasIDs(t *testing.T) {
	assert.False(t, (&Snapshot{}).HasIDs())
	assert.True(t, (&Snapshot{Epochs: []Epoch{{1, noon}}}).HasIDs())
}

func TestSampleIDs(t *testing.T) {
	var all []uint64
	for id := range uint64(1000) {
		all = append(all, id)
	}
	sample := SampleIDs(nil, all...)
	assert.Len(t, sample, MaxSample)
	slices.Reverse(all)
	assert.Equal(t, sample, SampleIDs(SampleIDs(nil, all[:500]...), all...), "whatever the order, and how often")
	var sum uint64
	for _, id := range sample {
		sum += id
	}
	assert.InDelta(t, 500, sum/MaxSample, 250, "not the lowest nor the highest")
}
