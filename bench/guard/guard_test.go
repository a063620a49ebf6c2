// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	_ "github.com/otelgoroutine/go/otelgoroutine" // so that go test's cache knows what is measured
)

var update = flag.Bool("update", false, "write testdata/figures.json")

// A figure is what one unit of a job costs.
type figure struct {
	Statements  float64 `json:"statements"`
	Allocations float64 `json:"allocations"`
	Bytes       float64 `json:"bytes"`
}

// units says what the figures of each job are for.
var units = map[string]string{
	"snapshot":  "goroutine",
	"trace":     "goroutine",
	"profile":   "goroutine",
	"dump":      "goroutine",
	"detectors": "stack and snapshot",
	"collect":   "collection",
}

const (
	figures = "testdata/figures.json"
	// tolerated is by how much a figure may be worse.
	tolerated = 1.1
	// slack is for figures near zero: a buffer more in a whole run, not one
	// for each goroutine.
	slackAllocations, slackBytes = 0.01, 16
)

// covered are the packages whose statements count, and the program, whose own
// do not: without counters in package main there would be none at all.
const covered = "./work,github.com/otelgoroutine/go/goroutine,github.com/otelgoroutine/go/detectors," +
	"github.com/otelgoroutine/go/otelgoroutine,github.com/otelgoroutine/go/internal/..."

func TestCost(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the library with counters")
	}
	tellCache(t, "work")
	program := filepath.Join(t.TempDir(), "work.exe")
	command(t, nil, "go", "build", "-cover", "-covermode=atomic", "-coverpkg="+covered, "-o", program, "./work")
	committed := read(t)
	measured := make(map[string]figure)
	for job, unit := range units {
		t.Run(job, func(t *testing.T) {
			got := measure(t, program, job)
			measured[job] = got
			want := committed[job]
			t.Logf("a %s: %.3g statements, %.3g allocations, %.3g bytes; committed: %.3g, %.3g, %.3g",
				unit, got.Statements, got.Allocations, got.Bytes, want.Statements, want.Allocations, want.Bytes)
			if !*update {
				compare(t, got, want)
			}
		})
	}
	if *update && !t.Failed() {
		data, err := json.MarshalIndent(measured, "", "\t")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(figures, append(data, '\n'), 0o666))
	}
}

// tellCache opens the files of a program that is built from here. go test would
// else not run again when they change.
func tellCache(t *testing.T, dir string) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		_, err := os.ReadFile(file)
		require.NoError(t, err)
	}
}

func read(t *testing.T) (committed map[string]figure) {
	data, err := os.ReadFile(figures)
	if *update && os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &committed))
	return committed
}

func compare(t assert.TestingT, got, want figure) {
	assert.LessOrEqual(t, got.Statements, want.Statements*tolerated, "statements")
	assert.LessOrEqual(t, got.Allocations, want.Allocations*tolerated+slackAllocations, "allocations")
	assert.LessOrEqual(t, got.Bytes, want.Bytes*tolerated+slackBytes, "bytes")
}

// measure does a job in three processes and returns the least that one of its
// units costs: a garbage collection in the middle of a trace adds events to it.
func measure(t *testing.T, program, job string) figure {
	least := measureOnce(t, program, job)
	for range 2 {
		again := measureOnce(t, program, job)
		least.Statements = min(least.Statements, again.Statements)
		least.Allocations = min(least.Allocations, again.Allocations)
		least.Bytes = min(least.Bytes, again.Bytes)
	}
	return least
}

func measureOnce(t *testing.T, program, job string) figure {
	counters := t.TempDir()
	out := command(t, []string{"GOCOVERDIR=" + counters, "GOMAXPROCS=2"}, program, job)
	var printed struct{ Units, Allocations, Bytes float64 }
	require.NoError(t, json.Unmarshal(out, &printed), "%s", out)
	text := filepath.Join(t.TempDir(), "counters.txt")
	command(t, nil, "go", "tool", "covdata", "textfmt", "-i="+counters, "-o="+text)
	executed := statements(t, text)
	require.Positive(t, executed)
	return figure{executed / printed.Units, printed.Allocations / printed.Units, printed.Bytes / printed.Units}
}

// block is a line of the counters: the place of a block of code, how many
// statements it has and how often it was executed.
var block = regexp.MustCompile(`(?m)^(\S+) (\d+) (\d+)$`)

// statements adds up what was executed.
func statements(t *testing.T, file string) (sum float64) {
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, m := range block.FindAllSubmatch(data, -1) {
		if bytes.Contains(m[1], []byte("/bench/")) {
			continue
		}
		n, err := strconv.ParseFloat(string(m[2]), 64)
		require.NoError(t, err)
		times, err := strconv.ParseFloat(string(m[3]), 64)
		require.NoError(t, err)
		sum += n * times
	}
	return sum
}

// command runs a program and returns its output.
func command(t *testing.T, env []string, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s %v: %s", name, args, stderr.Bytes())
	return out
}

// TestCompare holds the guard to its word: a tenth more passes, more does not.
func TestCompare(t *testing.T) {
	committed := figure{Statements: 100, Allocations: 10, Bytes: 1000}
	for name, c := range map[string]struct {
		got figure
		bad int
	}{
		"the same":         {committed, 0},
		"a tenth":          {figure{109, 10.9, 1090}, 0},
		"less":             {figure{1, 1, 1}, 0},
		"more statements":  {figure{112, 10, 1000}, 1},
		"more allocations": {figure{100, 11.1, 1000}, 1},
		"more bytes":       {figure{100, 10, 1120}, 1},
	} {
		var failures failures
		compare(&failures, c.got, committed)
		assert.Len(t, failures, c.bad, name)
	}
}

type failures []string

func (f *failures) Errorf(format string, args ...any) { *f = append(*f, format) }
