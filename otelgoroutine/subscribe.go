package otelgoroutine

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// An Update is what one interval brought. Everything in it is shared: read only.
type Update struct {
	Snapshot *goroutine.Snapshot // nil when none was taken; Skips tells why
	Open     []detectors.Finding // all that are open now, longest open first
	Events   []detectors.Event   // what was opened, repeated and resolved with this snapshot
	Skips    []Skip              // captures that did not happen since the last update
}

// A Skip is a capture that did not happen.
type Skip struct {
	Source goroutine.Source
	Reason string // a value of the attribute goroutine.snapshot.skip_reason
}

// Subscribe calls f after every interval with what it brought, and once before
// it returns when there is a snapshot already. Calls come one at a time, in
// order, until cancel is called or the monitor is shut down; one that is under
// way when cancel returns may still run.
//
// f runs on the monitor's goroutine, between two snapshots: it should return
// within milliseconds, and its time is charged to the budget. While it blocks,
// nothing is observed. A panic in it is reported to the OpenTelemetry error
// handler and goes no further. f must not call Subscribe.
func (m *Monitor) Subscribe(f func(Update)) (cancel func()) {
	return m.feed.subscribe(f, m.told.survive)
}

// A feed tells subscribers about updates.
type feed struct {
	mu          sync.Mutex // held while subscribers are called
	subscribers []*subscriber
	last        Update // with a snapshot
	ended       bool
}

type subscriber struct {
	f         func(Update)
	cancelled atomic.Bool
}

// call calls the subscriber with survive deferred.
func (s *subscriber) call(u Update, survive func()) {
	defer survive()
	s.f(u)
}

func (f *feed) subscribe(call func(Update), survive func()) (cancel func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &subscriber{f: call}
	if f.last.Snapshot != nil {
		s.call(Update{Snapshot: f.last.Snapshot, Open: f.last.Open}, survive)
	}
	if !f.ended {
		f.subscribers = append(f.subscribers, s)
	}
	return func() { s.cancelled.Store(true) }
}

// deliver calls every subscriber, each with survive deferred, and reports
// whether there were any.
func (f *feed) deliver(u Update, survive func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u.Snapshot != nil {
		f.last = u
	}
	f.subscribers = slices.DeleteFunc(f.subscribers, func(s *subscriber) bool { return s.cancelled.Load() })
	for _, s := range f.subscribers {
		s.call(u, survive)
	}
	return len(f.subscribers) > 0
}

// clear drops all subscribers, and what was kept for new ones but the last
// snapshot, which the monitor keeps as well.
func (f *feed) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subscribers, f.ended = nil, true
	f.last = Update{Snapshot: f.last.Snapshot, Open: f.last.Open}
}
