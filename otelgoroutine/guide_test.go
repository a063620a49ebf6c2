// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/debugpage"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// The tests of this file hold what a guide to goroutine profiling promises its readers,
// each in this process, with its real runtime. Promises 5 and 8 are those of the command:
// cmd/goroutines/guide_test.go has them.

// guided starts a monitor that takes a snapshot every tenth of a second.
func guided(t *testing.T, opts ...otelgoroutine.Option) *otelgoroutine.Monitor {
	t.Helper()
	m, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())), append([]otelgoroutine.Option{
		otelgoroutine.WithInterval(otelgoroutine.MinInterval), otelgoroutine.WithDetectors(),
		otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1, Pause: time.Second}),
	}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Shutdown(context.Background())) })
	return m
}

// updates returns the updates of a monitor. Those that are not received are dropped.
func updates(t *testing.T, m *otelgoroutine.Monitor) <-chan otelgoroutine.Update {
	t.Helper()
	all := make(chan otelgoroutine.Update, 1)
	t.Cleanup(m.Subscribe(func(u otelgoroutine.Update) {
		select {
		case all <- u:
		default:
		}
	}))
	return all
}

// awaited returns the next update that is wanted.
func awaited(t *testing.T, all <-chan otelgoroutine.Update, wanted func(otelgoroutine.Update) bool) otelgoroutine.Update {
	t.Helper()
	patience := time.NewTimer(5 * time.Minute) // of a starved machine
	defer patience.Stop()
	for {
		select {
		case u := <-all:
			if wanted(u) {
				return u
			}
		case <-patience.C:
			require.FailNow(t, "no such update")
		}
	}
}

// planted lets n goroutines wait for a channel until stop is called.
func planted(t *testing.T, n int) (stop func()) {
	gate, all := make(chan int), new(sync.WaitGroup)
	for range n {
		all.Go(func() { guideWorker(gate) })
	}
	stop = sync.OnceFunc(func() { close(gate); all.Wait() })
	t.Cleanup(stop)
	return stop
}

//go:noinline
func guideWorker(jobs <-chan int) int { return <-jobs }

const worker = "otelgoroutine_test.guideWorker"

// atWorker returns how many goroutines of a snapshot are in guideWorker.
func atWorker(s *goroutine.Snapshot) (n int) {
	if s == nil {
		return 0
	}
	for _, g := range s.Groups {
		if strings.HasSuffix(g.Stack.User().Function, worker) {
			n += g.Count
		}
	}
	return n
}

// inProfile returns how many goroutines of a pprof profile are in guideWorker.
func inProfile(t *testing.T, data []byte) (n int64) {
	t.Helper()
	p, err := profile.ParseData(data)
	require.NoError(t, err)
	for _, s := range p.Sample {
		for _, l := range s.Location {
			if strings.HasSuffix(l.Line[0].Function.Name, worker) {
				n += s.Value[0]
				break
			}
		}
	}
	return n
}

func reported(t *testing.T, m *otelgoroutine.Monitor) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, m.WriteReport(&b))
	return b.String()
}

// Counts and a breakdown by state, in the program and over HTTP: as text, with full
// stacks, and as a binary profile.
func TestGuide1CountsAndStates(t *testing.T) {
	planted(t, 70)
	m := guided(t)
	s := awaited(t, updates(t, m), func(u otelgoroutine.Update) bool { return atWorker(u.Snapshot) == 70 }).Snapshot
	sum := 0
	for _, n := range s.States() {
		sum += n
	}
	assert.Equal(t, s.Total, sum)
	assert.GreaterOrEqual(t, s.States()[goroutine.ChanReceive], 70)

	page := debugpage.Handler(m)
	get := func(name string) []byte {
		r := httptest.NewRequest(http.MethodGet, "http://localhost/debug/goroutines/"+name, nil)
		w := httptest.NewRecorder()
		page.ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code)
		return w.Body.Bytes()
	}
	text := string(get("report.txt"))
	assert.Regexp(t, `(?m)^\d+ goroutines at `, text)
	assert.Regexp(t, `(?m)^ +7\d +\d+\.\d% +chan receive$`, text)
	assert.Contains(t, text, worker)
	assert.EqualValues(t, 70, inProfile(t, get("snapshot.pb.gz")))
	var all struct {
		Total  int
		States []struct {
			Name  string
			Count int
		}
		Stacks []struct {
			Count int
			Calls []int
		}
		Frames []struct{ Function string }
	}
	require.NoError(t, json.Unmarshal(get("data.json"), &all))
	found := 0
	for _, s := range all.Stacks {
		for _, i := range s.Calls {
			if strings.HasSuffix(all.Frames[i].Function, worker) {
				assert.Greater(t, len(s.Calls), 1, "the full stack")
				found += s.Count
			}
		}
	}
	assert.Equal(t, 70, found)
}

