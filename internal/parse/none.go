// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import "errors"

// ErrNoGoroutine is the error for a text without goroutines.
var ErrNoGoroutine = errors.New("no goroutine found: this is not a goroutine dump as pprof writes it with debug=2")
