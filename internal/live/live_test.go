package live

import (
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

var began = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func stackOf(name string) *goroutine.Stack {
	return goroutine.NewStack([]goroutine.Frame{{Function: "runtime.gopark"}, {Function: "main." + name, File: "/src/main.go", Line: 7}, {Function: "net/http.(*conn).serve", Line: 9}})
}

// A crowd says for one stack how many goroutines were born in which second.
type crowd map[string][]int

// look is the snapshot at a second. Goroutines of second n have IDs up to n+1.
func look(second int, c crowd) *goroutine.Snapshot {
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

func groupOf(t *testing.T, v *View, count int) Group {
	t.Helper()
	for _, g := range v.Groups {
		if g.Count == count {
			return g
		}
	}
	require.Fail(t, "no group", "of %d in %+v", count, v.Groups)
	return Group{}
}

func TestBirthsAndExits(t *testing.T) {
	r := New(Config{})
	r.Look(look(0, crowd{"a": {10}}), nil, nil)
	g := groupOf(t, r.View(), 10)
	assert.Zero(t, g.Born, "who was there at the first look was not born then")
	assert.Equal(t, seconds(began), g.Oldest)

	r.Look(look(1, crowd{"a": {7, 4}}), nil, nil)
	g = groupOf(t, r.View(), 11)
	assert.Equal(t, 4, g.Born)
	assert.Equal(t, 3, g.Left)

	r.Look(look(2, crowd{"a": {0, 4, 1}}), nil, nil)
	g = groupOf(t, r.View(), 5)
	assert.Equal(t, 5, g.Born, "over the last looks")
	assert.Equal(t, 10, g.Left)
	assert.Equal(t, seconds(began.Add(time.Second)), g.Oldest)
	assert.Equal(t, []int32{10, 11, 5}, g.Counts)

	d, ok := r.Detail(g.Number)
	require.True(t, ok)
	assert.Equal(t, []PastSample{{seconds(began), 10, 0, 0}, {seconds(began.Add(time.Second)), 11, 4, 3}, {seconds(began.Add(2 * time.Second)), 5, 1, 7}}, d.Past)
	assert.Equal(t, []Cohort{{seconds(began.Add(time.Second)), 4}, {seconds(began.Add(2 * time.Second)), 1}}, d.Ages)
	assert.Equal(t, []DeepFrame{{"main.a", "/src/main.go", 7, false}, {"net/http.(*conn).serve", "", 9, true}}, d.Stack)
}

func TestWithoutIDsOnlyTheDifferenceIsKnown(t *testing.T) {
	r := New(Config{})
	for i, n := range []int{5, 8, 6} {
		s := look(i, crowd{"a": {n}})
		s.Epochs, s.Groups[0].Births = nil, nil
		r.Look(s, nil, nil)
	}
	v := r.View()
	g := groupOf(t, v, 6)
	assert.Equal(t, 3, g.Born)
	assert.Equal(t, 2, g.Left)
	assert.Zero(t, g.Oldest)
	assert.False(t, v.Snapshot.IDs)
}

// page is what a browser knows: everything, and then what changed.
type page struct {
	seq    uint64
	groups map[int]Group
	states int
	looks  int
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
	for _, g := range v.Groups {
		if known, ok := p.groups[g.Number]; ok && g.Frames == nil {
			g.Frames = known.Frames
		}
		if g.Frames != nil {
			p.groups[g.Number] = g
		}
	}
	p.states = 0
	for _, s := range v.States {
		p.states += s.Count
	}
	p.looks += len(v.History.Time)
}

func (p *page) total() (n int) {
	for _, g := range p.groups {
		n += g.Count
	}
	return n
}

func TestChangesLeadToWhatIs(t *testing.T) {
	r := New(Config{})
	r.Look(look(0, crowd{"a": {1}, "b": {2}}), nil, nil)
	p, lazy := newPage(r.View()), newPage(r.View())
	for i := 1; i < 60; i++ {
		c := crowd{"a": {1 + i%3}, fmt.Sprint("x", i%13): {i % 5}}
		if i%4 == 0 {
			c["b"] = []int{2}
		}
		s := look(i, c)
		r.Look(s, nil, nil)
		if i%7 == 0 {
			r.Skipped(goroutine.SourceTrace, "cpu_budget")
		}
		v, ok := r.Since(p.seq)
		require.True(t, ok)
		p.apply(v)
		if i%10 == 0 {
			v, ok = r.Since(lazy.seq)
			require.True(t, ok)
			lazy.apply(v)
			assert.Equal(t, s.Total, lazy.total(), "look %d, ten at once", i)
		}
		assert.Equal(t, s.Total, p.total(), "look %d", i)
		assert.Equal(t, s.Total, p.states)
	}
	assert.Equal(t, 60, p.looks, "every look once")
	fresh := newPage(r.View())
	for n, g := range fresh.groups {
		assert.Equal(t, g.Count, p.groups[n].Count)
	}
}

func TestAChangeHasOnlyWhatChanged(t *testing.T) {
	r := New(Config{})
	for i := range 30 {
		r.Look(look(i, crowd{"still": {3}, "moving": {10 + i}}), nil, nil)
	}
	v, ok := r.Since(r.View().Seq - 1)
	require.True(t, ok)
	require.Len(t, v.Groups, 1)
	assert.Nil(t, v.Groups[0].Frames, "its stack is known")
	assert.Empty(t, v.Frames)
	assert.Len(t, v.History.Time, 1)
	assert.Nil(t, v.Findings)

	v, ok = r.Since(v.Seq)
	require.True(t, ok)
	assert.Empty(t, v.Groups)
}

func TestWhatIsTooLongAgoIsNotKnown(t *testing.T) {
	r := New(Config{})
	for i := range seriesLooks + 2 {
		r.Look(look(i%3, crowd{"a": {1}}), nil, nil)
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
	r.Look(look(0, crowd{"a": {1}}), nil, nil)
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
		s := look(0, crowd{})
		s.Time = began.Add(time.Duration(i) * time.Second)
		for n := range 1500 { // others at every look
			s.Groups = append(s.Groups, goroutine.Group{Stack: stackOf(fmt.Sprint(i, "/", n)), State: goroutine.State(fmt.Sprint("state ", n%100)), Count: 1500 - n})
		}
		r.Look(s, nil, []detectors.Event{{Time: s.Time}, {Time: s.Time}, {Time: s.Time}, {Time: s.Time}, {Time: s.Time}, {Time: s.Time}})
		r.Skipped(goroutine.SourceTrace, fmt.Sprint("reason ", 2*i))
		r.Skipped(goroutine.SourceTrace, fmt.Sprint("reason ", 2*i+1))
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
	assert.Len(t, v.Groups, 1500)
	assert.Len(t, v.Events, maxEvents)
	assert.Len(t, v.States, maxStates)
	assert.Len(t, v.Cost.Skipped, maxSkips)
	_, ok := r.Since(1)
	assert.False(t, ok, "departures are forgotten")
	for i := range pointLooks + 10 {
		s := look(0, crowd{"a": {1}})
		s.Time = began.Add(time.Duration(100+i) * time.Second)
		r.Look(s, nil, nil)
	}
	assert.Len(t, r.View().History.Time, pointLooks)
	assert.Len(t, r.groups, 1)
	assert.Len(t, r.groups[look(0, crowd{"a": {1}}).Groups[0].Key()].series.all(), seriesLooks)
}

func TestFindingsAreScrubbedAndBounded(t *testing.T) {
	r := New(Config{})
	s := look(0, crowd{"a": {1}})
	var open []detectors.Finding
	for i := range maxFindings + 20 {
		open = append(open, detectors.Finding{ID: fmt.Sprint(i),
			Detector: "d", Confidence: detectors.High, Stack: s.Groups[0].Stack, GrowthPerMinute: math.NaN(),
			Message: "At 0xc000123456.", Evidence: []string{"The lock at 0xc000abcdef has 3."},
		})
	}
	r.Look(s, open, []detectors.Event{{Kind: detectors.Detected, Finding: open[0]}})
	v := r.View()
	assert.Len(t, v.Findings, maxFindings)
	assert.Equal(t, maxFindings+20, v.Open)
	assert.Equal(t, []int{1}, v.Findings[0].Groups)
	assert.Equal(t, "main.a", v.Findings[0].Function)
	content, err := json.Marshal(v)
	require.NoError(t, err)
	assert.NotContains(t, string(content), "0xc000")

	r.Look(look(1, crowd{"a": {1}}), nil, nil)
	change, ok := r.Since(v.Seq)
	require.True(t, ok)
	assert.Equal(t, []Finding{}, change.Findings, "they are over, and the page is told")
	r.Look(look(2, crowd{"a": {1}}), nil, nil)
	change, _ = r.Since(change.Seq)
	assert.Nil(t, change.Findings)
}

func TestDeepStacksAreShownAtBothEnds(t *testing.T) {
	var frames []goroutine.Frame
	for i := range 1000 {
		frames = append(frames, goroutine.Frame{Function: fmt.Sprint("main.f", i)})
	}
	shown := shownFrames(goroutine.NewStack(frames))
	require.Len(t, shown, maxDepth)
	assert.Equal(t, "main.f0", shown[0].Function)
	assert.Equal(t, "…", shown[maxDepth-outermost-1].Function)
	assert.Equal(t, "main.f999", shown[maxDepth-1].Function)
}

func TestAGoroutineWithoutAStackIsShown(t *testing.T) {
	r := New(Config{})
	s := &goroutine.Snapshot{Time: began, Total: 1, Groups: []goroutine.Group{{Stack: goroutine.NewStack(nil), State: goroutine.Running, Count: 1}}}
	r.Look(s, nil, nil)
	assert.Equal(t, []int{}, groupOf(t, r.View(), 1).Frames, "not null, which says that the page knows it")
	d, ok := r.Detail(1)
	require.True(t, ok)
	assert.Empty(t, d.Stack)
}

func TestLabelValuesStayBehind(t *testing.T) {
	r := New(Config{})
	s := look(0, crowd{"a": {1}})
	s.Groups[0].Labels = []goroutine.Label{{Key: "tenant", Value: "SECRET"}}
	r.Look(s, nil, nil)
	d, ok := r.Detail(1)
	require.True(t, ok)
	assert.Equal(t, []string{"tenant"}, d.Keys)
	content, err := json.Marshal([]any{d, r.View()})
	require.NoError(t, err)
	assert.NotContains(t, string(content), "SECRET")
}

func TestOfAGroupThatIsGone(t *testing.T) {
	r := New(Config{})
	_, ok := r.Detail(1)
	assert.False(t, ok, "before the first look")
	r.Look(look(0, crowd{"a": {1}}), nil, nil)
	for i := range lingering + 1 {
		r.Look(look(i+1, crowd{"b": {1}}), nil, nil)
	}
	_, ok = r.Detail(1)
	assert.False(t, ok)
}

func TestConcurrentSafe(t *testing.T) {
	r := New(Config{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 50 {
			r.Look(look(i, crowd{"a": {i}, "b": {1}}), nil, []detectors.Event{{Time: began}})
			r.Skipped(goroutine.SourceTrace, "load")
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

func BenchmarkLook(b *testing.B) {
	c := crowd{}
	for i := range 2000 {
		c[fmt.Sprint(i)] = []int{50}
	}
	s := look(0, c)
	r := New(Config{})
	b.ReportAllocs()
	for b.Loop() {
		r.Look(s, nil, nil)
	}
}
