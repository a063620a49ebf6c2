// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package spoil has assembly that spoils the frame pointer, on purpose.
package spoil

// Spoil returns with a number of its own in the frame pointer.
func Spoil()

// Work blocks in a frame that got the wrong frame pointer, which is where an
// execution trace ends the process.
//
//go:noinline
func Work() {
	done := make(chan bool)
	go func() { done <- true }()
	Spoil()
	<-done
}
