// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The variables that change what is shown on a terminal.
var terminalVariables = []string{"NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM", pagerVariable, "PAGER", "LESS", "LV"}

// command returns the command as a process of its own, with these variables and none that
// change the terminal beside them.
func command(t *testing.T, variables []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), self, args...)
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		drop := false
		for _, n := range terminalVariables {
			drop = drop || n == name
		}
		if !drop {
			c.Env = append(c.Env, v)
		}
	}
	c.Env = append(append(c.Env, beTheCommand+"=1", "TERM=xterm"), variables...)
	return c
}

// onTerminal runs the command on a terminal and returns what it shows there.
func onTerminal(t *testing.T, c *exec.Cmd, columns, rows uint16) (shown string, status int) {
	t.Helper()
	var stderr bytes.Buffer // has notes, which are not wrapped
	c.Stderr = &stderr
	f, err := pty.StartWithSize(c, &pty.Winsize{Cols: columns, Rows: rows})
	require.NoError(t, err)
	defer f.Close()
	var b bytes.Buffer
	b.ReadFrom(f) // ends with an error when the process has ended
	c.Wait()
	return strings.ReplaceAll(b.String(), "\r\n", "\n"), c.ProcessState.ExitCode()
}

// dump is a dump of a real deadlock, with long names.
const dump = "../../internal/diagnosis/testdata/corpus/channel-send-under-lock.txt.gz"

// saidBy returns what a text says, without colours, line breaks and indentation.
func saidBy(text string) string {
	return strings.Join(strings.FieldsFunc(ansi.Strip(text), func(r rune) bool { return r == ' ' || r == '\n' || r == '\t' }), "")
}

// clock matches what changes from run to run.
var clock = regexp.MustCompile(`took[^)]*\)|Newestsnapshot.*?old\.`)

// On a terminal each line fits, and nothing is left out but the folders of files.
func TestTextFitsTheTerminal(t *testing.T) {
	status, piped, stderr := call(t, "", "report", dump)
	require.Zero(t, status, stderr)
	assert.NotContains(t, piped, "\x1b")
	assert.Contains(t, piped, "/bench/detection/corpus/lock.go:391)", "the whole path")
	folders := regexp.MustCompile(`\([^ ()]*/([^ ()/]*:\d+\))`)
	full := clock.ReplaceAllString(saidBy(folders.ReplaceAllString(piped, "($1")), "")
	for _, width := range []uint16{20, 40, 60, 80, 120, 200} {
		shown, status := onTerminal(t, command(t, nil, "report", "--no-pager", dump), width, 24)
		require.Zero(t, status, shown)
		assert.Contains(t, shown, "\x1b[1mFindings\x1b[m\n")
		for line := range strings.Lines(shown) {
			assert.LessOrEqual(t, ansi.StringWidth(strings.TrimSuffix(line, "\n")), max(leastWidth, int(width)), line)
		}
		assert.Equal(t, full, clock.ReplaceAllString(saidBy(shown), ""), width)
	}
}

func TestDiffFitsTheTerminal(t *testing.T) {
	shown, status := onTerminal(t, command(t, nil, "diff", "--no-pager", dump, strings.Replace(dump, "send", "reply", 1)), 60, 24)
	require.Zero(t, status, shown)
	assert.Contains(t, shown, "\x1b[1mAppeared (")
	for line := range strings.Lines(shown) {
		assert.LessOrEqual(t, ansi.StringWidth(strings.TrimSuffix(line, "\n")), 60, line)
	}
}

