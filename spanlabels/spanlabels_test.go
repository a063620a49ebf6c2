// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package spanlabels_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"

	"github.com/otelgoroutine/go/spanlabels"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recording returns an SDK that keeps the spans that have ended.
func recording(opts ...sdktrace.TracerProviderOption) (*sdktrace.TracerProvider, *tracetest.SpanRecorder) {
	recorder := tracetest.NewSpanRecorder()
	return sdktrace.NewTracerProvider(append(opts, sdktrace.WithSpanProcessor(recorder))...), recorder
}

func tracerOf(tp trace.TracerProvider, opts ...spanlabels.Option) trace.Tracer {
	return spanlabels.Wrap(tp, opts...).Tracer("test")
}

type labels map[string]string

// own returns the labels of the goroutine that calls it, as the runtime has them: a
// goroutine inherits them, and waits where the profile can be searched for it.
func own(t testing.TB) labels {
	t.Helper()
	ready, gate := make(chan struct{}), make(chan struct{})
	ended := make(chan struct{})
	go func() { defer close(ended); inherits(ready, gate) }()
	<-ready
	defer func() { close(gate); <-ended }()
	var b strings.Builder
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&b, 0))
	p, err := profile.ParseData([]byte(b.String()))
	require.NoError(t, err)
	for _, sample := range p.Sample {
		for _, l := range sample.Location {
			if strings.HasSuffix(l.Line[0].Function.Name, "spanlabels_test.inherits") {
				found := make(labels)
				for key, values := range sample.Label {
					found[key] = values[0]
				}
				return found
			}
		}
	}
	t.Fatal("the goroutine is not in the profile")
	return nil
}

//go:noinline
func inherits(ready chan<- struct{}, gate <-chan struct{}) {
	close(ready)
	<-gate
}

func of(s trace.Span, more ...string) labels {
	all := labels{"trace_id": s.SpanContext().TraceID().String(), "span_id": s.SpanContext().SpanID().String()}
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

// inContext returns the labels that a context has.
func inContext(ctx context.Context) labels {
	all := make(labels)
	pprof.ForLabels(ctx, func(key, value string) bool { all[key] = value; return true })
	return all
}

func TestASpanLabelsItsGoroutine(t *testing.T) {
	tp, recorder := recording()
	tracer := tracerOf(tp)
	assert.Empty(t, own(t))
	ctx, span := tracer.Start(t.Context(), "root")
	assert.Equal(t, of(span), own(t))
	assert.Equal(t, of(span), inContext(ctx))
	span.End()
	assert.Empty(t, own(t))
	require.Len(t, recorder.Ended(), 1)
}

// The labels of the user's own stay, in the context and on the goroutine.
func TestTheLabelsOfBefore(t *testing.T) {
	tp, _ := recording()
	tracer := tracerOf(tp)
	pprof.Do(t.Context(), pprof.Labels("tenant", "a", "zone", "z"), func(ctx context.Context) {
		mine := labels{"tenant": "a", "zone": "z"}
		in, span := tracer.Start(ctx, "root")
		assert.Equal(t, of(span, "tenant", "a", "zone", "z"), own(t))
		pprof.Do(in, pprof.Labels("shard", "7"), func(context.Context) {
			assert.Equal(t, of(span, "tenant", "a", "zone", "z", "shard", "7"), own(t))
		})
		assert.Equal(t, of(span, "tenant", "a", "zone", "z"), own(t))
		span.End()
		assert.Equal(t, mine, own(t))
	})
	in, span := tracer.Start(t.Context(), "root")
	pprof.Do(in, pprof.Labels("tenant", "a"), func(context.Context) {
		assert.Equal(t, of(span, "tenant", "a"), own(t), "the user's come on top")
	})
	assert.Equal(t, of(span), own(t))
	span.End()
	assert.Empty(t, own(t))
}

// Only local roots label by default.
func TestLocalRoots(t *testing.T) {
	tp, _ := recording()
	remote := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled}))
	for name, tc := range map[string]struct {
		opts          []spanlabels.Option
		child, newest func(root, child, newRoot trace.Span) trace.Span
	}{
		"by default": {nil,
			func(root, _, _ trace.Span) trace.Span { return root },
			func(_, _, newRoot trace.Span) trace.Span { return newRoot }},
		"all": {[]spanlabels.Option{spanlabels.WithAllSpans(), nil},
			func(_, child, _ trace.Span) trace.Span { return child },
			func(_, _, newRoot trace.Span) trace.Span { return newRoot }},
	} {
		t.Run(name, func(t *testing.T) {
			tracer := tracerOf(tp, tc.opts...)
			ctx, root := tracer.Start(remote, "root")
			assert.Equal(t, of(root), own(t))
			assert.Equal(t, trace.TraceID{1}, root.SpanContext().TraceID())
			ctx, child := tracer.Start(ctx, "child")
			assert.Equal(t, of(tc.child(root, child, nil)), own(t))
			_, newRoot := tracer.Start(ctx, "new root", trace.WithNewRoot())
			assert.Equal(t, of(tc.newest(root, child, newRoot)), own(t))
			newRoot.End()
			assert.Equal(t, of(tc.child(root, child, nil)), own(t))
			child.End()
			assert.Equal(t, of(root), own(t))
			root.End()
			assert.Empty(t, own(t))
		})
	}
}

