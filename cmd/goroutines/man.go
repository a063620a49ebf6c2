// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/otelgoroutine/go/otelgoroutine"
)

func newMan() *cobra.Command {
	return &cobra.Command{
		Use:   "man [COMMAND]",
		Short: "Write a manual page",
		Long: `Man writes the manual page of goroutines, or of one of its commands, for the
program man. Packages install them as goroutines.1 and goroutines-COMMAND.1.`,
		Example: `  goroutines man | man -l -
  goroutines man report > goroutines-report.1`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(c *cobra.Command, _ []string, given string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return beginning(commandNames(c.Root()), given), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			page := c.Root()
			if len(args) > 0 {
				if err := checkValue("command", args[0], commandNames(page)); err != nil {
					return err
				}
				page, _, _ = page.Find(args)
			}
			return writeMan(c, page)
		},
	}
}

func writeMan(c, page *cobra.Command) error {
	built := buildTime()
	page.DisableAutoGenTag = true
	header := &doc.GenManHeader{Section: "1", Manual: "Goroutines", Source: "goroutines " + otelgoroutine.Version, Date: &built}
	if err := doc.GenMan(page, header, c.OutOrStdout()); err != nil {
		return fmt.Errorf("manual page: %w", err)
	}
	return nil
}

// buildTime returns the time of the commit that was built, or now if it is unknown.
func buildTime() time.Time {
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, s := range build.Settings {
			if at, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
				return at
			}
		}
	}
	return time.Now()
}

// commandNames returns the names of the commands, without those that cobra adds.
func commandNames(root *cobra.Command) (names []string) {
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			names = append(names, c.Name())
		}
	}
	return names
}
