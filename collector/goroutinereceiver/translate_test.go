// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/metadata"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// sent has what a pipeline sends of a process with twenty stacks and a finding.
func sent(t testing.TB) (*consumertest.MetricsSink, *consumertest.LogsSink) {
	t.Helper()
	metrics, logs := new(consumertest.MetricsSink), new(consumertest.LogsSink)
	p := newTestPipeline(t, next{metrics: metrics, logs: logs})
	s := twentyStacks()
	p.telemetry.Publish(context.Background(), s, s)
	p.telemetry.Emit(context.Background(), finding(s), telemetry.Files{})
	require.NoError(t, p.flush(context.Background(), false))
	return metrics, logs
}

func newTestPipeline(t testing.TB, n next) *pipeline {
	t.Helper()
	to, err := newTranslator(context.Background())
	require.NoError(t, err)
	own, err := newOwnTelemetry(receivertest.NewNopSettings(metadata.Type), func() (n [len(states)]int64, refused int64) { return })
	require.NoError(t, err)
	of := pcommon.NewResource()
	of.Attributes().PutStr("service.name", "shop")
	p, err := newPipeline(own, n, to, &Config{TopStacks: 20}, func() pcommon.Resource { return of }, func(time.Time) (time.Duration, bool) { return time.Second, false })
	require.NoError(t, err)
	t.Cleanup(func() {
		p.close(context.Background())
		require.NoError(t, to.shutdown(context.Background()))
	})
	return p
}

func twentyStacks() *goroutine.Snapshot {
	p := detectortest.NewProcess(1)
	for i := range 20 {
		name := string(rune('a' + i))
		p.Go(detectortest.At(goroutine.ChanReceive, "main."+name+":4", "main.run"+name+":3"), 50)
	}
	return p.Snapshot()
}

func finding(s *goroutine.Snapshot) detectors.Event {
	g := &s.Groups[0]
	return detectors.Event{Kind: detectors.Detected, Time: s.Time, Finding: detectors.Finding{
		ID: "1", Detector: "deadlock", Confidence: detectors.High, Stack: g.Stack, State: g.State, Count: g.Count, Message: "50 goroutines",
		Evidence: []string{strings.Repeat("long ", 20)},
	}}
}

// printSent is the variable that makes the test below print what is sent.
const printSent = "GOROUTINERECEIVER_TEST_PRINT"

// The variables of the Collector's own SDK are not those of the targets.
func TestNoVariableChangesWhatIsSent(t *testing.T) {
	if os.Getenv(printSent) != "" {
		metrics, logs := sent(t)
		text, err := new(pmetric.JSONMarshaler).MarshalMetrics(metrics.AllMetrics()[0])
		require.NoError(t, err)
		events, err := new(plog.JSONMarshaler).MarshalLogs(logs.AllLogs()[0])
		require.NoError(t, err)
		os.Stdout.WriteString("sent: " + withoutTimes(t, text) + withoutTimes(t, events) + "\n")
		return
	}
	run := func(variables ...string) string {
		c := exec.Command(os.Args[0], "-test.run=^TestNoVariableChangesWhatIsSent$")
		for _, v := range os.Environ() {
			if !strings.HasPrefix(v, "OTEL_") {
				c.Env = append(c.Env, v)
			}
		}
		c.Env = append(append(c.Env, printSent+"=1"), variables...)
		out, err := c.CombinedOutput()
		require.NoError(t, err, string(out))
		_, text, ok := strings.Cut(string(out), "sent: ")
		require.True(t, ok, string(out))
		return text
	}
	plain := run()
	assert.Contains(t, plain, "goroutine.stack.goroutine.count")
	assert.Contains(t, plain, "goroutine.deadlock.detected")
	assert.Equal(t, plain, run(
		"OTEL_RESOURCE_ATTRIBUTES=service.name=collector,host.name=x", "OTEL_SERVICE_NAME=collector",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector.invalid:1", "OTEL_EXPORTER_OTLP_HEADERS=a=b", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
		"OTEL_EXPORTER_OTLP_CERTIFICATE=/none", "OTEL_EXPORTER_OTLP_TIMEOUT=1", "OTEL_EXPORTER_OTLP_INSECURE=true",
		"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta",
		"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=base2_exponential_bucket_histogram",
		"OTEL_METRICS_EXEMPLAR_FILTER=always_on", "OTEL_GO_X_CARDINALITY_LIMIT=3",
		"OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT=2", "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT=5", "OTEL_SDK_DISABLED=true",
		"OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none",
	))
}

// withoutTimes returns JSON without the values that differ from run to run, in the order
// of keys, and lists in the order of their text.
func withoutTimes(t *testing.T, text []byte) string {
	t.Helper()
	var all any
	require.NoError(t, json.Unmarshal(text, &all))
	data, err := json.Marshal(ordered(all))
	require.NoError(t, err)
	return string(data)
}

func ordered(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if strings.HasSuffix(key, "UnixNano") {
				delete(v, key)
				continue
			}
			v[key] = ordered(value)
		}
	case []any:
		sorted := make(map[string]any)
		for _, one := range v {
			data, _ := json.Marshal(ordered(one))
			sorted[string(data)] = one
		}
		return sorted
	}
	return v
}

// Nothing but a translation is answered.
func TestReadBack(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, nowhere, nil)
	require.NoError(t, err)
	_, err = readBack{}.RoundTrip(r)
	require.EqualError(t, err, "a request that no translation makes")
}

// Of the events that wait, the oldest give way.
func TestEventsAreBounded(t *testing.T) {
	refusing := consumertest.NewErr(errors.New("no"))
	p := newTestPipeline(t, next{metrics: refusing, logs: refusing})
	s := twentyStacks()
	for range maxPending + 5 {
		p.telemetry.Emit(t.Context(), finding(s), telemetry.Files{})
	}
	require.ErrorContains(t, p.flush(t.Context(), false), "metrics were refused: no")
	require.Len(t, p.events.kept, maxPending)
	p.telemetry.Emit(t.Context(), finding(s), telemetry.Files{})
	records, lost := p.events.take()
	assert.Len(t, records, maxPending)
	assert.Equal(t, 1, lost)
	p.events.putBack(records)
	require.ErrorContains(t, p.flushEvents(t.Context(), true), "64 events were refused and are lost: no")
	assert.Empty(t, p.events.kept)
}

func BenchmarkFlush(b *testing.B) {
	p := newTestPipeline(b, next{metrics: consumertest.NewNop(), logs: consumertest.NewNop()})
	s := twentyStacks()
	b.ReportAllocs()
	for b.Loop() {
		p.telemetry.Publish(b.Context(), s, s)
		if err := p.flush(b.Context(), false); err != nil {
			b.Fatal(err)
		}
	}
}
