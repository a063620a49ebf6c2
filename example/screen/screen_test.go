package screen

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"context"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
)

func attributes(pairs ...string) []*common.KeyValue {
	var attrs []*common.KeyValue
	for i := 0; i < len(pairs); i += 2 {
		attrs = append(attrs, &common.KeyValue{Key: pairs[i], Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: pairs[i+1]}}})
	}
	return attrs
}

func whole(value int64, pairs ...string) *metrics.NumberDataPoint {
	return &metrics.NumberDataPoint{Value: &metrics.NumberDataPoint_AsInt{AsInt: value}, Attributes: attributes(pairs...)}
}

func sumOf(name string, points ...*metrics.NumberDataPoint) *metrics.Metric {
	return &metrics.Metric{Name: name, Data: &metrics.Metric_Sum{Sum: &metrics.Sum{DataPoints: points}}}
}

func collection(all ...*metrics.Metric) *colmetrics.ExportMetricsServiceRequest {
	return &colmetrics.ExportMetricsServiceRequest{ResourceMetrics: []*metrics.ResourceMetrics{{
		ScopeMetrics: []*metrics.ScopeMetrics{{Metrics: all}},
	}}}
}

func stack(count int64, id, state, function, entry string) *metrics.NumberDataPoint {
	return whole(count, "goroutine.stack.id", id, "goroutine.detailed_state", state, "code.function.name", function, "goroutine.entry.function.name", entry)
}

func sample() *colmetrics.ExportMetricsServiceRequest {
	return collection(
		sumOf("goroutine.count", whole(3, "goroutine.detailed_state", "select"), whole(12, "goroutine.detailed_state", "IO wait"), whole(0, "goroutine.detailed_state", "sleep")),
		sumOf("goroutine.stack.goroutine.count",
			whole(9, "goroutine.stack.id", "_OTHER", "goroutine.detailed_state", "IO wait"),
			stack(2, "b2", "select", "example.com/shop.(*pool).work", "example.com/shop.(*pool).work"),
			stack(4, "a1", "IO wait", "net/http.(*conn).serve", "example.com/shop.run"),
			stack(0, "gone", "sleep", "example.com/shop.gone", "")),
		&metrics.Metric{Name: "goroutine.stack.age", Data: &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: []*metrics.NumberDataPoint{
			{Value: &metrics.NumberDataPoint_AsDouble{AsDouble: 75.9}, Attributes: attributes("goroutine.stack.id", "a1")},
		}}}},
		sumOf("goroutine.created", whole(1234)),
		sumOf("goroutine.finding.open", whole(1, "goroutine.detector.name", "leak"), whole(1, "goroutine.detector.name", "deadlock")),
	)
}

func leakRecord(at time.Time) *collogs.ExportLogsServiceRequest {
	evidence := &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: []*common.AnyValue{
		{Value: &common.AnyValue_StringValue{StringValue: "35 goroutines are older than 4s."}},
		{Value: &common.AnyValue_StringValue{StringValue: "None has exited."}},
	}}}}
	trace := "sync.(*Mutex).Lock(...)\n\t/go/mutex.go:46\nmain.report.func1(...)\n\t/src/example/faults.go:41\nmain.two(...)\nmain.three(...)\nmain.four(...)\nmain.five(...)\n"
	record := &logs.LogRecord{
		TimeUnixNano:   uint64(at.UnixNano()),
		EventName:      "goroutine.leak.detected",
		SeverityNumber: logs.SeverityNumber_SEVERITY_NUMBER_WARN2,
		Body:           &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: "35 goroutines leak."}},
		Attributes: append(attributes("code.stacktrace", trace, "code.function.name", "main.report.func1"),
			&common.KeyValue{Key: "goroutine.finding.evidence", Value: evidence}),
	}
	return &collogs.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{
		ScopeLogs: []*logs.ScopeLogs{{LogRecords: []*logs.LogRecord{record}}},
	}}}
}

func TestViewOfTheLatestCollection(t *testing.T) {
	m := NewModel()
	m.Metrics(collection(sumOf("goroutine.count", whole(99, "goroutine.detailed_state", "from before"))))
	m.Metrics(sample())

	v := m.view()
	assert.Equal(t, 15, v.total)
	assert.Equal(t, 1234, v.created)
	assert.Equal(t, 2, v.open)
	assert.Equal(t, []stateRow{{"IO wait", 12}, {"select", 3}}, v.states)
	require.Len(t, v.stacks, 3)
	assert.Equal(t, stackRow{"a1", "IO wait", "net/http.(*conn).serve", "example.com/shop.run", 4, 75900 * time.Millisecond}, v.stacks[0])
	assert.Equal(t, "b2", v.stacks[1].id)
	assert.Equal(t, "_OTHER", v.stacks[2].id, "the rest comes last, however large")
	assert.Equal(t, 2, m.Counts().Collections)
	assert.Equal(t, 1+3+4+1+1+2, m.Counts().Points)
}

