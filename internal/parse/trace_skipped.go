package parse

import (
	"strings"

	"github.com/otelgoroutine/go/goroutine"
)

// When a goroutine blocks while it is traced, the runtime leaves innermost frames
// of its own out of the stack (the traceskip argument of gopark): one that waits
// for a mutex seems to be in sync.(*Mutex).Lock. When it had no event, its stack is
// whole, down to runtime.gopark. So one wait would have two stack IDs, and some no
// state. Therefore we put the missing frames back: those that a whole stack with
// the same next frame had and, until there is one, those of the list below.

// A skip is the frames that the runtime leaves out above a function, the head,
// where a goroutine blocks for a reason.
type skip struct {
	reason, head string
	frames       []goroutine.Frame // leaf first
}

// skips hold for Go 1.23 to 1.27. Where a row no longer applies, the state or the
// stack ID may be wrong until there was a whole stack.
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

// pollSkips are the frames left out above the functions of internal/poll, which
// are too many to list, by whether they write.
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
// parkedRules has for it.
func onNil(function string) []goroutine.Frame {
	frames := named("runtime.gopark", function)
	for _, r := range parkedRules {
		if r.function == function && r.state.Never() {
			frames[1].Line = r.line
		}
	}
	return frames
}

// A head is the frame below those that are left out. An operation on a nil channel
// has the same frame as any other.
type head struct {
	frame   goroutine.Frame
	forever bool
}

// skipped puts back what the runtime leaves out of stacks, as it learns from whole
// ones.
type skipped struct {
	known map[head][]goroutine.Frame
}

// maxHeads bounds what is learned. There is a head for each call of plumbing in the
// standard library, and for each system call in the whole program.
const maxHeads = 4096

// plumbing has the packages whose functions the runtime leaves out.
var plumbing = map[string]bool{"runtime": true, "sync": true, "internal/sync": true, "internal/poll": true, "time": true}

// maxSkip is how many frames are left out at most.
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

// above returns the frames that were left out above the leaf of a stack, whose
// goroutine blocked for this reason or, with syscall, entered a system call. It is
// nil when none are known.
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

// syscallSkip returns the frame above a system call where the leaf tells it. It
// does not tell functions of package syscall.
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
// none follows.
var reasonStates = map[string]goroutine.State{
	"network":           goroutine.IOWait,
	"select":            goroutine.Select,
	"chan send":         goroutine.ChanSend,
	"chan receive":      goroutine.ChanReceive,
	"sleep":             goroutine.Sleep,
	"sync.(*Cond).Wait": goroutine.CondWait,
	"preempted":         goroutine.Runnable, // stopped by the garbage collector, to scan its stack
}
