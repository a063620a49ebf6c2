// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/bench/detection/corpus"
	"github.com/otelgoroutine/go/bench/detection/internal/watch"
	"github.com/otelgoroutine/go/bench/internal/lab"
)

// TestMain lets the test binary be the child, as the program itself is.
func TestMain(m *testing.M) {
	lab.Child(observe)
	os.Exit(m.Run())
}

// call runs the program in this process, and the scenarios in processes of their
// own.
func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = lab.Status(t.Context(), run, args, &out, &errs)
	return status, out.String(), errs.String()
}

// TestProgramsAreJudged runs faults that show at once, beside their twins: real
// processes, the real monitor.
func TestProgramsAreJudged(t *testing.T) {
	status, out, progress := call(t,
		"-run", "^(double-lock-nested-call|double-lock-locked-helper|nil-channel-receive|nil-channel-made)$",
		"-scale", "0.05", "-duration", "20s", "-parallel", "4")
	assert.Zero(t, status, progress+out)
	assert.Regexp(t, `\| +2 of 2 \(100 %\) \| +– \| +– \| +– \| +\d of 2 \(\d+ %\) \| 0 of 2 \(0 %\) \| +0 \| PASS \|`, out)
	assert.Regexp(t, `double-lock-nested-call: found by deadlock \((medium|high)\)`, progress) // medium at first on a busy machine
}

// TestADeadlockIsHighInTheEnd runs one of them by itself: a dump shows what holds the lock.
func TestADeadlockIsHighInTheEnd(t *testing.T) {
	var seen observation
	err := lab.Ask(t.Context(), 20*time.Second, "", order{Name: "double-lock-nested-call", Scale: 0.05, Duration: 20 * time.Second}, &seen)
	require.NoError(t, err)
	assert.True(t, slices.ContainsFunc(seen.Open, func(f watch.Finding) bool { return f.Detector == "deadlock" && f.AtLeast("high") }), "%+v", seen.Open)
}

// TestCallersAreOutside runs a service that nothing in its process calls.
func TestCallersAreOutside(t *testing.T) {
	var seen observation
	err := lab.Ask(t.Context(), 6*time.Second, "", order{Name: "hang-sql-rows", Scale: 0.01, Duration: 6 * time.Second}, &seen)
	require.NoError(t, err)
	assert.Positive(t, seen.Served)
	assert.Positive(t, seen.Standstill)
	assert.Positive(t, seen.Faults)
}

// TestClientsOutsideGo runs a fault that is what clients leave behind that have
// closed their connections, in the process of their own.
func TestClientsOutsideGo(t *testing.T) {
	var seen observation
	err := lab.Ask(t.Context(), 5*time.Second, "", order{Name: "orphan-bus-listener", Scale: 0.01, Duration: 5 * time.Second}, &seen)
	require.NoError(t, err)
	assert.Positive(t, seen.Served)
	assert.Positive(t, seen.Faults)
	assert.Positive(t, seen.Standing)
}

// TestTheMainGoroutineMayRunAProgram holds that such a process answers, too.
func TestTheMainGoroutineMayRunAProgram(t *testing.T) {
	var seen observation
	err := lab.Ask(t.Context(), 3*time.Second, "", order{Name: "eternal-main", Scale: 0.01, Duration: 3 * time.Second}, &seen)
	require.NoError(t, err)
	assert.Positive(t, seen.Served)
}

