// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Command noop has providers that do nothing and a logger that discards, so that
// nothing could be heard. After thirty intervals it writes to its standard output what
// has happened in them, as a [program.Cost]. With E2E_HEARD=1 a subscriber hears it.
package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	lognoop "go.opentelemetry.io/otel/log/noop"
	metricnoop "go.opentelemetry.io/otel/metric/noop"

	"github.com/otelgoroutine/go/e2e/program"
	"github.com/otelgoroutine/go/otelgoroutine"
)

func main() { program.Main(start, program.Deadlock) }

func start(context.Context) (stops []func(context.Context) error, err error) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	meters, logs := metricnoop.NewMeterProvider(), lognoop.NewLoggerProvider()
	otel.SetMeterProvider(meters)
	otel.SetLoggerProvider(logs)
	meter := program.NewCostMeter()
	monitor, err := otelgoroutine.Start(meters, program.Options(
		otelgoroutine.WithLoggerProvider(logs), otelgoroutine.WithDetectors(meter.Detector()))...)
	if err != nil {
		return nil, err
	}
	if os.Getenv("E2E_HEARD") != "" {
		monitor.Subscribe(func(otelgoroutine.Update) {})
	}
	go func() {
		time.Sleep(5 * otelgoroutine.MinInterval) // what happens once
		meter.Begin()
		time.Sleep(30 * otelgoroutine.MinInterval)
		_ = json.NewEncoder(os.Stdout).Encode(meter.Read())
	}()
	return append(stops, monitor.Shutdown), nil
}
