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

// print writes a report as a Markdown document.
func (r *report) print(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The cost to a service: results\n\n%s, %s, %v of\n\n    %s\n\nwith seed %d.\n\n",
		r.Started.Format("2 January 2006"), r.Machine, r.Took, r.Command, r.Seed)
	b.WriteString("[README.md](README.md) says what is measured, how, and how to read it. Quote the ratios: the times are those of one machine at one hour.\n")
	lab.PrintChecks(&b, r.Checks)
	for i := range r.Scenarios {
		r.Scenarios[i].print(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (s *scenario) print(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n## %s parked goroutines\n\nWithout a monitor the server bears %s requests a second; the steady load is %s. Each run: %v of warm-up, %v measured. Rounds: %d.\n",
		lab.Thousands(s.Parked), lab.Thousands(int(s.Capacity)), lab.Thousands(int(s.Rate)), s.Warmup, s.Duration, s.Rounds)
	for _, load := range loadNames {
		measured := slices.DeleteFunc(slices.Clone(variantNames), func(v string) bool { return len(s.values(load, v, throughput)) == 0 })
		if len(measured) > 0 {
			fmt.Fprintf(b, "\n### %s, %s\n\n%s\n", load, lab.Thousands(s.Parked), s.mix(load))
			lab.Table(b, s.rows(load, measured))
		}
	}
}

// mix tells where the answers came from, and how well the load was kept.
func (s *scenario) mix(load string) string {
	var sum measurement
	for i := range s.Runs {
		m := &s.Runs[i]
		if m.Load != load {
			continue
		}
		sum.Requests, sum.Hits, sum.Reads, sum.Writes = sum.Requests+m.Requests, sum.Hits+m.Hits, sum.Reads+m.Reads, sum.Writes+m.Writes
		sum.GeneratorCPU, sum.Elapsed, sum.Late = sum.GeneratorCPU+m.GeneratorCPU, sum.Elapsed+m.Elapsed, max(sum.Late, m.Late)
	}
	part := func(n int64) float64 { return 100 * float64(n) / float64(max(sum.Requests, 1)) }
	text := fmt.Sprintf("%s requests: %.0f %% answered from the cache, %.0f %% read from SQLite, %.0f %% written to it. The load generator took %.0f %% of a core",
		lab.Thousands(sum.Requests), part(sum.Hits), part(sum.Reads), part(sum.Writes), 100*sum.GeneratorCPU.Seconds()/sum.Elapsed.Seconds())
	if sum.Late > 0 {
		text += fmt.Sprintf(", and in the worst run sent one request in a hundred over %s late", lab.Duration(sum.Late))
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
	{"p50", p50, seconds},
	{"p99", p99, seconds},
	{"p99.9", p999, seconds},
	{"slowest", longest, seconds},
	{"CPU, of one core", cores, percent},
	{"CPU a request", perRequest, seconds},
	{"memory at the end", resident, size},
	{"memory at its peak", peak, size},
	{"garbage collections", gcs, count},
}

// rows are those of a table. The last tell what the monitors did.
func (s *scenario) rows(load string, variants []string) [][]string {
	rows := [][]string{append([]string{""}, variants...)}
	for _, f := range figures {
		row := []string{f.name}
		for _, v := range variants {
			row = append(row, s.cell(load, v, f.of, f.write))
		}
		rows = append(rows, row)
	}
	snapshots, goroutines := []string{"snapshots"}, []string{"goroutines seen"}
	for _, v := range variants {
		source := regular[v]
		if source == "" {
			snapshots, goroutines = append(snapshots, "–"), append(goroutines, "–")
			continue
		}
		counted := s.values(load, v, func(m *measurement) float64 { return float64(m.Snapshots[source]) })
		snapshots = append(snapshots, source+": "+span(counted))
		goroutines = append(goroutines, span(s.values(load, v, seen)))
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
		if s := &scenarios[i]; s.Parked == checkedParked {
			for _, load := range loadNames {
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
		fmt.Sprintf("%s with defaults, %s, %s parked", name, load, lab.Thousands(s.Parked)),
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
	runs, failed, monitored, regularly, least := 0, 0, 0, 0, math.MaxInt
	for i := range scenarios {
		for j := range scenarios[i].Runs {
			m := &scenarios[i].Runs[j]
			runs++
			if m.Errors > 0 || len(m.Troubles) > 0 {
				failed++
			}
			if source := regular[m.Variant]; source != "" {
				monitored++
				least = min(least, m.Snapshots[source])
				regularly += min(m.Snapshots[source], 1)
			}
		}
	}
	if runs > 0 {
		all = append(all, lab.Judge(failed == 0, "every request answered, no trouble with telemetry",
			fmt.Sprintf("%d of %d runs", runs-failed, runs)))
	}
	if monitored > 0 {
		all = append(all, lab.Judge(regularly == monitored, "a regular snapshot of the monitor within the measured time",
			fmt.Sprintf("in %d of %d runs that have a monitor; %d at least", regularly, monitored, least)))
	}
	return all
}