// A profile is written to a file from code at any time, periodically, and when something
// is detected: named after the detector with its time. Old ones are removed.
func TestGuide2ProfilesInFiles(t *testing.T) {
	dir := t.TempDir()
	var faults atomic.Int32
	detects := &detectors.Detector{Name: "guide", Doc: "Finds another fault in each snapshot.", Run: func(p *detectors.Pass) error {
		if n := faults.Add(1); n <= 5 {
			g := p.Snapshot.Groups[0]
			p.Report(detectors.Finding{Confidence: detectors.High, Stack: g.Stack, State: g.State, Count: g.Count, Subject: string(rune('a' + n)), Message: "A fault."})
		}
		return nil
	}}
	m := guided(t, otelgoroutine.WithDetectors(detects), otelgoroutine.WithProfileDir(dir, 2), otelgoroutine.WithPeriodicProfiles(otelgoroutine.MinProfilePeriod, 3))
	all := updates(t, m)
	awaited(t, all, func(u otelgoroutine.Update) bool { return u.Snapshot != nil })

	planted(t, 30)
	path := filepath.Join(t.TempDir(), "now.pb.gz")
	require.Eventually(t, func() bool { // a machine may be too busy for a fresh one
		f, err := os.Create(path)
		require.NoError(t, err)
		require.NoError(t, m.WriteProfile(f))
		require.NoError(t, f.Close())
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		return inProfile(t, data) == 30
	}, time.Minute, 10*time.Millisecond)

	seen := make(map[string]bool) // of periodic ones
	matching := func(pattern string) []string {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		require.NoError(t, err)
		return names
	}
	awaited(t, all, func(otelgoroutine.Update) bool {
		assert.LessOrEqual(t, len(matching("*-guide-*.pb.gz")), 3, "one may be new at this moment")
		for _, name := range matching("*-periodic.pb.gz") {
			seen[name] = true
		}
		return len(seen) > 3 && faults.Load() > 5
	})
	require.NoError(t, m.Shutdown(t.Context()))
	periodic, detected := matching("*-periodic.pb.gz"), matching("*-guide-*.pb.gz")
	assert.Len(t, periodic, 3, "the newest are kept")
	assert.Len(t, detected, 2)
	for _, name := range periodic {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.EqualValues(t, 30, inProfile(t, data))
		assert.Regexp(t, `goroutines-\d{8}T\d{6}\.\d{3}Z-periodic\.pb\.gz$`, name)
	}
	assert.Regexp(t, `goroutines-\d{8}T\d{6}\.\d{3}Z-guide-[0-9a-f]{16}\.pb\.gz$`, detected[0])
}

// A monitor with an interval, a bounded history, an alert threshold on the total, start
// and stop; a detailed breakdown on an alert; a report with percentages by state, the
// trend and the largest stacks.
func TestGuide3AMonitor(t *testing.T) {
	surge := detectors.DefaultSurgeConfig()
	surge.Threshold, surge.Factor, surge.MinSnapshots, surge.MinWait = 300, math.Inf(1), 1, 0
	m := guided(t, otelgoroutine.WithDetectors(detectors.NewSurge(surge)))
	all := updates(t, m)
	before := awaited(t, all, func(u otelgoroutine.Update) bool { return u.Snapshot != nil && u.Snapshot.HasIDs() })
	assert.Empty(t, before.Open)
	stop := planted(t, 400)
	alert := awaited(t, all, func(u otelgoroutine.Update) bool { return len(u.Open) > 0 })
	f := alert.Open[0]
	assert.Equal(t, "surge", f.Detector)
	assert.Regexp(t, `\d{3} goroutines, above the threshold of 300`, f.Message)
	assert.Contains(t, strings.Join(f.Evidence, "\n"), "guideWorker", "the breakdown")

	text := reported(t, m)
	for _, part := range []string{
		`States\n +\d+ +\d+\.\d%  chan receive\n`, `Trend over \d+ snapshots\n  \d+ to 4\d\d in [\d.]+m?s, factor \d+\.\d\d, \+[\d.]+ a minute  << strong growth\n`,
		`Findings\n(.*\n)*  surge \(info\): `, `Stacks \(\d+ of \d+\)\n\n +400 +\d+\.\d%  chan receive  [0-9a-f]{16}`,
	} {
		assert.Regexp(t, part, text)
	}
	stop()
	awaited(t, all, func(u otelgoroutine.Update) bool { return len(u.Open) == 0 })

	history := m.History()
	require.Greater(t, len(history), 3)
	assert.LessOrEqual(t, len(history), otelgoroutine.MaxPoints)
	most := 0
	for _, p := range history {
		sum := 0
		for _, n := range p.States {
			sum += n
		}
		assert.Equal(t, p.Total, sum)
		most = max(most, p.Total)
	}
	assert.GreaterOrEqual(t, most, 400)
	require.NoError(t, m.Shutdown(t.Context()))
	last := m.History()
	assert.Equal(t, last, m.History(), "it has stopped")
	assert.Equal(t, last[len(last)-1].Time, m.Snapshot().Time)
}

