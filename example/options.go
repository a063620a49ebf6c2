package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

const usage = `Example is a small real service under its own load, with faults that can be
switched, and otelgoroutine watching it. What it exports is shown here.

Usage:

	go run ./example [flags]

Flags:

	-duration D    end after D, from 1s to 24h; without it, run until Ctrl-C
	-faults LIST   all (the default), none, or some of these, separated by
	               commas:
	                 leak      every GET /report leaves a goroutine behind
	                 deadlock  two locks taken in two orders, and more
	                           goroutines piling up behind them
	                 nilchan   a receive from a nil channel
	-faults-for D  switch the faults off after D, from 1s to 24h; without it,
	               they go on. What leaked or is deadlocked by then stays
	-load L        steady (the default), or tides: callers come and go as in
	               a day that lasts 24 minutes, with waves and bursts on top
	-http ADDR     serve the live page and net/http/pprof on ADDR; unless given,
	               on 127.0.0.1:6060, or any free port where that is taken;
	               off: not at all
	-interval D    time between snapshots, and between exports, from 200ms to
	               2s; 1s unless given
	-out FILE      append what is exported to FILE, one request a line, in the
	               OTLP JSON format
	-profiles DIR  save a goroutine profile into DIR for every finding, for
	               go tool pprof

Environment:

	OTEL_EXPORTER_OTLP_ENDPOINT  export there instead of showing it here;
	                             the other OTEL_ variables work as well
	NO_COLOR                     no colours

Examples:

	go run ./example -duration 45s -out otlp.jsonl
	go run ./example -faults none
	go run ./example -faults leak,nilchan -interval 500ms
	go run ./example -faults leak -faults-for 40s
	OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 go run ./example

Exit status: 0 after -duration or Ctrl-C, 1 when something failed, 2 when the
flags are wrong.
`

// endpointVariable is read by the OTLP exporters, and here.
const endpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT"

// options is what the flags say.
type options struct {
	duration  time.Duration // 0: until a signal
	interval  time.Duration
	http      string // address of the live page; empty: the usual one or a free one
	faults    []string
	faultsFor time.Duration // 0: to the end
	tides     bool
	out       string
	profiles  string
	endpoint  string // from the environment; empty: the embedded receiver
}

// parseOptions reads the flags. The error is flag.ErrHelp when help was asked
// for; it is then written already.
func parseOptions(args []string, help io.Writer) (options, error) {
	o := options{endpoint: os.Getenv(endpointVariable)}
	var faults, load string
	flags := flag.NewFlagSet("example", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.DurationVar(&o.duration, "duration", 0, "")
	flags.DurationVar(&o.interval, "interval", time.Second, "")
	flags.StringVar(&o.http, "http", "", "")
	flags.StringVar(&faults, "faults", "all", "")
	flags.DurationVar(&o.faultsFor, "faults-for", 0, "")
	flags.StringVar(&load, "load", "steady", "")
	flags.StringVar(&o.out, "out", "", "")
	flags.StringVar(&o.profiles, "profiles", "", "")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(help, usage)
		}
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: there are only flags", flags.Arg(0))
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var err error
	o.faults, err = parseFaults(faults)
	if o.tides = load == "tides"; !o.tides && load != "steady" {
		err = errors.Join(err, fmt.Errorf("-load %q: allowed are steady and tides", load))
	}
	return o, errors.Join(err, o.check(given))
}

func (o *options) check(given map[string]bool) error {
	var errs []error
	if given["duration"] && (o.duration < time.Second || o.duration > 24*time.Hour) {
		errs = append(errs, fmt.Errorf("-duration %v: allowed are 1s to 24h; leave it out to run until Ctrl-C", o.duration))
	}
	if given["faults-for"] && (o.faultsFor < time.Second || o.faultsFor > 24*time.Hour) {
		errs = append(errs, fmt.Errorf("-faults-for %v: allowed are 1s to 24h; leave it out to keep them on", o.faultsFor))
	}
	if o.interval < 200*time.Millisecond || o.interval > 2*time.Second {
		errs = append(errs, fmt.Errorf("-interval %v: allowed are 200ms to 2s", o.interval))
	}
	if _, _, err := net.SplitHostPort(o.http); given["http"] && o.http != noHTTP && err != nil {
		errs = append(errs, fmt.Errorf("-http %q: allowed are host:port, as 127.0.0.1:6060, and off", o.http))
	}
	if o.out != "" && o.endpoint != "" {
		errs = append(errs, fmt.Errorf("-out %s: with %s set, nothing arrives here that could be written", o.out, endpointVariable))
	}
	if o.profiles != "" {
		if info, err := os.Stat(o.profiles); err != nil {
			errs = append(errs, fmt.Errorf("-profiles: %w", err))
		} else if !info.IsDir() {
			errs = append(errs, fmt.Errorf("-profiles %s: not a directory", o.profiles))
		}
	}
	return errors.Join(errs...)
}
