// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package places_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

var (
	atRead = detectortest.At(goroutine.ChanReceive, "main.read:1", "main.serve")
	atSend = detectortest.At(goroutine.ChanSend, "main.send:2", "main.serve")
	atLine = detectortest.At(goroutine.ChanSend, "main.send:3", "main.serve")
	atVia  = detectortest.At(goroutine.ChanSend, "main.send:2", "main.via", "main.serve")
	atLock = detectortest.At(goroutine.MutexLock, "main.lock:4", "main.work")
	all    = []detectortest.Place{atRead, atSend, atLine, atVia, atLock}
)

func locked(lock uint64) detectortest.Place {
	at := atLock
	at.Lock = lock
	return at
}

// of returns the series of snapshots, and its only place at a line.
func of(t *testing.T, snapshots []*goroutine.Snapshot, by places.Grouping, at detectortest.Place) (*places.Series, *places.Place) {
	t.Helper()
	last := len(snapshots) - 1
	s := places.New(snapshots[:last], snapshots[last])
	i := slices.IndexFunc(s.Places(by), func(p *places.Place) bool { return p.Stack == at.Stack && p.Lock == at.Lock })
	require.GreaterOrEqual(t, i, 0)
	return s, s.Places(by)[i]
}

// A truth is which goroutines really were at which stack, snapshot by snapshot.
type truth []map[*goroutine.Stack]map[uint64]bool

func (tr truth) without(at *goroutine.Stack, in, notIn int) (n int) {
	for id := range tr[in][at] {
		if !tr[notIn][at][id] {
			n++
		}
	}
	return n
}

// random makes a series of a process in which goroutines are born, move and
// exit at random; rarely, in calm times.
func random(seed uint64, n int) ([]*goroutine.Snapshot, truth) {
	r := rand.New(rand.NewPCG(seed, 1))
	p := detectortest.NewProcess(1 + int(seed)%4)
	at := make(map[uint64]*goroutine.Stack)
	var tr truth
	born := func() {
		to := all[r.IntN(len(all))]
		for _, id := range p.Go(to, 1+r.IntN(8)) {
			at[id] = to.Stack
		}
	}
	for _, to := range all {
		for _, id := range p.Go(to, 3) {
			at[id] = to.Stack
		}
	}
	series := detectortest.Series(p, n, 30*time.Second, func(int) {
		calm := r.IntN(3) > 0
		for _, id := range slices.Sorted(maps.Keys(at)) {
			switch k := r.IntN(100); {
			case calm && k < 99:
			case k < 5:
				p.Exit(id)
				delete(at, id)
			case k < 10:
				to := all[r.IntN(len(all))]
				p.Move(to, id)
				at[id] = to.Stack
			}
		}
		if !calm || r.IntN(2) == 0 {
			born()
		}
		now := make(map[*goroutine.Stack]map[uint64]bool)
		for id, s := range at {
			if now[s] == nil {
				now[s] = make(map[uint64]bool)
			}
			now[s][id] = true
		}
		tr = append(tr, now)
	})
	return series, tr
}

// TestAgainstTheTruth compares what a series says with what happened: it may
// know less, and never says what is not so.
func TestAgainstTheTruth(t *testing.T) {
	var steps, unseen int
	for seed := range uint64(60) {
		series, tr := random(seed, 3+int(seed)%36)
		s := places.New(series[:len(series)-1], series[len(series)-1])
		for _, p := range s.Places(places.ByStack) {
			for i := range series {
				require.Equal(t, len(tr[i][p.Stack]), p.Count(i), "seed %d, snapshot %d", seed, i)
				ids, complete := p.IDs(i)
				require.True(t, slices.Equal(slices.Sorted(maps.Keys(tr[i][p.Stack]))[:len(ids)], ids))
				require.Equal(t, len(ids) == p.Count(i), complete)
			}
			for i := range s.Last() {
				left, joined := tr.without(p.Stack, i, i+1), tr.without(p.Stack, i+1, i)
				steps++
				if p.Left(i) {
					require.Positive(t, left, "seed %d, snapshot %d", seed, i)
				} else if left > 0 {
					require.Positive(t, joined, "seed %d, snapshot %d: only where others joined can one be missed", seed, i)
					unseen++
				}
				if p.Joined(i) {
					require.Positive(t, joined, "seed %d, snapshot %d", seed, i)
				} else if joined > 0 {
					require.Positive(t, left)
				}
			}
			since := p.StoodSince()
			if since < s.Last() {
				assert.False(t, p.LeftSince(since))
				left, _ := p.Moves(since, s.Last())
				assert.Zero(t, left)
			}
			if since > 0 && p.Count(since-1) > 0 {
				assert.True(t, p.Left(since-1))
			}
			standing(t, s, p, tr)
		}
	}
	assert.Less(t, unseen, steps/10, "of %d steps", steps)
}

