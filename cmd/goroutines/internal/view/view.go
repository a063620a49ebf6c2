// Package view renders what is seen of processes for a terminal.
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

	"github.com/otelgoroutine/go/cmd/goroutines/internal/live"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
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
	maxStates  = 8
	maxEvents  = 6
)

// A Screen is what is shown.
type Screen struct {
	Targets  []live.Status
	Selected int // index of the one shown in full
	Events   []live.Event
	Interval time.Duration
	Now      time.Time
	Exports  string // where to; empty: nowhere
	Keys     bool   // there is a keyboard
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
		lines = append(lines, detail(s.Targets[s.Selected], s.Now, room)...)
		lines = append(lines, bottom...)
	}
	lines = lines[:min(len(lines), max(1, height))]
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, max(1, width), "…")
	}
	return lines
}

func (s Screen) title() string {
	total, open := 0, 0
	for _, t := range s.Targets {
		open += len(t.Open)
		if t.Snapshot != nil && t.Err == nil {
			total += t.Snapshot.Total
		}
	}
	text := bold.Render("goroutines watch") + fmt.Sprintf("  %s · every %v · %d goroutines · ", s.Now.Format("15:04:05"), s.Interval, total) + findings(open)
	if s.Exports != "" {
		text += faint.Render(" · OTLP to " + s.Exports)
	}
	if s.Keys {
		keys := " · q quits"
		if len(s.Targets) > 1 {
			keys = " · ↑↓ choose, q quits"
		}
		text += faint.Render(keys)
	}
	return text
}

func findings(n int) string {
	switch n {
	case 0:
		return green.Render("no findings")
	case 1:
		return red.Render("1 finding")
	}
	return red.Render(fmt.Sprintf("%d findings", n))
}

// overview is a line for each target.
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
		line := fmt.Sprintf("%s%-36s %8s  %s  ", mark, fit(host(t.Name), 36), total, cyan.Render(sparkline(totals(t.Points))))
		lines = append(lines, line+condition(t, s.Now))
	}
	return append(lines, "")
}

func condition(t live.Status, now time.Time) string {
	switch {
	case t.Err != nil && t.Snapshot == nil:
		return red.Render("cannot be reached")
	case t.Err != nil:
		return red.Render("away for " + span(now.Sub(t.Since)))
	case t.Snapshot == nil:
		return faint.Render("first look …")
	case len(t.Open) > 0:
		return findings(len(t.Open))
	}
	return green.Render("ok")
}

// detail shows one target in at most room lines.
func detail(t live.Status, now time.Time, room int) []string {
	lines := []string{bold.Render(t.Name) + "  " + about(t, now)}
	if t.Err != nil {
		lines = append(lines, red.Render("  "+t.Err.Error()))
	}
	if t.Snapshot == nil {
		return lines
	}
	lines = append(lines, stateLines(t)...)
	lines = append(lines, findingLines(t.Open)...)
	return append(lines, stackLines(t, now, max(1, room-len(lines)-2))...)
}

func about(t live.Status, now time.Time) string {
	if t.Snapshot == nil {
		return condition(t, now)
	}
	text := fmt.Sprintf("%d goroutines, by %s in %v", t.Snapshot.Total, t.Snapshot.Source, t.Snapshot.Duration.Round(time.Millisecond))
	if t.Restarts > 0 {
		text += yellow.Render(fmt.Sprintf(", restarted %d×", t.Restarts))
	}
	if t.Err != nil {
		text += ", " + condition(t, now)
	}
	return text
}

func stateLines(t live.Status) []string {
	counts := t.Snapshot.States()
	order := make([]goroutine.State, 0, len(counts))
	for state := range counts {
		order = append(order, state)
	}
	slices.SortFunc(order, func(a, b goroutine.State) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	lines := []string{"", faint.Render(fmt.Sprintf("  %8s %6s  %-*s  %s", "count", "", sparkWidth, "over time", "state"))}
	for i, state := range order {
		if i == maxStates {
			lines = append(lines, faint.Render(fmt.Sprintf("  and %d more states", len(order)-i)))
			break
		}
		spark := sparkline(values(t.Points, func(p live.Point) int { return p.States[state] }))
		lines = append(lines, fmt.Sprintf("  %8d %5.1f%%  %s  %s", counts[state], 100*float64(counts[state])/float64(max(1, t.Snapshot.Total)), cyan.Render(spark), state))
	}
	return lines
}

func findingLines(open []detectors.Finding) []string {
	if len(open) == 0 {
		return nil
	}
	lines := []string{""}
	for i, o := range open {
		if i == 4 {
			return append(lines, faint.Render(fmt.Sprintf("  and %d more findings", len(open)-i)))
		}
		lines = append(lines, "  "+severity(o.Confidence).Render(o.Detector)+"  "+o.Message)
		if len(o.Evidence) > 0 && i < 2 {
			lines = append(lines, faint.Render("    "+o.Evidence[len(o.Evidence)-1]))
		}
	}
	return lines
}

func severity(c detectors.Confidence) lipgloss.Style {
	switch {
	case c == detectors.Info:
		return green
	case c <= detectors.Suspected:
		return yellow
	}
	return red
}

func stackLines(t live.Status, now time.Time, room int) []string {
	lines := []string{"", faint.Render(fmt.Sprintf("  %8s %6s  %-*s  %-22s %s", "count", "oldest", sparkWidth, "over time", "state", "where"))}
	for i := range t.Snapshot.Groups {
		if i >= room {
			break
		}
		g := &t.Snapshot.Groups[i]
		key := g.Key()
		spark := sparkline(values(t.Points, func(p live.Point) int { return p.Stacks[key] }))
		lines = append(lines, fmt.Sprintf("  %8d %6s  %s  %-22s %s", g.Count, oldest(t.Snapshot, g), cyan.Render(spark), fit(string(g.State), 22), where(g.Stack)))
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

// where names the user's function, and what the goroutine was started with.
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

// EventLine is an event on one line.
func EventLine(e live.Event, named bool) string {
	what := e.Finding.Detector + " " + e.Kind.String()
	message := e.Finding.Message
	style := severity(e.Finding.Confidence)
	switch e.Kind {
	case detectors.Resolved:
		style = green
	case detectors.Suppressed:
		what, message, style = "suppressed", fmt.Sprintf("%d findings are not told one by one", e.Suppressed), faint
	}
	line := e.Time.Format("15:04:05") + "  " + style.Render(what) + "  "
	if named {
		line += faint.Render(host(e.Target)) + "  "
	}
	return line + message
}

func totals(points []live.Point) []int {
	return values(points, func(p live.Point) int { return p.Total })
}

// values returns one value for each point, and -1 where a look failed.
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

// sparkline draws the last values from 0 to the largest; a look that failed is
// a gap.
func sparkline(list []int) string {
	list = list[max(0, len(list)-sparkWidth):]
	largest := 1
	for _, v := range list {
		largest = max(largest, v)
	}
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", sparkWidth-len(list)))
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

// host is what tells one address from another.
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
