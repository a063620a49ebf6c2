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
	"context"
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
	if text := os.Getenv(childVariable); text != "" {
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
		fmt.Fprintf(stderr, "detection: %v\nRun with --help for the flags.\n", err)
		return 2
	}
	if o.list {
		list(stdout, o.scenarios)
		return 0
	}
	r := report{Machine: thisMachine(o), Started: time.Now().UTC().Truncate(time.Second), Scale: o.scale, Duration: o.duration}
	for _, s := range o.settings() {
		result, err := runSetting(ctx, o, s, stderr)
		if err != nil {
			fmt.Fprintf(stderr, "detection: %s: %v\n", s, err)
			return 1
		}
		r.Settings = append(r.Settings, result)
	}
	if err := r.save(o, stdout); err != nil {
		fmt.Fprintf(stderr, "detection: %v\n", err)
		return 1
	}
	if !r.passed() {
		return 1
	}
	return 0
}
