// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/report"
)

var began = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func stackOf(name string) *goroutine.Stack {
	return goroutine.NewStack([]goroutine.Frame{{Function: "runtime.gopark"}, {Function: "main." + name, File: "/src/main.go", Line: 7}, {Function: "net/http.(*conn).serve", Line: 9}})
}

// A crowd lists, for each stack, how many goroutines were born in each second.
type crowd map[string][]int

// taken returns the snapshot at a second. Goroutines born in second n have IDs
// up to n+1.
func taken(second int, c crowd) *goroutine.Snapshot {
	s := &goroutine.Snapshot{Time: began.Add(time.Duration(second) * time.Second), Source: goroutine.SourceTrace, Duration: 10 * time.Millisecond}
	for n := range second + 1 {
		s.Epochs = append(s.Epochs, goroutine.Epoch{LastID: uint64(n + 1), End: began.Add(time.Duration(n) * time.Second)})
	}
	for name, born := range c {
		g := goroutine.Group{Stack: stackOf(name), State: goroutine.Select}
		for n, count := range born {
			if count > 0 {
				g.Births = append(g.Births, goroutine.Cohort{Epoch: n, Count: count})
				g.Count += count
			}
		}
		s.Groups = append(s.Groups, g)
		s.Total += g.Count
	}
	s.Sort()
	return s
}

// record records snapshots without findings.
func record(r *Recorder, snapshots ...*goroutine.Snapshot) {
	for _, s := range snapshots {
		r.Record(Update{Snapshot: s})
	}
}

var skipped = Update{Skips: []report.Skip{{Source: "trace", Reason: "cpu_budget"}}}

func groupOf(t *testing.T, v *View, count int) Group {
	t.Helper()
	for _, g := range v.Stacks {
		if g.Count == count {
			return g
		}
	}
	require.Fail(t, "no group", "of %d in %+v", count, v.Stacks)
	return Group{}
}

func TestBirthsAndExits(t *testing.T) {
	r := New(Config{})
	record(r, taken(0, crowd{"a": {10}}))
	g := groupOf(t, r.View(), 10)
	assert.Zero(t, g.Born, "goroutines of the first snapshot were created before")
	assert.Zero(t, g.Oldest)

	record(r, taken(1, crowd{"a": {7, 4}}))
	g = groupOf(t, r.View(), 11)
	assert.Equal(t, 4, g.Born)
	assert.Equal(t, 3, g.Left)
	assert.Equal(t, 1.0, g.Oldest)

	record(r, taken(2, crowd{"a": {0, 4, 1}}))
	g = groupOf(t, r.View(), 5)
	assert.Equal(t, 5, g.Born, "over the last snapshots")
	assert.Equal(t, 10, g.Left)
	assert.Equal(t, 1.0, g.Oldest)
	assert.Equal(t, []int32{10, 11, 5}, g.Counts)

	d, ok := r.Detail(g.Number)
	require.True(t, ok)
	assert.Equal(t, GroupHistory{
		Time:  []time.Time{began, began.Add(time.Second), began.Add(2 * time.Second)},
		Count: []int32{10, 11, 5}, Born: []int32{0, 4, 1}, Left: []int32{0, 3, 7},
	}, d.History)
	assert.Equal(t, []report.Birth{{Age: 1, Count: 4}, {Age: 0, Count: 1}}, d.Births)
	assert.Equal(t, []report.Frame{{Function: "main.a", File: "/src/main.go", Line: 7}, {Function: "net/http.(*conn).serve", Line: 9, Standard: true}}, d.Frames)
}

func TestWithoutIDsOnlyTheDifferenceIsKnown(t *testing.T) {
	r := New(Config{})
	for i, n := range []int{5, 8, 6} {
		s := taken(i, crowd{"a": {n}})
		s.Epochs, s.Groups[0].Births = nil, nil
		record(r, s)
	}
	v := r.View()
	g := groupOf(t, v, 6)
	assert.Equal(t, 3, g.Born)
	assert.Equal(t, 2, g.Left)
	assert.Zero(t, g.Oldest)
	assert.False(t, v.IDs)
}

