package main

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/otelgoroutine/go/detectors"
)

func newDetectors() *cobra.Command {
	return &cobra.Command{
		Use:   "detectors",
		Short: "List the detectors and what each one finds",
		Long: `Detectors lists the detectors that report, diff and watch run: what each one
finds and what it needs. Those that need goroutine IDs judge traces and debug=2
dumps only; a profile has no IDs. Those that compare snapshots need several.`,
		Example: "  goroutines detectors",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			w := bufio.NewWriter(c.OutOrStdout())
			for _, d := range detectors.Default() {
				fmt.Fprintln(w, describe(d))
			}
			return w.Flush()
		},
	}
}

// short cuts the zeros off a duration.
var short = strings.NewReplacer("h0m0s", "h", "m0s", "m")

// describe returns a detector's name, its documentation and its needs.
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
