// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Example is a small but real service with otelgoroutine in it, and with faults
// that can be switched on and off. Run it from the root of the repository:
//
//	go run ./example
//
// # How otelgoroutine is added to a service
//
// The function serve below does what a service does at startup. Only one of its
// calls concerns goroutines: [otelgoroutine.Start] in startMonitor, with the
// providers that the service has anyway. A real service needs no option except
// the logger provider.
//
// # Layout
//
//	main.go      the start, the call, the end
//	telemetry.go the OpenTelemetry SDK with its OTLP exporters
//	server.go    the live page and the liveness probe, beside net/http/pprof
//	service.go   the healthy service, and in load.go the load on it
//	faults.go    the leak, the deadlock and the nil channel
//	output.go    where the telemetry goes: the OTLP receiver that takes the
//	             place of a Collector
//	screen/      what arrives there, for people
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

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/otelgoroutine"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its environment passed as parameters. It returns the exit
// status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	var out *output
	if err == nil {
		out, err = newOutput(o, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "example: %v\nRun with -help for the flags.\n", err)
		return 2
	}
	if err := serve(ctx, o, out); err != nil {
		fmt.Fprintf(stderr, "example: %v\n", err)
		return 1
	}
	return 0
}

// serve starts everything, waits for the end, and stops everything in reverse
// order.
func serve(ctx context.Context, o options, out *output) (err error) {
	ctx, stopSignals := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stopSignals()
	ctx, cancel := withTimeout(ctx, o.duration)
	defer cancel()
	defer func() { err = errors.Join(err, out.close()) }()
	out.announce()

	otel, err := startTelemetry(ctx, out.addr(), o.interval)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, inTime(otel.shutdown)) }()

	shop, err := startService(context.Background(), o.load)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shop.stop()) }()
	out.shop = shop

	monitor, err := startMonitor(otel, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, inTime(monitor.Shutdown)) }()

	admin, err := startAdmin(o.http, monitor)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, inTime(admin.stop)) }()

	faulty, switchOff := withTimeout(ctx, o.faultsFor)
	defer switchOff()
	shop.startFaults(faulty, o.faults)
	out.show(ctx, monitor, admin.url(pagePath))
	stopSignals() // from here on, a second Ctrl-C ends the program at once
	return nil
}

// demonstrationBudget is what snapshots every second need. The terminal and the name on
// the live page say that it is for a demonstration.
var demonstrationBudget = otelgoroutine.Budget{CPU: 1, Pause: 10 * time.Millisecond}

// startMonitor contains everything that otelgoroutine needs.
func startMonitor(otel *telemetry, o options) (*otelgoroutine.Monitor, error) {
	options := []otelgoroutine.Option{
		otelgoroutine.WithLoggerProvider(otel.logs),
		// The other options show within a minute what takes longer with the
		// defaults. Do not copy them: a snapshot every second instead of every
		// 15 s needs a larger budget. For the detectors, see hasty.
		otelgoroutine.WithInterval(o.interval),
		otelgoroutine.WithBudget(demonstrationBudget),
		otelgoroutine.WithDetectors(hasty()...),
	}
	if o.profiles != "" {
		options = append(options, otelgoroutine.WithProfileDir(o.profiles, 20))
	}
	return otelgoroutine.Start(otel.metrics, options...)
}

// hasty returns the default detectors with thresholds for a demonstration. In a
// real service, they would report every slow period as a fault.
func hasty() []*detectors.Detector {
	leak, deadlock, pileup := detectors.DefaultLeakConfig(), detectors.DefaultDeadlockConfig(), detectors.DefaultPileupConfig()
	surge, contention, stall := detectors.DefaultSurgeConfig(), detectors.DefaultContentionConfig(), detectors.DefaultStallConfig()
	leak.MinAge, leak.MaxAge = 4*time.Second, 8*time.Second // so that a leak that has ended is soon resolved
	leak.Window, leak.Warmup, leak.MinStand = 15*time.Second, 5*time.Second, 30*time.Second
	growth := detectors.DefaultGrowthConfig()
	growth.MinAge, growth.Window, growth.Warmup = 4*time.Second, 15*time.Second, 5*time.Second
	deadlock.MinWait = 8 * time.Second
	hang := detectors.DefaultHangConfig()
	hang.MinWait = 6 * time.Second
	pileup.MinWait, pileup.MinStand, pileup.Window, pileup.Warmup = 8*time.Second, 10*time.Second, time.Minute, 5*time.Second
	surge.Window, surge.Warmup = 15*time.Second, 5*time.Second
	contention.MinWait = 10 * time.Second
	stall.MinWait = 10 * time.Second
	forever := detectors.DefaultBlockedForeverConfig()
	forever.Window, forever.Warmup = 6*time.Second, 2*time.Second
	return []*detectors.Detector{
		detectors.NewHang(hang),
		detectors.NewLeak(leak),
		detectors.NewGrowth(growth),
		detectors.NewDeadlock(deadlock),
		detectors.NewBlockedForever(forever),
		detectors.NewPileup(pileup),
		detectors.NewSurge(surge),
		detectors.NewContention(contention),
		detectors.NewStall(stall),
	}
}

// withTimeout returns a context that ends after d or, if d is 0, with its
// parent.
func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// inTime calls a function that stops something. It limits the call to the time
// that a user is willing to wait after Ctrl-C.
func inTime(end func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return end(ctx)
}
