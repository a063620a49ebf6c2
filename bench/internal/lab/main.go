package lab

import (
	"cmp"
	"context"
	"encoding/json"
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
func Main(name string, run Run) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(Status(ctx, name, run, os.Args[1:], os.Stdout, os.Stderr))
}

// Status runs a program and returns its exit status: 0 when all is as it should
// be or help was asked for, 2 when the flags are wrong, else 1.
func Status(ctx context.Context, name string, run Run, args []string, stdout, stderr io.Writer) int {
	ok, err := run(ctx, args, stdout, stderr)
	var wrong wrongFlags
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "%s: %v\nRun with --help for the flags.\n", name, err)
		return 2
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
	}
	if !ok || err != nil {
		return 1
	}
	return 0
}

// wrongFlags is an error of the caller's.
type wrongFlags struct{ error }

func (w wrongFlags) Unwrap() error { return w.error }

// Parse reads flags, of which there must be nothing else. The error is
// flag.ErrHelp when help was asked for; about and the flags are then written
// already. The checks are called after that; their errors are as much about the
// flags as that of reading them.
func Parse(flags *flag.FlagSet, about string, args []string, help io.Writer, checks ...func() error) error {
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(help, "%s\nFlags:\n\n", about)
		flags.SetOutput(help)
		flags.PrintDefaults()
		return err
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q: there are only flags", flags.Arg(0))
	}
	if err != nil {
		return wrongFlags{err}
	}
	var errs []error
	for _, check := range checks {
		errs = append(errs, check())
	}
	if err := errors.Join(errs...); err != nil {
		return wrongFlags{err}
	}
	return nil
}

// Given returns the names of the flags that were given.
func Given(flags *flag.FlagSet) (names []string) {
	flags.Visit(func(f *flag.Flag) { names = append(names, f.Name) })
	return names
}

// Within checks that the value of a flag is from least to most. NaN is not.
func Within[T cmp.Ordered](flag string, v, least, most T) error {
	if v >= least && v <= most {
		return nil
	}
	return fmt.Errorf("-%s %v: must be %v to %v", flag, v, least, most)
}

// Numbers reads the value of a flag: numbers from least to most, separated by
// commas; k stands for 1000. The error names the flag and what is accepted.
func Numbers(flag, list string, least, most int) ([]int, error) {
	var numbers []int
	for _, field := range strings.Split(list, ",") {
		digits, thousands := strings.CutSuffix(field, "k")
		n, err := strconv.Atoi(digits)
		if thousands && n <= most {
			n *= 1000
		}
		if err != nil || n < least || n > most {
			return nil, fmt.Errorf("-%s: %q: must be a number from %d to %d; k stands for 1000", flag, field, least, most)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// Names reads the value of a flag: "all", or some of the known names, separated
// by commas.
func Names(flag, list string, known []string) ([]string, error) {
	if list == "all" {
		return known, nil
	}
	names := strings.Split(list, ",")
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("-%s: %q: must be all, or some of %s", flag, name, strings.Join(known, ", "))
		}
	}
	return names, nil
}

// SaveJSON does what the flag -json says: it writes a report to a file, unless
// path is empty.
func SaveJSON(path string, report any) error {
	if path == "" {
		return nil
	}
	data, err := json.MarshalIndent(report, "", "\t")
	if err == nil {
		err = os.WriteFile(path, append(data, '\n'), 0o666)
	}
	if err != nil {
		return fmt.Errorf("-json: %w", err)
	}
	return nil
}
