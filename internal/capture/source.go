// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"errors"
	"fmt"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// A source is one way to take snapshots of this process.
type source interface {
	name() goroutine.Source
	// take takes a snapshot. An error of type *Refusal says why it could not; any
	// other error is unexpected. A result returned with an error contains only the
	// cost. When its time is over, take returns as soon as the runtime permits.
	//
	// A source that cannot run at times has a method ready() *Refusal too, which is
	// asked before its cost is predicted, and one whose memory grows with the number
	// of goroutines a method needs(goroutines int) int64, which predicts it.
	take(a *allowance) (result, error)
}

// A result is what a source returns.
type result struct {
	*goroutine.Snapshot
	stop   time.Duration // stop of the world, if it grows with the number of goroutines
	idle   time.Duration // time spent waiting while the snapshot was taken
	traced time.Duration // CPU time that tracing cost the program meanwhile
	dump   []byte        // the text of a goroutine dump, if it is to be kept
}

// elsewhere adds what another goroutine took while this one waited for it.
func (r *result) elsewhere(took usage) {
	r.idle += took.wall
	r.traced += took.cpu
}

// from sets the source of the snapshot, if there is one.
func (r result) from(s goroutine.Source) result {
	if r.Snapshot != nil {
		r.Source = s
	}
	return r
}

// guarded runs a source and turns every failure, including a panic, into a
// refusal.
func guarded(s source, a *allowance) (r result, refusal *Refusal) {
	defer func() {
		if p := recover(); p != nil {
			r, refusal = result{}, &Refusal{Reason: ReasonError, Err: fmt.Errorf("%s: panic: %v", s.name(), p)}
		}
	}()
	r, err := s.take(a)
	return r, refusalOf(err)
}

// refusalOf returns the refusal in an error, or one for an error that is
// unexpected. It is nil for nil.
func refusalOf(err error) (refusal *Refusal) {
	if err == nil || errors.As(err, &refusal) {
		return refusal
	}
	return &Refusal{Reason: ReasonError, Err: err}
}