// foreign is a provider whose spans do not tell their parent.
type foreign struct{ trace.TracerProvider }

func (f foreign) Tracer(name string, opts ...trace.TracerOption) trace.Tracer {
	return foreignTracer{f.TracerProvider.Tracer(name, opts...)}
}

type foreignTracer struct{ trace.Tracer }

func (f foreignTracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	ctx, s := f.Tracer.Start(ctx, name, opts...)
	return ctx, struct{ trace.Span }{s}
}

func TestLocalRootsOfAnotherSDK(t *testing.T) {
	tp, _ := recording()
	tracer := tracerOf(foreign{tp})
	ctx, root := tracer.Start(t.Context(), "root")
	ctx, child := tracer.Start(ctx, "child")
	assert.Equal(t, of(root), own(t))
	_, newRoot := tracer.Start(ctx, "new root", trace.WithNewRoot())
	assert.Equal(t, of(newRoot), own(t))
	newRoot.End()
	child.End()
	root.End()
	assert.Empty(t, own(t))
}

// What is not sampled is in no backend; what does nothing costs nothing.
func TestSpansThatDoNotLabel(t *testing.T) {
	never, _ := recording(sdktrace.WithSampler(sdktrace.NeverSample()))
	for name, tp := range map[string]trace.TracerProvider{"not sampled": never, "noop": noop.NewTracerProvider(), "nil": nil} {
		ctx, span := tracerOf(tp).Start(t.Context(), "root")
		assert.Empty(t, own(t), name)
		assert.Empty(t, inContext(ctx), name)
		span.End()
	}
	assert.Equal(t, noop.NewTracerProvider(), spanlabels.Wrap(noop.NewTracerProvider()), "nothing to wrap")
}

func TestWrappingTwiceIsWrappingOnce(t *testing.T) {
	tp, recorder := recording()
	tracer := tracerOf(spanlabels.Wrap(tp))
	ctx, root := tracer.Start(t.Context(), "root")
	_, child := tracer.Start(ctx, "child")
	assert.Equal(t, of(root), own(t))
	child.End()
	root.End()
	assert.Empty(t, own(t))
	assert.Len(t, recorder.Ended(), 2)
}

