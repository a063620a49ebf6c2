// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelgoroutine/go/internal/otlptest"
)

// minute is how long a run must last to show all faults on a machine with time to
// spare. Within these 45 s, the leak needs its warm-up and its window.
const minute = 45 * time.Second

// faultEvents are the names of the events that tell the faults of the example.
var faultEvents = []string{
	"goroutine.leak.detected", "goroutine.deadlock.detected", "goroutine.hang.detected", "goroutine.blocked_forever.detected",
}

// arrived is the content of an -out file, parsed by the Collector's own code.
type arrived struct {
	collections []map[string][]otlptest.Point // by metric name
	events      []plog.LogRecord
}

func readArrived(t *testing.T, path string) arrived {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	var a arrived
	for line := range bytes.Lines(content) {
		if bytes.HasPrefix(line, []byte(`{"resourceMetrics":`)) {
			all, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(line)
			require.NoError(t, err)
			byName := make(map[string][]otlptest.Point)
			for _, m := range otlptest.Metrics(all) {
				byName[m.Name()] = otlptest.Points(m)
			}
			a.collections = append(a.collections, byName)
			continue
		}
		require.True(t, bytes.HasPrefix(line, []byte(`{"resourceLogs":`)), "%s", line)
		all, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(line)
		require.NoError(t, err)
		for _, r := range otlptest.Records(all) {
			a.events = append(a.events, r)
		}
	}
	return a
}

func total(points []otlptest.Point) float64 {
	sum := 0.0
	for _, p := range points {
		sum += p.Value
	}
	return sum
}

// assertCountsAddUp checks what the design promises about the two counts.
func assertCountsAddUp(t *testing.T, a arrived) {
	t.Helper()
	collections := watched(t, a)
	others, apart := 0, []float64(nil)
	for i, c := range collections {
		byState, byStack := total(c["goroutine.count"]), total(c["goroutine.stack.goroutine.count"])
		assert.Equal(t, byState, byStack, "collection %d", i)
		apart = append(apart, math.Abs(total(c["goroutine.scheduler.goroutine.count"])-byState)/byState)
		for _, s := range c["goroutine.stack.goroutine.count"] {
			if s.Attribute("goroutine.stack.id") == "_OTHER" {
				others++
			}
		}
	}
	assert.Positive(t, others, "_OTHER appears")
	// The scheduler's own count is from a later moment and includes a few
	// system goroutines that no snapshot shows.
	slices.Sort(apart)
	assert.Less(t, apart[len(apart)/2], 0.25, "the scheduler's counts and those of the snapshots differ by %v", apart)
}

// watched returns the collections from the time the monitor was running. It
// leaves out those of the start and the shutdown.
func watched(t *testing.T, a arrived) []map[string][]otlptest.Point {
	t.Helper()
	without := func(c map[string][]otlptest.Point) bool { return len(c["goroutine.count"]) == 0 }
	collections := slices.Clone(a.collections)
	for len(collections) > 0 && without(collections[0]) {
		collections = collections[1:]
	}
	for len(collections) > 0 && without(collections[len(collections)-1]) {
		collections = collections[:len(collections)-1]
	}
	require.Greater(t, len(collections), 30, "one a second")
	require.False(t, slices.ContainsFunc(collections, without), "once there, the counts stay")
	return collections
}

func TestFaultsAreShown(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ", minute)
	}
	if runtime.GOOS == "windows" {
		t.Skip("no interrupts there")
	}
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "otlp.jsonl")
	cmd := child(t.Context(), "-duration", (8 * minute).String(), "-out", path, "-profiles", dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Start())
	assert.Eventually(t, arrivedAfter(path, time.Now().Add(minute)), 7*minute, time.Second)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait(), "%s%s", &stdout, &stderr)
	assertQuiet(t, stderr.String())

	a := readArrived(t, path)
	assertCountsAddUp(t, a)
	events := assertEvents(t, a)
	assertLeakGrows(t, a, events["goroutine.leak.detected"])
	assertRootNamed(t, events["goroutine.hang.detected"])
	assertShown(t, stdout.String(), path)
}

