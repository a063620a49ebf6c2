// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutine

import "time"

const (
	// MaxLocks is how many queues for locks a [Snapshot] lists at most.
	MaxLocks = 64
	// MaxWaiters is how many IDs a [LockQueue] lists at most.
	MaxWaiters = 64
	// MaxHolders is how many holders a [LockQueue] lists at most, and MaxHolderWakers
	// how many wakers a [LockHolder].
	MaxHolders, MaxHolderWakers = 32, 16
)

// A LockQueue is the goroutines that wait for one lock in the same state. Where the
// address of the lock is unknown, it is those that wait at the same call, which may be
// for several locks. No source names the holder of a lock: Holders are the goroutines
// whose calls have passed a place that acquires such a lock, and none that releases it.
type LockQueue struct {
	Lock    uint64 // address of the lock; 0 when unknown
	State   State
	At      Frame         // where the goroutine with the lowest ID waits, in the program's code
	Count   int           // number of goroutines
	Waiters []uint64      // the lowest IDs, rising, at most [MaxWaiters]
	Wait    time.Duration // the longest wait, as in [Group]

	// Holders are goroutines that may hold the lock, those with Certain first. If
	// Open is false, no other goroutine of the dump can hold it or release it, as far
	// as the code of the process shows.
	Holders []LockHolder
	Open    bool
}

// A LockHolder is a goroutine that may hold a lock. In snapshots of [SourceLocks] it
// stands for all goroutines with the same stack.
type LockHolder struct {
	ID     uint64 // the lowest
	Count  int    // of the goroutines
	State  State
	Wait   time.Duration // as in [Group]
	At     Frame         // what it is doing: the innermost frame of the program's code
	Locked Frame         // the call that acquired the lock; zero if only a release was found
	// Certain reports that addresses show that it is this lock and not another of its
	// kind.
	Certain bool
	Sole    bool // certain because the lock is at package level; it is the only one in Holders
	Reads   bool // for reading
	Queue   int  // index into Locks of the queue in which it waits itself; -1 if in none

	// Wakers are the goroutines that may wake it while it waits for a channel, a wait
	// group or a condition: those that may still do what it waits for. Many is set
	// when there are more than [MaxHolderWakers], or when they are not known.
	Wakers []LockWaker
	Many   bool
}

// A LockWaker is a goroutine that may wake a [LockHolder].
type LockWaker struct {
	ID    uint64
	Queue int // as in [LockHolder]
}
