// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutine

// A State is what a goroutine is doing, in the Go runtime's own words: those
// that a goroutine dump shows in brackets. Values other than those of this
// package are valid.
type State string

// The states that mean something to this module. The words are the runtime's, from
// waitReasonStrings in runtime/runtime2.go.
const (
	Running  State = "running"
	Runnable State = "runnable"
	Syscall  State = "syscall"
	Waiting  State = "waiting" // parked, for an unknown reason

	ChanReceive    State = "chan receive"
	ChanReceiveNil State = "chan receive (nil chan)"
	ChanSend       State = "chan send"
	ChanSendNil    State = "chan send (nil chan)"
	Select         State = "select"
	SelectNoCases  State = "select (no cases)"

	MutexLock     State = "sync.Mutex.Lock"
	RWMutexLock   State = "sync.RWMutex.Lock"
	RWMutexRLock  State = "sync.RWMutex.RLock"
	WaitGroupWait State = "sync.WaitGroup.Wait"
	CondWait      State = "sync.Cond.Wait"
	Semacquire    State = "semacquire"

	IOWait    State = "IO wait"
	Sleep     State = "sleep"
	Coroutine State = "coroutine"
)

// A Category is a group of states: eight categories replace some thirty states.
type Category string

// The categories. Every state belongs to exactly one; an unknown state belongs
// to [CategoryOther].
const (
	CategoryChannel Category = "channel"
	CategoryMutex   Category = "mutex" // locks, wait groups and condition variables
	CategoryNetwork Category = "network"
	CategoryTimer   Category = "timer"
	CategorySyscall Category = "syscall"
	CategoryRunning Category = "running" // on a CPU, or ready for one
	CategoryParked  Category = "parked"  // for an unknown reason
	CategoryOther   Category = "other"
)

// facts is the one table of what is known about each state.
var facts = map[State]struct {
	category Category
	lock     bool // in the queue of a lock
	never    bool // nothing can end it
}{
	Running:        {category: CategoryRunning},
	Runnable:       {category: CategoryRunning},
	Syscall:        {category: CategorySyscall},
	Waiting:        {category: CategoryParked},
	ChanReceive:    {category: CategoryChannel},
	ChanReceiveNil: {category: CategoryChannel, never: true},
	ChanSend:       {category: CategoryChannel},
	ChanSendNil:    {category: CategoryChannel, never: true},
	Select:         {category: CategoryChannel},
	SelectNoCases:  {category: CategoryChannel, never: true},
	MutexLock:      {category: CategoryMutex, lock: true},
	RWMutexLock:    {category: CategoryMutex, lock: true},
	RWMutexRLock:   {category: CategoryMutex, lock: true},
	WaitGroupWait:  {category: CategoryMutex},
	CondWait:       {category: CategoryMutex},
	Semacquire:     {category: CategoryMutex},
	IOWait:         {category: CategoryNetwork},
	Sleep:          {category: CategoryTimer},
}

// Category returns the category of s.
func (s State) Category() Category {
	if f, ok := facts[s]; ok {
		return f.category
	}
	return CategoryOther
}

// Lock reports whether a goroutine in state s is in the queue of a sync.Mutex or
// sync.RWMutex.
func (s State) Lock() bool { return facts[s].lock }

// Never reports whether nothing can end state s: it is an operation on a nil
// channel or a select without cases.
func (s State) Never() bool { return facts[s].never }

// Blocked reports whether a goroutine in state s is parked: not running, not
// runnable and not in a system call.
func (s State) Blocked() bool {
	switch s {
	case Running, Runnable, Syscall:
		return false
	}
	return true
}
