// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package lockcode reads from the machine code of this process what a goroutine
// dump does not tell: which locks a goroutine may hold at a point of a function,
// and what it may still do after that point.
//
// The compiler leaves the calls into package sync recognizable: an atomic
// instruction that the tables of inlined calls assign to sync.(*Mutex).Lock, or
// a call of sync.(*RWMutex).Lock. A [Reader] follows the jumps of a function from
// its entry and notes which of these come before each point on any path. The
// answer errs towards holding: a lock may be held where some path acquires it and
// does not release it.
//
// What it cannot see: a lock that is acquired through an interface or a function
// value by a function that has returned, and what happens in assembly.
package lockcode
