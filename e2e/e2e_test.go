// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelgoroutine/go/e2e"
	"github.com/otelgoroutine/go/e2e/program"
)

func TestMain(m *testing.M) { e2e.Main(m) }

// assertTold checks the event about the fault of the programs.
func assertTold(t *testing.T, event plog.LogRecord) {
	t.Helper()
	assertSentence(t, event.Body().Str())
	raw := event.Attributes().AsRaw()
	assert.Equal(t, "deadlock", raw["goroutine.detector.name"])
	assert.NotEmpty(t, raw["code.stacktrace"])
}

// assertSentence checks what people are told about the fault: what and where.
func assertSentence(t *testing.T, text string) {
	t.Helper()
	assert.Contains(t, text, program.Sentence)
	assert.Regexp(t, program.Place, text)
}

// starved matches what the monitor says of a machine on which a capture waits for ten
// seconds until it may run.
var starved = regexp.MustCompile(`(?m)^.* otelgoroutine: snapshot from source "trace\w*": (hung|deadline): .*\n`)

// assertQuiet checks that a program has written nothing to its standard error.
func assertQuiet(t *testing.T, p *e2e.Process) {
	t.Helper()
	assert.Empty(t, starved.ReplaceAllString(p.Stderr(), ""))
}

// assertOnce checks that the fault was told, and nothing about it twice. On a machine
// short of CPUs it may be told again, when it has got worse.
func assertOnce(t *testing.T, told []string) {
	t.Helper()
	assert.NotEmpty(t, told)
	assert.Len(t, slices.Compact(slices.Sorted(slices.Values(told))), len(told), "%s", told)
}

// bodies returns what people read of log records.
func bodies(records []plog.LogRecord) (texts []string) {
	for _, r := range records {
		texts = append(texts, r.Body().Str())
	}
	return texts
}

// detections returns the log records that tell of the fault, however they came.
func detections(r *e2e.Receiver) (all []plog.LogRecord) {
	for _, record := range r.Events() {
		if strings.Contains(record.Body().Str(), program.Sentence) {
			all = append(all, record)
		}
	}
	return all
}

func TestNoTelemetryAtAll(t *testing.T) {
	t.Parallel()
	p := e2e.Start(t, "none")
	line := p.AwaitStderr(program.Sentence)
	assertSentence(t, line)
	assert.Contains(t, line, "ERROR")
	require.NoError(t, p.Stop())
	assertOnce(t, e2e.Lines(p.Stderr(), program.Sentence))
	assert.Empty(t, p.Stdout())
}

// openFinding matches the series of the open finding, with the name of its function.
var openFinding = regexp.MustCompile(`(?m)^goroutine_finding_open\{.*code_function_name="[^"]*/e2e/program\.(transfer|audit)".*goroutine_detector_name="deadlock".*\} 1$`)

func TestPrometheusExporterOnly(t *testing.T) {
	t.Parallel()
	p := e2e.Start(t, "prometheus", "OTEL_RESOURCE_ATTRIBUTES=service.version=v1.8.2,team=payments,host.name=h1")
	url := p.AwaitStdout("/metrics")
	assertSentence(t, p.AwaitStderr(program.Sentence))
	p.Await("goroutine_finding_open for the deadlock on "+url, func() bool { return openFinding.MatchString(get(t, url)) })
	text := get(t, url)
	assert.Regexp(t, `(?m)^goroutine_count\{.*goroutine_detailed_state="sync.Mutex.Lock".*\} 2$`, text)
	assert.Regexp(t, `(?m)^goroutine_finding_open\{.*service_version="v1.8.2",team="payments"\} 1$`, text, "the labels that alerts are routed by")
	assert.Regexp(t, `(?m)^target_info\{.*host_name="h1".*service_version="v1.8.2".*\} 1$`, text)
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s", body)
	return string(body)
}

func TestTheSDKWithLogsOverOTLP(t *testing.T) {
	t.Parallel()
	assertOverOTLP(t, "otlp")
}

