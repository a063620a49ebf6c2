// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutine

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// snapshotOf takes a snapshot of living goroutines in one group.
func snapshotOf(b *Births, living []uint64, last uint64, at time.Time) *Snapshot {
	g := Group{Stack: NewStack(nil), State: Select}
	for _, id := range living {
		g.Add(1, []uint64{id}, []Cohort{b.Cohort(id)})
	}
	return &Snapshot{Time: at, Groups: []Group{g}, Total: g.Count, Epochs: b.Close(last, at)}
}

// requireCohorts checks that the births of the groups are in order and add up.
func requireCohorts(t *testing.T, s *Snapshot) {
	t.Helper()
	for _, g := range s.Groups {
		born, last := 0, -1
		for _, c := range g.Births {
			require.Greater(t, c.Epoch, last, "cohorts out of order")
			require.Less(t, c.Epoch, len(s.Epochs), "cohort without an epoch")
			last = c.Epoch
			born += c.Count
		}
		require.Equal(t, g.Count, born, "cohorts do not add up")
	}
	for i := 1; i < len(s.Epochs); i++ {
		require.Greater(t, s.Epochs[i].LastID, s.Epochs[i-1].LastID)
		require.False(t, s.Epochs[i].End.Before(s.Epochs[i-1].End), "epochs out of order")
	}
}

// Over a day of snapshots with goroutines coming and going: at most MaxEpochs
// boundaries, and each of them divides every snapshot since it was drawn into
// exactly those born before and after.
func TestBirthsDivideEverySnapshotSince(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	b := new(Births)
	var living []uint64
	var kept []*Snapshot
	keptIDs := make(map[*Snapshot][]uint64)
	last := uint64(0)
	for step := range 24 * 60 {
		at := noon.Add(time.Duration(step) * time.Minute)
		for range random.IntN(20) {
			last += uint64(1 + random.IntN(5))
			living = append(living, last)
		}
		alive := living[:0:0]
		for _, id := range living {
			if random.IntN(50) > 0 {
				alive = append(alive, id)
			}
		}
		living = alive
		s := snapshotOf(b, living, last, at)
		require.LessOrEqual(t, len(s.Epochs), MaxEpochs)
		requireCohorts(t, s)
		if step%60 == 0 {
			kept = append(kept, s)
			keptIDs[s] = living
		}
		if step%97 != 0 {
			continue
		}
		for _, earlier := range kept {
			for _, e := range s.Epochs {
				if e.End.After(earlier.Time) {
					break // drawn later
				}
				count, digest := earlier.BornBy(&earlier.Groups[0], e.LastID)
				wantCount, wantDigest := bornBy(keptIDs[earlier], e.LastID)
				require.Equal(t, wantCount, count)
				require.Equal(t, wantDigest, digest)
			}
		}
	}
}

func bornBy(ids []uint64, last uint64) (count int, digest uint64) {
	for _, id := range ids {
		if id <= last {
			count++
			digest += DigestID(id)
		}
	}
	return count, digest
}

// However long a process runs, the age of a goroutine is known to within a
// fraction of it, and never overestimated.
func TestBirthsKnowAges(t *testing.T) {
	b := new(Births)
	const interval = 15 * time.Second
	for step := range 7 * 24 * 240 { // a week
		at := noon.Add(time.Duration(step) * interval)
		epochs := b.Close(uint64(step+1), at)
		if step%1009 != 1008 {
			continue
		}
		for id := 1; id <= step; id += 1 + step/100 {
			age := at.Sub(noon.Add(time.Duration(id-1) * interval))
			born := (&Births{epochs}).Cohort(uint64(id)).Epoch
			known := at.Sub(epochs[born].End)
			require.LessOrEqual(t, known, age)
			require.GreaterOrEqual(t, float64(known), 0.5*float64(age)-float64(2*interval), "true age %v, known %v after %v", age, known, at.Sub(noon))
		}
	}
}

