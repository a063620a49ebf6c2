// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/observe"
	"github.com/otelgoroutine/go/internal/sight"
)

var update = flag.Bool("update", false, "write the golden files")

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func group(count int, state goroutine.State, wait time.Duration, functions ...string) goroutine.Group {
	var frames []goroutine.Frame
	for i, f := range functions {
		frames = append(frames, goroutine.Frame{Function: f, File: "/src/main.go", Line: i + 1})
	}
	return goroutine.Group{Stack: goroutine.NewStack(frames), State: state, Count: count, Wait: wait}
}

// leaking returns a process with a leak and a deadlock.
func leaking() observe.Status {
	s := &goroutine.Snapshot{Time: now, Source: goroutine.SourceTrace, Duration: 3 * time.Millisecond,
		Epochs: []goroutine.Epoch{{LastID: 100, End: now.Add(-90 * time.Minute)}},
		Groups: []goroutine.Group{
			group(40, goroutine.ChanSend, 0, "github.com/example/shop/orders.(*Store).leak", "github.com/example/shop/orders.(*Store).Open.func1"),
			group(7, goroutine.MutexLock, 12*time.Minute, "sync.(*Mutex).Lock", "main.locked", "main.locked.func1"),
			group(2, goroutine.IOWait, 0, "internal/poll.(*FD).Read", "net/http.(*conn).serve"),
			group(1, goroutine.Running, 0),
		}}
	s.Groups[0].Births = []goroutine.Cohort{{Count: 40}}
	for _, g := range s.Groups {
		s.Total += g.Count
	}
	status := observe.Status{Name: "http://shop-1:6060/debug/pprof/", Snapshot: s, Taken: 30, Sight: judging("leak", "deadlock", "surge"), Open: []detectors.Finding{
		{Detector: "leak", Confidence: detectors.Suspected, Message: "The number of goroutines blocked here keeps growing and none leave.", Advice: "Check which path returns without receiving."},
		{Detector: "deadlock", Confidence: detectors.High, Message: "7 goroutines at main.locked (main.go:2) are waiting for a lock (sync.Mutex.Lock) not acquired by any waiter for 60 s.",
			Unjudged: "the newest snapshots have no goroutine IDs", Participants: []detectors.Participant{
				{Role: detectors.RoleHolder, Stack: s.Groups[0].Stack, State: goroutine.ChanSend, Count: 1, Note: "entered main.locked before the queue began"},
				{Role: detectors.RoleWaiter, Stack: s.Groups[1].Stack, State: goroutine.MutexLock, Count: 7},
			}},
		{Detector: "blocked_forever", Confidence: detectors.Info, Message: "1 goroutine is blocked forever.", Advice: "Not shown: the third of its kind."},
	}}
	for i := range 30 {
		p := observe.Point{Time: now.Add(time.Duration(i-29) * 15 * time.Second), Total: 10 + i, Failed: i == 20}
		p.States = map[goroutine.State]int{goroutine.ChanSend: i + 11, goroutine.MutexLock: 7}
		p.Stacks = map[goroutine.GroupKey]int{s.Groups[0].Key(): i + 11, s.Groups[1].Key(): 7}
		status.Points = append(status.Points, p)
	}
	return status
}

// judging is the sight of a process whose detectors are all judging, 12 s after
// its newest snapshot.
func judging(names ...string) sight.Status {
	s := sight.Status{Time: now.Add(-12 * time.Second), Source: goroutine.SourceTrace, Age: 12 * time.Second}
	for _, name := range names {
		s.Detectors = append(s.Detectors, detectors.Status{Detector: name, Judging: true})
	}
	return s
}

func event(kind detectors.Kind, c detectors.Confidence) observe.Event {
	return observe.Event{Target: "http://shop-1:6060/debug/pprof/", Event: detectors.Event{Kind: kind, Time: now.Add(-time.Minute), Suppressed: 3,
		Finding: detectors.Finding{Detector: "leak", Confidence: c, Count: 40, Message: "40 goroutines are stuck."}}}
}

func screen(targets ...observe.Status) Screen {
	return Screen{Targets: targets, Interval: 15 * time.Second, Now: now, Keys: true, Exports: "localhost:4317",
		Events: []observe.Event{event(detectors.Detected, detectors.Suspected), event(detectors.Suppressed, 0)}}
}

// plain renders a screen without colours.
func plain(s Screen, width, height int) []string {
	lines := s.Lines(width, height)
	for i, l := range lines {
		lines[i] = strings.TrimRight(ansi.Strip(l), " ")
	}
	return lines
}

func golden(t *testing.T, name string, lines []string) {
	t.Helper()
	file, got := "testdata/"+name+".txt", strings.Join(lines, "\n")+"\n"
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "go test -update writes %s", file)
}

