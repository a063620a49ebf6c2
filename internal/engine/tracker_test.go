// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// every is how far apart steps are.
const every = 15 * time.Second

// leakRan is what the engine says when the detector did its work.
var leakRan = map[string]bool{"leak": true}

// step steps a tracker through findings alone, without a snapshot.
func step(tr *tracker, ran map[string]bool, findings []detectors.Finding, now time.Time) []detectors.Event {
	judged := make(map[string]string)
	for name := range ran {
		judged[name] = ""
	}
	return tr.step(&pass{findings: findings, judged: judged, now: now})
}

func finding(name string, count int) detectors.Finding {
	return detectors.Finding{
		Detector:   "leak",
		Confidence: detectors.Suspected,
		Stack:      goroutine.NewStack([]goroutine.Frame{{Function: name}}),
		State:      goroutine.Select,
		Count:      count,
	}
}

// run steps a tracker through counts of one finding, 0 meaning absent, and
// returns the events as "step:kind(count)".
func run(tr *tracker, counts ...int) []string {
	var got []string
	for i, n := range counts {
		var fs []detectors.Finding
		if n > 0 {
			fs = append(fs, finding("main.f", n))
		}
		for _, e := range step(tr, leakRan, fs, start.Add(time.Duration(i)*every)) {
			got = append(got, fmt.Sprintf("%d:%v(%d)", i, e.Kind, e.Finding.Count))
		}
	}
	return got
}

// repeated returns n times count.
func repeated(count, n int) []int {
	counts := make([]int, n)
	for i := range counts {
		counts[i] = count
	}
	return counts
}

