// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"encoding/binary"
	"hash/maphash"
	"slices"

	"github.com/otelgoroutine/go/goroutine"
)

// Stacks shares stacks between the snapshots of one process. Equal frames give the
// same *goroutine.Stack, so a history of snapshots holds each stack once. A stack
// is forgotten when two snapshots in a row did not have it.
//
// Make one with [NewStacks]. It is not safe for concurrent use.
type Stacks struct {
	seed          maphash.Seed
	current, past map[uint64]*goroutine.Stack
}

// NewStacks returns an empty table.
func NewStacks() *Stacks {
	return &Stacks{seed: maphash.MakeSeed(), current: make(map[uint64]*goroutine.Stack)}
}

// Intern returns the stack of these frames, leaf first. It copies the frames if it
// keeps them.
func (t *Stacks) Intern(frames []goroutine.Frame) *goroutine.Stack {
	key := t.hash(frames)
	if s, ok := t.current[key]; ok && slices.Equal(s.Frames, frames) {
		return s
	}
	s, ok := t.past[key]
	if !ok || !slices.Equal(s.Frames, frames) {
		s = goroutine.NewStack(slices.Clone(frames))
	}
	t.current[key] = s
	return s
}

// next begins a new snapshot.
func (t *Stacks) next() {
	t.past, t.current = t.current, t.past
	if t.current == nil || len(t.current) > 2*len(t.past) {
		t.current = make(map[uint64]*goroutine.Stack) // release the memory of a large snapshot
	}
	clear(t.current)
}

// hash leaves out the file, which follows from the function.
func (t *Stacks) hash(frames []goroutine.Frame) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	var line [8]byte
	for _, f := range frames {
		binary.NativeEndian.PutUint64(line[:], uint64(f.Line))
		h.Write(line[:])
		h.WriteString(f.Function)
	}
	return h.Sum64()
}
