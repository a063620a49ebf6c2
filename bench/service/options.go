package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

const usage = `Service measures what otelgoroutine costs an HTTP server at work: throughput,
latency, CPU and memory without a monitor, with ours and with others.

Usage:

	go run ./bench/service [flags]

Flags:

	-parked LIST    numbers of goroutines that are parked beside the server,
	                separated by commas, each from 1 to 300000; k stands for 1000
	                (default 100,10k,100k)
	-rounds LIST    how often everything is measured, from 1 to 100: one number
	                for all, or one for each of -parked (default: 5 at 10k, which
	                the checks are about, and 1 elsewhere)
	-loads LIST     all (the default), or some of these, separated by commas:
%s	-variants LIST  all (the default), or some of these, separated by commas:
%s	-duration D     how long one run is measured, 100ms to 10m (default 30s;
	                45s where looks are further apart than that)
	-warmup D       how long the server works before that, up to 10m (default:
	                so long that a regular look falls into what is measured)
	-quick          an impression in two minutes; stands for -parked 10k
	                -rounds 1 -duration 6s -variants "off,off again,on"
	-seed N         orders the runs and chooses the requests (default: the clock)
	-json FILE      save every measurement to FILE
	-check          end with status 1 when one of the checks is a MISS

Examples:

	go run ./bench/service -quick
	go run ./bench/service -parked 100k -rounds 3
	go run ./bench/service -parked 10k -loads steady -variants "off,off again,on" -rounds 9
	go run ./bench/service -json service.json

Exit status: 0 when all was measured, 1 when something failed, 2 when the
flags are wrong.
`

// options is what the flags say.
type options struct {
	args     []string
	parked   []int
	rounds   []int // one for each of parked
	loads    []string
	variants []string
	duration time.Duration // 0: the default
	warmup   time.Duration // negative: the default
	seed     uint64
	json     string
	check    bool
}

const (
	mostParked   = 300_000
	mostRounds   = 100
	leastTime    = 100 * time.Millisecond
	mostTime     = 10 * time.Minute
	quickTime    = 6 * time.Second
	unsetTime    = -1 * time.Nanosecond
	parkedOfAll  = "100,10k,100k"
	parkedQuick  = "10k"
	roundsQuick  = "1"
	roundsThere  = 5 // at checkedParked
	variantsFast = off + "," + offAgain + "," + on
)

// parseOptions reads the flags. The error is flag.ErrHelp when help was asked
// for; it is then written already.
func parseOptions(args []string, help io.Writer) (options, error) {
	o := options{args: args}
	var parked, rounds, loads, variants string
	var quick bool
	flags := flag.NewFlagSet("service", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&parked, "parked", parkedOfAll, "")
	flags.StringVar(&rounds, "rounds", "", "")
	flags.StringVar(&loads, "loads", "all", "")
	flags.StringVar(&variants, "variants", "all", "")
	flags.DurationVar(&o.duration, "duration", 0, "")
	flags.DurationVar(&o.warmup, "warmup", unsetTime, "")
	flags.BoolVar(&quick, "quick", false, "")
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "")
	flags.StringVar(&o.json, "json", "", "")
	flags.BoolVar(&o.check, "check", false, "")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(help, usage, describe(loadNames, loadDoc), describe(variantNames, variantDoc))
		}
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: there are only flags", flags.Arg(0))
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if quick {
		for _, name := range []string{"parked", "rounds", "duration", "variants"} {
			if given[name] {
				return o, fmt.Errorf("-quick and -%s: -quick stands for a -%s of its own", name, name)
			}
		}
		parked, rounds, variants, o.duration = parkedQuick, roundsQuick, variantsFast, quickTime
	}
	var errs [6]error
	o.parked, errs[0] = lab.Numbers("parked", parked, 1, mostParked)
	if rounds != "" {
		o.rounds, errs[1] = lab.Numbers("rounds", rounds, 1, mostRounds)
	}
	o.loads, errs[2] = parseNames("loads", loads, loadNames)
	o.variants, errs[3] = parseNames("variants", variants, variantNames)
	if given["duration"] && (o.duration < leastTime || o.duration > mostTime) {
		errs[4] = fmt.Errorf("-duration %v: allowed are %v to %v", o.duration, leastTime, mostTime)
	}
	if given["warmup"] && (o.warmup < 0 || o.warmup > mostTime) {
		errs[5] = fmt.Errorf("-warmup %v: allowed are 0s to %v", o.warmup, mostTime)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return o, err
	}
	switch len(o.rounds) {
	case len(o.parked):
	case 0:
		o.rounds = usualRounds(o.parked)
	case 1:
		o.rounds = slices.Repeat(o.rounds, len(o.parked))
	default:
		return o, fmt.Errorf("-rounds: %d numbers for %d of -parked: allowed are one for all, or one for each", len(o.rounds), len(o.parked))
	}
	return o, nil
}

func usualRounds(parked []int) []int {
	rounds := make([]int, len(parked))
	for i, n := range parked {
		rounds[i] = 1
		if n == checkedParked {
			rounds[i] = roundsThere
		}
	}
	return rounds
}

// parseNames returns each name once.
func parseNames(flag, list string, known []string) ([]string, error) {
	names, err := lab.Names(flag, list, known)
	if list == "all" {
		return names, err
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

func describe(names []string, docs map[string]string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "\t                %-11s %s\n", name, docs[name])
	}
	return b.String()
}

// command is what was typed, for who wants the same again.
func (o *options) command() string {
	line := "go run ./bench/service"
	for _, arg := range o.args {
		if strings.ContainsAny(arg, " ") {
			arg = strconv.Quote(arg)
		}
		line += " " + arg
	}
	return line
}
