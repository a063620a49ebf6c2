// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Neighbours takes captures as fast as they go in a busy service that also runs
// other profilers, with their own settings: dd-trace-go with execution traces,
// pyroscope-go with all profile types, fgprof, statsviz, and a flight recorder of
// the service's own. It checks that the process lives, that memory, threads, file
// descriptors and goroutines stay flat, and that every piece of data that a
// neighbour delivers is complete.
//
//	go run -C bench/neighbours . -captures 10000
//
// It prints a table for each phase, and exits with status 1 and a list if anything
// was wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

// settings are the periods of the neighbours, and when a phase is over.
type settings struct {
	captures  int           // in each phase, at least
	pieces    int           // that each neighbour delivers in each phase, at least; measuring begins after the first
	datadog   time.Duration // between uploads
	trace     int           // bytes of Datadog's execution traces, at most
	pyroscope time.Duration // between uploads
	fgprof    time.Duration // of one profile; whole seconds
	recording time.Duration // between recordings of the flight recorder
	patience  time.Duration // for the pieces of a phase
	slack     int64         // factor of what may come and go, such as garbage
}

var (
	// usual are what the libraries do by default.
	usual = settings{pieces: 4, datadog: time.Minute, trace: 5 << 20, pyroscope: 15 * time.Second, fgprof: 30 * time.Second, recording: 10 * time.Second, patience: time.Hour, slack: 1}
	quick = settings{datadog: 2 * time.Second, trace: 256 << 10, pyroscope: 2 * time.Second, fgprof: time.Second, recording: time.Second, patience: 3 * time.Minute, slack: 8}
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "neighbours:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("neighbours", flag.ContinueOnError)
	flags.SetOutput(progress)
	captures := flags.Int("captures", 10_000, "captures to take, at least; more are taken until each neighbour has delivered its data")
	pieces := flags.Int("pieces", usual.pieces, "uploads, profiles, messages and recordings that each neighbour delivers in each phase, at least; the process warms up until the first")
	brisk := flags.Bool("quick", false, "neighbours deliver every second or two instead of every 10 to 60 s")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *captures < 1 || *pieces < 2 {
		return errors.New("-captures must be at least 1 and -pieces at least 2, and there are no other arguments")
	}
	s := usual
	if *brisk {
		s = quick
	}
	s.pieces = *pieces
	s.captures = (*captures + len(phases) - 1) / len(phases)
	h, err := newHost()
	if err != nil {
		return err
	}
	defer h.close()
	results, err := h.phases(ctx, s, progress)
	report(out, results)
	return errors.Join(err, faultsOf(results))
}

// faultsOf returns everything that was wrong, or nil.
func faultsOf(results []*result) error {
	var errs []error
	for _, r := range results {
		for _, l := range append(r.ledgers, r.ours) {
			for _, f := range l.faultList() {
				errs = append(errs, fmt.Errorf("%s: %s: %s", r.phase, l.name, f))
			}
		}
		for _, f := range r.usage.faults(r.slack) {
			errs = append(errs, fmt.Errorf("%s: %s", r.phase, f))
		}
	}
	return errors.Join(errs...)
}
