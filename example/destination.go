package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/example/receiver"
	"github.com/otelgoroutine/go/example/screen"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// A destination is where the telemetry goes and what is shown of it.
type destination struct {
	options  options
	out      io.Writer
	started  time.Time
	receiver *receiver.Receiver // nil when it goes elsewhere
	model    *screen.Model
	file     *receiver.File // nil without -out
	screen   *screen.Screen
	page     string        // URL of the live page, or empty
	lasted   time.Duration // how long there was something to show
	atEnd    int           // goroutines, then
}

// newDestination starts the embedded receiver, unless the telemetry is to go
// elsewhere, and opens the file.
func newDestination(o options, out io.Writer) (*destination, error) {
	d := &destination{options: o, out: out, started: time.Now()}
	if o.endpoint != "" {
		return d, nil
	}
	d.model = screen.NewModel()
	sinks := []receiver.Sink{d.model}
	var err error
	if o.out != "" {
		if d.file, err = receiver.OpenFile(o.out); err != nil {
			return nil, fmt.Errorf("-out: %w", err)
		}
		sinks = append(sinks, d.file)
	}
	d.receiver, err = receiver.Start(sinks...)
	return d, err
}

// addr returns the address of the embedded receiver, or nothing.
func (d *destination) addr() string {
	if d.receiver == nil {
		return ""
	}
	return d.receiver.Addr()
}

// show shows what happens until ctx ends.
func (d *destination) show(ctx context.Context, shop *service, monitor *otelgoroutine.Monitor) {
	defer func() { d.lasted, d.atEnd = time.Since(d.started), runtime.NumGoroutine() }()
	if d.receiver == nil {
		d.showMonitor(ctx, shop, monitor)
		return
	}
	d.introduce("telemetry arrives at the embedded OTLP receiver on " + d.addr())
	d.screen = screen.New(d.out, d.model, func() string {
		return fmt.Sprintf("%d requests served", shop.requests.Load())
	})
	d.screen.Run(ctx)
}

// introduce says what is about to be seen.
func (d *destination) introduce(where string) {
	faults, end := "no faults", "Ctrl-C"
	if len(d.options.faults) > 0 {
		faults = "these faults: " + strings.Join(d.options.faults, ", ")
		if d.options.faultsFor > 0 {
			faults += fmt.Sprintf(", for %v", d.options.faultsFor)
		}
	}
	if d.options.duration > 0 {
		end = fmt.Sprintf("%v or Ctrl-C", d.options.duration)
	}
	fmt.Fprintf(d.out, "A service under load with %s. Ends after %s.\nIts %s.\n", faults, end, where)
	if d.page != "" {
		fmt.Fprintf(d.out, "See its goroutines live at %s\n", d.page)
	}
	fmt.Fprintln(d.out)
}

// showMonitor prints a line every five seconds about what is shown elsewhere.
func (d *destination) showMonitor(ctx context.Context, shop *service, monitor *otelgoroutine.Monitor) {
	d.introduce("telemetry goes to " + d.options.endpoint)
	for wait(ctx, 5*time.Second) {
		fmt.Fprintf(d.out, "%v  %d requests served · %s\n",
			time.Since(d.started).Truncate(time.Second), shop.requests.Load(), openFindings(monitor.Findings()))
	}
}

func openFindings(findings []detectors.Finding) string {
	text := fmt.Sprintf("findings open: %d", len(findings))
	for _, f := range findings {
		text += "\n        " + f.Detector + ": " + f.Message
	}
	return text
}

// close ends the receiver, when the exporters have ended, and says what there
// was to see. The service is nil when it did not start.
func (d *destination) close(shop *service) error {
	var errs []error
	if d.receiver != nil {
		errs = append(errs, d.receiver.Stop())
	}
	if d.file != nil {
		if err := d.file.Close(); err != nil {
			errs = append(errs, fmt.Errorf("-out %s: %w", d.options.out, err))
		}
	}
	if shop != nil {
		d.summary(shop)
	}
	return errors.Join(errs...)
}
