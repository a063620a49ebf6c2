// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

const usage = `Example is a small real service under its own load, with otelgoroutine in it and
faults that can be switched on. What it exports is shown here.

Usage:

	go run ./example [flags]

Flags:

	-duration D    end after D, at least 1s; without it, run until Ctrl-C
	-faults LIST   all (the default), none, or some of these, separated by
	               commas:
	                 leak      every GET /report leaves a goroutine behind
	                 deadlock  two locks taken in two orders, and more
	                           goroutines piling up behind them
	                 hang      a pool of workers that gets stuck after 20 s,
	                           with all requests for POST /invoice behind it
	                 nilchan   ever more goroutines that receive from a nil channel
	-faults-for D  switch the faults off after D, at least 1s; without it, they
	               go on. What leaked or is deadlocked by then stays
	-load L        steady (the default); light: a single caller, for many
	               replicas on one machine; or tides: callers come and go as in
	               a day that lasts 24 minutes, with waves and bursts on top
	-http ADDR     serve the live page, /livez and net/http/pprof on ADDR; unless
	               given, on 127.0.0.1:6060, or any free port where that is taken;
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

// endpointVariable is read by the OTLP exporters and by this package.
const endpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT"

// options holds the values of the flags.
type options struct {
	duration  time.Duration // 0: until a signal
	interval  time.Duration
	http      string // address of the live page; empty: the usual one, or a free one if that is taken
	faults    []string
	faultsFor time.Duration // 0: to the end
	load      string
	out       string
	profiles  string
	endpoint  string // from the environment; empty: the embedded receiver
}

// faultNames are the faults that -faults can switch on. They lead to findings
// of the kinds leak, deadlock, hang and blocked_forever, in this order.
var faultNames = []string{"leak", "deadlock", "hang", "nilchan"}

// parseOptions parses the flags. If help was requested, it writes the help and
// returns flag.ErrHelp.
func parseOptions(args []string, help io.Writer) (options, error) {
	o := options{endpoint: os.Getenv(endpointVariable)}
	var faults string
	flags := flag.NewFlagSet("example", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.DurationVar(&o.duration, "duration", 0, "")
	flags.DurationVar(&o.interval, "interval", time.Second, "")
	flags.StringVar(&o.http, "http", "", "")
	flags.StringVar(&faults, "faults", "all", "")
	flags.DurationVar(&o.faultsFor, "faults-for", 0, "")
	flags.StringVar(&o.load, "load", "steady", "")
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
	var err error
	if !slices.Contains([]string{"steady", "light", "tides"}, o.load) {
		err = fmt.Errorf("-load %q: must be steady, light or tides", o.load)
	}
	return o, errors.Join(o.setFaults(faults), err, o.check())
}

// setFaults parses the value of -faults.
func (o *options) setFaults(value string) error {
	switch value {
	case "all":
		o.faults = faultNames
	case "none":
	default:
		o.faults = strings.Split(value, ",")
	}
	for _, name := range o.faults {
		if !slices.Contains(faultNames, name) {
			return fmt.Errorf("-faults %s: unknown fault %q; must be all, none, or some of %s, separated by commas",
				value, name, strings.Join(faultNames, ", "))
		}
	}
	return nil
}

func (o *options) check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.duration < time.Second && o.duration != 0 {
		wrong("-duration %v: must be at least 1s, or 0 to run until Ctrl-C", o.duration)
	}
	if o.faultsFor < time.Second && o.faultsFor != 0 {
		wrong("-faults-for %v: must be at least 1s, or 0 to keep them on", o.faultsFor)
	}
	if o.interval < 200*time.Millisecond || o.interval > 2*time.Second {
		wrong("-interval %v: must be 200ms to 2s", o.interval)
	}
	if _, _, err := net.SplitHostPort(o.http); err != nil && o.http != "" && o.http != noHTTP {
		wrong("-http %q: must be host:port, such as 127.0.0.1:6060, or off", o.http)
	}
	if o.out != "" && o.endpoint != "" {
		wrong("-out %s: with %s set, nothing arrives here that could be written", o.out, endpointVariable)
	}
	if info, err := os.Stat(cmp.Or(o.profiles, ".")); err != nil {
		wrong("-profiles: %w", err)
	} else if !info.IsDir() {
		wrong("-profiles %s: not a directory", o.profiles)
	}
	return errors.Join(errs...)
}
