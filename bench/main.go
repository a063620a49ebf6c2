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
	r := report{Machine: thisMachine(), Started: time.Now().UTC().Truncate(time.Second)}
	var failed error
	r.Results, failed = runAll(ctx, o.scenarios(), stderr)
	r.Checks = check(r.Results)
	failed = errors.Join(failed, write(&r, o.json, stdout))
	if failed != nil {
		fmt.Fprintf(stderr, "bench: %v\n", failed)
		return 1
	}
	if o.check && missed(r.Checks) {
		return 1
	}
	return 0
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

// write prints a report and, when a path is given, saves it as JSON.
func write(r *report, path string, stdout io.Writer) error {
	if err := r.print(stdout); err != nil {
		return err
	}
	if path == "" {
		return nil
	}
	data, err := json.MarshalIndent(r, "", "\t")
	if err == nil {
		err = os.WriteFile(path, append(data, '\n'), 0o666)
	}
	if err != nil {
		return fmt.Errorf("-json: %w", err)
	}
	return nil
}
