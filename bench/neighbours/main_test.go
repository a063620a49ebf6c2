// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"regexp"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// childVariable makes the test binary the program.
const childVariable = "OTELGOROUTINE_NEIGHBOURS"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestAFewCaptures runs the program, for some ten seconds on an idle machine.
func TestAFewCaptures(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	if raceEnabled {
		t.Skip("Start and Stop of runtime/trace.FlightRecorder race with its Enabled and WriteTo, in Go 1.26 and 1.27")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute) // go test ends it after ten
	defer cancel()
	self, err := os.Executable()
	require.NoError(t, err)
	command := exec.CommandContext(ctx, self, "-quick", "-pieces", "2", "-captures", "300")
	command.Env = append(os.Environ(), childVariable+"=1")
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	require.NoError(t, command.Run(), "%s\n%s", &said, &out)
	assert.Len(t, regexp.MustCompile(`(?m)^## `).FindAllString(out.String(), -1), len(phases), out.String())
	assert.Regexp(t, `(?m)^By source: .*\btrace(_window)? \d+`, out.String())
	t.Log(out.String())
}

func TestBadArguments(t *testing.T) {
	for _, args := range [][]string{{"-captures", "0"}, {"-pieces", "1"}, {"x"}} {
		assert.ErrorContains(t, run(t.Context(), args, nil, nil), "must be at least 1")
	}
}

// usages returns a series of n samples.
func usages(n int, f func(i int64) usage) *series {
	s := &series{}
	for i := range n {
		s.all = append(s.all, f(int64(i)))
	}
	return s
}

func TestWhatGrowsIsAFault(t *testing.T) {
	flat := func(i int64) usage {
		return usage{live: (20 + i%8) << 20, rss: (100 + i%40) << 20, threads: 10 + i%5, fds: 20 + i%7, goroutines: 250 + i%30}
	}
	assert.Empty(t, usages(samples, flat).faults(1))
	assert.Empty(t, usages(0, flat).faults(1))
	for what, grow := range map[string]func(u *usage, i int64){
		"live heap":        func(u *usage, i int64) { u.live += i << 20 },
		"resident memory":  func(u *usage, i int64) { u.rss += i << 21 },
		"threads":          func(u *usage, i int64) { u.threads += i },
		"file descriptors": func(u *usage, i int64) { u.fds += i },
		"goroutines":       func(u *usage, i int64) { u.goroutines += 3 * i },
	} {
		faults := usages(samples, func(i int64) usage {
			u := flat(i)
			grow(&u, i)
			return u
		}).faults(1)
		assert.Len(t, faults, 1, what)
		assert.Contains(t, faults[0], what)
	}
}

func TestMeasuresThisProcess(t *testing.T) {
	u := measure()
	assert.Positive(t, u.goroutines)
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("the system does not tell")
	}
	assert.Greater(t, u.rss, int64(1<<20))
	assert.Positive(t, u.threads)
	assert.Positive(t, u.fds)
}

// traced returns a trace with these numbers.
func traced(t *testing.T, numbers ...int) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, trace.Start(&b))
	for _, n := range numbers {
		trace.Log(t.Context(), beatCategory, strconv.Itoa(n))
	}
	trace.Stop()
	return b.Bytes()
}

func TestAGapInATraceIsAFault(t *testing.T) {
	last, err := checkTrace(traced(t, 7, 8, 9))
	require.NoError(t, err)
	assert.Equal(t, int64(9), last)
	_, err = checkTrace(traced(t, 7, 9))
	assert.ErrorContains(t, err, `"9" follows 7`)
	whole := traced(t, 7, 8, 9)
	_, err = checkTrace(whole[:len(whole)-10])
	assert.Error(t, err)
	_, err = checkTrace(nil)
	assert.Error(t, err)
}

func TestAMissingGoroutineIsAFault(t *testing.T) {
	profiled := func(n int) []byte {
		ctx, end := context.WithCancel(t.Context())
		var all, arrived sync.WaitGroup
		arrived.Add(n)
		for range n {
			all.Go(func() { parked(ctx, &arrived) })
		}
		arrived.Wait()
		defer all.Wait()
		defer end()
		var b bytes.Buffer
		require.NoError(t, pprof.Lookup("goroutine").WriteTo(&b, 0))
		return b.Bytes()
	}
	assert.NoError(t, checkGoroutines(profiled(population)))
	assert.NoError(t, checkWall(profiled(population)))
	assert.ErrorContains(t, checkGoroutines(profiled(population-1)), "199 of the 200")
	assert.ErrorContains(t, checkWall(profiled(population-1)), "199 samples")
	assert.Error(t, checkGoroutines([]byte("no profile")))
}

func TestAMissingUploadIsAFault(t *testing.T) {
	d := &datadog{sequences: []int{1, 0, 0, 2}} // one was sent again
	d.ended()
	assert.Empty(t, d.faultList())
	d = &datadog{sequences: []int{0, 1, 3}}
	d.ended()
	assert.Equal(t, []string{"upload 2 is missing"}, d.faultList())
}

func TestATimeWithoutAProfileIsAFault(t *testing.T) {
	u := &pyroscopeServer{spans: map[string][]timeSpan{kindHeap: {{20, 30}, {10, 20}, {30, 40}}, kindCPU: {{10, 19}, {20, 30}}}}
	u.ended(false)
	assert.Empty(t, u.faultList())
	u = &pyroscopeServer{spans: map[string][]timeSpan{kindHeap: {{10, 20}, {30, 40}}}}
	u.ended(true)
	assert.Equal(t, []string{kindHeap + ": 10 ns are missing between profiles 0 and 1", "no CPU time in all CPU profiles"}, u.faultList())
}

func TestMessages(t *testing.T) {
	series := bytes.Repeat([]byte("1,"), 100)
	at, err := checkMessage([]byte(`{"event":"metrics","data":{"timestamp":5,"series":[` + string(series) + `1]}}`))
	require.NoError(t, err)
	assert.Equal(t, int64(5), at)
	for _, text := range []string{"", `{"event":"metrics","data":{"timestamp":5,"series":{}}}`, `{"event":"metrics","data":{"series":[` + string(series) + `1]}}`} {
		_, err := checkMessage([]byte(text))
		assert.Error(t, err, text)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	l := &ledger{}
	for i := range 3 * maxFaults {
		l.fault("fault %d", i)
	}
	list := l.faultList()
	assert.Len(t, list, maxFaults+1)
	assert.Equal(t, "and 20 more", list[maxFaults])
}
