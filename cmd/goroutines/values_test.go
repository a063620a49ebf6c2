// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Addresses are hidden in every output unless --values is given. Those of the dumps are in
// arguments, in headers of locks and in messages of panics.
func TestAddressesAreHidden(t *testing.T) {
	const address = `0x[0-9a-f]{5,}`
	inputs := append(glob(t, "../../internal/diagnosis/testdata/*.txt"), glob(t, "../../internal/diagnosis/testdata/corpus/*.gz")...)
	require.Greater(t, len(inputs), 30)
	shown := 0
	for _, input := range inputs {
		for _, format := range []string{"text", "json", "html"} {
			_, stdout, stderr := call(t, "", "report", "--format", format, input)
			assert.NotRegexp(t, address, stdout+stderr, "%s of %s", format, input)
		}
		_, stdout, _ := call(t, "", "diff", input, inputs[0])
		assert.NotRegexp(t, address, stdout, input)
		bundle := filepath.Join(t.TempDir(), "bundle")
		status, _, stderr := call(t, "", "report", "--bundle", bundle, input)
		require.Zero(t, status, stderr)
		for _, name := range glob(t, bundle+"/*") {
			if data := contents(t, name); filepath.Ext(name) != ".gz" {
				assert.NotRegexp(t, address, data, "%s of %s", name, input)
			}
		}
		if _, stdout, _ := call(t, "", "report", "--values", input); regexpMatch(address, stdout) {
			shown++
		}
	}
	assert.Greater(t, shown, 3, "with --values, locks have addresses")
}

func regexpMatch(expression, text string) bool {
	return regexp.MustCompile(expression).MatchString(text)
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	require.NoError(t, err)
	return names
}

// contents returns a file as text, unpacked.
func contents(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	if z, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
		data, err = io.ReadAll(z)
		require.NoError(t, err)
	}
	return string(data)
}
