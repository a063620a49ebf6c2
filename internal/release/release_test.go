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

// files is a repository like ours, with nothing to download.
var files = map[string]string{
	"LICENSE":      "free\n",
	"CHANGELOG.md": "# Changelog\n\n## [Unreleased]\n",
	"go.mod":       "module github.com/otelgoroutine/go\n\ngo 1.26.0\n",
	"go.work": "go 1.26.0\n\nuse (\n\t.\n\t./cmd/goroutines\n)\n\n" +
		"replace github.com/otelgoroutine/go v0.1.0 => ./\n",
	"internal/telemetry/metrics.go": "package telemetry\n\n// Version is the version.\nconst Version = \"0.1.0\"\n",
	"cmd/goroutines/go.mod": "module github.com/otelgoroutine/go/cmd/goroutines\n\ngo 1.26.0\n\n" +
		"require github.com/otelgoroutine/go v0.1.0\n",
	"cmd/goroutines/main.go": "package main\n\nimport (\n\t\"os\"\n\n\t\"github.com/otelgoroutine/go/internal/telemetry\"\n)\n\n" +
		"func main() { os.Stdout.WriteString(telemetry.Version) }\n",
	"bench/go.mod":   "module github.com/otelgoroutine/go/bench\n\ngo 1.26.0\n\nrequire github.com/otelgoroutine/go v0.1.0\n",
	"bench/go.work":  "go 1.26.0\n\nuse (\n\t.\n\t..\n)\n\nreplace github.com/otelgoroutine/go v0.1.0 => ../\n",
	"bench/bench.go": "package bench\n\nimport _ \"github.com/otelgoroutine/go/internal/telemetry\"\n",
}

// newRepo makes a repository from files and returns its folder. Neither the
// machine's settings nor the network affects what git and go do in it.
func newRepo(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	for name, value := range map[string]string{
		"GOWORK": "", "GOFLAGS": "-modcacherw", "GOPROXY": "off", "GOMODCACHE": t.TempDir(), "GOTOOLCHAIN": "local",
		"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a",
	} {
		t.Setenv(name, value)
	}
	in(t, dir, "git", "init", "--quiet")
	commit(t, dir)
	t.Chdir(dir)
	return dir
}

func write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
}

// replace replaces text in a file, which must contain it.
func replace(t *testing.T, name, old, text string) {
	t.Helper()
	have, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Contains(t, string(have), old)
	write(t, name, strings.ReplaceAll(string(have), old, text))
}

func commit(t *testing.T, dir string) {
	t.Helper()
	in(t, dir, "git", "add", "--all")
	in(t, dir, "git", "commit", "--quiet", "--message", "all")
}

func in(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	out, err := command(dir, name, args...)
	require.NoError(t, err)
	return out
}

// release runs the command in the current directory.
func release(args ...string) (string, error) {
	var out strings.Builder
	err := run(args, &out)
	return out.String(), err
}

func mustRelease(t *testing.T, args ...string) string {
	t.Helper()
	out, err := release(args...)
	require.NoError(t, err)
	return out
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct{ file, old, text, want string }{
		"nothing": {"LICENSE", "free", "free", ""},
		"a replacement": {"bench/go.mod", "go 1.26.0\n", "go 1.26.0\n\nreplace github.com/otelgoroutine/go => ../\n",
			"bench/go.mod replaces github.com/otelgoroutine/go"},
		"a replacement of another's module in a published one": {"cmd/goroutines/go.mod", "go 1.26.0\n", "go 1.26.0\n\nreplace example.com/a v1.1.0 => example.com/a v1.0.0\n",
			"cmd/goroutines/go.mod replaces example.com/a"},
		"a replacement of another's module in an internal one": {"bench/go.mod", "go 1.26.0\n", "go 1.26.0\n\nreplace example.com/a v1.1.0 => example.com/a v1.0.0\n",
			""},
		"another version": {"cmd/goroutines/go.mod", "v0.1.0", "v0.0.9",
			"cmd/goroutines/go.mod requires github.com/otelgoroutine/go v0.0.9; must be v0.1.0"},
		"a workspace of another version": {"go.work", "v0.1.0", "v0.0.9",
			"go.work must have the line: replace github.com/otelgoroutine/go v0.1.0 => ./"},
		"a nested workspace of another version": {"bench/go.work", "v0.1.0", "v0.0.9",
			"bench/go.work must have the line: replace github.com/otelgoroutine/go v0.1.0 => ../"},
		"an internal module": {"cmd/goroutines/go.mod", "require", "require github.com/otelgoroutine/go/bench v0.1.0\n\nrequire",
			"cmd/goroutines/go.mod requires github.com/otelgoroutine/go/bench, which is not published"},
		"half a version": {"internal/telemetry/metrics.go", "0.1.0", "0.1",
			`version "0.1": must be of the form 1.2.3`},
		"no version": {"internal/telemetry/metrics.go", "const Version", "const Other",
			"internal/telemetry/metrics.go has no line"},
	} {
		t.Run(name, func(t *testing.T) {
			replace(t, filepath.Join(newRepo(t), test.file), test.old, test.text)
			_, err := release("check")
			if test.want == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, test.want)
			}
		})
	}
}

