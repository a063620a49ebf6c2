// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinetest

import (
	"context"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/otelgoroutine"
)

const (
	// maxFound is how many findings a watcher keeps. The engine opens no more.
	maxFound = 1000
	// patience is how long the end of a test waits for a snapshot in progress.
	patience = 30 * time.Second
)

// A Watcher is what [Watch] returns. Its methods are safe for concurrent use.
type Watcher struct {
	tb         testing.TB
	confidence detectors.Confidence
	began      time.Time
	monitor    *otelgoroutine.Monitor
	owner      owner
	stderr     io.Writer

	mu    sync.Mutex
	found []*found // in the order in which they were found
}

// A found is a finding that fails the test.
type found struct {
	finding detectors.Finding // as it was last seen open
	end     string            // how it ended; empty while it is open
}

// Watch watches the goroutines of the process until the test and its subtests have
// ended, after the cleanup functions that are registered later. If the detectors have
// found a fault by then, the test fails with all that is known of it, also if it has
// gone: a leak often ends with the server that it was in.
//
// A test that hangs does not come to its end. If it has a deadline (go test -timeout),
// what was found is written to the standard error shortly before that. If detectors
// could not judge, as when the test was too short, the log of the test says so.
//
// Watch fails the test at once if an option has an invalid value.
func Watch(tb testing.TB, opts ...Option) *Watcher {
	tb.Helper()
	return watch(tb, os.Stderr, opts...)
}

func watch(tb testing.TB, stderr io.Writer, opts ...Option) *Watcher {
	tb.Helper()
	c, err := newConfig(opts)
	if err != nil {
		tb.Fatal(err)
		return nil
	}
	w := &Watcher{tb: tb, confidence: c.confidence, began: time.Now(), owner: newOwner(tb.Name()), stderr: stderr}
	w.monitor, err = otelgoroutine.Start(noop.NewMeterProvider(), append(c.monitor(), otelgoroutine.WithLoggerProvider(silent{}))...)
	if err != nil {
		w.owner.leave()
		tb.Fatalf("goroutinetest: %v", err)
		return nil
	}
	w.monitor.Subscribe(w.saw)
	stop := w.beforeDeadline()
	tb.Cleanup(func() {
		stop()
		w.end()
	})
	return w
}

// Findings returns the findings so far that fail the test, in the order in which they
// were found, so that a test need not go on when it has failed.
func (w *Watcher) Findings() []detectors.Finding {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]detectors.Finding, 0, len(w.found))
	for _, f := range w.found {
		all = append(all, f.finding)
	}
	return all
}

// saw notes what a snapshot showed.
func (w *Watcher) saw(u otelgoroutine.Update) {
	for i := range u.Open {
		if f := &u.Open[i]; f.Confidence >= w.confidence {
			w.note(f)
		}
	}
	for i := range u.Events {
		if e := &u.Events[i]; e.Kind == detectors.Resolved {
			w.ended(&e.Finding)
		}
	}
}

// note notes an open finding.
func (w *Watcher) note(f *detectors.Finding) {
	w.mu.Lock()
	known := w.of(f.ID)
	if known != nil {
		known.finding, known.end = *f, ""
	}
	full := len(w.found) >= maxFound
	w.mu.Unlock()
	if known != nil || full || !w.owner.owns(f) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found = append(w.found, &found{finding: *f})
}

func (w *Watcher) ended(f *detectors.Finding) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known := w.of(f.ID); known != nil {
		known.end = f.Message
	}
}

// of returns what was found with an ID, or nil. It requires that w is locked.
func (w *Watcher) of(id string) *found {
	i := slices.IndexFunc(w.found, func(f *found) bool { return f.finding.ID == id })
	if i < 0 {
		return nil
	}
	return w.found[i]
}

// end stops the monitor and fails the test if something was found.
func (w *Watcher) end() {
	w.tb.Helper()
	status := w.monitor.Status()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.monitor.Shutdown(ctx); err != nil {
		w.tb.Logf("goroutinetest: %v", err)
	}
	w.owner.leave()
	if status.Judging() < len(status.Detectors) {
		w.tb.Logf("goroutinetest: when the test ended after %v: %v", time.Since(w.began).Round(time.Second), status)
	}
	if text := w.text(); text != "" {
		w.tb.Errorf("%s", text)
	}
}

// beforeDeadline writes what was found shortly before the test times out, unless stop
// is called first.
func (w *Watcher) beforeDeadline() (stop func()) {
	timed, ok := w.tb.(interface{ Deadline() (time.Time, bool) })
	if !ok {
		return func() {}
	}
	deadline, ok := timed.Deadline()
	if !ok {
		return func() {}
	}
	left := time.Until(deadline)
	timer := time.AfterFunc(left-min(left/10, 5*time.Second), func() {
		if text := w.text(); text != "" {
			_, _ = io.WriteString(w.stderr, w.tb.Name()+" is about to time out.\n"+text)
		}
	})
	return func() { timer.Stop() }
}