// The SDK's span is in the context with all its methods. The wrapper passes everything on.
func TestTheSpanIsThatOfTheSDK(t *testing.T) {
	tp, recorder := recording()
	provider := spanlabels.Wrap(tp)
	ctx, span := provider.Tracer("test").Start(t.Context(), "root", trace.WithSpanKind(trace.SpanKindServer))
	inner, ok := trace.SpanFromContext(ctx).(sdktrace.ReadOnlySpan)
	require.True(t, ok)
	assert.Equal(t, "root", inner.Name())
	assert.Equal(t, provider, span.TracerProvider())
	span.SetName("renamed")
	span.SetAttributes(attribute.Int("n", 1))
	span.RecordError(errors.New("failed"))
	assert.True(t, span.IsRecording())
	span.End()
	assert.False(t, span.IsRecording())
	assert.True(t, span.SpanContext().IsValid())
	require.Len(t, recorder.Ended(), 1)
	ended := recorder.Ended()[0]
	assert.Equal(t, "renamed", ended.Name())
	assert.Equal(t, trace.SpanKindServer, ended.SpanKind())
	assert.Equal(t, []attribute.KeyValue{attribute.Int("n", 1)}, ended.Attributes())
	assert.Len(t, ended.Events(), 1)
}

// The context is one of the standard library's: it is cancelled with its parent, and
// needs no goroutine for that.
func TestTheContext(t *testing.T) {
	type key struct{}
	tp, _ := recording()
	parent, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "mine"))
	ctx, span := tracerOf(tp).Start(parent, "root")
	before := runtime.NumGoroutine()
	child, cancelChild := context.WithCancel(ctx)
	defer cancelChild()
	assert.Equal(t, before, runtime.NumGoroutine())
	assert.Equal(t, "mine", child.Value(key{}))
	assert.Nil(t, ctx.Value("other"))
	cancel()
	<-child.Done()
	assert.ErrorIs(t, child.Err(), context.Canceled)
	span.End()
	var none context.Context // the SDK takes it as well
	_, span = tracerOf(tp).Start(none, "no context")
	assert.Equal(t, of(span), own(t))
	span.End()
}

// A second End does nothing, wherever it is called.
func TestEndingTwice(t *testing.T) {
	tp, recorder := recording()
	tracer := tracerOf(tp)
	_, first := tracer.Start(t.Context(), "first")
	first.End()
	_, second := tracer.Start(t.Context(), "second")
	first.End()
	assert.Equal(t, of(second), own(t))
	second.End()
	assert.Len(t, recorder.Ended(), 2)
}

// A goroutine that was started in a span and ends it has the labels of before it, as
// the span's own would.
func TestASpanThatAnotherGoroutineEnds(t *testing.T) {
	tp, _ := recording()
	_, span := tracerOf(tp).Start(t.Context(), "root")
	done := make(chan struct{})
	go func() {
		defer close(done)
		assert.Equal(t, of(span), own(t), "inherited")
		span.End()
		assert.Empty(t, own(t))
	}()
	<-done
	assert.Equal(t, of(span), own(t), "as documented")
	pprof.SetGoroutineLabels(t.Context())
}

// A panic that ends a span is recorded, goes on, and leaves the labels of before.
func TestAPanic(t *testing.T) {
	for name, tc := range map[string]struct {
		value         any
		kind, message string
	}{
		"error": {http.ErrAbortHandler, "*errors.errorString", "net/http: abort Handler"},
		"text":  {"boom", ".string", "boom"},
		"own":   {labels{"a": "b"}, "github.com/otelgoroutine/go/spanlabels_test.labels", "map[a:b]"},
	} {
		for mode, labelled := range map[string]bool{"": false, " over labels": true} {
			stack := labelled
			t.Run(name+mode, func(t *testing.T) {
				tp, recorder := recording()
				plain, plainRecorder := recording()
				run := func(tracer trace.Tracer, ctx context.Context) (recovered any) {
					defer func() { recovered = recover() }()
					_, span := tracer.Start(ctx, "root")
					defer span.End(trace.WithStackTrace(stack))
					panic(tc.value)
				}
				assert.Equal(t, tc.value, run(plain.Tracer("test"), t.Context()))
				ctx, before := t.Context(), labels{}
				if labelled {
					ctx, before = pprof.WithLabels(ctx, pprof.Labels("tenant", "a")), labels{"tenant": "a"}
				}
				assert.Equal(t, tc.value, run(tracerOf(tp), ctx))
				assert.Equal(t, before, own(t))
				pprof.SetGoroutineLabels(t.Context())
				got, want := exception(t, recorder), exception(t, plainRecorder)
				assert.Equal(t, tc.kind, got["exception.type"])
				assert.Equal(t, tc.message, got["exception.message"])
				assert.Equal(t, stack, got["exception.stacktrace"] != "")
				delete(got, "exception.stacktrace")
				delete(want, "exception.stacktrace")
				assert.Equal(t, want, got, "as without the wrapper")
			})
		}
	}
}

