// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"charm.land/lipgloss/v2"
	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/internal/report"
)

// Lines are wrapped by the width at which a terminal shows them.
func TestWrap(t *testing.T) {
	for _, c := range []struct {
		line   string
		width  int
		indent int
		want   string
	}{
		{"  short", 40, 4, "  short"},
		{"  " + strings.Repeat("word ", 9) + "end", 40, 4, "  word word word word word word word\n    word word end"},
		{"     3   75.0%     3   75.0%  main.worker main.next", 40, 29, "     3   75.0%     3   75.0%\n      main.worker main.next"},
		{"     3   75.0%     3   75.0%  main.worker main.next", 60, 29, "     3   75.0%     3   75.0%  main.worker main.next"},
		{"  at github.com/a/very/long/path/that/goes/on/and/on.f", 40, 4, "  at github.com/a/very/long/path/that/\n    goes/on/and/on.f"},
		{"  see github.com/a/path/that/fits.f of it", 40, 4, "  see github.com/a/path/that/fits.f of\n    it"},
		{"  " + strings.Repeat("漢字 ", 9), 40, 4, "  " + strings.TrimRight(strings.Repeat("漢字 ", 7), " ") + "\n    漢字 漢字"},
		{"\x1b[1m  " + strings.Repeat("word ", 7) + "end\x1b[m end", 40, 4, "\x1b[1m  word word word word word word word\x1b[m\n    \x1b[1mend\x1b[m end"},
	} {
		got := style{width: c.width}.Wrap(c.line, c.indent)
		assert.Equal(t, c.want, strings.TrimRight(got, " "), c.line)
		for line := range strings.Lines(got) {
			assert.LessOrEqual(t, lipgloss.Width(line), c.width)
		}
	}
	assert.Equal(t, strings.Repeat("x ", 500), style{colors: true}.Wrap(strings.Repeat("x ", 500), 4), "a pipe has no width")
}

// Every role has a style.
func TestRolesHaveStyles(t *testing.T) {
	for r := report.RoleTitle; r <= report.RoleAside; r++ {
		assert.NotEqual(t, "x", style{colors: true}.Paint(r, "x"), r)
		assert.Equal(t, "x", style{}.Paint(r, "x"))
	}
}
