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

	"github.com/otelgoroutine/go/bench/detection/internal/events"
	"github.com/otelgoroutine/go/bench/detection/internal/fault"
	"github.com/otelgoroutine/go/bench/detection/internal/leaks"
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

func TestBadFlags(t *testing.T) {
	for name, args := range map[string][]string{
		`-run "(": `:                    {"-run", "("},
		`-as: "twice": allowed are all`: {"-as", "twice"},
		"-scale 2: allowed are":         {"-scale", "2"},
		"-parallel 0: allowed are":      {"-parallel", "0"},
		"-duration 1ms: allowed are":    {"-duration", "1ms"},
		`unknown argument "x"`:          {"x"},
	} {
		var stderr bytes.Buffer
		assert.Equal(t, 2, run(t.Context(), args, &stderr, &stderr))
		assert.Contains(t, stderr.String(), name)
	}
	var stdout bytes.Buffer
	assert.Zero(t, run(t.Context(), []string{"--help"}, &stdout, &stdout))
	assert.Contains(t, stdout.String(), "go run ./bench/detection/goroot")
}

func TestJudge(t *testing.T) {
	leaked := []leaks.Group{{Count: 2, Functions: []string{"runtime.gopark", "main.wait", "main.serve"}}, {Count: 1, Functions: []string{"main.other"}}}
	hit := events.Finding{At: time.Second, Detector: "leak", Confidence: "suspected", Function: "main.wait"}
	info := events.Finding{Detector: "surge", Confidence: "info", Function: "main.wait"}
	stall := events.Finding{Detector: "stall", Confidence: "medium", Function: "main.wait"}
	elsewhere := events.Finding{Detector: "leak", Confidence: "suspected", Function: "main.sound"}
	for want, seen := range map[string]fault.Observation{
		"found by leak (suspected) after 1s: main.wait; 3 leaked": {Leaked: leaked, Findings: []events.Finding{info, elsewhere, hit}},
		"NOT FOUND: 3 leaked": {Leaked: leaked, Findings: []events.Finding{info, stall}},
		"NOT FOUND: 3 leaked; unconfirmed: leak (suspected) main.sound":      {Leaked: leaked, Findings: []events.Finding{elsewhere, elsewhere}},
		"the fault did not happen":                                           {},
		"the fault did not happen; unconfirmed: leak (suspected) main.sound": {Findings: []events.Finding{elsewhere}},
	} {
		r := judge("x", &seen, nil)
		assert.Equal(t, want, r.String())
	}
	results := []result{
		judge("a", &fault.Observation{Leaked: leaked, Findings: []events.Finding{hit}}, nil),
		judge("b", &fault.Observation{Leaked: leaked}, nil),
		judge("c", &fault.Observation{}, nil),
		judge("d", &fault.Observation{Findings: []events.Finding{elsewhere}}, nil),
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
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(ctx, []string{"-run", "^MutexHeap$", "-duration", "10s"}, &stdout, &stderr), "%s", &stderr)
	assert.Contains(t, stdout.String(), runtime.Version())
	assert.Contains(t, stdout.String(), "| repeated | 1 of 1 (100 %) | 0 | 0 | 0 |")
	assert.Contains(t, stderr.String(), "MutexHeap, repeated: found by deadlock (high) after ")
}
