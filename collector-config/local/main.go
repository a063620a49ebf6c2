// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Local starts the whole chain on this machine, without containers: the example
// with its faults, the Collector and, if it is installed, Prometheus. Run it
// from the root of the repository:
//
//	go run ./collector-config/local
//
// It prints the addresses to open, then each event that the Collector forwards.
// Ctrl-C stops everything. The times in the alerts are divided by 60 to match
// the short times of the example.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/otelgoroutine/go/collector-config/internal/rig"
)

func main() {
	duration := flag.Duration("duration", 0, "end after this time; 0: with Ctrl-C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *duration, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "local: %v\n", err)
		os.Exit(1)
	}
}

// hurry is the factor by which the times in the alerts are divided.
const hurry = 60

// run starts everything, waits until ctx ends or the duration is over, and
// stops everything in reverse order.
func run(ctx context.Context, duration time.Duration, out io.Writer) error {
	dir, err := os.MkdirTemp("", "otelgoroutine-local-")
	if err != nil {
		return err
	}
	folder, collector, example, err := build(ctx, out)
	if err != nil {
		return err
	}
	events, err := startPrinter(out)
	if err != nil {
		return err
	}
	defer events.Close()
	col, err := rig.StartCollector(ctx, rig.CollectorConfig{
		Program: collector, Folder: folder, Files: []string{"otel-collector.yaml"}, Dir: dir,
		Out:  rig.LogFile(dir, "collector.log"),
		OTLP: rig.Prefer("127.0.0.1:4317"), Scrape: rig.Prefer("127.0.0.1:8889"),
		Env: []string{"ONWARD_ENDPOINT=" + events.URL()},
	})
	if err != nil {
		return err
	}
	defer col.Stop()
	prom, err := rig.StartPrometheus(ctx, rig.PrometheusConfig{
		Folder: folder, Dir: dir, Collector: col, Hurry: hurry,
		Out: rig.LogFile(dir, "prometheus.log"), Addr: rig.Prefer("127.0.0.1:9090"),
	})
	if err == nil {
		defer prom.Stop()
	} else if !errors.Is(err, rig.ErrNoPrometheus) {
		return err
	}
	shop, err := rig.StartExample(rig.ExampleConfig{Program: example, OTLP: col.OTLP, Instance: "local", Out: rig.LogFile(dir, "example.log")})
	if err != nil {
		return err
	}
	defer shop.Stop()
	tell(out, dir, col, prom)
	return wait(ctx, duration, col.Process, shop)
}

func build(ctx context.Context, out io.Writer) (folder, collector, example string, err error) {
	if folder, err = rig.Folder(ctx); err != nil {
		return
	}
	fmt.Fprintln(out, "Building the Collector; the first time this takes some minutes.")
	if collector, err = rig.BuildCollector(ctx, folder); err != nil {
		return
	}
	example, err = rig.BuildExample(ctx, folder)
	return
}

func tell(out io.Writer, dir string, col *rig.Collector, prom *rig.Prometheus) {
	row := func(what, where string) { fmt.Fprintf(out, "  %-22s%s\n", what, where) }
	fmt.Fprintln(out, "\nThe example, with a leak, a deadlock, a hang and a nil channel, exports to a Collector. Its telemetry is in:")
	if prom == nil {
		row("no Prometheus", rig.ErrNoPrometheus.Error())
	} else {
		row("alerts", "http://"+prom.Addr+"/alerts (the first in half a minute; times divided by 60)")
		row("metrics", "http://"+prom.Addr+"/graph?g0.expr=sum+by+(goroutine_detailed_state)+(goroutine_count)&g0.tab=0&g0.range_input=5m")
		row("dashboard", "import collector-config/grafana-dashboard.json into Grafana, data source http://"+prom.Addr)
	}
	row("what is scraped", "http://"+col.Scrape+"/metrics")
	row("the Collector itself", "http://"+col.Own+"/metrics")
	row("OTLP for your service", "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+col.OTLP)
	row("events", col.Events+", and below")
	row("logs", dir)
	fmt.Fprint(out, "Ends with Ctrl-C.\n\n")
}

// wait waits for the end, or until one of the programs ends too early.
func wait(ctx context.Context, duration time.Duration, col, shop *rig.Process) error {
	if duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, duration)
		defer cancel()
	}
	select {
	case <-ctx.Done():
		return nil
	case <-col.Ended():
		return fmt.Errorf("the Collector has ended:\n%s", col.Output())
	case <-shop.Ended():
		return nil // Ctrl-C interrupts the program as well
	}
}
