// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/report"
)

// The tests of this file hold those promises of a guide to goroutine profiling that are
// the command's. otelgoroutine/guide_test.go has the others.

// dumpOf writes a goroutine dump with so many goroutines in each state.
func dumpOf(t *testing.T, counts map[string]int) string {
	t.Helper()
	var b strings.Builder
	id := 0
	for state, n := range counts {
		for range n {
			id++
			fmt.Fprintf(&b, "goroutine %d [%s]:\nmain.in%s()\n\t/src/main.go:%d +0x1d\ncreated by main.main in goroutine 1\n\t/src/main.go:9 +0x1d\n\n",
				id, state, regexp.MustCompile("[^A-Za-z]").ReplaceAllString(state, ""), len(state))
		}
	}
	path := filepath.Join(t.TempDir(), "dump.txt")
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o600))
	return path
}

// Analysis of a profile file: the total, the top functions with counts and percentages
// (flat and cumulative), all traces with counts, categories, and a health assessment.
func TestGuide5AnalysisOfAFile(t *testing.T) {
	path := filepath.Join(files(t), "profile.pb.gz")
	status, text, stderr := call(t, "", "report", path)
	require.Zero(t, status, stderr)
	total, err := strconv.Atoi(regexp.MustCompile(`(?m)^(\d+) goroutines at `).FindStringSubmatch(text)[1])
	require.NoError(t, err)
	percent := func(n int) string { return fmt.Sprintf("%d +%.1f%%", n, 100*float64(n)/float64(total)) }
	assert.Regexp(t, `(?m)^Functions, flat \(\d+ of \d+\)\n +flat +flat% +cum +cum%\n +`+percent(13)+` +`+percent(13)+`  main.worker$`, text)
	_, cumulative, found := strings.Cut(text, "\nFunctions, cumulative (")
	require.True(t, found)
	assert.Regexp(t, `(?m)^ +`+percent(13)+` +`+percent(13)+`  main.worker$`, cumulative)
	requireTarget(t, jsonReport(t, path))
	traced := 0
	for _, n := range regexp.MustCompile(`(?m)^ +(\d+) +\d+\.\d%  .*  [0-9a-f]{16}`).FindAllStringSubmatch(text, -1) {
		count, err := strconv.Atoi(n[1])
		require.NoError(t, err)
		traced += count
	}
	assert.Equal(t, total, traced, "all traces")

	of := func(counts map[string]int) *report.Report { return jsonReport(t, dumpOf(t, counts)) }
	categories := make(map[string]int)
	for _, c := range of(map[string]int{
		"chan receive": 3, "select": 1, "sync.Mutex.Lock": 5, "sync.RWMutex.RLock": 1, "IO wait": 7, "sleep": 2, "waiting": 4, "running": 1, "syscall": 1,
	}).Categories {
		categories[c.Name] = c.Count
	}
	for name, want := range map[string]int{"channel": 4, "mutex": 6, "network": 7, "timer": 2, "parked": 4} {
		assert.Equal(t, want, categories[name], name)
	}

	for name, tt := range map[string]struct {
		counts map[string]int
		over   []string // checks over their thresholds, with their levels
	}{
		"small":            {map[string]int{"running": 1000}, nil},
		"over 1k":          {map[string]int{"running": 1001}, []string{"goroutines note"}},
		"over 10k":         {map[string]int{"running": 10_001}, []string{"goroutines warn"}},
		"80 % blocked":     {map[string]int{"running": 20, "IO wait": 80}, nil},
		"over 80 %":        {map[string]int{"running": 19, "IO wait": 81}, []string{"blocked note"}},
		"30 % on mutexes":  {map[string]int{"running": 70, "sync.Mutex.Lock": 30}, nil},
		"over 30 %":        {map[string]int{"running": 69, "sync.Mutex.Lock": 31}, []string{"mutex warn"}},
		"50 % on channels": {map[string]int{"running": 50, "chan receive": 50}, nil},
		"over 50 %":        {map[string]int{"running": 49, "chan receive": 51}, []string{"channel note"}},
	} {
		var over []string
		for _, c := range of(tt.counts).Health.Over() {
			over = append(over, c.Name+" "+string(c.Level))
		}
		assert.Equal(t, tt.over, over, name)
	}
}

// What the command saves opens in go tool pprof. The commands without Graphviz are in
// TestWhatIsSavedOpensInPprof; web draws what dot writes.
func TestGuide6WhatIsSavedOpensInPprof(t *testing.T) {
	saved := filepath.Join(t.TempDir(), "saved.pb.gz")
	status, _, stderr := call(t, "", "report", "--format", "pprof", "-o", saved, filepath.Join(files(t), "trace.out"))
	require.Zero(t, status, stderr)
	c := exec.Command("go", "tool", "pprof", saved)
	c.Stdin = strings.NewReader("top 100\ntraces\npeek main.worker\nlist main.worker\ndot\n")
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	answers := strings.Split(string(out), "(pprof) ")
	require.Len(t, answers, 7, "%s", out)
	for _, answer := range answers[1:6] {
		assert.Contains(t, answer, "worker")
	}
}

// Remote captures have a time limit.
func TestGuide7RemoteCapturesAreLimited(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(silent.Close)
	status, _, stderr := call(t, "", "report", "--timeout", "100ms", silent.URL)
	requireOneLine(t, status, stderr, "within 100ms (--timeout)")
}

// One command turns a profile into a folder of top functions, traces, a graph and the
// report: of a file and of a running process.
func TestGuide8OneCommandMakesAFolder(t *testing.T) {
	addr, _ := start(t)
	for name, subject := range map[string]string{"a file": filepath.Join(files(t), "profile.pb.gz"), "a process": "http://" + addr} {
		bundle := filepath.Join(t.TempDir(), "folder")
		status, _, stderr := call(t, "", "report", "--bundle", bundle, subject)
		require.Zero(t, status, stderr)
		for file, want := range map[string]string{
			"top.txt": `(?m)^ +13 +\d+\.\d% +13 +\d+\.\d%  main.worker$`, "traces.txt": `(?m)^ +7 +\d+\.\d%  sync.Mutex.Lock`,
			"graph.svg": `<svg[^>]*>(?s:.*)main.worker(?s:.*)</svg>`, "report.txt": `(?m)^Health: `, "report.html": `(?i)^<!doctype html>`,
		} {
			data, err := os.ReadFile(filepath.Join(bundle, file))
			if assert.NoError(t, err, name) {
				assert.Regexp(t, want, string(data), "%s of %s", file, name)
			}
		}
		data, err := os.ReadFile(filepath.Join(bundle, "report.json"))
		require.NoError(t, err)
		var r report.Report
		require.NoError(t, json.Unmarshal(data, &r))
		requireTarget(t, &r)
		out, err := exec.Command("go", "tool", "pprof", "-top", filepath.Join(bundle, "profile.pb.gz")).CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Contains(t, string(out), "main.worker")
	}
}
