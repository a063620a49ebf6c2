// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package spanlabels wraps a TracerProvider so that spans label their goroutines:
// while a span is under way, the goroutine that started it, and every goroutine that
// is started from there with go, has the pprof labels trace_id and span_id.
//
//	otel.SetTracerProvider(spanlabels.Wrap(provider))
//
// Package otelgoroutine reads these labels: the event about a leak or a deadlock then
// names the traces that its goroutines were started in. Profiles of CPU time and of
// goroutines show the labels as well.
//
// Only sampled spans label their goroutine, because no backend has the others: a
// goroutine that leaks in a trace that is not sampled names none. By default only
// local roots do, the spans whose parent is remote or missing, as that of a request
// to a server. Goroutines inherit the labels of the go statement's goroutine, so that
// what works for a request later, in a pool of workers, has no labels of it, unless the
// worker starts a span and [WithAllSpans] is given.
//
// The cost is that of five small allocations a span, for sampled local roots; other
// spans pay a few nanoseconds. docs/requests.md has it measured.
package spanlabels

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"runtime/pprof"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"
)

type config struct{ all, noPanics bool }

// An Option changes what [Wrap] does.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// WithAllSpans lets every sampled span label its goroutine, not only local roots. A
// span that is started while another one is under way takes the labels over until it
// ends. It costs more for each inner span, which has labels to keep.
func WithAllSpans() Option { return optionFunc(func(c *config) { c.all = true }) }

// WithoutPanicRecording leaves panics unrecorded. A span of the SDK that a panic ends
// records it as an event, for which the SDK must be called by the deferred function
// itself; so the wrapper does it in the same way. Give this option with a provider that
// has the SDK's option of the same name.
func WithoutPanicRecording() Option { return optionFunc(func(c *config) { c.noPanics = true }) }

// Wrap returns a TracerProvider whose spans label their goroutines. It starts no
// goroutine and registers nothing; shut down the provider that was given. It is safe for
// concurrent use, as are its tracers and spans.
//
// A span's context has the labels, beside those that the context had before, so that
// pprof.Do keeps them. [trace.Span.End] gives the goroutine the labels of the context
// that the span was started with, as pprof.Do does. So a span must be ended on the
// goroutine that started it, and before the spans that were under way then, as with
// defer. If another goroutine ends it, that goroutine has the labels of that context
// from then on, and the first one keeps those of the span until its next span.
//
// The span that Start returns is a wrapper. The context has the span of tp itself, as
// trace.SpanFromContext returns it, with all its methods; ending that one leaves the
// labels.
//
// Give Wrap the provider of the SDK. The global provider from before the SDK is set up
// must not become the global one again, wrapped or not: it would wait for itself. A nil
// tp is a provider that does nothing. Such a provider, and one that is wrapped already,
// is not wrapped once more; the options given last count.
func Wrap(tp trace.TracerProvider, opts ...Option) trace.TracerProvider {
	switch p := tp.(type) {
	case nil:
		return noop.NewTracerProvider()
	case noop.TracerProvider, *noop.TracerProvider:
		return tp
	case *provider:
		tp = p.wrapped
	}
	p := &provider{wrapped: tp}
	for _, o := range opts {
		if o != nil {
			o.apply(&p.config)
		}
	}
	return p
}

type provider struct {
	embedded.TracerProvider
	wrapped trace.TracerProvider
	config  config
}

// Tracer implements [trace.TracerProvider].
func (p *provider) Tracer(name string, opts ...trace.TracerOption) trace.Tracer {
	return &tracer{wrapped: p.wrapped.Tracer(name, opts...), provider: p}
}

type tracer struct {
	embedded.Tracer
	wrapped  trace.Tracer
	provider *provider
}

// Start implements [trace.Tracer].
func (t *tracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	if ctx == nil {
		ctx = context.Background() // as the SDK
	}
	child, s := t.wrapped.Start(ctx, name, opts...)
	sc := s.SpanContext()
	if !sc.IsSampled() || !sc.IsValid() || !t.provider.config.all && !localRoot(ctx, sc) {
		return child, s
	}
	child = withLabels(child, sc)
	pprof.SetGoroutineLabels(child)
	return child, &span{Span: s, tracer: t, before: ctx}
}

// localRoot reports whether a span has no parent in this process. Asking the SDK's span
// for its parent takes twice the time, and reading the options more than that.
func localRoot(ctx context.Context, sc trace.SpanContext) bool {
	parent := trace.SpanContextFromContext(ctx)
	return !parent.IsValid() || parent.IsRemote() || parent.TraceID() != sc.TraceID()
}

// A span restores the labels of its goroutine when it ends.
type span struct {
	trace.Span
	tracer *tracer
	before context.Context // has the labels of before
	ended  atomic.Bool
}

// End implements [trace.Span].
func (s *span) End(opts ...trace.SpanEndOption) {
	if s.ended.CompareAndSwap(false, true) {
		pprof.SetGoroutineLabels(s.before)
		if !s.tracer.provider.config.noPanics {
			if p := recover(); p != nil {
				defer panic(p)
				s.panicked(p, opts)
			}
		}
	}
	s.Span.End(opts...)
}

// panicked records a panic as the SDK would.
func (s *span) panicked(p any, opts []trace.SpanEndOption) {
	t := reflect.TypeOf(p)
	name := t.PkgPath() + "." + t.Name()
	if name == "." {
		name = t.String()
	}
	attrs := []attribute.KeyValue{attribute.String("exception.type", name), attribute.String("exception.message", fmt.Sprint(p))}
	if c := trace.NewSpanEndConfig(opts...); c.StackTrace() {
		stack := make([]byte, 2<<10) // as much as the SDK
		attrs = append(attrs, attribute.String("exception.stacktrace", string(stack[:runtime.Stack(stack, false)])))
	}
	s.AddEvent("exception", trace.WithAttributes(attrs...))
}

// TracerProvider implements [trace.Span].
func (s *span) TracerProvider() trace.TracerProvider { return s.tracer.provider }