// standing holds what is said about goroutines that have stood to the truth.
func standing(t *testing.T, s *places.Series, p *places.Place, tr truth) {
	for _, age := range []time.Duration{time.Minute, 3 * time.Minute} {
		st := p.StandingFor(age, 0)
		before := s.Before(age)
		sum := 0
		for i, n := range st.Counts {
			require.GreaterOrEqual(t, n, 0)
			require.LessOrEqual(t, n, p.Count(i))
			sum += n
			if b := before[i]; b >= 0 && !p.LeftSince(0) {
				require.Equal(t, p.Count(b), n, "where none leaves, all that were there stand")
			}
		}
		require.Equal(t, sum, st.Stood)
		require.GreaterOrEqual(t, st.Gone(), 0)
		ids, _ := p.IDs(s.Last())
		stands := 0
		for _, id := range ids {
			if st.Stands(id) {
				stands++
			}
		}
		require.True(t, st.Counts[s.Last()] > 0 || stands == 0)
		require.LessOrEqual(t, st.BornAfter(s.Time(0)), st.Counts[s.Last()])
		require.Equal(t, st.Counts[s.Last()], st.BornAfter(time.Time{}))
		if p.AnyStoodSince(s.Last()) {
			require.Positive(t, p.Now())
		}
	}
}

// TestTheOrderOfQuestions asks two series of the same snapshots in different
// orders: what is kept between questions must not change an answer.
func TestTheOrderOfQuestions(t *testing.T) {
	type answers struct {
		left, joined bool
		stood, gone  int
		counts       []int
		any          bool
	}
	for seed := range uint64(20) {
		series, _ := random(seed, 30)
		ask := func(order func(n int) []int) map[string]answers {
			s := places.New(series[:29], series[29])
			got := make(map[string]answers)
			ps := s.Places(places.ByStack)
			for _, i := range order(29) {
				for _, k := range order(len(ps)) {
					st := ps[k].StandingFor(2*time.Minute, i/2)
					got[fmt.Sprint(ps[k].Key, i)] = answers{
						ps[k].Left(i), ps[k].Joined(i), ps[k].StoodSince(), st.Gone(), st.Counts, ps[k].AnyStoodSince(i),
					}
				}
			}
			return got
		}
		forth := ask(func(n int) []int { return rand.New(rand.NewPCG(seed, 2)).Perm(n) })
		back := ask(func(n int) []int { return rand.New(rand.NewPCG(seed, 3)).Perm(n) })
		require.Equal(t, forth, back, "seed %d", seed)
	}
}

// TestGroupingsAgree: every goroutine is at one place of each grouping.
func TestGroupingsAgree(t *testing.T) {
	series, _ := random(7, 20)
	s := places.New(series[:19], series[19])
	for by, want := range map[places.Grouping]int{places.ByStack: 5, places.ByLock: 5, places.ByEnds: 4} {
		assert.Len(t, s.Places(by), want)
		for i := range series {
			n := 0
			for _, p := range s.Places(by) {
				n += p.Count(i)
			}
			assert.Equal(t, series[i].Total, n)
		}
	}
}

func TestByEnds(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(atSend, 2)
	via := p.Go(atVia, 3)
	p.Go(atLine, 4)
	series := detectortest.Series(p, 3, time.Minute, func(i int) {
		if i == 2 {
			p.Exit(via[0])
		}
	})
	s, ways := of(t, series, places.ByEnds, atSend)
	assert.Equal(t, 2, ways.Stacks())
	assert.Equal(t, []int{5, 5, 4}, []int{ways.Count(0), ways.Count(1), ways.Now()})
	assert.False(t, ways.Left(0))
	assert.True(t, ways.Left(1), "on whichever way")
	assert.True(t, ways.SameEnds(atVia.Stack, goroutine.ChanSend))
	assert.False(t, ways.SameEnds(atVia.Stack, goroutine.ChanReceive))
	assert.False(t, ways.SameEnds(atLock.Stack, goroutine.ChanSend))
	assert.Equal(t, "main.serve", ways.Entry())
	assert.Len(t, s.Places(places.ByEnds), 2, "another line is another place")
}