func TestAGroupIsSentAgainOnceItsAgeIsKnown(t *testing.T) {
	r := New(Config{})
	first := taken(0, crowd{"a": {1}})
	first.Epochs, first.Groups[0].Births = nil, nil // as in the first snapshot of a process
	record(r, first)
	record(r, taken(1, crowd{"a": {1}}))
	v, ok := r.Since(1)
	require.True(t, ok)
	assert.Equal(t, 1.0, groupOf(t, v, 1).Oldest)
	record(r, taken(2, crowd{"a": {1}}))
	v, _ = r.Since(2)
	assert.Empty(t, v.Stacks)
}

func TestAGroupIsSentAgainOnceItIsOlderThanItsFirstSnapshot(t *testing.T) {
	r := New(Config{})
	record(r, taken(0, crowd{"old": {3}}), taken(1, crowd{"old": {3}, "new": {0, 1}}))
	assert.Zero(t, groupOf(t, r.View(), 1).Oldest, "born since the snapshot before")
	seq := r.View().Seq
	record(r, taken(2, crowd{"old": {3}, "new": {0, 1}}))
	v, ok := r.Since(seq)
	require.True(t, ok)
	assert.Equal(t, 1.0, groupOf(t, v, 1).Oldest, "nothing else has changed")
}

// A page has what a browser knows: first everything, then the changes.
type page struct {
	seq       uint64
	groups    map[int]Group
	states    int
	snapshots int
}

func newPage(v *View) *page {
	p := &page{groups: make(map[int]Group)}
	p.apply(v)
	return p
}

func (p *page) apply(v *View) {
	p.seq = v.Seq
	for _, n := range v.Gone {
		delete(p.groups, n)
	}
	for _, g := range v.Stacks {
		if known, ok := p.groups[g.Number]; ok && g.Calls == nil {
			g.Calls = known.Calls
		}
		if g.Calls != nil {
			p.groups[g.Number] = g
		}
	}
	p.states = 0
	for _, s := range v.States {
		p.states += s.Count
	}
	p.snapshots += len(v.History.Time)
}

func (p *page) total() (n int) {
	for _, g := range p.groups {
		n += g.Count
	}
	return n
}

func TestChangesAddUpToTheView(t *testing.T) {
	r := New(Config{})
	record(r, taken(0, crowd{"a": {1}, "b": {2}}))
	p, lazy := newPage(r.View()), newPage(r.View())
	for i := 1; i < 60; i++ {
		c := crowd{"a": {1 + i%3}, fmt.Sprint("x", i%13): {i % 5}}
		if i%4 == 0 {
			c["b"] = []int{2}
		}
		s := taken(i, c)
		record(r, s)
		if i%7 == 0 {
			r.Record(skipped)
		}
		v, ok := r.Since(p.seq)
		require.True(t, ok)
		p.apply(v)
		if i%10 == 0 {
			v, ok = r.Since(lazy.seq)
			require.True(t, ok)
			lazy.apply(v)
			assert.Equal(t, s.Total, lazy.total(), "snapshot %d, ten at once", i)
		}
		assert.Equal(t, s.Total, p.total(), "snapshot %d", i)
		assert.Equal(t, s.Total, p.states)
	}
	assert.Equal(t, 60, p.snapshots, "every snapshot once")
	fresh := newPage(r.View())
	for n, g := range fresh.groups {
		assert.Equal(t, g.Count, p.groups[n].Count)
	}
}

func TestAChangeHasOnlyDifferences(t *testing.T) {
	r := New(Config{})
	for i := range 30 {
		record(r, taken(i, crowd{"still": {3}, "moving": {10 + i}}))
	}
	v, ok := r.Since(r.View().Seq - 1)
	require.True(t, ok)
	require.Len(t, v.Stacks, 1)
	assert.Nil(t, v.Stacks[0].Calls, "its stack is known")
	assert.Empty(t, v.Frames)
	assert.Len(t, v.History.Time, 1)
	assert.Nil(t, v.Findings)

	v, ok = r.Since(v.Seq)
	require.True(t, ok)
	assert.Empty(t, v.Stacks)
}

func TestSinceGoesBackOnlySoFar(t *testing.T) {
	r := New(Config{})
	for i := range seriesLength + 2 {
		record(r, taken(i%3, crowd{"a": {1}}))
	}
	_, ok := r.Since(1)
	assert.False(t, ok)
	_, ok = r.Since(99999)
	assert.False(t, ok, "of another process")
	_, ok = r.Since(r.View().Seq)
	assert.True(t, ok)
}

