package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/otelgoroutine/go/bench/detection/corpus"
	"github.com/otelgoroutine/go/bench/detection/internal/events"
	"github.com/otelgoroutine/go/otelgoroutine"
)

const usage = `Detection runs programs with known concurrency faults, and sound ones that
resemble them, under the real monitor with all detectors, and compares what is
found with what is true.

Usage:

	go run ./bench/detection [flags]

Flags:

	-run REGEXP        only the scenarios whose name or class matches
	-list              list them and end
	-toolchains LIST   Go versions to build the programs with, separated by
	                   commas, such as go1.26.8,go1.27.4 (default: the one this
	                   was built with)
	-proof MODE        off (the default), on or both: with the runtime's leak
	                   proof. With Go 1.26 the programs are then built with
	                   GOEXPERIMENT=goroutineleakprofile
	-scale K           how long a second of a service lasts, from 0.007 to 1
	                   (default 0.01)
	-duration D        how long each program runs (default 92 minutes of
	                   a service, 55 s at the default scale)
	-parallel N        programs side by side (default 12 for each core)
	-json FILE         save everything that was observed
	-markdown FILE     save the report

Examples:

	go run ./bench/detection -run 'AB-BA|cycle'
	go run ./bench/detection -proof both -toolchains go1.26.8,go1.27.4 -markdown bench/detection/RESULTS.md

Exit status: 0 when the targets are met, 1 when they are missed or something
failed, 2 when the flags are wrong. The targets, without the leak proof and with
it: at least 95 % of the faults found that can be found without it; on sound
programs no finding of confidence confirmed, high or certain, and none of the
detectors leak and deadlock.
`

// options is what the flags say.
type options struct {
	scenarios  []corpus.Scenario
	list       bool
	toolchains []string
	proofs     []bool
	scale      float64
	duration   time.Duration
	parallel   int
	json       string
	markdown   string
}

// whole is how long a program runs by default, in the time of a service.
const whole = 5500 * time.Second

// parseOptions reads the flags. The error is flag.ErrHelp when help was asked
// for; it is then written already.
func parseOptions(args []string, help io.Writer) (options, error) {
	var o options
	var pattern, toolchains, proof string
	f := flag.NewFlagSet("detection", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&pattern, "run", "", "")
	f.BoolVar(&o.list, "list", false, "")
	f.StringVar(&toolchains, "toolchains", runtime.Version(), "")
	f.StringVar(&proof, "proof", "off", "")
	f.Float64Var(&o.scale, "scale", 0.01, "")
	f.DurationVar(&o.duration, "duration", 0, "")
	f.IntVar(&o.parallel, "parallel", 12*runtime.NumCPU(), "")
	f.StringVar(&o.json, "json", "", "")
	f.StringVar(&o.markdown, "markdown", "", "")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		_, err = io.WriteString(help, usage)
		return o, errors.Join(flag.ErrHelp, err)
	} else if err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q; there are only flags", f.Arg(0))
	}
	o.toolchains = strings.Split(toolchains, ",")
	if o.duration == 0 {
		o.duration = time.Duration(o.scale * float64(whole))
	}
	return o, errors.Join(o.pick(pattern), o.setProof(proof), o.check())
}

func (o *options) pick(pattern string) error {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return fmt.Errorf("-run %q: %w", pattern, err)
	}
	for _, s := range corpus.All() {
		if re.MatchString(s.Name) || re.MatchString(string(s.Class)) {
			o.scenarios = append(o.scenarios, s)
		}
	}
	if len(o.scenarios) == 0 {
		return fmt.Errorf("-run %q: no scenario has such a name or class; -list lists them", pattern)
	}
	return nil
}

func (o *options) setProof(mode string) error {
	modes := map[string][]bool{"off": {false}, "on": {true}, "both": {false, true}}
	o.proofs = modes[mode]
	if o.proofs == nil {
		return fmt.Errorf("-proof %q: allowed are off, on and both", mode)
	}
	return nil
}

func (o *options) check() error {
	least := float64(otelgoroutine.MinInterval) / float64(events.Interval)
	if !(o.scale >= least && o.scale <= 1) { // also NaN
		return fmt.Errorf("-scale %v: allowed are %.4f to 1", o.scale, least)
	}
	if o.parallel < 1 || o.parallel > 1000 {
		return fmt.Errorf("-parallel %d: allowed are 1 to 1000", o.parallel)
	}
	if o.duration < time.Second || o.duration > 24*time.Hour {
		return fmt.Errorf("-duration %v: allowed are 1s to 24h", o.duration)
	}
	if slices.Contains(o.toolchains, "") {
		return errors.New("-toolchains: an entry is empty; write for example go1.26.8,go1.27.4")
	}
	return nil
}

// A setting is one way to run all programs.
type setting struct {
	Toolchain string
	Proof     bool
}

func (s setting) String() string {
	if s.Proof {
		return s.Toolchain + " with leak proof"
	}
	return s.Toolchain + " without leak proof"
}

func (o *options) settings() (all []setting) {
	for _, t := range o.toolchains {
		for _, p := range o.proofs {
			all = append(all, setting{t, p})
		}
	}
	return all
}

func list(w io.Writer, all []corpus.Scenario) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, s := range all {
		kind := "sound"
		switch {
		case s.Possible():
			kind = "faulty"
		case s.Faulty:
			kind = "faulty, beyond watching"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", s.Name, s.Class, kind, s.Doc)
	}
	t.Flush()
}
