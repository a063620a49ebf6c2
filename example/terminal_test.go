// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var colour = regexp.MustCompile(`\x1b\[[0-9;]*3[0-9][0-9;]*m`)

func TestTerminalIsRepainted(t *testing.T) {
	t.Parallel()
	const columns, rows = 72, 20
	shown := runOnTerminal(t, pty.Winsize{Cols: columns, Rows: rows}, "TERM=xterm-256color")
	assert.Regexp(t, colour, shown)
	assert.Contains(t, shown, ansi.EraseScreenBelow)

	// Between two repaints, nothing may wrap or scroll, or the cursor would not
	// return to the right line. The first block is preceded by the
	// introduction.
	blocks := strings.Split(shown, ansi.EraseScreenBelow)
	require.Greater(t, len(blocks), 5)
	for _, block := range blocks[1:] {
		block, _, _ = strings.Cut(block, "Summary of")
		lines := strings.Split(strings.TrimSpace(ansi.Strip(block)), "\n")
		assert.Less(t, len(lines), rows)
		for _, line := range lines {
			assert.Less(t, ansi.StringWidth(strings.TrimRight(line, "\r")), columns, "%q", line)
		}
	}
}

func TestNoColorIsRespectedOnATerminal(t *testing.T) {
	t.Parallel()
	shown := runOnTerminal(t, pty.Winsize{Cols: 100, Rows: 40}, "TERM=xterm-256color", "NO_COLOR=1")
	assert.NotRegexp(t, colour, shown)
	assert.Contains(t, shown, "█")
}

// runOnTerminal runs the healthy example on a terminal of the given size.
func runOnTerminal(t *testing.T, size pty.Winsize, env ...string) string {
	t.Helper()
	cmd := child(t.Context(), "-duration", "4s", "-faults", "none")
	cmd.Env = append(cmd.Env, env...)
	terminal, err := pty.StartWithSize(cmd, &size)
	require.NoError(t, err)
	defer terminal.Close()
	shown, err := io.ReadAll(terminal)
	if err != nil {
		require.ErrorContains(t, err, "input/output error") // how Linux reports a closed terminal
	}
	require.NoError(t, cmd.Wait(), "%s", shown)
	return string(shown)
}
