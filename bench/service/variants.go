package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	contrib "go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
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

// interval is how often every variant looks and exports.
const interval = 15 * time.Second

// telemetry is the OpenTelemetry SDK as services commonly set it up, and what
// uses it.
type telemetry struct {
	metrics *sdkmetric.MeterProvider
	logs    *sdklog.LoggerProvider
	monitor func(context.Context) error // its Shutdown
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
	return &telemetry{
		metrics: sdkmetric.NewMeterProvider(
			sdkmetric.WithResource(res),
			sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metricExporter, sdkmetric.WithInterval(interval))),
		),
		logs: sdklog.NewLoggerProvider(
			sdklog.WithResource(res),
			sdklog.WithProcessor(sdklog.NewBatchProcessor(logExporter)),
		),
		monitor: func(context.Context) error { return nil },
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
	return errors.Join(t.monitor(ctx), t.metrics.Shutdown(ctx), t.logs.Shutdown(ctx))
}
