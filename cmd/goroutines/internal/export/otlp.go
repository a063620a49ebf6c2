// Package export sends what is seen of a process by OTLP, as that process would
// send it itself: same metrics, same events, its own name as the resource.
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

// A Config says where to send to, and as whom.
type Config struct {
	Endpoint string // host:port or a URL; https:// encrypts
	Protocol string // grpc or http/protobuf
	Service  string // service.name
	Instance string // service.instance.id
	Interval time.Duration
	Stacks   int // with series of their own
}

// An Exporter sends for one process.
type Exporter struct {
	Telemetry *telemetry.Telemetry

	metrics *sdkmetric.MeterProvider
	logs    *sdklog.LoggerProvider
}

// CheckEndpoint returns the protocol for an endpoint, or why there is none.
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
	return "", fmt.Errorf("--otlp-protocol %q: allowed are grpc and http/protobuf", protocol)
}

func parseEndpoint(endpoint string) (*url.URL, error) {
	if !strings.Contains(endpoint, "://") {
		endpoint = "http://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("--otlp %q: allowed are host:port, http://host:port and https://host:port", endpoint)
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
	e := &Exporter{
		metrics: sdkmetric.NewMeterProvider(sdkmetric.WithResource(res),
			sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics, sdkmetric.WithInterval(c.Interval)))),
		logs: sdklog.NewLoggerProvider(sdklog.WithResource(res),
			sdklog.WithProcessor(sdklog.NewBatchProcessor(logs, sdklog.WithExportInterval(time.Second)))),
	}
	e.Telemetry, err = telemetry.New(telemetry.Config{MeterProvider: e.metrics, LoggerProvider: e.logs, TopStacks: c.Stacks})
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
	if c.Protocol == "http/protobuf" {
		mo := []otlpmetrichttp.Option{otlpmetrichttp.WithEndpoint(u.Host), otlpmetrichttp.WithURLPath(strings.TrimSuffix(u.Path, "/") + "/v1/metrics")}
		lo := []otlploghttp.Option{otlploghttp.WithEndpoint(u.Host), otlploghttp.WithURLPath(strings.TrimSuffix(u.Path, "/") + "/v1/logs")}
		if u.Scheme == "http" {
			mo, lo = append(mo, otlpmetrichttp.WithInsecure()), append(lo, otlploghttp.WithInsecure())
		}
		metrics, err = otlpmetrichttp.New(ctx, mo...)
		if err == nil {
			logs, err = otlploghttp.New(ctx, lo...)
		}
		return metrics, logs, err
	}
	mo, lo := []otlpmetricgrpc.Option{otlpmetricgrpc.WithEndpoint(u.Host)}, []otlploggrpc.Option{otlploggrpc.WithEndpoint(u.Host)}
	if u.Scheme == "http" {
		mo, lo = append(mo, otlpmetricgrpc.WithInsecure()), append(lo, otlploggrpc.WithInsecure())
	}
	metrics, err = otlpmetricgrpc.New(ctx, mo...)
	if err == nil {
		logs, err = otlploggrpc.New(ctx, lo...)
	}
	return metrics, logs, err
}

// Shutdown sends what is left, at most until ctx is done.
func (e *Exporter) Shutdown(ctx context.Context) error {
	err := errors.Join(e.metrics.ForceFlush(ctx), e.logs.ForceFlush(ctx))
	if e.Telemetry != nil {
		err = errors.Join(err, e.Telemetry.Close())
	}
	return errors.Join(err, e.metrics.Shutdown(ctx), e.logs.Shutdown(ctx))
}
