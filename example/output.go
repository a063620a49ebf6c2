// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/example/screen"
	"github.com/otelgoroutine/go/internal/otlptest"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// An output is the destination of the telemetry and the display of its content.
type output struct {
	options  options
	out      io.Writer
	started  time.Time
	receiver *otlptest.Server // nil if the telemetry goes elsewhere
	screen   *screen.Screen   // shows what arrives at the receiver
	file     *file            // nil without -out
	shop     *service         // nil until it has started
	lasted   time.Duration    // time from the start to the stop
	atEnd    int              // number of goroutines at the stop
}

// newOutput starts the embedded receiver, unless the telemetry goes elsewhere,
// and opens the file.
func newOutput(o options, out io.Writer) (*output, error) {
	d := &output{options: o, out: out, started: time.Now()}
	if o.endpoint != "" {
		return d, nil
	}
	d.screen = screen.New(out, func() string { return fmt.Sprintf("%d requests served", d.shop.requests.Load()) })
	sinks := []otlptest.Sink{d.screen}
	var err error
	if o.out != "" {
		if d.file, err = openFile(o.out); err != nil {
			return nil, fmt.Errorf("-out: %w", err)
		}
		sinks = append(sinks, d.file)
	}
	d.receiver, err = otlptest.Start(sinks...)
	return d, err
}

// addr returns the address of the embedded receiver, or "" if there is none.
func (d *output) addr() string {
	if d.receiver == nil {
		return ""
	}
	return d.receiver.Addr()
}

// show displays what happens until ctx ends.
func (d *output) show(ctx context.Context, monitor *otelgoroutine.Monitor, page string) {
	d.introduce(page)
	if d.receiver == nil {
		d.showFindings(ctx, monitor)
		fmt.Fprintf(d.out, "Stopping: what is left is sent to %s.\n", d.options.endpoint)
	} else {
		d.screen.Run(ctx)
	}
	d.lasted, d.atEnd = time.Since(d.started), runtime.NumGoroutine()
}

// announce says what will happen. It is the first that is printed.
func (d *output) announce() {
	faults, until, first := "without faults", "until Ctrl-C", ""
	if len(d.options.faults) > 0 {
		faults = "with faults on purpose (" + strings.Join(d.options.faults, ", ")
		if d.options.faultsFor > 0 {
			faults += fmt.Sprintf("; switched off after %v", d.options.faultsFor)
		}
		faults += ")"
		first = "The first findings come within a minute.\n"
	}
	if d.options.duration > 0 {
		until = fmt.Sprintf("for %v or until Ctrl-C", d.options.duration)
	}
	fmt.Fprintf(d.out, "This runs a small service under its own load, %s, %s.\n%s", faults, until, first)
	fmt.Fprintf(d.out, "Settings of a demonstration: a snapshot every %v, with up to %.0f %% of a core;\n"+
		"detectors judge within seconds. The defaults are 15s, 0.5 %%, and minutes.\n",
		d.options.interval, 100*demonstrationBudget.CPU)
}

// introduce says where to see it, once everything has started.
func (d *output) introduce(page string) {
	where := "goes to " + d.options.endpoint
	if d.receiver != nil {
		where = "arrives at the embedded OTLP receiver on " + d.addr()
	}
	fmt.Fprintf(d.out, "Its telemetry %s.\n", where)
	if page != "" {
		fmt.Fprintf(d.out, "See its goroutines live at %s\n", page)
	}
	fmt.Fprintln(d.out)
}

// showFindings prints, every five seconds, findings that are exported
// elsewhere.
func (d *output) showFindings(ctx context.Context, monitor *otelgoroutine.Monitor) {
	for wait(ctx, 5*time.Second) {
		findings := monitor.Findings()
		fmt.Fprintf(d.out, "%v  %d requests served · findings open: %d\n",
			time.Since(d.started).Truncate(time.Second), d.shop.requests.Load(), len(findings))
		for _, f := range findings {
			fmt.Fprintf(d.out, "        %s: %s\n", f.Detector, f.Message)
		}
	}
}

// close stops the receiver, after the exporters have stopped, and prints a
// summary.
func (d *output) close() error {
	var errs []error
	if d.receiver != nil {
		errs = append(errs, d.receiver.Stop())
	}
	if d.file != nil {
		if err := d.file.close(); err != nil {
			errs = append(errs, fmt.Errorf("-out %s: %w", d.options.out, err))
		}
	}
	if d.shop != nil {
		d.summarize()
	}
	return errors.Join(errs...)
}

func (d *output) summarize() {
	if d.screen != nil {
		d.screen.Finish()
	}
	row := func(name, format string, args ...any) {
		fmt.Fprintf(d.out, "  %-18s%s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(d.out, "Summary of %v\n", d.lasted.Round(time.Second))
	row("requests served", "%d", d.shop.requests.Load())
	row("goroutines", "%d at the end, %d after the service had stopped", d.atEnd, runtime.NumGoroutine())
	if d.receiver == nil {
		row("exported to", "%s", d.options.endpoint)
		return
	}
	counts := d.screen.Counts()
	row("metric points", "%d received in %d collections", counts.Points, counts.Collections)
	row("events", "%d received", counts.Records)
	for _, name := range slices.Sorted(maps.Keys(counts.Events)) {
		row("", "%d × %s", counts.Events[name], name)
	}
	if d.file != nil {
		row("written to", "%s, %d lines of OTLP JSON", d.options.out, d.file.lines)
	}
	if d.options.profiles != "" {
		row("profiles in", "%s, for go tool pprof", d.options.profiles)
	}
}
