// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Command otelconf has its telemetry from a file of OpenTelemetry's declarative
// configuration, which OTEL_EXPERIMENTAL_CONFIG_FILE names, and so has its monitor: from
// the node of this library below instrumentation/development.
package main

import (
	"context"
	"os"

	otelconf "go.opentelemetry.io/contrib/otelconf/x"

	"github.com/otelgoroutine/go/e2e/program"
	"github.com/otelgoroutine/go/otelgoroutine"
)

func main() { program.Main(start, program.Deadlock) }

func start(context.Context) (stops []func(context.Context) error, err error) {
	file, err := os.ReadFile(os.Getenv("OTEL_EXPERIMENTAL_CONFIG_FILE"))
	if err != nil {
		return nil, err
	}
	conf, err := otelconf.ParseYAML(file)
	if err != nil {
		return nil, err
	}
	sdk, err := otelconf.NewSDK(otelconf.WithOpenTelemetryConfiguration(*conf))
	if err != nil {
		return nil, err
	}
	stops = append(stops, sdk.Shutdown)
	options := []otelgoroutine.Option{otelgoroutine.WithLoggerProvider(sdk.LoggerProvider())}
	if node := conf.InstrumentationDevelopment; node != nil {
		options = append(options, otelgoroutine.WithSettings(node.Go["otelgoroutine"]))
	}
	monitor, err := otelgoroutine.Start(sdk.MeterProvider(), program.Options(options...)...)
	if err != nil {
		return stops, err
	}
	return append(stops, monitor.Shutdown), nil
}
