// Example is a small real service with otelgoroutine in it, and faults that
// can be switched. Run it from the root of the repository:
//
//	go run ./example
//
// # How otelgoroutine is added to a service
//
// Below, serve does what a service does at its start. One call in it is about
// goroutines: [otelgoroutine.Start] in watchGoroutines, with the providers
// that the service has anyway. A real service leaves out all options but the
// logger provider.
//
// # What is where
//
//	main.go      the start, the call, the end
//	telemetry.go the OpenTelemetry SDK with its OTLP exporters
//	admin.go     the live page, beside net/http/pprof
//	service.go   the healthy service; also load.go, pipeline.go, pool.go
//	faults.go    the leak, the deadlock and the nil channel
//	receiver/    the OTLP receiver that takes the place of a Collector
//	screen/      what arrived there, for people
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

// run is main with its surroundings as parameters. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	var dest *destination
	if err == nil {
		dest, err = newDestination(o, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "example: %v\nRun with -help for the flags.\n", err)
		return 2
	}
	if err := serve(ctx, o, dest); err != nil {
		fmt.Fprintf(stderr, "example: %v\n", err)
		return 1
	}
	return 0
}

// serve starts everything, waits for the end, and ends everything in reverse.
func serve(ctx context.Context, o options, dest *destination) (err error) {
	ctx, stopSignals := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stopSignals()
	if o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	var shop *service
	defer func() { err = errors.Join(err, dest.close(shop)) }()

	otel, err := startTelemetry(ctx, dest.addr(), o.interval)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, inTime(otel.shutdown)) }()

	if shop, err = startService(context.Background(), o.tides); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shop.stop()) }()

	monitor, err := watchGoroutines(otel, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, inTime(monitor.Shutdown)) }()

	admin, err := startAdmin(o.http, monitor)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, inTime(admin.stop)) }()
	dest.page = admin.url()

	faulty, switchOff := faultTime(ctx, o.faultsFor)
	defer switchOff()
	shop.startFaults(faulty, o.faults)
	dest.show(ctx, shop, monitor)
	stopSignals() // from here on, a second Ctrl-C ends the program at once
	return nil
}

// watchGoroutines is all that otelgoroutine needs.
func watchGoroutines(otel *telemetry, o options) (*otelgoroutine.Monitor, error) {
	options := []otelgoroutine.Option{
		otelgoroutine.WithLoggerProvider(otel.logs),
		// The rest is there to show in less than a minute what takes longer
		// with the defaults. Do not copy it: a look every second instead of
		// every 15 needs a larger budget, and for the detectors see hasty.
		otelgoroutine.WithInterval(o.interval),
		otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1, Pause: 10 * time.Millisecond}),
		otelgoroutine.WithDetectors(hasty()...),
	}
	if o.profiles != "" {
		options = append(options, otelgoroutine.WithProfileDir(o.profiles, 20))
	}
	return otelgoroutine.Start(otel.metrics, options...)
}

// hasty returns the default detectors with the thresholds of a demonstration.
// In a real service they would take every slow spell for a fault.
func hasty() []*detectors.Detector {
	leak, deadlock, pileup := detectors.DefaultLeakConfig(), detectors.DefaultDeadlockConfig(), detectors.DefaultPileupConfig()
	surge, contention, stall := detectors.DefaultSurgeConfig(), detectors.DefaultContentionConfig(), detectors.DefaultStallConfig()
	leak.MinAge, leak.MaxAge = 4*time.Second, 8*time.Second // so that a leak that has ended is soon seen to have
	leak.Window, leak.Warmup, leak.MinStand = 15*time.Second, 5*time.Second, 30*time.Second
	deadlock.MinWait = 8 * time.Second
	pileup.MinWait, pileup.MinStand, pileup.Window, pileup.Warmup = 8*time.Second, 10*time.Second, time.Minute, 5*time.Second
	surge.Window, surge.Warmup = 15*time.Second, 5*time.Second
	contention.MinWait = 10 * time.Second
	stall.MinWait = 10 * time.Second
	return []*detectors.Detector{
		detectors.NewLeak(leak),
		detectors.NewDeadlock(deadlock),
		detectors.NewBlockedForever(detectors.DefaultBlockedForeverConfig()),
		detectors.NewPileup(pileup),
		detectors.NewSurge(surge),
		detectors.NewContention(contention),
		detectors.NewStall(stall),
	}
}

// inTime calls a function that ends something, and does not wait for it longer
// than a person does who has pressed Ctrl-C.
func inTime(end func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return end(ctx)
}
