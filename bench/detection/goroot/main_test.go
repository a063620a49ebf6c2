// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/bench/detection/internal/watch"
	"github.com/otelgoroutine/go/bench/internal/lab"
)

func TestAdapt(t *testing.T) {
	for source, want := range map[string]string{
		`	prof := pprof.Lookup("goroutineleak")`: `	prof := lookup(pprof.Lookup)`,
		`	for i := 0; i < 1000; i++ {`:           `	for i := 0; i < instances(1000); i++ {`,
		`	for i := 0; i < 2; i++ {`:              `	for i := 0; i < 2; i++ {`,
		`	for i := 0; i < yieldCount; i++ {`:     `	for i := 0; i < yieldCount; i++ {`,
	} {
		assert.Equal(t, want, string(adapt([]byte(source))))
	}
}

func TestNoSources(t *testing.T) {
	_, err := layOver(t.TempDir(), "", t.TempDir())
	assert.ErrorContains(t, err, "testgoroutineleakprofile: the sources of Go 1.26 or later have them")
}

// call runs the program in this process.
func call(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = lab.Status(ctx, run, args, &out, &errs)
	return status, out.String(), errs.String()
}

func TestFlags(t *testing.T) {
	status, _, stderr := call(t.Context(), "-as", "twice")
	assert.Equal(t, 2, status)
	assert.Contains(t, stderr, `"twice" must be all, or some of repeated, once, proof`)
	status, stdout, _ := call(t.Context(), "--help")
	assert.Zero(t, status)
	assert.Contains(t, stdout, "go run -C bench ./detection/goroot")
}

func TestJudge(t *testing.T) {
	leaked := []watch.Group{{Count: 2, Functions: []string{"runtime.gopark", "main.wait", "main.serve"}}, {Count: 1, Functions: []string{"main.other"}}}
	hit := watch.Finding{At: time.Second, Detector: "leak", Confidence: "suspected", Function: "main.wait"}
	info := watch.Finding{Detector: "surge", Confidence: "info", Function: "main.wait"}
	stall := watch.Finding{Detector: "stall", Confidence: "medium", Function: "main.wait"}
	elsewhere := watch.Finding{Detector: "leak", Confidence: "suspected", Function: "main.sound"}
	for want, seen := range map[string]watch.Observation{
		"found by leak (suspected) after 1s: main.wait; 3 leaked": {Leaked: leaked, Findings: []watch.Finding{info, elsewhere, hit}},
		"NOT FOUND: 3 leaked": {Leaked: leaked, Findings: []watch.Finding{info, stall}},
		"NOT FOUND: 3 leaked; unconfirmed: leak (suspected) main.sound":      {Leaked: leaked, Findings: []watch.Finding{elsewhere, elsewhere}},
		"the fault did not happen":                                           {},
		"the fault did not happen; unconfirmed: leak (suspected) main.sound": {Findings: []watch.Finding{elsewhere}},
	} {
		r := judge("x", &seen, nil)
		assert.Equal(t, want, r.String())
	}
	results := []result{
		judge("a", &watch.Observation{Leaked: leaked, Findings: []watch.Finding{hit}}, nil),
		judge("b", &watch.Observation{Leaked: leaked}, nil),
		judge("c", &watch.Observation{}, nil),
		judge("d", &watch.Observation{Findings: []watch.Finding{elsewhere}}, nil),
		judge("e", nil, errors.New("no")),
	}
	assert.Equal(t, tally{found: 1, happened: 2, unhappened: 2, failed: 1, unconfirmed: 1}, count(results))
	assert.True(t, count(results).tooFew())
	assert.False(t, tally{found: 19, happened: 20}.tooFew())
}

// A fault of the Go distribution is built, happens, is found, and is what the
// runtime's own profile says.
func TestAFaultIsFound(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it builds a program, for Go 1.26 with the runtime")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	goroot, err := output(ctx, "go", "env", "GOROOT")
	require.NoError(t, err)
	if _, err := os.Stat(filepath.Join(goroot, faultsDir)); err != nil {
		t.Skipf("a Go without the tests of its runtime: %v", err)
	}
	status, stdout, stderr := call(ctx, "-run", "^MutexHeap$", "-duration", "10s")
	require.Zero(t, status, stderr)
	assert.Contains(t, stdout, runtime.Version())
	assert.Regexp(t, `\| repeated \| 1 of 1 \(100 %\) \| +0 \| +0 \| +0 \|`, stdout)
	assert.Regexp(t, `MutexHeap, repeated: found by deadlock \((medium|high)\) after `, stderr)
}
