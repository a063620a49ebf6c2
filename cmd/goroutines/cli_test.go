// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/source"
	"github.com/otelgoroutine/go/otelgoroutine"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "1000": 1000, "1KiB": 1 << 10, "64KiB": 64 << 10, "512MiB": 512 << 20, "3GiB": 3 << 30, "1024GiB": 1 << 40, "1099511627776": 1 << 40,
	} {
		var size, again bytesValue
		require.NoError(t, size.Set(text), text)
		assert.EqualValues(t, want, size, text)
		require.NoError(t, again.Set(size.String()), "what is shown can be given")
		assert.Equal(t, size, again, text)
	}
	for _, text := range []string{"", "lots", "0", "-1", "1.5MiB", "MiB", "1 MiB", "1MB", "1mib", "1025GiB", "1099511627777", "99999999999999999999"} {
		size := bytesValue(7)
		require.ErrorContains(t, size.Set(text), "must be a positive number of bytes", text)
		assert.EqualValues(t, 7, size, "%s: unchanged", text)
	}
}

func TestHeaders(t *testing.T) {
	name := filepath.Join(t.TempDir(), "headers")
	require.NoError(t, os.WriteFile(name, []byte("\nX-One: 1\r\nAuthorization: Bearer a:b\n\n"), 0o600))
	header, err := headersOf(t.Context(), []string{"accept: text/plain", "@" + name, "X-One:2", "X-Empty:"})
	require.NoError(t, err)
	assert.Equal(t, http.Header{
		"Accept": {"text/plain"}, "X-One": {"1", "2"}, "Authorization": {"Bearer a:b"}, "X-Empty": {""},
	}, header)

	require.NoError(t, os.WriteFile(name, []byte("X-One: 1\nsecret\n"), 0o600))
	for given, want := range map[string]string{
		"secret":          `--header: entry 1 is no header; it must be "Name: value"`,
		": secret":        `--header: entry 1 is no header; it must be "Name: value"`,
		"X One: secret":   `--header: entry 1 is no header; it must be "Name: value"`,
		"@" + name:        `--header: entry 2 is no header; it must be "Name: value"`,
		"@" + name + ".x": "--header: open " + name + ".x: no such file",
	} {
		_, err := headersOf(t.Context(), []string{given})
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "secret")
	}
}

func TestFailOnValues(t *testing.T) {
	for value, want := range map[string]failOn{
		"": {}, " , ": {}, "health": {health: true}, "any": {confidence: detectors.Info}, "info": {confidence: detectors.Info},
		"suspected": {confidence: detectors.Suspected}, "certain": {confidence: detectors.Certain},
		"high, health": {confidence: detectors.High, health: true}, "health,any": {confidence: detectors.Info, health: true},
	} {
		got, err := parseFailOn(value)
		require.NoError(t, err, value)
		assert.Equal(t, want, got, value)
	}
	for _, c := range detectors.Confidences() {
		got, err := parseFailOn(c.String())
		require.NoError(t, err)
		assert.Equal(t, c, got.confidence)
	}
	for _, value := range []string{"warn", "High", "any;health", "certain,maybe"} {
		_, err := parseFailOn(value)
		assert.ErrorContains(t, err, "is unknown", value)
		assert.ErrorContains(t, err, " it must be any, health, or a confidence (info, medium, suspected, confirmed, high, certain)", value)
	}
}