// TestTheCourseOfAGrowth holds what makes a verdict about a growth right.
func TestTheCourseOfAGrowth(t *testing.T) {
	const minute = time.Second
	event := func(at int, detector, confidence, function string) watch.Finding {
		return watch.Finding{At: time.Duration(at) * minute, Detector: detector, Confidence: confidence, Function: "x/corpus." + function, Text: "It is corpus." + function + "."}
	}
	for name, tc := range map[string]struct {
		program string
		events  []watch.Finding
		want    growth
	}{
		"nothing":         {"orphan-pipe-writer", nil, growth{}},
		"in time":         {"orphan-pipe-writer", []watch.Finding{event(28, "leak", "suspected", "writeExport")}, growth{Told: true, Named: true, InTime: true, After: 25 * minute}},
		"late":            {"orphan-pipe-writer", []watch.Finding{event(29, "leak", "suspected", "writeExport")}, growth{Told: true, Named: true, After: 26 * minute}},
		"not sure enough": {"orphan-pipe-writer", []watch.Finding{event(9, "growth", "info", "writeExport")}, growth{}},
		"elsewhere":       {"orphan-pipe-writer", []watch.Finding{event(9, "leak", "suspected", "reconnect")}, growth{}},
		"information":     {"timed-retry-outlives", []watch.Finding{event(9, "growth", "info", "reconnect")}, growth{Told: true, Named: true, InTime: true, After: 6 * minute}},
		"before":          {"timed-retry-outlives", []watch.Finding{event(2, "growth", "info", "reconnect")}, growth{}},
		"alive":           {"stay-fleet-comes-up", []watch.Finding{event(9, "growth", "info", "serveNode")}, growth{Told: true, Named: true, InTime: true, After: 6 * minute}},
		"an alarm":        {"stay-fleet-comes-up", []watch.Finding{event(9, "leak", "suspected", "serveNode")}, growth{}},
	} {
		t.Run(name, func(t *testing.T) {
			s, ok := corpus.Find(tc.program)
			require.True(t, ok)
			tc.want.Wanted = s.Grows
			seen := &observation{FirstFault: 3 * minute, Minute: minute, Events: tc.events}
			assert.Equal(t, tc.want, growthOf(&s, seen))
		})
	}
}

// TestWithoutFlagsEverythingRuns holds the defaults: every program, without the
// leak proof.
func TestWithoutFlagsEverythingRuns(t *testing.T) {
	o, err := parseOptions(nil, &bytes.Buffer{})
	assert.NoError(t, err)
	for _, s := range corpus.All() {
		assert.True(t, o.Pattern.MatchString(s.Name), s.Name)
	}
	assert.Equal(t, []bool{false}, o.proofs)
	assert.Equal(t, 55*time.Second, o.Duration)
}

func TestBadFlags(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"bad pattern":     {[]string{"-run", "("}, "-run"},
		"a scale of zero": {[]string{"-scale", "0"}, "for flag -scale: must be 0.007 to 1"},
		"a scale of NaN":  {[]string{"-scale", "NaN"}, "must be 0.007 to 1"},
		"no child":        {[]string{"-parallel", "0"}, "for flag -parallel: must be 1 to 1000"},
		"no time":         {[]string{"-duration", "1ms"}, "for flag -duration: must be 1s to 24h"},
		"a strange mode":  {[]string{"-proof", "maybe"}, "must be off, on or both"},
		"an argument":     {[]string{"all"}, `unexpected argument "all"`},
	} {
		t.Run(name, func(t *testing.T) {
			status, out, errs := call(t, tc.args...)
			assert.Equal(t, 2, status)
			assert.Contains(t, errs, tc.want)
			assert.Empty(t, out)
		})
	}
}

func TestNothingMatches(t *testing.T) {
	status, _, errs := call(t, "-run", "nothing-is-called-so")
	assert.Equal(t, 1, status)
	assert.Contains(t, errs, "programs.md has them all")
}

func TestHelp(t *testing.T) {
	status, out, errs := call(t, "--help")
	assert.Zero(t, status)
	assert.Contains(t, out, "go run -C bench ./detection")
	assert.Contains(t, out, "-proof")
	assert.Empty(t, errs)
}

func TestAChildThatFailsIsTold(t *testing.T) {
	_, err := observe(order{Name: "nothing"})
	assert.EqualError(t, err, `no scenario is called "nothing"`)
}