// A guideQueue is where goroutines wait for what does not come.
type guideQueue struct {
	mu      sync.Mutex
	turns   int
	results chan int
}

//go:noinline
func (q *guideQueue) send() { q.results <- 1 }

//go:noinline
func (q *guideQueue) lock() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.turns++
}

// guideLeak returns a configuration with which a leak is told in seconds, however late
// the snapshots of a starved machine are.
func guideLeak() detectors.LeakConfig {
	c := detectors.DefaultLeakConfig()
	c.MinAge, c.MaxAge, c.Window, c.Warmup = time.Second, 8*time.Second, 10*time.Second, time.Millisecond
	c.Steps, c.MinSteps, c.MaxExits, c.MaxAway = 2, 1, 1, 1
	return c
}

// fast returns a built-in detector with all times scaled by a hundred.
func fast(name string) *detectors.Detector {
	all := detectors.Scaled(0.01)
	return all[slices.IndexFunc(all, func(d *detectors.Detector) bool { return d.Name == name })]
}

// Leaks are told by their growth, and deadlocks by goroutines that have not moved for a
// threshold, at a channel or at a lock: with their IDs, states, how long, and their stack.
// What is gone is cleaned up.
func TestGuide4LeaksAndDeadlocks(t *testing.T) {
	m := guided(t, otelgoroutine.WithDetectors(detectors.NewLeak(guideLeak()), fast("deadlock")))
	all := updates(t, m)
	q := &guideQueue{results: make(chan int)}
	var waiting sync.WaitGroup
	q.mu.Lock()
	for range 5 {
		waiting.Go(q.lock)
	}
	found := func(detector, function string) detectors.Finding {
		var f detectors.Finding
		awaited(t, all, func(u otelgoroutine.Update) bool {
			if u.Snapshot != nil && u.Snapshot.Total < 20_000 { // a starved machine takes snapshots for minutes
				for range 5 {
					waiting.Go(q.send)
				}
			}
			for _, open := range u.Open {
				if open.Detector == detector && strings.HasSuffix(open.Stack.User().Function, function) {
					f = open
					return true
				}
			}
			return false
		})
		return f
	}
	deadlock := found("deadlock", "(*guideQueue).lock")
	assert.Equal(t, 5, deadlock.Count)
	assert.Len(t, deadlock.IDs, 5)
	assert.Equal(t, goroutine.MutexLock, deadlock.State)
	assert.Positive(t, deadlock.Age)
	assert.Contains(t, deadlock.Stack.Text(1<<10), "(*guideQueue).lock(...)\n")

	leak := found("leak", "(*guideQueue).send")
	assert.Greater(t, leak.Count, 5)
	assert.NotEmpty(t, leak.IDs)
	assert.Equal(t, goroutine.ChanSend, leak.State)
	assert.Positive(t, leak.GrowthPerMinute)
	assert.Positive(t, leak.Age)
	assert.Contains(t, leak.Stack.Text(1<<10), "(*guideQueue).send(...)\n")
	text := reported(t, m)
	assert.Contains(t, text, "  deadlock (")
	assert.Contains(t, text, "  leak (")

	q.mu.Unlock()
	left := make(chan struct{})
	go func() { waiting.Wait(); close(left) }()
	for more := true; more; {
		select {
		case <-q.results:
		case <-left:
			more = false
		}
	}
	awaited(t, all, func(u otelgoroutine.Update) bool { return len(u.Open) == 0 })
	require.NoError(t, m.Shutdown(t.Context()))
	assert.Empty(t, m.Findings())
}

