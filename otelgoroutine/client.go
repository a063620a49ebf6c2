// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"fmt"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

// A client is a monitor's access to the taker of this process. It is used by the
// monitor's goroutine only, except where a method says otherwise.
type client struct {
	taker    *taker
	config   capture.Config
	labels   []string        // keys of WithLabelKeys
	interval time.Duration   // between snapshots
	stop     <-chan struct{} // closed when the monitor is shut down
	seen     time.Time       // of the last snapshot
	asked    time.Time       // when one was last asked for
}

// newClient joins the taker of this process, or a taker of its own if a test has
// a capturer.
func newClient(c config, stop <-chan struct{}) *client {
	cl := &client{config: c.capture(), labels: c.labelKeys, interval: c.interval, stop: stop}
	if c.capturer == nil {
		joinProcess(cl)
		return cl
	}
	cl.taker = newTaker(c.capturer)
	cl.taker.join(cl)
	go cl.taker.run()
	return cl
}

// close leaves the taker, and reports whether its capture hangs.
func (c *client) close() (hung bool) {
	leaveProcess(c)
	return c.taker.hung.Load()
}

// errHung is the error of captures while an earlier one has not returned.
var errHung = fmt.Errorf("an earlier capture did not end within %v; none can be taken until it returns. It may wait for the reader of another execution trace, as of /debug/pprof/trace, or for CPU time", capture.Deadline+hangAfter)

// hung is the skip of a capture that cannot be taken now.
func (c *client) hung(source goroutine.Source) *capture.Skip {
	return &capture.Skip{Source: source, Refusal: &capture.Refusal{Reason: capture.ReasonHung, Err: errHung}}
}

// A taking is what a source returned.
type taking struct {
	snapshot *goroutine.Snapshot
	skips    []capture.Skip
}

// Take takes a snapshot, or returns one that another monitor took less than half an
// interval ago; or less than half of the time since the last call, if that is shorter.
// late is for how long the process could not run since the last snapshot.
func (c *client) Take(late time.Duration) (*goroutine.Snapshot, []capture.Skip) {
	fresh := c.fresh()
	c.asked = time.Now()
	return c.take(late, fresh, capturer.Take)
}

// Early is Take for a snapshot between the first and the second regular one.
func (c *client) Early(late time.Duration) (*goroutine.Snapshot, []capture.Skip) {
	return c.take(late, c.fresh(), capturer.Early)
}

// fresh returns how old a snapshot of another monitor may be.
func (c *client) fresh() time.Duration { return min(c.interval, time.Since(c.asked)) / 2 }

func (c *client) take(late, fresh time.Duration, from func(capturer) (*goroutine.Snapshot, []capture.Skip)) (*goroutine.Snapshot, []capture.Skip) {
	r, ok := ask(c.taker, c.stop, func() taking {
		if s := c.taker.last; s != nil && s.Time.After(c.seen) && time.Since(s.Time) < fresh {
			return taking{snapshot: lateBy(s, late)}
		}
		s, skips := from(c.taker.capturer)
		if s != nil {
			s.Late += late // no other monitor has it yet
			c.taker.last = s
		}
		return taking{s, skips}
	})
	if !ok {
		return nil, []capture.Skip{*c.hung(goroutine.SourceTrace)}
	}
	if r.snapshot != nil {
		c.seen = r.snapshot.Time
	}
	return r.snapshot, r.skips
}

// Fresh takes a snapshot on request, whenever the last one was taken. It is safe for
// concurrent use. If a regular snapshot is due soon, this one takes its place.
func (c *client) Fresh() (*goroutine.Snapshot, []capture.Skip) {
	r, ok := ask(c.taker, c.stop, func() taking {
		s, skips := c.taker.capturer.Take()
		if s != nil {
			c.taker.last = s
		}
		return taking{s, skips}
	})
	if !ok {
		return nil, []capture.Skip{*c.hung(goroutine.SourceTrace)}
	}
	return r.snapshot, r.skips
}

