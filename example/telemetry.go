// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
)

// telemetry is the OpenTelemetry SDK in its common setup: metrics through a
// periodic reader and logs through a batch processor, both exported over OTLP.
// Nothing in it is specific to otelgoroutine.
type telemetry struct {
	metrics *sdkmetric.MeterProvider
	logs    *sdklog.LoggerProvider
}

// startTelemetry exports to addr or, if addr is empty, to the endpoint that the
// environment specifies.
func startTelemetry(ctx context.Context, addr string, every time.Duration) (*telemetry, error) {
	metricExporter, err := newMetricExporter(ctx, addr)
	if err != nil {
		return nil, err
	}
	logExporter, err := newLogExporter(ctx, addr)
	if err != nil {
		return nil, errors.Join(err, metricExporter.Shutdown(ctx))
	}
	res, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithService(), // service.instance.id, which distinguishes replicas
		resource.WithAttributes(attribute.String("service.name", "otelgoroutine-example")),
		resource.WithFromEnv(), // last, so that OTEL_SERVICE_NAME wins
	)
	if err != nil {
		return nil, errors.Join(err, metricExporter.Shutdown(ctx), logExporter.Shutdown(ctx))
	}
	return &telemetry{
		metrics: sdkmetric.NewMeterProvider(
			sdkmetric.WithResource(res),
			sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metricExporter, sdkmetric.WithInterval(every))),
		),
		logs: sdklog.NewLoggerProvider(
			sdklog.WithResource(res),
			sdklog.WithProcessor(sdklog.NewBatchProcessor(logExporter, sdklog.WithExportInterval(every))),
		),
	}, nil
}

// shutdown exports the remaining telemetry and stops the exporters. The flush
// waits for an export in progress, which Shutdown alone would abort.
func (t *telemetry) shutdown(ctx context.Context) error {
	return errors.Join(t.metrics.ForceFlush(ctx), t.metrics.Shutdown(ctx), t.logs.Shutdown(ctx))
}

func newMetricExporter(ctx context.Context, addr string) (sdkmetric.Exporter, error) {
	switch {
	case addr != "":
		return otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(addr), otlpmetricgrpc.WithInsecure())
	case overHTTP("METRICS"):
		return otlpmetrichttp.New(ctx)
	}
	return otlpmetricgrpc.New(ctx)
}

func newLogExporter(ctx context.Context, addr string) (sdklog.Exporter, error) {
	switch {
	case addr != "":
		return otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(addr), otlploggrpc.WithInsecure())
	case overHTTP("LOGS"):
		return otlploghttp.New(ctx)
	}
	return otlploggrpc.New(ctx)
}

// overHTTP reports whether the environment asks for OTLP over HTTP. The exporters
// read all other variables themselves.
func overHTTP(signal string) bool {
	protocol := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"))
	return protocol == "http/protobuf"
}
