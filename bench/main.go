// Bench measures, side by side in one run, what one snapshot of all goroutines
// of a process costs: ours against what people use today. Run it from the root
// of the repository:
//
//	go run ./bench
//
// Each scenario is a process of its own: this program starts itself again.
// README.md tells what the columns mean, RESULTS.md what came out.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

func main() {
	lab.Child(measureScenario)
	lab.Main("bench", run)
}

const about = `Bench measures what one snapshot of all goroutines of a process costs, side by
side: ours, pprof, GoroutineProfile, goroutine dumps, the tracer; and what it
costs to read metrics: ours, and those that people have today.

Usage:

	go run ./bench [flags]

Examples:

	go run ./bench -sizes 1k,10k
	go run ./bench -sizes 100k -shapes deep12,busy -rounds 9
	go run ./bench -large -json bench.json
	go run ./bench -load bench.json -plot bench/plots
	GOEXPERIMENT=goroutineleakprofile go run ./bench    # Go 1.26: with the
	                                                    # runtime's leak profile

Exit status: 0 when all was measured, 1 when something failed, 2 when the
flags are wrong.
`

// options is what the flags say.
type options struct {
	sizes  []int
	shapes []string
	large  bool
	rounds int
	json   string
	load   string
	plot   string
	check  bool
}

// parseOptions reads the flags.
func parseOptions(args []string, help io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	sizes := f.String("sizes", "1k,10k,100k", "`numbers` of goroutines, separated by commas, each from 100 to 1000000; k stands for 1000")
	names := f.String("shapes", "all", "all, or some of these `shapes`, separated by commas:\n"+shapeHelp())
	f.BoolVar(&o.large, "large", false, "measure 1,000,000 goroutines as well, without goroutine dumps; takes\nfour minutes and about 4 GB of memory")
	f.IntVar(&o.rounds, "rounds", 5, "measure each method `N` times, from 1 to 100; goroutine dumps at most 3 times")
	f.StringVar(&o.json, "json", "", "save every measurement to `FILE`")
	f.StringVar(&o.load, "load", "", "measure nothing: tables, checks and plots of a `FILE` that -json has saved")
	f.StringVar(&o.plot, "plot", "", "draw the costs against the number of goroutines, as SVG files in `DIR`,\nwhich must exist")
	f.BoolVar(&o.check, "check", false, "end with status 1 when one of the checks is a MISS")
	return o, lab.Parse(f, about, args, help,
		func() (err error) { o.sizes, err = lab.Numbers("sizes", *sizes, 100, 1_000_000); return err },
		func() (err error) { o.shapes, err = lab.Names("shapes", *names, shapeNames()); return err },
		func() error { return lab.Within("rounds", o.rounds, 1, 100) },
		func() error { return o.idle(lab.Given(f)) })
}

// idle names the flags that say what to measure when nothing is to be measured.
func (o *options) idle(given []string) error {
	var errs []error
	for _, name := range given {
		if o.load != "" && slices.Contains([]string{"sizes", "shapes", "large", "rounds"}, name) {
			errs = append(errs, fmt.Errorf("-%s says what to measure: with -load nothing is measured", name))
		}
	}
	return errors.Join(errs...)
}

func shapeHelp() string {
	var b strings.Builder
	for _, s := range shapes {
		fmt.Fprintf(&b, "%-9s %s\n", s.name, s.doc)
	}
	return b.String()
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
	r, failed := o.report(ctx, stderr)
	if r == nil {
		return false, failed
	}
	r.Checks = check(r.Results)
	failed = errors.Join(failed, r.print(stdout), lab.SaveJSON(o.json, r), drawAll(r.Results, o.plot))
	return !o.check || !lab.Missed(r.Checks), failed
}

// report measures, or loads what was measured. There is a report beside the
// error when only some scenarios failed.
func (o *options) report(ctx context.Context, progress io.Writer) (*report, error) {
	if o.load != "" {
		return load(o.load)
	}
	r := &report{Machine: lab.ThisMachine(compared...), Leaks: hasLeakProof(), Started: time.Now().UTC().Truncate(time.Second)}
	var err error
	r.Results, err = runAll(ctx, o.scenarios(), progress)
	return r, err
}

func load(path string) (*report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("-load: %w", err)
	}
	r := &report{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("-load: %s is not what -json saves: %w", path, err)
	}
	if len(r.Results) == 0 {
		return nil, fmt.Errorf("-load: %s has no results", path)
	}
	return r, nil
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
