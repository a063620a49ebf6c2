// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package view renders the state of watched processes for a terminal.
package view

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/observe"
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/internal/sight"
	"github.com/otelgoroutine/go/internal/words"
)

var (
	bold   = lipgloss.NewStyle().Bold(true)
	faint  = lipgloss.NewStyle().Faint(true)
	cyan   = lipgloss.NewStyle().Foreground(lipgloss.Cyan)
	green  = lipgloss.NewStyle().Foreground(lipgloss.Green)
	yellow = lipgloss.NewStyle().Foreground(lipgloss.Yellow).Bold(true)
	red    = lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)
	chosen = lipgloss.NewStyle().Reverse(true)

	plainStyle = lipgloss.NewStyle()
)

const (
	sparkWidth = 24
	// narrow is the width in columns below which the sparklines and the states of
	// stacks are shorter, to make room for functions; below tiny there are no
	// sparklines, and below minute no states.
	narrow    = 100
	tiny      = 70
	minute    = 50
	maxStates = 8
	maxEvents = 6
	// maxFindings is how many findings are shown, and maxAdvice how many of
	// them are shown with the next step. maxParticipants is how many places of a
	// finding are shown, the cause first.
	maxFindings     = 4
	maxAdvice       = 2
	maxParticipants = 3
	// maxCandidates is how many places under suspicion are shown.
	maxCandidates = 3
	// maxHost is how many columns of an address the line of an event has.
	maxHost = 36
	// leastStacks is how many lines of stacks, with their headings, there must be
	// room for beside the details of findings.
	leastStacks = 3
	// leastStates is how many states are shown at least, and headings how many lines
	// the table has besides.
	leastStates = 3
	headings    = 3
)

// A Screen is the state of a watch at one moment.
type Screen struct {
	Targets  []observe.Status
	Selected int             // index of the target shown in full
	Events   []observe.Event // oldest first
	Interval time.Duration
	Now      time.Time
	Exports  string // OTLP endpoint; empty if nothing is exported
	Failing  string // why the export fails now; empty if it does not
	Keys     bool   // keyboard input is available
}

// Lines returns the screen in at most height lines of at most width columns.
func (s Screen) Lines(width, height int) []string {
	lines := []string{s.title(width)}
	if s.Failing != "" {
		lines = append(lines, wrapped("--otlp "+s.Exports+": "+s.Failing, width, red)...)
	}
	if len(s.Targets) > 1 {
		lines = append(lines, s.overview(width, height)...)
	}
	if s.Selected < len(s.Targets) {
		bottom := s.events()
		room := height - len(lines) - len(bottom)
		lines = append(lines, detail(&s.Targets[s.Selected], s.Now, width, room)...)
		lines = append(lines, bottom...)
	}
	lines = lines[:min(len(lines), max(1, height))]
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, max(1, width), "…")
	}
	return lines
}

// title returns as many of its parts as fit, the most important first.
func (s Screen) title(width int) string {
	total, open, worst := 0, 0, OK
	for i := range s.Targets {
		t := &s.Targets[i]
		open += len(t.Open)
		worst = worse(worst, conditionOf(t, s.Now).class)
		if t.Snapshot != nil && !t.Unreachable() {
			total += t.Snapshot.Total
		}
	}
	parts := []string{bold.Render("goroutines watch"), findings(open, worst), s.Now.Format("15:04:05"), fmt.Sprintf("%d goroutines", total)}
	switch {
	case s.Keys && len(s.Targets) > 1:
		parts = append(parts, faint.Render("↑↓ select, q quit"))
	case s.Keys:
		parts = append(parts, faint.Render("q quit"))
	}
	parts = append(parts, fmt.Sprintf("every %v", s.Interval))
	if s.Exports != "" {
		parts = append(parts, faint.Render("OTLP to "+s.Exports))
	}
	for len(parts) > 1 && ansi.StringWidth(strings.Join(parts, " · ")) > width {
		parts = parts[:len(parts)-1]
	}
	return strings.Join(parts, " · ")
}

