// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"strings"

	"github.com/otelgoroutine/go/goroutine"
)

// When a goroutine blocks while it is traced, the runtime omits its own innermost
// frames from the stack (the traceskip argument of gopark): a goroutine that waits
// for a mutex seems to be in sync.(*Mutex).Lock. If the goroutine had no event,
// its stack is whole, down to runtime.gopark. So one wait would have two stack
// IDs, and some stacks would have no state. Therefore the missing frames are put
// back. They are the frames that a whole stack with the same next frame had or,
// until there is such a stack, the frames in the list below.

// A skip is the set of frames that the runtime omits above a function, the head,
// when a goroutine blocks for a given reason.
type skip struct {
	reason, head string
	frames       []goroutine.Frame // leaf first
}

// skips holds for Go 1.23 to 1.27. If a row no longer applies, the state or the
// stack ID may be wrong until a whole stack has been seen.
var skips = []skip{
	{"chan receive", "runtime.chanrecv1", named("runtime.gopark", "runtime.chanrecv")},
	{"chan receive", "runtime.chanrecv2", named("runtime.gopark", "runtime.chanrecv")},
	{"chan send", "runtime.chansend1", named("runtime.gopark", "runtime.chansend")},
	{"forever", "runtime.chanrecv1", onNil("runtime.chanrecv")},
	{"forever", "runtime.chanrecv2", onNil("runtime.chanrecv")},
	{"forever", "runtime.chansend1", onNil("runtime.chansend")},
	{"forever", "runtime.block", named("runtime.gopark")},
	{"select", "runtime.selectgo", named("runtime.gopark")},
	{"sleep", "time.Sleep", named("runtime.gopark")},
	{"sync", "sync.(*Mutex).Lock", named("runtime.gopark", "runtime.goparkunlock", "runtime.semacquire1",
		"internal/sync.runtime_SemacquireMutex", "internal/sync.(*Mutex).lockSlow", "internal/sync.(*Mutex).Lock")},
	{"sync", "sync.(*RWMutex).Lock", semacquire("sync.runtime_SemacquireRWMutex")},
	{"sync", "sync.(*RWMutex).RLock", semacquire("sync.runtime_SemacquireRWMutexR")},
	{"sync", "sync.(*WaitGroup).Wait", semacquire("sync.runtime_SemacquireWaitGroup")},
	{"sync", "internal/poll.(*fdMutex).rwlock", semacquire("internal/poll.runtime_Semacquire")},
	{"sync", "internal/poll.(*FD).Close", semacquire("internal/poll.runtime_Semacquire")},
	{"sync.(*Cond).Wait", "sync.(*Cond).Wait", named("runtime.gopark", "runtime.goparkunlock", "sync.runtime_notifyListWait")},
}

// pollSkips has the frames that are omitted above functions of internal/poll,
// which are too many to list. The key says whether the function writes.
var pollSkips = map[bool][]goroutine.Frame{
	false: named("runtime.gopark", "runtime.netpollblock", "internal/poll.runtime_pollWait", "internal/poll.(*pollDesc).wait", "internal/poll.(*pollDesc).waitRead"),
	true:  named("runtime.gopark", "runtime.netpollblock", "internal/poll.runtime_pollWait", "internal/poll.(*pollDesc).wait", "internal/poll.(*pollDesc).waitWrite"),
}

func named(functions ...string) []goroutine.Frame {
	frames := make([]goroutine.Frame, len(functions))
	for i, f := range functions {
		frames[i].Function = f
	}
	return frames
}

func semacquire(function string) []goroutine.Frame {
	return named("runtime.gopark", "runtime.goparkunlock", "runtime.semacquire1", function)
}

// onNil returns the frames of an operation on a nil channel, with the line that
// parkedRules gives for it.
func onNil(function string) []goroutine.Frame {
	frames := named("runtime.gopark", function)
	for _, r := range parkedRules {
		if r.function == function && r.state.Never() {
			frames[1].Line = r.line
		}
	}
	return frames
}

// A head is the frame below the omitted frames. An operation on a nil channel has
// the same head frame as any other channel operation.
type head struct {
	frame   goroutine.Frame
	forever bool
}

// skipped puts back the frames that the runtime omits. It learns them from whole
// stacks.
type skipped struct {
	known map[head][]goroutine.Frame
}

// maxHeads bounds the number of heads that are learned. There is one head for each
// call of plumbing in the standard library, and one for each system call in the
// whole program.
const maxHeads = 4096

// plumbing has the packages whose functions the runtime omits.
var plumbing = map[string]bool{"runtime": true, "sync": true, "internal/sync": true, "internal/poll": true, "time": true}

// maxSkip is the maximum number of frames that are omitted.
const maxSkip = 7

// learn learns from a whole stack.
func (k *skipped) learn(frames []goroutine.Frame, status traceStatus) {
	switch {
	case len(frames) < 2 || len(k.known) >= maxHeads:
	case status == statusSyscall:
		k.note(frames, 1, false)
	case status == statusWaiting && frames[0].Function == "runtime.gopark":
		forever := parkedState(frames).Never()
		for n := 1; n < min(len(frames), maxSkip+1) && plumbing[frames[n].Package()]; n++ {
			k.note(frames, n, forever)
		}
	}
}

// note remembers that the first n frames are above frames[n].
func (k *skipped) note(frames []goroutine.Frame, n int, forever bool) {
	h := head{frames[n], forever}
	if _, ok := k.known[h]; ok {
		return
	}
	if k.known == nil {
		k.known = make(map[head][]goroutine.Frame)
	}
	k.known[h] = append([]goroutine.Frame(nil), frames[:n]...)
}

// above returns the frames that were omitted above the leaf of a stack. The
// goroutine blocked for this reason or, if syscall is set, entered a system call.
// The result is nil when no such frames are known.
func (k *skipped) above(leaf goroutine.Frame, reason string, syscall bool) []goroutine.Frame {
	if !syscall && reason == "" {
		return nil
	}
	if frames, ok := k.known[head{leaf, reason == "forever"}]; ok && (syscall || reason != "preempted") {
		return frames
	}
	if syscall {
		return syscallSkip(leaf)
	}
	for _, s := range skips {
		if s.reason == reason && s.head == leaf.Function {
			return s.frames
		}
	}
	if reason == "network" && strings.HasPrefix(leaf.Function, "internal/poll.") {
		_, name, _ := strings.Cut(strings.TrimPrefix(leaf.Function, "internal/poll."), ".")
		return pollSkips[strings.Contains(name, "Write") || strings.Contains(leaf.Function, "endFile") || strings.Contains(leaf.Function, "splicePump")]
	}
	return nil
}

// syscallSkip returns the frame above a system call if the leaf determines it.
// Functions of package syscall do not.
func syscallSkip(leaf goroutine.Frame) []goroutine.Frame {
	switch {
	case leaf.Function == "os/signal.signal_recv":
		return named("runtime.notetsleepg")
	case strings.Contains(leaf.Function, "._Cfunc_"):
		return named("runtime.cgocall")
	}
	return nil
}

// reasonStates are the states that follow from the reason, for stacks from which
// no state follows.
var reasonStates = map[string]goroutine.State{
	"network":           goroutine.IOWait,
	"select":            goroutine.Select,
	"chan send":         goroutine.ChanSend,
	"chan receive":      goroutine.ChanReceive,
	"sleep":             goroutine.Sleep,
	"sync.(*Cond).Wait": goroutine.CondWait,
	"preempted":         goroutine.Runnable, // stopped by the garbage collector, to scan its stack
}
