package spanlabels

import (
	"context"
	"reflect"
	"runtime/pprof"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// A new Go version may keep labels in another way. Then everything works as before, at
// three times the cost, and this test says so.
func TestTheLayoutOfThisGoVersionIsKnown(t *testing.T) {
	assert.NotNil(t, known)
}

// Without a known layout, runtime/pprof sets the same labels.
func TestWithoutAKnownLayout(t *testing.T) {
	before := known
	defer func() { known = before }()
	for _, l := range []*layout{before, nil} {
		known = l
		tracer := Wrap(sdktrace.NewTracerProvider()).Tracer("test")
		for _, ctx := range []context.Context{t.Context(), pprof.WithLabels(t.Context(), pprof.Labels("user", "u"))} {
			in, span := tracer.Start(ctx, "root")
			traceID, _ := pprof.Label(in, "trace_id")
			spanID, _ := pprof.Label(in, "span_id")
			user, _ := pprof.Label(in, "user")
			want, _ := pprof.Label(ctx, "user")
			assert.Equal(t, span.SpanContext().TraceID().String(), traceID)
			assert.Equal(t, span.SpanContext().SpanID().String(), spanID)
			assert.Equal(t, want, user)
			span.End()
		}
	}
}

// Labels are merged in the order of their keys.
func TestTheKeysAreInOrder(t *testing.T) { assert.Less(t, spanKey, traceKey) }

func TestSameLayout(t *testing.T) {
	for _, tc := range []struct {
		other any
		same  bool
	}{
		{set{}, true}, {struct {
			Set struct{ List []struct{ Key, Value string } }
		}{}, true},
		{[]label{}, true}, {[]string{}, false}, {[]struct{ a string }{}, false}, {[]struct{ a, b, c string }{}, false},
		{[]struct {
			a string
			b []byte
		}{}, false},
		{[]struct {
			a, b [2]uint64
		}{}, false},
		{map[string]string{}, false}, {struct {
			list []label
			hash uint64
		}{}, false},
	} {
		of := reflect.TypeOf(tc.other)
		assert.Equal(t, tc.same, sameLayout(of, reflect.TypeFor[set]()), of)
		assert.Equal(t, tc.same, sameLayout(reflect.TypeFor[set](), of), of)
	}
}

// Two allocations a span: what the labels need, and the wrapper with its context.
func TestTheAllocationsOfASpan(t *testing.T) {
	sdk := sdktrace.NewTracerProvider()
	count := func(tp trace.TracerProvider) float64 {
		tracer := tp.Tracer("test")
		ctx := t.Context()
		return testing.AllocsPerRun(1000, func() {
			_, span := tracer.Start(ctx, "root")
			span.End()
		})
	}
	require.NotNil(t, known)
	assert.LessOrEqual(t, count(Wrap(sdk))-count(sdk), 2.0)
	never := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	assert.Equal(t, count(never), count(Wrap(never)), "a span that is not sampled")
}
