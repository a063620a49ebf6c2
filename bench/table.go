package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// print writes a report as Markdown.
func (r *report) print(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n\n%s\n", r.Machine, r.leaks())
	for i := range r.Results {
		if !r.Results[i].Reading {
			r.Results[i].print(&b)
		}
	}
	printReadings(&b, r.readings())
	printGrowth(&b, r.looks(baseShape))
	if len(r.Checks) > 0 {
		b.WriteString("\n## Checks\n\n")
		for _, v := range r.Checks {
			fmt.Fprintf(&b, "- %s\n", v)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// leaks says what there is to say of the runtime's leak profile.
func (r *report) leaks() string {
	if r.Leaks {
		return "A goroutineleak profile is a garbage collection: its longest stop is counted with those of the collector, which no other row has."
	}
	return "This build has no goroutineleak profile, and so no row of it. With Go 1.26: `GOEXPERIMENT=goroutineleakprofile go run ./bench`."
}

// print writes the table of a scenario.
func (r *result) print(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n## %s\n\nShape: %s.", r.scenario, r.Doc)
	if r.Note != "" {
		fmt.Fprintf(b, " %s", r.Note)
	}
	fmt.Fprintf(b, " A trace has %s. Rounds: %d.\n\n", lab.Size(r.TraceBytes), r.Rounds)
	rows := [][]string{{"method", "time", "min–max", "× pprof", "CPU", "× pprof", "longest stop", "worst delay", "allocated", "B/goroutine", "objects", "seen"}}
	if r.Large {
		rows[0] = append(rows[0], "memory")
	}
	base := r.method(pprofParse)
	for i := range r.Methods {
		if m := &r.Methods[i]; len(m.Samples) > 0 {
			rows = append(rows, m.row(base, r.Size, r.Large))
		}
	}
	writeTable(b, rows)
	for _, m := range r.Methods {
		if m.LeftOut != "" {
			fmt.Fprintf(b, "\nLeft out: %s: %s.\n", m.Name, m.LeftOut)
		}
	}
}

func (m *measured) row(base *measured, goroutines int, large bool) []string {
	bytes := spreadOf(m, allocated).median
	cells := []string{
		m.Name,
		lab.Duration(spreadOf(m, wall).median), between(spreadOf(m, wall), lab.Duration), m.against(base, wall),
		lab.Duration(spreadOf(m, cpu).median), m.against(base, cpu),
		lab.Duration(spreadOf(m, stop).most), lab.Duration(spreadOf(m, delay).most),
		lab.Size(bytes), strconv.FormatInt(bytes/int64(goroutines), 10),
		lab.Thousands(int(spreadOf(m, allocations).median)),
		m.completeness(),
	}
	if large {
		cells = append(cells, lab.Size(spreadOf(m, memory).median))
	}
	return cells
}

// against shows the ratio to base: the median, and the least and the most of a
// round.
func (m *measured) against(base *measured, figure func(sample) time.Duration) string {
	x, told := ratio(m, base, figure)
	switch {
	case !told || m.Name == nothing:
		return "–"
	case m.Name == base.Name:
		return "1"
	}
	return fmt.Sprintf("%s (%s)", lab.Digits(x.median), between(x, lab.Digits))
}

func between[T cmp.Ordered](s spread[T], format func(T) string) string {
	return format(s.least) + "–" + format(s.most)
}

// printReadings writes one table of all sizes: that they make no difference is
// what it shows.
func printReadings(b *bytes.Buffer, all []*result) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## One collection of metrics\n\nBeside goroutines of the shape: %s. Rounds of %d collections: %d.\n\n", all[0].Doc, readings, all[0].Rounds)
	rows := [][]string{{"what is read", "goroutines", "series", "time", "min–max", "CPU", "longest stop", "allocated", "objects"}}
	for i := range all[0].Methods {
		for _, r := range all {
			m := r.method(all[0].Methods[i].Name)
			if m == nil {
				continue
			}
			rows = append(rows, []string{
				m.Name, lab.Thousands(r.Size), lab.Thousands(m.Samples[0].Seen),
				lab.Duration(spreadOf(m, wall).median), between(spreadOf(m, wall), lab.Duration),
				lab.Duration(spreadOf(m, cpu).median), lab.Duration(spreadOf(m, stop).most),
				lab.Size(spreadOf(m, allocated).median), lab.Thousands(int(spreadOf(m, allocations).median)),
			})
		}
	}
	writeTable(b, rows)
}

// completeness shows the look that saw least, in parts of what there was.
func (m *measured) completeness() string {
	worst := slices.MinFunc(m.Samples, func(a, b sample) int { return cmp.Compare(a.share(), b.share()) })
	switch {
	case worst.Seen == notCounted:
		return "–"
	case m.Name == leakProof:
		return fmt.Sprintf("%s leaked", lab.Thousands(worst.Seen))
	case worst.Seen >= worst.Existing:
		return "all"
	}
	return fmt.Sprintf("%s of %s", lab.Thousands(worst.Seen), lab.Thousands(worst.Existing))
}

// share returns which part of the goroutines was seen.
func (s sample) share() float64 { return float64(s.Seen) / float64(max(s.Existing, 1)) }

// writeTable writes a table whose first row is the head, with columns that
// line up for who reads it as it is. The first column is text and the others
// are numbers.
func writeTable(b *bytes.Buffer, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range rows {
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				b.WriteString("| " + cell + pad)
			} else {
				b.WriteString(" | " + pad + cell)
			}
		}
		b.WriteString(" |\n")
		if n == 0 {
			writeRule(b, widths)
		}
	}
}

func writeRule(b *bytes.Buffer, widths []int) {
	for i, width := range widths {
		if i == 0 {
			b.WriteString("|" + strings.Repeat("-", width+2))
		} else {
			b.WriteString("|" + strings.Repeat("-", width+1) + ":")
		}
	}
	b.WriteString("|\n")
}
