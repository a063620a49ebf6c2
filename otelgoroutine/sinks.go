// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// answerWithin is how long the monitor waits for a handler to say whether it takes
// errors. Handlers answer in nanoseconds.
const answerWithin = time.Second

// WithLogger has every event written to a logger of log/slog as well, whether or not
// there is a LoggerProvider. It becomes one record: the text of the event as the
// message, at the level and the time of the event, and the attributes that TELEMETRY.md
// lists, under the same names and as event.name its name. Long values are cut, so that
// a record stays within 16 KiB: code.stacktrace at 4 KiB. The advice is part of the
// message, and stacks of participants are left out.
//
// The logger's handler decides which levels it takes, and an event that it does not take
// goes nowhere else instead. With slog.New(slog.DiscardHandler), events do not go to
// slog's default where there is no LoggerProvider. If the handler is the otelslog bridge
// and the LoggerProvider is set up, the LoggerProvider alone gets the events, because the
// bridge would tell it a second time; within another handler, the bridge is not
// recognized. The last of several loggers counts.
//
// The handler is called as the functions of [WithEventFunc] are, before them.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(c *config) {
		if l == nil || l.Handler() == nil {
			c.refuse("WithLogger(nil): a logger with a handler is needed; leave the option out to use the LoggerProvider, or slog's default where there is none")
			return
		}
		c.logger = l
	})
}

// WithEventFunc has f called with every event: what was detected, repeated and
// resolved, and how many findings are not reported one by one. It may be given several
// times; the functions are called in that order. An event is shared and must not be
// modified.
//
// f is called on a goroutine of its own, which exists only while there are events, one
// call at a time and in the order of the events. It holds up no snapshot, and may call
// every method of the monitor. While it runs, up to 64 calls wait; those beyond are not
// made, which is reported to the OpenTelemetry error handler once, as a panic in f is.
// [Monitor.Shutdown] waits until all events are delivered, but ten seconds at most for
// one call.
//
// Unlike a subscriber ([Monitor.Subscribe]) f is not called for each snapshot, and it may
// take its time. Monitors that share a logger provider call their own functions each.
func WithEventFunc(f func(detectors.Event)) Option {
	return optionFunc(func(c *config) {
		if f == nil {
			c.refuse("WithEventFunc(nil): a function is needed; leave the option out if there is none")
			return
		}
		c.functions = append(c.functions, f)
	})
}

// sinks is where the events of a monitor go besides its logger provider.
type sinks struct {
	logger    *slog.Logger // of WithLogger; may be nil
	functions []func(detectors.Event)
	disabled  bool // the environment says that nothing of OpenTelemetry is wanted
	courier   courier
	takes     bool // the last answer of a handler; used by the monitor's goroutine only
	lost      int  // calls that were given up; set before the monitor's goroutine ends
}

func newSinks(c config, survive func()) sinks {
	return sinks{logger: c.logger, functions: c.functions, disabled: sdkDisabled(), courier: courier{survive: survive}}
}

// sdkDisabled reports whether OTEL_SDK_DISABLED is set to true, in the sense of the
// specification.
func sdkDisabled() bool {
	return strings.EqualFold(strings.TrimSpace(os.Getenv("OTEL_SDK_DISABLED")), "true")
}

// A reach is what the events of a monitor reach at one moment.
type reach struct {
	logs      bool         // the logger provider
	logger    *slog.Logger // nil: none
	functions bool
	fallback  bool // logger is slog's default, because there is nothing else
}

// reach returns what an event of m reaches now; nil stands for any. It is called by other
// monitors as well, even while m starts.
func (m *Monitor) reach(ctx context.Context, e *detectors.Event) reach {
	r := reach{logs: telemetry.EventsHeard(ctx, m.logs, e), logger: m.sinks.logger, functions: len(m.sinks.functions) > 0}
	switch {
	case r.logger != nil:
		if r.logs && telemetry.Bridged(r.logger) {
			r.logger = nil
		}
	case !r.logs && !r.functions && !m.sinks.disabled && !telemetry.Declined(m.provider, m.logs):
		r.logger, r.fallback = slog.Default(), true
	}
	return r
}

// none reports whether r is nothing.
func (r *reach) none() bool { return !r.logs && r.logger == nil && !r.functions }

// A dispatch is an event and where this monitor sends it.
type dispatch struct {
	detectors.Event
	to      reach
	unheard bool // nothing is there that could hear it, of this or another monitor
}

