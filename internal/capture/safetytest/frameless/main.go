// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Frameless has assembly that spoils the frame pointer.
package main

import (
	"github.com/otelgoroutine/go/internal/capture/safetytest/observe"
	"github.com/otelgoroutine/go/internal/capture/safetytest/spoil"
)

func main() { observe.Beside(spoil.Work) }