// pprofCommands runs commands of go tool pprof and returns the answer to each.
func pprofCommands(t *testing.T, path string, commands ...string) []string {
	t.Helper()
	c := exec.Command("go", "tool", "pprof", path)
	c.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	answers := strings.Split(string(out), "(pprof) ")
	require.Len(t, answers, len(commands)+2, "%s", out)
	return answers[1 : len(commands)+1]
}

// Whatever is saved opens in go tool pprof, with all of its commands. The command web
// draws what dot writes, with Graphviz.
func TestGuide6WhatIsSavedOpensInPprof(t *testing.T) {
	planted(t, 20)
	dir := t.TempDir()
	var mu sync.Mutex
	archived := make(map[otelgoroutine.FileCause]bool)
	surge := detectors.DefaultSurgeConfig()
	surge.Threshold, surge.MinSnapshots, surge.MinWait = 1, 1, 0
	m := guided(t, otelgoroutine.WithDetectors(detectors.NewSurge(surge)), otelgoroutine.WithProfileDir(dir, 1),
		otelgoroutine.WithPeriodicProfiles(otelgoroutine.MinProfilePeriod, 1),
		otelgoroutine.WithArchive(func(_ context.Context, f otelgoroutine.File) error {
			mu.Lock()
			defer mu.Unlock()
			archived[f.Cause] = true
			return nil
		}))
	all := updates(t, m)
	awaited(t, all, func(otelgoroutine.Update) bool {
		mu.Lock()
		defer mu.Unlock()
		return archived[otelgoroutine.CauseFinding] && archived[otelgoroutine.CausePeriod]
	})
	_, err := m.Capture(t.Context())
	require.NoError(t, err)
	require.NoError(t, m.Shutdown(t.Context()))

	var b bytes.Buffer
	require.NoError(t, m.WriteProfile(&b))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "written.pb.gz"), b.Bytes(), 0o600))
	paths, err := filepath.Glob(filepath.Join(dir, "*.pb.gz"))
	require.NoError(t, err)
	require.Len(t, paths, 4, "of a finding, periodic, on request, and written from code")
	for _, path := range paths {
		commands := []string{"top 100", "traces", "peek guideWorker", "list guideWorker", "dot"}
		for i, answer := range pprofCommands(t, path, commands...) {
			assert.Contains(t, answer, "guideWorker", "%s of %s", commands[i], path)
		}
	}
}

// There are never two captures at once, and none under high load. Remote captures have a
// time limit: cmd/goroutines tests those of the command.
func TestGuide7ProductionSafety(t *testing.T) {
	m := guided(t, otelgoroutine.WithInterval(otelgoroutine.MaxInterval))
	other := guided(t, otelgoroutine.WithInterval(otelgoroutine.MaxInterval))
	first := awaited(t, updates(t, m), func(u otelgoroutine.Update) bool { return u.Snapshot != nil })
	var mu sync.Mutex
	taken := make(map[*goroutine.Snapshot]int)
	var wg sync.WaitGroup
	for range 25 {
		for _, m := range []*otelgoroutine.Monitor{m, other} {
			wg.Go(func() {
				c, err := m.Capture(t.Context())
				assert.NoError(t, err)
				mu.Lock()
				defer mu.Unlock()
				taken[c.Snapshot]++
			})
		}
	}
	wg.Wait()
	assert.Less(t, len(taken), 50, "requests at one time share a capture")
	assert.NotContains(t, taken, first.Snapshot)

	stop := make(chan struct{})
	for range 100 * runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					runtime.Gosched()
				}
			}
		})
	}
	refused := regexp.MustCompile(`no snapshot can be taken now: source "\w+": overload: over 64 goroutines are runnable for each P`)
	assert.Eventually(t, func() bool {
		_, err := m.Capture(t.Context())
		return err != nil && refused.MatchString(err.Error())
	}, time.Minute, 10*time.Millisecond)
	close(stop)
	wg.Wait()

	page := debugpage.Handler(m)
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/debug/goroutines/capture", nil))
	assert.Contains(t, []int{http.StatusOK, http.StatusServiceUnavailable}, w.Code, "a client that has left waits for nothing")
}