// starved matches what the monitor says of a machine on which a capture waits for ten
// seconds until it may run.
var starved = regexp.MustCompile(`(?m)^.* otelgoroutine: snapshot from source "trace\w*": (hung|deadline): .*\n`)

// assertQuiet checks that the standard error has nothing else.
func assertQuiet(t *testing.T, stderr string) {
	t.Helper()
	assert.Empty(t, starved.ReplaceAllString(stderr, ""))
}

// arrivedAfter returns a condition: it is no earlier than start, and the file has an
// event for each fault. A busy machine takes longer.
func arrivedAfter(path string, start time.Time) func() bool {
	return func() bool {
		content, err := os.ReadFile(path)
		return err == nil && time.Now().After(start) && !slices.ContainsFunc(faultEvents, func(name string) bool {
			return !bytes.Contains(content, []byte(name))
		})
	}
}

var severities = map[string]string{"INFO": "Info", "WARN": "Warn", "ERROR": "Error"}

// assertEvents checks that each fault was found. It returns the first event of
// each kind.
func assertEvents(t *testing.T, a arrived) map[string]plog.LogRecord {
	t.Helper()
	first := make(map[string]plog.LogRecord)
	for _, want := range []struct{ name, detector, state, function, severity string }{
		{"goroutine.leak.detected", "leak", "chan send", ".report.func1", "WARN"},
		{"goroutine.deadlock.detected", "deadlock", "sync.Mutex.Lock", "", "ERROR"},
		{"goroutine.hang.detected", "hang", "chan send", ".(*press).work", "WARN"},
		{"goroutine.blocked_forever.detected", "blocked_forever", "chan receive (nil chan)", ".(*settings).watch", "INFO"},
		{"goroutine.blocked_forever.detected", "blocked_forever", "chan receive (nil chan)", ".(*settings).watch", "WARN"}, // their number rises
	} {
		i := slices.IndexFunc(a.events, func(e plog.LogRecord) bool {
			function, _ := e.Attributes().Get("code.function.name")
			return e.EventName() == want.name && strings.Contains(function.Str(), want.function) &&
				strings.Contains(e.SeverityNumber().String(), severities[want.severity])
		})
		require.GreaterOrEqual(t, i, 0, "%s (%s) of %s is missing", want.name, want.severity, want.function)
		e := a.events[i]
		first[want.name] = e
		assertEventComplete(t, e)
		raw := e.Attributes().AsRaw()
		assert.Equal(t, want.detector, raw["goroutine.detector.name"])
		assert.Equal(t, want.state, raw["goroutine.detailed_state"])
	}
	return first
}

// assertRootNamed checks that the event of the hang tells the workers that got
// stuck first from the requests behind them.
func assertRootNamed(t *testing.T, hang plog.LogRecord) {
	t.Helper()
	raw := hang.Attributes().AsRaw()
	assert.Contains(t, hang.Body().Str(), ".(*press).work (faults.go:")
	roles, places := raw["goroutine.finding.participant.roles"], raw["goroutine.finding.participant.descriptions"]
	require.NotEmpty(t, places)
	assert.Equal(t, "cause", roles.([]any)[0])
	assert.Regexp(t, `^3 goroutines at .*\.\(\*press\)\.work \(faults\.go:`, places.([]any)[0])
	assert.Contains(t, fmt.Sprint(places.([]any)[1:]), ".(*press).handle (faults.go:")
}

