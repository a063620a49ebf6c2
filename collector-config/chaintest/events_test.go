// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelgoroutine/go/internal/otlptest"
)

// An event is a log record as it arrived.
type event struct {
	name, instance string
	record         plog.LogRecord
}

func (e event) attribute(name string) any { return e.record.Attributes().AsRaw()[name] }

func eventsOf(logs plog.Logs) (events []event) {
	for resource, r := range otlptest.Records(logs) {
		events = append(events, event{r.EventName(), otlptest.Attribute(resource.Attributes(), "service.instance.id"), r})
	}
	return events
}

// eventsIn reads the output of the Collector's file exporter. It skips an
// incomplete last line.
func eventsIn(t *testing.T, path string) (events []event) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for line := range bytes.Lines(text) {
		if line[len(line)-1] == '\n' {
			logs, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(line)
			require.NoError(t, err, "%s", line)
			events = append(events, eventsOf(logs)...)
		}
	}
	return events
}

// A store receives logs by OTLP over HTTP, like the stores that events are
// forwarded to.
type store struct {
	*httptest.Server
	mu     sync.Mutex
	events []event
}

func newStore(t *testing.T) *store {
	s := &store{}
	s.Server = httptest.NewServer(otlptest.Handler(s))
	t.Cleanup(s.Close)
	return s
}

// env returns the variable that makes a Collector forward events to the store.
func (s *store) env() string { return "ONWARD_ENDPOINT=" + s.URL }

// Logs implements [otlptest.Sink].
func (s *store) Logs(_ context.Context, logs plog.Logs) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, eventsOf(logs)...)
	return nil
}

// Metrics implements [otlptest.Sink]. No metrics are sent here.
func (s *store) Metrics(context.Context, pmetric.Metrics) error { return nil }

// have returns a check that the store has an event.
func (s *store) have(name, instance string) func() error {
	return func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		return has(s.events, name, instance)
	}
}

func has(events []event, name, instance string) error {
	for _, e := range events {
		if e.name == name && e.instance == instance {
			return nil
		}
	}
	return fmt.Errorf("no %s of %s among %d events", name, instance, len(events))
}

// assertComplete checks that an event has what TELEMETRY.md promises for every
// finding, in a form that stores can show.
func assertComplete(t *testing.T, e event) {
	t.Helper()
	for _, name := range []string{
		"goroutine.finding.id", "goroutine.finding.confidence", "goroutine.finding.goroutine.count",
		"goroutine.finding.growth_per_minute", "goroutine.finding.evidence",
		"goroutine.detector.name", "goroutine.stack.id", "goroutine.state", "goroutine.detailed_state", "goroutine.ids",
		"code.function.name", "code.file.path", "code.line.number", "code.stacktrace",
	} {
		assert.NotNil(t, e.attribute(name), "%s of %s", name, e.name)
	}
	if e.record.SeverityNumber() != plog.SeverityNumberInfo { // told from one snapshot, which shows no age
		assert.NotNil(t, e.attribute("goroutine.finding.age"), e.name)
	}
	assert.NotEmpty(t, e.name)
	assert.Equal(t, e.name, e.attribute("event.name"), "for stores that drop the name")
	assert.Contains(t, e.attribute("code.stacktrace"), "\n    ", "a line for each frame")
	assert.NotContains(t, e.attribute("code.stacktrace"), "\t")
	assert.NotEmpty(t, e.record.Body().Str())
	assert.NotZero(t, e.record.SeverityNumber())
	assert.NotZero(t, e.record.Timestamp())
	assert.NotEmpty(t, e.attribute("goroutine.finding.evidence"))
}