func TestScreens(t *testing.T) {
	away := observe.Status{Name: "https://shop-2:6060/debug/pprof/", Err: errors.New("dial tcp: connection refused"), Since: now.Add(-2 * time.Minute), Points: []observe.Point{{Failed: true}}}
	for _, width := range []int{80, 120} {
		golden(t, fmt.Sprintf("one-%d", width), plain(screen(leaking()), width, 40))
		golden(t, fmt.Sprintf("two-%d", width), plain(screen(leaking(), away), width, 40))
	}
}

func TestEveryLineFits(t *testing.T) {
	s := screen(leaking(), observe.Status{Name: strings.Repeat("http://a-long-name", 9)})
	for _, width := range []int{0, 1, 7, 40, 79, 200} {
		for _, height := range []int{0, 1, 5, 24, 100} {
			lines := s.Lines(width, height)
			assert.LessOrEqual(t, len(lines), max(1, height))
			for _, l := range lines {
				assert.LessOrEqual(t, ansi.StringWidth(l), max(1, width), "%q", ansi.Strip(l))
			}
		}
	}
}

// On a small terminal, stacks are dropped first. States, findings and events
// stay.
func TestALowTerminalShowsTheStateFirst(t *testing.T) {
	text := strings.Join(plain(screen(leaking()), 120, 20), "\n")
	for _, want := range []string{"chan send", "deadlock", "leak detected"} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, "main.locked ←")
}

func TestCondition(t *testing.T) {
	s := leaking()
	for want, status := range map[string]observe.Status{
		"cannot be reached":   {Err: errors.New("no")},
		"unreachable 2m00":    {Err: errors.New("no"), Snapshot: s.Snapshot, Since: now.Add(-2 * time.Minute)},
		"first snapshot":      {},
		"3 findings":          s,
		"1 finding":           {Snapshot: s.Snapshot, Open: s.Open[:1]},
		"ok":                  {Snapshot: s.Snapshot, Sight: s.Sight},
		"cannot judge 3 of 3": {Snapshot: s.Snapshot, Sight: away(s.Sight, detectors.ReasonNoSnapshot, 3)},
		"judging 1 of 3":      {Snapshot: s.Snapshot, Sight: away(s.Sight, detectors.ReasonShortHistory, 2)},
	} {
		if status.Err != nil {
			status.Points = []observe.Point{{Failed: true}}
		}
		assert.Equal(t, want, ansi.Strip(conditionOf(&status, now).String()))
	}
}

// away returns a status in which the first n detectors are not judging.
func away(s sight.Status, r detectors.Reason, n int) sight.Status {
	s.Detectors = slices.Clone(s.Detectors)
	for i := range n {
		s.Detectors[i] = detectors.NotJudging(s.Detectors[i].Detector, r, "snapshots have no goroutine IDs")
	}
	return s
}

func TestWhatIsNotJudgedIsShown(t *testing.T) {
	lines := func(s sight.Status) string { return ansi.Strip(strings.Join(sightLines(s, "", 60), "\n")) }
	s := judging("leak", "deadlock", "surge")
	assert.Empty(t, lines(s))
	assert.Equal(t, "  1 of 3 detectors are judging.\n  More snapshots are needed by leak, deadlock.",
		lines(away(s, detectors.ReasonShortHistory, 2)))
	assert.Equal(t, "  1 of 3 detectors are judging.\n  Cannot judge: leak, deadlock (snapshots have no\n    goroutine IDs)",
		lines(away(s, detectors.ReasonNoIDs, 2)))

	for range 4 {
		s.Detectors[0].Candidates = append(s.Detectors[0].Candidates, detectors.Candidate{
			Stack: group(1, goroutine.Select, 0, "main.f").Stack, Count: 120, GrowthPerMinute: 40, Missing: "it waits for trace windows"})
	}
	one := "  Under suspicion by leak: main.f (main.go:1): +40/min,\n    120 goroutines, no exits; it waits for trace windows\n"
	assert.Equal(t, strings.Repeat(one, 3)+"  and 1 more under suspicion", lines(s))
	s = judging("leak", "deadlock", "surge")

	quiet := observe.Status{Name: "a", Snapshot: leaking().Snapshot, Sight: away(s, detectors.ReasonNoIDs, 2)}
	title := func(targets ...observe.Status) string { return plain(screen(targets...), 120, 40)[0] }
	assert.Contains(t, title(quiet), "no findings where judged")
	quiet.Sight = away(s, detectors.ReasonShortHistory, 2)
	assert.Contains(t, title(quiet), "no findings yet")
	quiet.Sight = s
	assert.Contains(t, title(quiet), "· no findings ·")
}