// findings returns the number of findings. None is good news only where all detectors
// are judging.
func findings(n int, c Class) string {
	switch {
	case n == 0 && c == OK:
		return green.Render("no findings")
	case n == 0 && (c == NotYet || c == Suspected):
		return "no findings yet"
	case n == 0:
		return yellow.Render("no findings where judged")
	}
	return red.Render(words.Plural(n, "finding"))
}

// detail shows one target in at most room lines. It may need more if everything
// but the stacks does not fit.
func detail(t *observe.Status, now time.Time, width, room int) []string {
	lines := wrapped(t.Name+"  "+about(t, now, width), width, plainStyle)
	for i, line := range lines {
		lines[i] = strings.Replace(strings.TrimPrefix(line, "  "), t.Name, bold.Render(t.Name), 1)
	}
	if t.Err != nil {
		lines = append(lines, wrapped(t.Why(), width, red)...)
	}
	if t.Snapshot == nil {
		return lines
	}
	for _, fault := range t.Faults {
		lines = append(lines, wrapped(fault, width, red)...)
	}
	open := gravestFirst(t.Open)
	found := findingLines(open, width, true)
	if len(lines)+len(found) > room-leastStacks-leastStates {
		found = findingLines(open, width, false)
	}
	lines = append(lines, found...)
	if !t.Unreachable() {
		seen := sightLines(t.Sight, t.NoTrace, width)
		if len(found) > 0 && len(seen) > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, seen...)
	}
	states := min(maxStates, max(leastStates, room-len(lines)-leastStacks-headings))
	lines = append(lines, stateLines(t, width, states)...)
	return append(lines, stackLines(t, now, width, max(1, room-len(lines)-2))...)
}

// gravestFirst describes findings in the order of their confidence, so that none is left
// out for a lesser one; among equals, in the order in which they were opened.
func gravestFirst(open []detectors.Finding) []report.Finding {
	open = slices.Clone(open)
	slices.SortStableFunc(open, func(a, b detectors.Finding) int { return cmp.Compare(b.Confidence, a.Confidence) })
	return report.Briefly(open)
}

func about(t *observe.Status, now time.Time, width int) string {
	if t.Snapshot == nil {
		return conditionOf(t, now).String()
	}
	text := fmt.Sprintf("%s, %s taken %s ago", words.Plural(t.Snapshot.Total, "goroutine"), t.Snapshot.Source, span(t.Sight.Age))
	if width >= narrow {
		text += fmt.Sprintf(" in %v", t.Snapshot.Duration.Round(time.Millisecond))
	}
	if s := report.SightOf(t.Sight); s.All() {
		text += faint.Render(fmt.Sprintf(", all %d detectors judging", s.Judging))
	}
	if t.Restarts > 0 {
		text += ", " + yellow.Render(restarts(t))
	}
	if t.Unreachable() {
		text += ", " + conditionOf(t, now).String()
	}
	return text
}

// restarts says how often a process was restarted, and how that is known.
func restarts(t *observe.Status) string {
	return fmt.Sprintf("restarted %s (%s)", words.Plural(t.Restarts, "time"), t.Evidence)
}

// sightLines says which detectors are judging, unless all are. Those that only
// need more snapshots share a line, because at first that is nearly all. noTrace says
// why there are no traces; it may be empty.
func sightLines(status sight.Status, noTrace string, width int) []string {
	s := report.SightOf(status)
	if s.All() {
		return candidateLines(s, width)
	}
	lines := []string{yellow.Render(fmt.Sprintf("  %d of %d detectors are judging.", s.Judging, len(s.Detectors)))}
	cannot, waiting := s.Split()
	for _, gap := range cannot.Gaps() {
		lines = append(lines, wrapped("Cannot judge: "+gap, width, yellow)...)
	}
	if noTrace != "" {
		lines = append(lines, wrapped("No trace: "+noTrace, width, plainStyle)...)
	}
	if len(waiting.Detectors) > 0 {
		lines = append(lines, wrapped("More snapshots are needed by "+strings.Join(waiting.Names(), ", ")+".", width, faint)...)
	}
	return append(lines, candidateLines(s, width)...)
}

