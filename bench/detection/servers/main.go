// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Servers runs real servers and clients, in the current versions of their
// libraries, under loads that services have, each in two processes with the real
// monitor, and tells what the monitor said of them: nothing is wrong with any.
//
//	go run -C bench/detection/servers .                 # from the root of the repository
//	go run -C bench/detection/servers . -run 'nats/ramp'
//
// README.md tells what is done.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"sync"
	"time"
)

func main() {
	if text, ordered := os.LookupEnv(orderVariable); ordered {
		os.Exit(carryOut(text))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	silent, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "servers:", err)
		os.Exit(2)
	case !silent:
		os.Exit(1)
	}
}

// options is what the flags say.
type options struct {
	pattern  *regexp.Regexp
	scale    float64
	duration time.Duration
	parallel int
	dumps    string
}

// whole is how long a server runs by default, in the time of a service: the ramp
// lasts two hours.
const whole = 140 * time.Minute

// leastScale scales the interval between snapshots to a little more than the
// monitor's minimum.
const leastScale = 0.007

func parseOptions(args []string, help io.Writer) (o options, err error) {
	o.pattern = new(regexp.Regexp)
	f := flag.NewFlagSet("servers", flag.ContinueOnError)
	f.SetOutput(help)
	f.TextVar(o.pattern, "run", regexp.MustCompile(""), "only the servers and loads whose \"server/load\" matches `REGEXP`")
	f.Float64Var(&o.scale, "scale", 0.01, "how long a second of a service lasts, from 0.007 to 1")
	f.DurationVar(&o.duration, "duration", 0, "how long each runs (default 140 minutes of a service, 84 s at the default scale)")
	f.IntVar(&o.parallel, "parallel", 2, "`N` pairs of processes side by side")
	f.StringVar(&o.dumps, "dumps", "", "existing `FOLDER` to write a goroutine dump of each process to, late in its time")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case !(o.scale >= leastScale && o.scale <= 1):
		return o, fmt.Errorf("-scale: must be %v to 1, is %v", leastScale, o.scale)
	case o.parallel < 1:
		return o, fmt.Errorf("-parallel: must be at least 1, is %d", o.parallel)
	}
	o.duration = cmp.Or(o.duration, time.Duration(o.scale*float64(whole)))
	return o, nil
}

// A trial is one server under one load.
type trial struct {
	server, load string
	result       result
	err          error
}

func (t *trial) name() string { return t.server + "/" + t.load }

// run is main with its surroundings as parameters. It reports whether nothing was
// warned about.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (silent bool, err error) {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return false, err
	}
	trials := chosen(o.pattern)
	if len(trials) == 0 {
		return false, errors.New("-run: no server and load are called so")
	}
	var mu sync.Mutex
	done := 0
	sideBySide(len(trials), o.parallel, func(i int) {
		t := &trials[i]
		t.result, t.err = try(ctx, t, &o)
		mu.Lock()
		defer mu.Unlock()
		done++
		fmt.Fprintf(stderr, "[%d/%d] %s: %s\n", done, len(trials), t.name(), t.short())
	})
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	fmt.Fprint(stdout, report(&o, trials))
	return !slices.ContainsFunc(trials, func(t trial) bool { return !t.silent() }), nil
}

// chosen returns the trials whose names match, in the order of servers and loads.
func chosen(pattern *regexp.Regexp) (all []trial) {
	for _, s := range servers {
		for _, l := range loads {
			if t := (trial{server: s.name, load: l.name}); pattern.MatchString(t.name()) {
				all = append(all, t)
			}
		}
	}
	return all
}

// sideBySide calls f for 0 to n-1, at most parallel of them at once.
func sideBySide(n, parallel int, f func(i int)) {
	var all sync.WaitGroup
	places := make(chan struct{}, parallel)
	for i := range n {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			f(i)
		})
	}
	all.Wait()
}