// TestReaderOfFlags checks what each input flag changes in the reader.
func TestReaderOfFlags(t *testing.T) {
	t.Setenv(userVariable, "env:secret")
	stdin := strings.NewReader("")
	for name, c := range map[string]struct {
		args []string
		want func(*source.Reader)
	}{
		"none":           {nil, func(*source.Reader) {}},
		"values":         {[]string{"--values"}, func(r *source.Reader) { r.Labels.Hide = false }},
		"some labels":    {[]string{"--labels", "a,b", "--labels=c"}, func(r *source.Reader) { r.Labels = parse.Labels{Keys: []string{"a", "b", "c"}, Hide: true} }},
		"endpoint":       {[]string{"--endpoint", "dump"}, func(r *source.Reader) { r.Endpoint = source.Dump }},
		"size":           {[]string{"--max-size", "2KiB"}, func(r *source.Reader) { r.Max = 2048 }},
		"timeout":        {[]string{"--timeout", "2m"}, func(r *source.Reader) { r.HTTP.Timeout = 2 * time.Minute }},
		"user":           {[]string{"--user", "me:x:y"}, func(r *source.Reader) { r.HTTP.User = "me:x:y" }},
		"header":         {[]string{"--header", "A: b,c"}, func(r *source.Reader) { r.HTTP.Header = http.Header{"A": {"b,c"}} }},
		"certificates":   {[]string{"--ca", "a", "--cert", "b", "--key", "c"}, func(r *source.Reader) { r.HTTP.CA, r.HTTP.Cert, r.HTTP.Key = "a", "b", "c" }},
		"kubectl":        {[]string{"--context", "prod", "-n", "shop"}, func(r *source.Reader) { r.Kubernetes = source.Kubernetes{Context: "prod", Namespace: "shop"} }},
		"no certificate": {[]string{"--insecure", "--server-name", "x"}, func(r *source.Reader) { r.HTTP.Insecure, r.HTTP.ServerName = true, "x" }},
	} {
		var f inputFlags
		flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
		f.add(flags)
		require.NoError(t, flags.Parse(c.args), name)
		want := &source.Reader{
			HTTP: source.HTTP{User: "env:secret", Header: http.Header{}, Timeout: 30 * time.Second}, Endpoint: source.Auto,
			Labels: parse.Labels{All: true, Hide: true}, Max: 512 << 20, Stdin: stdin,
		}
		c.want(want)
		got, err := f.reader(t.Context(), stdin)
		require.NoError(t, err, name)
		if len(got.Labels.Keys) == 0 {
			got.Labels.Keys = nil
		}
		assert.Equal(t, want, got, name)
	}
	t.Setenv(userVariable, "no-password")
	_, err := new(inputFlags).reader(t.Context(), stdin)
	require.Error(t, err, "the zero value has no endpoint")
	status, _, stderr := call(t, "", "report", "-")
	requireOneLine(t, status, stderr, "--user has no colon; it must be name:password")
}

func TestOneDash(t *testing.T) {
	root := newRoot(nil, nil, nil)
	for in, want := range map[string]string{
		"report -format json x":       "report --format json x",
		"report -format=json -o x":    "report --format=json -o x",
		"report --format json -":      "report --format json -",
		"-help":                       "--help",
		"-version":                    "--version",
		"-h":                          "-h",
		"watch -i 5s -otlp x:1":       "watch -i 5s --otlp x:1",
		"report -nonsense":            "report -nonsense",
		"report -- -format":           "report -- -format",
		"report -user=a:-values -f":   "report --user=a:-values -f",
		"report -values -- -values":   "report --values -- -values",
		"diff ---format before after": "diff ---format before after",
	} {
		assert.Equal(t, strings.Fields(want), twoDashes(root, strings.Fields(in)))
	}
}

