// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/framepointer"
)

// build builds a program from source files.
func build(t *testing.T, files map[string]string, env []string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.test/program\n\ngo 1.26.0\n"), 0o600))
	c := exec.Command("go", append(append([]string{"build", "-o", "program"}, flags...), ".")...)
	c.Dir, c.Env = dir, append(append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0"), env...)
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
	return filepath.Join(dir, "program")
}

// spoiling builds a program with assembly that spoils the frame pointer.
func spoiling(t *testing.T, env []string, flags ...string) string {
	t.Helper()
	return build(t, map[string]string{
		"main.go":   "package main\n\nfunc spoil()\n\nfunc main() { spoil() }\n",
		"s_amd64.s": "TEXT ·spoil(SB), 4, $0\n\tMOVQ $1, BP\n\tRET\n",
		"s_arm64.s": "TEXT ·spoil(SB), 4, $0\n\tMOVD $1, R29\n\tRET\n",
	}, env, flags...)
}

func TestCheckNamesWhatSpoils(t *testing.T) {
	for name, tt := range map[string]struct{ env, flags []string }{
		"plain":         {[]string{"GOOS=linux", "GOARCH=amd64"}, nil},
		"stripped":      {[]string{"GOOS=linux", "GOARCH=amd64"}, []string{"-ldflags=-s -w", "-trimpath"}},
		"PIE":           {[]string{"GOOS=linux", "GOARCH=amd64"}, []string{"-buildmode=pie"}},
		"linux/arm64":   {[]string{"GOOS=linux", "GOARCH=arm64"}, nil},
		"darwin/arm64":  {[]string{"GOOS=darwin", "GOARCH=arm64"}, nil},
		"windows/amd64": {[]string{"GOOS=windows", "GOARCH=amd64"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := call(t, "", "check", "--format", "json", spoiling(t, tt.env, tt.flags...))
			assert.Equal(t, statusFindings, status, stderr)
			var v framepointer.Verdict
			require.NoError(t, json.Unmarshal([]byte(stdout), &v))
			assert.Equal(t, framepointer.Unsafe, v.Status)
			require.Len(t, v.Functions, 1)
			assert.Equal(t, "main.spoil", v.Functions[0].Name)
		})
	}
}

// The golden files are what people and programs read.
func TestOutputOfCheck(t *testing.T) {
	unsafe := framepointer.Judge(framepointer.Program{
		GoVersion: "go1.26.8", GOARCH: "amd64",
		Modules: []*debug.Module{{Path: "github.com/minio/md5-simd", Version: "v1.1.2"}},
		Functions: []framepointer.Function{
			{Name: "github.com/minio/md5-simd.blockScalar", Package: "github.com/minio/md5-simd"},
			{Name: "example.test/own.hash", Package: "example.test/own"},
		},
	})
	for name, v := range map[string]framepointer.Verdict{
		"safe":      framepointer.Judge(framepointer.Program{GoVersion: "go1.27.4", GOARCH: "arm64"}),
		"unsafe":    unsafe,
		"undecided": framepointer.Judge(framepointer.Program{GoVersion: "go1.26.8", GOARCH: "amd64", Err: errors.New("the program can load plugins, whose code is not known")}),
		"old":       framepointer.Judge(framepointer.Program{GoVersion: "go1.26.5", GOARCH: "amd64"}),
	} {
		for _, format := range []string{"text", "json"} {
			var out bytes.Buffer
			require.NoError(t, writeVerdict(&out, "./server", v, format))
			goldenFile(t, filepath.Join("check", name+"."+format), out.String())
		}
	}
	_, help, _ := call(t, "", "check", "--help")
	goldenFile(t, filepath.Join("check", "help.text"), help)
}

var update = flag.Bool("update", false, "write the golden files")

func goldenFile(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

// Code that comes later, or with another program, is not in the file.
func TestCheckOfProgramsWithOtherCode(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("needs a C compiler")
	}
	for name, tt := range map[string]struct {
		source string
		flags  []string
		reason string
	}{
		"a host of plugins": {"package main\n\nimport \"plugin\"\n\nfunc main() { plugin.Open(\"x\") }\n", nil, "can load plugins"},
		"a library":         {"package main\n\nimport \"C\"\n\nfunc main() {}\n", []string{"-buildmode=c-shared"}, "a library that another program loads"},
	} {
		t.Run(name, func(t *testing.T) {
			program := build(t, map[string]string{"main.go": tt.source}, []string{"CGO_ENABLED=1"}, tt.flags...)
			status, stdout, stderr := call(t, "", "check", program)
			assert.Equal(t, statusBad, status)
			assert.Contains(t, stdout, "not known to be safe")
			assert.Contains(t, stderr, tt.reason)
		})
	}
}

// Without cgo, no plugin can be loaded.
func TestCheckOfAProgramThatCouldLoadPlugins(t *testing.T) {
	program := build(t, map[string]string{"main.go": "package main\n\nimport \"plugin\"\n\nfunc main() { plugin.Open(\"x\") }\n"}, []string{"CGO_ENABLED=0"})
	status, stdout, stderr := call(t, "", "check", program)
	assert.Zero(t, status, stdout+stderr)
}

func TestCheckOfASoundProgram(t *testing.T) {
	binary, err := targetBinary()
	require.NoError(t, err)
	status, stdout, stderr := call(t, "", "check", binary)
	assert.Zero(t, status, stderr)
	assert.Contains(t, stdout, "safe to trace")
}

func TestCheckOfWhatIsNoProgram(t *testing.T) {
	for _, args := range [][]string{{"check"}, {"check", "/does/not/exist"}, {"check", "check_test.go"}, {"check", "--format", "yaml", "x"}} {
		status, _, stderr := call(t, "", args...)
		assert.Equal(t, statusBad, status)
		assert.NotEmpty(t, stderr)
	}
}