func TestChangedIsClosedAtTheNextChange(t *testing.T) {
	r := New(Config{})
	closed := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	c := r.Changed(0)
	assert.False(t, closed(c))
	record(r, taken(0, crowd{"a": {1}}))
	assert.True(t, closed(c))
	assert.True(t, closed(r.Changed(0)), "it has changed since")
	c = r.Changed(1)
	assert.False(t, closed(c))
	r.Close()
	r.Close()
	assert.True(t, closed(c))
	assert.True(t, r.View().Stopped)
}

func TestEverythingIsBounded(t *testing.T) {
	r := New(Config{})
	for i := range 40 {
		s := taken(0, crowd{})
		s.Time = began.Add(time.Duration(i) * time.Second)
		for n := range 1500 { // different ones in every snapshot
			s.Groups = append(s.Groups, goroutine.Group{Stack: stackOf(fmt.Sprint(i, "/", n)), State: goroutine.State(fmt.Sprint("state ", n%100)), Count: 1500 - n})
		}
		r.Record(Update{Snapshot: s, Events: make([]report.Event, 6), Skips: []report.Skip{
			{Source: "trace", Reason: fmt.Sprint("reason ", 2*i)}, {Source: "trace", Reason: fmt.Sprint("reason ", 2*i+1)},
		}})
		assert.LessOrEqual(t, len(r.groups), maxGroups)
		assert.LessOrEqual(t, len(r.gone.list), maxGroups+1)
		series := 0
		for _, g := range r.groups {
			if g.series != nil {
				series++
			}
		}
		assert.Equal(t, r.series, series)
		assert.LessOrEqual(t, series, maxSeries)
	}
	v := r.View()
	assert.Len(t, v.Stacks, 1500)
	assert.Len(t, v.Events, maxEvents)
	assert.Len(t, v.States, maxStates)
	assert.Len(t, v.Cost.Skipped, maxSkips)
	_, ok := r.Since(1)
	assert.False(t, ok, "old departures are dropped")
	for i := range historyLength + 10 {
		s := taken(0, crowd{"a": {1}})
		s.Time = began.Add(time.Duration(100+i) * time.Second)
		record(r, s)
	}
	assert.Len(t, r.View().History.Time, historyLength)
	assert.Len(t, r.groups, 1)
	assert.Len(t, r.groups[taken(0, crowd{"a": {1}}).Groups[0].Key()].series.all(), seriesLength)
}

func TestFindingsAreScrubbedAndBounded(t *testing.T) {
	r := New(Config{})
	s := taken(0, crowd{"a": {1}})
	var open []report.Finding
	for i := range maxFindings + 20 {
		open = append(open, report.Finding{ID: fmt.Sprint(i), StackID: string(s.Groups[0].Stack.ID),
			Message: "At 0xc000123456.", Evidence: []string{"The lock at 0xc000abcdef has 3."}, Advice: "See 0xc000999999.", Unjudged: "at 0xc000888888",
			Participants: []report.Participant{{Note: "holds 0xc000777777"}}})
	}
	r.Record(Update{Snapshot: s, Open: open, Events: []report.Event{{Message: "At 0xc000123456."}}})
	v := r.View()
	assert.Len(t, v.Findings, maxFindings)
	assert.Equal(t, maxFindings+20, v.Open)
	assert.Equal(t, []int{1}, v.Findings[0].Stacks)
	content, err := json.Marshal(v)
	require.NoError(t, err)
	assert.NotContains(t, string(content), "0xc000")
	assert.Equal(t, "The lock at D has 3.", v.Findings[0].Evidence[0], "each address has a letter, for the finding")
	assert.Equal(t, "holds E", v.Findings[0].Participants[0].Note)
	assert.Contains(t, open[0].Evidence[0], "0xc000", "the finding is shared: it stays as it is")

	record(r, taken(1, crowd{"a": {1}}))
	change, ok := r.Since(v.Seq)
	require.True(t, ok)
	assert.Equal(t, []report.Finding{}, change.Findings, "the page must learn that none is open")
	record(r, taken(2, crowd{"a": {1}}))
	change, _ = r.Since(change.Seq)
	assert.Nil(t, change.Findings)
}

