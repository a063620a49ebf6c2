// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/procfs"
)

// results is what was measured.
type results struct {
	gateway  *gatewayResult
	receiver *receiverResult
	now      time.Time
	machine  string
}

// The figures in a document are between these lines.
const (
	beginFigures = "<!-- figures: go run ./collector-config/scale -write docs/scale.md -->\n"
	endFigures   = "<!-- end of figures -->\n"
)

// report writes the figures to out, and into the document that o names.
func (r *results) report(o options, out io.Writer) error {
	text := r.markdown(o)
	if _, err := io.WriteString(out, text); err != nil || o.write == "" {
		return err
	}
	document, err := os.ReadFile(o.write)
	if err != nil {
		return err
	}
	replaced, err := replaceFigures(string(document), text)
	if err != nil {
		return fmt.Errorf("%s: %w", o.write, err)
	}
	return os.WriteFile(o.write, []byte(replaced), 0o644)
}

// replaceFigures replaces what is between the two lines of a document.
func replaceFigures(document, figures string) (string, error) {
	before, rest, began := strings.Cut(document, beginFigures)
	_, after, ended := strings.Cut(rest, endFigures)
	if !began || !ended {
		return "", fmt.Errorf("the figures go between the lines %q and %q; it has not both", strings.TrimSpace(beginFigures), strings.TrimSpace(endFigures))
	}
	return before + beginFigures + "\n" + figures + "\n" + endFigures + after, nil
}

// markdown renders the figures.
func (r *results) markdown(o options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, of\n\n    %s\n", r.now.Format("2 January 2006"), r.machine,
		strings.TrimSpace("go run ./collector-config/scale "+o.args))
	if r.gateway != nil {
		r.gateway.markdown(&b)
	}
	if r.receiver != nil {
		r.receiver.markdown(&b)
	}
	r.fleet(&b, o.fleet)
	return b.String()
}

// section writes a heading and the head of a table.
func section(b *strings.Builder, heading string, columns ...string) {
	fmt.Fprintf(b, "\n### %s\n\n", heading)
	row(b, columns...)
	fmt.Fprintf(b, "|---%s|\n", strings.Repeat("|---:", len(columns)-1))
}