func TestARelease(t *testing.T) {
	dir := newRepo(t)
	_, err := release("tag")
	assert.ErrorContains(t, err, "CHANGELOG.md has no heading ## [0.1.0]")
	assert.ErrorContains(t, err, "cmd/goroutines/go.sum lacks the hashes of our modules")
	replace(t, "CHANGELOG.md", "[Unreleased]", "[0.1.0] - 2026-12-01")
	mustRelease(t, "sums")
	_, err = release("tag")
	assert.ErrorContains(t, err, "not committed")
	commit(t, dir)

	assert.Contains(t, mustRelease(t, "tag"), "v0.1.0\ncmd/goroutines/v0.1.0\nnot made")
	assert.Empty(t, in(t, dir, "git", "tag"))
	in(t, dir, "git", "config", "gpg.program", filepath.Join(dir, "no-such-signer"))
	_, err = release("tag", "-do")
	assert.ErrorContains(t, err, "no tag was made")
	assert.Empty(t, in(t, dir, "git", "tag"))
	in(t, dir, "git", "config", "gpg.program", signer(t, "cmd/goroutines"))
	_, err = release("tag", "-do")
	assert.ErrorContains(t, err, "no tag was made")
	assert.Empty(t, in(t, dir, "git", "tag"), "not one of two")
	in(t, dir, "git", "config", "gpg.program", signer(t, "nothing"))
	assert.Contains(t, mustRelease(t, "tag", "-do"), "push --atomic origin v0.1.0 cmd/goroutines/v0.1.0")
	assert.Equal(t, "cmd/goroutines/v0.1.0\nv0.1.0\n", in(t, dir, "git", "tag"))
	assertSigned(t, dir)
	_, err = release("tag", "-do")
	assert.ErrorContains(t, err, "exist already: cmd/goroutines/v0.1.0, v0.1.0")
}

// signer returns the path of a program that signs for git, except what contains a text.
func signer(t *testing.T, except string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "signer")
	script := "#!/bin/sh\nif cat | grep -q '" + except + "'; then exit 1; fi\necho '[GNUPG:] SIG_CREATED ' >&2\necho '-----BEGIN PGP SIGNATURE-----'\n"
	require.NoError(t, os.WriteFile(name, []byte(script), 0o755))
	return name
}

// assertSigned checks that each tag has a signature, below the hashes of its module.
func assertSigned(t *testing.T, dir string) {
	t.Helper()
	all := strings.Fields(mustRelease(t, "checksums"))
	for name, module := range map[string]string{"v0.1.0": "github.com/otelgoroutine/go", "cmd/goroutines/v0.1.0": "github.com/otelgoroutine/go/cmd/goroutines"} {
		text := in(t, dir, "git", "cat-file", "tag", name)
		_, message, _ := strings.Cut(text, "\n\n")
		fields := strings.Fields(message)
		require.Len(t, fields, 1+6+3, text)
		assert.Equal(t, []string{module, "v0.1.0"}, fields[1:3])
		assert.Regexp(t, "^h1:.{44}$", fields[3])
		assert.Subset(t, all, fields[1:7])
		assert.True(t, strings.HasSuffix(message, "-----BEGIN PGP SIGNATURE-----\n"), message)
	}
}

func TestAChangeAfterTheHashes(t *testing.T) {
	dir := newRepo(t)
	replace(t, "CHANGELOG.md", "[Unreleased]", "[0.1.0] - 2026-12-01")
	mustRelease(t, "sums")
	commit(t, dir)
	mustRelease(t, "check", "-final")
	write(t, "new.go", "package new\n")
	commit(t, dir)
	_, err := release("check", "-final")
	assert.ErrorContains(t, err, "cmd/goroutines/go.sum lacks the hashes")
}

