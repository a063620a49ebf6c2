// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package spanlabels

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// A stopwatch is a provider that measures what its spans take: Start and End together.
type stopwatch struct {
	trace.TracerProvider
	mu   sync.Mutex
	took []float64 // in nanoseconds
}

func (s *stopwatch) Tracer(name string, opts ...trace.TracerOption) trace.Tracer {
	return &stopwatchTracer{s.TracerProvider.Tracer(name, opts...), s}
}

type stopwatchTracer struct {
	trace.Tracer
	watch *stopwatch
}

func (t *stopwatchTracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	began := time.Now()
	ctx, span := t.Tracer.Start(ctx, name, opts...)
	return ctx, &stopwatchSpan{span, t.watch, time.Since(began)}
}

type stopwatchSpan struct {
	trace.Span
	watch *stopwatch
	start time.Duration
}

func (s *stopwatchSpan) End(opts ...trace.SpanEndOption) {
	began := time.Now()
	s.Span.End(opts...)
	end := time.Since(began)
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	s.watch.took = append(s.watch.took, float64(s.start+end))
}

// BenchmarkSpanInRequest measures the span alone, in a request, where its code and data
// are as cold as they are there. The difference is far less noisy than that of whole
// requests, and leaves out the garbage collection of what labels allocate.
func BenchmarkSpanInRequest(b *testing.B) {
	watches := make(map[string]*stopwatch)
	timed := func(name string, wrap func(trace.TracerProvider) trace.TracerProvider) *variant {
		return start(b, name, func(tp trace.TracerProvider) trace.TracerProvider {
			watches[name] = &stopwatch{TracerProvider: wrap(tp)}
			return watches[name]
		})
	}
	variants := []*variant{timed("off", same), timed("again", same), timed("on", labelling)}
	var wall []float64
	for i := range b.N {
		for k := range variants {
			v := variants[(k+i)%len(variants)]
			w, _ := v.requests(b)
			if v.name == "off" {
				wall = append(wall, w)
			}
		}
	}
	off := median(watches["off"].took)
	b.ReportMetric(median(wall), "wall-ns/request")
	b.ReportMetric(off, "off-ns/span")
	for _, name := range []string{"on", "again"} {
		more := median(watches[name].took) - off
		b.ReportMetric(more, name+"-more-ns/span")
		b.ReportMetric(100*more/median(wall), name+"-more-%/request")
	}
}
