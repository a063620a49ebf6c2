// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

func frames(functions ...string) []goroutine.Frame {
	var list []goroutine.Frame
	for i, f := range functions {
		list = append(list, goroutine.Frame{Function: f, File: "/src/" + f + ".go", Line: i + 1})
	}
	return list
}

func group(count int, state goroutine.State, functions ...string) goroutine.Group {
	return goroutine.Group{Stack: goroutine.NewStack(frames(functions...)), State: state, Count: count}
}

func snapshot(at time.Time, groups ...goroutine.Group) *goroutine.Snapshot {
	s := &goroutine.Snapshot{Time: at, Source: goroutine.SourceText, Groups: groups}
	for _, g := range groups {
		s.Total += g.Count
	}
	s.Sort()
	return s
}

func TestSharesAddUp(t *testing.T) {
	r := one(snapshot(at,
		group(5, goroutine.ChanSend, "main.a"), group(3, goroutine.Select, "main.b"), group(2, goroutine.Waiting, "main.c"),
		group(5, goroutine.IOWait, "main.d"), group(1, "of a later Go", "main.e")), Options{})
	assert.Equal(t, []Share{{"IO wait", 5, 31.25}, {"chan send", 5, 31.25}, {"select", 3, 18.75}, {"waiting", 2, 12.5}, {"of a later Go", 1, 6.25}}, r.States)
	assert.Equal(t, []Share{{"channel", 8, 50}, {"network", 5, 31.25}, {"parked", 2, 12.5}, {"other", 1, 6.25}}, r.Categories)
}

// TestFunctions uses recursion and a function that is both flat and below
// others.
func TestFunctions(t *testing.T) {
	r := one(snapshot(at,
		group(4, goroutine.ChanSend, "runtime.gopark", "main.leaf", "main.walk", "main.walk", "main.main", "runtime.goexit"),
		group(3, goroutine.Select, "main.walk", "main.main"),
		group(1, goroutine.Running)), Options{Functions: 2})
	assert.Equal(t, 3, r.Functions.Distinct)
	assert.Equal(t, []Function{{"main.leaf", 4, 50, 4, 50}, {"main.walk", 3, 37.5, 7, 87.5}}, r.Functions.Flat)
	assert.Equal(t, []Function{{"main.walk", 3, 37.5, 7, 87.5}, {"main.main", 0, 0, 7, 87.5}}, r.Functions.Cumulative)
}

func TestHealth(t *testing.T) {
	levels := func(groups ...goroutine.Group) (all []Level) {
		r := one(snapshot(at, groups...), Options{})
		for _, c := range r.Health.Checks {
			all = append(all, c.Level)
		}
		return append(all, r.Health.Level)
	}
	const ok, note, warn = LevelOK, LevelNote, LevelWarn
	running := func(n int) goroutine.Group { return group(n, goroutine.Running, "main.r") }
	for name, c := range map[string]struct {
		groups []goroutine.Group
		want   []Level // number, blocked, mutex, channel, all
	}{
		"a thousand":       {[]goroutine.Group{running(1000)}, []Level{ok, ok, ok, ok, ok}},
		"over a thousand":  {[]goroutine.Group{running(1001)}, []Level{note, ok, ok, ok, note}},
		"ten thousand":     {[]goroutine.Group{running(10_000)}, []Level{note, ok, ok, ok, note}},
		"over ten":         {[]goroutine.Group{running(10_001)}, []Level{warn, ok, ok, ok, warn}},
		"80 % blocked":     {[]goroutine.Group{running(20), group(80, goroutine.IOWait, "main.f")}, []Level{ok, ok, ok, ok, ok}},
		"over 80 %":        {[]goroutine.Group{running(19), group(81, goroutine.IOWait, "main.f")}, []Level{ok, note, ok, ok, note}},
		"30 % on mutexes":  {[]goroutine.Group{running(70), group(30, goroutine.MutexLock, "main.f")}, []Level{ok, ok, ok, ok, ok}},
		"over 30 %":        {[]goroutine.Group{running(69), group(31, goroutine.RWMutexRLock, "main.f")}, []Level{ok, ok, warn, ok, warn}},
		"50 % on channels": {[]goroutine.Group{running(50), group(50, goroutine.Select, "main.f")}, []Level{ok, ok, ok, ok, ok}},
		"over 50 %":        {[]goroutine.Group{running(49), group(51, goroutine.ChanReceive, "main.f")}, []Level{ok, ok, ok, note, note}},
		"in system calls":  {[]goroutine.Group{group(9, goroutine.Syscall, "main.f")}, []Level{ok, ok, ok, ok, ok}},
		"nothing":          {nil, []Level{ok, ok, ok, ok, ok}},
	} {
		assert.Equal(t, c.want, levels(c.groups...), name)
	}
}

