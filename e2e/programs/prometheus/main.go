// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Command prometheus has metrics with the Prometheus exporter and no logs, as most
// services do. It serves /metrics and writes the URL to the standard output.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/e2e/program"
	"github.com/otelgoroutine/go/otelgoroutine"
)

func main() { program.Main(start, program.Deadlock) }

func start(context.Context) (stops []func(context.Context) error, err error) {
	registry := prometheus.NewRegistry()
	labels := attribute.NewAllowKeysFilter("service.version", "team") // docs/backends.md
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithResourceAsConstantLabels(labels))
	if err != nil {
		return nil, err
	}
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))
	otel.SetMeterProvider(meters)
	stops = append(stops, meters.Shutdown)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return stops, err
	}
	server := &http.Server{Handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{})}
	go func() { _ = server.Serve(listener) }()
	stops = append(stops, server.Shutdown)
	fmt.Printf("http://%s/metrics\n", listener.Addr())
	monitor, err := otelgoroutine.Start(nil, program.Options()...)
	if err != nil {
		return stops, err
	}
	return append(stops, monitor.Shutdown), nil
}
