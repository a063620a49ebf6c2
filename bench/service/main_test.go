// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// TestMain lets the test binary be the server, as the program itself is.
func TestMain(m *testing.M) {
	lab.Child(serve)
	os.Exit(m.Run())
}

// call runs the program in this process, and its servers in processes of their
// own.
func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = lab.Status(t.Context(), run, args, &out, &err)
	return status, out.String(), err.String()
}

func TestASmallRun(t *testing.T) {
	var progress bytes.Buffer
	all, err := runAll(t.Context(), options{parked: []int{100}, variants: variants, loads: []string{steady}, duration: 150 * time.Millisecond, warmup: 50 * time.Millisecond, seed: 7}, &progress)
	require.NoError(t, err, progress.String())
	assert.Contains(t, progress.String(), "seed 7\n100 parked, saturation, round 1, off ... ")
	require.Len(t, all, 1)
	for _, v := range variants {
		m := all[0].of(steady, v.name, 0)
		require.NotNil(t, m, v.name)
		assert.Equal(t, all[0].capacity/2, m.rate)
		checkMeasurement(t, m)
		if v.source == "" {
			assert.Zero(t, m.seen, v.name)
		} else {
			assert.Positive(t, m.seen, "%s: its number of goroutines came over OTLP", v.name)
		}
	}
	var b strings.Builder
	require.NoError(t, (&report{scenarios: all}).print(&b))
	assert.Regexp(t, `\| +\| +off \| +off again \| +on \| +contrib \| +naive \|`, b.String())
	assert.Contains(t, b.String(), "PASS every request answered")
	assert.Contains(t, b.String(), "MISS a regular snapshot", "there is none in 150 ms")
}

// checkMeasurement holds what is true of every machine.
func checkMeasurement(t *testing.T, m *measurement) {
	t.Helper()
	assert.Positive(t, m.requests, m.variant.name)
	assert.Zero(t, m.errors, "%s: %v", m.variant.name, m.err)
	assert.Empty(t, m.Troubles, m.variant.name)
	assert.EqualValues(t, m.requests, m.Hits+m.Reads+m.Writes, m.variant.name)
	assert.Positive(t, m.p50, m.variant.name)
	assert.GreaterOrEqual(t, m.p99, m.p50, m.variant.name)
	assert.GreaterOrEqual(t, m.p999, m.p99, m.variant.name)
	assert.GreaterOrEqual(t, m.max, m.p999, m.variant.name)
	if _, err := os.Stat("/proc/self/status"); err == nil {
		assert.Positive(t, m.CPU, m.variant.name)
		assert.Positive(t, m.generatorCPU, m.variant.name)
		assert.Positive(t, m.Resident, m.variant.name)
		assert.GreaterOrEqual(t, m.Peak, m.Resident, m.variant.name)
	}
}

const shortTime = 100 * time.Millisecond

func TestSaturation(t *testing.T) {
	var stderr bytes.Buffer
	p := plan{parked: 10, variant: variants[0], load: saturation, duration: shortTime}
	m, err := measure(t.Context(), p, &stderr)
	require.NoError(t, err, stderr.String())
	checkMeasurement(t, &m)
	assert.Zero(t, m.late)
}

func TestAServerThatFailsIsTold(t *testing.T) {
	var stderr bytes.Buffer
	_, err := measure(t.Context(), plan{parked: 10, variant: variant{name: "none"}, load: saturation, duration: shortTime}, &stderr)
	assert.ErrorContains(t, err, "the server did not start")
	assert.Contains(t, stderr.String(), `no variant "none"`)
}

func TestWrongFlagsEndWithStatus2AndSayWhatIsAccepted(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want []string
	}{
		"number not a number": {[]string{"-parked", "1k,many"}, []string{`"many"`, "1 to 300000"}},
		"none parked":         {[]string{"-parked", "0"}, []string{`"0"`, "1 to 300000"}},
		"too many parked":     {[]string{"-parked", "301k"}, []string{`"301k"`}},
		"number overflows":    {[]string{"-parked", "9223372036854775807k"}, []string{"-parked"}},
		"no number":           {[]string{"-parked", ""}, []string{`""`}},
		"too many rounds":     {[]string{"-rounds", "101"}, []string{`"101"`, "1 to 100"}},
		"argument":            {[]string{"now"}, []string{`"now"`}},
		"unknown flag":        {[]string{"-round", "1"}, []string{"-round"}},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := call(t, tt.args...)
			assert.Equal(t, 2, status)
			assert.Empty(t, stdout)
			for _, want := range append(tt.want, "--help") {
				assert.Contains(t, stderr, want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	status, stdout, stderr := call(t, "--help")
	assert.Zero(t, status)
	assert.Empty(t, stderr)
	for _, want := range []string{"go run -C bench ./service", "-parked", "-quick", "-seed"} {
		assert.Contains(t, stdout, want)
	}
}
