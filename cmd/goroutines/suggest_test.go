// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDidYouMean(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dump.txt"), nil, 0o600))
	for _, c := range []struct {
		want string
		args []string
	}{
		{`unknown command "reprot"; did you mean "report"? it must be `, []string{"reprot", "x"}},
		{`unknown command "dif"; did you mean "diff"?`, []string{"dif"}},
		{`unknown command "WATCH"; did you mean "watch"?`, []string{"WATCH"}},
		{`unknown command "dump.txt"; did you mean "goroutines report dump.txt"?`, []string{"dump.txt"}},
		{`unknown command "http://host:6060"; did you mean "goroutines report http://host:6060"?`, []string{"http://host:6060"}},
		{`unknown command "xyzzy"; it must be `, []string{"xyzzy"}},
		{`unknown flag: --formt; did you mean "--format"? goroutines report --help lists the flags`, []string{"report", "--formt", "json", "x"}},
		{`unknown flag: --fail; did you mean "--fail-on"?`, []string{"report", "--fail", "x"}},
		{`unknown shorthand flag: 'l' in -lables; did you mean "--labels"?`, []string{"report", "-lables", "x", "y"}},
		{`unknown flag: --xyzzy; goroutines diff --help lists the flags`, []string{"diff", "--xyzzy"}},
		{`--format "jsn" is unknown; did you mean "json"? it must be text, json, html or pprof`, []string{"report", "--format", "jsn", "x"}},
		{`--format "pprof" is unknown; it must be text, json or html`, []string{"diff", "--format", "pprof", "x", "y"}},
		{`--endpoint "profle" is unknown; did you mean "profile"? it must be auto, trace, profile or dump`, []string{"report", "--endpoint", "profle", "x"}},
		{`--fail-on "suspect" is unknown; did you mean "suspected"? it must be any, health, or a confidence (info,`, []string{"report", "--fail-on", "suspect", "x"}},
		{`detector "leaks" is unknown; did you mean "leak"? it must be `, []string{"detectors", "leaks"}},
		{`command "reprt" is unknown; did you mean "report"?`, []string{"man", "reprt"}},
	} {
		status, stdout, stderr := call(t, "", c.args...)
		requireOneLine(t, status, stderr, c.want)
		assert.Empty(t, stdout, c.args)
	}
}

func TestClosest(t *testing.T) {
	words := []string{"text", "json", "html", "chan receive (nil chan)", "any"}
	for given, want := range map[string]string{
		"JSON": "json", "htm": "html", "txt": "text", "yaml": "", "x": "", "": "", "an": "", "ayn": "",
		"chan recieve (nil)": "", "chan receive": "chan receive (nil chan)", "chan recieve (nil chan)": "chan receive (nil chan)",
	} {
		assert.Equal(t, want, closest(given, words), given)
	}
}

// completions returns what the shell would offer for the last word.
func completions(t *testing.T, args ...string) []string {
	t.Helper()
	status, stdout, _ := call(t, "", append([]string{"__complete"}, args...)...)
	require.Zero(t, status)
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	return lines[:len(lines)-1] // the last one is a directive
}

func TestCompletions(t *testing.T) {
	assert.Equal(t, []string{"text", "json", "html", "pprof"}, completions(t, "report", "--format", ""))
	assert.Equal(t, []string{"text", "json", "html"}, completions(t, "diff", "-f", ""))
	assert.Equal(t, []string{"text", "json", "junit", "sarif", "github"}, completions(t, "check", "--format", ""))
	assert.Equal(t, []string{"text", "json"}, completions(t, "watch", "--format", ""))
	assert.Equal(t, []string{"auto", "always"}, completions(t, "report", "--color", "a"))
	assert.Equal(t, []string{"auto", "trace", "profile", "dump"}, completions(t, "watch", "--endpoint", ""))
	assert.Equal(t, []string{"any", "health", "info", "medium", "suspected", "confirmed", "high", "certain"}, completions(t, "report", "--fail-on", ""))
	assert.Equal(t, []string{"sync.Mutex.Lock", "sync.RWMutex.Lock", "sync.RWMutex.RLock", "sync.WaitGroup.Wait", "sync.Cond.Wait"}, completions(t, "diff", "--state", "sync."))
	assert.Equal(t, []string{"leak"}, completions(t, "detectors", "l"))
	assert.Contains(t, completions(t, "man", ""), "report")
	assert.Contains(t, strings.Join(completions(t, ""), "\n"), "report\tReport on a process")
}
