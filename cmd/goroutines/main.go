// Goroutines shows what every goroutine of a Go process is doing, from a
// profile, a dump, a trace, or the process itself. It needs no line of code in
// that process but net/http/pprof.
//
//	go run github.com/otelgoroutine/go/cmd/goroutines report http://host:6060
//
// # What is where
//
//	main.go, cli.go             the start, the commands and their flags
//	report.go, diff.go          what they do with snapshots
//	bundle.go                   the folder of a report
//	watch.go                    the live view and the export
//	check.go                    whether a built program can bear traces
//	internal/source             reading snapshots, from anywhere
//	internal/graph              the call graph as SVG
//	internal/live               looking at processes over and over
//	internal/view               what that looks like in a terminal
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The exit statuses.
const (
	statusOK       = 0
	statusFindings = 1 // with --fail-on
	statusBad      = 2 // usage or input
)

func main() {
	log.SetOutput(io.Discard) // net/http's remarks would tear the live view; what matters comes as an error too
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main with its surroundings as parameters. It returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(stdin, stdout, stderr)
	root.SetArgs(twoDashes(root, args))
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return statusOK
	case errors.Is(err, errFindings):
		return statusFindings
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "goroutines: interrupted")
		return statusBad
	}
	fmt.Fprintf(stderr, "goroutines: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
	return statusBad
}

// twoDashes lets long flags have one dash, as those of the go command do.
func twoDashes(root *cobra.Command, args []string) []string {
	long := make(map[string]bool)
	for _, c := range append(root.Commands(), root) {
		c.Flags().VisitAll(func(f *pflag.Flag) { long[f.Name] = true })
		c.PersistentFlags().VisitAll(func(f *pflag.Flag) { long[f.Name] = true })
	}
	long["help"] = true
	out := make([]string, len(args))
	for i, arg := range args {
		if arg == "--" {
			copy(out[i:], args[i:])
			break
		}
		out[i] = arg
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if len(name) > 1 && strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "--") && long[name] {
			out[i] = "-" + arg
		}
	}
	return out
}