// TestFlagTexts checks that every flag has the same style: lower case, no full
// stop, and short enough for a terminal.
func TestFlagTexts(t *testing.T) {
	check := func(c *cobra.Command, f *pflag.Flag) {
		name := c.Name() + " --" + f.Name
		require.NotEmpty(t, f.Usage, name)
		first := f.Usage[:1]
		assert.True(t, strings.ToLower(first) == first || strings.HasPrefix(f.Usage, "OTLP"), "%s: %s", name, f.Usage)
		assert.NotRegexp(t, `\.$`, f.Usage, name)
	}
	root := newRoot(nil, nil, nil)
	for _, c := range append(root.Commands(), root) {
		c.Flags().VisitAll(func(f *pflag.Flag) { check(c, f) })
		assert.NotEmpty(t, c.Short)
		assert.NotRegexp(t, `\.$`, c.Short)
		for line := range strings.Lines(c.Long) {
			assert.LessOrEqual(t, len(strings.TrimRight(line, "\n")), 80, line)
		}
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr strings.Builder
	status := run(ctx, []string{"report", "--endpoint", "dump", "http://127.0.0.1:1"}, strings.NewReader(""), &stdout, &stderr)
	assert.Equal(t, statusBad, status)
	assert.Equal(t, "goroutines: interrupted\n", stderr.String())
	assert.Empty(t, stdout.String())
}

func TestVersion(t *testing.T) {
	for _, flag := range []string{"--version", "-version", "-v"} {
		status, stdout, stderr := call(t, "", flag)
		assert.Zero(t, status)
		assert.Empty(t, stderr)
		assert.Regexp(t, `^goroutines `+strings.ReplaceAll(otelgoroutine.Version, ".", `\.`)+` \(go1\.\S+ \w+/\w+.*\)\n$`, stdout)
	}
	build := func(settings ...debug.BuildSetting) *debug.BuildInfo { return &debug.BuildInfo{Settings: settings} }
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "e7d4208bb1d5a7c3e7d4208bb1d5a7c3e7d4208b"}
	for name, c := range map[string]struct {
		build *debug.BuildInfo
		want  string // the part after the platform
	}{
		"built without modules":   {nil, ")"},
		"installed":               {build(debug.BuildSetting{Key: "GOOS", Value: "linux"}), ")"},
		"a checkout":              {build(revision, debug.BuildSetting{Key: "vcs.modified", Value: "false"}), ", revision e7d4208bb1d5)"},
		"a checkout with changes": {build(revision, debug.BuildSetting{Key: "vcs.modified", Value: "true"}), ", revision e7d4208bb1d5, modified)"},
		"installed at a version":  {&debug.BuildInfo{Main: debug.Module{Version: "v" + otelgoroutine.Version}}, ")"},
		"at another revision":     {&debug.BuildInfo{Main: debug.Module{Version: "v0.0.0-20261127120000-e7d4208bb1d5"}}, ", module v0.0.0-20261127120000-e7d4208bb1d5)"},
		"a build of a folder":     {&debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, ")"},
		"a short revision":        {build(debug.BuildSetting{Key: "vcs.revision", Value: "7"}), ", revision 7)"},
	} {
		got := version(c.build, c.build != nil)
		plain := version(nil, false)
		assert.Equal(t, strings.TrimSuffix(plain, ")")+c.want, got, name)
	}
}

// TestDetectors checks that all documentation of a detector is shown.
func TestDetectors(t *testing.T) {
	status, stdout, stderr := call(t, "", "detectors")
	require.Zero(t, status, stderr)
	sections := strings.Split(strings.TrimSuffix(stdout, "\n\n"), "\n\n")
	require.Len(t, sections, len(detectors.Default()))
	for i, d := range detectors.Default() {
		name, text, _ := strings.Cut(sections[i], "\n")
		assert.Equal(t, d.Name, name)
		for line := range strings.Lines(d.Doc) {
			assert.Contains(t, text, strings.TrimSpace(line), d.Name)
		}
		assert.Equal(t, d.Needs.IDs, strings.Contains(text, "Needs goroutine IDs."), d.Name)
		assert.Equal(t, d.Needs.History > 0, strings.Contains(text, "Compares snapshots over up to "), d.Name)
	}
	for needs, want := range map[time.Duration]string{
		2 * time.Hour: "up to 2h.", 160 * time.Minute: "up to 2h40m.", 10 * time.Minute: "up to 10m.", 90 * time.Second: "up to 1m30s.", 40 * time.Second: "up to 40s.",
	} {
		assert.Contains(t, describe(&detectors.Detector{Name: "x", Needs: detectors.Needs{History: needs}}), want)
	}
	status, stdout, _ = call(t, "", "detectors", "leak", "surge")
	assert.Zero(t, status)
	assert.Equal(t, 2, strings.Count(stdout, "\n\n"))
	assert.Contains(t, sections, strings.TrimSuffix(stdout[:strings.Index(stdout, "\n\n")], "\n"))
}