func TestBirthsClose(t *testing.T) {
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	b := new(Births)
	assert.Equal(t, 0, b.Cohort(1).Epoch)
	assert.Equal(t, []Epoch{{LastID: 10, End: at(0)}}, b.Close(10, at(0)))
	assert.Equal(t, 0, b.Cohort(10).Epoch)
	assert.Equal(t, 1, b.Cohort(11).Epoch)
	assert.Len(t, b.Close(10, at(1)), 1, "nothing was born")
	assert.Len(t, b.Close(7, at(2)), 1, "an older trace")
	assert.Equal(t, []Epoch{{LastID: 10, End: at(0)}, {LastID: 12, End: at(0)}}, b.Close(12, at(-60)), "the clock was set back")

	before := b.Peek(12, at(9))
	assert.Len(t, b.Peek(1<<60, at(9)), 3)
	assert.Equal(t, before, b.Peek(12, at(9)), "peek must not change anything")

	epochs := b.Close(20, at(10))
	epochs[0].LastID = 999
	assert.Equal(t, uint64(10), b.Close(20, at(11))[0].LastID, "epochs belong to their snapshot")
}

func TestGroupAdd(t *testing.T) {
	var g Group
	g.Add(2, []uint64{5, 9}, []Cohort{{Epoch: 1, Count: 2, Digest: 7}})
	g.Add(3, []uint64{1, 7, 8}, []Cohort{{Epoch: 0, Count: 1, Digest: 1}, {Epoch: 1, Count: 1, Digest: 2}, {Epoch: 3, Count: 1, Digest: 3}})
	g.Add(6, []uint64{20, 21, 22, 23, 24, 2}, []Cohort{{Epoch: 2, Count: 6, Digest: 4}})
	assert.Equal(t, 11, g.Count)
	assert.Equal(t, []uint64{1, 2, 5, 7, 8, 9, 20, 21, 22, 23}, g.IDs)
	assert.Equal(t, []Cohort{{Epoch: 0, Count: 1, Digest: 1}, {Epoch: 1, Count: 3, Digest: 9}, {Epoch: 2, Count: 6, Digest: 4}, {Epoch: 3, Count: 1, Digest: 3}}, g.Births)
}

func itself(t time.Time) time.Time { return t }

func TestThin(t *testing.T) {
	series := func(at ...int) []time.Time {
		var times []time.Time
		for _, n := range at {
			times = append(times, minutes(n))
		}
		return times
	}
	for _, c := range []struct {
		name          string
		series        []time.Time
		limit, newest int
		want          []time.Time
	}{
		{"empty", nil, 4, 1, nil},
		{"short enough", series(1, 2, 3), 3, 1, series(1, 2, 3)},
		{"the smallest gap for its age", series(0, 5, 6, 7, 8), 4, 1, series(0, 5, 7, 8)},
		{"the older of two alike", series(0, 4, 8, 10, 12), 4, 1, series(0, 8, 10, 12)},
		{"several", series(0, 1, 2, 3, 4, 5, 6), 4, 1, series(0, 4, 5, 6)},
		{"the newest stay", series(0, 1, 20, 21, 22, 23), 5, 4, series(0, 20, 21, 22, 23)},
		{"the ends stay", series(0, 1, 2), 2, 1, series(0, 2)},
		{"all at one time", series(3, 3, 3, 3), 2, 1, series(3, 3)},
		{"some at the newest time", series(0, 3, 3, 3), 3, 1, series(0, 3, 3)},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, Thin(c.series, c.limit, c.newest, itself))
		})
	}
}

// Thinned again and again, a series reaches back to its beginning with gaps
// that are in proportion to their age.
func TestThinKeepsProportion(t *testing.T) {
	const limit, newest = 36, 8
	var series []time.Time
	for n := range 10_000 {
		series = Thin(append(series, minutes(n)), limit, newest, itself)
		require.LessOrEqual(t, len(series), limit)
		require.Equal(t, minutes(0), series[0])
		for i := 1; i < len(series); i++ {
			gap, age := series[i].Sub(series[i-1]), minutes(n).Sub(series[i-1])
			require.Positive(t, gap)
			if i > len(series)-newest && n >= newest {
				require.Equal(t, time.Minute, gap, "the newest are whole")
			}
			require.LessOrEqual(t, gap.Minutes(), 1+0.5*age.Minutes(), "at %d minutes", n)
		}
	}
}

func TestLowestIDs(t *testing.T) {
	var ids []uint64
	for _, id := range rand.Perm(100) {
		ids = LowestIDs(ids, uint64(id+1), uint64(id+1))
	}
	assert.Equal(t, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, ids)
}
