// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Command traced is a server whose requests have spans that label their goroutines.
// One request in a hundred leaves a goroutine behind that waits for good; the trace and
// the span of each of these go to the standard output before that. The goroutines have
// two labels of the service, of which one is allowed in events.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/pprof"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelgoroutine/go/e2e/program"
	"github.com/otelgoroutine/go/otelgoroutine"
	"github.com/otelgoroutine/go/spanlabels"
)

const (
	// leaking is how many requests there are for each that leaks.
	leaking = 100
	// pause is the time between two requests.
	pause = 2 * time.Millisecond
)

func main() { program.Main(start, func() {}) }

func start(ctx context.Context) (stops []func(context.Context) error, err error) {
	metrics, err := otlpmetricgrpc.New(ctx)
	if err != nil {
		return nil, err
	}
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics)))
	otel.SetMeterProvider(meters)
	stops = append(stops, meters.Shutdown)
	exporter, err := otlploggrpc.New(ctx)
	if err != nil {
		return stops, err
	}
	logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)))
	otel.SetLoggerProvider(logs)
	stops = append(stops, logs.Shutdown)
	spans := sdktrace.NewTracerProvider(sdktrace.WithBatcher(discard{}))
	otel.SetTracerProvider(spanlabels.Wrap(spans))
	stops = append(stops, spans.Shutdown)
	monitor, err := otelgoroutine.Start(nil, program.Options(otelgoroutine.WithFindingLabels("tenant"))...)
	if err != nil {
		return stops, err
	}
	stops = append(stops, monitor.Shutdown)
	stop, err := serve()
	return append(stops, stop), err
}

// discard is an exporter that keeps nothing.
type discard struct{}

func (discard) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (discard) Shutdown(context.Context) error                             { return nil }

// serve starts the server and a client that sends it requests.
func serve() (stop func(context.Context) error, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: handler(), ReadHeaderTimeout: time.Minute}
	failed := make(chan error, 2)
	go func() { failed <- server.Serve(listener) }()
	quit := make(chan struct{})
	go func() { failed <- request("http://"+listener.Addr().String(), quit) }()
	return func(ctx context.Context) error {
		close(quit)
		err := errors.Join(<-failed, server.Shutdown(ctx))
		if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}

func handler() http.Handler {
	tracer := otel.Tracer("traced")
	var requests atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := tracer.Start(r.Context(), "GET /", trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		pprof.Do(ctx, pprof.Labels("customer", "secret-customer", "tenant", "shop"), func(context.Context) {
			if requests.Add(1)%leaking == 0 {
				fmt.Printf("leaks %s %s\n", span.SpanContext().TraceID(), span.SpanContext().SpanID())
				go answer(make(chan int))
			}
		})
		_, _ = io.WriteString(w, "ok")
	})
}

// answer waits for a value that is never sent.
func answer(result <-chan int) int { return <-result }

// request sends requests until quit is closed.
func request(url string, quit <-chan struct{}) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-quit:
			http.DefaultClient.CloseIdleConnections()
			return nil
		case <-tick.C:
		}
		response, err := http.Get(url)
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
}
