// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package spanlabels

import (
	"testing"

	"github.com/stretchr/testify/assert"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// runtime/pprof sorts labels that are not in the order of their keys.
func TestTheKeysAreInOrder(t *testing.T) { assert.Less(t, spanKey, traceKey) }

// Five allocations a span: the digits of the IDs, three of runtime/pprof, and the wrapper.
func TestTheAllocationsOfASpan(t *testing.T) {
	count := func(tp trace.TracerProvider) float64 {
		tracer := tp.Tracer("test")
		ctx := t.Context()
		return testing.AllocsPerRun(1000, func() {
			_, span := tracer.Start(ctx, "root")
			span.End()
		})
	}
	sdk := sdktrace.NewTracerProvider()
	assert.LessOrEqual(t, count(Wrap(sdk))-count(sdk), 5.0)
	never := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	assert.Equal(t, count(never), count(Wrap(never)), "a span that is not sampled")
}
