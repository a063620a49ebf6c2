// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
)

// The record is in the first trace whose span is known, and counts as sampled: loggers
// may drop what belongs to unsampled traces. Whether it is wanted is asked in that trace.
func TestTheRecordIsInTheTrace(t *testing.T) {
	const one, two, span = "0000000000000000000000000000000a", "0000000000000000000000000000000b", "00000000000000aa"
	for name, tc := range map[string]struct {
		traces []detectors.Trace
		trace  string
		kind   detectors.Kind
	}{
		"none":                 {nil, "", detectors.Detected},
		"one":                  {[]detectors.Trace{{TraceID: one, SpanID: span}}, one, detectors.Detected},
		"the first with both":  {[]detectors.Trace{{SpanID: span}, {TraceID: one}, {TraceID: two, SpanID: span}, {TraceID: one, SpanID: span}}, two, detectors.Detected},
		"no span":              {[]detectors.Trace{{TraceID: one}}, "", detectors.Detected},
		"no trace":             {[]detectors.Trace{{SpanID: span}}, "", detectors.Detected},
		"no IDs of a detector": {[]detectors.Trace{{TraceID: "x", SpanID: span}, {TraceID: one, SpanID: "x"}}, "", detectors.Detected},
		"resolved":             {[]detectors.Trace{{TraceID: one, SpanID: span}}, one, detectors.Resolved},
		"a summary":            {[]detectors.Trace{{TraceID: one, SpanID: span}}, "", detectors.Suppressed},
	} {
		t.Run(name, func(t *testing.T) {
			tel, logs, _ := emitter(t)
			f := finding()
			f.Traces = tc.traces
			tel.Emit(context.Background(), detectors.Event{Kind: tc.kind, Finding: f}, Files{})
			require.Len(t, logs.records, 1)
			r := logs.records[0]
			if tc.trace == "" {
				assert.False(t, r.TraceID().IsValid())
				assert.False(t, r.SpanID().IsValid())
				return
			}
			assert.Equal(t, tc.trace, r.TraceID().String())
			assert.Equal(t, span, r.SpanID().String())
			assert.True(t, r.TraceFlags().IsSampled())
		})
	}
}
