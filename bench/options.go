package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

const usage = `Bench measures what one look at all goroutines of a process costs, side by
side: our snapshot, pprof, GoroutineProfile, goroutine dumps, the tracer; and
what it costs to read metrics: ours, and those that people have today.

Usage:

	go run ./bench [flags]

Flags:

	-sizes LIST   numbers of goroutines, separated by commas, each from 100 to
	              1000000; k stands for 1000 (default 1k,10k,100k)
	-shapes LIST  all (the default), or some of these, separated by commas:
%s	-large        measure 1,000,000 goroutines as well, without goroutine dumps;
	              takes four minutes and about 4 GB of memory
	-rounds N     measure each method N times, from 1 to 100 (default 5);
	              goroutine dumps at most 3 times
	-json FILE    save every measurement to FILE
	-load FILE    measure nothing: tables, checks and plots of a FILE that
	              -json has saved
	-plot DIR     draw the costs against the number of goroutines, as SVG files
	              in DIR, which must exist
	-check        end with status 1 when one of the checks is a MISS

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

const (
	leastSize, mostSize = 100, 1_000_000
	mostRounds          = 100
)

// parseOptions reads the flags. The error is flag.ErrHelp when help was asked
// for; it is then written already.
func parseOptions(args []string, help io.Writer) (options, error) {
	var o options
	var sizes, shapes string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&sizes, "sizes", "1k,10k,100k", "")
	flags.StringVar(&shapes, "shapes", "all", "")
	flags.BoolVar(&o.large, "large", false, "")
	flags.IntVar(&o.rounds, "rounds", 5, "")
	flags.StringVar(&o.json, "json", "", "")
	flags.StringVar(&o.load, "load", "", "")
	flags.StringVar(&o.plot, "plot", "", "")
	flags.BoolVar(&o.check, "check", false, "")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(help, usage, shapeHelp())
		}
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: there are only flags", flags.Arg(0))
	}
	var err, badShapes, badRounds error
	o.sizes, err = lab.Numbers("sizes", sizes, leastSize, mostSize)
	slices.Sort(o.sizes)
	o.sizes = slices.Compact(o.sizes)
	o.shapes, badShapes = lab.Names("shapes", shapes, shapeNames())
	if o.rounds < 1 || o.rounds > mostRounds {
		badRounds = fmt.Errorf("-rounds %d: allowed are 1 to %d", o.rounds, mostRounds)
	}
	return o, errors.Join(err, badShapes, badRounds, o.idle(flags))
}

// idle names the flags that say what to measure when nothing is to be measured.
func (o *options) idle(flags *flag.FlagSet) error {
	var errs []error
	flags.Visit(func(f *flag.Flag) {
		if o.load != "" && slices.Contains([]string{"sizes", "shapes", "large", "rounds"}, f.Name) {
			errs = append(errs, fmt.Errorf("-%s says what to measure: with -load nothing is measured", f.Name))
		}
	})
	return errors.Join(errs...)
}

func shapeHelp() string {
	var b strings.Builder
	for _, s := range shapes {
		fmt.Fprintf(&b, "\t                %-9s %s\n", s.name, s.doc)
	}
	return b.String()
}

// scenarios returns what is to be measured, small ones first.
func (o *options) scenarios() []scenario {
	var all []scenario
	for _, size := range o.sizes {
		for _, shape := range o.shapes {
			all = append(all, scenario{Shape: shape, Size: size, Rounds: o.rounds})
		}
		all = append(all, scenario{Shape: readingShape, Size: size, Rounds: o.rounds, Reading: true})
	}
	if o.large {
		all = append(all,
			scenario{Shape: baseShape, Size: largeSize, Rounds: min(o.rounds, largeRounds), Large: true},
			scenario{Shape: readingShape, Size: largeSize, Rounds: min(o.rounds, largeRounds), Reading: true})
	}
	return all
}
