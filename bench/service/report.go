// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// What is promised.
const (
	checkedParked = 10_000 // goroutines beside the server
	mostCost      = 0.01   // of throughput and p99
)

// A report is one run of this program.
type report struct {
	machine   lab.Machine
	began     time.Time
	took      time.Duration
	command   string
	seed      uint64
	scenarios []scenario
}

// compared are the modules whose versions a reader needs.
var compared = []string{
	"github.com/DataDog/gostackparse", "github.com/valyala/fasthttp",
	"go.opentelemetry.io/contrib/instrumentation/runtime", "go.opentelemetry.io/otel/sdk/metric",
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc", "go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc",
	"modernc.org/sqlite",
}

// print writes a report as a Markdown document.
func (r *report) print(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The cost to a service: results\n\n%s, %s, %v of\n\n    %s\n\nwith seed %d.\n\n",
		r.began.UTC().Format("2 January 2006"), r.machine, r.took, r.command, r.seed)
	b.WriteString("[README.md](README.md) says what is measured, how, and how to read it. Quote the ratios: the times are those of one machine at one hour.\n")
	lab.PrintChecks(&b, check(r.scenarios))
	for i := range r.scenarios {
		r.scenarios[i].print(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (s *scenario) print(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n## %s parked goroutines\n\nWithout a monitor the server bears %s requests a second; the steady load is %s. Each run: %v of warm-up, %v measured. Rounds: %d.\n",
		lab.Thousands(s.parked), lab.Thousands(int(s.capacity)), lab.Thousands(int(s.rate())), s.warmup, s.duration, s.rounds)
	for _, load := range loads {
		measured := slices.DeleteFunc(slices.Clone(variants), func(v variant) bool { return len(s.values(load, v.name, throughput)) == 0 })
		if len(measured) > 0 {
			fmt.Fprintf(b, "\n### %s, %s\n\n%s\n", load, lab.Thousands(s.parked), s.mix(load))
			lab.Table(b, s.rows(load, measured))
		}
	}
}

// mix tells where the answers came from, and how well the load was kept.
func (s *scenario) mix(load string) string {
	var sum measurement
	for i := range s.runs {
		if m := &s.runs[i]; m.load == load {
			sum.requests, sum.Hits, sum.Reads, sum.Writes = sum.requests+m.requests, sum.Hits+m.Hits, sum.Reads+m.Reads, sum.Writes+m.Writes
			sum.generatorCPU, sum.elapsed, sum.late = sum.generatorCPU+m.generatorCPU, sum.elapsed+m.elapsed, max(sum.late, m.late)
		}
	}
	part := func(n int64) float64 { return 100 * float64(n) / float64(max(sum.requests, 1)) }
	text := fmt.Sprintf("%s requests: %.0f %% answered from the cache, %.0f %% read from SQLite, %.0f %% written to it. The load generator took %.0f %% of a core",
		lab.Thousands(sum.requests), part(sum.Hits), part(sum.Reads), part(sum.Writes), 100*sum.generatorCPU.Seconds()/sum.elapsed.Seconds())
	if sum.late > 0 {
		text += fmt.Sprintf(", and in the worst run sent one request in a hundred over %s late", lab.Duration(sum.late))
	}
	return text + ".\n"
}

// figures are the rows of a table, but for those of the monitors.
var figures = []struct {
	name  string
	of    figure
	write func(float64) string
}{
	{"requests a second", throughput, count},
	{"p50", func(m *measurement) float64 { return m.p50.Seconds() }, seconds},
	{"p99", p99, seconds},
	{"p99.9", func(m *measurement) float64 { return m.p999.Seconds() }, seconds},
	{"slowest", func(m *measurement) float64 { return m.max.Seconds() }, seconds},
	{"CPU, of one core", cores, percent},
	{"CPU a request", func(m *measurement) float64 { return m.CPU.Seconds() / float64(max(m.requests, 1)) }, seconds},
	{"memory at the end", func(m *measurement) float64 { return float64(m.Resident) }, size},
	{"memory at its peak", func(m *measurement) float64 { return float64(m.Peak) }, size},
	{"garbage collections", gcs, count},
}

// rows are those of a table. The last tell what the monitors did.
func (s *scenario) rows(load string, variants []variant) []lab.Row {
	head, snapshots, goroutines := lab.Row{""}, lab.Row{"snapshots"}, lab.Row{"goroutines seen"}
	for _, v := range variants {
		taken, seen := "–", "–"
		if v.source != "" {
			taken = v.source + ": " + span(s.values(load, v.name, func(m *measurement) float64 { return float64(m.snapshots) }))
			seen = span(s.values(load, v.name, func(m *measurement) float64 { return float64(m.seen) }))
		}
		head, snapshots, goroutines = append(head, v.name), append(snapshots, taken), append(goroutines, seen)
	}
	rows := []lab.Row{head}
	for _, f := range figures {
		row := lab.Row{f.name}
		for _, v := range variants {
			row = append(row, s.cell(load, v.name, f.of, f.write))
		}
		rows = append(rows, row)
	}
	return append(rows, snapshots, goroutines)
}

// cell shows the median, the range over the rounds, and the median of the
// ratios to off.
func (s *scenario) cell(load, variant string, f figure, write func(float64) string) string {
	values := s.values(load, variant, f)
	text := write(median(values))
	if len(values) > 1 {
		text += fmt.Sprintf(" (%s–%s)", write(slices.Min(values)), write(slices.Max(values)))
	}
	if ratios := s.ratios(load, variant, f); variant != off && len(ratios) > 0 {
		text += " **× " + ratio(median(ratios)) + "**"
	}
	return text
}

// span shows the range of numbers.
func span(values []float64) string {
	if least, most := slices.Min(values), slices.Max(values); least < most {
		return count(least) + "–" + count(most)
	}
	return count(values[0])
}

func count(f float64) string { return lab.Thousands(int(f + 0.5)) }

func seconds(f float64) string { return lab.Duration(time.Duration(f * float64(time.Second))) }

func percent(f float64) string { return lab.Digits(100*f) + " %" }

// ratio formats a ratio so that a tenth of a percent shows.
func ratio(f float64) string { return strconv.FormatFloat(f, 'f', 3, 64) }

// size formats bytes; 0 is what could not be measured.
func size(f float64) string {
	if f <= 0 {
		return "–"
	}
	return lab.Digits(f/(1<<20)) + " MiB"
}

// check judges what was measured. What was not measured is not judged.
func check(scenarios []scenario) (all []lab.Verdict) {
	for i := range scenarios {
		if s := &scenarios[i]; s.parked == checkedParked {
			for _, load := range loads {
				all = append(all, s.checkCost(load, "throughput", throughput, -1)...)
				all = append(all, s.checkCost(load, "p99", p99, +1)...)
			}
		}
	}
	return append(all, checkSound(scenarios)...)
}

// checkCost compares the median of the ratios to off with what is accepted: 1 %,
// or, where that is more, the furthest that off again was from off in any
// round. Worse is the direction in which a figure gets worse.
func (s *scenario) checkCost(load, name string, f figure, worse float64) []lab.Verdict {
	ratios, chance := s.ratios(load, on, f), s.ratios(load, offAgain, f)
	if len(ratios) == 0 || len(chance) == 0 {
		return nil
	}
	spread := furthest(chance)
	cost := worse * (median(ratios) - 1)
	return []lab.Verdict{lab.Judge(cost <= max(mostCost, spread),
		fmt.Sprintf("%s with defaults, %s, %s parked", name, load, lab.Thousands(s.parked)),
		fmt.Sprintf("%s of off (median of %d rounds); at most %.1f %% worse, or as far as off again was from off, %.2f %%",
			ratio(median(ratios)), len(ratios), 100*mostCost, 100*spread))}
}

// furthest returns how far a ratio is from 1 at most.
func furthest(ratios []float64) (most float64) {
	for _, r := range ratios {
		most = max(most, math.Abs(r-1))
	}
	return most
}

// checkSound checks that every run measured what it was to measure.
func checkSound(scenarios []scenario) (all []lab.Verdict) {
	runs, good, monitored, regularly, least := 0, 0, 0, 0, math.MaxInt
	for i := range scenarios {
		for _, m := range scenarios[i].runs {
			runs++
			if m.errors == 0 && len(m.Troubles) == 0 {
				good++
			}
			if m.variant.source != "" {
				monitored++
				least = min(least, m.snapshots)
				regularly += min(m.snapshots, 1)
			}
		}
	}
	if runs > 0 {
		all = append(all, lab.Judge(good == runs, "every request answered, no trouble with telemetry",
			fmt.Sprintf("%d of %d runs", good, runs)))
	}
	if monitored > 0 {
		all = append(all, lab.Judge(regularly == monitored, "a regular snapshot of the monitor within the measured time",
			fmt.Sprintf("in %d of %d runs that have a monitor; %d at least", regularly, monitored, least)))
	}
	return all
}
