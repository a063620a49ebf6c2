// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// An Update is the result of a snapshot, or of the attempt at one. Its contents are
// shared and must not be modified.
type Update struct {
	Snapshot *goroutine.Snapshot // nil when none was taken; Skips has the reason
	Open     []detectors.Finding // all findings open now, longest open first; with an early snapshot, as before it
	Events   []detectors.Event   // what was opened, repeated and resolved with this snapshot
	Skips    []Skip              // captures that did not happen since the last update
}

// A Skip is a capture that did not happen.
type Skip struct {
	Source goroutine.Source
	Reason string // a value of the attribute goroutine.snapshot.skip_reason
}

// Subscribe calls f after every snapshot with its result, and when one was due and
// could not be taken. [WithInterval] says how far they are apart. If there already is
// a snapshot, it also calls f once before it returns. Calls are made one at a
// time, in order, until cancel is called or the monitor is shut down. A call in
// progress may still be running when cancel returns.
//
// f runs on the monitor's goroutine, between two snapshots: it should return
// within milliseconds, and its time is charged to the budget. While it blocks,
// nothing is observed. A panic in it is reported to the OpenTelemetry error
// handler and goes no further. f must not call Subscribe.
func (m *Monitor) Subscribe(f func(Update)) (cancel func()) {
	if !m.made() {
		return func() {}
	}
	defer m.rouse()
	return m.feed.subscribe(f, m.told.survive)
}

// A feed delivers updates to subscribers.
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

// call calls the subscriber and defers survive.
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

// deliver calls every subscriber, deferring survive for each.
func (f *feed) deliver(u Update, survive func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u.Snapshot != nil {
		f.last = u
	}
	f.drop()
	for _, s := range f.subscribers {
		s.call(u, survive)
	}
}

// heard reports whether there are subscribers. It lets go of those that have
// cancelled, which deliver does not while there is nothing to deliver.
func (f *feed) heard() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop()
	return len(f.subscribers) > 0
}

// drop removes the subscribers that have cancelled. The caller holds f.mu.
func (f *feed) drop() {
	f.subscribers = slices.DeleteFunc(f.subscribers, func(s *subscriber) bool { return s.cancelled.Load() })
}

// clear drops all subscribers and all data kept for new ones, except the last
// snapshot and its open findings. The monitor keeps that snapshot as well.
func (f *feed) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subscribers, f.ended = nil, true
	f.last = Update{Snapshot: f.last.Snapshot, Open: f.last.Open}
}
