// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Bench measures, side by side in one run, what one snapshot of all goroutines
// of a process costs: ours against what people use today. Run it from the root
// of the repository:
//
//	go run -C bench .
//
// Each scenario is a process of its own: this program starts itself again.
// README.md tells what the columns mean, RESULTS.md what came out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

func main() {
	lab.Child(measureScenario)
	lab.Main(run)
}

// options is what the flags say.
type options struct {
	sizes  []int
	shapes []string
	large  bool
	rounds int
	plot   string
}

// parseOptions reads the flags.
func parseOptions(args []string, help io.Writer) (options, error) {
	o := options{sizes: []int{1000, 10_000, 100_000}, shapes: shapeNames(), rounds: 5}
	f := flag.NewFlagSet(".", flag.ContinueOnError)
	f.Func("sizes", "`numbers` of goroutines, separated by commas, each from 100 to 1000000; k\nstands for 1000 (default 1k,10k,100k)", lab.Numbers(&o.sizes, 100, 1_000_000))
	f.Func("shapes", "all, or some of these `shapes`, separated by commas:\n"+shapeHelp(), lab.Names(&o.shapes, shapeNames()))
	f.BoolVar(&o.large, "large", false, "measure 1,000,000 goroutines as well, without goroutine dumps; takes\nfour minutes and about 4 GB of memory")
	f.Func("rounds", "measure each method `N` times, from 1 to 100 (default 5); goroutine dumps\nat most 3 times", lab.Within(&o.rounds, strconv.Atoi, 1, 100))
	f.StringVar(&o.plot, "plot", "", "draw the costs against the number of goroutines, as SVG files in `DIR`,\nwhich must exist")
	return o, lab.Parse(f, args, help)
}

// scenarios returns what is to be measured, small ones first.
func (o *options) scenarios() (all []scenario) {
	slices.Sort(o.sizes)
	for _, size := range slices.Compact(o.sizes) {
		for _, shape := range o.shapes {
			all = append(all, scenario{Shape: shape, Size: size, Rounds: o.rounds})
		}
		all = append(all, scenario{Shape: readingShape, Size: size, Rounds: o.rounds, Reading: true})
	}
	if rounds := min(o.rounds, largeRounds); o.large {
		all = append(all,
			scenario{Shape: baseShape, Size: largeSize, Rounds: rounds, Large: true},
			scenario{Shape: readingShape, Size: largeSize, Rounds: rounds, Reading: true})
	}
	return all
}

// run is main with its surroundings as parameters.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (ok bool, err error) {
	o, err := parseOptions(args, stdout)
	if err != nil {
		return false, err
	}
	results, err := runAll(ctx, o.scenarios(), stderr)
	return true, errors.Join(err, printReport(stdout, lab.ThisMachine(compared...), results), drawAll(results, o.plot))
}

// scenarioTime is what one scenario may take.
const scenarioTime = 13 * time.Minute

// runAll measures the scenarios one after the other, each in a process of its
// own, which begins as clean as the one before it. One that fails does not keep
// the others from being measured.
func runAll(ctx context.Context, all []scenario, progress io.Writer) (results []result, failed error) {
	for i, s := range all {
		fmt.Fprintf(progress, "[%d/%d] %s ... ", i+1, len(all), s)
		began := time.Now()
		var r result
		if err := lab.Ask(ctx, scenarioTime, "", s, &r); err != nil {
			fmt.Fprintln(progress, "failed")
			failed = errors.Join(failed, fmt.Errorf("%s: %w", s, err))
			if ctx.Err() != nil {
				break
			}
			continue
		}
		fmt.Fprintf(progress, "%.1fs\n", time.Since(began).Seconds())
		results = append(results, r)
	}
	return results, failed
}
