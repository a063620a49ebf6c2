// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/diagnosis"
	"github.com/otelgoroutine/go/internal/engine"
	"github.com/otelgoroutine/go/internal/htmlreport"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/internal/sight"
	"github.com/otelgoroutine/go/internal/source"
)

// outputFlags are the flags that control the output of a report.
type outputFlags struct {
	terminalFlags
	format string
	file   string
	top    int
	unfold bool
	failOn string
}

func (f *outputFlags) add(c *cobra.Command, formats string) {
	f.terminalFlags.add(c.Flags())
	c.Flags().StringVarP(&f.format, "format", "f", "text", formats)
	c.Flags().StringVarP(&f.file, "output", "o", "", "file to write to instead of standard output")
	c.Flags().IntVar(&f.top, "top", 20, "number of stacks and functions in the text")
	c.Flags().BoolVar(&f.unfold, "unfold", false, "show all frames in the text; otherwise those of the standard library share a line")
	c.Flags().StringVar(&f.failOn, "fail-on", "", "exit with 1 if there is a finding of at least this confidence: any, "+confidenceWords()+"; add health, after a comma, for health checks at level warn as well")
}

// check validates the flags before anything is read.
func (f *outputFlags) check(formats ...string) (failOn, error) {
	if err := cmp.Or(checkValue("--format", f.format, formats), f.terminalFlags.check()); err != nil {
		return failOn{}, err
	}
	if f.top < 1 {
		return failOn{}, fmt.Errorf("--top %d is too small; it must be at least 1", f.top)
	}
	return parseFailOn(f.failOn)
}

// reportFormats are the values of --format of report.
var reportFormats = []string{"text", "json", "html", "pprof"}

type reportFlags struct {
	inputFlags
	filterFlags
	outputFlags
	bundle  string
	samples int
	every   time.Duration
	ordered bool // keep the order of the arguments instead of sorting by time
}

func newReport() *cobra.Command {
	f := &reportFlags{}
	c := &cobra.Command{
		Use:   "report SOURCE...",
		Short: "Report on a process, a profile, a dump, a trace or a log",
		Long: `Report counts goroutines by state, category, function and stack, shows what the
detectors find, and compares the counts with rules of thumb.

A source is a file, - for standard input, or the address of a process with
net/http/pprof: 6060, host:6060, http://host:6060 or one of its pages,
unix:/path, or pod/NAME:6060 through kubectl (docs/endpoints.md). Several
sources are a series of snapshots of one process, in the order of their times,
and give a trend; so do --samples with one address, and several goroutine dumps
in one file.`,
		Example: `  goroutines report http://host:6060
  goroutines report --format json host:6060 | jq .states
  goroutines report -o report.html --format html monday.pb.gz friday.pb.gz
  goroutines report --samples 10 --every 30s --fail-on suspected http://host:6060
  goroutines report --bundle incident/ dump.txt && go tool pprof -http : incident/profile.pb.gz
  journalctl -u service | goroutines report -`,
		Args: atLeastOne,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args) },
	}
	f.inputFlags.add(c.Flags())
	f.filterFlags.add(c.Flags())
	f.outputFlags.add(c, "text, json, html, or pprof (a profile; use with -o)")
	c.Flags().StringVar(&f.bundle, "bundle", "", "folder to write, created if necessary: the report as text, JSON and HTML, top functions, traces, a graph and the profiles")
	f.seriesFlags(c)
	return c
}

// seriesFlags adds the flags of a series.
func (f *reportFlags) seriesFlags(c *cobra.Command) {
	c.Flags().IntVar(&f.samples, "samples", 1, "number of snapshots to take of a process, from 1 to 10000")
	c.Flags().DurationVar(&f.every, "every", 0, "time between the snapshots of --samples, by default 10s; with several files, the time between them, in the given order, in place of their own times")
}

func atLeastOne(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("no source; give a file, a URL, or - for standard input (--help has examples)")
	}
	return nil
}

