// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const crashed = `panic: no account for alice@example.com

goroutine 7 [running]:
main.transfer(0xc000012340)
	/app/main.go:12 +0x1d
created by main.main in goroutine 1
	/app/main.go:5 +0x1d
`

// What a program gave to panic is for the one who has the input. What is passed on has it
// only with --values; what the runtime says is in all of them.
func TestMessagesOfPanicsStayWithTheInput(t *testing.T) {
	const secret, instead = "no account for alice", "(a message of the program; --values shows it)"
	bundle := filepath.Join(t.TempDir(), "bundle")
	for _, c := range []struct {
		args  []string
		shown bool
	}{
		{nil, true},
		{[]string{"-f", "json"}, false},
		{[]string{"-f", "html"}, false},
		{[]string{"-f", "json", "--values"}, true},
		{[]string{"-f", "html", "--values"}, true},
		{[]string{"--bundle", bundle}, false},
	} {
		status, stdout, stderr := call(t, crashed, append([]string{"report", "-"}, c.args...)...)
		require.Zero(t, status, stderr)
		if len(c.args) > 0 && c.args[0] == "--bundle" {
			stdout = contentOf(t, bundle)
		}
		assert.Equal(t, c.shown, strings.Contains(stdout, secret), c.args)
		assert.NotEqual(t, c.shown, strings.Contains(stdout, instead), c.args)
	}
	_, stdout, _ := call(t, strings.Replace(crashed, "no account for alice@example.com", "runtime error: index out of range [5] with length 3", 1), "report", "-", "-f", "json")
	assert.Contains(t, stdout, "index out of range [5] with length 3")
}

// contentOf returns all files of a folder, one after the other.
func contentOf(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var all bytes.Buffer
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		all.Write(data)
	}
	return all.String()
}

// A crash without any goroutine is told as well.
func TestACrashWithoutGoroutines(t *testing.T) {
	for input, want := range map[string]string{
		"fatal error: no goroutines (main called runtime.Goexit) - deadlock!\n": "The main goroutine called runtime.Goexit, and all others ended",
		"panic: boom\n": "Panic in a goroutine: boom.",
		"2026/01/02 03:04:05 starting\npanic: boom\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1]\n": "Panic in a goroutine: boom.",
	} {
		status, stdout, stderr := call(t, input, "report", "-")
		assert.Zero(t, status, stderr)
		assert.Contains(t, stdout, "crash (certain): "+want)
	}
	status, _, stderr := call(t, "WARNING: DATA RACE\n", "report", "-")
	requireOneLine(t, status, stderr, "no goroutine found")
}

// Each crash of a log has its own message, however its lines are written.
func TestTheLastCrashOfALog(t *testing.T) {
	log := crashed + "\nexit status 2\nrestarting\npanic: first [recovered]\n\tpanic: second\n\n" + strings.ReplaceAll(crashed[strings.Index(crashed, "goroutine 7"):], "goroutine 7", "goroutine 9")
	status, stdout, stderr := call(t, strings.ReplaceAll(log, "main.transfer(0xc000012340)\n\t/app/main.go:12 +0x1d\n", "main.f()\n\t/app/main.go:9 +0x1\npanic({0x1, 0x2})\n\t/go/panic.go:1 +0x1\nmain.transfer(0xc000012340)\n\t/app/main.go:12 +0x1d\n"), "report", "-")
	require.Zero(t, status, stderr)
	assert.Contains(t, stdout, "Panic in goroutine 9 at main.transfer (main.go:12): first.")
	assert.Contains(t, stdout, "A deferred function panicked in turn, which ended the process: second.")

	long := "fatal error: fault\n[signal SIGSEGV: segmentation violation code=0x80 addr=0x0 pc=0x1]\n\nruntime stack:\n" + strings.Repeat("runtime.throw({0x1, 0x2})\n\t/go/src/runtime/panic.go:1 +0x1\n", 40) + "\n" + crashed[strings.Index(crashed, "goroutine 7"):]
	_, stdout, _ = call(t, long, "report", "-")
	assert.Contains(t, stdout, "Memory fault in goroutine 7 at main.transfer (main.go:12)", "the stack of the runtime is longer than what is kept from before a dump")
}
