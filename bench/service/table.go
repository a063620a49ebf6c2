package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// save prints a report and, when a path is given, saves it as JSON.
func (r *report) save(o options, stdout io.Writer) error {
	if err := r.print(stdout); err != nil {
		return err
	}
	if o.json == "" {
		return nil
	}
	return lab.SaveJSON(o.json, r)
}

// print writes a report as a Markdown document.
func (r *report) print(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The cost to a service: results\n\n%s, %s, %v of\n\n    %s\n\nwith seed %d.\n\n",
		r.Started.Format("2 January 2006"), r.Machine, r.Took, r.Command, r.Seed)
	b.WriteString("[README.md](README.md) says what is measured, how, and how to read it. Quote the ratios: the times are those of one machine at one hour.\n")
	if len(r.Checks) > 0 {
		b.WriteString("\n## Checks\n\n")
		for _, v := range r.Checks {
			fmt.Fprintf(&b, "- %s\n", v)
		}
	}
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
		if variants := s.variants(load); len(variants) > 0 {
			fmt.Fprintf(b, "\n### %s, %s\n\n%s\n", load, lab.Thousands(s.Parked), s.mix(load))
			s.table(b, load, variants)
		}
	}
}

// variants returns those that were measured under a load.
func (s *scenario) variants(load string) (measured []string) {
	for _, v := range variantNames {
		if len(s.values(load, v, throughput)) > 0 {
			measured = append(measured, v)
		}
	}
	return measured
}

// mix tells where the answers came from, and how well the load was kept.
func (s *scenario) mix(load string) string {
	var hits, reads, written, requests int64
	var generator, elapsed, late time.Duration
	for i := range s.Runs {
		m := &s.Runs[i]
		if m.Load != load {
			continue
		}
		hits, reads, written, requests = hits+m.Hits, reads+m.Reads, written+m.Writes, requests+int64(m.Requests)
		generator, elapsed, late = generator+m.GeneratorCPU, elapsed+m.Elapsed, max(late, m.Late)
	}
	part := func(n int64) float64 { return 100 * float64(n) / float64(max(requests, 1)) }
	text := fmt.Sprintf("%s requests: %.0f %% answered from the cache, %.0f %% read from SQLite, %.0f %% written to it. The load generator took %.0f %% of a core",
		lab.Thousands(int(requests)), part(hits), part(reads), part(written), 100*generator.Seconds()/elapsed.Seconds())
	if late > 0 {
		text += fmt.Sprintf(", and in the worst run sent one request in a hundred over %s late", lab.Duration(late))
	}
	return text + ".\n"
}

// rows are the figures of a table.
var rows = []struct {
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

func (s *scenario) table(b *bytes.Buffer, load string, variants []string) {
	fmt.Fprintf(b, "| | %s |\n|---%s|\n", strings.Join(variants, " | "), strings.Repeat("|---:", len(variants)))
	for _, row := range rows {
		b.WriteString("| " + row.name)
		for _, v := range variants {
			b.WriteString(" | " + s.cell(load, v, row.of, row.write))
		}
		b.WriteString(" |\n")
	}
	s.looks(b, load, variants)
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

// looks adds the rows that tell what the monitors did.
func (s *scenario) looks(b *bytes.Buffer, load string, variants []string) {
	var looks, seen []string
	for _, v := range variants {
		source := regularLook[v]
		if source == "" {
			looks, seen = append(looks, "–"), append(seen, "–")
			continue
		}
		counted := s.values(load, v, func(m *measurement) float64 { return float64(m.Looks[source]) })
		looks = append(looks, fmt.Sprintf("%s: %s", source, span(counted)))
		seen = append(seen, span(s.values(load, v, func(m *measurement) float64 { return float64(m.Seen) })))
	}
	fmt.Fprintf(b, "| looks | %s |\n| goroutines seen | %s |\n", strings.Join(looks, " | "), strings.Join(seen, " | "))
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
