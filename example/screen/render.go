// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelgoroutine/go/internal/otlptest"
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
	maxStacks = 8  // rows, not counting the row for the rest
	maxBar    = 40 // columns
	maxFrames = 4  // frames of an event's stack
)

// otherStacks is the stack ID that stands for all stacks without a series of
// their own.
const otherStacks = "_OTHER"

// lines renders a collection: a title, states with bars, and stacks.
func (c collection) lines(title string) []string {
	goroutines, created, open := sum(c["goroutine.count"]), sum(c["goroutine.created"]), sum(c["goroutine.finding.open"])
	findings := fmt.Sprintf("%d findings open", open)
	if open == 1 {
		findings = "1 finding open"
	}
	lines := []string{heading.Render(fmt.Sprintf("%s · %d goroutines, %d created so far · %s", title, goroutines, created, findings))}
	if goroutines == 0 {
		return append(lines, faint.Render("  no metrics yet"))
	}
	return append(append(lines, c.states()...), c.stacks()...)
}

func sum(points []otlptest.Point) int {
	total := 0
	for _, p := range points {
		total += int(p.Value)
	}
	return total
}

func (c collection) states() []string {
	var lines []string
	points := largestFirst(c["goroutine.count"])
	for _, p := range points {
		length := max(1, int(maxBar*p.Value/points[0].Value))
		lines = append(lines, fmt.Sprintf("  %-24s%6.0f  %s", p.Attribute("goroutine.detailed_state"), p.Value, bar.Render(strings.Repeat("█", length))))
	}
	return lines
}

func (c collection) stacks() []string {
	const format = "  %6v%9s  %-24s%s"
	ages := make(map[string]string)
	for _, p := range c["goroutine.stack.age"] {
		if p.Value < 1 {
			continue // less than the interval: as good as unknown
		}
		ages[p.Attribute("goroutine.stack.id")] = time.Duration(p.Value * float64(time.Second)).Truncate(time.Second).String()
	}
	lines := []string{faint.Render(fmt.Sprintf(format, "count", "oldest", "state", "where"))}
	rest := 0.0
	for _, p := range largestFirst(c["goroutine.stack.goroutine.count"]) {
		id := p.Attribute("goroutine.stack.id")
		if len(lines) > maxStacks || id == otherStacks {
			rest += p.Value
			continue
		}
		lines = append(lines, fmt.Sprintf(format, p.Value, ages[id], p.Attribute("goroutine.detailed_state"), where(p)))
	}
	if rest > 0 {
		lines = append(lines, fmt.Sprintf(format, rest, "", "", "everywhere else"))
	}
	return lines
}

// largestFirst sorts points. It drops points with value 0, which are sent for a
// while after a state or a stack has disappeared.
func largestFirst(points []otlptest.Point) []otlptest.Point {
	points = slices.DeleteFunc(slices.Clone(points), func(p otlptest.Point) bool { return p.Value == 0 })
	slices.SortFunc(points, func(a, b otlptest.Point) int {
		return cmp.Or(
			cmp.Compare(b.Value, a.Value),
			cmp.Compare(a.Attribute("code.function.name"), b.Attribute("code.function.name")),
			cmp.Compare(a.Attribute("goroutine.detailed_state"), b.Attribute("goroutine.detailed_state")),
		)
	})
	return points
}

// where names the function and, if it is a different one, the entry function.
// It omits entry functions in sync, such as that of WaitGroup.Go, because they
// say nothing about the goroutine.
func where(p otlptest.Point) string {
	function, entry := p.Attribute("code.function.name"), p.Attribute("goroutine.entry.function.name")
	switch {
	case function == "":
		return "(on a CPU)"
	case entry == "", entry == function, strings.HasPrefix(entry, "sync."):
		return path.Base(function)
	}
	return path.Base(function) + faint.Render(" ← "+path.Base(entry))
}

// eventText formats an event for a person on call: what happened, why it is
// believed, and where.
func eventText(e plog.LogRecord, since time.Time, width int) string {
	label, ok := severities[e.SeverityText()]
	if !ok {
		label = heading
	}
	lines := []string{fmt.Sprintf("%s  %s  %s", clock(e.Timestamp().AsTime().Sub(since)), label.Render(fmt.Sprintf("%-5s", e.SeverityText())), heading.Render(e.EventName()))}
	advice := otlptest.Attribute(e.Attributes(), "goroutine.finding.advice") // has a line of its own
	lines = append(lines, wrap("       ", strings.TrimSuffix(e.Body().AsString(), " Next: "+advice), width))
	if evidence, ok := e.Attributes().Get("goroutine.finding.evidence"); ok {
		for _, sentence := range evidence.Slice().All() {
			lines = append(lines, wrap(faint.Render("       · "), faint.Render(sentence.AsString()), width))
		}
	}
	if advice != "" {
		lines = append(lines, wrap("       → ", advice, width))
	}
	if !strings.HasSuffix(e.EventName(), ".resolved") {
		for _, frame := range frames(otlptest.Attribute(e.Attributes(), "code.stacktrace"), otlptest.Attribute(e.Attributes(), "code.function.name")) {
			lines = append(lines, wrap("         ", frame, width))
		}
	}
	return strings.Join(lines, "\n")
}

// frames returns a few frames of a stack trace, starting at the named function.
// The frames above it show how a lock waits, which is always the same.
func frames(trace, function string) []string {
	if i := strings.Index(trace, function); i > 0 {
		trace = trace[i:]
	}
	var lines []string
	for line := range strings.Lines(trace) {
		line = strings.TrimRight(line, "\n")
		if file, ok := strings.CutPrefix(line, "\t"); ok && len(lines) > 0 {
			lines[len(lines)-1] += faint.Render("  " + path.Base(file))
			continue
		}
		if len(lines) == maxFrames {
			return append(lines, faint.Render("…"))
		}
		lines = append(lines, path.Base(strings.TrimSuffix(line, "(...)")))
	}
	return lines
}

// wrap adds a prefix to a text and breaks it at a width. It indents the lines
// after the first.
func wrap(prefix, text string, width int) string {
	indent := strings.Repeat(" ", min(ansi.StringWidth(prefix), width/2))
	return prefix + strings.ReplaceAll(ansi.Wrap(text, width-len(indent), " "), "\n", "\n"+indent)
}

func clock(d time.Duration) string {
	seconds := max(0, int(d.Seconds()))
	return fmt.Sprintf("%02d:%02d", seconds/60, seconds%60)
}
