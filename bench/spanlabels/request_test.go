// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package spanlabels

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sys/unix"

	"github.com/otelgoroutine/go/spanlabels"
)

// discard is an exporter that keeps nothing.
type discard struct{}

func (discard) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (discard) Shutdown(context.Context) error                             { return nil }

// A variant is a server whose requests start one span each, and a client of it.
type variant struct {
	name   string
	url    string
	client *http.Client
}

func answer(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

// start starts a server with the usual instrumentation, the SDK and a batch processor
// whose exporter keeps nothing.
func start(b *testing.B, name string, wrap func(trace.TracerProvider) trace.TracerProvider) *variant {
	b.Helper()
	sdk := sdktrace.NewTracerProvider(sdktrace.WithBatcher(discard{}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: otelhttp.NewHandler(http.HandlerFunc(answer), "bench",
		otelhttp.WithTracerProvider(wrap(sdk)), otelhttp.WithPropagators(propagation.TraceContext{}))}
	go server.Serve(listener)
	transport := &http.Transport{}
	b.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		_ = sdk.Shutdown(context.Background())
	})
	return &variant{name, "http://" + listener.Addr().String() + "/", &http.Client{Transport: transport}}
}

func same(tp trace.TracerProvider) trace.TracerProvider { return tp }

func labelling(tp trace.TracerProvider) trace.TracerProvider { return spanlabels.Wrap(tp) }

// block is how many requests are made of a variant before it is the turn of the next.
const block = 20

// requests makes a block of requests and returns what each took of the clock and of the
// processors.
func (v *variant) requests(b *testing.B) (wall, cpu float64) {
	before, began := processors(b), time.Now()
	for range block {
		response, err := v.client.Get(v.url)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	return float64(time.Since(began)) / block, float64(processors(b)-before) / block
}

// processors returns the CPU time that this process has used.
func processors(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// BenchmarkRequest compares a request over loopback whose span labels its goroutine with
// the same request without that. The variants take turns, in blocks; "again" is a
// second server like "off", and shows the noise. An operation is a block of each.
func BenchmarkRequest(b *testing.B) {
	variants := []*variant{start(b, "off", same), start(b, "again", same), start(b, "on", labelling)}
	for range 5 {
		for _, v := range variants {
			v.requests(b)
		}
	}
	wall, cpu := make(map[string][]float64), make(map[string][]float64)
	b.ResetTimer()
	for i := range b.N {
		order := slices.Clone(variants)
		for k := range order {
			v := order[(k+i)%len(order)]
			w, c := v.requests(b)
			wall[v.name], cpu[v.name] = append(wall[v.name], w), append(cpu[v.name], c)
		}
	}
	b.ReportMetric(median(wall["off"]), "wall-ns/request")
	b.ReportMetric(median(cpu["off"]), "cpu-ns/request")
	for name, of := range map[string]map[string][]float64{"wall": wall, "cpu": cpu} {
		for _, v := range variants[1:] {
			more, noise := ratio(of[v.name], of["off"])
			b.ReportMetric(more, fmt.Sprintf("%s-%s-%%", name, v.name))
			b.ReportMetric(noise, fmt.Sprintf("%s-%s-±%%", name, v.name))
		}
	}
}

// segments is how many parts of a run are compared by themselves, to see how far they
// agree.
const segments = 20

// ratio returns by how many percent the lower quartile of a is more than that of b, and
// twice the standard error of that, from the same in each segment of the run. The lower
// quartile is that of blocks in which the machine did nothing else.
func ratio(a, b []float64) (more, noise float64) {
	var each []float64
	for i := range segments {
		from, to := i*len(a)/segments, (i+1)*len(a)/segments
		if to > from {
			each = append(each, 100*(quartile(a[from:to])/quartile(b[from:to])-1))
		}
	}
	n := float64(len(each))
	for _, e := range each {
		more += e / n
	}
	for _, e := range each {
		noise += (e - more) * (e - more) / max(n-1, 1)
	}
	return more, 2 * math.Sqrt(noise/n)
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

func quartile(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/4]
}

// BenchmarkSpan has a span alone, started in a context like that of a request: the time
// and the memory that labels add to it.
func BenchmarkSpan(b *testing.B) {
	sdk := sdktrace.NewTracerProvider()
	for name, tp := range map[string]trace.TracerProvider{"off": sdk, "on": spanlabels.Wrap(sdk)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			tracer := tp.Tracer("bench")
			ctx := context.WithValue(b.Context(), http.ServerContextKey, "server")
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			for b.Loop() {
				_, span := tracer.Start(ctx, "GET /")
				span.End()
			}
		})
	}
}
