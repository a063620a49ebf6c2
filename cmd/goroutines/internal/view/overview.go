// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/observe"
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/internal/words"
)

// A Class is the condition of a process in one word.
type Class string

// The classes, worst first.
const (
	Unreachable Class = "unreachable"
	Findings    Class = "findings"
	CannotJudge Class = "cannot_judge" // some detectors cannot judge the process as it is observed
	Suspected   Class = "suspected"    // there are candidates
	NotYet      Class = "not_yet"      // more snapshots are needed
	OK          Class = "ok"           // all detectors judge, and find nothing
)

// classes are all classes and what is said of processes of each.
var classes = []struct {
	class Class
	text  string
}{
	{Unreachable, "unreachable"}, {Findings, "with findings"}, {CannotJudge, "not fully judged"},
	{Suspected, "under suspicion"}, {NotYet, "not judged yet"}, {OK, "ok"},
}

// worse returns the worse of two classes.
func worse(a, b Class) Class {
	for _, c := range classes {
		if c.class == a || c.class == b {
			return c.class
		}
	}
	return b
}

// A condition is what the overview says about a process.
type condition struct {
	class Class
	text  string // at most 20 columns
	style lipgloss.Style
}

func (c condition) String() string { return c.style.Render(c.text) }

func conditionOf(t *observe.Status, now time.Time) condition {
	switch {
	case t.Unreachable() && t.Snapshot == nil:
		return condition{Unreachable, "cannot be reached", red}
	case t.Unreachable():
		return condition{Unreachable, "unreachable " + span(now.Sub(t.Since)), red}
	case t.Snapshot == nil:
		return condition{NotYet, "first snapshot", faint}
	case len(t.Open) > 0:
		return condition{Findings, words.Plural(len(t.Open), "finding"), worst(t.Open)}
	}
	s := report.SightOf(t.Sight)
	cannot, _ := s.Split()
	switch {
	case len(cannot.Detectors) > 0:
		return condition{CannotJudge, fmt.Sprintf("cannot judge %d of %d", len(cannot.Detectors), len(s.Detectors)), yellow}
	case len(s.Candidates) > 0:
		return condition{Suspected, fmt.Sprintf("%d suspected", len(s.Candidates)), yellow}
	case !s.All():
		return condition{NotYet, fmt.Sprintf("judging %d of %d", s.Judging, len(s.Detectors)), plainStyle}
	}
	return condition{OK, "ok", green}
}

// worst returns the colour of the most severe finding.
func worst(open []detectors.Finding) lipgloss.Style {
	c := detectors.Info
	for i := range open {
		c = max(c, open[i].Confidence)
	}
	return severities[string(c.Severity())]
}

// A layout is the widths of the columns of an overview, 0 for one that is left out.
type layout struct{ name, total, spark, state int }

const (
	leastName  = 14 // below this, the number of goroutines is left out
	leastSpark = 8  // below this, the sparkline is left out
	usefulName = 28 // above this, room goes to the sparkline first
	overhead   = 2  // of a line: the mark
	gap        = 2  // before each column but the first
)

// layoutOf arranges an overview. The state is never cut.
func (s Screen) layoutOf(width int) layout {
	longest, l := 0, layout{total: 5}
	for i := range s.Targets {
		t := &s.Targets[i]
		longest = max(longest, ansi.StringWidth(host(t.Name)))
		l.state = max(l.state, ansi.StringWidth(conditionOf(t, s.Now).text))
		if t.Snapshot != nil {
			l.total = max(l.total, len(fmt.Sprint(t.Snapshot.Total)))
		}
	}
	room := width - overhead - gap - l.total - gap - l.state
	if room < leastName {
		room += l.total + gap
		l.total = 0
	}
	l.name = max(1, min(room, longest))
	if left := min(sparkWidth, room-min(longest, usefulName)-gap); left >= leastSpark {
		l.spark = left
		l.name = min(longest, room-left-gap)
	}
	return l
}

// overview returns a line for each target, as many as fit around the selected one.
func (s Screen) overview(width, room int) []string {
	l := s.layoutOf(width)
	lines := []string{""}
	first := 0
	if n := max(3, room/2); len(s.Targets) > n {
		first = max(0, min(s.Selected-n/2, len(s.Targets)-n))
		s.Targets = s.Targets[:first+n]
	}
	for i := first; i < len(s.Targets); i++ {
		lines = append(lines, s.row(i, l))
	}
	return append(lines, "")
}

func (s Screen) row(i int, l layout) string {
	t := &s.Targets[i]
	mark, total := "  ", "-"
	if i == s.Selected {
		mark = chosen.Render(">") + " "
	}
	if t.Snapshot != nil {
		total = fmt.Sprint(t.Snapshot.Total)
	}
	line := mark + padded(FitMiddle(host(t.Name), l.name), l.name)
	if l.total > 0 {
		line += fmt.Sprintf("  %*s", l.total, total)
	}
	if l.spark > 0 {
		line += "  " + cyan.Render(sparkline(totals(t.Points), l.spark))
	}
	return line + "  " + conditionOf(t, s.Now).String()
}

// FitMiddle shortens s to at most width columns, in its middle: its end tells
// addresses apart.
func FitMiddle(s string, width int) string {
	n := ansi.StringWidth(s)
	if n <= width {
		return s
	}
	if width < 3 {
		return ansi.Truncate(s, width, "")
	}
	tail := width / 2
	return ansi.Truncate(s, width-tail-1, "") + "…" + ansi.TruncateLeft(s, n-tail, "")
}

func padded(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-ansi.StringWidth(s)))
}

// Summary says in one line how many processes are in which condition.
func Summary(targets []observe.Status, now time.Time) string {
	count := make(map[Class]int)
	for i := range targets {
		count[conditionOf(&targets[i], now).class]++
	}
	var parts []string
	for _, c := range classes {
		if count[c.class] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[c.class], c.text))
		}
	}
	if len(targets) == 1 {
		return "1 process: " + strings.Join(parts, ", ")
	}
	return fmt.Sprintf("%d processes: %s", len(targets), strings.Join(parts, ", "))
}
