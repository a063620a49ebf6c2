// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Service measures what otelgoroutine costs a service that is at work: an HTTP
// server with a cache and a database, under load, with many goroutines parked
// beside it; without a monitor, with ours and with others. Run it from the
// root of the repository:
//
//	go run -C bench ./service
//
// Each run is a process of its own: this program starts itself again as the
// server, and is itself the load and the OTLP receiver. README.md tells what is
// done and how to read it, RESULTS.md what came out.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"strings"
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

func main() {
	lab.Child(serve)
	lab.Main(run)
}

// options is what the flags say. Tests set what no flag does.
type options struct {
	parked   []int
	rounds   []int         // for each of parked, the last for the rest; nil: the default
	duration time.Duration // 0: the default
	warmup   time.Duration // negative: the default
	variants []variant
	loads    []string
	seed     uint64
}

// roundsThere is the default at checkedParked; elsewhere it is 1.
const roundsThere = 5

// parseOptions reads the flags.
func parseOptions(args []string, help io.Writer) (options, error) {
	o := options{parked: []int{100, 10_000, 100_000}, warmup: -1, variants: variants, loads: loads}
	f := flag.NewFlagSet("./service", flag.ContinueOnError)
	f.Func("parked", "`numbers` of goroutines that are parked beside the server, separated by\ncommas, each from 1 to 300000; k stands for 1000 (default 100,10k,100k)", lab.Numbers(&o.parked, 1, 300_000))
	f.Func("rounds", "how often everything is measured, from 1 to 100: a `number` for each of\n-parked, the last one for the rest (default 5 at 10k, which the checks are\nabout, and 1 elsewhere)", lab.Numbers(&o.rounds, 1, 100))
	f.BoolFunc("quick", "an impression in two minutes: one round at 10k, 6 s a run, without contrib\nand naive", func(string) error {
		o.parked, o.rounds, o.duration, o.variants = []int{checkedParked}, []int{1}, 6*time.Second, variants[:3]
		return nil
	})
	f.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "orders the runs and chooses the requests; by default the clock")
	return o, lab.Parse(f, args, help)
}

// roundsOf returns the rounds of the ith number of parked goroutines.
func (o *options) roundsOf(i int) int {
	switch {
	case len(o.rounds) > 0:
		return o.rounds[min(i, len(o.rounds)-1)]
	case o.parked[i] == checkedParked:
		return roundsThere
	}
	return 1
}

// run is main with its surroundings as parameters.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (ok bool, err error) {
	o, err := parseOptions(args, stdout)
	if err != nil {
		return false, err
	}
	r := report{machine: lab.ThisMachine(compared...), began: time.Now(), seed: o.seed,
		command: strings.TrimSpace("go run -C bench ./service " + strings.Join(args, " "))}
	r.scenarios, err = runAll(ctx, o, stderr)
	r.took = time.Since(r.began).Round(time.Second)
	return true, errors.Join(err, r.print(stdout))
}
