// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import "context"

// slots bound how many snapshots are taken at the same time. Targets that gave a
// snapshot last may have all of them. Of the others, which may hang until the timeout,
// new ones have half of the slots at most, and those that failed last a quarter: so a
// quarter is always there for targets that answer, if there are four slots or more.
type slots struct{ all, fresh, failing chan struct{} }

func newSlots(n int) *slots {
	return &slots{
		all:     make(chan struct{}, n),
		fresh:   make(chan struct{}, max(1, n/2)),
		failing: make(chan struct{}, max(1, n/4)),
	}
}

// lane returns what bounds the targets of a state besides the number of slots, or nil.
func (s *slots) lane(of state) chan struct{} {
	switch of {
	case pending:
		return s.fresh
	case unreachable:
		return s.failing
	}
	return nil
}

// take waits for a slot for a target. It returns nil if ctx ends before, and otherwise
// what gives the slot back.
func (s *slots) take(ctx context.Context, of state) (giveBack func()) {
	lane := s.lane(of)
	if lane != nil && !enter(ctx, lane) {
		return nil
	}
	leave := func() {
		if lane != nil {
			<-lane
		}
	}
	if !enter(ctx, s.all) {
		leave()
		return nil
	}
	return func() {
		<-s.all
		leave()
	}
}

// enter waits for room in a semaphore. It returns false if ctx ends before.
func enter(ctx context.Context, semaphore chan struct{}) bool {
	select {
	case semaphore <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}