func (f *reportFlags) run(c *cobra.Command, args []string) error {
	fail, err := f.outputFlags.check(reportFormats...)
	if err := cmp.Or(err, f.filterFlags.check(), f.checkSeries(args)); err != nil {
		return err
	}
	if f.format == "pprof" && f.file == "" && isTerminal(c.OutOrStdout()) {
		return errors.New("--format pprof is binary and standard output is a terminal; add -o FILE")
	}
	series, notes, err := f.read(c, args)
	if err != nil {
		return err
	}
	r, findings, chosen, err := f.report(series, notes)
	if err != nil {
		return err
	}
	if f.bundle != "" {
		err = writeBundle(f.bundle, r, chosen.snapshots)
	}
	if f.bundle == "" || f.file != "" {
		err = errors.Join(err, f.write(c, r, chosen.snapshots))
	}
	tell(c.ErrOrStderr(), r.Notes)
	return cmp.Or(err, series.Partial, fail.verdict(findings, r))
}

func (f *reportFlags) checkSeries(args []string) error {
	if f.samples < 1 || f.samples > 10_000 {
		return fmt.Errorf("--samples %d is out of range; it must be 1 to 10000", f.samples)
	}
	if f.every < 0 {
		return fmt.Errorf("--every %v is negative; it must be greater than 0", f.every)
	}
	urls := make(map[string]bool)
	for _, arg := range args {
		if source.IsURL(arg) {
			urls[arg] = true
		}
	}
	if len(urls) > 1 {
		return errors.New("the sources are several processes, not one series; report on each, or use watch")
	}
	if f.samples > 1 && (len(args) > 1 || len(urls) != 1) {
		return errors.New("--samples needs exactly one source, the address of a process")
	}
	if f.samples > 1 {
		f.every = cmp.Or(f.every, 10*time.Second)
	}
	return nil
}

// read reads the series. It also returns notes on what the series lacks.
func (f *reportFlags) read(c *cobra.Command, args []string) (*source.Series, []string, error) {
	reader, err := f.inputFlags.reader(c.Context(), c.InOrStdin())
	if err != nil {
		return nil, nil, err
	}
	f.prepare(reader)
	var notes []string
	p := newProgress(c.ErrOrStderr())
	reader.Samples, reader.Every, reader.Ordered = f.samples, f.every, f.ordered
	reader.Last = f.ordered // diff compares two
	reader.Progress, reader.Note = p.tell, func(s string) { notes = append(notes, s) }
	series, err := reader.Read(c.Context(), args)
	p.clear()
	return series, notes, err
}

// report runs the detectors over a series. It returns the report of the goroutines that
// the filter chooses, the findings, which are about all, and what the filter chose.
func (f *reportFlags) report(series *source.Series, notes []string) (*report.Report, []detectors.Finding, filtered, error) {
	if err := f.parsed.applicable(series); err != nil {
		return nil, nil, filtered{}, err
	}
	findings, seen, more := judge(series.Snapshots, f.excluded)
	findings = diagnosis.Join(f.diagnose(series), findings)
	chosen := f.parsed.choose(series)
	return report.New(chosen.snapshots, findings, report.Options{
		Sight:  seen,
		Target: series.Names[len(series.Names)-1],
		Stacks: f.top, Functions: f.top, Values: f.values, Unfold: f.unfold,
		Waits: chosen.waits, Filter: chosen.filter, Whole: chosen.whole,
		Notes: slices.Concat(notes, more, chosen.notes), Same: series.Same,
		Terse: f.bundle == "" && f.format == "text",
	}), findings, chosen, nil
}

// diagnose returns what the last snapshot says by itself. The text is for the person who
// has the input; other formats are passed on, so that they have messages of the program
// only with --values.
func (f *reportFlags) diagnose(series *source.Series) []detectors.Finding {
	p := detectors.NewPass(series.Snapshots)
	p.Exclude(f.excluded)
	details := series.Details[p.Snapshot]
	if !f.values && (f.format != "text" || f.bundle != "") {
		details = diagnosis.Private(details)
	}
	return diagnosis.Of(p.Snapshot, details, earlier(series), p.Known)
}

