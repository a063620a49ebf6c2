// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package auto

import "os"

// signals are those that OTELGOROUTINE_CAPTURE_SIGNAL may name: there are none here.
var signals map[string]os.Signal
