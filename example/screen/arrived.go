package screen

import (
	"context"
	"maps"
	"sync"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelgoroutine/go/internal/otlptest"
)

// maxPending is how many events wait for being shown at most.
const maxPending = 1000

// An arrivals is what arrived: the latest collection, and the events that were
// not shown yet. It is safe for concurrent use.
type arrivals struct {
	mu      sync.Mutex
	latest  collection
	pending []plog.LogRecord
	counts  Counts
}

// A collection has the points of each metric, by its name. It is replaced,
// never changed.
type collection map[string][]otlptest.Point

// Counts is how much arrived.
type Counts struct {
	Collections int            // requests with metrics
	Points      int            // metric data points in them
	Records     int            // log records
	Events      map[string]int // log records, by event name
}

// Metrics takes a collection.
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
	// The last collection of a program comes when the monitor has ended.
	if len(collected["goroutine.count"]) > 0 {
		a.latest = collected
	}
	return nil
}

// Logs takes log records.
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

// Counts returns how much arrived so far.
func (a *arrivals) Counts() Counts {
	a.mu.Lock()
	defer a.mu.Unlock()
	counts := a.counts
	counts.Events = maps.Clone(counts.Events)
	return counts
}

// take returns the latest collection, and the events that arrived since the
// last call.
func (a *arrivals) take() (latest collection, events []plog.LogRecord) {
	a.mu.Lock()
	defer a.mu.Unlock()
	events, a.pending = a.pending, nil
	return a.latest, events
}
