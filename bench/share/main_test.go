// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// TestMain lets the test binary be a service, as the program itself is.
func TestMain(m *testing.M) {
	lab.Child(observe)
	os.Exit(m.Run())
}

func TestASmallRun(t *testing.T) {
	var progress bytes.Buffer
	rows, err := measureAll(t.Context(), options{parked: []int{5}, busy: []int{1000}, span: 100 * time.Millisecond}, &progress)
	require.NoError(t, err)
	assert.Contains(t, progress.String(), "[4/4] ")
	require.Len(t, rows, 2)
	for i, parked := range []int{5, 1000} {
		assert.Equal(t, parked, rows[i].parked)
		assert.GreaterOrEqual(t, rows[i].on.Elapsed, 100*time.Millisecond)
		assert.GreaterOrEqual(t, rows[i].off.Elapsed, 100*time.Millisecond)
		assert.Zero(t, rows[i].off.Snapshots)
	}
}

func TestTheReport(t *testing.T) {
	rows := []row{
		{1000, 0, answer{CPU: 20 * time.Millisecond, Elapsed: 10 * time.Minute}, answer{260 * time.Millisecond, 10 * time.Minute, 40}},
		{10_000, 20, answer{CPU: 0, Elapsed: 10 * time.Minute}, answer{6 * time.Second, 10 * time.Minute, 40}},
	}
	var b strings.Builder
	table(&b, rows)
	lab.PrintChecks(&b, check(rows))
	assert.Regexp(t, `\| 1,000 +\| +0.040 % \| +40 \| +15.0 \| +6.00 ms \| +0.003 % \|`, b.String())
	assert.Contains(t, b.String(), "PASS share of a core, 1,000 goroutines: 0.040 % of a budget of 0.50 %, with 40 snapshots")
	assert.Contains(t, b.String(), "MISS share of a core, 10,000 busy goroutines: 1.00 % of a budget of 0.50 %, with 40 snapshots")
}

func TestFlags(t *testing.T) {
	o, err := parseOptions([]string{"-parked", "1k", "-busy", "5", "-for", "5m"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, options{[]int{1000}, []int{5}, warmUp, 5 * time.Minute}, o)
	_, err = parseOptions([]string{"-for", "0s"}, io.Discard)
	assert.ErrorContains(t, err, "must be 1s to 24h0m0s")
}
