// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// A point is a point of a metric. Its attributes are given as name, value,
// name, value.
type point struct {
	metric     string
	value      float64
	attributes []string
}

func stack(count float64, id, state, function, entry string) point {
	return point{"goroutine.stack.goroutine.count", count, []string{
		"goroutine.stack.id", id, "goroutine.detailed_state", state, "code.function.name", function, "goroutine.entry.function.name", entry,
	}}
}

func collected(points ...point) pmetric.Metrics {
	all := pmetric.NewMetrics()
	metrics := all.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	byName := make(map[string]pmetric.Metric)
	for _, p := range points {
		m, ok := byName[p.metric]
		if !ok {
			m = metrics.AppendEmpty()
			m.SetName(p.metric)
			m.SetEmptySum()
			byName[p.metric] = m
		}
		d := m.Sum().DataPoints().AppendEmpty()
		d.SetDoubleValue(p.value)
		put(d.Attributes(), p.attributes...)
	}
	return all
}

func put(attributes pcommon.Map, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		attributes.PutStr(pairs[i], pairs[i+1])
	}
}

// sample returns a collection with everything that is shown.
func sample() pmetric.Metrics {
	return collected(
		point{"goroutine.count", 3, []string{"goroutine.detailed_state", "select"}},
		point{"goroutine.count", 12, []string{"goroutine.detailed_state", "IO wait"}},
		point{"goroutine.count", 0, []string{"goroutine.detailed_state", "sleep"}},
		point{"goroutine.stack.goroutine.count", 9, []string{"goroutine.stack.id", "_OTHER", "goroutine.detailed_state", "IO wait"}},
		stack(2, "b2", "select", "example.com/shop.(*pool).work", "example.com/shop.(*pool).work"),
		stack(4, "a1", "IO wait", "net/http.(*conn).serve", "example.com/shop.run"),
		stack(0, "gone", "sleep", "example.com/shop.gone", ""),
		point{"goroutine.stack.age", 75.9, []string{"goroutine.stack.id", "a1"}},
		point{"goroutine.stack.age", 0.4, []string{"goroutine.stack.id", "b2"}},
		point{"goroutine.created", 1234, nil},
		point{"goroutine.finding.open", 1, []string{"goroutine.detector.name", "leak"}},
		point{"goroutine.finding.open", 1, []string{"goroutine.detector.name", "deadlock"}},
	)
}

func leak(at time.Time, event, severity string) plog.Logs {
	all := plog.NewLogs()
	record := all.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	record.SetTimestamp(pcommon.NewTimestampFromTime(at))
	record.SetEventName(event)
	record.SetSeverityText(severity)
	record.Body().SetStr("35 goroutines leak. Next: See what receives.")
	put(record.Attributes(), "goroutine.finding.advice", "See what receives.", "code.function.name", "main.report.func1", "code.stacktrace",
		"sync.(*Mutex).Lock(...)\n\t/go/mutex.go:46\nmain.report.func1(...)\n\t/src/example/faults.go:41\nmain.two(...)\nmain.three(...)\nmain.four(...)\nmain.five(...)\n")
	evidence := record.Attributes().PutEmptySlice("goroutine.finding.evidence")
	evidence.AppendEmpty().SetStr("35 goroutines are older than 4s.")
	evidence.AppendEmpty().SetStr("None exited.")
	return all
}

// screenOf returns a screen that has received collections, and its latest
// lines, rendered without a terminal.
func screenOf(t *testing.T, collections ...pmetric.Metrics) (s *Screen, lines []string) {
	t.Helper()
	s = New(io.Discard, nil)
	for _, c := range collections {
		require.NoError(t, s.Metrics(t.Context(), c))
	}
	latest, _ := s.take()
	return s, strings.Split(ansi.Strip(strings.Join(latest.lines("title"), "\n")), "\n")
}

func TestBlockOfTheLatestCollection(t *testing.T) {
	_, lines := screenOf(t)
	assert.Equal(t, []string{"title · 0 goroutines, 0 created so far · 0 findings open", "  no metrics yet"}, lines)

	before := collected(point{"goroutine.count", 99, []string{"goroutine.detailed_state", "from before"}})
	afterShutdown := collected(point{"another.count", 5, nil})
	s, lines := screenOf(t, before, sample(), afterShutdown)
	bars := strings.Repeat("█", maxBar)
	assert.Equal(t, []string{
		"title · 15 goroutines, 1234 created so far · 2 findings open",
		"  IO wait                     12  " + bars,
		"  select                       3  " + bars[:len(bars)/4],
		"   count   oldest  state                   where",
		"       4    1m15s  IO wait                 http.(*conn).serve ← shop.run",
		"       2           select                  shop.(*pool).work",
		"       9                                   everywhere else",
	}, lines)
	assert.Equal(t, 3, s.Counts().Collections)
	assert.Equal(t, 1+12+1, s.Counts().Points)
}

