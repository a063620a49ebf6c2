// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lockcode

// setsTimer are the functions that make or set something by which a goroutine that
// waits for it is woken when a time has come. Some are what the compiler leaves of
// others that it has inlined.
var setsTimer = map[string]bool{
	"time.After": true, "time.Tick": true, "time.AfterFunc": true,
	"time.NewTimer": true, "time.NewTicker": true, "time.newTimer": true,
	"time.(*Timer).Reset": true, "time.(*Ticker).Reset": true, "time.resetTimer": true,

	"context.WithTimeout": true, "context.WithTimeoutCause": true,
	"context.WithDeadline": true, "context.WithDeadlineCause": true,
}

// SetsTimer reports whether a function, given by its entry address, calls one that
// makes or sets a timer, a ticker or a context with a deadline, anywhere in it.
// known is false if the function could not be read.
//
// Only direct calls count: a timer that is set through an interface, by a function
// that this one calls, or by what has started the goroutine, is not seen.
func (r *Reader) SetsTimer(entry uintptr) (sets, known bool) {
	f := r.function(entry, &r.room)
	return f != nil && f.timers, f != nil
}