func TestAutoexport(t *testing.T) {
	t.Parallel()
	assertOverOTLP(t, "autoexport")
}

// assertOverOTLP checks that the metrics and the event of a program arrive, and that
// nothing is told elsewhere as well.
func assertOverOTLP(t *testing.T, name string) {
	t.Helper()
	receiver := e2e.Receive(t)
	p := e2e.Start(t, name, receiver.Environment()...)
	assertTold(t, receiver.AwaitEvent(p, program.Event))
	p.Await("goroutine.count over OTLP", func() bool { return strings.Contains(strings.Join(receiver.MetricNames(), " "), "goroutine.count") })
	assert.Equal(t, "e2e", receiver.Resource()["service.name"])
	require.NoError(t, p.Stop())
	assertOnce(t, bodies(detections(receiver)))
	assertQuiet(t, p)
}

// TestBridgesTellOnce has log lines that go where events go.
func TestBridgesTellOnce(t *testing.T) {
	for _, bridge := range []string{"otelslog", "otelzap"} {
		t.Run(bridge, func(t *testing.T) {
			t.Parallel()
			receiver := e2e.Receive(t)
			p := e2e.Start(t, "bridges", append(receiver.Environment(), "E2E_BRIDGE="+bridge, "E2E_EVENTS=provider")...)
			assertTold(t, receiver.AwaitEvent(p, program.Event))
			require.NoError(t, p.Stop())
			assertOnce(t, bodies(detections(receiver)))
			assert.Equal(t, "a line of the service", receiver.Events()[0].Body().Str())
			assertQuiet(t, p)
		})
	}
}

// TestBridgesCarryTheSentence has no LoggerProvider for events: they reach the same
// backend as log lines.
func TestBridgesCarryTheSentence(t *testing.T) {
	for _, bridge := range []string{"otelslog", "otelzap"} {
		t.Run(bridge, func(t *testing.T) {
			t.Parallel()
			receiver := e2e.Receive(t)
			p := e2e.Start(t, "bridges", append(receiver.Environment(), "E2E_BRIDGE="+bridge, "E2E_EVENTS=slog")...)
			p.Await("a log line about the deadlock over OTLP", func() bool { return len(detections(receiver)) > 0 })
			require.NoError(t, p.Stop())
			told := detections(receiver)
			assertOnce(t, bodies(told))
			assertSentence(t, told[0].Body().Str())
			assert.Equal(t, plog.SeverityNumberError, told[0].SeverityNumber())
			assert.Equal(t, "deadlock", told[0].Attributes().AsRaw()["goroutine.detector.name"])
			assertQuiet(t, p)
		})
	}
}

// TestNothingRunsUnheard has a service in which nothing can be heard.
func TestNothingRunsUnheard(t *testing.T) {
	t.Parallel()
	const snapshot = 1 << 20 // bytes; one allocates more
	p := e2e.Start(t, "noop")
	heard := e2e.Start(t, "noop", "E2E_HEARD=1")
	c := cost(t, p)
	assert.Zero(t, c.Judged)
	assert.Less(t, c.Created, uint64(5), "goroutines; the runtime may start a few of its own")
	assert.Less(t, c.Allocated, uint64(snapshot))
	assert.LessOrEqual(t, len(c.Ours), 2, "the monitor's goroutine and the one that would capture: %s", c.Ours)
	for _, stack := range c.Ours {
		assert.Contains(t, strings.SplitN(stack, "\n", 2)[0], "[select")
	}
	require.NoError(t, p.Stop())
	assertQuiet(t, p)

	c = cost(t, heard)
	assert.Positive(t, c.Judged, "what the cost is measured by")
	assert.Greater(t, c.Allocated, uint64(snapshot))
}

func cost(t *testing.T, p *e2e.Process) (c program.Cost) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(p.AwaitStdout("Judged")), &c))
	return c
}
