// Goroot runs concurrency faults that others collected under the real monitor:
// those that the Go distribution tests its leak profile with, most of them from
// GoBench, which has them from Docker, Kubernetes, etcd, gRPC and others. They
// are built from the sources of the Go that runs, which keeps them. What is
// found is compared with what the runtime's own profile says at the end. Run it
// from the root of the repository:
//
//	go run ./bench/detection/goroot
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/otelgoroutine/go/bench/detection/internal/children"
	"github.com/otelgoroutine/go/bench/detection/internal/fault"
	"github.com/otelgoroutine/go/bench/internal/lab"
)

const usage = `Goroot runs the concurrency faults that come with the sources of Go under the
real monitor with all detectors, and compares what is found with what the
runtime's own leak profile says at the end.

Usage:

	go run ./bench/detection/goroot [flags]

Flags:

	-run REGEXP     only the faults whose name matches
	-list           list them and end
	-as LIST        how the fault happens: repeated (the default), as to a
	                service of which a request a minute meets it; once, in a
	                process that does nothing else; proof, once, and the monitor
	                may use the leak proof; or all. Separated by commas
	-scale K        how long a second of a service lasts, from 0.007 to 1
	                (default 0.01)
	-duration D     how long each program runs (default 50s)
	-parallel N     programs side by side (default 12 for each core)

Exit status: 0, 1 when fewer than 95 % of the faults that happened to a service
were found or something failed, 2 when the flags are wrong.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options is what the flags say.
type options struct {
	pattern  *regexp.Regexp
	list     bool
	as       []string
	scale    float64
	duration time.Duration
	parallel int
}

// The ways in which a fault happens.
const (
	repeated = "repeated"
	once     = "once"
	proof    = "proof"
)

var ways = []string{repeated, once, proof}

// parse reads the flags. The error is flag.ErrHelp when help was asked for; it
// is then written already.
func parse(args []string, help io.Writer) (o options, err error) {
	f := flag.NewFlagSet("goroot", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	pattern := f.String("run", "", "")
	as := f.String("as", repeated, "")
	f.BoolVar(&o.list, "list", false, "")
	f.Float64Var(&o.scale, "scale", 0.01, "")
	f.DurationVar(&o.duration, "duration", 50*time.Second, "")
	f.IntVar(&o.parallel, "parallel", 12*runtime.NumCPU(), "")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		_, err = io.WriteString(help, usage)
		return o, errors.Join(flag.ErrHelp, err)
	} else if err != nil {
		return o, err
	}
	if o.as, err = lab.Names("as", *as, ways); err != nil {
		return o, err
	}
	if o.pattern, err = regexp.Compile(*pattern); err != nil {
		return o, fmt.Errorf("-run %q: %w", *pattern, err)
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unknown argument %q; there are only flags", f.Arg(0))
	case !(o.scale >= 0.007 && o.scale <= 1): // also NaN
		return o, fmt.Errorf("-scale %v: allowed are 0.007 to 1", o.scale)
	case o.parallel < 1 || o.parallel > 1000:
		return o, fmt.Errorf("-parallel %d: allowed are 1 to 1000", o.parallel)
	case o.duration < time.Second || o.duration > 24*time.Hour:
		return o, fmt.Errorf("-duration %v: allowed are 1s to 24h", o.duration)
	}
	return o, nil
}

// run is main with its surroundings as parameters. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "goroot: %v\nRun with --help for the flags.\n", err)
		return 2
	}
	missed, err := runAll(ctx, &o, stdout, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "goroot: %v\n", err)
		return 1
	}
	if missed {
		return 1
	}
	return 0
}

// runAll builds the program and runs its faults in each way. It reports whether
// anything is as it should not be.
func runAll(ctx context.Context, o *options, stdout, stderr io.Writer) (missed bool, err error) {
	dir, err := os.MkdirTemp("", "goroot")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintln(stderr, "building the faults of", runtime.Version())
	program, err := build(ctx, dir)
	if err != nil {
		return false, err
	}
	names, err := pick(ctx, program, o.pattern)
	if err != nil {
		return false, err
	}
	if o.list {
		for _, name := range names {
			fmt.Fprintln(stdout, name)
		}
		return false, nil
	}
	var sums, rest bytes.Buffer
	for _, way := range o.as {
		results := runWay(ctx, o, program, way, names, stderr)
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		t := count(results)
		printSums(&sums, way, t)
		printRest(&rest, way, results)
		missed = missed || t.failed > 0 || way == repeated && t.tooFew()
	}
	_, err = fmt.Fprintf(stdout, "%s, a second is %v, each ran %v\n\n%s%s\n%s", lab.ThisMachine(), o.scale, o.duration, head, &sums, &rest)
	return missed, err
}

// pick returns the names of the faults that match.
func pick(ctx context.Context, program string, pattern *regexp.Regexp) ([]string, error) {
	var names []string
	if err := ask(ctx, program, fault.Order{}, &names); err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !pattern.MatchString(name) })
	if len(names) == 0 {
		return nil, fmt.Errorf("-run %q: no fault has such a name; -list lists them", pattern)
	}
	return names, nil
}

// runWay runs faults, some side by side.
func runWay(ctx context.Context, o *options, program, way string, names []string, progress io.Writer) []result {
	results := make([]result, len(names))
	children.SideBySide(len(names), o.parallel, func(i int) {
		var seen fault.Observation
		err := ask(ctx, program, fault.Order{Name: names[i], Scale: o.scale, Duration: o.duration, Once: way != repeated, Proof: way == proof}, &seen)
		results[i] = judge(names[i], &seen, err)
	}, func(i, done int) {
		fmt.Fprintf(progress, "[%d/%d] %s, %s: %s\n", done, len(names), names[i], way, &results[i])
	})
	return results
}

// ask runs the program in a process of its own and reads its answer.
func ask(ctx context.Context, program string, order fault.Order, answer any) error {
	text, err := json.Marshal(order)
	if err != nil {
		return err
	}
	return children.Ask(ctx, order.Duration, answer, nil, program, string(text))
}
