// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/otelgoroutine/go/internal/htmlreport"
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/internal/source"
)

// diffFormats are the values of --format of diff.
var diffFormats = []string{"text", "json", "html"}

type diffFlags struct{ reportFlags }

func newDiff() *cobra.Command {
	f := &diffFlags{reportFlags{samples: 1, ordered: true}}
	c := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "Show which stacks appeared, grew, shrank or went away between two snapshots",
		Long: `Diff compares two snapshots by stack. If both have goroutine IDs (traces and
debug=2 dumps do) and are of one process, it also shows how many goroutines were
created in between, and how many exited or moved on. The order is that of the
arguments.`,
		Example: `  goroutines diff before.txt after.txt
  goroutines diff yesterday.pb.gz http://host:6060
  goroutines diff --format html -o diff.html before.txt after.txt`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("got %d; diff needs two sources, before and after", len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args) },
	}
	f.inputFlags.add(c.Flags())
	f.filterFlags.add(c.Flags())
	f.outputFlags.add(c, "text, json or html")
	return c
}

func (f *diffFlags) run(c *cobra.Command, args []string) error {
	fail, err := f.outputFlags.check(diffFormats...)
	if err := cmp.Or(err, f.filterFlags.check()); err != nil {
		return err
	}
	series, notes, err := f.read(c, args)
	if err != nil {
		return err
	}
	if args[0] != args[1] && source.IsURL(args[0]) && source.IsURL(args[1]) {
		series.Same = false // two processes, regardless of their IDs
	}
	r, findings, _, err := f.report(series, notes)
	if err != nil {
		return err
	}
	d := r.Diff
	d.Before.Target, d.After.Target = series.Names[0], series.Names[1]
	err = f.write(c, r)
	if f.failOn != "" {
		notes = append(notes, r.Sight.Line()) // the findings are not shown, but their absence is the exit code
	}
	tell(c.ErrOrStderr(), notes)
	return cmp.Or(err, series.Partial, fail.verdict(findings, r))
}

func (f *diffFlags) write(c *cobra.Command, r *report.Report) error {
	d := r.Diff
	if f.format == "text" {
		return f.text(c, func(w io.Writer, style report.Style) error { return d.Styled(w, f.top, style) })
	}
	return f.to(c.OutOrStdout(), func(w io.Writer) error {
		if f.format == "json" {
			return d.JSON(w)
		}
		return htmlreport.Write(w, r)
	})
}