func TestTrend(t *testing.T) {
	series := []*goroutine.Snapshot{
		snapshot(at, group(10, goroutine.Running, "main.r")),
		snapshot(at.Add(time.Minute), group(50, goroutine.Running, "main.r")),
		snapshot(at.Add(2*time.Minute), group(20, goroutine.Running, "main.r"), group(5, goroutine.Sleep, "main.s")),
	}
	r := New(series, nil, Options{})
	require.NotNil(t, r.Trend)
	assert.Equal(t, Trend{From: 10, To: 25, Seconds: 120, Factor: 2.5, PerMinute: 7.5, Strong: true, Points: r.Trend.Points}, *r.Trend)
	assert.Len(t, r.Trend.Points, 3)
	assert.Equal(t, map[string]int{"running": 20, "sleep": 5}, r.Trend.Points[2].States)
	assert.Contains(t, textOf(t, r), "Trend over 3 snapshots\n  10 to 25 in 2m0s, factor 2.50, +7.5 a minute  << strong growth\n")

	weak := New([]*goroutine.Snapshot{snapshot(at, group(1, goroutine.Running)), snapshot(at, group(3, goroutine.Running))}, nil, Options{})
	assert.False(t, weak.Trend.Strong, "three after one")
	assert.Zero(t, weak.Trend.PerMinute, "no time has passed")
	assert.Nil(t, one(series[0], Options{}).Trend)
	assert.Nil(t, one(series[0], Options{}).Diff)
}

// aged gives a group cohorts of one goroutine, one cohort for each ID.
func aged(g goroutine.Group, epochs []int) goroutine.Group {
	g.Count = len(epochs)
	for _, e := range epochs {
		if n := len(g.Births); n > 0 && g.Births[n-1].Epoch == e {
			g.Births[n-1].Count++
			continue
		}
		g.Births = append(g.Births, goroutine.Cohort{Epoch: e, Count: 1})
	}
	return g
}

func TestDiff(t *testing.T) {
	before := snapshot(at,
		aged(group(0, goroutine.ChanSend, "main.grows"), []int{0, 0}),
		aged(group(0, goroutine.Select, "main.goes"), []int{0}),
		aged(group(0, goroutine.Sleep, "main.replaced"), []int{0, 0}),
		aged(group(0, goroutine.IOWait, "main.stays"), []int{0, 0, 0}))
	before.Epochs = []goroutine.Epoch{{LastID: 100, End: at}}
	after := snapshot(at.Add(time.Minute),
		aged(group(0, goroutine.ChanSend, "main.grows"), []int{0, 1, 1, 1}),
		aged(group(0, goroutine.Syscall, "main.comes"), []int{1}),
		aged(group(0, goroutine.Sleep, "main.replaced"), []int{0, 1}),
		aged(group(0, goroutine.IOWait, "main.stays"), []int{0, 0, 0}))
	after.Epochs = []goroutine.Epoch{{LastID: 100, End: at}, {LastID: 200, End: at.Add(time.Minute)}}

	d := NewDiff(before, after, Options{Same: true})
	assert.True(t, d.Identity)
	assert.Equal(t, 5, d.Born)
	assert.Equal(t, 3, d.Left)
	assert.Equal(t, 1, d.Unchanged)
	type row struct {
		function string
		kind     Kind
		delta    int
		born     int
		left     int
	}
	var rows []row
	for _, c := range d.Stacks {
		rows = append(rows, row{c.Stack.Frames[0].Function, c.Kind, c.Delta, c.Born, c.Left})
	}
	assert.ElementsMatch(t, []row{
		{"main.grows", Grew, 2, 3, 1}, {"main.comes", Appeared, 1, 1, 0},
		{"main.goes", Gone, -1, 0, 1}, {"main.replaced", Replaced, 0, 1, 1},
	}, rows)
	assert.Equal(t, "main.grows", rows[0].function, "the largest change first")
	assert.Equal(t, Change{"chan send", 2, 4}, d.States[0])

	var b strings.Builder
	require.NoError(t, d.Text(&b, 0))
	text := b.String()
	assert.Contains(t, text, "8 to 10 goroutines (+2) in 1m0s\n")
	assert.Contains(t, text, "5 created since and still there, 3 exited.\n")
	assert.Contains(t, text, "\nGrew (1 of 1 stacks)\n\n     +2  2 to 4  chan send  ")
	assert.Contains(t, text, "3 created since, 1 exited or moved on\n      oldest at least 60 s\n      main.grows (/src/main.grows.go:1)\n")

	unknown := NewDiff(before, after, Options{})
	assert.False(t, unknown.Identity, "two processes")
	assert.Len(t, unknown.Stacks, 3, "a stack with the same number of goroutines counts as unchanged")
	assert.Zero(t, unknown.Born)
}

