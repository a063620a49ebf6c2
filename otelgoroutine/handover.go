// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import "sync/atomic"

// A handover is what makes a monitor give way to another.
type handover struct {
	wanted bool          // WithHandover
	begun  chan struct{} // closed when Start has registered everything, or failed
	done   atomic.Bool   // the monitor has given way
}

// WithHandover makes the monitor one that gives way. It is for code that starts a
// monitor on behalf of programs that may start their own, such as package auto or a
// platform's own framework:
//
//   - A later [Start] without this option shuts this monitor down and takes its place,
//     on whatever provider, rather than returning [ErrStarted]. The metrics of this one
//     are unregistered before the other registers its own, so that nothing is counted
//     twice, and it sends no further event. What it knew is lost: findings that are open
//     are found and reported again. Its Done channel is closed.
//   - While any other monitor is running, Start with this option returns [ErrStarted].
func WithHandover() Option {
	return optionFunc(func(c *config) { c.handover = true })
}

// handOver ends the monitors that give way. It reports whether there were any.
func handOver(monitors []*Monitor) (found bool) {
	for _, m := range monitors {
		if m.handover.wanted {
			found = true
			m.giveWay()
		}
	}
	return found
}

// giveWay ends m without waiting for a snapshot that is under way. When it returns, none
// of the instruments of m are registered, and m is no longer claimed.
func (m *Monitor) giveWay() {
	<-m.handover.begun
	if m.telemetry == nil { // it could not begin, and is released
		return
	}
	m.handover.done.Store(true)
	m.end()
	<-m.closed
}