// plain renders as where there is no terminal.
func plain(lines []string) string { return ansi.Strip(strings.Join(lines, "\n")) }

func TestBlock(t *testing.T) {
	m := NewModel()
	assert.Equal(t, "title\n  no metrics yet", plain(m.view().block("title")))
	m.Metrics(sample())
	bars := strings.Repeat("█", 40)
	assert.Equal(t, strings.Join([]string{
		"title",
		"  IO wait                     12  " + bars,
		"  select                       3  " + bars[:len(bars)/4],
		"   count   oldest  state                   where",
		"       4    1m15s  IO wait                 http.(*conn).serve ← shop.run",
		"       2           select                  shop.(*pool).work",
		"       9                                   everywhere else",
	}, "\n"), plain(m.view().block("title")))
}

func TestBlockFoldsManyStacks(t *testing.T) {
	m := NewModel()
	var points []*metrics.NumberDataPoint
	for i := range int64(30) {
		points = append(points, stack(i+1, fmt.Sprint(i), "select", fmt.Sprint("shop.f", i), ""))
	}
	points = append(points, whole(100, "goroutine.stack.id", "_OTHER"))
	m.Metrics(collection(sumOf("goroutine.count", whole(565, "goroutine.detailed_state", "select")), sumOf("goroutine.stack.goroutine.count", points...)))
	lines := m.view().block("title")
	assert.Len(t, lines, 1+1+1+maxStacks+1)
	rest := 100 + (30-maxStacks)*(31-maxStacks)/2
	assert.Contains(t, plain(lines[len(lines)-1:]), fmt.Sprintf("%d", rest))
}

func TestEventLines(t *testing.T) {
	started := time.Unix(1800000000, 0)
	m := NewModel()
	m.Logs(leakRecord(started.Add(83 * time.Second)))
	events := m.takeEvents()
	require.Len(t, events, 1)
	assert.Empty(t, m.takeEvents(), "an event is shown once")
	assert.Equal(t, map[string]int{"goroutine.leak.detected": 1}, m.Counts().Events)
	assert.Equal(t, `01:23  WARN   goroutine.leak.detected
       35 goroutines leak.
       · 35 goroutines are older than 4s.
       · None has exited.
         main.report.func1  faults.go:41
         main.two
         main.three
         main.four
         …`, plain(events[0].lines(started)))
}

func TestResolvedEventHasNoStack(t *testing.T) {
	e := Event{Name: "goroutine.leak.resolved", Severity: "INFO", Body: "It is over.",
		Attributes: map[string]string{"code.stacktrace": "main.gone(...)\n"}}
	assert.NotContains(t, plain(e.lines(time.Now())), "main.gone")
}

func TestPendingEventsAreBounded(t *testing.T) {
	m := NewModel()
	for range maxPending + 10 {
		m.Logs(leakRecord(time.Now()))
	}
	assert.Len(t, m.takeEvents(), maxPending)
	assert.Equal(t, maxPending+10, m.Counts().Events["goroutine.leak.detected"], "counted all the same")
}

func TestWrapKeepsTheIndent(t *testing.T) {
	wrapped := wrap([]string{"    one two three four five", "short"}, 20)
	assert.Equal(t, []string{"    one two", "      three four", "      five", "short"}, wrapped)
	for _, line := range wrapped {
		assert.LessOrEqual(t, ansi.StringWidth(line), 20)
	}
}

func TestWithoutATerminalBlocksAndEventsArePlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := NewModel()
		m.Metrics(sample())
		s := New(&out, m, func() string { return "7 requests served" })
		ctx, cancel := context.WithTimeout(t.Context(), 11*time.Second)
		defer cancel()
		time.AfterFunc(6*time.Second, func() { m.Logs(leakRecord(time.Now())) })
		s.Run(ctx)

		text := out.String()
		assert.Equal(t, ansi.Strip(text), text, "no colours and no cursor movement")
		title := "7 requests served · 15 goroutines, 1234 created so far · 2 findings open"
		first := strings.Index(text, "00:05  "+title)
		event := strings.Index(text, "00:06  WARN   goroutine.leak.detected")
		second := strings.Index(text, "00:10  "+title)
		assert.True(t, 0 <= first && first < event && event < second, "%d %d %d in:\n%s", first, event, second, text)
		assert.Equal(t, 2, strings.Count(text, title))

		m.Logs(leakRecord(time.Now()))
		s.Finish()
		assert.Equal(t, 3, strings.Count(out.String(), title))
		assert.Equal(t, 2, strings.Count(out.String(), "goroutine.leak.detected"))
	})
}
