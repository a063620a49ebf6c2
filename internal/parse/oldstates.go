// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"strings"

	"github.com/otelgoroutine/go/goroutine"
)

// goWrapper is the end of the name of a function that the compiler makes for a go
// statement, without the number.
const goWrapper = ".gowrap"

// unwrapped cuts the frames below the function that a go statement names: other dumps
// than that of a signal hide them, and so do profiles and traces.
func unwrapped(frames []goroutine.Frame) []goroutine.Frame {
	for n := len(frames) - 1; n > 0; n-- {
		name := frames[n].Function
		at := strings.LastIndex(name, goWrapper)
		if name != "runtime.goexit" && (at < 0 || strings.Trim(name[at+len(goWrapper):], "0123456789") != "") {
			break
		}
		frames = frames[:n]
	}
	return frames
}

// renamed returns the state of the current goroutine in today's words. Before Go 1.20
// the runtime wrote "semacquire" for goroutines that wait for a lock, and before Go 1.25
// also for those in sync.(*WaitGroup).Wait; the calls tell them apart.
func (t *dump) renamed() goroutine.State {
	if t.g.state != goroutine.Semacquire {
		return t.g.state
	}
	var calls [leafDepth]goroutine.Frame
	n := 0
	for f, rest, ok := cutFrame(t.key[t.g.framesAt:t.stackEnd()]); ok && n < len(calls); f, rest, ok = cutFrame(rest) {
		calls[n] = t.frame(f)
		n++
	}
	return semaphoreState(calls[:n], goroutine.Semacquire)
}

// semaphoreState returns the state of a goroutine that waits for a semaphore of package
// sync, by the method that waits: that of the outermost type, but for a writer behind
// another writer, which waits for the mutex within. It returns otherwise for any other
// user of the semaphore.
func semaphoreState(frames []goroutine.Frame, otherwise goroutine.State) goroutine.State {
	for _, f := range frames[:min(len(frames), leafDepth)] {
		switch f.Function {
		case "sync.(*Mutex).Lock", "sync.(*Mutex).lockSlow", "internal/sync.(*Mutex).lockSlow":
			return goroutine.MutexLock
		case "sync.(*RWMutex).Lock":
			return goroutine.RWMutexLock
		case "sync.(*RWMutex).RLock":
			return goroutine.RWMutexRLock
		case "sync.(*WaitGroup).Wait":
			return goroutine.WaitGroupWait
		case "sync.(*Cond).Wait":
			return goroutine.CondWait
		}
		switch f.Package() {
		case "runtime", "sync", "internal/sync", "internal/runtime/sys":
		default:
			return otherwise
		}
	}
	return otherwise
}
