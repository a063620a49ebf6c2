// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/otlptest"
)

// others are the programs beside this command in the lines of the documents. A fake of
// each hands on what the real one would print.
var others = map[string]string{
	"jq": "cat", "man": "cat",
	"journalctl": "cat dump.txt",
	"go":         "cat dump.txt", // go test, with a panic; go tool pprof
}

// block is a block of shell code: indented, or in a fence.
var block = regexp.MustCompile("(?m)(?:^```sh\n((?s:.*?))^```$)|((?:^    .*\n)+)")

// Every line of the documents that runs this command works. Names of hosts stand for a
// process of the test, files for some that it wrote.
func TestTheCommandsOfTheDocuments(t *testing.T) {
	lines := commandsOfTheDocuments(t)
	require.Greater(t, len(lines), 40)
	addr, _ := start(t)
	another, _ := start(t)
	receiver, err := otlptest.Start(new(otlptest.Recorder))
	require.NoError(t, err)
	t.Cleanup(func() { receiver.Stop() })
	withKubectl(t, addr) // for the addresses of pods
	kubectl, err := exec.LookPath("kubectl")
	require.NoError(t, err)
	replace := strings.NewReplacer(
		"go run github.com/otelgoroutine/go/cmd/goroutines@latest watch ", "goroutines watch --duration 200ms ",
		"go run github.com/otelgoroutine/go/cmd/goroutines@latest", "goroutines",
		"https://collector:4318", receiver.Addr(), "localhost:4317", receiver.Addr(),
		"http://host:6060", addr, "http://a:6060", addr, "http://b:6060", another, "localhost:6060", addr, "host:6060", addr, " :6060", " "+addr,
		"--every 30s", "--every 20ms",
		"goroutines watch ", "goroutines watch --duration 200ms ", " &", "")
	for _, line := range lines {
		t.Run(line, func(t *testing.T) {
			shell := exec.CommandContext(t.Context(), "bash", "-o", "pipefail", "-c", replace.Replace(line))
			shell.Dir = exampleFiles(t)
			shell.Env = append(os.Environ(), "PATH="+fakes(t, kubectl)+string(os.PathListSeparator)+os.Getenv("PATH"), beTheCommand+"=1", "PAGER=cat")
			out, err := shell.CombinedOutput()
			if exit := shell.ProcessState.ExitCode(); exit != 0 && exit != 1 { // 1: there are findings
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// commandsOfTheDocuments returns the lines of all documents that run this command,
// without comments and usage lines.
func commandsOfTheDocuments(t *testing.T) (all []string) {
	t.Helper()
	for _, pattern := range []string{"README.md", "CONTRIBUTING.md", "docs/*.md", "docs/runbooks/*.md", "collector-config/README.md"} {
		pages, err := filepath.Glob(filepath.Join("..", "..", pattern))
		require.NoError(t, err)
		for _, page := range pages {
			content, err := os.ReadFile(page)
			require.NoError(t, err)
			for _, b := range block.FindAllStringSubmatch(string(content), -1) {
				all = append(all, commandsOf(b[1]+b[2])...)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

var (
	ours    = regexp.MustCompile(`(^|\| )(go run github.com/otelgoroutine/go/cmd/goroutines@latest|goroutines) \w`)
	comment = regexp.MustCompile(`\s+#.*$`)
	usage   = regexp.MustCompile(`\[flags\]$|^goroutines \w+ [A-Z]`)
)

// commandsOf returns the lines of a block that run this command. A line that ends in a
// pipe goes on in the next one.
func commandsOf(block string) (all []string) {
	block = regexp.MustCompile(`\|\n\s+`).ReplaceAllString(block, "| ")
	for line := range strings.Lines(block) {
		line = comment.ReplaceAllString(strings.TrimSpace(line), "")
		if ours.MatchString(line) && !usage.MatchString(line) {
			all = append(all, line)
		}
	}
	return all
}

// exampleFiles returns a folder with the files that the documents name.
func exampleFiles(t *testing.T) string {
	t.Helper()
	from, dir := files(t), t.TempDir()
	binary, err := targetBinary()
	require.NoError(t, err)
	for name, source := range map[string]string{
		"dump.txt": "debug2.txt", "before.txt": "debug2.txt", "after.txt": "debug2.txt", "server.log": "debug2.txt", "test.log": "debug2.txt",
		"a.pb.gz": "profile.pb.gz", "b.pb.gz": "profile.pb.gz", "monday.pb.gz": "profile.pb.gz", "friday.pb.gz": "profile.pb.gz", "yesterday.pb.gz": "profile.pb.gz",
	} {
		require.NoError(t, os.Link(filepath.Join(from, source), filepath.Join(dir, name)))
	}
	require.NoError(t, os.Symlink(binary, filepath.Join(dir, "server")))
	return dir
}

// fakes returns a folder with this command, and with a fake of each other program.
// kubectl is one that forwards ports.
func fakes(t *testing.T, kubectl string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, script string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	}
	for name, script := range others {
		write(name, script)
	}
	write("kubectl", `[ "$1" = logs ] && exec cat dump.txt; exec `+kubectl+` "$@"`)
	write("goroutines", "exec "+os.Args[0]+` "$@"`)
	assert.NotContains(t, os.Args[0], " ")
	return dir
}
