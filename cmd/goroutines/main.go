// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Goroutines shows what every goroutine of a Go process is doing. It reads a
// profile, a dump or a trace, or takes one from the running process. The
// process needs no code for this except net/http/pprof.
//
//	go run github.com/otelgoroutine/go/cmd/goroutines@latest report http://host:6060
//
// # Layout
//
//	main.go, cli.go             start, root command, shared flags
//	report.go, diff.go          the commands report and diff
//	filter.go, members.go       which goroutines they show
//	terminal.go, pager.go       colours, width and the pager
//	suggest.go                  checks of words, with what was meant
//	complete.go, man.go         shell completion of values, manual pages
//	bundle.go                   the folder that report --bundle writes
//	watch.go, watchlog.go       the command watch: live view, log and export
//	check.go, checksource.go    the command check
//	detectors.go, version.go    the command detectors, and --version
//	internal/export             metrics and events over OTLP
//	internal/graph              the call graph as SVG
//	internal/pipeline           results as JUnit, SARIF and annotations
//	internal/view               the terminal view of the observed processes
//
// Snapshots from files, pipes and processes come from internal/source of the root
// module, the continuous observation of processes from its internal/observe.
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

// Exit statuses; exitStatuses explains them to users.
const (
	statusOK       = 0
	statusFindings = 1 // a finding met --fail-on
	statusBad      = 2 // usage or input
)

func main() {
	log.SetOutput(io.Discard) // lines logged by net/http would corrupt the live view; its errors are returned to us anyway
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process by itself
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main with its environment passed as parameters. It returns the exit
// status.
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

// twoDashes adds a second dash to long flags that have only one, such as those
// written in the style of the go command.
func twoDashes(root *cobra.Command, args []string) []string {
	long := make(map[string]bool)
	for _, c := range append(root.Commands(), root) {
		c.InitDefaultHelpFlag()
		c.Flags().VisitAll(func(f *pflag.Flag) { long[f.Name] = true })
		c.PersistentFlags().VisitAll(func(f *pflag.Flag) { long[f.Name] = true })
	}
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
