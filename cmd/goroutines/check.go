package main

import (
	"debug/buildinfo"
	"encoding/json"
	"errors"
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
		Short: "Tells whether a built program can bear execution traces",
		Long: `Check reads the executable of a Go program, for any operating system, and tells
whether an execution trace could end it: while one is on, the runtime follows
frame pointers, which assembly may have spoiled. The library decides the same in
the running program, and takes no traces where they are not safe.

Settings of GODEBUG in the environment of the program are not known here; those
of the build are.

Exit status: 0 when the program is safe to trace; 1 when it is not; 2 when that
cannot be decided, or the usage is bad.`,
		Example: `  goroutines check ./server
  goroutines check --format json ./server`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("check takes one executable")
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

func writeVerdict(w io.Writer, path string, v framepointer.Verdict, format string) error {
	if format == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(v)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s to trace (%s, %s): %s\n", path, v.Status, v.GoVersion, v.GOARCH, v.Reason)
	for _, f := range v.Functions {
		fmt.Fprintf(&text, "  %s", f.Name)
		if f.Module != "" {
			fmt.Fprintf(&text, "  (%s %s)", f.Module, f.Version)
		}
		text.WriteByte('\n')
	}
	if len(v.Advice) > 0 {
		fmt.Fprintf(&text, "To have it traced, %s.\n", strings.Join(v.Advice, ", or "))
	}
	_, err := io.WriteString(w, text.String())
	return err
}
