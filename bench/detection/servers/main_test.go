// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
)

// TestMain lets the test binary be a process with an order, as the program itself
// is.
func TestMain(m *testing.M) {
	if text, ordered := os.LookupEnv(orderVariable); ordered {
		os.Exit(carryOut(text))
	}
	os.Exit(m.Run())
}

// TestAServerIsWatched runs one for a moment: real processes, the real monitor. What it
// tells at this scale, at which 10 ms without the CPU are a second, is no matter here.
func TestAServerIsWatched(t *testing.T) {
	r, err := try(t.Context(), &trial{server: "websocket", load: "flat"}, &options{scale: 0.01, duration: 2 * time.Second})
	require.NoError(t, err)
	assert.Equal(t, 60, r.Most)
	assert.Equal(t, 60, r.Visits)
	assert.Zero(t, r.Failed)
	assert.GreaterOrEqual(t, r.ServerSaw.Lasted, 200*time.Second, "of the service")
	assert.GreaterOrEqual(t, r.ClientsSaw.Lasted, 200*time.Second)
}

func TestAProcessThatFailsIsTold(t *testing.T) {
	_, err := try(t.Context(), &trial{server: "nothing", load: "flat"}, &options{scale: 0.01, duration: time.Second})
	assert.ErrorContains(t, err, "no server and load are called nothing/flat")
}

// TestAPopulationFollowsItsLoad holds how many clients there are, in the time of a service.
func TestAPopulationFollowsItsLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var here, ever atomic.Int64
		p := population{visit: func(ctx context.Context) error {
			ever.Add(1)
			here.Add(1)
			defer here.Add(-1)
			<-ctx.Done()
			return nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		c := clock{1, time.Now()}
		l := load{"test", func(age time.Duration) int { return int(age.Minutes()) }, 10 * time.Minute}
		go p.follow(ctx, &l, c)
		wait := func(until time.Duration) {
			time.Sleep(until - c.age())
			synctest.Wait()
		}
		wait(9*time.Minute + 30*time.Second)
		assert.EqualValues(t, 9, here.Load())
		assert.EqualValues(t, 9, ever.Load())
		wait(10*time.Minute + 30*time.Second)
		assert.EqualValues(t, 10, here.Load())
		assert.EqualValues(t, 19, ever.Load(), "all came back, and one more")
		cancel()
		synctest.Wait()
		assert.Zero(t, here.Load())
		assert.Equal(t, 10, p.most)
		assert.Zero(t, p.failed.Load())
	})
}

func TestLoads(t *testing.T) {
	for _, tc := range []struct {
		load string
		age  time.Duration
		want int
	}{
		{"flat", time.Hour, 60},
		{"ramp", 0, 0}, {"ramp", time.Hour, 120}, {"ramp", 2 * time.Hour, 240}, {"ramp", 3 * time.Hour, 240},
		{"wave", 0, 20}, {"wave", 20 * time.Minute, 200}, {"wave", 40 * time.Minute, 20},
		{"burst", 13 * time.Minute, 20}, {"burst", 14 * time.Minute, 200}, {"burst", 15 * time.Minute, 20},
		{"reconnect", time.Minute, 100},
	} {
		for _, l := range loads {
			if l.name == tc.load {
				assert.Equal(t, tc.want, l.clients(tc.age), "%s at %v", tc.load, tc.age)
			}
		}
	}
}