func TestCommandOfAnotherVersion(t *testing.T) {
	dir := newRepo(t)
	replace(t, "CHANGELOG.md", "[Unreleased]", "[0.1.0] - 2026-12-01")
	replace(t, "cmd/goroutines/main.go", "(telemetry.Version)", "(telemetry.Version[1:])")
	mustRelease(t, "sums")
	commit(t, dir)
	_, err := release("tag")
	assert.ErrorContains(t, err, `goroutines --version prints ".1.0" without 0.1.0`)
}

// A user installs from the proxy folder. The nested modules build on their own,
// with the hashes that a release has.
func TestProxyServesTheCheckout(t *testing.T) {
	dir := newRepo(t)
	replace(t, "internal/telemetry/metrics.go", "the version", "changed and not committed")
	mustRelease(t, "sums")
	proxy, bin := t.TempDir(), t.TempDir()
	mustRelease(t, "proxy", proxy)
	t.Setenv("GOPROXY", "file://"+filepath.ToSlash(proxy))
	t.Setenv("GONOSUMDB", "github.com/otelgoroutine")
	t.Setenv("GOBIN", bin)
	t.Setenv("GOWORK", "off")
	in(t, t.TempDir(), "go", "install", "github.com/otelgoroutine/go/cmd/goroutines@v0.1.0")
	for _, nested := range []string{"bench", "cmd/goroutines"} {
		in(t, filepath.Join(dir, nested), "go", "build", "-o", os.DevNull, ".")
	}
	for file, want := range map[string]string{
		"go@v0.1.0/internal/telemetry/metrics.go": "changed",
		"go/cmd/goroutines@v0.1.0/LICENSE":        "free", // the go command does this for a module without a licence
	} {
		text, err := os.ReadFile(filepath.Join(os.Getenv("GOMODCACHE"), "github.com/otelgoroutine", file))
		require.NoError(t, err)
		assert.Contains(t, string(text), want)
	}
	assert.NoDirExists(t, filepath.Join(proxy, "github.com/otelgoroutine/go/bench"))
}

func TestVersionIsSetEverywhere(t *testing.T) {
	newRepo(t)
	mustRelease(t, "sums")
	mustRelease(t, "version", "v0.2.0")
	mustRelease(t, "check")
	for _, name := range []string{"go.work", "bench/go.work", "bench/go.mod", "cmd/goroutines/go.mod", "internal/telemetry/metrics.go", "cmd/goroutines/go.sum"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.NotContains(t, string(text), "0.1.0", name)
	}
	for _, wrong := range []string{"0.3.0", "v0.3", "v1.0.0+build"} {
		_, err := release("version", wrong)
		assert.ErrorContains(t, err, "must be of the form v1.2.3", wrong)
	}
}

func TestTidy(t *testing.T) {
	newRepo(t)
	mustRelease(t, "tidy", "-check")
	replace(t, "cmd/goroutines/go.mod", "\nrequire github.com/otelgoroutine/go v0.1.0\n", "")
	_, err := release("tidy", "-check")
	assert.ErrorContains(t, err, filepath.Join("cmd", "goroutines", "go.mod")+" is not tidy")
	mustRelease(t, "tidy")
	text, err := os.ReadFile("cmd/goroutines/go.mod")
	require.NoError(t, err)
	assert.Equal(t, files["cmd/goroutines/go.mod"], string(text))
}

// When a module starts to use another one of ours, tidy adds what is needed.
func TestTidyAddsARequirement(t *testing.T) {
	dir := newRepo(t)
	write(t, "internal/otlptest/go.mod", "module github.com/otelgoroutine/go/internal/otlptest\n\ngo 1.26.0\n")
	write(t, "internal/otlptest/otlptest.go", "package otlptest\n")
	write(t, "bench/bench_test.go", "package bench\n\nimport _ \"github.com/otelgoroutine/go/internal/otlptest\"\n")
	mustRelease(t, "tidy")
	mustRelease(t, "check")
	for name, want := range map[string]string{
		"bench/go.mod":  "github.com/otelgoroutine/go/internal/otlptest v0.1.0\n",
		"bench/go.work": "github.com/otelgoroutine/go/internal/otlptest v0.1.0 => ../internal/otlptest\n",
		"go.work":       "github.com/otelgoroutine/go/internal/otlptest v0.1.0 => ./internal/otlptest\n",
	} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.Contains(t, string(text), want, name)
	}
	in(t, filepath.Join(dir, "bench"), "go", "vet", "./...")
}

func TestWrongArguments(t *testing.T) {
	newRepo(t)
	for _, args := range [][]string{nil, {"release"}, {"version"}, {"proxy"}, {"tag", "v0.1.0"}} {
		_, err := release(args...)
		assert.ErrorIs(t, err, errUsage, "%v", args)
	}
}
