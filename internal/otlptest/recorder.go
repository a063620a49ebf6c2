// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otlptest

import (
	"context"
	"maps"
	"slices"
	"sync"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// A Recorder is a [Sink] that keeps everything it receives. The zero value is
// ready to use. It is safe for concurrent use.
type Recorder struct {
	mu      sync.Mutex
	metrics []pmetric.Metrics
	logs    []plog.Logs
}

// Metrics keeps a metrics request.
func (r *Recorder) Metrics(_ context.Context, all pmetric.Metrics) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.metrics = append(r.metrics, all)
	return nil
}

// Logs keeps a logs request.
func (r *Recorder) Logs(_ context.Context, all plog.Logs) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logs = append(r.logs, all)
	return nil
}

// Received returns the requests received so far, in the order in which they
// arrived.
func (r *Recorder) Received() ([]pmetric.Metrics, []plog.Logs) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.metrics), slices.Clone(r.logs)
}

// MetricNames returns the names of all metrics received so far, sorted.
func (r *Recorder) MetricNames() []string {
	names := make(map[string]bool)
	metrics, _ := r.Received()
	for _, request := range metrics {
		for _, m := range Metrics(request) {
			names[m.Name()] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Events returns the log records received so far that have one of these event
// names. Without names, it returns all log records.
func (r *Recorder) Events(names ...string) []plog.LogRecord {
	var events []plog.LogRecord
	_, logs := r.Received()
	for _, request := range logs {
		for _, record := range Records(request) {
			if len(names) == 0 || slices.Contains(names, record.EventName()) {
				events = append(events, record)
			}
		}
	}
	return events
}

// Resource returns the attributes of all resources received so far as text, by
// name. If a name has several values, the last one is returned.
func (r *Recorder) Resource() map[string]string {
	attributes := make(map[string]string)
	add := func(resource pcommon.Resource) {
		for name, value := range resource.Attributes().All() {
			attributes[name] = value.AsString()
		}
	}
	metrics, logs := r.Received()
	for _, request := range metrics {
		for resource := range Metrics(request) {
			add(resource)
		}
	}
	for _, request := range logs {
		for resource := range Records(request) {
			add(resource)
		}
	}
	return attributes
}
