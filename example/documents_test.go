// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The example has the flags that the documents and its usage give it.
func TestTheCommandsOfTheDocuments(t *testing.T) {
	command := regexp.MustCompile("go run \\./example((?: -[a-z-]+ [^-\\s`)]+)*)")
	lines := []string{usage}
	for _, pattern := range []string{"README.md", "docs/*.md"} {
		pages, err := filepath.Glob(filepath.Join("..", pattern))
		require.NoError(t, err)
		for _, page := range pages {
			content, err := os.ReadFile(page)
			require.NoError(t, err)
			lines = append(lines, string(content))
		}
	}
	commands := command.FindAllStringSubmatch(strings.Join(lines, "\n"), -1)
	require.Greater(t, len(commands), 4)
	for _, c := range commands {
		_, err := parseOptions(strings.Fields(c[1]), io.Discard)
		assert.NoError(t, err, c[0])
	}
}
