// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// A report names the traces of a finding and the labels that were allowed, also where
// the values of other labels are left out.
func TestTheRequestsOfAFinding(t *testing.T) {
	r := one(sample(), Options{}, detectors.Finding{
		Detector: "leak", Confidence: detectors.Suspected, Message: "Three are stuck.", Evidence: []string{"They were two."},
		Labels: []goroutine.Label{{Key: "tenant", Value: `a "b"`}},
		Traces: []detectors.Trace{
			{TraceID: "0123456789abcdef0123456789abcdef", SpanID: "00f067aa0ba902b7", Count: 2}, {SpanID: "00f067aa0ba902b8", Count: 1},
		},
	})
	text := textOf(t, r)
	assert.Contains(t, text, `    Started in trace 0123456789abcdef0123456789abcdef, span 00f067aa0ba902b7 (2).
    Started in span 00f067aa0ba902b8 (1).
    Label tenant="a \"b\"".
    - They were two.
`)
	assert.NotContains(t, text, "secret")
	data, err := json.Marshal(r.Findings[0])
	require.NoError(t, err)
	assert.Contains(t, string(data), `"labels":[{"key":"tenant","value":"a \"b\""}],"traces":[{"trace_id":"0123456789abcdef0123456789abcdef","span_id":"00f067aa0ba902b7","count":2},{"span_id":"00f067aa0ba902b8","count":1}]`)
}
