// Command autoexport has the exporters that the standard variables name, for metrics
// and logs, and sets the global providers. Start uses these.
package main

import (
	"context"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/e2e/program"
	"github.com/otelgoroutine/go/otelgoroutine"
)

func main() { program.Main(start, program.Deadlock) }

func start(ctx context.Context) (stops []func(context.Context) error, err error) {
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
	stops = append(stops, logs.Shutdown)
	monitor, err := otelgoroutine.Start(nil, program.Options()...)
	if err != nil {
		return stops, err
	}
	return append(stops, monitor.Shutdown), nil
}
