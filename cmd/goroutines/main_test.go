// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/report"
)

// call runs the command in this process.
func call(t testing.TB, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = run(t.Context(), args, strings.NewReader(stdin), &out, &err)
	return status, out.String(), err.String()
}

// jsonReport runs the command report and returns its result.
func jsonReport(t testing.TB, args ...string) *report.Report {
	t.Helper()
	status, stdout, stderr := call(t, "", append([]string{"report", "-format", "json"}, args...)...)
	require.Zero(t, status, stderr)
	var r report.Report
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	return &r
}

// targetBinary is testdata/target, built with the Go version of the test.
var targetBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "target")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "target")
	out, err := exec.Command("go", "build", "-o", binary, "./testdata/target").CombinedOutput()
	if err != nil {
		os.Stderr.Write(out)
	}
	return binary, err
})

// beTheCommand is a variable that turns this binary into the command itself,
// for tests that need a separate process.
const beTheCommand = "GOROUTINES_TEST_COMMAND"

func TestMain(m *testing.M) {
	if dir := os.Getenv(beKubectl); dir != "" {
		fakeKubectl(dir)
	}
	if os.Getenv(beTheCommand) != "" {
		main()
	}
	status := m.Run()
	if binary, err := targetBinary(); err == nil {
		os.RemoveAll(filepath.Dir(binary))
	}
	os.Exit(status)
}

// target returns the command that runs the target.
func target(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	binary, err := targetBinary()
	require.NoError(t, err)
	return exec.CommandContext(t.Context(), binary, args...)
}

// files makes the target write every format and returns the directory.
func files(t testing.TB, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	out, err := target(t, append(args, "-files", dir)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return dir
}

// start starts the target and returns its address.
func start(t testing.TB, args ...string) (addr string, stop func()) {
	t.Helper()
	c := target(t, args...)
	stdout, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	stop = sync.OnceFunc(func() { c.Process.Kill(); c.Wait() })
	t.Cleanup(stop)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line), stop
}

func TestHelpHasExamples(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"-help"}, {"report", "--help"}, {"man", "--help"}, {"diff", "--help"}, {"watch", "-h"}, {}} {
		status, stdout, stderr := call(t, "", args...)
		assert.Zero(t, status)
		assert.Contains(t, stdout, "Examples:\n  goroutines ")
		assert.Empty(t, stderr)
	}
	status, stdout, _ := call(t, "", "completion", "bash")
	assert.Zero(t, status)
	assert.Contains(t, stdout, "bash completion")
}

func TestUsageErrors(t *testing.T) {
	for _, c := range []struct {
		want string
		args []string
	}{
		{"unknown command", []string{"reprot"}},
		{"give a file, a URL", []string{"report"}},
		{"two sources", []string{"diff", "a"}},
		{"give a file, a URL", []string{"watch"}},
		{`--format "yaml" is unknown; it must be text, json, html or pprof`, []string{"report", "-format", "yaml", "x"}},
		{`--fail-on "much" is unknown; it must be any, health, or a confidence (info, medium, suspected, confirmed, high, certain)`, []string{"report", "-fail-on", "much", "x"}},
		{`--endpoint "heap" is unknown; it must be auto, trace, profile or dump`, []string{"report", "-endpoint", "heap", "x"}},
		{"--samples needs exactly one source", []string{"report", "-samples", "3", "x"}},
		{"--samples 0", []string{"report", "-samples", "0", "x"}},
		{"--top 0", []string{"report", "-top", "0", "x"}},
		{"--every -1s", []string{"report", "-every", "-1s", "x"}},
		{"--timeout 0s is too short; it must be greater than 0", []string{"report", "-timeout", "0s", "x"}},
		{"--user has no colon; it must be name:password", []string{"report", "-user", "me", "x"}},
		{`--header: entry 1 is no header; it must be "Name: value"`, []string{"report", "-header", "secret", "x"}},
		{"--header: open", []string{"report", "-header", "@/does/not/exist", "x"}},
		{`"--max-size" flag: must be a positive number of bytes`, []string{"report", "-max-size", "lots", "x"}},
		{"several processes", []string{"report", "localhost:1", "localhost:2"}},
		{"--cert and --key must be given together", []string{"report", "-cert", "x", "localhost:1"}},
		{"--ca: open", []string{"report", "-ca", "/does/not/exist", "localhost:1"}},
		{"not the address of a process", []string{"watch", "file.txt"}},
		{"--interval 1ms", []string{"watch", "-interval", "1ms", "localhost:1"}},
		{`--otlp "ftp://x" is no endpoint; it must be host:port, http://host:port or https://host:port`, []string{"watch", "-otlp", "ftp://x", "localhost:1"}},
		{`--otlp-protocol "smoke" is unknown; it must be grpc or http/protobuf`, []string{"watch", "-otlp", "x:1", "-otlp-protocol", "smoke", "localhost:1"}},
		{"--service-instance", []string{"watch", "-service-instance", "x", "localhost:1", "localhost:2"}},
		{"/localhost:1/debug/pprof: the same process is given twice", []string{"watch", "localhost:1", "http://localhost:1/debug/pprof"}},
		{`--format "yaml" is unknown; it must be text or json`, []string{"watch", "-format", "yaml", "localhost:1"}},
		{"--time-scale", []string{"watch", "-time-scale", "0", "localhost:1"}},
		{"unknown flag", []string{"report", "--nonsense", "x"}},
	} {
		status, stdout, stderr := call(t, "", c.args...)
		assert.Equal(t, statusBad, status, c.args)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, c.want)
		assert.Equal(t, 1, strings.Count(stderr, "\n"), "one line: %q", stderr)
		assert.NotContains(t, stderr, "secret")
	}
}
