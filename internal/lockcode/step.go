// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lockcode

// A step is an instruction that matters: one that changes the control flow, or
// does something with a lock or a channel.
type step struct {
	at     uintptr
	next   uintptr // of the instruction behind it: where a call returns to
	flow   flow
	target uintptr // of a jump, a branch or a direct call
	effect effect
	site   int  // of an acquire: index into function.sites
	lock   lock // of an acquire or a release
	does   Acts
	atomic atomic
	maybe  bool // of an acquire: it may fail
	defers bool // it carries out what was deferred
}

// An atomic is a kind of atomic instruction.
type atomic uint8

const (
	notAtomic atomic = iota
	swap             // compare and swap
	add
)

// A flow is where control goes after a step.
type flow uint8

const (
	onward   flow = iota
	jump          // to target
	branch        // to target, or on
	computed      // to an address that is computed
	exit          // the function returns
	stop          // nowhere
)

// An effect is what a step does.
type effect uint8

const (
	nothing effect = iota
	acquire
	release
	slow     // follows when the instructions in front of it have failed to lock or unlock
	direct   // calls target
	indirect // calls a function that is computed
)

// A Kind is a kind of lock, and of holding it.
type Kind uint8

// The kinds.
const (
	AnyKind Kind = iota // unknown
	Mutex
	Write // of a sync.RWMutex
	Read  // of a sync.RWMutex
)

// fits reports whether two kinds may be the same.
func (k Kind) fits(o Kind) bool { return k == o || k == AnyKind || o == AnyKind }

// A lock is what an instruction shows of the lock that it works on.
type lock struct {
	kind    Kind
	address uintptr // of a lock at package level; 0 when unknown
	based   bool    // it is at an offset from a register
	offset  int64
	base    register // a register that the address follows from; 0 when there is none
	disp    int64    // what is added to it
	index   int      // of the argument that it is at an offset from, from 1; 0 when unknown
}

// like returns how much speaks for l and the lock of a release being the same: 0
// when they are not. It is 3 if the code proves it, but for the kind.
func (l lock) like(released lock) int {
	switch {
	case !l.kind.fits(released.kind):
		return 0
	case l.proven() && released.proven():
		if l.address == released.address && l.index == released.index && l.offset == released.offset {
			return 3
		}
		return 0
	case l.address != released.address:
		return 1
	case l.based != released.based || l.offset != released.offset:
		return 1
	}
	return 2
}

// proven reports whether the code shows which lock it is.
func (l lock) proven() bool { return l.address != 0 || l.index != 0 }

// Acts are what goroutines may do that wakes others.
type Acts uint8

// The acts.
const (
	Sends Acts = 1 << iota // or closes
	Receives
	Finishes // as sync.(*WaitGroup).Done
	Signals  // as sync.(*Cond).Signal
)
