package screen

import (
	"fmt"
	"path"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

var (
	heading = lipgloss.NewStyle().Bold(true)
	faint   = lipgloss.NewStyle().Faint(true)
	bar     = lipgloss.NewStyle().Foreground(lipgloss.Cyan)

	severities = map[string]lipgloss.Style{
		"ERROR": lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true),
		"WARN":  lipgloss.NewStyle().Foreground(lipgloss.Yellow).Bold(true),
		"INFO":  lipgloss.NewStyle().Foreground(lipgloss.Green).Bold(true),
	}
)

const (
	maxStacks = 8  // rows, without the one for the rest
	maxBar    = 40 // columns
	maxFrames = 4  // of an event's stack
)

// block returns the lines of a view: a title, states with bars, stacks.
func (v view) block(title string) []string {
	lines := []string{heading.Render(title)}
	if v.total == 0 {
		return append(lines, faint.Render("  no metrics yet"))
	}
	lines = append(lines, v.stateLines()...)
	return append(lines, v.stackLines()...)
}

func (v view) stateLines() []string {
	var lines []string
	for _, row := range v.states {
		length := max(1, row.count*maxBar/v.states[0].count)
		lines = append(lines, fmt.Sprintf("  %-24s%6d  %s", row.state, row.count, bar.Render(strings.Repeat("█", length))))
	}
	return lines
}

func (v view) stackLines() []string {
	lines := []string{faint.Render(fmt.Sprintf("  %6s%9s  %-24s%s", "count", "oldest", "state", "where"))}
	rest := 0
	for i, row := range v.stacks {
		if i >= maxStacks || row.id == otherStacks {
			rest += row.count
			continue
		}
		lines = append(lines, fmt.Sprintf("  %6d%9s  %-24s%s", row.count, age(row.age), row.state, row.where()))
	}
	if rest > 0 {
		lines = append(lines, fmt.Sprintf("  %6d%9s  %-24s%s", rest, "", "", "everywhere else"))
	}
	return lines
}

// where names the function, and where it was started from if that is another.
// What WaitGroup.Go starts is not known by that.
func (r stackRow) where() string {
	switch {
	case r.entry == r.function, r.entry == "", strings.HasPrefix(r.entry, "sync."):
		return short(r.function)
	}
	return short(r.function) + faint.Render(" ← "+short(r.entry))
}

// short drops the directories of an import path.
func short(function string) string {
	if function == "" {
		return "(on a CPU)"
	}
	return path.Base(function)
}

func age(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return d.Truncate(time.Second).String()
}

// lines returns an event as a person on call wants to read it: what happened,
// why it is believed, and where.
func (e Event) lines(since time.Time) []string {
	label, ok := severities[e.Severity]
	if !ok {
		label = heading
	}
	lines := []string{
		fmt.Sprintf("%s  %s  %s", clock(e.Time.Sub(since)), label.Render(fmt.Sprintf("%-5s", e.Severity)), heading.Render(e.Name)),
		"       " + e.Body,
	}
	for evidence := range nonEmptyLines(e.Attributes["goroutine.finding.evidence"]) {
		lines = append(lines, faint.Render("       · "+evidence))
	}
	if !strings.HasSuffix(e.Name, ".resolved") {
		lines = append(lines, stackOf(e.Attributes["code.stacktrace"], e.Attributes["code.function.name"])...)
	}
	return lines
}

// stackOf returns some frames of a stack trace, one on a line, from the named
// function on: above it is how a lock waits, which is always the same.
func stackOf(trace, function string) []string {
	if i := strings.Index(trace, function); i > 0 {
		trace = trace[i:]
	}
	var lines []string
	for line := range nonEmptyLines(trace) {
		if file, ok := strings.CutPrefix(line, "\t"); ok && len(lines) > 0 {
			lines[len(lines)-1] += faint.Render("  " + path.Base(file))
			continue
		}
		if len(lines) == maxFrames {
			return append(lines, faint.Render("         …"))
		}
		lines = append(lines, "         "+short(strings.TrimSuffix(line, "(...)")))
	}
	return lines
}

func nonEmptyLines(s string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.SplitSeq(s, "\n") {
			if strings.TrimSpace(line) != "" && !yield(line) {
				return
			}
		}
	}
}

func clock(d time.Duration) string {
	seconds := max(0, int(d.Seconds()))
	return fmt.Sprintf("%02d:%02d", seconds/60, seconds%60)
}

// fit cuts lines to a width, so that none of them wraps.
func fit(lines []string, width int) []string {
	cut := make([]string, len(lines))
	for i, line := range lines {
		cut[i] = ansi.Truncate(line, width, "…")
	}
	return cut
}

// wrap breaks lines at a width instead, and indents what follows as the line.
func wrap(lines []string, width int) []string {
	var wrapped []string
	for _, line := range lines {
		plain := ansi.Strip(line)
		indent := strings.Repeat(" ", min(len(plain)-len(strings.TrimLeft(plain, " ")), width/2))
		broken := ansi.Wrap(line, width-len(indent)-2, " ")
		for i, part := range strings.Split(broken, "\n") {
			if i > 0 {
				part = indent + "  " + part
			}
			wrapped = append(wrapped, part)
		}
	}
	return wrapped
}