// Dump takes a goroutine dump for people. It is safe for concurrent use.
func (c *client) Dump() (*capture.Dump, *capture.Skip) {
	return one(c, goroutine.SourceText, capturer.Dump)
}

// lateBy returns a snapshot of another monitor as one of this, which saw the process
// pause for late since its own last one.
func lateBy(s *goroutine.Snapshot, late time.Duration) *goroutine.Snapshot {
	if late <= s.Late {
		return s
	}
	own := *s
	own.Late = late
	return &own
}

// Spare reports whether the budget covers a snapshot beyond the regular ones, and a
// window of this span and a dump after it.
func (c *client) Spare(span time.Duration) bool {
	spare, ok := ask(c.taker, c.stop, func() bool { return c.taker.capturer.Spare(span) })
	return ok && spare
}

// counts returns what the runtime counts, without a snapshot.
func (c *client) counts() counts {
	goroutines, created := c.taker.capturer.Counts()
	return counts{goroutines, created}
}

// Labelled takes a snapshot with labels. If no labels are wanted, it returns nil
// and no skip.
func (c *client) Labelled() (*goroutine.Snapshot, *capture.Skip) {
	if len(c.labels) == 0 {
		return nil, nil
	}
	return c.labelledBy(c.labels)
}

// labelledBy takes a snapshot with the labels that have these keys.
func (c *client) labelledBy(keys []string) (*goroutine.Snapshot, *capture.Skip) {
	return c.labelsAt(keys, nil)
}

// Prove takes a leak proof, if this monitor may.
func (c *client) Prove(base *goroutine.Snapshot) (*goroutine.Snapshot, *capture.Skip) {
	if !c.config.LeakProof {
		return nil, nil
	}
	return one(c, goroutine.SourceProof, func(capturer capturer) (*goroutine.Snapshot, *capture.Skip) {
		return capturer.Prove(base)
	})
}

// Window takes a trace of a span of time.
func (c *client) Window(span time.Duration) (*goroutine.Snapshot, *capture.Skip) {
	return one(c, goroutine.SourceWindow, func(capturer capturer) (*goroutine.Snapshot, *capture.Skip) {
		return capturer.Window(span, c.stop)
	})
}

// Text takes a goroutine dump.
func (c *client) Text() (*goroutine.Snapshot, *capture.Skip) {
	return one(c, goroutine.SourceText, capturer.Text)
}

// Locks takes a trace with the queues for locks.
func (c *client) Locks() (*goroutine.Snapshot, *capture.Skip) {
	return one(c, goroutine.SourceLocks, capturer.Locks)
}

// Recording returns the recording behind s, which must not be modified, or nil if
// there is none or s is not the last snapshot of this process any more. If it could
// not be written, the next Take says why. It is safe for concurrent use.
func (c *client) Recording(s *goroutine.Snapshot) []byte {
	if c.config.Recorder == nil {
		return nil
	}
	recording, _ := ask(c.taker, c.stop, func() []byte {
		if last := c.taker.last; last == nil || !last.Time.Equal(s.Time) {
			return nil
		}
		return c.taker.capturer.Recording()
	})
	return recording
}

// work runs f, which takes no captures, and deducts the CPU time that it uses from
// the budget that all monitors share.
func (c *client) work(f func()) { c.taker.charged.Add(int64(capture.CPUTime(f))) }

// one takes one capture from a source: a snapshot or a dump.
func one[T any](c *client, source goroutine.Source, take func(capturer) (*T, *capture.Skip)) (*T, *capture.Skip) {
	taken, ok := ask(c.taker, c.stop, func() captured[T] {
		value, skip := take(c.taker.capturer)
		return captured[T]{value, skip}
	})
	if !ok {
		return nil, c.hung(source)
	}
	return taken.value, taken.skip
}

// A captured is what a source returned: a value, or why there is none.
type captured[T any] struct {
	value *T
	skip  *capture.Skip
}