func TestByLock(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Source = goroutine.SourceText
	p.Go(locked(0xa0), 3)
	p.Go(locked(0xb0), 2)
	at := atSend
	at.CreatedBy = goroutine.Frame{Function: "main.main"}
	p.Go(at, 1)
	series := detectortest.Series(p, 3, time.Minute, nil)
	s, lock := of(t, series, places.ByLock, locked(0xb0))
	assert.Equal(t, 2, lock.Now())
	assert.Equal(t, uint64(0xb0), lock.Lock)
	assert.Equal(t, 3*time.Minute, lock.LongestWait(2))
	assert.Equal(t, places.ByLock, s.Locks(0))
	_, both := of(t, series, places.ByStack, atLock)
	assert.Equal(t, 5, both.Now())
	_, sender := of(t, series, places.ByStack, atSend)
	assert.Equal(t, "main.main", sender.CreatedBy().Function)

	p.Source = goroutine.SourceTrace
	series = append(series, detectortest.Series(p, 1, time.Minute, nil)...)
	s, _ = of(t, series, places.ByStack, atSend)
	assert.Equal(t, places.ByStack, s.Locks(0))
	assert.Equal(t, places.ByStack, s.Locks(3), "a trace has no addresses")
}

func TestWhatHappenedAtAPlace(t *testing.T) {
	p := detectortest.NewProcess(1)
	ids := p.Go(atSend, 4)
	series := detectortest.Series(p, 8, time.Minute, func(i int) {
		switch i {
		case 3:
			p.Move(atRead, ids[0])
			p.Go(atSend, 2)
		case 5:
			p.Go(atSend, 3)
		}
	})
	s, at := of(t, series, places.ByStack, atSend)
	left, joined := at.Moves(0, s.Last())
	assert.Equal(t, []int{1, 2}, []int{left, joined})
	left, joined = at.Moves(3, 5)
	assert.Equal(t, []int{0, 1}, []int{left, joined})
	assert.True(t, at.Left(2))
	assert.Equal(t, 3, at.StoodSince())
	assert.Equal(t, 5, at.HeldSince(8))
	assert.Equal(t, 8, at.HeldSince(9))
	low, high := at.Between(3)
	assert.Equal(t, []int{5, 8}, []int{low, high})
	assert.Equal(t, 3, at.Born(s.Newest().EpochAt(s.Time(4)), len(s.Newest().Epochs)))
	born, ok := at.Oldest()
	assert.True(t, ok)
	assert.Equal(t, series[0].Time, born)
	assert.True(t, at.AnyStoodSince(4))
	assert.Equal(t, []uint64{ids[1]}, at.Woken(map[goroutine.GroupKey][]uint64{at.Key: {ids[1]}, {State: goroutine.Select}: {ids[2]}}))
	assert.Equal(t, []int{4, 9}, []int{s.StartedWith("main.serve", 0), s.StartedWith("main.serve", 7)})

	st := at.StandingFor(2*time.Minute, 3)
	assert.Equal(t, []int{0, 0, 0, 0, 0, 5, 5, 8}, st.Counts)
	assert.True(t, st.Unchanged(ids[1], 3))
	assert.False(t, st.Unchanged(ids[1], 2), "one of its epoch has left since")
	assert.False(t, st.YoungerThan(s.Time(4), ids[1]))
	assert.True(t, st.YoungerThan(s.Time(4), 9))
	assert.False(t, st.YoungerThan(s.Time(4), 1000), "an ID that is not known yet")
	assert.False(t, st.Stands(1000))
	assert.Equal(t, 3, st.BornAfter(s.Time(4)))
	assert.Equal(t, 1, at.StandingFor(2*time.Minute, 0).Gone())
}

