// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// documentation is the second part of docs/command.md, below this mark.
const (
	documentation = "../../docs/command.md"
	mark          = "<!-- Below this line: go test ./cmd/goroutines -run TestDocumentation -update -->\n"
)

// commandDoc documents a command with all its flags.
func commandDoc(c *cobra.Command) string {
	c.InitDefaultHelpFlag()
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n    %s\n\n", c.CommandPath(), c.Short, c.UseLine())
	fmt.Fprintf(&b, "```text\n%s\n```\n", c.Long)
	if c.Example != "" {
		fmt.Fprintf(&b, "\nExamples:\n\n```sh\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(c.Example, "  "), "\n  ", "\n"))
	}
	fmt.Fprintf(&b, "\nFlags:\n\n```text\n%s```\n", c.NonInheritedFlags().FlagUsages())
	return b.String()
}

// The documentation of the command is its help, so that it cannot be false.
func TestDocumentation(t *testing.T) {
	root := newRoot(nil, nil, nil)
	text := mark + commandDoc(root)
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" && c.Name() != "completion" {
			text += commandDoc(c)
		}
	}
	page, err := os.ReadFile(documentation)
	require.NoError(t, err)
	written, _, found := strings.Cut(string(page), mark)
	require.True(t, found)
	if *update {
		require.NoError(t, os.WriteFile(documentation, []byte(written+text), 0o644))
		return
	}
	assert.Equal(t, written+text, string(page), "run: go test ./cmd/goroutines -run TestDocumentation -update")
	assert.Contains(t, written, "```text\n"+exitStatuses+"\n```\n")
}

func TestManualPages(t *testing.T) {
	status, page, stderr := call(t, "", "man")
	require.Zero(t, status, stderr)
	assert.Contains(t, page, `.TH "GOROUTINES" "1"`)
	assert.Contains(t, page, "goroutines-report(1)")
	assert.Contains(t, page, "Exit statuses:")
	for _, c := range newRoot(nil, nil, nil).Commands() {
		status, page, stderr := call(t, "", "man", c.Name())
		require.Zero(t, status, stderr)
		assert.Contains(t, page, `.TH "GOROUTINES-`+strings.ToUpper(c.Name())+`" "1"`)
		c.LocalFlags().VisitAll(func(f *pflag.Flag) { assert.Contains(t, page, "--"+f.Name, c.Name()) })
	}
}

// mandoc and man can read them, where they are installed.
func TestManualPagesAreValid(t *testing.T) {
	_, page, _ := call(t, "", "man", "report")
	for _, reader := range [][]string{{"mandoc", "-T", "lint", "-W", "error"}, {"man", "--warnings", "-l", "-"}} {
		if _, err := exec.LookPath(reader[0]); err != nil {
			continue
		}
		c := exec.Command(reader[0], reader[1:]...)
		c.Stdin = strings.NewReader(page)
		var errors strings.Builder
		c.Stderr = &errors
		out, err := c.Output()
		require.NoError(t, err, "%s %s", out, errors.String())
		assert.Empty(t, errors.String(), reader)
	}
}
