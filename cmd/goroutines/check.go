// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/otelgoroutine/go/cmd/goroutines/internal/pipeline"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/framepointer"
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/internal/source"
	"github.com/otelgoroutine/go/otelgoroutine"
)

type checkFlags struct {
	reportFlags
	roots     []string
	allowNone bool
}

func newCheck() *cobra.Command {
	f := &checkFlags{}
	c := &cobra.Command{
		Use:   "check SOURCE... | BINARY",
		Short: "Check a process, a dump or a log in a pipeline, or whether a built program can bear traces",
		Long: `Check judges what report reads, for pipelines: a process, also with --samples, a
dump, a profile, a trace or a log. It says of each kind of fault whether it
passed, failed or could not be judged, as text, JSON, JUnit XML, SARIF 2.1.0 or
annotations of GitHub Actions. With -o, the text is written to standard output
as well. docs/pipelines.md has workflows.

It fails on findings that are at least confirmed, which a pipeline can rely on;
--fail-on changes that. Others are shown as warnings and notes. Files on stacks
are shown as those of the checkout in the current directory, or --source-root.

The executable of a Go program, for any operating system, is told from its
content. Of that, check tells whether an execution trace could end the program.
While a trace is taken, the runtime follows frame pointers, on amd64 and arm64,
and a wrong one ends the process with SIGSEGV. Assembly may leave one behind; Go
1.26.0 to 1.26.5 do so after some recovered panics. The library decides the same
in the running program, and takes goroutine dumps and profiles instead of traces
where they are not safe. Of a program that is not safe, check names the
functions, with their modules, and what to do. It does not know the environment
in which the program will run: with GODEBUG=tracefpunwindoff=1 in it, every
program is safe.

The exit status is 0 if the check passed, 1 if it failed, which means that
--fail-on is met or that the program is not safe to trace, and 2 if the usage or
an input is bad, even if part of that input could be judged, or if it cannot be
decided whether a program is safe.`,
		Example: `  goroutines check --format github dump.txt
  goroutines check --format junit -o goroutines.xml --samples 5 --every 30s :6060
  goroutines check --format sarif -o goroutines.sarif --fail-on high test.log
  go test ./... 2>&1 | goroutines check --allow-none -
  goroutines check ./server
  goroutines check --format json ./server`,
		Args: atLeastOne,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args) },
	}
	f.inputFlags.add(c.Flags())
	f.seriesFlags(c)
	c.Flags().StringVarP(&f.format, "format", "f", "text", strings.Join(pipeline.Formats[:4], ", ")+", or github")
	c.Flags().StringVarP(&f.file, "output", "o", "", "file to write to; standard output then gets the text")
	c.Flags().StringVar(&f.failOn, "fail-on", detectors.Confirmed.String(), "fail on findings of at least this confidence: any, "+confidenceWords()+", or none")
	c.Flags().StringArrayVar(&f.roots, "source-root", []string{"."}, "directory of the checkout with the program's go.mod; may be repeated")
	c.Flags().BoolVar(&f.allowNone, "allow-none", false, "let a single file without goroutines pass, such as the log of a program that did not crash")
	return c
}

func (f *checkFlags) run(c *cobra.Command, args []string) error {
	if err := checkValue("--format", f.format, pipeline.Formats); err != nil {
		return err
	}
	programs := slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return !isProgram(arg) })
	switch {
	case len(programs) == 0:
		return f.checkSources(c, args)
	case len(args) > 1:
		return fmt.Errorf("%s is an executable; check takes one executable, or sources of a series", programs[0])
	}
	for _, flag := range []string{"fail-on", "samples", "every", "allow-none"} {
		if c.Flags().Changed(flag) {
			return fmt.Errorf("--%s: %s is an executable; the flag is for processes, dumps, profiles, traces and logs", flag, args[0])
		}
	}
	return f.checkProgram(c, args[0])
}

// executables are the first bytes of executables.
var executables = []string{"\x7fELF", "MZ", "\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe", "\x00asm"}

// isProgram reports whether a file is an executable, of Go or not.
func isProgram(name string) bool {
	if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() || source.IsURL(name) {
		return false
	}
	file, err := os.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	head := make([]byte, 4)
	n, _ := io.ReadFull(file, head)
	return slices.ContainsFunc(executables, func(start string) bool { return bytes.HasPrefix(head[:n], []byte(start)) })
}

// checkProgram writes the verdict on a program, and returns an error unless it is
// safe.
func (f *checkFlags) checkProgram(c *cobra.Command, name string) error {
	v, err := verdictOf(name)
	if err != nil {
		return err
	}
	if err := f.writeResult(c, func(w io.Writer, format string) error { return writeVerdict(w, name, v, format) }); err != nil {
		return err
	}
	switch v.Status {
	case framepointer.Unsafe:
		return errFindings
	case framepointer.Undecided:
		return fmt.Errorf("%s: %s", name, v.Reason)
	}
	return nil
}

// writeResult writes in the format, and if that goes into a file the text to
// standard output.
func (f *checkFlags) writeResult(c *cobra.Command, write func(w io.Writer, format string) error) error {
	err := f.to(c.OutOrStdout(), func(w io.Writer) error { return write(w, f.format) })
	if f.file != "" && err == nil {
		err = write(c.OutOrStdout(), "text")
	}
	return err
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
	switch format {
	case "text":
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(v)
	default:
		return pipeline.Write(w, resultOf(path, v), format)
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

// ruleTraceSafety is the rule that a program breaks that is not safe to trace.
const ruleTraceSafety = "trace_safety"

// resultOf returns the verdict on a program as a result with one rule.
func resultOf(path string, v framepointer.Verdict) *pipeline.Result {
	r := &pipeline.Result{SchemaVersion: pipeline.SchemaVersion, Source: path, Version: otelgoroutine.Version}
	var findings []pipeline.Finding
	reason := ""
	switch v.Status {
	case framepointer.Undecided:
		reason = v.Reason
	case framepointer.Unsafe:
		f := pipeline.Finding{Fails: true, Finding: report.Finding{
			Detector: ruleTraceSafety, Confidence: detectors.High.String(), Severity: string(detectors.High.Severity()),
			Message: fmt.Sprintf("%s (%s, %s) is not safe to trace: %s", path, v.GoVersion, v.GOARCH, v.Reason),
		}}
		for _, function := range v.Functions {
			f.Evidence = append(f.Evidence, strings.TrimSuffix(function.Name+" of "+function.Module+"@"+function.Version, " of @"))
		}
		if len(v.Advice) > 0 {
			f.Advice = "To make it safe, " + strings.Join(v.Advice, ", or ") + "."
		}
		findings = append(findings, f)
	}
	r.Add(ruleTraceSafety, "An execution trace could end the program, because something in it spoils the frame pointer.", reason, findings)
	return r
}