func TestJudge(t *testing.T) {
	faulty := corpus.Scenario{Name: "f", Faulty: true, Expect: []corpus.Expectation{{Detector: "leak", Function: "fetch", Least: 5}}}
	sound := corpus.Scenario{Name: "s"}
	hit := watch.Finding{At: 9 * time.Second, Detector: "leak", Confidence: "suspected", Function: "x/corpus.fetch.func1"}
	other := watch.Finding{Detector: "leak", Confidence: "suspected", Function: "x/corpus.other"}
	happened := observation{Faults: 1, FirstFault: 2 * time.Second, Standing: 5}
	with := func(o observation, f ...watch.Finding) *observation { o.Events = f; return &o }
	for name, tc := range map[string]struct {
		s       corpus.Scenario
		seen    *observation
		found   bool
		worst   rank
		trouble string
	}{
		"found":              {faulty, with(happened, hit), true, harmless, ""},
		"at another place":   {faulty, with(happened, other), false, severe, ""},
		"missed":             {faulty, with(happened), false, harmless, ""},
		"it did not happen":  {faulty, with(observation{}), false, harmless, "the fault did not happen"},
		"too few stand":      {faulty, with(observation{Faults: 1, Standing: 4}, hit), true, harmless, "only 4 goroutines"},
		"sound":              {sound, with(observation{Served: 1}), false, harmless, ""},
		"idle":               {sound, with(observation{}), false, harmless, "it did no work"},
		"not so sound":       {sound, with(observation{Served: 1, Faults: 1}), false, harmless, "a fault happened"},
		"a false alarm":      {sound, with(observation{Served: 1}, other), false, severe, ""},
		"information":        {sound, with(observation{Served: 1}, watch.Finding{Detector: "surge", Confidence: "info"}), false, harmless, ""},
		"something to watch": {sound, with(observation{Served: 1}, watch.Finding{Detector: "pileup", Confidence: "suspected"}), false, lower, ""},
		"a sure mistake":     {sound, with(observation{Served: 1}, watch.Finding{Detector: "blocked_forever", Confidence: "certain"}), false, severe, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := judge(&tc.s, tc.seen, nil, false)
			assert.Equal(t, tc.found, r.Found)
			assert.Equal(t, tc.worst, r.worst())
			assert.Contains(t, r.Trouble, tc.trouble)
			assert.Equal(t, tc.trouble == "", r.Trouble == "", r.Trouble)
			if tc.found {
				assert.Equal(t, 9*time.Second-tc.seen.FirstFault, r.After, "since the fault happened")
			}
		})
	}
}

// TestTheCourseOfAFault holds what is made of the events of a fault.
func TestTheCourseOfAFault(t *testing.T) {
	s, ok := corpus.Find("hang-mutex")
	require.True(t, ok)
	const minute = time.Second
	event := func(at int, id, confidence, text string) watch.Finding {
		return watch.Finding{At: time.Duration(at) * minute, ID: id, Confidence: confidence, Text: text, Detector: "hang", Function: "corpus.(*ticketDesk).sell"}
	}
	const root = "corpus.(*ticketDesk).report holds it."
	elsewhere := watch.Finding{At: 11 * minute, ID: "b", Confidence: "suspected", Detector: "leak", Function: "corpus.other"}
	for name, tc := range map[string]struct {
		events, ends []watch.Finding
		want         course
	}{
		"nothing":          {nil, nil, course{}},
		"in time":          {[]watch.Finding{event(12, "a", "medium", root)}, nil, course{Soon: true, Root: true, Told: true, After: 2 * minute, Events: 1, Incidents: 1}},
		"without root":     {[]watch.Finding{event(12, "a", "medium", "")}, nil, course{Soon: true, Told: true, After: 2 * minute, Events: 1, Incidents: 1}},
		"the root later":   {[]watch.Finding{event(11, "a", "medium", ""), event(13, "a", "high", root)}, nil, course{Soon: true, Root: true, Told: true, After: minute, Events: 2, Incidents: 1}},
		"too late":         {[]watch.Finding{event(14, "a", "high", root)}, nil, course{Told: true, After: 4 * minute, Events: 1, Incidents: 1}},
		"not sure enough":  {[]watch.Finding{event(12, "a", "info", root)}, nil, course{}},
		"before it stood":  {[]watch.Finding{event(9, "a", "medium", root)}, nil, course{Soon: true, Root: true, Told: true, Events: 1, Incidents: 1}},
		"before the fault": {[]watch.Finding{event(7, "a", "medium", root)}, nil, course{}},
		"two incidents":    {[]watch.Finding{event(11, "a", "medium", ""), elsewhere}, nil, course{Soon: true, Told: true, After: minute, Events: 2, Incidents: 2}},
		"said to be over":  {[]watch.Finding{elsewhere}, []watch.Finding{elsewhere, {At: 12 * minute, ID: "x"}}, course{Events: 1, Incidents: 1, Ends: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.want.Wanted = true
			seen := &observation{FirstFault: 8 * minute, Standstill: 10 * minute, Minute: minute, Events: tc.events, Ends: tc.ends}
			assert.Equal(t, tc.want, courseOf(&s, seen))
		})
	}
}

