// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Scale measures what a fleet asks of one gateway and of one Collector with the
// receiver for processes that cannot be rebuilt, and calculates what a fleet of any
// size needs. Run it from the root of the repository, on Linux, with Prometheus
// installed:
//
//	go run ./collector-config/scale                      # both, about 45 minutes
//	go run ./collector-config/scale -only gateway
//	go run ./collector-config/scale -write docs/scale.md # replaces the figures there
//
// The Collector and Prometheus are the real programs with the files of this folder,
// each in a process of its own; package load has what is simulated. All of them
// share the machine, so nothing else should run on it.
//
// The loads can be used alone, against a Collector of your own:
//
//	go run ./collector-config/scale replicas -endpoint collector:4317
//	go run ./collector-config/scale targets -file targets.json
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "scale: %v\n", err)
		os.Exit(1)
	}
}

// run runs a command; without one, it measures.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case serviceCommand:
			return runService(ctx, args[1:], stdin, stdout)
		case "replicas":
			return runReplicas(ctx, args[1:], stdout, stderr)
		case "targets":
			return runTargets(ctx, args[1:], stdout, stderr)
		}
	}
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	return measure(ctx, o, stdout, stderr)
}

// options is what the flags say.
type options struct {
	only       string        // what is measured; empty: all
	replicas   int           // of the gateway
	targets    int           // of the receiver
	stacks     int           // with series of their own
	findings   int           // of each replica in the storm
	export     time.Duration // interval of replicas
	collection time.Duration // interval of the receiver
	span       time.Duration // of each measurement
	fleet      int           // for how many replicas the need is calculated
	write      string        // file whose figures are replaced; empty: none
	args       string        // for the report
}

// The bounds of flags.
const (
	maxLoad  = 20_000 // replicas or targets on one machine
	maxFleet = 100_000_000
)

func parseOptions(args []string, help io.Writer) (options, error) {
	o := options{args: strings.Join(args, " ")}
	f := flag.NewFlagSet("scale", flag.ContinueOnError)
	f.SetOutput(help)
	f.StringVar(&o.only, "only", "", "measure only this: gateway or receiver")
	f.IntVar(&o.replicas, "replicas", 1000, "replicas that export to the gateway")
	f.IntVar(&o.targets, "targets", 1000, "targets of the receiver")
	f.IntVar(&o.stacks, "stacks", 20, "stacks with series of their own")
	f.IntVar(&o.findings, "findings", 5, "findings that each replica opens in the storm")
	f.DurationVar(&o.export, "export", time.Minute, "time between two exports of a replica")
	f.DurationVar(&o.collection, "collection", 30*time.Second, "time between two snapshots of a target")
	f.DurationVar(&o.span, "for", 5*time.Minute, "how long each load is measured, after a warm-up")
	f.IntVar(&o.fleet, "fleet", 100_000, "replicas of the fleet for which the need is calculated")
	f.StringVar(&o.write, "write", "", "replace the figures in this `file`")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unknown command %q; it must be replicas or targets, or there must be only flags", f.Arg(0))
	}
	return o, o.check()
}

// check names the first flag whose value is not accepted.
func (o *options) check() error {
	if !slices.Contains([]string{"", "gateway", "receiver"}, o.only) {
		return fmt.Errorf("-only %q: it must be gateway or receiver", o.only)
	}
	for _, n := range []struct {
		name            string
		is, least, most int
	}{
		{"replicas", o.replicas, 1, maxLoad}, {"targets", o.targets, 1, maxLoad}, {"stacks", o.stacks, 1, 400},
		{"findings", o.findings, 1, 20}, {"fleet", o.fleet, 1, maxFleet},
	} {
		if n.is < n.least || n.is > n.most {
			return fmt.Errorf("-%s %d: it must be %d to %d", n.name, n.is, n.least, n.most)
		}
	}
	for _, d := range []struct {
		name            string
		is, least, most time.Duration
	}{
		{"export", o.export, time.Second, time.Hour}, {"collection", o.collection, time.Second, time.Hour},
		{"for", o.span, time.Second, 24 * time.Hour},
	} {
		if d.is < d.least || d.is > d.most {
			return fmt.Errorf("-%s %v: it must be %v to %v", d.name, d.is, d.least, d.most)
		}
	}
	return nil
}
