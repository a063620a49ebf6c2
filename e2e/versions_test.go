// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	versionRow  = regexp.MustCompile("(?m)^\\|(.*`go\\.opentelemetry\\.io/.*)\\| (v[0-9.]+) \\| (v[0-9.]+) \\|$")
	modulePath  = regexp.MustCompile("`(go\\.opentelemetry\\.io/[^`]*)`")
	requirement = regexp.MustCompile(`(?m)^\t(go\.opentelemetry\.io/\S+) (v\S+)( // indirect)?$`)
)

// TestTableOfVersions holds the table of versions to what is tested: the newest ones
// are those of this module, which .ci/otel newest raises; the lowest ones of the API are
// those that the library requires.
func TestTableOfVersions(t *testing.T) {
	page := string(file(t, "../docs/compatibility.md"))
	here, library := requirements(t, "go.mod", whole), requirements(t, "../go.mod", whole)
	rows := versionRow.FindAllStringSubmatch(page, -1)
	require.Greater(t, len(rows), 5)
	named := make(map[string]bool)
	for _, row := range rows {
		for _, module := range modulePath.FindAllStringSubmatch(row[1], -1) {
			path, lowest, newest := module[1], row[2], row[3]
			named[path] = true
			assert.Equal(t, here[path], newest, path)
			if v, ok := library[path]; ok {
				assert.Equal(t, v, lowest, path)
			}
		}
	}
	for path := range requirements(t, "go.mod", direct) {
		if strings.HasPrefix(path, "go.opentelemetry.io/contrib/") || strings.HasPrefix(path, "go.opentelemetry.io/otel") {
			assert.True(t, named[path], "%s has no row", path)
		}
	}
}

// direct and whole say which requirements are wanted, by the comment behind them.
func direct(comment string) bool { return comment == "" }
func whole(string) bool          { return true }

// requirements returns the versions of the OpenTelemetry modules that a go.mod
// requires.
func requirements(t *testing.T, name string, wanted func(comment string) bool) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, r := range requirement.FindAllStringSubmatch(string(file(t, name)), -1) {
		if wanted(r[3]) {
			all[r[1]] = r[2]
		}
	}
	return all
}

func file(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	return content
}
