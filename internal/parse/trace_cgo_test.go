// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTraceOfCgoAgreesWithReference uses a process of its own. With C in a test
// file, testing anything in this package would require a C compiler.
func TestTraceOfCgoAgreesWithReference(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program with cgo")
	}
	if os.Getenv("CGO_ENABLED") == "0" {
		t.Skip("without cgo, as wished: there may be no C library for this architecture")
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("no C compiler: apt-get install gcc libc6-dev")
	}
	program := filepath.Join(t.TempDir(), "cgo")
	build := exec.Command("go", "build", "-o", program, "./testdata/trace/cgo")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for range 5 {
		cmd := exec.Command(program)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		data, err := cmd.Output()
		require.NoError(t, err, stderr.String())
		requireAgreement(t, newTestDecoder(), data)
	}
}