func TestTimes(t *testing.T) {
	at := func(sec ...int) (all []*goroutine.Snapshot) {
		for _, s := range sec {
			all = append(all, &goroutine.Snapshot{Time: time.Unix(int64(s), 0)})
		}
		return all
	}
	few := at(10, 20, 30)
	s := places.New(few[:2], few[2])
	for sec, want := range map[int]int{9: -1, 10: 0, 19: 0, 20: 1, 35: 2} {
		assert.Equal(t, want, s.At(time.Unix(int64(sec), 0)), "%d", sec)
	}
	assert.Equal(t, 1, s.From(time.Unix(20, 0)))
	assert.Equal(t, 3, s.From(time.Unix(31, 0)))
	assert.Equal(t, []int{-1, 0, 1}, s.Before(10*time.Second))
	assert.Equal(t, []int{-1, -1, 0}, s.Before(11*time.Second))
	assert.Equal(t, 20*time.Second, s.Ago(0))
	assert.Equal(t, 0, s.Back(time.Second), "all of so few")
	assert.Equal(t, 1, s.Begin(time.Second, 2))
	assert.Equal(t, 0, s.Begin(time.Second, 3))
	assert.Equal(t, -1, s.Begin(time.Second, 4))
	assert.Equal(t, -1, s.Begin(time.Minute, 2))
	assert.True(t, s.Of(few[:2], few[2]))
	assert.False(t, s.Of(few[1:2], few[2]))
	assert.False(t, s.Of(few[:2], few[1]))

	many := at(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	s = places.New(many[:11], many[11])
	assert.Equal(t, 4, s.Back(time.Second), "eight are never thinned out")
	assert.Equal(t, 1, s.Back(10*time.Second))
	assert.Equal(t, 0, s.Back(time.Hour))
}

func TestWithIDs(t *testing.T) {
	with, without := &goroutine.Snapshot{Epochs: make([]goroutine.Epoch, 1)}, &goroutine.Snapshot{}
	mixed := []*goroutine.Snapshot{with, without, with}
	assert.Equal(t, []*goroutine.Snapshot{with, with}, places.WithIDs(mixed))
	assert.Equal(t, []*goroutine.Snapshot{with, without, with}, mixed)
	assert.Empty(t, places.WithIDs([]*goroutine.Snapshot{without}))
}

// TestStrangeSnapshots: saved files may hold anything.
func TestStrangeSnapshots(t *testing.T) {
	stack := goroutine.NewStack([]goroutine.Frame{{Function: "main.f"}})
	snapshot := func(births ...goroutine.Cohort) *goroutine.Snapshot {
		return &goroutine.Snapshot{
			Epochs: []goroutine.Epoch{{LastID: 10}, {LastID: 20}},
			Groups: []goroutine.Group{
				{Stack: stack, State: goroutine.MutexLock, Count: 3, Births: births},
				{Stack: &goroutine.Stack{ID: goroutine.OtherStacks}, State: goroutine.MutexLock, Count: 9},
			},
		}
	}
	history := []*goroutine.Snapshot{
		snapshot(goroutine.Cohort{Epoch: 7, Count: 3}),
		snapshot(goroutine.Cohort{Epoch: -1, Count: 3}),
		snapshot(goroutine.Cohort{Epoch: 1, Count: 1, Digest: 5}, goroutine.Cohort{Epoch: 0, Count: 2, Digest: 6}),
	}
	s := places.New(history, snapshot())
	require.Len(t, s.Places(places.ByStack), 1, "what was summed up has no place")
	p := s.Places(places.ByStack)[0]
	assert.False(t, p.Left(0), "of what no epoch is known")
	assert.True(t, p.Joined(1))
	assert.True(t, p.Left(2))
	assert.Equal(t, 3, p.Count(1))
	assert.False(t, p.AnyStoodSince(0))
	p.StandingFor(0, 0)
	s = places.New(history, &goroutine.Snapshot{Groups: snapshot().Groups})
	assert.False(t, s.Places(places.ByStack)[0].LeftSince(0), "without epochs nothing is known")
	assert.Empty(t, places.New(nil, &goroutine.Snapshot{}).Places(places.ByEnds))
}

// TestTimeThatAProcessHad leaves out pauses, told or not.
func TestTimeThatAProcessHad(t *testing.T) {
	var all []*goroutine.Snapshot
	for _, sec := range []int{0, 15, 30, 3630, 3645, 3660} {
		all = append(all, &goroutine.Snapshot{Time: time.Unix(int64(sec), 0)})
	}
	s := places.New(all[:5], all[5])
	assert.Equal(t, 90*time.Second, s.Running(0, 30*time.Second), "an hour is one gap")
	assert.Equal(t, 60*time.Second, s.Running(2, 30*time.Second))
	assert.Equal(t, 2, s.BeginRunning(time.Minute, 4, 30*time.Second))
	assert.Equal(t, 1, s.BeginRunning(time.Minute, 5, 30*time.Second))
	assert.Equal(t, -1, s.BeginRunning(2*time.Minute, 2, 30*time.Second))
	all[3].Late = time.Hour - 5*time.Second
	assert.Equal(t, 35*time.Second, s.Running(2, 30*time.Second))
	all[3].Late = 2 * time.Hour
	assert.Equal(t, 30*time.Second, s.Running(2, 30*time.Second), "never less than nothing")
}

// TestGoroutinesThatCameAndWent are seen in the IDs of others.
func TestGoroutinesThatCameAndWent(t *testing.T) {
	p := detectortest.NewProcess(1)
	series := detectortest.Series(p, 4, time.Minute, func(i int) {
		p.Exit(p.Go(atRead, 100*i)...)
		p.Go(atSend, 5)
	})
	s := places.New(series[:3], series[3])
	born, gone, ok := s.CameAndWent(1, 2)
	assert.Equal(t, []any{205, 200, true}, []any{born, gone, ok})
	born, gone, ok = s.CameAndWent(0, 3)
	assert.Equal(t, []any{615, 600, true}, []any{born, gone, ok})
	series[3].Epochs = series[3].Epochs[2:] // merged
	_, _, ok = s.CameAndWent(0, 3)
	assert.False(t, ok)
}

// TestWhereTheyUsedToBe follows the goroutines of a place, apart from others with
// the same entry function.
func TestWhereTheyUsedToBe(t *testing.T) {
	run := func(state goroutine.State, frame string) detectortest.Place {
		return detectortest.At(state, "runtime.gopark", frame, "main.pool", "sync.(*WaitGroup).Go.func1", "runtime.goexit")
	}
	idle, job := run(goroutine.ChanReceive, "main.next:1"), run(goroutine.IOWait, "main.do:2")
	p := detectortest.NewProcess(1)
	workers := p.Go(idle, 3)
	janitor := detectortest.At(goroutine.Select, "runtime.gopark", "main.janitor:4", "sync.(*WaitGroup).Go.func1", "runtime.goexit")
	p.Go(janitor, 2)
	series := detectortest.Series(p, 6, time.Minute, func(i int) {
		switch i {
		case 2:
			p.Move(job, workers[0])
		case 3:
			p.Move(idle, workers[0])
		case 4:
			p.Move(job, workers...)
		}
	})
	s, at := of(t, series, places.ByStack, job)
	assert.Equal(t, "main.pool", at.Starter())
	assert.Equal(t, 3, s.StartedWith("main.pool", 5))
	assert.Equal(t, 5, s.StartedWith("sync.(*WaitGroup).Go.func1", 5))
	usual, share := at.Usual(4)
	assert.Equal(t, goroutine.ChanReceive, usual.State)
	assert.InDelta(t, 11.0/12, share, 1e-9)
	assert.InDelta(t, 1.0/12, at.Was(4, func(g *goroutine.Group) bool { return g.State == goroutine.IOWait }), 1e-9)
	assert.InDelta(t, 1.0/12, at.Share(4), 1e-9)
	assert.True(t, at.Stood(4))
	assert.False(t, at.Stood(3))
	assert.Equal(t, 4, at.StoodSince())
	assert.False(t, at.Unchanged())
	_, other := of(t, series, places.ByStack, janitor)
	assert.True(t, other.Unchanged())
	assert.Equal(t, 0, other.StoodSince())
}

func TestBirthsOfThoseThatAreHereAndThatWere(t *testing.T) {
	at := detectortest.At(goroutine.IOWait, "main.read")
	p := detectortest.NewProcess(1)
	var first []uint64
	snapshots := detectortest.Series(p, 4, time.Minute, func(i int) {
		switch i {
		case 0:
			first = p.Go(at, 3)
		case 1:
			p.Go(at, 20) // more than are listed
		case 2:
			p.Exit(first[:2]...)
		}
	})
	_, pl := of(t, snapshots, places.ByStack, at)
	now, most := pl.Births()
	assert.Equal(t, []int{1, 20}, now[:2])
	assert.Equal(t, []int{3, 20}, most[:2])
}

// TestLatelyCountsThoseElsewhere has ten goroutines of which some are away in each
// snapshot, and all but one in the newest.
func TestLatelyCountsThoseElsewhere(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(atSend, 3)
	var series []*goroutine.Snapshot
	ids := p.Go(atRead, 10)
	for i := range 12 {
		p.Advance(time.Second)
		away := ids[i%10]
		p.Move(atSend, away)
		if i == 11 {
			for _, id := range ids[1:] {
				p.Move(atSend, id)
			}
		}
		series = append(series, p.Snapshot())
		p.Move(atRead, ids...)
	}
	s, at := of(t, series, places.ByStack, atRead)
	all := len(s.Newest().Epochs)
	assert.Equal(t, 1, at.Born(-1, all))
	assert.Equal(t, 9, at.Lately(-1, all), "one is away in each")
	assert.Zero(t, at.Lately(s.Newest().EpochAt(s.Time(2)), all), "born before")
}
