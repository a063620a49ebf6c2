// Bench measures, side by side in one run, what one look at all goroutines of
// a process costs: our snapshot against what people use today. Run it from the
// root of the repository:
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
	"os/signal"
	"syscall"
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

func main() {
	if text := os.Getenv(scenarioVariable); text != "" {
		os.Exit(child(text, os.Stdout, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its surroundings as parameters. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\nRun with --help for the flags.\n", err)
		return 2
	}
	r, failed := o.report(ctx, stderr)
	if r == nil {
		fmt.Fprintf(stderr, "bench: %v\n", failed)
		return 1
	}
	r.Checks = check(r.Results)
	failed = errors.Join(failed, o.write(r, stdout))
	if failed != nil {
		fmt.Fprintf(stderr, "bench: %v\n", failed)
		return 1
	}
	if o.check && lab.Missed(r.Checks) {
		return 1
	}
	return 0
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

// runAll measures the scenarios one after the other. One that fails does not
// keep the others from being measured.
func runAll(ctx context.Context, all []scenario, progress io.Writer) ([]result, error) {
	var results []result
	var errs []error
	for i, s := range all {
		fmt.Fprintf(progress, "[%d/%d] %s ... ", i+1, len(all), s)
		began := time.Now()
		r, err := inChild(ctx, s, progress)
		if err != nil {
			fmt.Fprintln(progress, "failed")
			errs = append(errs, fmt.Errorf("%s: %w", s, err))
			if ctx.Err() != nil {
				break
			}
			continue
		}
		fmt.Fprintf(progress, "%.1fs\n", time.Since(began).Seconds())
		results = append(results, r)
	}
	return results, errors.Join(errs...)
}

// write prints a report, and saves and draws it where that was asked for.
func (o *options) write(r *report, stdout io.Writer) error {
	if err := r.print(stdout); err != nil {
		return err
	}
	var errs []error
	if o.json != "" {
		errs = append(errs, lab.SaveJSON(o.json, r))
	}
	if o.plot != "" {
		errs = append(errs, drawAll(r.Results, o.plot))
	}
	return errors.Join(errs...)
}
