package main

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/otelgoroutine/go/internal/framepointer"
)

func newCheck() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "check BINARY",
		Short: "Tell whether an execution trace could end a built program",
		Long: `Check reads the executable of a Go program, for any operating system, and tells
whether an execution trace could end it. While a trace is taken, the runtime
follows frame pointers, on amd64 and arm64, and a wrong one ends the process
with SIGSEGV. Assembly may leave one behind; Go 1.26.0 to 1.26.5 do so after
some recovered panics. The library decides the same in the running program, and
takes goroutine dumps and profiles instead of traces where they are not safe.

Of a program that is not safe, check names the functions, with their modules,
and what to do. It does not know the environment in which the program will run:
with GODEBUG=tracefpunwindoff=1 in it, every program is safe.

The exit status is 0 if the program is safe to trace, 1 if it is not, and 2 if
that cannot be decided, or if the usage or the file is bad.`,
		Example: `  goroutines check ./server
  goroutines check --format json ./server`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("check has %d arguments; it takes one, an executable", len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return check(c.OutOrStdout(), args[0], format) },
	}
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

// check writes the verdict on a program, and returns an error unless it is
// safe.
func check(w io.Writer, path, format string) error {
	if format != "text" && format != "json" {
		return fmt.Errorf("--format %q: the format must be text or json", format)
	}
	v, err := verdictOf(path)
	if err != nil {
		return err
	}
	if err := writeVerdict(w, path, v, format); err != nil {
		return err
	}
	switch v.Status {
	case framepointer.Unsafe:
		return errFindings
	case framepointer.Undecided:
		return fmt.Errorf("%s: %s", path, v.Reason)
	}
	return nil
}

func verdictOf(path string) (v framepointer.Verdict, err error) {
	file, err := os.Open(path)
	if err != nil {
		return v, err
	}
	defer file.Close()
	info, err := buildinfo.Read(file)
	if err != nil {
		return v, fmt.Errorf("%s: %w", path, err)
	}
	return framepointer.Read(info, file), nil
}

// statuses say in a sentence what a program is.
var statuses = map[framepointer.Status]string{
	framepointer.Safe:      "safe to trace",
	framepointer.Unsafe:    "not safe to trace",
	framepointer.Undecided: "not known to be safe to trace",
}

func writeVerdict(w io.Writer, path string, v framepointer.Verdict, format string) error {
	if format == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(v)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s (%s, %s): %s\n", path, statuses[v.Status], v.GoVersion, v.GOARCH, v.Reason)
	for _, f := range v.Functions {
		fmt.Fprintf(&text, "  %s", f.Name)
		if f.Module != "" {
			fmt.Fprintf(&text, "  (%s)", strings.TrimSuffix(f.Module+"@"+f.Version, "@"))
		}
		text.WriteByte('\n')
	}
	if len(v.Advice) > 0 {
		fmt.Fprintf(&text, "To make it safe, %s.\n", strings.Join(v.Advice, ", or "))
	}
	_, err := io.WriteString(w, text.String())
	return err
}
