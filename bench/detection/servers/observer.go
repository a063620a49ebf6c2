// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/telemetry"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// An observer is a monitor whose times are scaled, what it told and what it saw.
type observer struct {
	clock   clock
	monitor *otelgoroutine.Monitor

	mu     sync.Mutex
	events []event
	sight  sight
	newest time.Duration // when the newest snapshot was taken; 0 before the first
}

// observe starts the monitor of this process. At a scale of 1 it has the
// default options.
func observe(c clock) (*observer, error) {
	w := &observer{clock: c}
	options := []otelgoroutine.Option{
		otelgoroutine.WithLoggerProvider(sdklog.NewLoggerProvider(sdklog.WithProcessor(w))),
	}
	if c.scale < 1 {
		options = append(options,
			otelgoroutine.WithDetectors(detectors.Scaled(c.scale)...),
			otelgoroutine.WithInterval(c.dur(interval)),
			otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1, Pause: time.Second})) // the interval is scaled, the cost is not
	}
	m, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(), options...)
	w.monitor = m
	m.Subscribe(w.see) // which does not change when snapshots are taken
	return w, err
}

// interval is the time between snapshots, of a service: the default of the monitor.
const interval = 15 * time.Second

// see notes a snapshot.
func (w *observer) see(u otelgoroutine.Update) {
	if u.Snapshot == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sight.Snapshots++
	w.pass()
}

// pass notes the time that has passed since the newest snapshot.
func (w *observer) pass() {
	now := w.clock.age()
	w.sight.pass(now-w.newest, interval)
	w.newest = now
}

// end ends the monitor and returns what it told, and what it could see.
func (w *observer) end() ([]event, sight, error) {
	left := unjudged(w.detectors(), time.Now(), w.clock.dur(undecided)) // none is judging after Shutdown
	err := w.monitor.Shutdown(context.Background())
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pass()
	w.sight.Unjudged = left
	return w.events, w.sight, err
}

// detectors returns what the detectors could judge in the newest snapshot. If that is old,
// as where all clients left at once on a busy machine, it waits a little for another.
func (w *observer) detectors() []detectors.Status {
	stale := func(d detectors.Status) bool { return d.Reason == detectors.ReasonNoSnapshot }
	for began := time.Now(); ; time.Sleep(w.clock.dur(interval)) {
		all := w.monitor.Status().Detectors
		if !slices.ContainsFunc(all, stale) || time.Since(began) > min(w.clock.dur(undecided), grace/2) {
			return all
		}
	}
}

// OnEmit keeps an event of a finding. It implements [sdklog.Processor].
func (w *observer) OnEmit(_ context.Context, r *sdklog.Record) error {
	ended := strings.HasSuffix(r.EventName(), ".resolved")
	if !ended && !strings.HasSuffix(r.EventName(), ".detected") {
		return nil
	}
	e := event{At: w.clock.age().Round(time.Second), Message: r.Body().AsString(), Ended: ended}
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		switch kv.Key {
		case telemetry.AttrDetectorName:
			e.Detector = kv.Value.AsString()
		case telemetry.AttrConfidence:
			e.Confidence = kv.Value.AsString()
		case telemetry.AttrCodeFunctionName:
			e.Function = kv.Value.AsString()
		}
		return true
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	return nil
}

// Enabled says that all records are wanted.
func (w *observer) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

// Shutdown does nothing.
func (w *observer) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing.
func (w *observer) ForceFlush(context.Context) error { return nil }
