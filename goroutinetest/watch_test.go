// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// A fake is a testing.TB that records what is done with it. It is used by the
// goroutine of one real test.
type fake struct {
	testing.TB
	name     string
	deadline time.Time // zero: none

	mu       sync.Mutex
	cleanups []func()
	errors   []string
	logs     []string
}

func (f *fake) Name() string { return f.name }
func (f *fake) Helper()      {}
func (f *fake) Cleanup(done func()) {
	f.cleanups = append(f.cleanups, done)
}
func (f *fake) Deadline() (time.Time, bool) { return f.deadline, !f.deadline.IsZero() }

func (f *fake) Errorf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errors = append(f.errors, fmt.Sprintf(format, args...))
}

func (f *fake) Logf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.logs = append(f.logs, fmt.Sprintf(format, args...))
}

// Fatal does not end the goroutine, as that of testing.T does.
func (f *fake) Fatal(args ...any)                 { f.Errorf("%s", fmt.Sprint(args...)) }
func (f *fake) Fatalf(format string, args ...any) { f.Errorf(format, args...) }

// end runs the cleanup functions as the end of a test does, and returns how the test
// failed.
func (f *fake) end() string {
	for len(f.cleanups) > 0 {
		last := len(f.cleanups) - 1
		f.cleanups[last]()
		f.cleanups = f.cleanups[:last]
	}
	return strings.Join(f.errors, "\n")
}

// quick is the scale of these tests: a minute of a service is 0.6 s.
const quick = minScale

// patient is how long a test waits for a finding on a machine short of CPUs.
const patient = 5 * time.Minute

func awaitFinding(t *testing.T, w *Watcher) {
	t.Helper()
	require.NotNil(t, w)
	require.Eventually(t, func() bool { return len(w.Findings()) > 0 }, patient, 10*time.Millisecond)
}

// The two locks of the deadlock.
var left, right sync.Mutex

func leftThenRight(between func()) {
	left.Lock()
	defer left.Unlock()
	between()
	right.Lock()
	defer right.Unlock()
}

func rightThenLeft(between func()) {
	right.Lock()
	defer right.Unlock()
	between()
	left.Lock()
	defer left.Unlock()
}

// deadlock leaves two goroutines behind for good.
func deadlock() {
	var met sync.WaitGroup
	met.Add(2)
	meet := func() { met.Done(); met.Wait() }
	go leftThenRight(meet)
	go rightThenLeft(meet)
}

// TestADeadlockFails also has what follows from it: a test that hangs in a deadlock is
// told before it times out, and a later test is not blamed.
func TestADeadlockFails(t *testing.T) {
	var stderr buffer
	tb := &fake{TB: t, name: t.Name(), deadline: time.Now().Add(patient)}
	w := watch(tb, &stderr, WithScale(quick))
	deadlock()
	awaitFinding(t, w)
	hanging := &fake{TB: t, name: t.Name(), deadline: time.Now().Add(time.Second)}
	stop := (&Watcher{tb: hanging, began: w.began, found: []*found{{finding: w.Findings()[0]}}, stderr: &stderr}).beforeDeadline()
	defer stop()
	require.Eventually(t, func() bool { return stderr.String() != "" }, patient, 10*time.Millisecond)
	said := tb.end()
	assertDeadlock(t, said)
	assertDeadlock(t, stderr.String())
	assert.Contains(t, stderr.String(), t.Name()+" is about to time out.")

	later := &fake{TB: t, name: "later"}
	w = watch(later, io.Discard, WithScale(quick))
	require.NotNil(t, w)
	require.Eventually(t, func() bool { return len(w.monitor.Findings()) > 0 }, patient, 10*time.Millisecond, "the monitor sees it")
	assert.Empty(t, later.end(), "what was there before is not a fault of this test")
}

func assertDeadlock(t *testing.T, said string) {
	t.Helper()
	assert.Contains(t, said, "goroutinetest: 1 finding in ")
	assert.Contains(t, said, "\ndeadlock (")
	assert.Contains(t, said, "  - ", "evidence")
	assert.Contains(t, said, "  Next: ")
	for _, function := range []string{"leftThenRight", "rightThenLeft"} {
		assert.Regexp(t, `(?m)^    github\.com/otelgoroutine/go/goroutinetest\.`+function+`\(\.\.\.\)\n    \t.*watch_test\.go:\d+$`, said, "stack")
	}
}

// A buffer may be written to while it is read.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// report leaves a goroutine behind: the caller no longer receives when there is a
// result.
func report(over <-chan struct{}) {
	result := make(chan int)
	go func() {
		select {
		case result <- 1: // never received
		case <-over:
		}
	}()
}

// TestALeakFailsItsTestOnly has two tests side by side: one leaks, and the other one
// runs a sound server.
// soon returns a configuration with which a leak is told in seconds, however late the
// snapshots of a starved machine are.
func soon() detectors.LeakConfig {
	c := detectors.DefaultLeakConfig()
	c.MinAge, c.MaxAge, c.Window, c.Warmup = time.Second, 8*time.Second, 10*time.Second, time.Millisecond
	c.Steps, c.MinSteps, c.MaxExits, c.MaxAway = 2, 1, 1, 1
	return c
}

