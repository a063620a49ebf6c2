// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelc

import (
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the rule adds to a program must be there and do what it is for. The tool itself
// cannot be had from a module proxy: docs/zero-code.md says how it was tried.
func TestTheRuleAddsTheImport(t *testing.T) {
	rule, err := os.ReadFile("otelc.yaml")
	require.NoError(t, err)
	assert.Regexp(t, `(?m)^otelgoroutine_autostart:\n  target: main\n  do:\n    - add_file:\n`, string(rule))
	assert.Regexp(t, `path: "github.com/otelgoroutine/go/auto/otelc"`, string(rule), "the path of this package")
	file := regexp.MustCompile(`file: "(.*)"`).FindStringSubmatch(string(rule))
	require.NotNil(t, file)
	added, err := parser.ParseFile(token.NewFileSet(), file[1], nil, 0)
	require.NoError(t, err)
	require.Len(t, added.Imports, 1)
	assert.Equal(t, "_", added.Imports[0].Name.Name)
	assert.Equal(t, `"github.com/otelgoroutine/go/auto"`, added.Imports[0].Path.Value)
}
