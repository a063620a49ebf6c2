// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package knowntest

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

func TestMain(m *testing.M) {
	// An export that is under way when its exporter is shut down fails.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	m.Run()
}

// serveOTLP starts receivers that take everything, and returns the addresses
// for gRPC and for HTTP. An empty message is the answer to every request.
func serveOTLP(t *testing.T) (overGRPC, overHTTP string) {
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, ss grpc.ServerStream) error {
		if err := ss.RecvMsg(new(emptypb.Empty)); err != nil {
			return err
		}
		return ss.SendMsg(new(emptypb.Empty))
	}))
	l := listen(t)
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return l.Addr().String(), serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}), false)
}

// soon is often enough for exports to happen while a test runs.
const soon = 100 * time.Millisecond

// An sdk is what a service sets up: metrics, traces and logs with an exporter
// each.
type sdk struct {
	t       *testing.T
	metrics *sdkmetric.MeterProvider
	traces  *sdktrace.TracerProvider
	logs    *sdklog.LoggerProvider
}

// newSDK sets up one that lasts until the test is over and exports that often,
// to one of two addresses.
func newSDK(t *testing.T, overGRPC, overHTTP string, every time.Duration) *sdk {
	if overGRPC != "" {
		return newSDKFor(t, every,
			must(otlpmetricgrpc.New(t.Context(), otlpmetricgrpc.WithInsecure(), otlpmetricgrpc.WithEndpoint(overGRPC))),
			must(otlptracegrpc.New(t.Context(), otlptracegrpc.WithInsecure(), otlptracegrpc.WithEndpoint(overGRPC))),
			must(otlploggrpc.New(t.Context(), otlploggrpc.WithInsecure(), otlploggrpc.WithEndpoint(overGRPC))))
	}
	return newSDKFor(t, every,
		must(otlpmetrichttp.New(t.Context(), otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithEndpoint(overHTTP))),
		must(otlptracehttp.New(t.Context(), otlptracehttp.WithInsecure(), otlptracehttp.WithEndpoint(overHTTP))),
		must(otlploghttp.New(t.Context(), otlploghttp.WithInsecure(), otlploghttp.WithEndpoint(overHTTP))))
}

func newSDKFor(t *testing.T, every time.Duration, m sdkmetric.Exporter, s sdktrace.SpanExporter, l sdklog.Exporter) *sdk {
	k := &sdk{
		t:       t,
		metrics: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(m, sdkmetric.WithInterval(every)))),
		traces:  sdktrace.NewTracerProvider(sdktrace.WithBatcher(s, sdktrace.WithBatchTimeout(every))),
		logs:    sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(l, sdklog.WithExportInterval(every)))),
	}
	t.Cleanup(k.shutdown)
	k.use()
	return k
}

func (k *sdk) use() {
	ctx := context.Background()
	counter := must(k.metrics.Meter("knowntest").Int64Counter("count"))
	counter.Add(ctx, 1)
	_, span := k.traces.Tracer("knowntest").Start(ctx, "span")
	span.End()
	var r log.Record
	r.SetBody(attribute.StringValue("body"))
	k.logs.Logger("knowntest").Emit(ctx, r)
}

func (k *sdk) shutdown() {
	ctx := context.Background()
	require.NoError(k.t, k.metrics.Shutdown(ctx))
	require.NoError(k.t, k.traces.Shutdown(ctx))
	require.NoError(k.t, k.logs.Shutdown(ctx))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