func TestALeakFailsItsTestOnly(t *testing.T) {
	over := make(chan struct{})
	leaked := make(chan struct{})
	t.Run("group", func(t *testing.T) {
		t.Run("leak", func(t *testing.T) {
			t.Parallel()
			defer close(leaked)
			tb := &fake{TB: t, name: t.Name()}
			w := watch(tb, io.Discard, WithDetectors(detectors.NewLeak(soon())), WithInterval(otelgoroutine.MinInterval))
			require.NotNil(t, w)
			for ticker := time.NewTicker(10 * time.Millisecond); len(w.Findings()) == 0; <-ticker.C {
				if runtime.NumGoroutine() < 10_000 { // however slow the machine is
					report(over)
				}
			}
			close(over) // as the end of the server does, in which they were
			said := tb.end()
			assert.Contains(t, said, "\nleak (suspected), found after ")
			assert.Contains(t, said, "goroutinetest.report.func1(...)")
			assert.Contains(t, said, "select")
		})
		t.Run("server", func(t *testing.T) {
			t.Parallel()
			tb := &fake{TB: t, name: t.Name()}
			w := watch(tb, io.Discard, WithScale(quick))
			require.NotNil(t, w)
			serve(t, leaked)
			assert.Empty(t, tb.end())
		})
	})
}

// serve runs a sound server under load until over is closed: workers, a lock that all
// requests need, a pool of connections, and goroutines that wait for as long as the
// server lasts.
func serve(t *testing.T, over <-chan struct{}) {
	t.Helper()
	jobs := make(chan chan int)
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for answer := range jobs {
				answer <- 1
			}
		})
	}
	var mu sync.Mutex
	served := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		answer := make(chan int, 1)
		jobs <- answer
		mu.Lock()
		defer mu.Unlock()
		served += <-answer
	}))
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() { call(t, server, over) })
	}
	callers.Wait()
	server.Close()
	close(jobs)
	running.Wait()
	assert.Positive(t, served)
}

// TestAHangFails has a server whose workers get stuck after a while, with all requests
// behind them.
func TestAHangFails(t *testing.T) {
	tb := &fake{TB: t, name: t.Name()}
	w := watch(tb, io.Discard, WithScale(quick))
	require.NotNil(t, w)
	paper, end := context.WithTimeout(t.Context(), 3*time.Second) // five minutes, scaled
	defer end()
	repaired := make(chan struct{})
	jobs := make(chan chan int)
	var running sync.WaitGroup
	for range 3 {
		running.Go(func() { work(paper, jobs, repaired) })
	}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		answer := make(chan int, 1)
		jobs <- answer
		<-answer
	}))
	var callers sync.WaitGroup
	for range 12 {
		callers.Go(func() { call(t, server, repaired) })
	}
	awaitFinding(t, w)
	close(repaired)
	callers.Wait()
	server.Close()
	close(jobs)
	running.Wait()
	said := tb.end()
	assert.Contains(t, said, "\nhang (")
	assert.Contains(t, said, "goroutinetest.work(...)")
}

// work answers until there is no paper, and then waits until it is repaired.
func work(paper context.Context, jobs <-chan chan int, repaired <-chan struct{}) {
	for answer := range jobs {
		if paper.Err() != nil {
			<-repaired
		}
		answer <- 1
	}
}

// call calls a server again and again until over is closed.
func call(t *testing.T, server *httptest.Server, over <-chan struct{}) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-over:
			return
		case <-ticker.C:
			response, err := server.Client().Get(server.URL)
			if assert.NoError(t, err) {
				assert.NoError(t, response.Body.Close())
			}
		}
	}
}

// TestAShortTestSaysWhatWasNotJudged also checks that nothing is left behind.
func TestAShortTestSaysWhatWasNotJudged(t *testing.T) {
	tb := &fake{TB: t, name: t.Name()}
	require.NotNil(t, Watch(tb))
	assert.Empty(t, tb.end())
	require.Len(t, tb.logs, 1)
	assert.Contains(t, tb.logs[0], "goroutinetest: when the test ended after 0s: ")
	assert.Contains(t, tb.logs[0], "leak")
	s := profiled(2)
	for _, g := range s.Groups {
		assert.NotContains(t, g.CreatedBy.Function, "/otelgoroutine.", "%s", g.Stack.Text(1000))
	}
}

// TestMarks has names of which the beginnings are the same.
func TestMarks(t *testing.T) {
	long := strings.Repeat("Grüße/", 100)
	for _, name := range []string{"TestA", "TestA/b", long, long + "x"} {
		mark := markOf(name)
		assert.LessOrEqual(t, len(mark), parse.MaxLabelBytes)
		assert.Equal(t, mark, strings.ToValidUTF8(mark, ""))
	}
	assert.NotEqual(t, markOf(long), markOf(long+"x"))
	o := owner{test: "TestA"}
	for mark, other := range map[string]bool{"": false, "TestA": false, "TestA/b": false, "TestAB": true, "TestB": true} {
		assert.Equal(t, other, o.isOther(mark), mark)
	}
}