func join(parts ...[]int) []int {
	var all []int
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func TestLifecycle(t *testing.T) {
	const minutes10 = 40 // steps
	for name, tc := range map[string]struct {
		counts []int
		want   []string
	}{
		"nothing":                           {[]int{0, 0, 0}, nil},
		"opened once":                       {repeated(10, 100), []string{"0:detected(10)"}},
		"a leap is told after half an hour": {join([]int{1}, repeated(1000, 130), repeated(9999, 5)), []string{"0:detected(1)", "120:repeated(1000)"}},
		"up and down is not worse":          {join([]int{10, 20, 10, 20, 5, 39, 10, 40}, repeated(99, 120)), []string{"0:detected(10)"}},
		"tenfold growth is told again":      {join(repeated(1, 120), repeated(10, 119), repeated(100, 5)), []string{"0:detected(1)", "120:repeated(10)", "240:repeated(100)"}},
		"repeated every hour":               {repeated(10, 2*240+1), []string{"0:detected(10)", "240:repeated(10)", "480:repeated(10)"}},
		"growth puts off the hour":          {join(repeated(10, 130), repeated(100, 300)), []string{"0:detected(10)", "130:repeated(100)", "370:repeated(100)"}},
		"resolved after three":              {[]int{10, 10, 0, 0, 0, 0, 0}, []string{"0:detected(10)", "4:resolved(10)"}},
		"absent for two":                    {[]int{10, 0, 0, 10, 0, 0, 10, 0, 0}, []string{"0:detected(10)"}},
		"back within the cooldown, told at its end": {
			join(repeated(10, 2), repeated(0, 4), repeated(10, minutes10)),
			[]string{"0:detected(10)", "4:resolved(10)", "40:repeated(10)"},
		},
		"back soon after a long time": {
			join(repeated(10, 100), repeated(0, 4), repeated(10, 10)),
			[]string{"0:detected(10)", "102:resolved(10)", "104:repeated(10)"},
		},
		"back and gone again, untold": {
			join(repeated(10, 2), repeated(0, 4), repeated(10, 5), repeated(0, 100)),
			[]string{"0:detected(10)", "4:resolved(10)"},
		},
		"back after the cooldown": {
			join(repeated(10, 1), repeated(0, 3+minutes10), repeated(10, 5)),
			[]string{"0:detected(10)", "3:resolved(10)", "44:detected(10)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, run(newTracker(nil), tc.counts...))
		})
	}
}

// TestSnapshotsThatComeSoonerEndNothingSooner has snapshots at a third of the interval.
func TestSnapshotsThatComeSoonerEndNothingSooner(t *testing.T) {
	tr := newTracker(nil)
	tr.absence = 2 * every * 3 / 4
	step(tr, leakRan, []detectors.Finding{finding("main.f", 3)}, start)
	var ended time.Duration
	for now := every / 3; ended == 0 && now < 10*every; now += every / 3 {
		if len(step(tr, leakRan, nil, start.Add(now))) > 0 {
			ended = now
		}
	}
	assert.Equal(t, 2*every, ended)
}

func TestIncidentKeepsItsIDWithinTheCooldown(t *testing.T) {
	tr := newTracker(nil)
	ids := make(map[string]bool)
	for i := range 240 {
		var fs []detectors.Finding
		if i%10 < 5 { // absent for five steps, in turns
			fs = append(fs, finding("main.f", 3))
		}
		for _, e := range step(tr, leakRan, fs, start.Add(time.Duration(i)*every)) {
			ids[e.Finding.ID] = true
			assert.Equal(t, start, e.Finding.Opened)
			assert.Regexp(t, "^[0-9a-f]{16}$", e.Finding.ID)
		}
	}
	assert.Len(t, ids, 1)
}

func TestFlappingIsToldOncePerCooldown(t *testing.T) {
	tr := newTracker(nil)
	var events []detectors.Event
	for i := range 4 * 240 { // four hours
		var fs []detectors.Finding
		if i%4 == 0 { // gone for exactly as long as it takes to be resolved
			fs = append(fs, finding("main.f", 3))
		}
		events = append(events, step(tr, leakRan, fs, start.Add(time.Duration(i)*every))...)
	}
	assert.InDelta(t, 2*4*6, len(events), 2, "opened and resolved six times an hour")
	for i := 1; i < len(events); i++ {
		assert.Equal(t, events[i].Kind == detectors.Resolved, events[i-1].Kind != detectors.Resolved, "event %d: each end follows an opening", i)
	}
}

// TestSeverityThatRisesIsRepeated: what changes neither the severity nor what to do
// is not told again before the hour.
func TestSeverityThatRisesIsRepeated(t *testing.T) {
	tr := newTracker(nil)
	var got []string
	for i, c := range []detectors.Confidence{detectors.Info, detectors.Medium, detectors.Suspected, detectors.Info, detectors.Confirmed, detectors.Suspected, detectors.Confirmed, detectors.Certain} {
		f := finding("main.f", 1)
		f.Confidence = c
		for _, e := range step(tr, leakRan, []detectors.Finding{f}, start.Add(time.Duration(i)*every)) {
			got = append(got, fmt.Sprintf("%d:%v(%v)", i, e.Kind, e.Finding.Confidence))
		}
	}
	assert.Equal(t, []string{"0:detected(info)", "1:repeated(medium)", "4:repeated(confirmed)"}, got)
}

func TestWhoDidNotRunResolvesNothing(t *testing.T) {
	tr := newTracker(nil)
	other := finding("main.f", 1)
	other.Detector = "deadlock"
	step(tr, nil, []detectors.Finding{finding("main.f", 1), other}, start)
	var got []string
	for i := 1; i <= 20; i++ {
		ran := map[string]bool{"deadlock": true}
		if i > 10 {
			ran["leak"] = true
		}
		for _, e := range step(tr, ran, nil, start.Add(time.Duration(i)*every)) {
			got = append(got, fmt.Sprintf("%d:%s %v", i, e.Finding.Detector, e.Kind))
		}
	}
	assert.Equal(t, []string{"3:deadlock resolved", "13:leak resolved"}, got)
}

func TestTheLargestOfOneIdentityCounts(t *testing.T) {
	tr := newTracker(nil)
	events := step(tr, leakRan, []detectors.Finding{finding("main.f", 3), finding("main.f", 9), finding("main.f", 5)}, start)
	require.Len(t, events, 1)
	assert.Equal(t, 9, events[0].Finding.Count)
}

func TestOnlySomeAreReportedOneByOne(t *testing.T) {
	tr := newTracker(nil)
	others := make([]detectors.Finding, maxReported-2) // that take all turns but two
	for i := range others {
		others[i] = finding(fmt.Sprint("main.other", i), 100)
	}
	step(tr, leakRan, others, start)
	at := func(minute int) time.Time { return start.Add(time.Duration(minute) * time.Minute) }
	a, b, c, d := finding("main.a", 1), finding("main.b", 2), finding("main.c", 3), finding("main.d", 4)
	d.Confidence = detectors.Info
	step := func(minute int, fs ...detectors.Finding) (got []string) {
		for _, e := range step(tr, leakRan, append(fs, others...), at(minute)) {
			name := ""
			if e.Finding.Stack != nil {
				name = e.Finding.Stack.User().Function
			}
			got = append(got, fmt.Sprintf("%v %s %d", e.Kind, name, e.Suppressed))
		}
		return got
	}

	assert.Equal(t, []string{"detected main.c 0", "detected main.b 0", "suppressed main.a 2"}, step(0, a, b, c, d), "the worst first")
	assert.Len(t, tr.findings(), 4+len(others), "metrics count all of them")
	assert.Nil(t, step(1, a, b, c, d))
	assert.Nil(t, step(2, a, b, d))
	assert.Nil(t, step(3, a, b, d))
	assert.Equal(t, []string{"resolved main.c 0"}, step(4, a, b, d))
	assert.Nil(t, step(13, a, b, d), "its turn is kept until the cooldown is over")
	assert.Equal(t, []string{"detected main.a 0", "suppressed main.d 1"}, step(14, a, b, d))
	assert.Nil(t, step(15, a, b))
	assert.Nil(t, step(16, a, b))
	assert.Nil(t, step(17, a, b), "d was never reported, nor is its end")
	assert.Len(t, tr.findings(), 2+len(others))
	assert.Equal(t, []string{"suppressed  0"}, step(24, a, b), "summaries are far apart")
	assert.Nil(t, step(59, a))
}

func TestOpenIsInOrderAndComplete(t *testing.T) {
	tr := newTracker(nil)
	step(tr, leakRan, []detectors.Finding{finding("main.z", 1)}, start)
	step(tr, leakRan, []detectors.Finding{finding("main.z", 5), finding("main.a", 2)}, start.Add(every))
	open := tr.findings()
	require.Len(t, open, 2)
	assert.Equal(t, "main.z", open[0].Stack.User().Function)
	assert.Equal(t, 5, open[0].Count)
	assert.Equal(t, start.Add(every), open[1].Opened)
	assert.NotEqual(t, open[0].ID, open[1].ID)
}

// maxEvents returns how many events a tracker emits at most within a time,
// whatever it is given, when no count exceeds maxCount.
//
// An incident that is reported holds one of maxReported turns from then until
// the cooldown after its end. Within any cooldown a turn therefore sees at most
// one opening or reopening, and at most one end for each:
// 2·(elapsed/cooldown+1). It is repeated for the time that has passed at most
// elapsed/repeatEvery times. It is repeated for growth at most
// log_growth(maxCount) times, and for confidence once per level above the
// first, because both only count above what was reported before; a turn that
// a new incident takes begins anew. Summaries add elapsed/summaryEvery+1.
func maxEvents(elapsed time.Duration, maxCount int) int {
	openings := int(elapsed/cooldown) + 1
	worse := int(math.Log(float64(max(1, maxCount)))/math.Log(growth)) + len(detectors.Confidences()) - 1
	perTurn := openings*(2+worse) + int(elapsed/repeatEvery)
	return maxReported*perTurn + int(elapsed/summaryEvery) + 1
}

// storm replays a script for 1,000 steps and holds the bounds.
func storm(t *testing.T, maxCount int, script func(step int) []detectors.Finding) (events int) {
	t.Helper()
	const steps = 1000
	tr := newTracker(nil)
	last := make(map[string]detectors.Kind)
	for i := range steps {
		for _, e := range step(tr, leakRan, script(i), start.Add(time.Duration(i)*every)) {
			events++
			if e.Kind == detectors.Suppressed {
				continue
			}
			require.Equal(t, e.Kind == detectors.Detected, last[e.Finding.ID] == 0, "each incident is detected once, and first")
			if e.Kind == detectors.Resolved {
				require.NotEqual(t, detectors.Resolved, last[e.Finding.ID])
			}
			last[e.Finding.ID] = e.Kind
		}
		require.LessOrEqual(t, len(tr.tracked), 1000)
		told := 0
		for _, e := range tr.tracked {
			if e.told {
				told++
			}
		}
		require.LessOrEqual(t, told, 10)
	}
	bound := maxEvents(steps*every, maxCount)
	t.Logf("%d events, bound %d", events, bound)
	assert.LessOrEqual(t, events, bound)
	return events
}

func TestStorms(t *testing.T) {
	var distinct []detectors.Finding
	for i := range 10_000 {
		distinct = append(distinct, finding(fmt.Sprintf("main.f%d", i), 1))
	}
	r := rand.New(rand.NewPCG(1, 2))

	t.Run("10,000 that stay", func(t *testing.T) {
		events := storm(t, 1, func(int) []detectors.Finding { return distinct })
		assert.Equal(t, 10+10*4+1, events, "ten detected, repeated each hour, one summary")
	})
	t.Run("10,000 that take turns", func(t *testing.T) {
		events := storm(t, 1, func(i int) []detectors.Finding { return distinct[i%10*1000 : i%10*1000+1000] })
		assert.Less(t, events, 600)
	})
	t.Run("10 new ones in every step", func(t *testing.T) {
		events := storm(t, 1, func(i int) []detectors.Finding { return distinct[i*10 : i*10+10] })
		assert.Less(t, events, 600)
	})
	t.Run("flapping at random", func(t *testing.T) {
		storm(t, 1, func(i int) []detectors.Finding {
			var fs []detectors.Finding
			for _, f := range distinct[:200] {
				if r.IntN(4) == 0 {
					fs = append(fs, f)
				}
			}
			return fs
		})
	})
	t.Run("growing without end", func(t *testing.T) {
		storm(t, math.MaxInt, func(i int) []detectors.Finding {
			f, g := distinct[0], distinct[1]
			f.Count = 1 << min(i, 62)
			g.Count = 1 << (i % 63)
			g.Confidence = detectors.Confidence(1 + i%6)
			return []detectors.Finding{f, g}
		})
	})
}

// TestStormsOfFindingsThatYield has findings of three detectors about thirty places
// and goroutines at random, which merge and part again, while what stands is
// followed in snapshots.
func TestStormsOfFindingsThatYield(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var ds []*detectors.Detector
	for i, name := range []string{"leak", "hang", "deadlock"} {
		ds = append(ds, &detectors.Detector{Name: name, Yields: []string{"leak", "hang", "deadlock"}[i+1:]})
	}
	tr := newTracker(yieldingOf(ds))
	last := make(map[string]detectors.Kind)
	const steps = 500
	events := 0
	for i := range steps {
		p := &pass{judged: map[string]string{"leak": "", "hang": "", "deadlock": ""}, now: start.Add(time.Duration(i) * every)}
		snapshot := &goroutine.Snapshot{Time: p.now, Epochs: []goroutine.Epoch{{LastID: 1000}}}
		for range 20 {
			f := finding(fmt.Sprint("main.f", r.IntN(30)), 1+r.IntN(50))
			f.Detector, f.IDs, f.Stands = ds[r.IntN(3)].Name, []uint64{uint64(1 + r.IntN(100))}, r.IntN(2) == 0
			f.Confidence = detectors.Confidence(1 + r.IntN(6))
			p.findings = append(p.findings, f)
			snapshot.Groups = append(snapshot.Groups, goroutine.Group{Stack: f.Stack, State: f.State, Count: 5, IDs: []uint64{uint64(1 + r.IntN(200))}})
		}
		p.view = &view{Snapshot: snapshot}
		for _, e := range tr.step(p) {
			events++
			if e.Kind == detectors.Suppressed {
				continue
			}
			require.Equal(t, e.Kind == detectors.Detected, last[e.Finding.ID] == 0, "each incident is detected once, and first")
			require.False(t, e.Kind == detectors.Resolved && last[e.Finding.ID] == detectors.Resolved)
			require.LessOrEqual(t, len(e.Finding.Participants), detectors.MaxParticipants)
			require.LessOrEqual(t, len(e.Finding.Evidence), detectors.MaxEvidence)
			last[e.Finding.ID] = e.Kind
		}
		for _, f := range tr.findings() {
			require.NotNil(t, tr.tracked[f.Identity()])
		}
		require.LessOrEqual(t, len(tr.tracked), maxTracked)
	}
	assert.LessOrEqual(t, events, maxEvents(steps*every, 50))
}

// TestClockSetBack has the clock jump by a day, both ways.
func TestClockSetBack(t *testing.T) {
	tr := newTracker(nil)
	now := start
	step := func(d time.Duration, counts ...int) (got []string) {
		now = now.Add(d)
		var fs []detectors.Finding
		for _, n := range counts {
			fs = append(fs, finding("main.f", n))
		}
		for _, e := range step(tr, leakRan, fs, now) {
			assert.Equal(t, now, e.Time)
			got = append(got, e.Kind.String())
		}
		return got
	}
	assert.Equal(t, []string{"detected"}, step(0, 1))
	assert.Nil(t, step(-24*time.Hour, 1))
	assert.Nil(t, step(59*time.Minute, 1), "an hour since it was told, by the time that has passed")
	assert.Equal(t, []string{"repeated"}, step(time.Minute, 1))
	assert.Equal(t, []string{"repeated"}, step(24*time.Hour, 1), "a leap forward is one repeat")
	assert.Nil(t, step(every, 1))
	step(every)
	step(every)
	assert.Equal(t, []string{"resolved"}, step(every))
	step(-24 * time.Hour)
	step(11 * time.Minute)
	assert.Empty(t, tr.tracked, "it is forgotten after its cooldown, not after a day")
}

// Information about goroutines that stand is told once. It is told again when it has
// become a warning, and a warning is repeated.
func TestInformationIsToldOnce(t *testing.T) {
	tr := newTracker(nil)
	var got []string
	for i := range 8 * 240 {
		f := finding("main.f", 3)
		if f.Stands, f.Confidence = true, detectors.Info; i >= 7*240-1 {
			f.Confidence = detectors.Suspected
		}
		for _, e := range step(tr, leakRan, []detectors.Finding{f}, start.Add(time.Duration(i)*every)) {
			got = append(got, fmt.Sprintf("%d:%v(%v)", i, e.Kind, e.Finding.Confidence))
		}
	}
	assert.Equal(t, []string{"0:detected(info)", "1679:repeated(suspected)", "1919:repeated(suspected)"}, got)
}

// TestAnIncidentOutlivesSmallChangesOfItsStack has the same function wait on
// behalf of another caller, and in another state.
func TestAnIncidentOutlivesSmallChangesOfItsStack(t *testing.T) {
	at := func(state goroutine.State, functions ...string) detectors.Finding {
		var frames []goroutine.Frame
		for _, f := range functions {
			frames = append(frames, goroutine.Frame{Function: f})
		}
		return detectors.Finding{Detector: "leak", Confidence: detectors.Suspected, Stack: goroutine.NewStack(frames), State: state, Count: 10}
	}
	first := at(goroutine.ChanSend, "main.send", "main.query", "main.serve")
	for _, tc := range []struct {
		name string
		now  []detectors.Finding
		want []string // events of the three steps after the first
		ids  int      // different incidents
	}{
		{"another caller in between", []detectors.Finding{at(goroutine.ChanSend, "main.send", "main.retry", "main.query", "main.serve")}, nil, 1},
		{"another state", []detectors.Finding{at(goroutine.Select, "main.send", "main.query", "main.serve")}, nil, 1},
		{"beside the first", []detectors.Finding{at(goroutine.ChanSend, "main.send", "main.retry", "main.serve"), first}, []string{"detected"}, 2},
		{"started elsewhere", []detectors.Finding{at(goroutine.ChanSend, "main.send", "main.query", "main.batch")}, []string{"detected", "resolved"}, 2},
		{"waits elsewhere", []detectors.Finding{at(goroutine.ChanSend, "main.receive", "main.query", "main.serve")}, []string{"detected", "resolved"}, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tr := newTracker(nil)
			events := step(tr, leakRan, []detectors.Finding{first}, start)
			require.Len(t, events, 1)
			ids := map[string]bool{events[0].Finding.ID: true}
			var got []string
			for i := range 3 {
				for _, e := range step(tr, leakRan, tc.now, start.Add(time.Duration(i+1)*every)) {
					got = append(got, e.Kind.String())
				}
			}
			for _, i := range tr.findings() {
				ids[i.ID] = true
			}
			assert.Equal(t, tc.want, got)
			assert.Len(t, ids, tc.ids)
		})
	}
}
