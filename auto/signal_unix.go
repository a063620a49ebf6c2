// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package auto

import (
	"os"
	"syscall"
)

// signals are those that OTELGOROUTINE_CAPTURE_SIGNAL may name.
var signals = map[string]os.Signal{"SIGUSR1": syscall.SIGUSR1, "SIGUSR2": syscall.SIGUSR2, "SIGHUP": syscall.SIGHUP}