// TestSightings has goroutines that have left when the second watcher sees the finding
// about them.
func TestSightings(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	parked := make(chan struct{})
	go pprof.Do(ctx, pprof.Labels(label, "TestB"), func(ctx context.Context) {
		defer close(parked)
		stay(ctx)
	})
	var f detectors.Finding
	require.Eventually(t, func() bool {
		for _, g := range profiled(0).Groups {
			if g.Stack.User().Function == "github.com/otelgoroutine/go/goroutinetest.stay" {
				f.Stack = g.Stack
			}
		}
		return f.Stack != nil
	}, patient, time.Millisecond)
	b, a := &owner{test: "TestB"}, &owner{test: "TestA"}
	assert.True(t, b.owns(&f))
	cancel()
	<-parked
	require.Eventually(t, func() bool { return marksByStack(profiled(0))[f.Stack.ID] == nil }, patient, time.Millisecond)
	assert.False(t, a.owns(&f), "another watcher has seen whose they were")
	sightings.Lock()
	clear(sightings.byStack)
	sightings.Unlock()
	assert.True(t, a.owns(&f), "in doubt")
}

func stay(ctx context.Context) { <-ctx.Done() }

func TestOptionsAreChecked(t *testing.T) {
	for want, opts := range map[string][]Option{
		"goroutinetest: option 1 is nil":                               {WithScale(1), nil},
		"goroutinetest: WithScale(0): the factor must be 0.01 to 1":    {WithScale(0)},
		"goroutinetest: WithScale(2): the factor must be 0.01 to 1":    {WithScale(2)},
		"goroutinetest: WithInterval(1ms): the interval must be 100ms": {WithInterval(time.Millisecond)},
		"goroutinetest: WithDetectors(): at least one":                 {WithDetectors()},
		"goroutinetest: WithScale and WithDetectors":                   {WithScale(0.5), WithDetectors(detectors.Default()...)},
		"goroutinetest: WithConfidence(confidence(0))":                 {WithConfidence(0)},
		"goroutinetest: otelgoroutine: WithKnownStacks":                {WithKnownStacks(detectors.KnownStack{})},
		"goroutinetest: otelgoroutine: WithDetectors":                  {WithDetectors(detectors.Scaled(-1)...)},
	} {
		tb := &fake{TB: t, name: t.Name()}
		assert.Nil(t, Watch(tb, opts...), want)
		assert.Contains(t, tb.end(), want)
	}
}

// park waits for the end of the test.
func park(t *testing.T) { <-t.Context().Done() }

// telling is a detector that reports goroutines in park, with a confidence, while on
// returns true.
func telling(c detectors.Confidence, on func() bool) *detectors.Detector {
	return &detectors.Detector{Name: "telling", Run: func(p *detectors.Pass) error {
		for _, g := range p.Snapshot.Groups {
			if on() && g.Stack.User().Function == "github.com/otelgoroutine/go/goroutinetest.park" {
				p.Report(detectors.Finding{Confidence: c, Stack: g.Stack, State: g.State, Count: g.Count, Message: "It is so."})
			}
		}
		return nil
	}}
}

func always() bool { return true }

func TestConfidence(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		found detectors.Confidence
		opts  []Option
		fails bool
	}{
		{detectors.Medium, nil, false},
		{detectors.Suspected, nil, true},
		{detectors.Medium, []Option{WithConfidence(detectors.Medium)}, true},
		{detectors.High, []Option{WithConfidence(detectors.Certain)}, false},
	} {
		tb := &fake{TB: t, name: t.Name()}
		w := watch(tb, io.Discard, append(tc.opts, WithDetectors(telling(tc.found, always)), WithInterval(otelgoroutine.MinInterval))...)
		require.NotNil(t, w)
		go park(t)
		require.Eventually(t, func() bool { return len(w.monitor.Findings()) > 0 }, patient, time.Millisecond)
		assert.Equal(t, tc.fails, tb.end() != "", "%v", tc)
	}
}

func TestWhatEndedIsToldToo(t *testing.T) {
	t.Parallel()
	tb := &fake{TB: t, name: t.Name()}
	found := make(chan struct{})
	w := watch(tb, io.Discard, WithInterval(otelgoroutine.MinInterval), WithDetectors(telling(detectors.High, func() bool {
		select {
		case <-found:
			return false
		default:
			return true
		}
	})))
	require.NotNil(t, w)
	go park(t)
	awaitFinding(t, w)
	close(found)
	require.Eventually(t, func() bool { return len(w.monitor.Findings()) == 0 }, patient, time.Millisecond)
	said := tb.end()
	assert.Contains(t, said, "telling (high)")
	assert.Contains(t, said, "It ended before the test did: ")
}
