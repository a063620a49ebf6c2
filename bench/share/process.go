// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync/atomic"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/bench/internal/lab"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// warmUp is how long a process runs before it is measured: the first snapshots of a
// monitor are the dearest, and after ten of them, two and a half minutes by default,
// a quiet process is seen less often.
const warmUp = 3 * time.Minute

// depth is how many frames the goroutines have, the runtime's included.
const depth = 12

// An order is one process.
type order struct {
	Parked, Rate int
	Monitored    bool
	WarmUp, Span time.Duration
}

// An answer is what it used.
type answer struct {
	CPU       time.Duration
	Elapsed   time.Duration
	Snapshots int // within the time measured
}

func (a *answer) share() float64 { return a.CPU.Seconds() / max(a.Elapsed.Seconds(), 1e-9) }

// serve handles requests at equal distances, each in a goroutine of its own that
// waits for a while.
func serve(apart time.Duration) {
	for range time.Tick(apart) {
		go lab.Step(0)(0, depth-5, func() { time.Sleep(30 * time.Millisecond) })
	}
}

// observe is a service that does nothing but export its metrics and, if it is busy,
// serve requests.
func observe(o order) (any, error) {
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(discard{}, sdkmetric.WithInterval(15*time.Second))))
	gate := make(chan int)
	for i := range o.Parked {
		go lab.Step(i%64)(i%64/4, depth-5, func() { <-gate })
	}
	if err := lab.AwaitParked(); err != nil {
		return nil, err
	}
	if o.Rate > 0 {
		go serve(time.Second / time.Duration(o.Rate))
	}
	var snapshots atomic.Int64
	if o.Monitored {
		m, err := otelgoroutine.Start(provider)
		if err != nil {
			return nil, err
		}
		m.Subscribe(func(u otelgoroutine.Update) {
			if u.Snapshot != nil {
				snapshots.Add(1)
			}
		})
	}
	var taken int64
	var used time.Duration
	var began time.Time
	for _, span := range []time.Duration{o.WarmUp, o.Span} { // at one line: another would be something new
		taken, used, began = snapshots.Load(), lab.ProcessCPU(), time.Now()
		time.Sleep(span)
	}
	return answer{lab.ProcessCPU() - used, time.Since(began), int(snapshots.Load() - taken)}, nil
}

// discard is an exporter without a backend.
type discard struct{}

func (discard) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return sdkmetric.DefaultTemporalitySelector(k)
}

func (discard) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}
func (discard) Export(context.Context, *metricdata.ResourceMetrics) error { return nil }
func (discard) ForceFlush(context.Context) error                          { return nil }
func (discard) Shutdown(context.Context) error                            { return nil }
