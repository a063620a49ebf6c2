// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"context"
	"maps"
	"sync"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelgoroutine/go/internal/otlptest"
)

// maxPending is how many events may wait to be shown.
const maxPending = 1000

// An arrivals holds what has arrived: the latest collection and the events that
// have not been shown yet. It is safe for concurrent use.
type arrivals struct {
	mu      sync.Mutex
	latest  collection
	pending []plog.LogRecord
	counts  Counts
}

// A collection holds the points of each metric, by metric name. It is replaced,
// never modified.
type collection map[string][]otlptest.Point

// Counts is how much has arrived.
type Counts struct {
	Collections int            // requests with metrics
	Points      int            // metric data points in them
	Records     int            // log records
	Events      map[string]int // log records, by event name
}

// Metrics receives a collection.
func (a *arrivals) Metrics(_ context.Context, all pmetric.Metrics) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counts.Collections++
	collected := make(collection)
	for _, metric := range otlptest.Metrics(all) {
		points := otlptest.Points(metric)
		collected[metric.Name()] = points
		a.counts.Points += len(points)
	}
	// A program sends its last collection after the monitor has stopped,
	// without goroutine counts.
	if len(collected["goroutine.count"]) > 0 {
		a.latest = collected
	}
	return nil
}

// Logs receives log records.
func (a *arrivals) Logs(_ context.Context, all plog.Logs) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, record := range otlptest.Records(all) {
		a.counts.Records++
		a.counts.Events[record.EventName()]++
		if len(a.pending) < maxPending {
			a.pending = append(a.pending, record)
		}
	}
	return nil
}

// Counts returns how much has arrived so far.
func (a *arrivals) Counts() Counts {
	a.mu.Lock()
	defer a.mu.Unlock()
	counts := a.counts
	counts.Events = maps.Clone(counts.Events)
	return counts
}

// take returns the latest collection and the events that have arrived since the
// last call.
func (a *arrivals) take() (latest collection, events []plog.LogRecord) {
	a.mu.Lock()
	defer a.mu.Unlock()
	events, a.pending = a.pending, nil
	return a.latest, events
}
