// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package exporters sets the global providers as services do that are told by the
// standard variables of OpenTelemetry how to export.
package exporters

import (
	"context"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// SetGlobal sets the global providers of metrics and logs. It returns what stops them,
// also beside an error.
func SetGlobal(ctx context.Context) (stops []func(context.Context) error, err error) {
	reader, err := autoexport.NewMetricReader(ctx)
	if err != nil {
		return nil, err
	}
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	otel.SetMeterProvider(meters)
	stops = append(stops, meters.Shutdown)
	exporter, err := autoexport.NewLogExporter(ctx)
	if err != nil {
		return stops, err
	}
	logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)))
	otel.SetLoggerProvider(logs)
	return append(stops, logs.Shutdown), nil
}
