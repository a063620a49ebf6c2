// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"strings"

	"github.com/otelgoroutine/go/goroutine"
)

// A rule derives what a goroutine is doing from a function near the leaf of its
// stack.
type rule struct {
	function string
	line     int // of the frame; 0 for any
	state    goroutine.State
}

// parkedRules hold for parked goroutines, which have runtime.gopark at the leaf.
// The states are those that a goroutine dump prints for the same goroutine;
// TestStatesAgreeWithDump checks this for the running Go version.
//
// Profiles and traces do not contain the runtime's wait reason. Only the line of
// the call identifies an operation on a nil channel: chan.go has one gopark for a
// nil channel and another for the rest. The lines are those of Go 1.26 and 1.27.
// With another version the state is that of an ordinary channel, never a wrong
// "nil chan".
var parkedRules = []rule{
	{"runtime.chansend", 181, goroutine.ChanSendNil},
	{"runtime.chansend", 0, goroutine.ChanSend},
	{"runtime.chanrecv", 536, goroutine.ChanReceiveNil},
	{"runtime.chanrecv", 0, goroutine.ChanReceive},
	{"runtime.selectgo", 0, goroutine.Select},
	{"runtime.block", 0, goroutine.SelectNoCases},
	{"internal/sync.runtime_SemacquireMutex", 0, goroutine.MutexLock},
	{"sync.runtime_SemacquireMutex", 0, goroutine.Semacquire}, // before Go 1.24
	{"sync.runtime_SemacquireRWMutex", 0, goroutine.RWMutexLock},
	{"sync.runtime_SemacquireRWMutexR", 0, goroutine.RWMutexRLock},
	{"sync.runtime_SemacquireWaitGroup", 0, goroutine.WaitGroupWait},
	{"sync.runtime_notifyListWait", 0, goroutine.CondWait},
	{"sync.runtime_Semacquire", 0, goroutine.Semacquire},
	{"internal/poll.runtime_Semacquire", 0, goroutine.Semacquire},
	{"runtime.semacquire", 0, goroutine.Semacquire}, // the runtime's own locks
	{"internal/poll.runtime_pollWait", 0, goroutine.IOWait},
	{"time.Sleep", 0, goroutine.Sleep},
	{"runtime.coroswitch", 0, goroutine.Coroutine},
	{"runtime.coroswitch_m", 0, goroutine.Coroutine},
	{"runtime.corostart", 0, goroutine.Coroutine},
	{"internal/synctest.Run", 0, "synctest.Run"},
	{"internal/synctest.Wait", 0, "synctest.Wait"},
}

// unparkedRules hold for goroutines that are not parked, for sources that do not
// report their status.
var unparkedRules = []rule{
	{"runtime.asyncPreempt2", 0, goroutine.Runnable},
	{"runtime.Gosched", 0, goroutine.Runnable},
	{"runtime.goschedIfBusy", 0, goroutine.Runnable},
	{"runtime.coroswitch", 0, goroutine.Coroutine},
	{"runtime.corostart", 0, goroutine.Coroutine}, // not started yet: no frame above it
	{"runtime.cgocall", 0, goroutine.Syscall},
	{"runtime.notetsleepg", 0, goroutine.Syscall},
	{"internal/runtime/syscall/linux.Syscall6", 0, goroutine.Syscall},
	{"internal/runtime/syscall.Syscall6", 0, goroutine.Syscall},
	{"syscall.Syscall", 0, goroutine.Syscall},
	{"syscall.Syscall6", 0, goroutine.Syscall},
	{"syscall.RawSyscall", 0, goroutine.Syscall},
	{"syscall.RawSyscall6", 0, goroutine.Syscall},
	{"syscall.syscall", 0, goroutine.Syscall}, // darwin
	{"syscall.syscall6", 0, goroutine.Syscall},
	{"syscall.SyscallN", 0, goroutine.Syscall}, // windows
}

// leafDepth is how many frames, counted from the leaf, the rules are matched
// against. The deepest case (gopark, goparkunlock, semacquire1 and the linknamed
// function) needs four.
const leafDepth = 6

// stateOf derives the state of a goroutine from its stack alone.
func stateOf(frames []goroutine.Frame) goroutine.State {
	if parked(frames) {
		return parkedState(frames)
	}
	if s, ok := match(unparkedRules, frames); ok {
		return s
	}
	return goroutine.Running
}

// parkedState derives the state of a goroutine that is known to be parked.
func parkedState(frames []goroutine.Frame) goroutine.State {
	s, ok := match(parkedRules, frames)
	switch {
	case !ok:
		return goroutine.Waiting
	case s == goroutine.Semacquire:
		return semaphoreState(frames, s)
	}
	return s
}

func parked(frames []goroutine.Frame) bool {
	for _, f := range frames[:min(len(frames), leafDepth)] {
		if f.Function == "runtime.gopark" {
			return true
		}
	}
	return false
}

// match returns the state of the rule for the innermost function that has one. It
// stops after the first frame outside the runtime, because that frame may be a
// function that the runtime links into another package.
func match(rules []rule, frames []goroutine.Frame) (goroutine.State, bool) {
	for _, f := range frames[:min(len(frames), leafDepth)] {
		for _, r := range rules {
			if r.function == f.Function && (r.line == 0 || r.line == f.Line) {
				return r.state, true
			}
		}
		if !strings.HasPrefix(f.Function, "runtime.") && !strings.HasPrefix(f.Function, "internal/runtime/") {
			break
		}
	}
	return "", false
}

// system reports whether a stack belongs to one of the runtime's own goroutines,
// which runtime.NumGoroutine and dumps leave out: its entry function is in package
// runtime. Goroutines of main, iter.Pull and callbacks on Windows are the user's.
// So are the runtime's workers while they run a finalizer or a cleanup
// (isSystemGoroutine in runtime/traceback.go).
func system(frames []goroutine.Frame) bool {
	for i := len(frames) - 1; i >= 0; i-- {
		switch f := frames[i].Function; f {
		case "runtime.goexit":
			continue
		case "runtime.main", "runtime.handleAsyncEvent", "runtime.corostart":
			return false
		case "runtime.runFinalizers", "runtime.runfinq", "runtime.runCleanups":
			return !outsideRuntime(frames[:i])
		default:
			return strings.HasPrefix(f, "runtime.")
		}
	}
	return false
}

func outsideRuntime(frames []goroutine.Frame) bool {
	for _, f := range frames {
		if !strings.HasPrefix(f.Function, "runtime.") && !strings.HasPrefix(f.Function, "internal/runtime/") {
			return true
		}
	}
	return false
}
