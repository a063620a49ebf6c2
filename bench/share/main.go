// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Share measures which share of a core otelgoroutine uses with its default
// options, in a process that does nothing else. Run it from the root of the
// repository:
//
//	go run -C bench ./share
//
// For each number of goroutines there are two processes, one with a monitor and
// one without, which are quiet or serve requests; the difference of their CPU time is what the monitor used, garbage
// collector, tracer and metrics included. All run side by side, since they sleep
// most of the time. README.md has more, RESULTS.md what came out.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

func main() {
	lab.Child(observe)
	lab.Main(run)
}

// options is what the flags say. Tests set what no flag does.
type options struct {
	parked, busy []int
	warmUp, span time.Duration
}

func parseOptions(args []string, help io.Writer) (options, error) {
	o := options{parked: []int{5, 1000, 10_000, 100_000}, busy: []int{1000}, warmUp: warmUp, span: 10 * time.Minute}
	f := flag.NewFlagSet("./share", flag.ContinueOnError)
	f.Func("parked", "`numbers` of goroutines that wait, separated by commas, each from 1 to\n300000; k stands for 1000 (default 5,1k,10k,100k)", lab.Numbers(&o.parked, 1, 300_000))
	f.Func("busy", "the same, in processes that serve 20 requests a second (default 1k)", lab.Numbers(&o.busy, 1, 300_000))
	f.Func("for", "how long each process is measured, from 1s to 24h (default 10m)", lab.Within(&o.span, time.ParseDuration, time.Second, 24*time.Hour))
	return o, lab.Parse(f, args, help)
}

// run is main with its surroundings as parameters.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (ok bool, err error) {
	o, err := parseOptions(args, stdout)
	if err != nil {
		return false, err
	}
	rows, err := measureAll(ctx, o, stderr)
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s, %s of\n\n    %s\n\n", lab.ThisMachine("go.opentelemetry.io/otel/sdk/metric"), o.span,
		strings.TrimSpace("go run -C bench ./share "+strings.Join(args, " ")))
	table(&b, rows)
	lab.PrintChecks(&b, check(rows))
	_, bad := stdout.Write(b.Bytes())
	return true, errors.Join(err, bad)
}

// A row is one number of goroutines.
type row struct {
	parked, rate int // rate of requests, by the second
	off, on      answer
}

// requests is how many requests a busy process serves in a second.
const requests = 20

// name says what r measures.
func (r *row) name() string {
	if r.rate > 0 {
		return lab.Thousands(r.parked) + " busy"
	}
	return lab.Thousands(r.parked)
}

// measureAll measures all processes side by side. A row that fails is left out.
func measureAll(ctx context.Context, o options, progress io.Writer) ([]row, error) {
	var rows []row
	for _, parked := range o.parked {
		rows = append(rows, row{parked: parked})
	}
	for _, parked := range o.busy {
		rows = append(rows, row{parked: parked, rate: requests})
	}
	failed := make([]error, 2*len(rows))
	lab.SideBySide(len(failed), len(failed), func(i int) {
		r := &rows[i/2]
		to := &r.off
		if i%2 == 1 {
			to = &r.on
		}
		failed[i] = lab.Ask(ctx, o.warmUp+o.span, "", order{r.parked, r.rate, i%2 == 1, o.warmUp, o.span}, to)
	}, func(i, done int) {
		fmt.Fprintf(progress, "[%d/%d] %s parked\n", done, len(failed), rows[i/2].name())
	})
	rows = slices.DeleteFunc(rows, func(r row) bool { return r.off.Elapsed == 0 || r.on.Elapsed == 0 })
	return rows, errors.Join(failed...)
}

// share returns the share of a core that the monitor used.
func (r *row) share() float64 { return r.on.share() - r.off.share() }

func table(w io.Writer, rows []row) {
	all := []lab.Row{{"goroutines", "share of a core", "snapshots", "seconds from one to the next", "CPU time of each", "without a monitor"}}
	for _, r := range rows {
		each := time.Duration(r.share() * float64(r.on.Elapsed) / float64(max(r.on.Snapshots, 1)))
		all = append(all, lab.Row{r.name(), percent(r.share()), r.on.Snapshots,
			lab.Digits(r.on.Elapsed.Seconds() / float64(max(r.on.Snapshots, 1))), lab.Duration(each), percent(r.off.share())})
	}
	lab.Table(w, all)
}

func percent(f float64) string { return lab.Digits(100*f) + " %" }

// budget is the default of otelgoroutine.WithBudget.
const budget = 0.005

// tolerance is by how much a share may exceed the budget: what a capture is charged
// agrees with the CPU time of the process within a few percent.
const tolerance = 1.05

func check(rows []row) (all []lab.Verdict) {
	for _, r := range rows {
		all = append(all, lab.Judge(r.share() <= budget*tolerance && r.on.Snapshots > 0, "share of a core, "+r.name()+" goroutines",
			fmt.Sprintf("%s of a budget of %s, with %d snapshots", percent(r.share()), percent(budget), r.on.Snapshots)))
	}
	return all
}
