// Package view renders the state of watched processes for a terminal.
package view

import (
	"fmt"
	"path"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/otelgoroutine/go/cmd/goroutines/internal/live"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/internal/sight"
)

var (
	bold   = lipgloss.NewStyle().Bold(true)
	faint  = lipgloss.NewStyle().Faint(true)
	cyan   = lipgloss.NewStyle().Foreground(lipgloss.Cyan)
	green  = lipgloss.NewStyle().Foreground(lipgloss.Green)
	yellow = lipgloss.NewStyle().Foreground(lipgloss.Yellow).Bold(true)
	red    = lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)
	chosen = lipgloss.NewStyle().Reverse(true)
)

const (
	sparkWidth = 24
	// narrow is the width in columns below which sparklines and the states of
	// stacks are left out to make room for functions.
	narrow    = 100
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
	// leastStacks is how many lines of stacks, with their headings, there must be
	// room for beside the details of findings.
	leastStacks = 3
)

// A Screen is the state of a watch at one moment.
type Screen struct {
	Targets  []live.Status
	Selected int          // index of the target shown in full
	Events   []live.Event // oldest first
	Interval time.Duration
	Now      time.Time
	Exports  string // OTLP endpoint; empty if nothing is exported
	Keys     bool   // keyboard input is available
}

// Lines returns the screen in at most height lines of at most width columns.
func (s Screen) Lines(width, height int) []string {
	lines := []string{s.title()}
	if len(s.Targets) > 1 {
		lines = append(lines, s.overview()...)
	}
	if s.Selected < len(s.Targets) {
		bottom := s.events()
		room := height - len(lines) - len(bottom)
		lines = append(lines, detail(s.Targets[s.Selected], s.Now, width, room)...)
		lines = append(lines, bottom...)
	}
	lines = lines[:min(len(lines), max(1, height))]
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, max(1, width), "…")
	}
	return lines
}

func (s Screen) title() string {
	total, open, all := 0, 0, true
	for _, t := range s.Targets {
		open += len(t.Open)
		all = all && report.SightOf(t.Sight).All()
		if t.Snapshot != nil && t.Err == nil {
			total += t.Snapshot.Total
		}
	}
	text := bold.Render("goroutines watch") + fmt.Sprintf("  %s · every %v · %d goroutines · ", s.Now.Format("15:04:05"), s.Interval, total) + findings(open, all)
	switch {
	case s.Keys && len(s.Targets) > 1:
		text += faint.Render(" · ↑↓ select, q quit")
	case s.Keys:
		text += faint.Render(" · q quit")
	}
	if s.Exports != "" {
		text += faint.Render(" · OTLP to " + s.Exports)
	}
	return text
}

// findings returns the number of findings. Only where all detectors are judging,
// none is good news.
func findings(n int, all bool) string {
	switch {
	case n == 0 && all:
		return green.Render("no findings")
	case n == 0:
		return "no findings yet"
	case n == 1:
		return red.Render("1 finding")
	}
	return red.Render(fmt.Sprintf("%d findings", n))
}

// overview returns a line for each target.
func (s Screen) overview() []string {
	lines := []string{""}
	for i, t := range s.Targets {
		mark, total := "  ", "-"
		if i == s.Selected {
			mark = chosen.Render(">") + " "
		}
		if t.Snapshot != nil {
			total = fmt.Sprint(t.Snapshot.Total)
		}
		line := fmt.Sprintf("%s%-36s %8s  %s  ", mark, fit(host(t.Name), 36), total, cyan.Render(sparkline(totals(t.Points), sparkWidth)))
		lines = append(lines, line+condition(t, s.Now))
	}
	return append(lines, "")
}

func condition(t live.Status, now time.Time) string {
	switch {
	case t.Err != nil && t.Snapshot == nil:
		return red.Render("cannot be reached")
	case t.Err != nil:
		return red.Render("unreachable for " + span(now.Sub(t.Since)))
	case t.Snapshot == nil:
		return faint.Render("taking the first snapshot")
	case len(t.Open) > 0:
		return findings(len(t.Open), true)
	}
	if s := report.SightOf(t.Sight); !s.All() {
		return yellow.Render(s.Count(0))
	}
	return green.Render("ok")
}

// detail shows one target in at most room lines. It may need more if everything
// but the stacks does not fit.
func detail(t live.Status, now time.Time, width, room int) []string {
	lines := []string{bold.Render(t.Name) + "  " + about(t, now)}
	if t.Err != nil {
		lines = append(lines, red.Render("  "+t.Err.Error()))
	}
	if t.Snapshot == nil {
		return lines
	}
	for _, fault := range t.Faults {
		lines = append(lines, red.Render("  "+fault))
	}
	lines = append(lines, sightLines(t.Sight, width)...)
	lines = append(lines, stateLines(t)...)
	found := findingLines(report.Briefly(t.Open), width, true)
	if len(lines)+len(found) > room-leastStacks {
		found = findingLines(report.Briefly(t.Open), width, false)
	}
	lines = append(lines, found...)
	return append(lines, stackLines(t, now, width, max(1, room-len(lines)-2))...)
}

