// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/internal/words"
)

// Text writes r for people: findings, the trend, the stacks with the most goroutines,
// functions, counts with percentages, and health. It returns the first error of w.
func (r *Report) Text(w io.Writer) error { return r.Styled(w, nil) }

// Styled is [Report.Text] in a style, which may be nil.
func (r *Report) Styled(w io.Writer, style Style) error {
	p := newPrinter(w, style)
	if !r.Taken {
		p.line(0, "No snapshot has been taken yet.")
		r.Sight.write(p)
		r.Sight.writeGaps(p)
		return p.w.Flush()
	}
	r.writeHead(p)
	r.writeStates(p)
	r.writeFindings(p)
	r.Trend.write(p)
	r.writeStacks(p)
	p.writeFunctions(r.Functions)
	p.writeShares("States", r.States)
	p.writeShares("Categories", r.Categories)
	r.Health.write(p)
	r.writeNotJudging(p)
	return p.w.Flush()
}

// Top writes all functions in the manner of go tool pprof -top -cum.
func (r *Report) Top(w io.Writer) error {
	p := newPrinter(w, nil)
	r.writeHead(p)
	all := FunctionsOf(r.Stacks, r.Total, math.MaxInt)
	p.writeFunctionsBy("cumulative", all.Cumulative, all.Distinct)
	return p.w.Flush()
}

// Traces writes all stacks, with all their frames, in the manner of go tool pprof
// -traces.
func (r *Report) Traces(w io.Writer) error {
	p := newPrinter(w, nil)
	r.writeHead(p)
	entries := entriesOf(r.Stacks)
	p.title("Stacks (%d of %d)", len(entries), len(entries))
	p.writeEntries(entries, true)
	return p.w.Flush()
}

func (r *Report) writeHead(p *printer) {
	took := ""
	if r.Duration > 0 {
		took = fmt.Sprintf(", took %v", span(r.Duration).Round(time.Microsecond))
	}
	p.line(2, "%s at %s (%s%s)", words.Plural(r.Total, "goroutine"), r.Time.Format(time.RFC3339), r.Source, took)
	if r.Missing > 0 {
		p.line(2, "%d more could not be described.", r.Missing)
	}
	r.Filter.write(p)
}

// headStates is how many states the head of the text names.
const headStates = 5

// writeStates writes the largest states in a line.
func (r *Report) writeStates(p *printer) {
	var parts []string
	for _, s := range r.States[:min(len(r.States), headStates)] {
		parts = append(parts, fmt.Sprintf("%d %s", s.Count, p.paint(RoleState, s.Name)))
	}
	if more := len(r.States) - len(parts); more > 0 {
		parts = append(parts, words.Plural(more, "more state"))
	}
	if len(parts) > 0 {
		p.line(2, "  %s", strings.Join(parts, ", "))
	}
}

// write writes only the checks that are over their thresholds.
func (h Health) write(p *printer) {
	over := h.Over()
	if len(over) == 0 {
		p.title("Health: all %d checks within their thresholds; faults are under Findings", len(h.Checks))
		return
	}
	p.title("Health: %d of %d checks over the threshold; faults are under Findings", len(over), len(h.Checks))
	for _, c := range over {
		p.line(8, "  %-4s  %s", c.Level, c.Message)
	}
}

func (p *printer) writeShares(title string, shares []Share) {
	if len(shares) == 0 {
		return
	}
	p.title("%s", title)
	wide := digits(shares[0].Count)
	for _, s := range shares {
		p.line(wide+12, "  %*d  %5.1f%%  %s", wide, s.Count, s.Percent, s.Name)
	}
}

// digits returns the width of the numbers of a column whose largest number is n.
func digits(n int) int { return max(4, len(fmt.Sprint(n))) }

func (t *Trend) write(p *printer) {
	if t == nil {
		return
	}
	p.title("Trend over %d snapshots", len(t.Points))
	t.writeLine(p)
	for _, part := range []time.Duration{time.Hour, 10 * time.Minute} {
		t.lately(part).writeLine(p)
	}
}

func (t *Trend) writeLine(p *printer) {
	if t == nil {
		return
	}
	text := fmt.Sprintf("  %d to %d in %v", t.From, t.To, span(t.Seconds).Round(time.Second/10))
	if t.From > 0 {
		text += fmt.Sprintf(", factor %.2f", t.Factor)
	}
	text += fmt.Sprintf(", %+.1f a minute", t.PerMinute)
	if t.Strong {
		text += p.paint(RoleWarning, "  << strong growth")
	}
	p.line(4, "%s", text)
}

func (r *Report) writeFindings(p *printer) {
	p.title("Findings")
	if len(r.Findings) == 0 {
		p.line(4, "  %s", r.Sight.None())
	}
	for i := range r.Findings {
		if i > 0 {
			p.line(0, "")
		}
		r.Findings[i].write(p)
	}
	if len(r.Findings) > 0 && r.Sight != nil {
		p.line(0, "")
	}
	r.Sight.write(p)
	r.Sight.writeCandidates(p)
}

func (r *Finding) write(p *printer) {
	name := p.paint(severities[r.Severity], fmt.Sprintf("%s (%s):", r.Detector, r.Confidence))
	p.line(4, "  %s %s", name, r.Message)
	if r.Unjudged != "" {
		p.line(6, "    Not judged now: %s.", r.Unjudged)
	}
	for k := range r.Participants {
		place := &r.Participants[k]
		p.line(6, "    %s %s", p.paint(RoleTitle, place.Title+":"), place.text)
	}
	r.writeOrigin(p)
	for _, e := range r.Evidence {
		p.line(6, "    - %s", e)
	}
	if r.Advice != "" {
		p.line(6, "    %s %s", p.paint(RoleTitle, "Next:"), r.Advice)
	}
}

// writeNotJudging writes which detectors are not judging. It comes last: of a single
// snapshot most detectors cannot judge, and the line below the findings says so.
func (r *Report) writeNotJudging(p *printer) {
	if r.Sight == nil || len(r.Sight.Gaps()) == 0 {
		return
	}
	p.title("Detectors that are not judging")
	r.Sight.writeGaps(p)
}

func (p *printer) writeFunctions(f Functions) {
	if slices.Equal(f.Flat, f.Cumulative) {
		p.writeFunctionsBy("flat and cumulative", f.Flat, f.Distinct)
		return
	}
	p.writeFunctionsBy("flat", f.Flat, f.Distinct)
	p.writeFunctionsBy("cumulative", f.Cumulative, f.Distinct)
}

func (p *printer) writeFunctionsBy(by string, functions []Function, distinct int) {
	wide := 4
	for _, f := range functions {
		wide = max(wide, digits(f.Cumulative))
	}
	p.title("Functions, %s (%d of %d)", by, len(functions), distinct)
	p.line(0, "%s", p.paint(RoleAside, fmt.Sprintf("  %*s   flat%% %*s    cum%%", wide, "flat", wide+1, "cum")))
	for _, f := range functions {
		p.line(2*wide+23, "  %*d  %5.1f%% %*d  %5.1f%%  %s", wide, f.Flat, f.FlatPercent, wide+1, f.Cumulative, f.CumulativePercent, f.Name)
	}
}

func span(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
