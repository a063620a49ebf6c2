// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelgoroutine/go/internal/otlptest"
	ours "github.com/otelgoroutine/go/internal/telemetry"
)

// arrivals is what has arrived over OTLP so far. It is an [otlptest.Sink].
type arrivals struct {
	mu        sync.Mutex
	latest    map[string]int64 // sum over the series of a metric, in the last export
	snapshots map[string]int   // by source, as the monitor counts them
}

func newArrivals() *arrivals {
	return &arrivals{latest: make(map[string]int64), snapshots: make(map[string]int)}
}

// of returns how many snapshots a variant has told of, and how many goroutines
// at last.
func (a *arrivals) of(v variant) (snapshots int, goroutines int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.snapshots[v.source], a.latest[v.counts]
}

// Logs leaves log records aside.
func (a *arrivals) Logs(context.Context, plog.Logs) error { return nil }

// Metrics adds up data points, and counts the snapshots that they tell of.
func (a *arrivals) Metrics(_ context.Context, all pmetric.Metrics) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range otlptest.Metrics(all) {
		a.latest[m.Name()] = 0
		for _, p := range otlptest.Points(m) {
			a.latest[m.Name()] += int64(p.Value)
			switch m.Name() {
			case ours.MetricSnapshotDuration:
				a.snapshots[otlptest.Attribute(p.Attributes, ours.AttrSnapshotSource)] = int(p.Count)
			case naiveSnapshots:
				a.snapshots[dump] = int(p.Value)
			case contribCount:
				a.snapshots[collection]++
			}
		}
	}
	return nil
}
