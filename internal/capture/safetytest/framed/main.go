// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Framed has assembly of its own that uses the frame pointer and restores it.
package main

import "github.com/otelgoroutine/go/internal/capture/safetytest/observe"

func use()

func main() { observe.Beside(work) }

//go:noinline
func work() {
	done := make(chan bool)
	go func() { done <- true }()
	use()
	<-done
}
