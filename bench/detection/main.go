// Detection runs programs with known concurrency faults, and sound ones that
// resemble them, under the real monitor, and tells what was found, after how
// long, and what was found although nothing was wrong; beside the rules that
// people use today. Run it from the root of the repository:
//
//	go run ./bench/detection
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
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/otelgoroutine/go/bench/detection/corpus"
	"github.com/otelgoroutine/go/bench/detection/internal/watch"
	"github.com/otelgoroutine/go/bench/internal/lab"
)

func main() {
	lab.Child(observe)
	lab.Main("detection", run)
}

const about = `Detection runs programs with known concurrency faults, and sound ones that
resemble them, under the real monitor with all detectors, and compares what is
found with what is true.

Usage:

	go run ./bench/detection [flags]

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
	watch.Flags
	scenarios []corpus.Scenario
	settings  []setting
	json      string
	markdown  string
}

// whole is how long a program runs by default, in the time of a service.
const whole = 5500 * time.Second

// parseOptions reads the flags.
func parseOptions(args []string, help io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("detection", flag.ContinueOnError)
	o.Define(f, "92 minutes of a service, 55 s at the default scale")
	toolchains := f.String("toolchains", runtime.Version(), "Go `versions` to build the programs with, separated by commas, such as\ngo1.26.8,go1.27.4")
	proof := f.String("proof", "off", "off, on or both: with the runtime's leak proof. With Go 1.26 the programs\nare then built with GOEXPERIMENT=goroutineleakprofile")
	f.StringVar(&o.json, "json", "", "save everything that was observed to `FILE`")
	f.StringVar(&o.markdown, "markdown", "", "save the report to `FILE`")
	err := lab.Parse(f, about, args, help, o.Check,
		func() error { return o.pick() },
		func() error { return o.set(strings.Split(*toolchains, ","), *proof) })
	o.Duration = cmp.Or(o.Duration, time.Duration(o.Scale*float64(whole)))
	return o, err
}

func (o *options) pick() error {
	for _, s := range corpus.All() {
		if o.Pattern != nil && (o.Pattern.MatchString(s.Name) || o.Pattern.MatchString(string(s.Class))) {
			o.scenarios = append(o.scenarios, s)
		}
	}
	if len(o.scenarios) == 0 {
		return errors.New("-run: no scenario has such a name or class; -list lists them")
	}
	return nil
}

func (o *options) set(toolchains []string, mode string) error {
	proofs := map[string][]bool{"off": {false}, "on": {true}, "both": {false, true}}[mode]
	if proofs == nil {
		return fmt.Errorf("-proof %q: must be off, on or both", mode)
	}
	if slices.Contains(toolchains, "") {
		return errors.New("-toolchains: an entry is empty; write for example go1.26.8,go1.27.4")
	}
	for _, t := range toolchains {
		for _, p := range proofs {
			o.settings = append(o.settings, setting{t, p})
		}
	}
	return nil
}

// A setting is one way to run all programs.
type setting struct {
	Toolchain string
	Proof     bool
}

func (s setting) String() string {
	return s.Toolchain + map[bool]string{true: " with leak proof", false: " without leak proof"}[s.Proof]
}

// run is main with its surroundings as parameters.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (ok bool, err error) {
	o, err := parseOptions(args, stdout)
	if err != nil {
		return false, err
	}
	if o.List {
		return true, list(stdout, o.scenarios)
	}
	r := report{Started: time.Now().UTC().Truncate(time.Second), Scale: o.Scale, Duration: o.Duration,
		Machine: fmt.Sprintf("%d cores, %s/%s, %d programs side by side", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, o.Parallel)}
	for _, s := range o.settings {
		result, err := runSetting(ctx, &o, s, stderr)
		if err != nil {
			return false, fmt.Errorf("%s: %w", s, err)
		}
		r.Settings = append(r.Settings, result)
	}
	text := r.markdown()
	_, err = io.WriteString(stdout, text)
	if o.markdown != "" {
		err = errors.Join(err, os.WriteFile(o.markdown, []byte(text), 0o666))
	}
	return r.passed(), errors.Join(err, lab.SaveJSON(o.json, r))
}

func list(w io.Writer, all []corpus.Scenario) error {
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
	return t.Flush()
}

// A settingResult is what came out of one setting.
type settingResult struct {
	Setting setting
	Results []result // in the order of the corpus
}

// runSetting runs all scenarios in one setting, some side by side, each in
// a process of its own.
func runSetting(ctx context.Context, o *options, s setting, progress io.Writer) (settingResult, error) {
	program, remove, err := program(ctx, s)
	if err != nil {
		return settingResult{}, err
	}
	defer remove()
	fmt.Fprintf(progress, "%s: %d programs, %d side by side, %v each\n", s, len(o.scenarios), o.Parallel, o.Duration)
	results := make([]result, len(o.scenarios))
	lab.SideBySide(len(results), o.Parallel, func(i int) {
		var seen observation
		err := lab.Ask(ctx, o.Duration, program, order{o.scenarios[i].Name, o.Scale, o.Duration, s.Proof}, &seen)
		results[i] = judge(&o.scenarios[i], &seen, err, s)
	}, func(i, done int) {
		fmt.Fprintf(progress, "[%d/%d] %s: %s\n", done, len(results), o.scenarios[i].Name, results[i].short())
	})
	return settingResult{s, results}, ctx.Err()
}

// program returns the program to run as a child in a setting: "", this one, where
// that will do, or one that is built for it, which remove removes.
func program(ctx context.Context, s setting) (path string, remove func(), err error) {
	experiment := s.Proof && strings.HasPrefix(s.Toolchain, "go1.26")
	if s.Toolchain == runtime.Version() && !experiment {
		return "", func() {}, nil
	}
	dir, err := os.MkdirTemp("", "detection")
	if err != nil {
		return "", nil, err
	}
	remove = func() { os.RemoveAll(dir) }
	path = filepath.Join(dir, "child")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/otelgoroutine/go/bench/detection")
	toolchain, _, _ := strings.Cut(s.Toolchain, " ") // the rest names experiments
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+toolchain)
	if experiment {
		cmd.Env = append(cmd.Env, "GOEXPERIMENT=goroutineleakprofile")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		remove()
		return "", nil, fmt.Errorf("building for it, which works within the repository only: %w: %s", err, lab.Tail(string(out), 2000))
	}
	return path, remove, nil
}
