// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package auto_test

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/auto"
)

// capturesOnASignal runs in a process of its own: see TestASignalCaptures.
func capturesOnASignal(t *testing.T) {
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGUSR1))
	require.Eventually(t, func() bool {
		files, err := os.ReadDir(os.Getenv("OTELGOROUTINE_PROFILE_DIR"))
		require.NoError(t, err)
		return len(files) > 0
	}, time.Minute, time.Millisecond)
	require.NoError(t, auto.Monitor().Shutdown(t.Context()))
}

func TestASignalCaptures(t *testing.T) {
	inProcesses(t, "TestASignalCaptures", map[string]program{
		"into the directory":  {[]string{"OTELGOROUTINE_CAPTURE_SIGNAL=SIGUSR1", "OTELGOROUTINE_PROFILE_DIR=" + t.TempDir()}, capturesOnASignal},
		"without a directory": {[]string{"OTELGOROUTINE_CAPTURE_SIGNAL=SIGUSR1"}, isOn},
	})
}
