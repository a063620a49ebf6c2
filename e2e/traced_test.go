// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelgoroutine/go/e2e"
)

// TestALeakNamesItsRequests has a server of which one request in a hundred leaks a
// goroutine: the event is in the trace of such a request. Labels that are not allowed
// arrive nowhere. Goroutine dumps show labels only if the program says so.
func TestALeakNamesItsRequests(t *testing.T) {
	for name, godebug := range map[string]string{"from a labelled profile": "tracebacklabels=0", "from a goroutine dump": "tracebacklabels=1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			receiver := e2e.Receive(t)
			p := e2e.Start(t, "traced", append(receiver.Environment(), "GODEBUG="+godebug)...)
			event := receiver.AwaitEvent(p, "goroutine.leak.detected")
			require.NoError(t, p.Stop())

			spans := make(map[string]string) // of the requests that leaked, by trace
			for _, line := range e2e.Lines(p.Stdout(), "leaks ") {
				fields := strings.Fields(line)
				spans[fields[1]] = fields[2]
			}
			assert.Contains(t, event.Attributes().AsRaw()["code.function.name"], "main.answer")
			require.Contains(t, spans, event.TraceID().String())
			assert.Equal(t, spans[event.TraceID().String()], event.SpanID().String())
			assert.True(t, event.Flags().IsSampled())
			ids, _ := event.Attributes().AsRaw()["goroutine.trace.ids"].([]any)
			assert.Len(t, ids, 10)
			for _, id := range ids {
				assert.Contains(t, spans, id)
			}
			assert.Equal(t, []any{"shop"}, event.Attributes().AsRaw()["goroutine.finding.label.tenant"])
			assert.NotContains(t, received(t, receiver)+p.Stderr(), "secret")
		})
	}
}

// received returns all that has arrived, as JSON.
func received(t *testing.T, r *e2e.Receiver) string {
	t.Helper()
	var all strings.Builder
	metrics, logs := r.Received()
	require.NotEmpty(t, metrics)
	require.NotEmpty(t, logs)
	for _, m := range metrics {
		data, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(m)
		require.NoError(t, err)
		all.Write(data)
	}
	for _, l := range logs {
		data, err := (&plog.JSONMarshaler{}).MarshalLogs(l)
		require.NoError(t, err)
		all.Write(data)
	}
	return all.String()
}
