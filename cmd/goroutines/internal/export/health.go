// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package export

import (
	"context"
	"fmt"
	"sync"
	"time"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A Signal is what is exported.
type Signal string

// The signals.
const (
	Metrics Signal = "metrics"
	Events  Signal = "events"
)

// A State is how the export of a signal is going.
type State struct {
	Signal Signal
	Err    error         // why it fails; nil if it works again
	After  time.Duration // for how long it had failed, if it works again
	Lost   int           // events that were given up meanwhile
}

// Health follows the exports of all exporters to an endpoint: those of many processes
// fail together, and are told once for each signal.
type Health struct {
	mu      sync.Mutex
	tell    func(State)
	signals map[Signal]*failures
}

// failures are those of the exporters of a signal.
type failures struct {
	by    map[any]error
	since time.Time
	lost  int
}

// NewHealth returns a Health. tell is called when the export of a signal begins to
// fail and when it works again for all processes, one call at a time. It must not
// call the Health.
func NewHealth(tell func(State)) *Health {
	return &Health{tell: tell, signals: make(map[Signal]*failures)}
}

// Err returns why the last exports failed, or nil if none did.
func (h *Health) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range []Signal{Metrics, Events} {
		if f := h.signals[s]; f != nil {
			for _, err := range f.by {
				return fmt.Errorf("%s are not sent: %w", s, err)
			}
		}
	}
	return nil
}

// Quiet ends the calls of tell: what fails from now on is returned by Shutdown.
func (h *Health) Quiet() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tell = func(State) {}
}

// result records how an export by an exporter ended. events is how many it was about.
func (h *Health) result(s Signal, by any, err error, events int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.signals[s]
	switch {
	case err == nil && f == nil:
	case err == nil:
		if delete(f.by, by); len(f.by) == 0 {
			delete(h.signals, s)
			h.tell(State{Signal: s, After: time.Since(f.since), Lost: f.lost})
		}
	case f == nil:
		h.signals[s] = &failures{by: map[any]error{by: err}, since: time.Now(), lost: events}
		h.tell(State{Signal: s, Err: err})
	default:
		f.by[by] = err
		f.lost += events
	}
}

// A metricExporter reports its results to a Health rather than to the SDK, which
// would print an error at every interval.
type metricExporter struct {
	sdkmetric.Exporter
	health *Health
}

func (e *metricExporter) Export(ctx context.Context, m *metricdata.ResourceMetrics) error {
	e.health.result(Metrics, e, e.Exporter.Export(ctx, m), 0)
	return nil
}

// A logExporter is the same for events.
type logExporter struct {
	sdklog.Exporter
	health *Health
}

func (e *logExporter) Export(ctx context.Context, records []sdklog.Record) error {
	e.health.result(Events, e, e.Exporter.Export(ctx, records), len(records))
	return nil
}