func row(b *strings.Builder, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

// processes writes a table of what the processes used in each phase.
func processes(b *strings.Builder, phases []string, used ...map[string]usage) {
	for _, name := range []string{theCollector, thePrometheus, theLoad} {
		cores, memory := []string{name + ", CPU"}, []string{name + ", memory at most"}
		for i := range phases {
			u := used[i][name]
			cores, memory = append(cores, coresText(u.Cores)), append(memory, size(float64(u.Peak)))
		}
		row(b, cores...)
		row(b, memory...)
	}
}

func (r *gatewayResult) markdown(b *strings.Builder) {
	section(b, fmt.Sprintf("One gateway, %s replicas that export every %v", count(float64(r.Replicas)), r.Export), "", "without load", "steady", "storm and after")
	processes(b, []string{"", "", ""}, r.Idle, r.Steady, r.Storm)
	section(b, "What they sent", "", "")
	row(b, "points of metrics in an export", count(perOne(r.Sent.Points, r.Sent.Exports)))
	row(b, "bytes of an export on the wire, uncompressed", size(perOne(r.Sent.Bytes, r.Sent.Exports)))
	row(b, fmt.Sprintf("exports in %v, of which failed", r.Span), fmt.Sprintf("%d, %d", r.Sent.Exports+r.Sent.Failed, r.Sent.Failed))
	r.Scraped.rows(b, r.Replicas, "replica")
	row(b, fmt.Sprintf("events in the storm, with a stack of 16 KiB each: %d on each replica", r.Findings), count(float64(r.Findings*r.Replicas)))
	row(b, "bytes of the storm, and of the exports meanwhile", size(float64(r.Stormed.Bytes)))
	row(b, "until the gateway had accepted all", r.Took.Round(10*time.Millisecond).String())
	row(b, "events that failed at the SDKs, reached the log store, and were counted in Prometheus", fmt.Sprintf("%d, %d, %.0f", r.Stormed.Lost, r.Stored, r.Counted))
	r.Lost.row(b)
}

func (r *receiverResult) markdown(b *strings.Builder) {
	section(b, fmt.Sprintf("One Collector with the receiver, %s targets every %v", count(float64(r.Targets)), r.Collection), "", "without load", "steady")
	processes(b, []string{"", ""}, r.Idle, r.Steady)
	snapshots := int64(r.Answers.Traces + r.Answers.Profiles)
	section(b, "What they were asked", "", "")
	row(b, fmt.Sprintf("traces, profiles in %v", r.Span), fmt.Sprintf("%d, %d", r.Answers.Traces, r.Answers.Profiles))
	row(b, "bytes of a snapshot on the wire, uncompressed", size(perOne(r.Answered, snapshots)))
	row(b, fmt.Sprintf("targets that were not asked for more than %v; not at all", r.Collection*3/2), fmt.Sprintf("%d; %d", r.Answers.Late, r.Answers.Silent))
	row(b, "longest time between two requests to a target", r.Answers.Longest.Round(10*time.Millisecond).String())
	row(b, "requests for other pages; after the end of a recording", fmt.Sprintf("%d; %d", r.Answers.Other, r.Answers.Ended))
	row(b, "the receiver's own count since the start: targets observed; snapshots incomplete, failed, missed; events dropped",
		fmt.Sprintf("%.0f; %.0f, %.0f, %.0f; %.0f", r.Own.Observed, r.Own.Incomplete, r.Own.Failed, r.Own.Missed, r.Own.Dropped))
	r.Scraped.rows(b, r.Targets, "target")
	r.Lost.row(b)
}

// rows writes what Prometheus got.
func (s *scraped) rows(b *strings.Builder, n int, of string) {
	row(b, "series of a "+of+" that Prometheus scrapes", count(s.Samples/float64(n)))
	row(b, "series in the head of Prometheus", count(s.Series))
	row(b, "bytes of one scrape, compressed", size(float64(s.Bytes)))
	row(b, "longest scrape; scrapes that failed", fmt.Sprintf("%.1f s; %.0f", s.Seconds, s.Missed))
}

func (l lost) row(b *strings.Builder) {
	row(b, "points and events that the Collector refused, dropped", fmt.Sprintf("%.0f, %.0f", l.Refused, l.Failed))
}

// fleet writes what a fleet needs.
func (r *results) fleet(b *strings.Builder, fleet int) {
	columns, needs, shares := []string{""}, []need{}, []share{}
	if r.gateway != nil {
		columns, needs, shares = append(columns, "gateways"), append(needs, r.gateway.need(fleet)), append(shares, r.gateway.share())
	}
	if r.receiver != nil {
		columns, needs, shares = append(columns, "receivers"), append(needs, r.receiver.need(fleet)), append(shares, r.receiver.share())
	}
	section(b, fmt.Sprintf("A fleet of %s replicas", count(float64(fleet))), columns...)
	line := func(name string, of func(i int) string) {
		cells := []string{name}
		for i := range needs {
			cells = append(cells, of(i))
		}
		row(b, cells...)
	}
	line("CPU of each replica", func(i int) string { return coresText(shares[i].Cores) })
	line("memory of each replica", func(i int) string { return size(shares[i].Memory) })
	line(fmt.Sprintf("replicas for a Collector with %d cores and %s, half used", machineCores, size(machineMemory)), func(i int) string { return count(float64(needs[i].PerMachine)) })
	line("Collectors, one to spare", func(i int) string { return count(float64(needs[i].Machines)) })
	line("bytes that arrive, by the second", func(i int) string { return size(needs[i].In) })
	line("series", func(i int) string { return count(needs[i].Series) })
	line(fmt.Sprintf("samples by the second, scraped every %v", scrapeInterval), func(i int) string { return count(needs[i].Samples) })
	line("CPU of all Prometheus servers", func(i int) string { return coresText(needs[i].Cores) })
	line("memory of all Prometheus servers", func(i int) string { return size(needs[i].Memory) })
}

// perOne returns how much there is for each of n.
func perOne(sum, n int64) float64 {
	if n == 0 {
		return 0
	}
	return float64(sum) / float64(n)
}

// coresText formats CPU time by the second.
func coresText(cores float64) string {
	if cores != 0 && cores < 0.0995 {
		return digits(1000*cores) + " ms/s"
	}
	return digits(cores) + " cores"
}

// digits formats with three digits.
func digits(f float64) string {
	switch {
	case f == 0 || f >= 99.95:
		return fmt.Sprintf("%.0f", f)
	case f >= 9.995:
		return fmt.Sprintf("%.1f", f)
	case f >= 0.0995:
		return fmt.Sprintf("%.2f", f)
	}
	return fmt.Sprintf("%.3f", f)
}

// size formats bytes.
func size(bytes float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for len(units) > 1 && bytes >= 999.5 {
		bytes, units = bytes/1024, units[1:]
	}
	return digits(bytes) + " " + units[0]
}

// count formats a number, with commas.
func count(n float64) string {
	text := fmt.Sprintf("%.0f", n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// thisMachine describes the machine, and how busy it is.
func thisMachine() string {
	text := fmt.Sprintf("%s, %s/%s, %d cores", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return text
	}
	if cpus, err := proc.CPUInfo(); err == nil && len(cpus) > 0 {
		text += ", " + cpus[0].ModelName
	}
	if memory, err := proc.Meminfo(); err == nil && memory.MemTotalBytes != nil {
		text += ", " + size(float64(*memory.MemTotalBytes))
	}
	if load, err := proc.LoadAvg(); err == nil {
		text += fmt.Sprintf(", load average at the beginning %.1f", load.Load1)
	}
	return text
}