// TestAnEndMayBeTrue has a fault that passes, and one whose goroutines move, slowly.
func TestAnEndMayBeTrue(t *testing.T) {
	const minute = time.Second
	told := watch.Finding{At: 12 * minute, ID: "a", Confidence: "medium", Detector: "hang", Function: "corpus.serve"}
	end := watch.Finding{At: 20 * minute, ID: "a", Detector: "hang", Function: "corpus.serve"}
	of := func(detector string) *corpus.Scenario {
		return &corpus.Scenario{Faulty: true, Expect: []corpus.Expectation{{Detector: detector, Function: "publishTo"}}}
	}
	seen := observation{FirstFault: 10 * minute, Minute: minute, Events: []watch.Finding{told}, Ends: []watch.Finding{end}}
	assert.Equal(t, 1, courseOf(of("leak"), &seen).Ends)
	assert.Equal(t, 0, courseOf(of("contention"), &seen).Ends, "these have been served")
	seen.Ends[0].Detector, seen.Ends[0].Function = "contention", "corpus.publishTo"
	assert.Equal(t, 1, courseOf(of("contention"), &seen).Ends)
	seen.Passed = 21 * minute
	assert.Equal(t, 1, courseOf(of("contention"), &seen).Ends, "too early")
	seen.Passed = 19 * minute
	assert.Equal(t, 0, courseOf(of("contention"), &seen).Ends)
}

// TestAHangMayBeToldInALibrary holds which places count.
func TestAHangMayBeToldInALibrary(t *testing.T) {
	f := watch.Finding{Detector: "hang", Function: "redis.(*pool).take", Frames: []string{"redis.(*pool).take", "x/corpus.serve"}}
	s := corpus.Scenario{Expect: []corpus.Expectation{{Detector: "hang", Function: "serve"}}}
	assert.False(t, hits(&s, &f))
	s.Soon = "medium"
	assert.True(t, hits(&s, &f))
	s.Expect[0].Detector = "leak"
	assert.True(t, hits(&s, &f), "leak yields to hang")
	s.Expect[0].Detector = "surge"
	assert.False(t, hits(&s, &f))
}

func TestToldOnce(t *testing.T) {
	for _, tc := range []struct {
		c    course
		want bool
	}{
		{course{}, true},
		{course{Events: 4, Incidents: 1}, true},
		{course{Events: 5, Incidents: 1}, false},
		{course{Events: 2, Incidents: 2}, false},
		{course{Events: 2, Incidents: 1, Ends: 1}, false},
		{course{Events: 2, Incidents: 1, Thinned: 1}, false},
	} {
		assert.Equal(t, tc.want, tc.c.once(), tc.c)
	}
}

