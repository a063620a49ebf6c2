// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Detection runs programs with known concurrency faults, and sound ones that
// resemble them, under the real monitor, and tells what was found, after how
// long, and what was found although nothing was wrong; beside the rules that
// people use today. Run it from the root of the repository:
//
//	go run -C bench ./detection
//
// Each program is a process of its own: this program starts itself again.
// README.md tells what is done and what the columns mean, RESULTS.md what came
// out.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime/pprof"
	"time"

	"github.com/otelgoroutine/go/bench/detection/corpus"
	"github.com/otelgoroutine/go/bench/detection/internal/watch"
	"github.com/otelgoroutine/go/bench/internal/lab"
)

func main() {
	lab.Child(observe)
	lab.Main(run)
}

// options is what the flags say.
type options struct {
	watch.Flags
	proofs    []bool // without the leak proof, with it
	scenarios []corpus.Scenario
}

// whole is how long a program runs by default, in the time of a service.
const whole = 5500 * time.Second

// parseOptions reads the flags.
func parseOptions(args []string, help io.Writer) (options, error) {
	o := options{proofs: []bool{false}}
	f := flag.NewFlagSet("./detection", flag.ContinueOnError)
	o.Define(f, "92 minutes of a service, 55 s at the default scale")
	f.Func("proof", "off, on or `both`: with the runtime's leak proof, which Go 1.26 has with\nGOEXPERIMENT=goroutineleakprofile (default off)", o.setProofs)
	err := lab.Parse(f, args, help)
	o.Duration = cmp.Or(o.Duration, time.Duration(o.Scale*float64(whole)))
	return o, err
}

func (o *options) setProofs(mode string) error {
	o.proofs = map[string][]bool{"off": {false}, "on": {true}, "both": {false, true}}[mode]
	switch {
	case o.proofs == nil:
		return errors.New("must be off, on or both")
	case mode != "off" && pprof.Lookup("goroutineleak") == nil:
		return watch.ErrNoProof
	}
	return nil
}

// run is main with its surroundings as parameters. It reports whether the
// targets are met.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (ok bool, err error) {
	o, err := parseOptions(args, stdout)
	if err != nil {
		return false, err
	}
	for _, s := range corpus.All() {
		if o.Pattern.MatchString(s.Name) || o.Pattern.MatchString(string(s.Class)) {
			o.scenarios = append(o.scenarios, s)
		}
	}
	if o.scenarios == nil {
		return false, errors.New("-run: no program has such a name or class; bench/detection/corpus/programs.md has them all")
	}
	r := report{options: o, started: time.Now()}
	for _, proof := range o.proofs {
		r.settings = append(r.settings, runSetting(ctx, &o, proof, stderr))
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
	}
	_, err = io.WriteString(stdout, r.markdown())
	return r.passed(), err
}

// A setting is all programs run in one way.
type setting struct {
	proof   bool
	results []result // in the order of the corpus
}

// runSetting runs all scenarios in one way, some side by side, each in a process
// of its own.
func runSetting(ctx context.Context, o *options, proof bool, progress io.Writer) setting {
	fmt.Fprintf(progress, "%d programs, %d side by side, %v each\n", len(o.scenarios), o.Parallel, o.Duration)
	results := make([]result, len(o.scenarios))
	lab.SideBySide(len(results), o.Parallel, func(i int) {
		var seen observation
		err := lab.Ask(ctx, o.Duration, "", order{Name: o.scenarios[i].Name, Scale: o.Scale, Duration: o.Duration, Proof: proof}, &seen)
		results[i] = judge(&o.scenarios[i], &seen, err, proof)
	}, func(i, done int) {
		fmt.Fprintf(progress, "[%d/%d] %s: %s\n", done, len(results), o.scenarios[i].Name, results[i].short())
	})
	return setting{proof, results}
}