// earlier returns the dump before the last one, if both are of one process.
func earlier(series *source.Series) *diagnosis.Earlier {
	last := len(series.Snapshots) - 1
	if last == 0 || !series.Same {
		return nil
	}
	before := series.Snapshots[last-1]
	return &diagnosis.Earlier{Details: series.Details[before], Ago: series.Snapshots[last].Time.Sub(before.Time)}
}

// pprofCut is the size at which net/http/pprof truncates a debug=2 dump.
const pprofCut = 64 << 20

// judge runs the detectors over a series. It also returns which of them could
// judge it, and notes on how to get more.
func judge(series []*goroutine.Snapshot, known []detectors.KnownStack) (findings []detectors.Finding, seen *report.Sight, notes []string) {
	last := len(series) - 1
	e := engine.New(engine.Config{Detectors: detectors.Default(), Known: known})
	for _, s := range series[:last] {
		if s.Time.Before(series[last].Time) { // diff accepts them in any order
			e.Remember(s)
		}
	}
	result := e.Step(series[last])
	for _, v := range result.Verdicts {
		if v.Err != nil {
			notes = append(notes, v.Err.Error())
		}
	}
	if lackIDs := func(s detectors.Status) bool { return s.Reason == detectors.ReasonNoIDs }; slices.ContainsFunc(result.Statuses, lackIDs) {
		notes = append(notes, "the input has no goroutine IDs, which traces and debug=2 dumps have: most detectors need them")
	}
	if s := series[last]; s.Source == goroutine.SourceText && s.Bytes == pprofCut {
		notes = append(notes, "the dump has 64 MiB, the size at which net/http/pprof cuts it: goroutines are missing")
	}
	if len(series) == 1 {
		notes = append(notes, "a leak and a hang show over time only; give several snapshots, use --samples, or use watch")
	}
	return result.Findings, report.SightOf(sight.Of(series[last], result.Statuses, time.Now())), notes
}

func (f failOn) verdict(findings []detectors.Finding, r *report.Report) error {
	for _, finding := range findings {
		if f.confidence > 0 && finding.Confidence >= f.confidence {
			return errFindings
		}
	}
	if f.health && r.Health.Level == report.LevelWarn {
		return errFindings
	}
	return nil
}

func tell(w io.Writer, notes []string) {
	for _, n := range notes {
		fmt.Fprintf(w, "goroutines: note: %s\n", n)
	}
}

func (f *reportFlags) write(c *cobra.Command, r *report.Report, shown []*goroutine.Snapshot) error {
	if f.format == "text" {
		return f.text(c, r.Styled)
	}
	return f.outputFlags.to(c.OutOrStdout(), func(w io.Writer) error {
		switch f.format {
		case "json":
			return r.JSON(w)
		case "html":
			return htmlreport.Write(w, r)
		}
		return parse.WriteProfile(w, shown[len(shown)-1])
	})
}

// to writes to the file given by -o, or to w if there is none.
func (f *outputFlags) to(w io.Writer, write func(io.Writer) error) error {
	if f.file == "" {
		return untilClosed(func() error { return write(w) })
	}
	return writeFile(f.file, write)
}

// text writes a text to the file given by -o, or to standard output: on a terminal in its
// style and, if it is long, with a pager.
func (f *outputFlags) text(c *cobra.Command, write func(io.Writer, report.Style) error) error {
	return f.to(c.OutOrStdout(), func(w io.Writer) error {
		style := f.style(w)
		return f.page(c.Context(), w, func(w io.Writer) error { return write(w, style) })
	})
}

// writeFile writes a file atomically: no partial file ever has this name.
func writeFile(name string, write func(io.Writer) error) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".goroutines-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	if err = errors.Join(write(tmp), tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
