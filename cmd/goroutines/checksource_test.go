// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/cmd/goroutines/internal/pipeline"
	"github.com/otelgoroutine/go/detectors"
)

// dumps are those of real faults.
const dumps = "../../internal/diagnosis/testdata/"

// checked checks a source and returns the result.
func checked(t *testing.T, want int, args ...string) map[string]pipeline.Rule {
	t.Helper()
	status, stdout, stderr := call(t, "", append([]string{"check", "--format", "json"}, args...)...)
	require.Equal(t, want, status, stderr)
	var r pipeline.Result
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	assert.Equal(t, pipeline.SchemaVersion, r.SchemaVersion)
	assert.Equal(t, want == statusFindings, r.Failed)
	rules := make(map[string]pipeline.Rule)
	for _, rule := range r.Rules {
		rules[rule.Name] = rule
	}
	require.Len(t, rules, len(r.Rules), "each rule once")
	return rules
}

func TestCheckOfDumps(t *testing.T) {
	rules := checked(t, statusFindings, dumps+"panic-nil-map.txt")
	assert.Equal(t, pipeline.Failed, rules["crash"].Status)
	assert.Contains(t, rules["crash"].Findings[0].Message, "assignment to entry in nil map")
	assert.Equal(t, pipeline.Passed, rules["deadlock"].Status, "a dump suffices")
	assert.Equal(t, pipeline.Skipped, rules["leak"].Status, "one dump does not show it")
	assert.Contains(t, rules["leak"].Reason, "snapshots over at least")

	rules = checked(t, statusOK, dumps+"signal-quit.txt") // a sound process that was asked for its dump
	assert.Equal(t, pipeline.Warned, rules["crash"].Status)
	assert.Equal(t, detectors.Info.String(), rules["crash"].Findings[0].Confidence)
	assert.False(t, rules["crash"].Findings[0].Fails)

	rules = checked(t, statusOK, "--fail-on", "certain", filepath.Join(files(t), "profile.pb.gz"))
	assert.Equal(t, "a goroutine dump is needed", rules["crash"].Reason)
	assert.Equal(t, pipeline.Skipped, rules["deadlock"].Status, "a profile does not suffice")
}

// TestCheckFailsOn checks that suspicions fail only if asked for.
func TestCheckFailsOn(t *testing.T) {
	suspicion := dumps + "pasted/lock-order-two.txt" // medium
	for condition, want := range map[string]int{"": statusOK, "none": statusOK, "certain": statusOK, "suspected": statusOK, "medium": statusFindings, "any": statusFindings} {
		args := []string{"--fail-on", condition, suspicion}
		if condition == "" {
			args = []string{suspicion}
		}
		rule := checked(t, want, args...)["deadlock"]
		assert.Equal(t, want == statusFindings, rule.Findings[0].Fails, condition)
	}
	checked(t, statusOK, "--fail-on", "none", dumps+"panic-nil-map.txt")
}

func TestCheckFormats(t *testing.T) {
	crash, sound := dumps+"panic-nil-map.txt", dumps+"signal-quit.txt"
	for format, want := range map[string]string{
		"text":   "failed  crash (certain): Panic in goroutine 1 (main)",
		"github": "::error title=goroutines%3A crash (certain)::Panic in goroutine 1 (main)",
		"junit":  `<failure message="Panic in goroutine 1 (main)`,
		"sarif":  `"level": "error"`,
		"json":   `"failed": true`,
	} {
		status, stdout, stderr := call(t, "", "check", "-f", format, crash)
		assert.Equal(t, statusFindings, status, stderr)
		assert.Contains(t, stdout, want)
		status, twin, stderr := call(t, "", "check", "-f", format, sound)
		assert.Zero(t, status, stderr)
		assert.NotContains(t, twin, want)
		assert.NotEmpty(t, twin)
		assert.NotRegexp(t, `0x[0-9a-f]`, stdout+twin, "no addresses")
	}
	status, stdout, _ := call(t, "", "check", "-f", "junit", crash)
	assert.Equal(t, statusFindings, status)
	require.NoError(t, xml.Unmarshal([]byte(stdout), new(struct{})))
}

// TestCheckWritesAFile checks that a person who reads the log sees the result, too.
func TestCheckWritesAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "goroutines.xml")
	status, stdout, stderr := call(t, "", "check", "-f", "junit", "-o", name, dumps+"panic-nil-map.txt")
	assert.Equal(t, statusFindings, status, stderr)
	assert.Contains(t, stdout, "failed (1 failed")
	assert.NotContains(t, stdout, "<")
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Contains(t, string(data), "<testsuites")
}

// TestCheckFindsTheFiles checks that a program that was built elsewhere is shown in
// the checkout.
func TestCheckFindsTheFiles(t *testing.T) {
	status, stdout, stderr := call(t, "", "check", "-f", "github", "--source-root", "../../internal/diagnosis/testdata/gen", dumps+"panic-nil-map.txt")
	assert.Equal(t, statusFindings, status, stderr)
	assert.Contains(t, stdout, "::error file=main.go,line=112,title=")
	_, stdout, _ = call(t, "", "check", "-f", "github", dumps+"panic-nil-map.txt")
	assert.NotContains(t, stdout, "file=", "this directory has a main.go, but not that one")
}