func TestBlockFoldsManyStacks(t *testing.T) {
	points := []point{{"goroutine.count", 565, []string{"goroutine.detailed_state", "select"}}, {"goroutine.stack.goroutine.count", 100, []string{"goroutine.stack.id", "_OTHER"}}}
	for i := range 30 {
		points = append(points, stack(float64(i+1), fmt.Sprint(i), "select", fmt.Sprint("shop.f", i), ""))
	}
	_, lines := screenOf(t, collected(points...))
	assert.Len(t, lines, 1+1+1+maxStacks+1)
	rest := 100 + (30-maxStacks)*(31-maxStacks)/2
	assert.Regexp(t, fmt.Sprintf(`^ +%d +everywhere else$`, rest), lines[len(lines)-1])
}

func TestEvent(t *testing.T) {
	started := time.Unix(1800000000, 0)
	s := New(io.Discard, nil)
	require.NoError(t, s.Logs(t.Context(), leak(started.Add(83*time.Second), "goroutine.leak.detected", "WARN")))
	_, events := s.take()
	require.Len(t, events, 1)
	_, again := s.take()
	assert.Empty(t, again, "an event is shown once")
	assert.Equal(t, map[string]int{"goroutine.leak.detected": 1}, s.Counts().Events)
	assert.Equal(t, `01:23  WARN   goroutine.leak.detected
       35 goroutines leak.
       · 35 goroutines are older than 4s.
       · None exited.
       → See what receives.
         main.report.func1  faults.go:41
         main.two
         main.three
         main.four
         …`, ansi.Strip(eventText(events[0], started, endless)))

	narrow := ansi.Strip(eventText(events[0], started, 30))
	assert.Contains(t, narrow, "       · 35 goroutines are\n         older than 4s.\n")
	for line := range strings.Lines(narrow) {
		if !strings.Contains(line, "WARN") {
			assert.LessOrEqual(t, ansi.StringWidth(strings.TrimRight(line, "\n")), 30, line)
		}
	}
}

func TestResolvedEventHasNoStack(t *testing.T) {
	s := New(io.Discard, nil)
	require.NoError(t, s.Logs(t.Context(), leak(time.Now(), "goroutine.leak.resolved", "INFO")))
	_, events := s.take()
	assert.NotContains(t, eventText(events[0], time.Now(), endless), "main.two")
}

func TestPendingEventsAreBounded(t *testing.T) {
	s := New(io.Discard, nil)
	for range maxPending + 10 {
		require.NoError(t, s.Logs(t.Context(), leak(time.Now(), "goroutine.leak.detected", "WARN")))
	}
	_, events := s.take()
	assert.Len(t, events, maxPending)
	assert.Equal(t, maxPending+10, s.Counts().Records, "counted all the same")
}

func TestWithoutATerminalBlocksAndEventsArePlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := New(&out, func() string { return "7 requests served" })
		require.NoError(t, s.Metrics(t.Context(), sample()))
		ctx, cancel := context.WithTimeout(t.Context(), 11*time.Second)
		defer cancel()
		event := func() {
			assert.NoError(t, s.Logs(t.Context(), leak(time.Now(), "goroutine.leak.detected", "WARN")))
		}
		time.AfterFunc(6*time.Second, event)
		s.Run(ctx)

		text := out.String()
		assert.Equal(t, ansi.Strip(text), text, "no colours and no cursor movement")
		title := "7 requests served · 15 goroutines, 1234 created so far · 2 findings open"
		first := strings.Index(text, "00:05  "+title)
		told := strings.Index(text, "00:06  WARN   goroutine.leak.detected")
		second := strings.Index(text, "00:10  "+title)
		assert.True(t, 0 <= first && first < told && told < second, "%d %d %d in:\n%s", first, told, second, text)
		assert.Equal(t, 2, strings.Count(text, title))

		event()
		s.Finish()
		assert.Equal(t, 3, strings.Count(out.String(), title))
		assert.Equal(t, 2, strings.Count(out.String(), "goroutine.leak.detected"))
	})
}
