// Service measures what otelgoroutine costs a service that is at work: an HTTP
// server with a cache and a database, under load, with many goroutines parked
// beside it; without a monitor, with ours and with others. Run it from the
// root of the repository:
//
//	go run ./bench/service
//
// Each run is a process of its own: this program starts itself again as the
// server, and is itself the load and the OTLP receiver. README.md tells what is
// done and how to read it, RESULTS.md what came out.
package main

import (
	"context"
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

func main() {
	lab.Child(serve)
	lab.Main("service", run)
}

const about = `Service measures what otelgoroutine costs an HTTP server at work: throughput,
latency, CPU and memory without a monitor, with ours and with others.

Usage:

	go run ./bench/service [flags]

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
	leastTime   = 100 * time.Millisecond
	mostTime    = 10 * time.Minute
	unsetTime   = -1 * time.Nanosecond
	roundsThere = 5 // at checkedParked
)

// quick is what -quick stands for.
var quick = map[string]string{"parked": "10k", "rounds": "1", "duration": "6s", "variants": off + "," + offAgain + "," + on}

// parseOptions reads the flags.
func parseOptions(args []string, help io.Writer) (options, error) {
	o := options{args: args}
	f := flag.NewFlagSet("service", flag.ContinueOnError)
	parked := f.String("parked", "100,10k,100k", "`numbers` of goroutines that are parked beside the server, separated by\ncommas, each from 1 to 300000; k stands for 1000")
	rounds := f.String("rounds", "", "how often everything is measured, from 1 to 100: one `number` for all, or\none for each of -parked (default: 5 at 10k, which the checks are about, and\n1 elsewhere)")
	loads := f.String("loads", "all", "all, or some of these `loads`, separated by commas:\n"+describe(loadNames, loadDoc))
	variants := f.String("variants", "all", "all, or some of these `variants`, separated by commas:\n"+describe(variantNames, variantDoc))
	f.DurationVar(&o.duration, "duration", 0, "how long one run is measured, 100ms to 10m (default 30s; 45s where\nsnapshots are further apart than that)")
	f.DurationVar(&o.warmup, "warmup", unsetTime, "how long the server works before that, up to 10m (default: so long that\na regular snapshot falls into what is measured)")
	fast := f.Bool("quick", false, "an impression in two minutes; stands for -parked 10k -rounds 1\n-duration 6s -variants \"off,off again,on\"")
	f.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "orders the runs and chooses the requests; by default the clock")
	f.StringVar(&o.json, "json", "", "save every measurement to `FILE`")
	f.BoolVar(&o.check, "check", false, "end with status 1 when one of the checks is a MISS")
	return o, lab.Parse(f, about, args, help,
		func() error { return setQuick(f, *fast) },
		func() (err error) { o.parked, err = lab.Numbers("parked", *parked, 1, 300_000); return err },
		func() error { return o.setRounds(*rounds) },
		func() (err error) { o.loads, err = lab.Names("loads", *loads, loadNames); return err },
		func() (err error) { o.variants, err = lab.Names("variants", *variants, variantNames); return err },
		func() error { return o.times(lab.Given(f)) })
}

func setQuick(f *flag.FlagSet, fast bool) (failed error) {
	given := lab.Given(f)
	for name, value := range quick {
		switch {
		case !fast:
		case slices.Contains(given, name):
			failed = errors.Join(failed, fmt.Errorf("-quick and -%s: -quick stands for a -%s of its own", name, name))
		default:
			failed = errors.Join(failed, f.Set(name, value))
		}
	}
	return failed
}

func (o *options) setRounds(list string) (err error) {
	if list == "" {
		for _, n := range o.parked {
			o.rounds = append(o.rounds, map[bool]int{true: roundsThere, false: 1}[n == checkedParked])
		}
		return nil
	}
	if o.rounds, err = lab.Numbers("rounds", list, 1, 100); len(o.rounds) == 1 {
		o.rounds = slices.Repeat(o.rounds, len(o.parked))
	}
	if err == nil && o.parked != nil && len(o.rounds) != len(o.parked) {
		err = fmt.Errorf("-rounds: %d numbers for %d of -parked: must be one for all, or one for each", len(o.rounds), len(o.parked))
	}
	return err
}

func (o *options) times(given []string) (err error) {
	if slices.Contains(given, "duration") {
		err = lab.Within("duration", o.duration, leastTime, mostTime)
	}
	if slices.Contains(given, "warmup") {
		err = errors.Join(err, lab.Within("warmup", o.warmup, 0, mostTime))
	}
	return err
}

func describe(names []string, docs map[string]string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "%-11s %s\n", name, docs[name])
	}
	return b.String()
}

// command is what was typed, to be typed again.
func (o *options) command() string {
	line := "go run ./bench/service"
	for _, arg := range o.args {
		if strings.Contains(arg, " ") {
			arg = strconv.Quote(arg)
		}
		line += " " + arg
	}
	return line
}

// run is main with its surroundings as parameters.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (ok bool, err error) {
	o, err := parseOptions(args, stdout)
	if err != nil {
		return false, err
	}
	r := report{Machine: lab.ThisMachine(compared...), Started: time.Now().UTC().Truncate(time.Second), Command: o.command(), Seed: o.seed}
	r.Scenarios, err = runAll(ctx, o, stderr)
	r.Took = time.Since(r.Started).Round(time.Second)
	r.Checks = check(r.Scenarios)
	return !o.check || !lab.Missed(r.Checks), errors.Join(err, r.print(stdout), lab.SaveJSON(o.json, r))
}
