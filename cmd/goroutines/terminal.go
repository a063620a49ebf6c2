// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"path"
	"runtime"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/otelgoroutine/go/internal/report"
)

// colors are the values of --color.
var colors = []string{"auto", "always", "never"}

const (
	// leastWidth is the width in columns below which lines are no longer wrapped more
	// narrowly, and usualWidth is assumed where a terminal does not tell its width.
	leastWidth, usualWidth = 40, 80
)

// terminalFlags are the flags for texts on a terminal.
type terminalFlags struct {
	color   string
	noPager bool
}

func (f *terminalFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.color, "color", "auto", "colours in text: auto, on a terminal unless NO_COLOR is set, always, or never")
	flags.BoolVar(&f.noPager, "no-pager", false, "do not show long text on a terminal with a pager (see GOROUTINES_PAGER, PAGER)")
}

func (f *terminalFlags) check() error { return checkValue("--color", f.color, colors) }

// style returns the style for texts on w, which is nil if they are to be plain. A text
// that goes to a file or a pipe is never wrapped.
func (f *terminalFlags) style(w io.Writer) report.Style {
	s := style{colors: f.colors(w)}
	if file, ok := w.(*os.File); ok && isTerminal(w) {
		s.width = usualWidth
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			s.width = max(leastWidth, width)
		}
		lipgloss.EnableLegacyWindowsANSI(file)
	}
	if s == (style{}) {
		return nil
	}
	return s
}

// colors decides whether there are colours, by the flag and by the variables of
// https://no-color.org and https://bixense.com/clicolors.
func (f *terminalFlags) colors(w io.Writer) bool {
	set := func(name string) bool { value := os.Getenv(name); return value != "" && value != "0" }
	switch {
	case f.color != "auto":
		return f.color == "always"
	case os.Getenv("NO_COLOR") != "":
		return false
	case set("CLICOLOR_FORCE"):
		return true
	}
	return isTerminal(w) && !dumb() && os.Getenv("CLICOLOR") != "0"
}

// dumb reports whether the terminal understands no escape codes.
func dumb() bool {
	name, ok := os.LookupEnv("TERM")
	return name == "dumb" || !ok && runtime.GOOS != "windows"
}

// A style is a report.Style with the sixteen colours that every terminal has.
type style struct {
	colors bool
	width  int // in columns; 0: lines are not wrapped
}

var styles = map[report.Role]lipgloss.Style{
	report.RoleTitle:   lipgloss.NewStyle().Bold(true),
	report.RoleInfo:    lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Cyan),
	report.RoleWarning: lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Yellow),
	report.RoleError:   lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Red),
	report.RoleState:   lipgloss.NewStyle().Foreground(lipgloss.Cyan),
	report.RoleTime:    lipgloss.NewStyle().Foreground(lipgloss.Yellow),
	report.RoleMore:    lipgloss.NewStyle().Foreground(lipgloss.Red),
	report.RoleLess:    lipgloss.NewStyle().Foreground(lipgloss.Green),
	report.RoleAside:   lipgloss.NewStyle().Faint(true),
}

// Paint implements report.Style.
func (s style) Paint(role report.Role, text string) string {
	if !s.colors {
		return text
	}
	return styles[role].Render(text)
}

// File implements report.Style. On a terminal, the name of the function has the rest of
// the path.
func (s style) File(name string) string {
	if s.width == 0 {
		return name
	}
	return path.Base(name)
}

// Wrap implements report.Style. Lines break between words and, where a word is longer than
// a line, after the elements of paths.
func (s style) Wrap(line string, indent int) string {
	if s.width == 0 || lipgloss.Width(line) <= s.width {
		return line
	}
	if indent > s.width/2 { // a narrow column is hard to read
		indent = 6
	}
	head := head(line, indent)
	text, width, breaks := line[head:], s.width-max(head, indent), ""
	for word := range strings.FieldsSeq(text) {
		if lipgloss.Width(word) > width {
			breaks = "/"
		}
	}
	text = strings.ReplaceAll(lipgloss.Wrap(text, width, breaks), " \n", "\n")
	return line[:head] + strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", indent))
}

// head returns how much of a line is not wrapped: what is above the indentation of the
// next lines, such as the columns of a table, or only the spaces if that is not plain.
func head(line string, indent int) int {
	for i := range min(len(line), indent) {
		if line[i] < ' ' || line[i] > '~' {
			return len(line) - len(strings.TrimLeft(line, " "))
		}
	}
	return min(len(line), indent)
}
