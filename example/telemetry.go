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

// telemetry is the OpenTelemetry SDK as services commonly set it up: metrics
// through a periodic reader, logs through a batch processor, both to OTLP.
// Nothing in it is special to otelgoroutine.
type telemetry struct {
	metrics *sdkmetric.MeterProvider
	logs    *sdklog.LoggerProvider
}

// startTelemetry exports to addr, or, where that is empty, to where the
// environment says.
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
		resource.WithService(), // service.instance.id, which tells replicas apart
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

// shutdown exports what is left and ends the exporters. The flush waits for an
// export that is under way, which Shutdown alone would cut off.
func (t *telemetry) shutdown(ctx context.Context) error {
	return errors.Join(t.metrics.ForceFlush(ctx), t.metrics.Shutdown(ctx), t.logs.Shutdown(ctx))
}
