// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/otlptest"
)

// asProgram is the variable that makes the test binary behave as the example,
// so that the race detector covers the child processes as well.
const asProgram = "OTELGOROUTINE_EXAMPLE_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	_ = os.Unsetenv(endpointVariable)
	goleak.VerifyTestMain(m)
}

// child returns a command that runs the example as a separate process.
func child(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// call runs the example in this process.
func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = run(t.Context(), args, &out, &err)
	return status, out.String(), err.String()
}

func TestWrongFlagsEndWithStatus2AndSayWhatIsAccepted(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	tests := map[string]struct {
		args []string
		want []string
	}{
		"unknown fault":      {[]string{"-faults", "leek"}, []string{`"leek"`, "all, none", "leak, deadlock, hang, nilchan"}},
		"one unknown fault":  {[]string{"-faults", "leak,x"}, []string{`"x"`, "leak, deadlock, hang, nilchan"}},
		"all with another":   {[]string{"-faults", "all,leak"}, []string{`"all"`}},
		"no fault":           {[]string{"-faults", ""}, []string{`""`}},
		"negative duration":  {[]string{"-duration", "-45s"}, []string{"-duration -45s", "at least 1s"}},
		"tiny duration":      {[]string{"-duration", "1ms"}, []string{"at least 1s"}},
		"faults for nothing": {[]string{"-faults-for", "1ns"}, []string{"-faults-for 1ns", "at least 1s"}},
		"no unit":            {[]string{"-duration", "45"}, []string{"45", "duration"}},
		"unknown load":       {[]string{"-load", "heavy"}, []string{`-load "heavy"`, "steady, light or tides"}},
		"tiny interval":      {[]string{"-interval", "1ms"}, []string{"-interval 1ms", "200ms to 2s"}},
		"long interval":      {[]string{"-interval", "1m"}, []string{"-interval 1m0s", "200ms to 2s"}},
		"out of reach":       {[]string{"-out", filepath.Join(dir, "none", "f")}, []string{"-out", "no such file"}},
		"out is a folder":    {[]string{"-out", dir}, []string{"-out", "is a directory"}},
		"no profiles":        {[]string{"-profiles", filepath.Join(dir, "none")}, []string{"-profiles", "no such file"}},
		"profiles a file":    {[]string{"-profiles", file}, []string{"-profiles", "not a directory"}},
		"http without port":  {[]string{"-http", "localhost"}, []string{`-http "localhost"`, "host:port", "off"}},
		"argument":           {[]string{"now"}, []string{`"now"`}},
		"unknown flag":       {[]string{"-fault", "none"}, []string{"-fault"}},
		"two mistakes":       {[]string{"-faults", "x", "-interval", "1m"}, []string{`"x"`, "-interval"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := call(t, test.args...)
			assert.Equal(t, 2, status)
			assert.Empty(t, stdout)
			for _, want := range append(test.want, "-help") {
				assert.Contains(t, stderr, want)
			}
		})
	}
}

func TestOutNeedsTheEmbeddedReceiver(t *testing.T) {
	t.Setenv(endpointVariable, "http://localhost:4317")
	path := filepath.Join(t.TempDir(), "otlp.jsonl")
	status, _, stderr := call(t, "-out", path)
	assert.Equal(t, 2, status)
	assert.Contains(t, stderr, endpointVariable)
	assert.NoFileExists(t, path)
}

// The first sentence says what will happen, before anything is started.
func TestWhatWillHappenIsSaidFirst(t *testing.T) {
	for want, o := range map[string]options{
		"This runs a small service under its own load, with faults on purpose (leak, hang), until Ctrl-C.\nThe first findings come within a minute.\n":                                                                                               {faults: []string{"leak", "hang"}},
		"This runs a small service under its own load, with faults on purpose (leak; switched off after 40s), for 45s or until Ctrl-C.\n":                                                                                                            {faults: []string{"leak"}, faultsFor: 40 * time.Second, duration: 45 * time.Second},
		"This runs a small service under its own load, without faults, until Ctrl-C.\nSettings of a demonstration: a snapshot every 500ms, with up to 100 % of a core;\ndetectors judge within seconds. The defaults are 15s, 0.5 %, and minutes.\n": {interval: 500 * time.Millisecond},
	} {
		var text bytes.Buffer
		(&output{options: o, out: &text}).announce()
		assert.True(t, strings.HasPrefix(text.String(), want), "%s", &text)
		assert.Contains(t, text.String(), "Settings of a demonstration")
	}
}