// TestCheckOfAProcess uses a process with a deadlock, and one without.
func TestCheckOfAProcess(t *testing.T) {
	addr, _ := start(t)
	rules := checked(t, statusOK, "--samples", "3", "--every", "1ms", addr)
	assert.Equal(t, pipeline.Warned, rules["blocked_forever"].Status)
	assert.Equal(t, pipeline.Skipped, rules["leak"].Status)
	checked(t, statusFindings, "--fail-on", "any", addr)

	sound := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "goroutine 1 [IO wait]:\ninternal/poll.runtime_pollWait(0x1, 0x72)\n\t/go/src/runtime/netpoll.go:351 +0x85\nmain.main()\n\t/src/main.go:1 +0x1\n")
	}))
	defer sound.Close()
	rules = checked(t, statusOK, "--fail-on", "any", "--endpoint", "dump", sound.URL)
	assert.Equal(t, pipeline.Passed, rules["blocked_forever"].Status)
}

// TestCheckOfALogWithoutGoroutines checks that nothing passes by mistake.
func TestCheckOfALogWithoutGoroutines(t *testing.T) {
	log := "ok  \texample.test/shop\t0.02s\n"
	status, stdout, stderr := call(t, log, "check", "-")
	requireOneLine(t, status, stderr, "no goroutine found")
	assert.Empty(t, stdout)

	status, stdout, stderr = call(t, log, "check", "--allow-none", "-")
	assert.Zero(t, status, stderr)
	assert.Contains(t, stdout, "-: passed (1 passed, ")
	assert.Contains(t, stdout, "passed  crash\n")
	assert.Contains(t, stdout, "skipped leak: the input has no goroutines\n")

	crash, err := os.ReadFile(dumps + "panic-nil-map.txt")
	require.NoError(t, err)
	status, _, stderr = call(t, log+string(crash), "check", "--allow-none", "-")
	assert.Equal(t, statusFindings, status, stderr)
	status, _, stderr = call(t, "", "check", "--allow-none", "-")
	requireOneLine(t, status, stderr, "it is empty") // what should have written it has failed
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, log) }))
	defer page.Close()
	status, _, stderr = call(t, "", "check", "--allow-none", "--endpoint", "dump", page.URL)
	requireOneLine(t, status, stderr, "no goroutine found") // a process has goroutines
	name := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(name, []byte(log), 0o600))
	status, _, stderr = call(t, "", "check", "--allow-none", name, dumps+"panic-nil-map.txt")
	requireOneLine(t, status, stderr, "no goroutine found") // what comes after it is not read
	status, _, stderr = call(t, "", "check", "--allow-none", "/does/not/exist")
	requireOneLine(t, status, stderr, "/does/not/exist: no such file")
}

func TestCheckOfADamagedDump(t *testing.T) {
	crash, err := os.ReadFile(dumps + "panic-nil-map.txt")
	require.NoError(t, err)
	cut := string(crash) + "\ngoroutine 9 [chan receive]:\nmain.serve(0xc0000"
	for format, want := range map[string]string{
		"text": "Not all of it could be read: ", "junit": `<error message="not all of the input could be read"`,
		"sarif": `"executionSuccessful": false`, "github": "::error title=goroutines::not all of -", "json": `"incomplete": "`,
	} {
		status, stdout, stderr := call(t, cut, "check", "-f", format, "-")
		requireOneLine(t, status, stderr, "ends within a call")
		assert.Contains(t, stdout, want)
	}
}

// TestCheckOfProgramsInEveryFormat uses a sound program and one that is not safe
// to trace.
func TestCheckOfProgramsInEveryFormat(t *testing.T) {
	unsafe := spoiling(t, []string{"GOOS=linux", "GOARCH=amd64"})
	sound, err := targetBinary()
	require.NoError(t, err)
	for format, want := range map[string]string{
		"text": ": not safe to trace ", "json": `"verdict": "unsafe"`,
		"junit": `<failure message="` + unsafe + ` (go1.`, "sarif": `"ruleId": "trace_safety"`, "github": "::error title=goroutines%3A trace_safety (high)::",
	} {
		status, stdout, stderr := call(t, "", "check", "-f", format, unsafe)
		assert.Equal(t, statusFindings, status, stderr)
		assert.Contains(t, stdout, want)
		assert.Contains(t, stdout, "main.spoil")
		status, stdout, stderr = call(t, "", "check", "-f", format, sound)
		assert.Zero(t, status, stderr)
		assert.NotContains(t, stdout, want)
	}
}

func TestCheckUsage(t *testing.T) {
	program, err := targetBinary()
	require.NoError(t, err)
	dump := dumps + "signal-quit.txt"
	core := filepath.Join(t.TempDir(), "core")
	require.NoError(t, os.WriteFile(core, []byte("\x7fELF and no program"), 0o600))
	for want, args := range map[string][]string{
		"no source; give a file": {},
		`--format "yaml" is unknown; it must be text, json, junit, sarif or github`:      {"--format", "yaml", dump},
		`--fail-on "much" is unknown; it must be any, health, or a confidence`:           {"--fail-on", "much", dump},
		"--fail-on health is for report; of check it must be any, none, or a confidence": {"--fail-on", "health", dump},
		"--source-root: stat /does/not/exist: no such file":                              {"--source-root", "/does/not/exist", dump},
		"is an executable; check takes one executable, or sources of a series":           {dump, program},
		"--samples: " + program + " is an executable; the flag is for processes":         {"--samples", "2", program},
		"--fail-on: " + program + " is an executable; the flag is for processes":         {"--fail-on", "any", program},
		"--samples needs exactly one source":                                             {"--samples", "2", dump},
		core + ": ":                                                                      {core},
	} {
		status, stdout, stderr := call(t, "", append([]string{"check"}, args...)...)
		requireOneLine(t, status, stderr, want)
		assert.Empty(t, stdout)
		assert.False(t, strings.Contains(stderr, "panic"))
	}
}