// candidateLines shows what is under suspicion without a verdict yet.
func candidateLines(s *report.Sight, width int) (lines []string) {
	for i := range s.Candidates {
		if i == maxCandidates {
			return append(lines, faint.Render(fmt.Sprintf("  and %d more under suspicion", len(s.Candidates)-i)))
		}
		lines = append(lines, wrapped("Under suspicion by "+s.Candidates[i].String(), width, faint)...)
	}
	return lines
}

// wrapped returns a text in indented lines.
func wrapped(text string, width int, style lipgloss.Style) (lines []string) {
	indent := "  "
	for line := range strings.SplitSeq(ansi.Wordwrap(text, max(20, width-4), ""), "\n") {
		lines = append(lines, style.Render(indent+line))
		indent = "    "
	}
	return lines
}

func stateLines(t *observe.Status, width, most int) []string {
	states, spark := report.States(t.Snapshot), sparkWidth
	if width < tiny {
		spark = 0
	}
	lines := []string{"", faint.Render("  " + fmt.Sprintf("%8s %6s  ", "count", "share") + overTime(spark) + "state")}
	for i, s := range states {
		if i == most {
			return append(lines, faint.Render("  and "+more(len(states)-i, "state")))
		}
		counts := drawn(t, spark, func(p observe.Point) int { return p.States[goroutine.State(s.Name)] })
		lines = append(lines, fmt.Sprintf("  %8d %5.1f%%  %s%s", s.Count, s.Percent, counts, s.Name))
	}
	return lines
}

func more(n int, noun string) string {
	return fmt.Sprintf("%d more %s", n, strings.TrimPrefix(words.Plural(n, noun), fmt.Sprint(n, " ")))
}

// overTime is the heading of a sparkline, and drawn is one: with the gap after it, or
// empty where there is no room for any.
func overTime(width int) string {
	if width == 0 {
		return ""
	}
	return fmt.Sprintf("%-*s  ", width, "over time")
}

func drawn(t *observe.Status, width int, of func(observe.Point) int) string {
	if width == 0 {
		return ""
	}
	return cyan.Render(sparkline(values(t.Points, of), width)) + "  "
}

// findingLines shows findings, with their places and what to do next if details is
// true.
func findingLines(open []report.Finding, width int, details bool) []string {
	if len(open) == 0 {
		return nil
	}
	lines := []string{""}
	for i, f := range open {
		if i == maxFindings {
			return append(lines, faint.Render("  and "+more(len(open)-i, "finding")))
		}
		text := severities[f.Severity].Render(f.Detector) + "  " + f.Message
		if f.Unjudged != "" {
			text += "\n" + yellow.Render("Not judged now: "+f.Unjudged+".")
		}
		if details {
			for k := range f.Participants[:min(len(f.Participants), maxParticipants)] {
				text += "\n" + f.Participants[k].String()
			}
		}
		if details && f.Advice != "" && i < maxAdvice {
			text += "\n" + faint.Render("Next: "+f.Advice)
		}
		indent := "  "
		for line := range strings.SplitSeq(ansi.Wordwrap(text, max(20, width-4), ""), "\n") {
			lines = append(lines, indent+line)
			indent = "    "
		}
	}
	return lines
}

// severities are the colours of findings and events.
var severities = map[string]lipgloss.Style{
	string(detectors.SeverityInfo): green, string(detectors.SeverityWarn): yellow, string(detectors.SeverityError): red,
}

func stackLines(t *observe.Status, now time.Time, width, room int) []string {
	spark, state := sparkWidth, 22
	switch {
	case width < minute:
		spark, state = 0, 0
	case width < tiny:
		spark, state = 0, 12
	case width < narrow:
		spark, state = 10, 15
	}
	lines := []string{"", faint.Render("  " + fmt.Sprintf("%8s %7s  ", "count", "oldest") + overTime(spark) + column("state", state) + "where")}
	for i := range t.Snapshot.Groups[:min(len(t.Snapshot.Groups), room)] {
		g := &t.Snapshot.Groups[i]
		key := g.Key()
		counts := drawn(t, spark, func(p observe.Point) int { return p.Stacks[key] })
		lines = append(lines, fmt.Sprintf("  %8d %s  ", g.Count, right(oldest(t.Snapshot, g), 7))+counts+column(string(g.State), state)+where(g.Stack))
	}
	return lines
}

