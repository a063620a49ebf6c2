// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"runtime/pprof"
	"sync/atomic"
	"time"

	"github.com/DataDog/gostackparse"
	contrib "go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	ours "github.com/otelgoroutine/go/internal/telemetry"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// A variant is what a service has beside it.
type variant struct {
	name   string
	start  func(*telemetry) error // nil: no telemetry at all
	counts string                 // the metric that it counts goroutines in
	source string                 // what its regular snapshots are called; "": it takes none
}

// The names that the tables and checks refer to.
const (
	off      = "off"
	offAgain = "off again"
	on       = "on"
)

const (
	contribCount   = "go.goroutine.count"
	naiveCount     = "naive.goroutine.count"
	naiveSnapshots = "naive.snapshots"
	// What snapshots are called that are not ours.
	dump       = "dump"
	collection = "collection"
)

var variants = []variant{
	{name: off},
	{name: offAgain}, // what chance does
	{on, (*telemetry).startOurs, ours.MetricCount, "trace"},
	{"contrib", (*telemetry).startContrib, contribCount, collection},
	{"naive", (*telemetry).startNaive, naiveCount, dump},
}

// interval is how often every variant takes a snapshot and exports.
const interval = 15 * time.Second

// telemetry is the OpenTelemetry SDK as services commonly set it up.
type telemetry struct {
	metrics *sdkmetric.MeterProvider
	logs    *sdklog.LoggerProvider
}

func newTelemetry(ctx context.Context, sink string) (*telemetry, error) {
	metrics, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(sink), otlpmetricgrpc.WithInsecure())
	logs, bad := otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(sink), otlploggrpc.WithInsecure())
	if err := errors.Join(err, bad); err != nil {
		return nil, err
	}
	res := resource.NewSchemaless(attribute.String("service.name", "otelgoroutine-bench"))
	reader := sdkmetric.NewPeriodicReader(metrics, sdkmetric.WithInterval(interval))
	return &telemetry{
		metrics: sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(reader)),
		logs:    sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(sdklog.NewBatchProcessor(logs))),
	}, nil
}

// flush exports what there is.
func (t *telemetry) flush(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return errors.Join(t.metrics.ForceFlush(ctx), t.logs.ForceFlush(ctx))
}

func (t *telemetry) startOurs() error {
	_, err := otelgoroutine.Start(t.metrics, otelgoroutine.WithLoggerProvider(t.logs))
	return err
}

func (t *telemetry) startContrib() error { return contrib.Start(contrib.WithMeterProvider(t.metrics)) }

// startNaive takes a dump at once and then every interval.
func (t *telemetry) startNaive() error {
	n, err := newNaive(t.metrics)
	if err != nil {
		return err
	}
	go func() {
		for ticker := time.NewTicker(interval); ; <-ticker.C {
			n.take()
		}
	}()
	return nil
}

// naive is the monitor that blog posts recommend: once in a while it takes a
// goroutine dump, parses it and counts the goroutines by state.
type naive struct {
	counts    atomic.Pointer[map[string]int64] // of the last dump, by state
	snapshots metric.Int64Counter
}

func newNaive(mp metric.MeterProvider) (*naive, error) {
	n := &naive{}
	n.counts.Store(&map[string]int64{})
	meter := mp.Meter("naive")
	var bad error
	n.snapshots, bad = meter.Int64Counter(naiveSnapshots)
	_, err := meter.Int64ObservableUpDownCounter(naiveCount, metric.WithInt64Callback(
		func(_ context.Context, o metric.Int64Observer) error {
			for state, count := range *n.counts.Load() {
				o.Observe(count, metric.WithAttributes(attribute.String("state", state)))
			}
			return nil
		}))
	return n, errors.Join(bad, err)
}

// take counts what can be parsed. Neither pprof nor the parser calls it an error
// that a long dump is cut off.
func (n *naive) take() {
	var dump bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&dump, 2); err != nil {
		return // a buffer takes everything
	}
	goroutines, _ := gostackparse.Parse(&dump)
	counts := make(map[string]int64)
	for _, g := range goroutines {
		counts[g.State]++
	}
	n.counts.Store(&counts)
	n.snapshots.Add(context.Background(), 1)
}
