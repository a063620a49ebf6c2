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
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

func main() {
	if text := os.Getenv(childVariable); text != "" {
		os.Exit(child(text, os.Stdin, os.Stdout, os.Stderr))
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
		fmt.Fprintf(stderr, "service: %v\nRun with --help for the flags.\n", err)
		return 2
	}
	r := report{Machine: lab.ThisMachine(named...), Started: time.Now().UTC().Truncate(time.Second), Command: o.command(), Seed: o.seed}
	var failed error
	r.Scenarios, failed = runAll(ctx, o, stderr)
	r.Took = time.Since(r.Started).Round(time.Second)
	r.Checks = check(r.Scenarios)
	failed = errors.Join(failed, r.save(o, stdout))
	if failed != nil {
		fmt.Fprintf(stderr, "service: %v\n", failed)
		return 1
	}
	if o.check && lab.Missed(r.Checks) {
		return 1
	}
	return 0
}
