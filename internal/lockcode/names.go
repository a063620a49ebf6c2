// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lockcode

import "strings"

// A called is what a function of package sync or the runtime does, by its name as
// it stands in the tables of the executable.
type called struct {
	effect effect
	kind   Kind
	does   Acts

	// Of a call that the compiler has left of a method that it has inlined: the
	// atomic instruction in front of it, and how far into the lock that works.
	after  atomic
	behind int64
}

// known are the functions that matter. Where the compiler has inlined a method of
// package sync, it has left an atomic instruction, and a call for when that fails.
var known = map[string]called{
	"sync.(*Mutex).Lock":       {effect: acquire, kind: Mutex},
	"sync.(*Mutex).TryLock":    {effect: acquire, kind: Mutex},
	"sync.(*Mutex).Unlock":     {effect: release, kind: Mutex},
	"sync.(*RWMutex).Lock":     {effect: acquire, kind: Write},
	"sync.(*RWMutex).TryLock":  {effect: acquire, kind: Write},
	"sync.(*RWMutex).Unlock":   {effect: release, kind: Write},
	"sync.(*RWMutex).RLock":    {effect: acquire, kind: Read},
	"sync.(*RWMutex).TryRLock": {effect: acquire, kind: Read, behind: readerCount},
	"sync.(*RWMutex).RUnlock":  {effect: release, kind: Read},

	"internal/sync.(*Mutex).lockSlow":   {effect: acquire, kind: Mutex, after: swap},
	"internal/sync.(*Mutex).unlockSlow": {effect: release, kind: Mutex, after: add},
	"sync.runtime_SemacquireRWMutexR":   {effect: acquire, kind: Read, after: add, behind: readerCount},
	"sync.(*RWMutex).rUnlockSlow":       {effect: release, kind: Read, after: add, behind: readerCount},

	"sync.(*WaitGroup).Done": {does: Finishes},
	"sync.(*WaitGroup).Add":  {does: Finishes},
	"sync.(*Cond).Signal":    {does: Signals},
	"sync.(*Cond).Broadcast": {does: Signals},

	"runtime.chansend1":    {does: Sends},
	"runtime.closechan":    {does: Sends},
	"runtime.selectnbsend": {does: Sends},
	"runtime.chanrecv1":    {does: Receives},
	"runtime.chanrecv2":    {does: Receives},
	"runtime.selectnbrecv": {does: Receives},
	"runtime.selectgo":     {does: Sends | Receives},
}

// readerCount is how far into a sync.RWMutex the field is that readers count in.
const readerCount = 16

// PackageOf returns the path of the package of a function.
func PackageOf(function string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	dot := strings.IndexByte(function[slash:], '.')
	if dot < 0 {
		return function
	}
	return function[:slash+dot]
}

// ofSync reports whether a function belongs to what carries out locking.
func ofSync(function string) bool {
	switch PackageOf(function) {
	case "sync", "internal/sync", "sync/atomic", "internal/runtime/atomic", "internal/race", "runtime":
		return true
	}
	return false
}
