// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Command bridges has logs over OTLP, and its log lines go there as well: slog's
// default writes to the SDK through the bridge that E2E_BRIDGE names, otelslog or
// otelzap. With E2E_EVENTS=provider, events have the SDK's LoggerProvider; with
// E2E_EVENTS=slog they have none, and slog's default is all that there is.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/contrib/bridges/otelzap"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.uber.org/zap/exp/zapslog"

	"github.com/otelgoroutine/go/e2e/program"
	"github.com/otelgoroutine/go/otelgoroutine"
)

func main() { program.Main(start, program.Deadlock) }

func start(ctx context.Context) (stops []func(context.Context) error, err error) {
	exporter, err := otlploggrpc.New(ctx)
	if err != nil {
		return nil, err
	}
	logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)))
	stops = append(stops, logs.Shutdown)
	handler, err := bridge(os.Getenv("E2E_BRIDGE"), logs)
	if err != nil {
		return stops, err
	}
	slog.SetDefault(slog.New(handler))
	slog.Info("a line of the service")
	switch events := os.Getenv("E2E_EVENTS"); events {
	case "provider":
		otel.SetLoggerProvider(logs)
	case "slog":
	default:
		return stops, fmt.Errorf("E2E_EVENTS=%s: must be provider or slog", events)
	}
	monitor, err := otelgoroutine.Start(nil, program.Options()...)
	if err != nil {
		return stops, err
	}
	return append(stops, monitor.Shutdown), nil
}

func bridge(name string, logs log.LoggerProvider) (slog.Handler, error) {
	switch name {
	case "otelslog":
		return otelslog.NewHandler("e2e", otelslog.WithLoggerProvider(logs)), nil
	case "otelzap":
		return zapslog.NewHandler(otelzap.NewCore("e2e", otelzap.WithLoggerProvider(logs))), nil
	}
	return nil, fmt.Errorf("E2E_BRIDGE=%s: must be otelslog or otelzap", name)
}