// Errors are shown above the last snapshot.
func TestDetailOfATargetInTrouble(t *testing.T) {
	s := leaking()
	s.Err, s.Since, s.Restarts, s.Faults = errors.New("GET "+s.Name+"trace?seconds=0.005: connection refused"), now.Add(-90*time.Second), 2, []string{`detector "leak": boom`}
	s.Evidence, s.Points[len(s.Points)-1].Failed = "it refused connections in between", true
	text := ansi.Strip(strings.Join(detail(&s, now, 200, 100), "\n"))
	for _, want := range []string{"restarted 2 times (it refused connections in between)", "unreachable 1m30", "\n  connection refused\n", `detector "leak": boom`, "chan send"} {
		assert.Contains(t, text, want)
	}
	assert.Len(t, detail(&observe.Status{Name: "a", Err: errors.New("no")}, now, 120, 100), 2, "nothing is known of it")
}

func TestMoreThanFits(t *testing.T) {
	s := &goroutine.Snapshot{Total: 10}
	for i := range 10 {
		s.Groups = append(s.Groups, group(1, goroutine.State(fmt.Sprint("state ", i)), 0, "main.f"))
	}
	lines := stateLines(&observe.Status{Snapshot: s}, 120, maxStates)
	assert.Equal(t, "  and 2 more states", ansi.Strip(lines[len(lines)-1]))
	assert.Equal(t, "  and 1 more state", ansi.Strip(stateLines(&observe.Status{Snapshot: s}, 120, 9)[11]))
	f := detectors.Finding{Detector: "leak", Confidence: detectors.High}
	text := ansi.Strip(strings.Join(detail(&observe.Status{Snapshot: s, Open: []detectors.Finding{f, f, f, f, f, f}}, now, 120, 100), "\n"))
	assert.Contains(t, text, "and 2 more findings")
	grave := detectors.Finding{Detector: "deadlock", Confidence: detectors.High}
	f.Confidence = detectors.Medium
	text = ansi.Strip(strings.Join(detail(&observe.Status{Snapshot: s, Open: []detectors.Finding{f, f, f, f, f, grave}}, now, 120, 100), "\n"))
	assert.Less(t, strings.Index(text, "deadlock"), strings.Index(text, "leak"), "the gravest comes first")
	assert.Contains(t, text, "deadlock")
}

func TestEventLine(t *testing.T) {
	for want, e := range map[string]observe.Event{
		"11:59:00  shop-1:6060  leak detected  40 goroutines are stuck.":                  event(detectors.Detected, detectors.High),
		"11:59:00  shop-1:6060  leak resolved  40 goroutines are stuck.":                  event(detectors.Resolved, detectors.High),
		"11:59:00  shop-1:6060  suppressed  3 open findings are not reported one by one.": event(detectors.Suppressed, 0),
	} {
		assert.Equal(t, want, ansi.Strip(EventLine(e, true)))
	}
	colour := func(e observe.Event) string { return EventLine(e, false) }
	assert.Contains(t, colour(event(detectors.Detected, detectors.High)), red.Render("leak detected"))
	assert.Contains(t, colour(event(detectors.Repeated, detectors.Medium)), yellow.Render("leak repeated"))
	assert.Contains(t, colour(event(detectors.Resolved, detectors.High)), green.Render("leak resolved"))
}

func TestSparkline(t *testing.T) {
	blank := strings.Repeat(" ", sparkWidth-4)
	assert.Equal(t, blank+" ·▄█", sparkline([]int{0, -1, 5, 10}, sparkWidth))
	assert.Equal(t, strings.Repeat(" ", sparkWidth), sparkline(nil, sparkWidth))
	many := make([]int, 3*sparkWidth)
	many[0] = 1000 // too old to be drawn
	many[len(many)-1] = 1
	assert.Equal(t, strings.Repeat(" ", sparkWidth-1)+"█", sparkline(many, sparkWidth))
}

func TestSpan(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 400 * time.Millisecond, "59s": 59 * time.Second, "1m00": time.Minute, "59m59": time.Hour - time.Second,
		"1h00": time.Hour, "47h59": 48*time.Hour - time.Minute, "2d": 48 * time.Hour, "30d": 30 * 24 * time.Hour,
	} {
		assert.Equal(t, want, span(d))
	}
}

func TestWhere(t *testing.T) {
	for want, functions := range map[string][]string{
		"(on a CPU)":               nil,
		"main.locked ← main.start": {"sync.(*Mutex).Lock", "main.locked", "main.start"},
		"main.work":                {"main.work", "sync.(*WaitGroup).Go.func1"},
		"http.(*conn).serve":       {"internal/poll.(*FD).Read", "net/http.(*conn).serve"},
		"orders.(*Store).leak":     {"github.com/example/shop/orders.(*Store).leak"},
	} {
		assert.Equal(t, want, ansi.Strip(where(group(1, goroutine.Select, 0, functions...).Stack)))
	}
	assert.Equal(t, "everywhere else", ansi.Strip(where(&goroutine.Stack{ID: goroutine.OtherStacks})))
}
