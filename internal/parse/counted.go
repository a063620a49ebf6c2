// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// A Counted is a number of goroutines with the same stack and the same labels, as
// in a profile.
type Counted struct {
	Frames []goroutine.Frame // leaf first
	Count  int
	Labels []goroutine.Label // by key
}

// FromCounted returns a snapshot of these goroutines, without IDs. The states
// follow from the frames.
func FromCounted(counted []Counted, source goroutine.Source, at time.Time, stacks *Stacks) *goroutine.Snapshot {
	stacks.next()
	gs := groups{index: make(map[groupKey]int, len(counted))}
	for _, c := range counted {
		gs.of(stacks.Intern(c.Frames), stateOf(c.Frames), c.Labels).Count += c.Count
	}
	s := &goroutine.Snapshot{Time: at, Source: source, Groups: gs.list}
	finish(s)
	return s
}
