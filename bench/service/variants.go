package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

	"github.com/otelgoroutine/go/otelgoroutine"
)

// The variants, by the names they have in the tables.
const (
	off         = "off"
	offAgain    = "off again"
	on          = "on"
	contribOnly = "contrib"
	naiveDump   = "naive"
)

var variantNames = []string{off, offAgain, on, contribOnly, naiveDump}

var variantDoc = map[string]string{
	off:         "no telemetry at all",
	offAgain:    "the same again: what chance does",
	on:          "otelgoroutine with all defaults, exporting OTLP",
	contribOnly: "OpenTelemetry's runtime instrumentation, the same way",
	naiveDump:   "a goroutine dump every 15 s, parsed and counted by state",
}

// interval is how often every variant takes a snapshot and exports.
const interval = 15 * time.Second

// telemetry is the OpenTelemetry SDK as services commonly set it up, and what
// uses it.
type telemetry struct {
	metrics *sdkmetric.MeterProvider
	logs    *sdklog.LoggerProvider
	monitor func(context.Context) error // its Shutdown; may be nil
}

// startVariant starts what a variant has beside the service. It is nil for those
// that have nothing.
func startVariant(ctx context.Context, variant, sink string) (*telemetry, error) {
	if variant == off || variant == offAgain {
		return nil, nil
	}
	t, err := startTelemetry(ctx, sink)
	if err != nil {
		return nil, err
	}
	switch variant {
	case on:
		var m *otelgoroutine.Monitor
		if m, err = otelgoroutine.Start(t.metrics, otelgoroutine.WithLoggerProvider(t.logs)); err == nil {
			t.monitor = m.Shutdown
		}
	case contribOnly:
		err = contrib.Start(contrib.WithMeterProvider(t.metrics))
	case naiveDump:
		t.monitor, err = startNaive(t.metrics)
	default:
		err = fmt.Errorf("no variant %q", variant)
	}
	if err != nil {
		return nil, errors.Join(err, t.shutdown(ctx))
	}
	return t, nil
}

func startTelemetry(ctx context.Context, sink string) (*telemetry, error) {
	metricExporter, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(sink), otlpmetricgrpc.WithInsecure())
	if err != nil {
		return nil, err
	}
	logExporter, err := otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(sink), otlploggrpc.WithInsecure())
	if err != nil {
		return nil, errors.Join(err, metricExporter.Shutdown(ctx))
	}
	res := resource.NewSchemaless(attribute.String("service.name", "otelgoroutine-bench"))
	reader := sdkmetric.NewPeriodicReader(metricExporter, sdkmetric.WithInterval(interval))
	return &telemetry{
		metrics: sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(reader)),
		logs:    sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(sdklog.NewBatchProcessor(logExporter))),
	}, nil
}

// flush exports what there is.
func (t *telemetry) flush(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return errors.Join(t.metrics.ForceFlush(ctx), t.logs.ForceFlush(ctx))
}

func (t *telemetry) shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	var err error
	if t.monitor != nil {
		err = t.monitor(ctx)
	}
	return errors.Join(err, t.metrics.Shutdown(ctx), t.logs.Shutdown(ctx))
}

// The metrics of the naive monitor.
const (
	naiveCount     = "naive.goroutine.count"
	naiveSnapshots = "naive.snapshots"
)

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

// startNaive takes a dump at once and then every interval. What it returns ends
// that.
func startNaive(mp metric.MeterProvider) (shutdown func(context.Context) error, err error) {
	n, err := newNaive(mp)
	if err != nil {
		return nil, err
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			n.take()
			select {
			case <-ticker.C:
			case <-stop:
				return
			}
		}
	}()
	return func(context.Context) error {
		close(stop)
		<-done
		return nil
	}, nil
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
