// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package safetytest

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture/safetytest/observe"
)

// soakVariable is the environment variable that makes every program run for two
// minutes with the detectors as they are by default. Otherwise the programs run for
// seconds, and the times of the detectors are shorter.
const soakVariable = "OTELGOROUTINE_SAFETY_SOAK"

// patience is how long a program waits for what is expected of it, on a machine
// that is busy with other things.
const patience = 5 * time.Minute

// Releases of Go other than the one that runs the test.
const (
	nextGo   = "go1.27.4"
	brokenGo = "go1.26.5"
)

// A run is a program as it was built and started.
type run struct {
	program   string
	toolchain string   // "": the one that runs the test
	env       []string // of the program
	build     []string // flags
	args      []string
}

func (r run) name() string {
	return strings.Join(append([]string{r.program, r.toolchain}, append(r.build, r.env...)...), " ")
}

const advice = "set GODEBUG=tracefpunwindoff=1"

// Programs that a trace would end go on without one; all others are traced. The
// verdicts go on in both.
func TestProgramsSurvive(t *testing.T) {
	for _, tt := range []struct {
		run
		unsafe string // what is told; "": the program is traced
	}{
		{run{program: "framed"}, ""},
		{run{program: "framed", toolchain: nextGo}, ""},
		{run{program: "sound"}, ""},
		{run{program: "sound", toolchain: nextGo}, ""},
		{run{program: "callbacks"}, ""},
		{run{program: "callbacks", toolchain: nextGo}, ""},
		{run{program: "frameless"}, "correct github.com/otelgoroutine/go/internal/capture/safetytest/spoil.Spoil"},
		{run{program: "frameless", toolchain: nextGo}, "correct github.com/otelgoroutine/go/internal/capture/safetytest/spoil.Spoil"},
		{run{program: "frameless", build: []string{"-ldflags=-s -w"}}, "spoil.Spoil"},
		{run{program: "frameless", env: []string{"GODEBUG=tracefpunwindoff=1"}}, ""},
		{run{program: "md5simd"}, "replace module github.com/minio/md5-simd@v1.1.2"},
		{run{program: "md5simd", toolchain: nextGo}, "replace module github.com/minio/md5-simd@v1.1.2"},
		{run{program: "metro"}, "replace module github.com/dgryski/go-metro@v0.0.0-20211217172704-adc40b04c140"},
		{run{program: "metro", toolchain: nextGo}, "replace module github.com/dgryski/go-metro@v0.0.0-20211217172704-adc40b04c140"},
		{run{program: "recovered"}, ""},
		{run{program: "recovered", toolchain: brokenGo}, "build with Go 1.26.6 or newer"},
	} {
		t.Run(tt.name(), func(t *testing.T) {
			t.Parallel()
			if tt.program == "callbacks" {
				needC(t)
			}
			tt.args = []string{"-for=6s", "-scale=0.05"}
			if os.Getenv(soakVariable) != "" {
				tt.args = []string{"-for=2m", "-scale=1"}
			}
			if tt.unsafe == "" {
				tt.args = append(tt.args, "-traces=3")
			}
			result := tt.start(t)
			assert.NotEmpty(t, result.Detected["deadlock"], "the planted deadlock was not found")
			assert.Empty(t, result.Resolved, "it never ends")
			if tt.unsafe == "" {
				result.checkTraced(t)
			} else {
				result.checkUntraced(t, tt.unsafe)
			}
		})
	}
}

// Nothing but dumps shows that the number of leaked goroutines grows and that none
// of them leave.
func TestLeaksAreFoundInDumps(t *testing.T) {
	t.Parallel()
	result := run{program: "frameless", args: []string{"-scale=0.01", "-leak"}}.start(t)
	result.checkUntraced(t, advice)
	assert.NotEmpty(t, result.Detected["leak"], "the planted leak was not found")
	assert.NotContains(t, result.Resolved, "leak", "it never ends")
}

// result adds checks to what a program printed.
type result struct{ observe.Result }

func (r result) checkTraced(t *testing.T) {
	t.Helper()
	assert.GreaterOrEqual(t, r.Snapshots[goroutine.SourceTrace], 3)
	assert.Zero(t, r.Snapshots[goroutine.SourceText])
	assert.Zero(t, r.Skips["trace unsafe"])
	assert.Empty(t, r.unsafe())
}

func (r result) checkUntraced(t *testing.T, told string) {
	t.Helper()
	assert.Zero(t, r.Snapshots[goroutine.SourceTrace])
	assert.Positive(t, r.Snapshots[goroutine.SourceText])
	assert.Positive(t, r.IDs)
	assert.Equal(t, 1, r.Skips["trace unsafe"], "counted once")
	require.Len(t, r.unsafe(), 1, "told once")
	assert.Contains(t, r.unsafe()[0], told)
	assert.Contains(t, r.unsafe()[0], advice)
}

// unsafe returns what was told about traces that could end the process.
func (r result) unsafe() (told []string) {
	for _, text := range r.Told {
		if strings.Contains(text, "could end the process") {
			told = append(told, text)
		}
	}
	return told
}

// start builds and runs a program and returns what it printed. The program must
// end by itself.
func (r run) start(t *testing.T) result {
	t.Helper()
	binary := filepath.Join(t.TempDir(), r.program)
	c := exec.Command("go", append(append([]string{"build", "-o", binary}, r.build...), "./"+r.program)...)
	c.Env = os.Environ()
	if r.toolchain != "" {
		c.Env = append(c.Env, "GOTOOLCHAIN="+r.toolchain)
	}
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))

	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	c = exec.CommandContext(ctx, binary, append(r.args, "-limit="+patience.String())...)
	c.Env = append(os.Environ(), append(r.env, "GOMAXPROCS="+strconv.Itoa(max(2, runtime.GOMAXPROCS(0))))...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	require.NoError(t, c.Run(), stderr.String())
	t.Log(stdout.String())
	var printed result
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &printed), stdout.String())
	if r.toolchain != "" {
		assert.Equal(t, r.toolchain, printed.Go)
	}
	return printed
}

func needC(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("needs a C compiler")
	}
}