// column returns a column and the gap after it, or nothing if it has no width.
func column(s string, width int) string {
	if width == 0 {
		return ""
	}
	return padded(fit(s, width), width) + " "
}

func right(s string, width int) string {
	return strings.Repeat(" ", max(0, width-ansi.StringWidth(s))) + s
}

// oldest returns the age of the oldest goroutine of a group. That of one that was
// there before the first snapshot is not known, only that it is higher.
func oldest(s *goroutine.Snapshot, g *goroutine.Group) string {
	born, ok := s.Oldest(g)
	age := s.Time.Sub(born)
	switch {
	case ok && g.Births[0].Epoch > 0 && age >= time.Second:
		return span(age)
	case ok && g.Births[0].Epoch > 0:
		return ""
	case g.Wait > 0 && (!ok || g.Wait > age):
		return "≥" + span(g.Wait)
	case ok && age >= time.Second:
		return "≥" + span(age)
	}
	return ""
}

// where names the innermost function of the program's own code and the function
// that the go statement called.
func where(s *goroutine.Stack) string {
	user, entry := s.User().Function, s.Entry().Function
	switch {
	case s.ID == goroutine.OtherStacks:
		return faint.Render("everywhere else")
	case user == "":
		return faint.Render("(on a CPU)")
	case entry == user, entry == "", strings.HasPrefix(entry, "sync."):
		return path.Base(user)
	}
	return path.Base(user) + faint.Render(" ← "+path.Base(entry))
}

func (s Screen) events() []string {
	if len(s.Events) == 0 {
		return nil
	}
	lines := []string{"", faint.Render("  events")}
	for _, e := range s.Events[max(0, len(s.Events)-maxEvents):] {
		lines = append(lines, "  "+EventLine(e, len(s.Targets) > 1))
	}
	return lines
}

// EventLine renders an event on one line. If named is set, the line includes
// the target's name.
func EventLine(from observe.Event, named bool) string {
	line := from.Time.Format("15:04:05") + "  "
	if named {
		line += faint.Render(FitMiddle(host(from.Target), maxHost)) + "  "
	}
	return line + eventText(from.Event)
}

func eventText(from detectors.Event) string {
	e := report.EventOf(from)
	return severities[e.Severity].Render(strings.TrimSpace(e.Detector+" "+e.Kind)) + "  " + e.Message
}

func totals(points []observe.Point) []int {
	return values(points, func(p observe.Point) int { return p.Total })
}

// values returns one value for each point, or -1 if its snapshot failed.
func values(points []observe.Point, of func(observe.Point) int) []int {
	list := make([]int, len(points))
	for i, p := range points {
		list[i] = of(p)
		if p.Failed {
			list[i] = -1
		}
	}
	return list
}

var blocks = []rune("▁▂▃▄▅▆▇█")

// sparkline draws the last width values, one in each column, on a scale from 0
// to the largest. A failed snapshot is a dot.
func sparkline(list []int, width int) string {
	list = list[max(0, len(list)-width):]
	largest := 1
	for _, v := range list {
		largest = max(largest, v)
	}
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", width-len(list)))
	for _, v := range list {
		switch {
		case v < 0:
			b.WriteRune('·')
		case v == 0:
			b.WriteRune(' ')
		default:
			b.WriteRune(blocks[(v*len(blocks)-1)/largest])
		}
	}
	return b.String()
}

// host returns the part of an address that differs from target to target.
func host(name string) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "http://"), "https://")
	return strings.TrimSuffix(name, "/debug/pprof/")
}

func fit(s string, width int) string { return ansi.Truncate(s, width, "…") }

func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02d", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02d", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
