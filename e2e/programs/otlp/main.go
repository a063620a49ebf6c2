// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Command otlp has the SDK for metrics and logs, with exporters for OTLP over gRPC
// that read the standard variables, and gives both providers to the monitor.
package main

import (
	"context"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/e2e/program"
	"github.com/otelgoroutine/go/otelgoroutine"
)

func main() { program.Main(start, program.Deadlock) }

func start(ctx context.Context) (stops []func(context.Context) error, err error) {
	metricExporter, err := otlpmetricgrpc.New(ctx)
	if err != nil {
		return nil, err
	}
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metricExporter)))
	stops = append(stops, meters.Shutdown)
	logExporter, err := otlploggrpc.New(ctx)
	if err != nil {
		return stops, err
	}
	logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(logExporter)))
	stops = append(stops, logs.Shutdown)
	monitor, err := otelgoroutine.Start(meters, program.Options(otelgoroutine.WithLoggerProvider(logs))...)
	if err != nil {
		return stops, err
	}
	return append(stops, monitor.Shutdown), nil
}
