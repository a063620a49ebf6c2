package parse

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// snapshotOf takes a snapshot of living goroutines in one group.
func snapshotOf(b *Births, living []uint64, last uint64, at time.Time) *goroutine.Snapshot {
	g := goroutine.Group{Stack: goroutine.NewStack(nil), State: goroutine.Select}
	for _, id := range living {
		addTo(&g, 1, []uint64{id}, []goroutine.Cohort{{Epoch: b.index(id), Count: 1, Digest: goroutine.DigestID(id)}})
	}
	return &goroutine.Snapshot{Time: at, Groups: []goroutine.Group{g}, Total: g.Count, Epochs: b.close(last, at)}
}

// Over a day of snapshots with goroutines coming and going: at most MaxEpochs
// boundaries, and each of them divides every snapshot since it was drawn into
// exactly those born before and after.
func TestBirthsDivideEverySnapshotSince(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	b := new(Births)
	var living []uint64
	var kept []*goroutine.Snapshot
	keptIDs := make(map[*goroutine.Snapshot][]uint64)
	last := uint64(0)
	for step := range 24 * 60 {
		at := traceTime.Add(time.Duration(step) * time.Minute)
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
		require.LessOrEqual(t, len(s.Epochs), goroutine.MaxEpochs)
		requireSane(t, s)
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
			digest += goroutine.DigestID(id)
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
		at := traceTime.Add(time.Duration(step) * interval)
		epochs := b.close(uint64(step+1), at)
		if step%1009 != 1008 {
			continue
		}
		for id := 1; id <= step; id += 1 + step/100 {
			true_ := at.Sub(traceTime.Add(time.Duration(id-1) * interval))
			i := (&Births{epochs}).index(uint64(id))
			known := at.Sub(epochs[i].End)
			require.LessOrEqual(t, known, true_)
			require.GreaterOrEqual(t, float64(known), 0.5*float64(true_)-float64(2*interval), "true age %v, known %v after %v", true_, known, at.Sub(traceTime))
		}
	}
}

func TestBirthsClose(t *testing.T) {
	at := func(s int) time.Time { return traceTime.Add(time.Duration(s) * time.Second) }
	b := new(Births)
	assert.Equal(t, 0, b.index(1))
	assert.Equal(t, []goroutine.Epoch{{LastID: 10, End: at(0)}}, b.close(10, at(0)))
	assert.Equal(t, 0, b.index(10))
	assert.Equal(t, 1, b.index(11))
	assert.Len(t, b.close(10, at(1)), 1, "nothing was born")
	assert.Len(t, b.close(7, at(2)), 1, "an older trace")
	assert.Equal(t, []goroutine.Epoch{{LastID: 10, End: at(0)}, {LastID: 12, End: at(0)}}, b.close(12, at(-60)), "the clock was set back")

	before := b.peek(12, at(9))
	assert.Len(t, b.peek(1<<60, at(9)), 3)
	assert.Equal(t, before, b.peek(12, at(9)), "peek must not change anything")

	epochs := b.close(20, at(10))
	epochs[0].LastID = 999
	assert.Equal(t, uint64(10), b.close(20, at(11))[0].LastID, "epochs belong to their snapshot")
}

func TestAddTo(t *testing.T) {
	var g goroutine.Group
	addTo(&g, 2, []uint64{5, 9}, []goroutine.Cohort{{Epoch: 1, Count: 2, Digest: 7}})
	addTo(&g, 3, []uint64{1, 7, 8}, []goroutine.Cohort{{Epoch: 0, Count: 1, Digest: 1}, {Epoch: 1, Count: 1, Digest: 2}, {Epoch: 3, Count: 1, Digest: 3}})
	addTo(&g, 6, []uint64{20, 21, 22, 23, 24, 2}, []goroutine.Cohort{{Epoch: 2, Count: 6, Digest: 4}})
	assert.Equal(t, 11, g.Count)
	assert.Equal(t, []uint64{1, 2, 5, 7, 8, 9, 20, 21, 22, 23}, g.IDs)
	assert.Equal(t, []goroutine.Cohort{{Epoch: 0, Count: 1, Digest: 1}, {Epoch: 1, Count: 3, Digest: 9}, {Epoch: 2, Count: 6, Digest: 4}, {Epoch: 3, Count: 1, Digest: 3}}, g.Births)
}

func TestFinish(t *testing.T) {
	s := &goroutine.Snapshot{Epochs: []goroutine.Epoch{{LastID: 1 << 40}}}
	for i := range MaxGroups + 100 {
		g := goroutine.Group{Stack: goroutine.NewStack([]goroutine.Frame{{Function: "main.f", Line: i}}), State: goroutine.Select}
		if i%2 == 0 {
			g.State = goroutine.IOWait
		}
		addTo(&g, 1+i%3, []uint64{uint64(i)}, []goroutine.Cohort{{Count: 1 + i%3}})
		s.Groups = append(s.Groups, g)
	}
	rest := goroutine.Group{Stack: other, State: goroutine.Select}
	addTo(&rest, 1_000_000, []uint64{1 << 30}, []goroutine.Cohort{{Count: 1_000_000}})
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