func TestHelp(t *testing.T) {
	status, stdout, stderr := call(t, "--help")
	assert.Zero(t, status)
	assert.Empty(t, stderr)
	for _, want := range append([]string{"Examples:", "go run ./example", "-duration", "-out", "-interval", "NO_COLOR", endpointVariable}, faultNames...) {
		assert.Contains(t, stdout, want)
	}
	for line := range strings.Lines(stdout) {
		assert.LessOrEqual(t, len(line), 81, line)
	}
}

func TestFaults(t *testing.T) {
	for value, want := range map[string][]string{
		"all":          {"leak", "deadlock", "hang", "nilchan"},
		"none":         nil,
		"leak":         {"leak"},
		"nilchan,leak": {"nilchan", "leak"},
	} {
		o, err := parseOptions([]string{"-faults", value}, nil)
		require.NoError(t, err)
		assert.Equal(t, want, o.faults)
	}
}

func TestTheDemonstrationHasEveryDefaultDetector(t *testing.T) {
	names := func(all []*detectors.Detector) (names []string) {
		for _, d := range all {
			names = append(names, d.Name)
		}
		return names
	}
	assert.Equal(t, names(detectors.Default()), names(hasty()))
	assert.NoError(t, detectors.Validate(hasty()))
}

func TestFullDiskEndsWithStatus1(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/dev/full is Linux's")
	}
	t.Parallel()
	out, err := child(t.Context(), "-duration", "3s", "-faults", "none", "-out", "/dev/full").CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 1, exit.ExitCode())
	assert.Contains(t, string(out), "Summary of ", "the rest works on")
	assert.Contains(t, string(out), "example: -out /dev/full: line 1:")
	assert.Contains(t, string(out), "no space left")
}

func TestInterruptEndsWithASummary(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no interrupts there")
	}
	t.Parallel()
	cmd := child(t.Context())
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())

	text := readUntil(t, stdout, "findings open")
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	text += readUntil(t, stdout, "events")
	require.NoError(t, cmd.Wait(), "%s", &stderr)
	assert.True(t, strings.HasPrefix(text, "This runs a small service "), text)
	assert.Contains(t, text, "Summary of ")
	assertQuiet(t, stderr.String())
}

// readUntil reads until a word appears.
func readUntil(t *testing.T, from interface{ Read([]byte) (int, error) }, word string) string {
	t.Helper()
	var text strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(text.String(), word) {
		n, err := from.Read(buf)
		text.Write(buf[:n])
		require.NoError(t, err, "%s", &text)
	}
	return text.String()
}

func TestExportsToTheEndpointOfTheEnvironment(t *testing.T) {
	t.Parallel()
	var elsewhere otlptest.Recorder
	r, err := otlptest.Start(&elsewhere)
	require.NoError(t, err)
	defer func() { assert.NoError(t, r.Stop()) }()

	cmd := child(t.Context(), "-duration", "12s", "-faults", "nilchan")
	cmd.Env = append(cmd.Env, endpointVariable+"=http://"+r.Addr())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, elsewhere.MetricNames(), "goroutine.count")
	assert.NotEmpty(t, elsewhere.Events("goroutine.blocked_forever.detected"))
	assert.Equal(t, "otelgoroutine-example", elsewhere.Resource()["service.name"])
	assert.Contains(t, string(out), "telemetry goes to http://"+r.Addr())
	assert.Contains(t, string(out), "findings open: 1")
	assert.Contains(t, string(out), "Stopping: what is left is sent to http://"+r.Addr())
	assert.Contains(t, string(out), "blocked_forever")
	assert.Contains(t, string(out), "Summary of ")
}