// assertEventComplete checks the attributes that every event about a finding
// must have.
func assertEventComplete(t *testing.T, e plog.LogRecord) {
	t.Helper()
	types := map[string]pcommon.ValueType{
		"goroutine.finding.id":                pcommon.ValueTypeStr,
		"goroutine.finding.confidence":        pcommon.ValueTypeStr,
		"goroutine.finding.goroutine.count":   pcommon.ValueTypeInt,
		"goroutine.finding.growth_per_minute": pcommon.ValueTypeDouble,
		"goroutine.finding.age":               pcommon.ValueTypeDouble,
		"goroutine.finding.evidence":          pcommon.ValueTypeSlice,
		"goroutine.finding.advice":            pcommon.ValueTypeStr,
		"goroutine.detector.name":             pcommon.ValueTypeStr,
		"goroutine.stack.id":                  pcommon.ValueTypeStr,
		"goroutine.state":                     pcommon.ValueTypeStr,
		"goroutine.detailed_state":            pcommon.ValueTypeStr,
		"code.function.name":                  pcommon.ValueTypeStr,
		"code.file.path":                      pcommon.ValueTypeStr,
		"code.line.number":                    pcommon.ValueTypeInt,
		"code.stacktrace":                     pcommon.ValueTypeStr,
		"goroutine.ids":                       pcommon.ValueTypeSlice,
		"goroutine.profile.path":              pcommon.ValueTypeStr,
	}
	if e.SeverityNumber() == plog.SeverityNumberInfo { // told from one snapshot, which shows no age
		delete(types, "goroutine.finding.age")
	}
	for name, kind := range types {
		value, ok := e.Attributes().Get(name)
		if assert.True(t, ok, "%s has no %s", e.EventName(), name) {
			assert.Equal(t, kind, value.Type(), "%s of %s", name, e.EventName())
			assert.NotEmpty(t, value.AsString(), "%s of %s", name, e.EventName())
		}
	}
	raw := e.Attributes().AsRaw()
	assert.NotEmpty(t, e.Body().Str())
	assert.NotZero(t, e.Timestamp())
	assert.Positive(t, raw["goroutine.finding.goroutine.count"])
	assert.NotEmpty(t, raw["goroutine.finding.evidence"])
	assert.NotEmpty(t, raw["goroutine.ids"])
	assert.LessOrEqual(t, len(raw["goroutine.ids"].([]any)), 10)
	assert.True(t, strings.HasSuffix(raw["code.file.path"].(string), "faults.go"), raw["code.file.path"])
	assert.Contains(t, raw["code.stacktrace"], raw["code.function.name"])
	assert.FileExists(t, raw["goroutine.profile.path"].(string))
}

// assertLeakGrows follows the leak from the event to its series by the stack
// ID, as an operator would.
func assertLeakGrows(t *testing.T, a arrived, leak plog.LogRecord) {
	t.Helper()
	raw := leak.Attributes().AsRaw()
	assert.Positive(t, raw["goroutine.finding.growth_per_minute"])
	var counts []float64
	for _, c := range a.collections {
		for _, s := range c["goroutine.stack.goroutine.count"] {
			if s.Attribute("goroutine.stack.id") == raw["goroutine.stack.id"] && s.Attribute("goroutine.detailed_state") == "chan send" {
				counts = append(counts, s.Value)
			}
		}
	}
	require.Greater(t, len(counts), 20)
	assert.True(t, slices.IsSorted(counts), "%v", counts)
	assert.GreaterOrEqual(t, counts[len(counts)-1], counts[0]+50, "%v", counts)
}

// assertShown checks that the output shows what the file contains.
func assertShown(t *testing.T, stdout, path string) {
	t.Helper()
	for _, want := range append([]string{
		"chan send", "sync.Mutex.Lock", "chan receive (nil chan)", "IO wait", "█", ".report.func1",
		"Summary of ", "requests served", "metric points", path,
	}, faultEvents...) {
		assert.Contains(t, stdout, want)
	}
	assert.NotContains(t, stdout, "\x1b", "no colours in a pipe")
	assert.NotContains(t, stdout, "no metrics yet\n\n")
}

func TestHealthyServiceGivesNoEvent(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ", minute)
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "otlp.jsonl")
	status, stdout, stderr := call(t, "-duration", minute.String(), "-faults", "none", "-out", path)
	assert.Zero(t, status)
	assertQuiet(t, stderr)

	a := readArrived(t, path)
	assertCountsAddUp(t, a)
	for _, e := range a.events {
		t.Errorf("%s: %s", e.EventName(), e.Body().Str())
	}
	for i, c := range a.collections {
		assert.Zero(t, total(c["goroutine.finding.open"]), "collection %d", i)
	}
	assert.Contains(t, stdout, "0 findings open")
	assert.Contains(t, stdout, "0 received")
}
