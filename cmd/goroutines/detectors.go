// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/otelgoroutine/go/detectors"
)

func newDetectors() *cobra.Command {
	return &cobra.Command{
		Use:   "detectors [NAME...]",
		Short: "List the detectors and what each one finds",
		Long: `Detectors lists the detectors that report, diff and watch run: what each one
finds and what it needs. Those that need goroutine IDs judge traces and debug=2
dumps only; a profile has no IDs. Those that compare snapshots need several.
With names, only these detectors are listed.`,
		Example: `  goroutines detectors
  goroutines detectors leak`,
		ValidArgsFunction: func(_ *cobra.Command, _ []string, given string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return beginning(detectorNames(), given), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, names []string) error {
			for _, name := range names {
				if err := checkValue("detector", name, detectorNames()); err != nil {
					return err
				}
			}
			w := bufio.NewWriter(c.OutOrStdout())
			for _, d := range detectors.Default() {
				if len(names) == 0 || slices.Contains(names, d.Name) {
					fmt.Fprintln(w, describe(d))
				}
			}
			return w.Flush()
		},
	}
}

func detectorNames() (names []string) {
	for _, d := range detectors.Default() {
		names = append(names, d.Name)
	}
	return names
}

// short drops trailing zero units from a duration.
var short = strings.NewReplacer("h0m0s", "h", "m0s", "m")

// describe returns a detector's name, documentation and requirements.
func describe(d *detectors.Detector) string {
	lines := []string{d.Name}
	for line := range strings.Lines(d.Doc) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, "    "+line)
		}
	}
	if d.Needs.IDs {
		lines = append(lines, "    Needs goroutine IDs.")
	}
	if d.Needs.History > 0 {
		lines = append(lines, fmt.Sprintf("    Compares snapshots over up to %s.", short.Replace(d.Needs.History.String())))
	}
	return strings.Join(lines, "\n") + "\n"
}