// Colours follow the flag, then the variables, then what standard output is.
func TestColors(t *testing.T) {
	for _, c := range []struct {
		variables []string
		args      []string
		terminal  bool
		pipe      bool
	}{
		{nil, nil, true, false},
		{[]string{"NO_COLOR=1"}, nil, false, false},
		{[]string{"NO_COLOR=yes"}, nil, false, false},
		{[]string{"NO_COLOR="}, nil, true, false},
		{[]string{"CLICOLOR=0"}, nil, false, false},
		{[]string{"CLICOLOR=1"}, nil, true, false},
		{[]string{"CLICOLOR_FORCE=1"}, nil, true, true},
		{[]string{"CLICOLOR_FORCE=0"}, nil, true, false},
		{[]string{"CLICOLOR_FORCE=1", "NO_COLOR=1"}, nil, false, false},
		{[]string{"TERM=dumb"}, nil, false, false},
		{[]string{"TERM=dumb", "NO_COLOR=1"}, []string{"--color", "always"}, true, true},
		{[]string{"CLICOLOR_FORCE=1"}, []string{"--color=never"}, false, false},
	} {
		args := append([]string{"report", "--no-pager", dump}, c.args...)
		name := fmt.Sprint(c.variables, c.args)
		shown, status := onTerminal(t, command(t, c.variables, args...), 80, 24)
		assert.Zero(t, status, name)
		assert.Equal(t, c.terminal, strings.Contains(shown, "\x1b"), "%s on a terminal", name)
		out, err := command(t, c.variables, args...).Output()
		require.NoError(t, err, name)
		assert.Equal(t, c.pipe, bytes.Contains(out, []byte("\x1b")), "%s into a pipe", name)
		assert.Contains(t, string(out), "/bench/detection/corpus/lock.go:391)", "a pipe gets the whole path, also with colours")
	}
	status, _, stderr := call(t, "", "report", "--color", "allways", dump)
	requireOneLine(t, status, stderr, `--color "allways" is unknown; did you mean "always"? it must be auto, always or never`)
}

// A pager shows what does not fit on the terminal. Neither its absence nor its end
// changes the exit status.
func TestPager(t *testing.T) {
	dir := t.TempDir()
	script := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755))
		return path
	}
	whole := script("whole", "echo PAGER LESS=$LESS LV=$LV $1\ncat\nexit 7\n")
	early := script("early", "head -n 1\nexit 0\n")
	first := strings.Split(string(must(command(t, nil, "report", dump).Output())), "\n")[0][:20]
	for name, c := range map[string]struct {
		variables []string
		args      []string
		rows      uint16
		pager     string // what it prints; "" if it must not run
		all       bool   // all of the report is shown
	}{
		"long":                   {[]string{pagerVariable + "=" + whole}, nil, 24, "PAGER LESS=FRX LV=-c\n", true},
		"with an argument":       {[]string{pagerVariable + "=" + whole + " x"}, nil, 24, "PAGER LESS=FRX LV=-c x\n", true},
		"by a shell":             {[]string{pagerVariable + "=A=x " + whole + " $A | sed s/PAGER/SHELL/"}, nil, 24, "SHELL LESS=FRX LV=-c\n", true},
		"its own variables":      {[]string{pagerVariable + "=" + whole, "LESS=S", "LV=x"}, nil, 24, "PAGER LESS=S LV=x\n", true},
		"PAGER":                  {[]string{"PAGER=" + whole}, nil, 24, "PAGER ", true},
		"ours goes before PAGER": {[]string{"PAGER=" + early, pagerVariable + "=" + whole}, nil, 24, "PAGER ", true},
		"it fits":                {[]string{pagerVariable + "=" + whole}, nil, 1000, "", true},
		"no pager":               {[]string{pagerVariable + "=" + whole}, []string{"--no-pager"}, 24, "", true},
		"empty":                  {[]string{pagerVariable + "=", "PAGER=" + whole}, nil, 24, "", true},
		"cat":                    {[]string{pagerVariable + "=cat", "PAGER=" + whole}, nil, 24, "", true},
		"a dumb terminal":        {[]string{pagerVariable + "=" + whole, "TERM=dumb"}, nil, 24, "", true},
		"missing":                {[]string{pagerVariable + "=no-such-pager -R"}, nil, 24, "", true},
		"missing, by a shell":    {[]string{pagerVariable + "=no-such-pager $A"}, nil, 24, "", true},
		"it reads one line":      {[]string{pagerVariable + "=" + early}, nil, 24, "", false},
		"JSON":                   {[]string{pagerVariable + "=" + whole}, []string{"--format", "json"}, 24, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			for failOn, want := range map[string]int{"medium": 1, "certain": 0} {
				args := append([]string{"report", "--fail-on", failOn, dump}, c.args...)
				shown, status := onTerminal(t, command(t, c.variables, args...), 80, c.rows)
				assert.Equal(t, want, status, "the status is that of the report: %s", shown)
				if c.pager == "" {
					assert.NotContains(t, shown, "PAGER")
				} else {
					assert.Contains(t, shown, c.pager)
				}
				assert.Equal(t, c.all, strings.Contains(shown, first) && strings.Contains(shown, "Detectors that are not judging"))
			}
		})
	}
}

