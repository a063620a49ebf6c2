// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"sync/atomic"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// Deadline is how long a capture may take. The caller of a [Capturer] should call
// [Capturer.Abort] then, from another goroutine; the capture also notices by
// itself, wherever it is not inside a call of the runtime.
const Deadline = 5 * time.Second

// An inProgress has the allowance of the capture in progress.
type inProgress struct{ current atomic.Pointer[allowance] }

// begin begins a capture that may take this long, and this much memory. The caller
// calls the result when the capture is over.
func (p *inProgress) begin(limit time.Duration, room int64) (end func()) {
	p.current.Store(newAllowance(limit, room))
	return func() { p.current.Store(nil) }
}

const (
	// firstRest is how long a source is not used after it was late for the first
	// time. The time doubles with each further time in a row, up to longestRest.
	// Another source takes its place meanwhile.
	firstRest = time.Minute
	// longestRest is also how long no trace is taken after one that was too large.
	// The recorder holds everything the process does in memory before it is
	// written, so a process that is this busy is not traced at every snapshot.
	longestRest = 10 * time.Minute
	// leastLate is how long a capture that was ended must have taken to be late.
	leastLate = time.Second
)

// A rest is a time during which a source is not used.
type rest struct {
	reason Reason
	span   time.Duration
	until  time.Time
}

// rests has the sources that were late or too large the last time.
type rests map[goroutine.Source]rest

// after lets a source rest if the capture that it has just tried, and that took this
// long, was late or too large. One that was ended early, because a monitor is shut
// down, was not late. The profile never rests, because no other source takes its place, and a
// dump that was too large finds a larger buffer the next time. A capture that
// succeeded, with a nil r, ends the rests of its source.
func (rs rests) after(s goroutine.Source, r *Refusal, took time.Duration, now time.Time) {
	switch {
	case r == nil || s == goroutine.SourceProfile:
		delete(rs, s)
	case r.Reason == ReasonLate && took >= leastLate:
		span := min(max(2*rs[s].span, firstRest), longestRest)
		rs[s] = rest{r.Reason, span, now.Add(span)}
	case r.Reason == ReasonSize && s != goroutine.SourceText:
		rs[s] = rest{r.Reason, longestRest, now.Add(longestRest)}
	}
}

// refuse returns the refusal of a source that rests, or nil.
func (rs rests) refuse(s goroutine.Source, now time.Time) *Refusal {
	r := rs[s]
	left := r.until.Sub(now)
	if left <= 0 {
		return nil
	}
	why := "took too long"
	if r.reason == ReasonSize {
		why = "was too large"
	}
	return refuse(r.reason, "the last one %s; the next is tried in %v", why, left.Round(time.Second))
}
