// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package export sends what watch observes in a process over OTLP. It sends the
// same metrics and events as the library inside the process would, with the
// observed process as the resource.
package export

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/otelgoroutine/go/internal/telemetry"
)

// A Config specifies the endpoint and the resource.
type Config struct {
	Endpoint string // host:port or a URL; https:// encrypts
	Protocol string // grpc or http/protobuf
	Service  string // service.name
	Instance string // service.instance.id
	Interval time.Duration
	Stacks   int                                             // number of stacks with series of their own
	Age      func(time.Time) (age time.Duration, stale bool) // of the newest snapshot; see telemetry.Config
	Health   *Health                                         // that hears how exports end; may be shared
}

// An Exporter sends the telemetry of one process.
type Exporter struct {
	Telemetry *telemetry.Telemetry

	metrics *sdkmetric.MeterProvider
	logs    *sdklog.LoggerProvider
	health  *Health
}

// CheckEndpoint validates an endpoint and a protocol. It returns the protocol,
// or the one that the endpoint's port suggests if protocol is empty.
func CheckEndpoint(endpoint, protocol string) (string, error) {
	u, err := parseEndpoint(endpoint)
	if err != nil {
		return "", err
	}
	switch protocol {
	case "grpc", "http/protobuf":
		return protocol, nil
	case "":
		if u.Port() == "4318" {
			return "http/protobuf", nil
		}
		return "grpc", nil
	}
	return "", fmt.Errorf("--otlp-protocol %q is unknown; it must be grpc or http/protobuf", protocol)
}

func parseEndpoint(endpoint string) (*url.URL, error) {
	address := endpoint
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("--otlp %q is no endpoint; it must be host:port, http://host:port or https://host:port", endpoint)
	}
	return u, nil
}

// New returns an exporter. It connects when there is something to send.
func New(ctx context.Context, c Config) (*Exporter, error) {
	metrics, logs, err := exporters(ctx, c)
	if err != nil {
		return nil, err
	}
	res := resource.NewSchemaless(
		attribute.String("service.name", c.Service),
		attribute.String("service.instance.id", c.Instance),
		attribute.String("telemetry.sdk.language", "go"),
	)
	metrics, logs = &metricExporter{metrics, c.Health}, &logExporter{logs, c.Health}
	e := &Exporter{
		health: c.Health,
		metrics: sdkmetric.NewMeterProvider(sdkmetric.WithResource(res),
			sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics, sdkmetric.WithInterval(c.Interval)))),
		logs: sdklog.NewLoggerProvider(sdklog.WithResource(res),
			sdklog.WithProcessor(sdklog.NewBatchProcessor(logs, sdklog.WithExportInterval(time.Second)))),
	}
	e.Telemetry, err = telemetry.New(telemetry.Config{MeterProvider: e.metrics, LoggerProvider: e.logs, TopStacks: c.Stacks, Age: c.Age})
	if err != nil {
		return nil, errors.Join(err, e.Shutdown(ctx))
	}
	return e, nil
}

func exporters(ctx context.Context, c Config) (sdkmetric.Exporter, sdklog.Exporter, error) {
	u, err := parseEndpoint(c.Endpoint)
	if err != nil {
		return nil, nil, err
	}
	var metrics sdkmetric.Exporter
	var logs sdklog.Exporter
	var errs [2]error
	if c.Protocol == "http/protobuf" {
		metrics, errs[0] = otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(u.JoinPath("v1/metrics").String()))
		logs, errs[1] = otlploghttp.New(ctx, otlploghttp.WithEndpointURL(u.JoinPath("v1/logs").String()))
	} else {
		metrics, errs[0] = otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpointURL(u.String()))
		logs, errs[1] = otlploggrpc.New(ctx, otlploggrpc.WithEndpointURL(u.String()))
	}
	return metrics, logs, errors.Join(errs[:]...)
}

// Shutdown sends what is still buffered. It stops trying when ctx ends.
func (e *Exporter) Shutdown(ctx context.Context) error {
	err := errors.Join(e.metrics.ForceFlush(ctx), e.logs.ForceFlush(ctx), e.health.Err())
	if e.Telemetry != nil {
		err = errors.Join(err, e.Telemetry.Close())
	}
	return errors.Join(err, e.metrics.Shutdown(ctx), e.logs.Shutdown(ctx))
}