// elsewhere reports whether other monitors send the event wherever this one would.
func (d *dispatch) elsewhere() bool { return !d.unheard && d.to.none() }

// dispatch returns where to send the events. Where an earlier monitor sends an event, it
// is not sent again; functions are this monitor's own. A monitor that has given way sends
// nothing.
func (m *Monitor) dispatch(ctx context.Context, events []detectors.Event) (all []dispatch) {
	if len(events) == 0 || m.handover.done.Load() {
		return nil
	}
	others := earlier(m)
	for i := range events {
		e := &events[i]
		d := dispatch{Event: *e, to: m.reach(ctx, e)}
		d.unheard = d.to.none()
		for _, other := range others {
			if other.tells(*e, m.detectors) {
				d.to.without(other.reach(ctx, e), telemetry.SameEvents(m.logs, other.logs))
			}
		}
		all = append(all, d)
	}
	return all
}

// without takes from r what another monitor reaches.
func (r *reach) without(other reach, sameLogs bool) {
	r.logs = r.logs && !sameLogs
	if telemetry.SameSlog(r.logger, other.logger) {
		r.logger = nil
	}
}

// hand sends one event to the program's own logger and functions.
func (m *Monitor) hand(ctx context.Context, d dispatch, saved telemetry.Files) {
	if d.unheard {
		m.unheard(d.Event, "the providers are no-ops")
		return
	}
	if d.to.logger != nil {
		m.post(d.Event, func() { m.write(ctx, d, saved) })
	}
	if d.to.functions {
		for _, f := range m.sinks.functions {
			m.post(d.Event, func() { f(d.Event) })
		}
	}
}

// post has the courier make a call about an event.
func (m *Monitor) post(e detectors.Event, call func()) {
	if !m.sinks.courier.post(call) {
		m.told.complain("dropped", fmt.Errorf("otelgoroutine: an event was dropped, because %d deliveries wait for a slog handler or a function of WithEventFunc that does not return: %s",
			maxWaiting, telemetry.Headline(e)))
	}
}

// write writes an event to the logger, on the courier's goroutine.
func (m *Monitor) write(ctx context.Context, d dispatch, saved telemetry.Files) {
	h := d.to.logger.Handler()
	if level := telemetry.SlogLevel(d.Event); !h.Enabled(ctx, level) {
		if d.to.fallback {
			m.unheard(d.Event, fmt.Sprintf("there is no LoggerProvider, and slog's default logger does not take level %v", level))
		}
		return
	}
	if err := h.Handle(ctx, telemetry.SlogRecord(d.Event, saved)); err != nil {
		m.told.complain("slog", fmt.Errorf("otelgoroutine: the slog handler did not take an event: %w", err))
	}
}

// unheard reports the first event that nothing hears. Subscribers hear all of them.
func (m *Monitor) unheard(e detectors.Event, why string) {
	if m.sinks.disabled || m.feed.heard() {
		return
	}
	m.told.complain("unheard", fmt.Errorf("otelgoroutine: an event was not heard, and others will not be: %s; set up a LoggerProvider, or use WithLogger or WithEventFunc. The event: %s",
		why, telemetry.Headline(e)))
}

// listen reports whether a function or a logger hears events.
func (m *Monitor) listen(ctx context.Context) bool {
	if len(m.detectors) == 0 {
		return false
	}
	r := m.reach(ctx, nil)
	return r.functions || r.logger != nil && m.answers(ctx, r.logger.Handler())
}

// answers asks a handler whether it takes errors. While the courier is at work, and when
// there is no answer in time, the last answer counts.
func (m *Monitor) answers(ctx context.Context, h slog.Handler) bool {
	s := &m.sinks
	if s.courier.busy() {
		return s.takes
	}
	answer := make(chan bool, 1)
	if !s.courier.post(func() {
		defer close(answer) // after a panic
		answer <- h.Enabled(ctx, slog.LevelError)
	}) {
		return s.takes
	}
	timer := time.NewTimer(answerWithin)
	defer timer.Stop()
	select {
	case s.takes = <-answer:
	case <-timer.C:
	case <-m.stop:
	}
	return s.takes
}

// close waits until everything is delivered.
func (s *sinks) close() { s.lost = s.courier.close() }

// undelivered says what close gave up.
func (s *sinks) undelivered() error {
	if s.lost == 0 {
		return nil
	}
	return fmt.Errorf("otelgoroutine: Shutdown: a slog handler or a function of WithEventFunc did not return within %v; its goroutine was left behind, and %d calls after it were not made",
		callPatience, s.lost-1)
}
