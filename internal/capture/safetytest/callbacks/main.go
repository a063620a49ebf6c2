// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Callbacks is a program with C code, built without frame pointers, that calls
// back into Go while the register holds a number of its own.
package main

/*
#cgo CFLAGS: -O2 -fomit-frame-pointer
void callWithSpoiledFramePointer(void);
int sum(int n);
*/
import "C"

import (
	"time"

	"github.com/otelgoroutine/go/internal/capture/safetytest/observe"
)

func main() {
	observe.Beside(
		func() { C.callWithSpoiledFramePointer() },
		func() { C.sum(100) },
	)
}

// goBlock blocks on the stack of a C function.
//
//export goBlock
func goBlock() {
	done := make(chan bool)
	go func() { done <- true }()
	<-done
	time.Sleep(time.Millisecond)
}
