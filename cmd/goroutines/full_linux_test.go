// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// An output that cannot be written is an error.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	c := command(t, nil, "report", "--fail-on", "medium", dump)
	var stderr bytes.Buffer
	c.Stdout, c.Stderr = full, &stderr
	c.Run()
	requireOneLine(t, c.ProcessState.ExitCode(), stderr.String(), "no space left on device")
}
