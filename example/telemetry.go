package main

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
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
	var metricOptions []otlpmetricgrpc.Option
	var logOptions []otlploggrpc.Option
	if addr != "" {
		metricOptions = append(metricOptions, otlpmetricgrpc.WithEndpoint(addr), otlpmetricgrpc.WithInsecure())
		logOptions = append(logOptions, otlploggrpc.WithEndpoint(addr), otlploggrpc.WithInsecure())
	}
	metricExporter, err := otlpmetricgrpc.New(ctx, metricOptions...)
	if err != nil {
		return nil, err
	}
	logExporter, err := otlploggrpc.New(ctx, logOptions...)
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