func TestWhatIsThoughtOfARun(t *testing.T) {
	saw := sight{Lasted: time.Hour, Snapshots: 200, Blind: 6 * time.Minute}
	worked := result{Most: 1, Visits: 20, Failed: 2, ServerSaw: saw, ClientsSaw: saw}
	with := func(events ...event) trial {
		r := worked
		r.Clients = events
		return trial{result: r}
	}
	seen := func(server, clients sight) trial {
		r := worked
		r.ServerSaw, r.ClientsSaw = server, clients
		return trial{result: r}
	}
	blind := sight{Lasted: time.Hour, Snapshots: 200, Blind: 7 * time.Minute}
	early := sight{Lasted: time.Hour, Snapshots: 200, Unjudged: []string{"leak"}}
	for name, tc := range map[string]struct {
		t    trial
		want bool
	}{
		"nothing":           {with(), true},
		"information":       {with(event{Confidence: "info"}), true},
		"a warning":         {with(event{Confidence: "suspected"}), false},
		"the end of one":    {with(event{Confidence: "suspected", Ended: true}), true},
		"no client":         {trial{}, false},
		"many that failed":  {trial{result: result{Most: 1, Visits: 20, Failed: 3, ServerSaw: saw, ClientsSaw: saw}}, false},
		"it could not run":  {trial{result: worked, err: assert.AnError}, false},
		"the server warned": {trial{result: result{Most: 1, Server: []event{{Confidence: "medium"}}, ServerSaw: saw, ClientsSaw: saw}}, false},
		"no snapshot":       {seen(sight{}, saw), false},
		"none of clients":   {seen(saw, sight{Lasted: time.Hour}), false},
		"a blind server":    {seen(blind, saw), false},
		"blind clients":     {seen(saw, blind), false},
		"a server too new":  {seen(early, saw), false},
		"clients too new":   {seen(saw, early), false},
	} {
		assert.Equal(t, tc.want, tc.t.silent(), name)
	}
}

// TestWhatAMonitorCouldSee has snapshots every 15 s, of which some are missing.
func TestWhatAMonitorCouldSee(t *testing.T) {
	every := func(n int) (all []time.Duration) { return slices.Repeat([]time.Duration{interval}, n) }
	for name, tc := range map[string]struct {
		gaps []time.Duration // before each snapshot, and after the last
		want string
	}{
		"all":           {every(240), ""},
		"quiet":         {slices.Repeat([]time.Duration{3 * interval}, 80), ""},
		"a pause":       {append(every(240), 5*time.Minute), ""},
		"half":          {append(every(120), 30*time.Minute), "no snapshot was taken in time for 29m0s of 1h0m0s, and 120 in all"},
		"every seventh": {slices.Repeat([]time.Duration{7 * interval}, 34), "no snapshot was taken in time for 25m30s of 59m30s, and 33 in all"},
		"none":          {[]time.Duration{time.Hour}, "no snapshot was taken"},
	} {
		s := sight{Snapshots: len(tc.gaps) - 1}
		for _, gap := range tc.gaps {
			s.pass(gap, interval)
		}
		assert.Equal(t, tc.want, s.trouble(), name)
	}
	s := sight{Snapshots: 1, Unjudged: []string{"leak (no_ids: why)", "hang (error: why)"}}
	assert.Equal(t, "not judging at the end: leak (no_ids: why); hang (error: why)", s.trouble())
}

func TestDetectorsThatDoNotJudge(t *testing.T) {
	now := time.Now()
	waits := detectors.NotJudging("hang", detectors.ReasonInspection, "it waits")
	waits.Since = now.Add(-undecided + 1)
	all := []detectors.Status{{Detector: "deadlock", Judging: true}, waits, detectors.NotJudging("leak", detectors.ReasonShortHistory, "too early")}
	assert.Equal(t, []string{"leak (short_history: too early)"}, unjudged(all, now, undecided))
	all[1].Since = now.Add(-undecided)
	all = append(all, detectors.NotJudging("growth", detectors.ReasonShortHistory, "too early"))
	assert.Equal(t, []string{"hang (inspection: it waits)", "leak, growth (short_history: too early)"}, unjudged(all, now, undecided))
}

func TestFlags(t *testing.T) {
	o, err := parseOptions(nil, &bytes.Buffer{})
	require.NoError(t, err)
	assert.Equal(t, 84*time.Second, o.duration)
	assert.Len(t, chosen(o.pattern), len(servers)*len(loads))
	for _, args := range [][]string{{"-scale", "0"}, {"-scale", "2"}, {"-parallel", "0"}, {"all"}, {"-run", "("}} {
		_, err := parseOptions(args, &bytes.Buffer{})
		assert.Error(t, err, args)
	}
	_, err = run(t.Context(), []string{"-run", "nothing/at-all"}, &bytes.Buffer{}, &bytes.Buffer{})
	assert.EqualError(t, err, "-run: no server and load are called so")
}