// exception returns the attributes of the only event of the only span.
func exception(t *testing.T, recorder *tracetest.SpanRecorder) labels {
	t.Helper()
	require.Len(t, recorder.Ended(), 1)
	events := recorder.Ended()[0].Events()
	require.Len(t, events, 1)
	assert.Equal(t, "exception", events[0].Name)
	all := make(labels)
	for _, a := range events[0].Attributes {
		all[string(a.Key)] = a.Value.AsString()
	}
	return all
}

func TestAPanicThatIsNotToBeRecorded(t *testing.T) {
	tp, recorder := recording(sdktrace.WithoutPanicRecording())
	func() {
		defer func() { assert.Equal(t, "boom", recover()) }()
		_, span := tracerOf(tp, spanlabels.WithoutPanicRecording()).Start(t.Context(), "root")
		defer span.End()
		panic("boom")
	}()
	assert.Empty(t, recorder.Ended()[0].Events())
	assert.Empty(t, own(t))
}

// A goroutine that ends in Goexit leaves nothing behind, as after t.FailNow.
func TestGoexit(t *testing.T) {
	tp, recorder := recording()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, span := tracerOf(tp).Start(context.Background(), "root")
		defer span.End()
		runtime.Goexit()
	}()
	<-done
	require.Len(t, recorder.Ended(), 1)
	assert.Empty(t, recorder.Ended()[0].Events())
}

// Many goroutines start spans at a time, some in one trace, and the labels of each are
// those of its own span.
func TestConcurrentSpans(t *testing.T) {
	tp, recorder := recording()
	tracer := tracerOf(tp, spanlabels.WithAllSpans())
	root, end := tracer.Start(t.Context(), "root")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for i := range 50 {
				ctx := root
				if i%2 == 0 {
					ctx = t.Context()
				}
				in, span := tracer.Start(ctx, "one")
				assert.Equal(t, of(span), inContext(in))
				go span.End()
				span.End()
			}
		})
	}
	wg.Wait()
	end.End()
	assert.Empty(t, own(t))
	assert.LessOrEqual(t, len(recorder.Ended()), 1001)
}

// A goroutine that outlives its span keeps the labels, and neither the span nor the
// context.
func TestAGoroutineThatOutlivesItsSpanDoesNotKeepIt(t *testing.T) {
	tp := sdktrace.NewTracerProvider()
	var collected atomic.Bool
	gate, ended := make(chan struct{}), make(chan struct{})
	ready := make(chan struct{})
	func() {
		type key struct{}
		request := new([1 << 10]byte)
		runtime.AddCleanup(request, func(c *atomic.Bool) { c.Store(true) }, &collected)
		_, span := tracerOf(tp).Start(context.WithValue(context.Background(), key{}, request), "root")
		go func() { defer close(ended); inherits(ready, gate) }()
		span.End()
	}()
	<-ready
	for range 1000 {
		if runtime.GC(); collected.Load() {
			break
		}
	}
	assert.True(t, collected.Load(), "the context of the span is kept")
	close(gate)
	<-ended
}