func must(out []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return out
}

// startPager runs the command with a pager, and returns when the pager says READY.
func startPager(t *testing.T, script string, shown *bytes.Buffer) (c *exec.Cmd, terminal *os.File) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pager")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755))
	c = command(t, []string{pagerVariable + "=" + path}, "report", "--fail-on", "medium", dump)
	f, err := pty.StartWithSize(c, &pty.Winsize{Cols: 80, Rows: 24})
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	chunk := make([]byte, 4096)
	for !strings.Contains(shown.String(), "READY") {
		n, err := f.Read(chunk)
		require.NoError(t, err, shown.String())
		shown.Write(chunk[:n])
	}
	return c, f
}

// Ctrl-C is the pager's, which goes on, as less does.
func TestInterruptedInThePager(t *testing.T) {
	var shown bytes.Buffer
	c, terminal := startPager(t, "trap 'echo INTERRUPTED' INT\necho READY\nread x </dev/tty\nread y </dev/tty\necho $x$y\n", &shown)
	_, err := terminal.Write([]byte("\x03on\ngoes\n"))
	require.NoError(t, err)
	shown.ReadFrom(terminal)
	c.Wait()
	assert.Equal(t, statusFindings, c.ProcessState.ExitCode(), shown.String())
	assert.Contains(t, shown.String(), "INTERRUPTED")
	assert.Contains(t, shown.String(), "goes\r\n")
	assert.NotContains(t, shown.String(), "goroutines: interrupted")
}

// SIGTERM ends the pager too.
func TestTerminatedInThePager(t *testing.T) {
	var shown bytes.Buffer
	// A shell runs a trap while it waits for a child, and not while it reads.
	c, terminal := startPager(t, "trap 'echo ENDED; kill $!; exit' TERM\necho READY\nwhile :; do sleep 60 & wait; done\n", &shown)
	require.NoError(t, c.Process.Signal(syscall.SIGTERM))
	shown.ReadFrom(terminal)
	c.Wait()
	assert.Contains(t, shown.String(), "ENDED")
	assert.Equal(t, statusFindings, c.ProcessState.ExitCode(), "the report was complete")
}

// A reader of standard output that goes away does not change the exit status.
func TestClosedStandardOutput(t *testing.T) {
	for _, format := range []string{"text", "json", "html"} {
		for failOn, want := range map[string]int{"medium": 1, "certain": 0} {
			r, w, err := os.Pipe()
			require.NoError(t, err)
			require.NoError(t, r.Close())
			c := command(t, nil, "report", "--format", format, "--fail-on", failOn, dump)
			var stderr bytes.Buffer
			c.Stdout, c.Stderr = w, &stderr
			c.Run()
			require.NoError(t, w.Close())
			assert.Equal(t, want, c.ProcessState.ExitCode(), "%s: %s %v", format, stderr.String(), c.ProcessState)
			assert.NotContains(t, stderr.String(), "pipe")
		}
	}
}
