// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// printReport writes a report as Markdown.
func printReport(w io.Writer, machine lab.Machine, results []result) error {
	var b bytes.Buffer
	leaks := "This build has no goroutineleak profile, and so no row of it. With Go 1.26: `GOEXPERIMENT=goroutineleakprofile go run -C bench .`."
	if hasLeakProof() {
		leaks = "A goroutineleak profile is a garbage collection: its longest stop is counted with those of the collector, which no other row has."
	}
	fmt.Fprintf(&b, "%s\n\n%s\n", machine, leaks)
	for i := range results {
		if !results[i].Reading {
			results[i].print(&b)
		}
	}
	printReadings(&b, bySize(results, readingShape, true))
	printGrowth(&b, bySize(results, baseShape, false))
	lab.PrintChecks(&b, check(results))
	_, err := w.Write(b.Bytes())
	return err
}

// print writes the table of a scenario.
func (r *result) print(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n## %s\n\nShape: %s.", r.scenario, r.Doc)
	if r.Note != "" {
		fmt.Fprintf(b, " %s", r.Note)
	}
	fmt.Fprintf(b, " A trace has %s. Rounds: %d.\n\n", lab.Size(r.TraceBytes), r.Rounds)
	rows := []lab.Row{{"method", "time", "min–max", "× pprof", "CPU", "× pprof", "longest stop", "worst delay", "allocated", "B/goroutine", "objects", "seen"}}
	if r.Large {
		rows[0] = append(rows[0], "memory")
	}
	base := r.method(pprofParse)
	for i := range r.Methods {
		if m := &r.Methods[i]; len(m.Samples) > 0 {
			rows = append(rows, m.row(base, r.Size, r.Large))
		}
	}
	lab.Table(b, rows)
	for _, m := range r.Methods {
		if m.LeftOut != "" {
			fmt.Fprintf(b, "\nLeft out: %s: %s.\n", m.Name, m.LeftOut)
		}
	}
}

func (m *measured) row(base *measured, goroutines int, large bool) lab.Row {
	bytes := spreadOf(m, allocated).median
	cells := lab.Row{
		m.Name,
		lab.Duration(spreadOf(m, wall).median), between(spreadOf(m, wall), lab.Duration), m.against(base, wall),
		lab.Duration(spreadOf(m, cpu).median), m.against(base, cpu),
		lab.Duration(spreadOf(m, stop).most), lab.Duration(spreadOf(m, delay).most),
		lab.Size(bytes), bytes / int64(goroutines),
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

// completeness shows the snapshot that saw least, in parts of what there was.
func (m *measured) completeness() string {
	share := func(s sample) float64 { return float64(s.Seen) / float64(max(s.Existing, 1)) }
	worst := slices.MinFunc(m.Samples, func(a, b sample) int { return cmp.Compare(share(a), share(b)) })
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

// printReadings writes one table of all sizes: that they make no difference is
// what it shows.
func printReadings(b *bytes.Buffer, all []*result) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## One collection of metrics\n\nBeside goroutines of the shape: %s. Rounds of %d collections: %d.\n\n", all[0].Doc, readings, all[0].Rounds)
	rows := []lab.Row{{"what is read", "goroutines", "series", "time", "min–max", "CPU", "longest stop", "allocated", "objects"}}
	for i := range all[0].Methods {
		for _, r := range all {
			if m := r.method(all[0].Methods[i].Name); m != nil {
				rows = append(rows, lab.Row{
					m.Name, lab.Thousands(r.Size), lab.Thousands(m.Samples[0].Seen),
					lab.Duration(spreadOf(m, wall).median), between(spreadOf(m, wall), lab.Duration),
					lab.Duration(spreadOf(m, cpu).median), lab.Duration(spreadOf(m, stop).most),
					lab.Size(spreadOf(m, allocated).median), lab.Thousands(int(spreadOf(m, allocations).median)),
				})
			}
		}
	}
	lab.Table(b, rows)
}

// leastGrown is the number of goroutines from which on growth is told: below
// it, what a snapshot costs whatever their number hides it.
const leastGrown = 10_000

// printGrowth writes how the time of each method grows with the goroutines.
func printGrowth(b *bytes.Buffer, all []*result) {
	if _, told := exponent(all, ours); !told {
		return
	}
	fmt.Fprintf(b, "\n## Growth, %s\n\nTime grows with this power of the number of goroutines (least squares of the logarithms, from %s on), and is this much for each:\n\n", baseShape, lab.Thousands(leastGrown))
	rows := []lab.Row{{"method", "power"}}
	for _, r := range all {
		rows[0] = append(rows[0], "of "+lab.Thousands(r.Size))
	}
	for _, m := range all[0].Methods {
		power, told := exponent(all, m.Name)
		if !told {
			continue
		}
		row := lab.Row{m.Name, lab.Digits(power)}
		for _, r := range all {
			cell := "–"
			if r.method(m.Name) != nil {
				cell = fmt.Sprintf("%.0f ns", r.perGoroutine(m.Name))
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	lab.Table(b, rows)
}

// exponent fits time = a × goroutines^exponent to the medians of a method.
func exponent(all []*result, name string) (float64, bool) {
	var x, y []float64
	for _, r := range all {
		if m := r.method(name); m != nil && r.Size >= leastGrown {
			x = append(x, math.Log(float64(r.Size)))
			y = append(y, math.Log(float64(spreadOf(m, wall).median)))
		}
	}
	if len(x) < 2 || name == nothing {
		return 0, false
	}
	_, slope := stat.LinearRegression(x, y, nil, false)
	return slope, true
}