func about(t live.Status, now time.Time) string {
	if t.Snapshot == nil {
		return condition(t, now)
	}
	text := fmt.Sprintf("%d goroutines, %s taken %s ago in %v", t.Snapshot.Total, t.Snapshot.Source, span(t.Sight.Age), t.Snapshot.Duration.Round(time.Millisecond))
	if s := report.SightOf(t.Sight); s.All() {
		text += faint.Render(fmt.Sprintf(", all %d detectors judging", s.Judging))
	}
	if t.Restarts > 0 {
		text += yellow.Render(fmt.Sprintf(", restarted %d×", t.Restarts))
	}
	if t.Err != nil {
		text += ", " + condition(t, now)
	}
	return text
}

// sightLines says which detectors are judging, unless all are. Those that only
// need more snapshots share a line, because at first that is nearly all.
func sightLines(status sight.Status, width int) []string {
	s := report.SightOf(status)
	if s.All() {
		return candidateLines(s, width)
	}
	lines := []string{yellow.Render(fmt.Sprintf("  %d of %d detectors are judging.", s.Judging, len(s.Detectors)))}
	var short []string
	rest := report.Sight{}
	for _, d := range s.Detectors {
		switch {
		case d.Reason == string(detectors.ReasonShortHistory):
			short = append(short, d.Name)
		case !d.Judging:
			rest.Detectors = append(rest.Detectors, d)
		}
	}
	if len(short) > 0 {
		lines = append(lines, faint.Render("  More snapshots are needed by "+strings.Join(short, ", ")+"."))
	}
	for _, gap := range rest.Gaps() {
		lines = append(lines, wrapped("Not judging: "+gap, width, yellow)...)
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

func stateLines(t live.Status) []string {
	states := report.States(t.Snapshot)
	lines := []string{"", faint.Render(fmt.Sprintf("  %8s %6s  %-*s  %s", "count", "share", sparkWidth, "over time", "state"))}
	for i, s := range states {
		if i == maxStates {
			return append(lines, faint.Render(fmt.Sprintf("  and %d more states", len(states)-i)))
		}
		spark := sparkline(values(t.Points, func(p live.Point) int { return p.States[goroutine.State(s.Name)] }), sparkWidth)
		lines = append(lines, fmt.Sprintf("  %8d %5.1f%%  %s  %s", s.Count, s.Percent, cyan.Render(spark), s.Name))
	}
	return lines
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
			return append(lines, faint.Render(fmt.Sprintf("  and %d more findings", len(open)-i)))
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

func stackLines(t live.Status, now time.Time, width, room int) []string {
	spark, state := sparkWidth, 22
	if width < narrow {
		spark, state = 10, 15
	}
	lines := []string{"", faint.Render(fmt.Sprintf("  %8s %6s  %-*s  %-*s %s", "count", "oldest", spark, "over time", state, "state", "where"))}
	for i := range t.Snapshot.Groups[:min(len(t.Snapshot.Groups), room)] {
		g := &t.Snapshot.Groups[i]
		key := g.Key()
		counts := sparkline(values(t.Points, func(p live.Point) int { return p.Stacks[key] }), spark)
		lines = append(lines, fmt.Sprintf("  %8d %6s  %s  %-*s %s", g.Count, oldest(t.Snapshot, g), cyan.Render(counts), state, fit(string(g.State), state), where(g.Stack)))
	}
	return lines
}

func oldest(s *goroutine.Snapshot, g *goroutine.Group) string {
	if born, ok := s.Oldest(g); ok && s.Time.Sub(born) >= time.Second {
		return span(s.Time.Sub(born))
	}
	if g.Wait > 0 {
		return span(g.Wait)
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
func EventLine(from live.Event, named bool) string {
	e := report.EventOf(from.Event)
	style := severities[e.Severity]
	line := e.Time.Format("15:04:05") + "  " + style.Render(strings.TrimSpace(e.Detector+" "+e.Kind)) + "  "
	if named {
		line += faint.Render(host(from.Target)) + "  "
	}
	return line + e.Message
}

func totals(points []live.Point) []int {
	return values(points, func(p live.Point) int { return p.Total })
}

// values returns one value for each point, or -1 if its snapshot failed.
func values(points []live.Point, of func(live.Point) int) []int {
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