func TestDiffOfTheSame(t *testing.T) {
	var b strings.Builder
	require.NoError(t, NewDiff(sample(), sample(), Options{Same: true}).Text(&b, 0))
	assert.Contains(t, b.String(), "No stack changed.")
}

func TestJSON(t *testing.T) {
	s := sample()
	s.Groups[0].CreatedBy = goroutine.Frame{Function: "main.main", File: "/src/main.go", Line: 7}
	s.Groups[0].Lock = 0xc000
	r := one(s, Options{Target: "http://host"}, detectors.Finding{
		Detector: "leak", Confidence: detectors.Suspected, Stack: s.Groups[0].Stack, Message: "A < B"})
	var b strings.Builder
	require.NoError(t, r.JSON(&b))
	assert.NotContains(t, b.String(), "secret")
	assert.NotContains(t, b.String(), "0xc000")
	assert.Contains(t, b.String(), `"message": "A < B"`)
	var back Report
	require.NoError(t, json.Unmarshal([]byte(b.String()), &back))
	back.stacks = r.stacks
	assert.Equal(t, r, &back)
	assert.Equal(t, SchemaVersion, back.SchemaVersion)
	assert.Equal(t, "warn", back.Findings[0].Severity)
	assert.Equal(t, "main.worker", back.Findings[0].At.Function)
	assert.Equal(t, &Frame{"main.main", "/src/main.go", 7, false}, back.Stacks[0].CreatedBy)
	assert.Equal(t, []Birth{{90, 3}}, back.Stacks[0].Births)
}

func TestEventsAreWordedOnce(t *testing.T) {
	f := detectors.Finding{ID: "1", Detector: "leak", Confidence: detectors.Confirmed, Count: 3, GrowthPerMinute: math.NaN(), Message: "Three are stuck."}
	want := Event{Time: at, Kind: "detected", FindingID: "1", Detector: "leak", Confidence: "confirmed", Severity: "error", Count: 3, Message: "Three are stuck."}
	assert.Equal(t, want, EventOf(detectors.Event{Kind: detectors.Detected, Time: at, Finding: f}))
	want.Kind, want.Severity = "resolved", "info"
	assert.Equal(t, want, EventOf(detectors.Event{Kind: detectors.Resolved, Time: at, Finding: f}))
	assert.Equal(t, Event{Time: at, Kind: "suppressed", Severity: "warn", Count: 4, Message: "4 open findings are not reported one by one."},
		EventOf(detectors.Event{Kind: detectors.Suppressed, Time: at, Finding: f, Suppressed: 4}))
	assert.Equal(t, Event{Time: at, Kind: "suppressed", Severity: "info", Message: "All open findings are reported one by one again."},
		EventOf(detectors.Event{Kind: detectors.Suppressed, Time: at}))
	assert.Zero(t, Briefly([]detectors.Finding{f})[0].GrowthPerMinute, "JSON has no NaN")
}

func TestTopAndTracesHaveEverything(t *testing.T) {
	r := one(snapshot(at, group(4, goroutine.ChanSend, "main.leaf", "main.main"), group(3, goroutine.Select, "main.walk", "main.main")), Options{Stacks: 1, Functions: 1})
	var top, traces strings.Builder
	require.NoError(t, r.Top(&top))
	require.NoError(t, r.Traces(&traces))
	for _, f := range []string{"main.leaf", "main.walk", "main.main"} {
		assert.Contains(t, top.String(), f+"\n")
		assert.Contains(t, traces.String(), "      "+f+" (/src/")
	}
	assert.Contains(t, top.String(), "Functions, cumulative (3 of 3)")
}

func TestKnownStacksAreNamed(t *testing.T) {
	r := one(snapshot(at, group(1, goroutine.Syscall, "os/signal.signal_recv", "os/signal.loop"), group(1, goroutine.Running, "main.f")), Options{})
	for _, s := range r.Stacks {
		assert.Equal(t, s.Frames[0].Function != "main.f", s.Known != "", s.Known)
	}
}
