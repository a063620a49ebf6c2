// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelgoroutine/go/detectors"
)

// inTrace returns a context with the first trace of an event's finding whose span is
// known, or ctx if there is none. A summary is about no finding alone. The trace counts as sampled: package spanlabels labels no others,
// and a logger that drops what belongs to unsampled traces must not drop an alarm.
func inTrace(ctx context.Context, e detectors.Event) context.Context {
	if e.Kind == detectors.Suppressed {
		return ctx
	}
	for _, t := range e.Finding.Traces {
		id, err := trace.TraceIDFromHex(t.TraceID)
		if err != nil {
			continue
		}
		if span, err := trace.SpanIDFromHex(t.SpanID); err == nil {
			return trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: id, SpanID: span, TraceFlags: trace.FlagsSampled, Remote: true,
			}))
		}
	}
	return ctx
}

// appendOrigin appends the traces of a finding and the labels of its goroutines.
func appendOrigin(attrs []attribute.KeyValue, f *detectors.Finding) []attribute.KeyValue {
	var ids []string
	for _, t := range f.Traces[:min(len(f.Traces), detectors.MaxTraces)] {
		if t.TraceID != "" {
			ids = append(ids, clip(t.TraceID, maxLabel))
		}
	}
	if len(ids) > 0 {
		attrs = append(attrs, attribute.StringSlice(AttrTraceIDs, ids))
	}
	var keys []string
	values := make(map[string][]string)
	for _, l := range f.Labels[:min(len(f.Labels), detectors.MaxLabels)] {
		if values[l.Key] == nil {
			keys = append(keys, l.Key)
		}
		values[l.Key] = append(values[l.Key], clip(l.Value, maxLabel))
	}
	for _, key := range keys {
		attrs = append(attrs, attribute.StringSlice(clip(findingLabelPrefix+key, maxName), values[key]))
	}
	return attrs
}
