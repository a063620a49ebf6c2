// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package spanlabels

import (
	"context"
	"encoding/hex"
	"runtime/pprof"

	"go.opentelemetry.io/otel/trace"
)

// The keys of the labels, in the order in which runtime/pprof keeps them.
const (
	spanKey  = "span_id"
	traceKey = "trace_id"
)

const (
	traceDigits = 2 * len(trace.TraceID{})
	spanDigits  = 2 * len(trace.SpanID{})
)

// withLabels returns a context with the labels of a span, beside those that it has. The
// labels keep nothing else of the span alive: a goroutine that outlives it has them.
func withLabels(ctx context.Context, sc trace.SpanContext) context.Context {
	traceID, spanID := sc.TraceID(), sc.SpanID()
	var digits [traceDigits + spanDigits]byte
	hex.Encode(digits[:traceDigits], traceID[:])
	hex.Encode(digits[traceDigits:], spanID[:])
	ids := string(digits[:]) // one allocation for both
	return pprof.WithLabels(ctx, pprof.Labels(spanKey, ids[traceDigits:], traceKey, ids[:traceDigits]))
}
