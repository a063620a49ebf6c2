// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A Run is what a program does with its arguments. It reports whether all is as
// it should be. It is called with the context of the program, which an interrupt
// ends.
type Run func(ctx context.Context, args []string, stdout, stderr io.Writer) (ok bool, err error)

// Main runs a program and ends the process.
func Main(run Run) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(Status(ctx, run, os.Args[1:], os.Stdout, os.Stderr))
}

// Status runs a program and returns its exit status: 0 when all is as it should
// be or help was asked for, 2 when the flags are wrong, else 1.
func Status(ctx context.Context, run Run, args []string, stdout, stderr io.Writer) int {
	ok, err := run(ctx, args, stdout, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, err)
	}
	switch {
	case errors.As(err, new(wrongFlags)):
		return 2
	case !ok || err != nil:
		return 1
	}
	return 0
}

// wrongFlags is an error of the caller's.
type wrongFlags struct{ error }

// Parse reads flags, of which there must be nothing else. The error is
// flag.ErrHelp when help was asked for; the flags are then written already.
func Parse(flags *flag.FlagSet, args []string, help io.Writer) error {
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(help, "go run -C bench %s [flags], from the root of the repository\n\n", flags.Name())
		flags.SetOutput(help)
		flags.PrintDefaults()
		return err
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q: there are only flags", flags.Arg(0))
	}
	if err != nil {
		return wrongFlags{fmt.Errorf("%w; --help lists the flags", err)}
	}
	return nil
}

// Within returns what reads the value of a flag into to: from least to most. NaN
// is not.
func Within[T cmp.Ordered](to *T, parse func(string) (T, error), least, most T) func(string) error {
	return func(text string) (err error) {
		if *to, err = parse(text); err != nil || !(*to >= least && *to <= most) {
			return fmt.Errorf("must be %v to %v", least, most)
		}
		return nil
	}
}

// Numbers returns what reads the value of a flag into to: numbers from least to
// most, separated by commas; k stands for 1000.
func Numbers(to *[]int, least, most int) func(string) error {
	return func(list string) error {
		*to = nil
		for field := range strings.SplitSeq(list, ",") {
			digits, thousands := strings.CutSuffix(field, "k")
			n, err := strconv.Atoi(digits)
			if thousands && n <= most {
				n *= 1000
			}
			if err != nil || n < least || n > most {
				return fmt.Errorf("%q must be a number from %d to %d; k stands for 1000", field, least, most)
			}
			*to = append(*to, n)
		}
		return nil
	}
}

// Names returns what reads the value of a flag into to: all, or some of the
// known names, separated by commas.
func Names(to *[]string, known []string) func(string) error {
	return func(list string) error {
		*to = known
		if list == "all" {
			return nil
		}
		*to = strings.Split(list, ",")
		for _, name := range *to {
			if !slices.Contains(known, name) {
				return fmt.Errorf("%q must be all, or some of %s", name, strings.Join(known, ", "))
			}
		}
		return nil
	}
}
