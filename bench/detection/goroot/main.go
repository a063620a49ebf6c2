// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Goroot runs concurrency faults that others collected under the real monitor:
// those that the Go distribution tests its leak profile with, most of them from
// GoBench, which has them from Docker, Kubernetes, etcd, gRPC and others. They
// are built from the sources of the Go that runs, which keeps them. What is
// found is compared with what the runtime's own profile says at the end. Run it
// from the root of the repository:
//
//	go run -C bench ./detection/goroot
package main

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/otelgoroutine/go/bench/detection/internal/watch"
	"github.com/otelgoroutine/go/bench/internal/lab"
)

func main() { lab.Main(run) }

// options is what the flags say.
type options struct {
	watch.Flags
	as []string
}

// The ways in which a fault happens.
const (
	repeated = "repeated"
	once     = "once"
	proof    = "proof"
)

// parseOptions reads the flags.
func parseOptions(args []string, help io.Writer) (o options, err error) {
	o.as = []string{repeated}
	f := flag.NewFlagSet("./detection/goroot", flag.ContinueOnError)
	o.Define(f, "50s")
	f.Func("as", `how the fault happens, a LIST of: repeated, as to a service of which a
request a minute meets it; once, in a process that does nothing else; proof,
once, and the monitor may use the leak proof; or all. Separated by commas
(default repeated)`, lab.Names(&o.as, []string{repeated, once, proof}))
	err = lab.Parse(f, args, help)
	o.Duration = cmp.Or(o.Duration, 50*time.Second)
	return o, err
}

// run is main with its surroundings as parameters. It builds the program and
// runs its faults in each way.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (ok bool, err error) {
	o, err := parseOptions(args, stdout)
	if err != nil {
		return false, err
	}
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
	var names []string
	if err := lab.Ask(ctx, 0, program, watch.Order{}, &names); err != nil {
		return false, err
	}
	var chosen []string
	for _, name := range names {
		if o.Pattern.MatchString(name) {
			chosen = append(chosen, name)
		}
	}
	if chosen == nil {
		return false, fmt.Errorf("-run: no fault has such a name; there are %s", strings.Join(names, ", "))
	}
	return runAll(ctx, &o, program, chosen, stdout, stderr)
}

// runAll runs faults in each way and prints what came out. It reports whether
// all is as it should be.
func runAll(ctx context.Context, o *options, program string, names []string, stdout, stderr io.Writer) (ok bool, err error) {
	ok = true
	rows := []lab.Row{{"setting", "found", "did not happen", "of these, with a finding", "failed"}}
	var sums, rest bytes.Buffer
	for _, way := range o.as {
		results := runWay(ctx, o, program, way, names, stderr)
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		t := count(results)
		rows = append(rows, lab.Row{way, fmt.Sprintf("%d of %d (%d %%)", t.found, t.happened, 100*t.found/max(t.happened, 1)), t.unhappened, t.unconfirmed, t.failed})
		printRest(&rest, way, results)
		ok = ok && t.failed == 0 && (way != repeated || !t.tooFew())
	}
	lab.Table(&sums, rows)
	_, err = fmt.Fprintf(stdout, "%s, a second is %v, each ran %v\n\n%s\n%s", lab.ThisMachine(), o.Scale, o.Duration, &sums, &rest)
	return ok, err
}

// runWay runs faults, some side by side, each in a process of its own.
func runWay(ctx context.Context, o *options, program, way string, names []string, progress io.Writer) []result {
	results := make([]result, len(names))
	lab.SideBySide(len(names), o.Parallel, func(i int) {
		var seen watch.Observation
		err := lab.Ask(ctx, o.Duration, program, watch.Order{Name: names[i], Scale: o.Scale, Duration: o.Duration, Once: way != repeated, Proof: way == proof}, &seen)
		results[i] = judge(names[i], &seen, err)
	}, func(i, done int) {
		fmt.Fprintf(progress, "[%d/%d] %s, %s: %s\n", done, len(names), names[i], way, &results[i])
	})
	return results
}