func TestWarningsThatAreNoMistake(t *testing.T) {
	for _, tc := range []struct {
		r          result
		confidence string
		want       rank
	}{
		{result{}, "suspected", lower},
		{result{Class: "hang"}, "suspected", severe},
		{result{Class: "hang"}, "info", harmless},
		{result{Warns: true}, "suspected", lower},
		{result{Warns: true}, "high", severe},
	} {
		assert.Equal(t, tc.want, tc.r.rank(&watch.Finding{Detector: "pileup", Confidence: tc.confidence}), tc)
	}
	assert.Equal(t, lower, (&result{Warns: true}).rank(&watch.Finding{Detector: "deadlock", Confidence: "medium"}))
	assert.Equal(t, severe, (&result{}).rank(&watch.Finding{Detector: "hang", Confidence: "medium"}))
}

func TestWorkThatShouldStandOrMove(t *testing.T) {
	faulty := corpus.Scenario{Faulty: true, Expect: []corpus.Expectation{{}}}
	seen := func(still time.Duration) *observation {
		return &observation{Faults: 1, Served: 1, Lasted: time.Hour, Minute: time.Minute, Standstill: time.Hour - still}
	}
	assert.Equal(t, "its work went on", untrue(&faulty, seen(time.Minute)))
	assert.Empty(t, untrue(&faulty, seen(4*time.Minute)))
	moving, stopped := seen(4*time.Minute), seen(6*time.Minute)
	moving.Faults, stopped.Faults = 0, 0
	assert.Empty(t, untrue(&corpus.Scenario{}, moving))
	assert.Equal(t, "the work of a sound program stopped", untrue(&corpus.Scenario{}, stopped))
	assert.Empty(t, untrue(&corpus.Scenario{Warns: true}, stopped))
}

func TestTargets(t *testing.T) {
	found, missed := result{Faulty: true, Found: true}, result{Faulty: true}
	alarm := result{Others: []watch.Finding{{Detector: "deadlock", Confidence: "high"}}}
	twenty := func(r result) (all []result) {
		for range 19 {
			all = append(all, found)
		}
		return append(all, r)
	}
	for name, tc := range map[string]struct {
		results []result
		passed  bool
	}{
		"all":             {twenty(found), true},
		"95 %":            {twenty(missed), true},
		"less":            {append(twenty(missed), missed), false},
		"a false alarm":   {twenty(alarm), false},
		"a run failed":    {twenty(result{Trouble: "it did no work"}), false},
		"beyond watching": {twenty(result{Faulty: true, Beyond: "why"}), true},
		"told soon":       {twenty(result{Faulty: true, Found: true, Course: course{Wanted: true, Soon: true, Root: true}}), true},
		"told late":       {twenty(result{Faulty: true, Found: true, Course: course{Wanted: true, Root: true}}), false},
		"told twice":      {twenty(result{Faulty: true, Found: true, Course: course{Events: 5}}), true},
		"more told twice": {append(twenty(found), result{Faulty: true, Found: true, Course: course{Ends: 1}}, result{Faulty: true, Found: true, Course: course{Incidents: 2}}), false},
		"growth in time":  {twenty(result{Faulty: true, Found: true, Growth: growth{Wanted: &corpus.Growth{}, InTime: true}}), true},
		"growth too late": {twenty(result{Faulty: true, Found: true, Growth: growth{Wanted: &corpus.Growth{}}}), false},
		"without root":    {twenty(result{Faulty: true, Found: true, Course: course{Wanted: true, Soon: true}}), false},
	} {
		t.Run(name, func(t *testing.T) {
			tally := tallyOf(tc.results)
			assert.Equal(t, tc.passed, tally.passed())
		})
	}
}

func TestGrew(t *testing.T) {
	assert.True(t, grew([]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}))
	assert.False(t, grew([]int{1, 2, 3, 4, 5, 5, 5, 8, 9, 10}))
	assert.False(t, grew([]int{9, 9, 9, 9, 9, 9, 9, 9, 9, 9}))
}

func TestBare(t *testing.T) {
	for line, want := range map[string]string{
		"main.f(0xc000012345, {0x1, 0x2})": "main.f",
		"main.(*t).f(...)":                 "main.(*t).f",
		"main.f.func1()":                   "main.f.func1",
		"created by main.f in goroutine 7": "created by main.f in goroutine 7",
	} {
		assert.Equal(t, want, bare(line), line)
	}
}
