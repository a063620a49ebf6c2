package main

import (
	"context"
	"maps"
	"sync"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelgoroutine/go/internal/otlptest"
	ours "github.com/otelgoroutine/go/internal/telemetry"
)

// arrived is what has arrived over OTLP so far.
type arrived struct {
	Exports    int              `json:"exports"` // requests with metrics
	LogRecords int              `json:"log_records"`
	Points     map[string]int   `json:"points"`    // data points by metric, of all exports
	Latest     map[string]int64 `json:"latest"`    // sum over the series of a metric, in the last export
	Snapshots  map[string]int   `json:"snapshots"` // by source, as the monitor counts them
	Skipped    map[string]int   `json:"skipped"`   // snapshots that were not taken, by source and reason
}

// arrivals counts what arrives. It is an [otlptest.Sink].
type arrivals struct {
	mu sync.Mutex
	arrived
}

func newArrivals() *arrivals {
	return &arrivals{arrived: arrived{Points: map[string]int{}, Latest: map[string]int64{}, Snapshots: map[string]int{}, Skipped: map[string]int{}}}
}

const contribCount = "go.goroutine.count"

// What snapshots are called that are not ours.
const (
	dump       = "dump"
	collection = "collection"
)

// soFar returns what has arrived so far.
func (a *arrivals) soFar() arrived {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.arrived
	c.Points, c.Latest = maps.Clone(c.Points), maps.Clone(c.Latest)
	c.Snapshots, c.Skipped = maps.Clone(c.Snapshots), maps.Clone(c.Skipped)
	return c
}

// Logs counts log records.
func (a *arrivals) Logs(_ context.Context, all plog.Logs) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.LogRecords += all.LogRecordCount()
	return nil
}

// Metrics counts data points, and the snapshots that they tell of.
func (a *arrivals) Metrics(_ context.Context, all pmetric.Metrics) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.Exports++
	for _, m := range otlptest.Metrics(all) {
		points := otlptest.Points(m)
		a.Points[m.Name()] += len(points)
		a.Latest[m.Name()] = 0
		for _, p := range points {
			a.Latest[m.Name()] += int64(p.Value)
			source := otlptest.Attribute(p.Attributes, ours.AttrSnapshotSource)
			switch m.Name() {
			case ours.MetricSnapshotDuration:
				a.Snapshots[source] = int(p.Count)
			case ours.MetricSnapshotSkipped:
				a.Skipped[source+": "+otlptest.Attribute(p.Attributes, ours.AttrSkipReason)] = int(p.Value)
			case naiveSnapshots:
				a.Snapshots[dump] = int(p.Value)
			case contribCount:
				a.Snapshots[collection]++
			}
		}
	}
	return nil
}
