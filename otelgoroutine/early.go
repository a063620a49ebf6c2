// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"context"
	"time"
)

const (
	// earlyGap is the time from the first snapshot to the next. Each gap after it is
	// twice as long as the one before: with the default interval, there are early
	// snapshots after 1, 3 and 7 s.
	earlyGap = time.Second
	// earlyInterval is the longest interval with early snapshots, then eight. A longer
	// one says that few are wanted, as in a test that needs a single one.
	earlyInterval = 10 * time.Minute
)

// early takes snapshots before the second regular one is due. The first is taken when
// the monitor starts, and most services have two goroutines then: without others, the
// page and Snapshot would show these for an interval. It returns false when the monitor
// is shut down.
func (m *Monitor) early() bool {
	beats := newMetronome(earlyGap, m.observer.early)
	defer beats.timer.Stop()
	for gap := 1; m.leaves(beats.count, gap); {
		select {
		case <-m.stop:
			return false
		case <-beats.wait(gap):
			beats.heard()
			m.glimpse(beats.lateness())
			gap *= 2
		case <-m.wake:
			if m.idle.Load() {
				m.step(0)
			}
		}
	}
	return true
}

// leaves reports whether an early snapshot that comes gap beats after so many leaves as
// long a gap before the second regular one.
func (m *Monitor) leaves(beats, gap int) bool {
	return m.interval <= earlyInterval && time.Duration(beats+2*gap)*earlyGap <= m.interval
}

// glimpse takes an early snapshot if the budget covers it. It is shown and counted, but
// no detector judges it: a verdict must not come sooner, or be surer, because a process
// has just started. While there is no regular snapshot, because nothing was heard or the
// first one was refused, it tries again to take that.
func (m *Monitor) glimpse(late time.Duration) {
	o := m.observer
	defer o.survive()
	o.late += late
	if m.idle.Load() || m.latest.Load() == nil {
		if o.spare() {
			m.step(0)
		}
		return
	}
	ctx := context.Background()
	s := o.glimpse(ctx)
	if s == nil {
		return
	}
	m.latest.Store(s)
	m.past.add(s)
	if len(o.client.labels) == 0 { // counts with labels take a capture of their own, which waits for its time
		o.publish(ctx, s)
	}
	m.sight.Glimpsed(s, time.Now())
	m.deliver(Update{Snapshot: s, Open: m.findings()})
}