func TestDeepStacksAreShownAtBothEnds(t *testing.T) {
	for user, want := range map[int]int{0: 0, 94: 94, 95: 95, 500: 95, 968: 96, 999: maxDepth - 1} {
		frames := make([]report.Frame, 1000)
		for i := range frames {
			frames[i].Function = fmt.Sprint("main.f", i)
		}
		shown, at := bothEnds(frames, user)
		require.Len(t, shown, maxDepth)
		assert.Equal(t, "main.f0", shown[0].Function)
		assert.Equal(t, "…", shown[maxDepth-outermost-1].Function)
		assert.Equal(t, "main.f999", shown[maxDepth-1].Function)
		assert.Equal(t, want, at, user)
	}
}

func TestAGoroutineWithoutAStackIsShown(t *testing.T) {
	r := New(Config{})
	s := &goroutine.Snapshot{Time: began, Total: 1, Groups: []goroutine.Group{{Stack: goroutine.NewStack(nil), State: goroutine.Running, Count: 1}}}
	record(r, s)
	assert.Equal(t, []int{}, groupOf(t, r.View(), 1).Calls, "not null, which says that the page knows it")
	d, ok := r.Detail(1)
	require.True(t, ok)
	assert.Empty(t, d.Frames)
}

func TestLabelValuesStayBehind(t *testing.T) {
	r := New(Config{})
	s := taken(0, crowd{"a": {1}})
	s.Groups[0].Labels = []goroutine.Label{{Key: "tenant", Value: "SECRET"}}
	record(r, s)
	d, ok := r.Detail(1)
	require.True(t, ok)
	assert.Equal(t, []report.Label{{Key: "tenant"}}, d.Labels)
	content, err := json.Marshal([]any{d, r.View()})
	require.NoError(t, err)
	assert.NotContains(t, string(content), "SECRET")
}

func TestDetailOfAGroupThatIsGone(t *testing.T) {
	r := New(Config{})
	_, ok := r.Detail(1)
	assert.False(t, ok, "before the first snapshot")
	record(r, taken(0, crowd{"a": {1}}))
	for i := range lingering + 1 {
		record(r, taken(i+1, crowd{"b": {1}}))
	}
	_, ok = r.Detail(1)
	assert.False(t, ok)
}

func TestConcurrentSafe(t *testing.T) {
	r := New(Config{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 50 {
			r.Record(Update{Snapshot: taken(i, crowd{"a": {i}, "b": {1}}), Events: []report.Event{{Time: began}}})
			r.Record(skipped)
		}
		r.Close()
	})
	for range 4 {
		wg.Go(func() {
			seq := uint64(0)
			for v := r.View(); !v.Stopped; {
				<-r.Changed(seq)
				v, _ = r.Since(seq)
				seq = v.Seq
				_, _ = r.Detail(1)
				_, err := json.Marshal(v)
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
}

func BenchmarkRecord(b *testing.B) {
	c := crowd{}
	for i := range 2000 {
		c[fmt.Sprint(i)] = []int{50}
	}
	s := taken(0, c)
	r := New(Config{})
	b.ReportAllocs()
	for b.Loop() {
		record(r, s)
	}
}

// What a detector says about itself may be an error with anything in it.
func TestTheSightIsScrubbed(t *testing.T) {
	r := New(Config{Sight: func() *report.Sight {
		return &report.Sight{Detectors: []report.DetectorStatus{{Name: "own", Detail: "bad pointer 0xc000123456"}},
			Candidates: []report.Candidate{{Message: "main.f: waits at 0xc000123456", Missing: "0xc000123456"}}, Summary: "own: 0xc000123456"}
	}})
	for _, s := range []*report.Sight{r.Sight(), r.View().Sight} {
		assert.Equal(t, "bad pointer 0x…", s.Detectors[0].Detail)
		assert.Equal(t, "own: 0x…", s.Summary)
		assert.Equal(t, report.Candidate{Message: "main.f: waits at 0x…", Missing: "0x…"}, s.Candidates[0])
	}
	assert.Nil(t, New(Config{}).View().Sight, "pages of a recorder without it do not say")
}
