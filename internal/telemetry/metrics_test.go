// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	lognoop "go.opentelemetry.io/otel/log/noop"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// harness returns a Telemetry on a real SDK, with a reader that collects on
// demand.
func harness(t *testing.T, top int, opts ...sdkmetric.Option) (*Telemetry, *sdkmetric.ManualReader) {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	mp := sdkmetric.NewMeterProvider(append(opts, sdkmetric.WithReader(reader))...)
	t.Cleanup(func() { require.NoError(t, mp.Shutdown(context.Background())) })
	tel, err := New(Config{
		MeterProvider:  mp,
		LoggerProvider: lognoop.NewLoggerProvider(),
		TopStacks:      top,
		Scheduler:      func() goroutine.Scheduler { return goroutine.Scheduler{Running: 1, Waiting: 9, Created: 100} },
		Age:            func(time.Time) (time.Duration, bool) { return 12 * time.Second, false },
	})
	require.NoError(t, err)
	return tel, reader
}

func collect(t *testing.T, r sdkmetric.Reader) map[string]metricdata.Metrics {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, r.Collect(context.Background(), &rm))
	all := make(map[string]metricdata.Metrics)
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			all[m.Name] = m
		}
	}
	return all
}

// sum returns the values of an integer sum by the value of one attribute.
func sum(t *testing.T, m metricdata.Metrics, by string) (values map[string]int64, total int64) {
	t.Helper()
	data, ok := m.Data.(metricdata.Sum[int64])
	require.True(t, ok, "%s is %T", m.Name, m.Data)
	values = make(map[string]int64)
	for _, p := range data.DataPoints {
		v, _ := p.Attributes.Value(attribute.Key(by))
		values[v.AsString()] += p.Value
		total += p.Value
	}
	return values, total
}

func stack(function string) *goroutine.Stack {
	return goroutine.NewStack([]goroutine.Frame{{Function: function, File: "/src/x.go", Line: 1}})
}

func snapshot(at time.Time, groups ...goroutine.Group) *goroutine.Snapshot {
	s := &goroutine.Snapshot{Time: at, Source: goroutine.SourceTrace, Duration: time.Millisecond, Groups: groups}
	for _, g := range groups {
		s.Total += g.Count
	}
	s.Sort()
	return s
}

func publish(tel *Telemetry, s *goroutine.Snapshot) { tel.Publish(context.Background(), s, s) }

func TestCountsAddUpToTheTotal(t *testing.T) {
	tel, reader := harness(t, 2)
	publish(tel, snapshot(epoch,
		goroutine.Group{Stack: stack("main.a"), State: goroutine.ChanSend, Count: 50},
		goroutine.Group{Stack: stack("main.b"), State: goroutine.Select, Count: 40},
		goroutine.Group{Stack: stack("main.c"), State: goroutine.Select, Count: 3},
		goroutine.Group{Stack: stack("main.d"), State: goroutine.IOWait, Count: 2},
		goroutine.Group{Stack: goroutine.NewStack(nil), State: goroutine.Running, Count: 1},
	))
	got := collect(t, reader)

	detailed, total := sum(t, got[MetricCount], AttrDetailedState)
	assert.EqualValues(t, 96, total)
	assert.Equal(t, map[string]int64{"chan send": 50, "select": 43, "IO wait": 2, "running": 1}, detailed)
	states, total := sum(t, got[MetricCount], AttrState)
	assert.EqualValues(t, 96, total)
	assert.Equal(t, map[string]int64{"waiting": 95, "running": 1}, states)

	ids, total := sum(t, got[MetricStackCount], AttrStackID)
	assert.EqualValues(t, 96, total)
	assert.Len(t, ids, 3, "two stacks of their own, and the others")
	assert.EqualValues(t, 6, ids[string(goroutine.OtherStacks)])
	states, _ = sum(t, got[MetricStackCount], AttrState)
	assert.Equal(t, map[string]int64{"waiting": 95, "running": 1}, states)
}

// The states are those of the scheduler's own metrics, so that both counts can
// be compared.
func TestTheSchedulersStateFollowsFromTheDetailedState(t *testing.T) {
	for state, want := range map[goroutine.State]string{
		goroutine.Running:   "running",
		goroutine.Runnable:  "runnable",
		goroutine.Syscall:   "not_in_go",
		goroutine.Waiting:   "waiting",
		goroutine.IOWait:    "waiting",
		goroutine.Coroutine: "waiting",
		"GC worker (idle)":  "waiting",
	} {
		assert.Equal(t, want, schedulerState(state), state)
	}
	tel, reader := harness(t, 5)
	publish(tel, snapshot(epoch,
		goroutine.Group{Stack: stack("main.a"), State: goroutine.Select, Count: 3},
		goroutine.Group{Stack: stack("main.a"), State: goroutine.ChanSend, Count: 4},
		goroutine.Group{Stack: stack("main.b"), State: goroutine.Syscall, Count: 5}))
	got := collect(t, reader)
	for _, name := range []string{MetricCount, MetricStackCount} {
		assert.Len(t, got[name].Data.(metricdata.Sum[int64]).DataPoints, 3, "%s: a series for each detailed state, and no more", name)
	}
	scheduler, _ := sum(t, got[MetricSchedulerCount], AttrState)
	for _, p := range got[MetricCount].Data.(metricdata.Sum[int64]).DataPoints {
		state, _ := p.Attributes.Value(AttrState)
		assert.Contains(t, scheduler, state.AsString())
	}
}

func TestTheScopeHasASchemaURL(t *testing.T) {
	tel, logs, reader := emitter(t)
	publish(tel, snapshot(epoch, goroutine.Group{Stack: stack("main.a"), State: goroutine.Select, Count: 3}))
	tel.Emit(t.Context(), detectors.Event{Kind: detectors.Suppressed, Suppressed: 3}, Files{})
	want := instrumentation.Scope{Name: ScopeName, Version: Version, SchemaURL: SchemaURL}
	var rm metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &rm))
	require.Len(t, rm.ScopeMetrics, 1)
	assert.Equal(t, want, rm.ScopeMetrics[0].Scope)
	require.Len(t, logs.records, 1)
	assert.Equal(t, want, logs.records[0].InstrumentationScope())
}

func TestOneStackInTwoGroupsIsOneSeries(t *testing.T) {
	tel, reader := harness(t, 5)
	a := goroutine.NewStack([]goroutine.Frame{{Function: "main.f", Line: 1}})
	b := goroutine.NewStack([]goroutine.Frame{{Function: "main.f", Line: 2}})
	publish(tel, snapshot(epoch,
		goroutine.Group{Stack: a, State: goroutine.Select, Count: 3},
		goroutine.Group{Stack: b, State: goroutine.Select, Count: 4}))
	data := collect(t, reader)[MetricStackCount].Data.(metricdata.Sum[int64])
	require.Len(t, data.DataPoints, 1)
	assert.EqualValues(t, 7, data.DataPoints[0].Value)
}

func TestAStackThatLeavesTheTopIsZeroForAWhile(t *testing.T) {
	tel, reader := harness(t, 1)
	ids := func() map[string]int64 {
		values, _ := sum(t, collect(t, reader)[MetricStackCount], AttrStackID)
		return values
	}
	a, b := stack("main.a"), stack("main.b")
	at := func(s *goroutine.Stack, d time.Duration) {
		publish(tel, snapshot(epoch.Add(d), goroutine.Group{Stack: s, State: goroutine.Select, Count: 7}))
	}
	at(a, 0)
	at(b, time.Minute)
	assert.Equal(t, map[string]int64{string(a.ID): 0, string(b.ID): 7}, ids())
	at(b, fade+2*time.Minute)
	assert.Equal(t, map[string]int64{string(b.ID): 7}, ids())
}

func TestSeriesAreBoundedUnderChurn(t *testing.T) {
	const top = 3
	tel, reader := harness(t, top)
	for i := range 200 {
		var groups []goroutine.Group
		for j := range 50 {
			groups = append(groups, goroutine.Group{Stack: stack(fmt.Sprintf("main.f%d_%d", i, j)), State: goroutine.Select, Count: 1})
		}
		publish(tel, snapshot(epoch.Add(time.Duration(i)*time.Second), groups...))
	}
	data := collect(t, reader)[MetricStackCount].Data.(metricdata.Sum[int64])
	assert.LessOrEqual(t, len(data.DataPoints), top*(1+fadedPerStack)+1)
	_, total := sum(t, collect(t, reader)[MetricStackCount], AttrStackID)
	assert.EqualValues(t, 50, total)
}

func TestSeriesOfAllTopStacksFitTheLimitOfSDKs(t *testing.T) {
	// otelgoroutine.MaxTopStacks is 400. _OTHER can have 30 states.
	assert.Less(t, 400*(1+fadedPerStack)+30, 2000)
}

func TestAgeIsThatOfTheOldestGoroutine(t *testing.T) {
	tel, reader := harness(t, 5)
	s := snapshot(epoch,
		goroutine.Group{Stack: stack("main.a"), State: goroutine.Select, Count: 2,
			Births: []goroutine.Cohort{{Epoch: 0, Count: 1}, {Epoch: 1, Count: 1}}},
		goroutine.Group{Stack: stack("main.a"), State: goroutine.ChanSend, Count: 1,
			Births: []goroutine.Cohort{{Epoch: 1, Count: 1}}},
		goroutine.Group{Stack: stack("main.new"), State: goroutine.Select, Count: 1, // of which nothing is known yet
			Births: []goroutine.Cohort{{Epoch: 1, Count: 1}}})
	s.Epochs = []goroutine.Epoch{{LastID: 10, End: epoch.Add(-time.Hour)}, {LastID: 20, End: epoch}}
	publish(tel, s)
	data := collect(t, reader)[MetricStackAge].Data.(metricdata.Gauge[float64])
	require.Len(t, data.DataPoints, 1)
	assert.Equal(t, 3600.0, data.DataPoints[0].Value)
}

func TestFindingsAreCounted(t *testing.T) {
	tel, reader := harness(t, 5)
	f := func(name string, c detectors.Confidence) detectors.Finding {
		return detectors.Finding{Detector: name, Confidence: c}
	}
	tel.SetOpen([]detectors.Finding{f("leak", detectors.Suspected), f("leak", detectors.Suspected), f("deadlock", detectors.High)}, epoch)
	values, _ := sum(t, collect(t, reader)[MetricFindingOpen], AttrDetectorName)
	assert.Equal(t, map[string]int64{"leak": 2, "deadlock": 1}, values)

	tel.SetOpen([]detectors.Finding{f("leak", detectors.Suspected)}, epoch.Add(time.Minute))
	values, _ = sum(t, collect(t, reader)[MetricFindingOpen], AttrDetectorName)
	assert.Equal(t, map[string]int64{"leak": 1, "deadlock": 0}, values)
}

func TestOpenFindingsNameTheirStack(t *testing.T) {
	tel, reader := harness(t, 5)
	var open []detectors.Finding
	for i := range maxOpenStacks + 7 {
		open = append(open, detectors.Finding{Detector: "leak", Confidence: detectors.Suspected, Stack: stack(fmt.Sprint("main.f", i))})
	}
	surge := detectors.Finding{Detector: "surge", Stack: &goroutine.Stack{ID: goroutine.OtherStacks}}
	tel.SetOpen(append([]detectors.Finding{surge}, open...), epoch)

	functions, total := sum(t, collect(t, reader)[MetricFindingOpen], AttrCodeFunctionName)
	assert.EqualValues(t, maxOpenStacks+8, total)
	assert.EqualValues(t, 1, functions["main.f0"])
	assert.NotContains(t, functions, fmt.Sprint("main.f", maxOpenStacks), "the newest give way")
	ids, _ := sum(t, collect(t, reader)[MetricFindingOpen], AttrStackID)
	assert.Len(t, ids, maxOpenStacks, "each its own, and the others")
	assert.EqualValues(t, 1, ids[string(open[0].Stack.ID)])
	assert.EqualValues(t, 9, ids[string(goroutine.OtherStacks)])
	entries, _ := sum(t, collect(t, reader)[MetricFindingOpen], AttrEntryFunction)
	assert.EqualValues(t, 1, entries["main.f1"])

	tel.SetOpen(nil, epoch.Add(time.Minute))
	ids, total = sum(t, collect(t, reader)[MetricFindingOpen], AttrStackID)
	assert.Zero(t, total)
	assert.Contains(t, ids, string(open[0].Stack.ID), "0 for a while, for backends that keep the last value")
}

func TestSchedulerIsReadAtEveryCollection(t *testing.T) {
	tel, reader := harness(t, 5)
	values, _ := sum(t, collect(t, reader)[MetricSchedulerCount], AttrState)
	assert.Equal(t, map[string]int64{"running": 1, "runnable": 0, "waiting": 9, "not_in_go": 0}, values)
	created := collect(t, reader)[MetricCreated].Data.(metricdata.Sum[int64])
	assert.True(t, created.IsMonotonic)
	assert.EqualValues(t, 100, created.DataPoints[0].Value)

	require.NoError(t, tel.Close())
	assert.Empty(t, collect(t, reader), "after Close nothing is observed")
}

func TestInstrumentsAreWhatTheCatalogSays(t *testing.T) {
	tel, reader := harness(t, 5)
	s := snapshot(epoch, goroutine.Group{Stack: stack("main.a"), State: goroutine.Select, Count: 1, Births: []goroutine.Cohort{{Count: 1}}})
	s.Epochs = []goroutine.Epoch{{LastID: 1, End: epoch.Add(-time.Minute)}}
	publish(tel, s)
	tel.SetOpen([]detectors.Finding{{Detector: "leak", Confidence: detectors.High}}, epoch)
	tel.detected.Add(context.Background(), 1)
	tel.Skipped(context.Background(), goroutine.SourceTrace, "error")
	tel.DroppedProfile(context.Background())
	tel.SetDetectors([]detectors.Status{{Detector: "leak", Judging: true}}, epoch)
	got := collect(t, reader)
	require.Len(t, got, len(metricCatalog))
	for _, e := range metricCatalog {
		m := got[e.Name]
		assert.Equal(t, e.Unit, m.Unit, e.Name)
		assert.Equal(t, e.Doc, m.Description, e.Name)
		assert.Equal(t, e.Instrument, instrument(m), e.Name)
	}
}

func instrument(m metricdata.Metrics) string {
	switch d := m.Data.(type) {
	case metricdata.Sum[int64]:
		switch {
		case !d.IsMonotonic:
			return "ObservableUpDownCounter"
		case m.Name == MetricCreated:
			return "ObservableCounter"
		}
		return "Counter"
	case metricdata.Gauge[float64]:
		return "ObservableGauge"
	case metricdata.Histogram[float64]:
		return "Histogram"
	}
	return fmt.Sprintf("%T", m.Data)
}

// The following tests show what the SDK does with our instruments. The choice
// of instruments relies on it.

func TestAViewThatDropsAnAttributeSums(t *testing.T) {
	tel, reader := harness(t, 5, sdkmetric.WithView(sdkmetric.NewView(
		sdkmetric.Instrument{Name: MetricStackCount},
		sdkmetric.Stream{AttributeFilter: attribute.NewAllowKeysFilter(AttrState)})))
	publish(tel, snapshot(epoch,
		goroutine.Group{Stack: stack("main.a"), State: goroutine.Select, Count: 33},
		goroutine.Group{Stack: stack("main.b"), State: goroutine.Select, Count: 13}))
	data := collect(t, reader)[MetricStackCount].Data.(metricdata.Sum[int64])
	require.Len(t, data.DataPoints, 1)
	assert.EqualValues(t, 46, data.DataPoints[0].Value)
}

func TestTheOverflowSeriesKeepsTheTotal(t *testing.T) {
	tel, reader := harness(t, 50, sdkmetric.WithCardinalityLimit(5))
	var groups []goroutine.Group
	for i := range 20 {
		groups = append(groups, goroutine.Group{Stack: stack(fmt.Sprint("main.f", i)), State: goroutine.Select, Count: i + 1})
	}
	publish(tel, snapshot(epoch, groups...))
	data := collect(t, reader)[MetricStackCount].Data.(metricdata.Sum[int64])
	assert.Len(t, data.DataPoints, 5)
	_, total := sum(t, collect(t, reader)[MetricStackCount], AttrStackID)
	assert.EqualValues(t, 210, total)
}

func TestAViewThatDropsARegistrationSwitchesItsCallbackOff(t *testing.T) {
	drop := func(name string) sdkmetric.Option {
		return sdkmetric.WithView(sdkmetric.NewView(sdkmetric.Instrument{Name: name}, sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}}))
	}
	reader := sdkmetric.NewManualReader()
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), drop(MetricSchedulerCount), drop(MetricCreated))
	read := 0
	tel, err := New(Config{MeterProvider: mp, LoggerProvider: lognoop.NewLoggerProvider(), TopStacks: 5,
		Scheduler: func() goroutine.Scheduler { read++; return goroutine.Scheduler{} }})
	require.NoError(t, err)
	publish(tel, snapshot(epoch, goroutine.Group{Stack: stack("main.a"), State: goroutine.Select, Count: 3}))
	_, total := sum(t, collect(t, reader)[MetricCount], AttrState)
	assert.EqualValues(t, 3, total)
	assert.Zero(t, read)
}

func TestEveryReaderSeesTheSame(t *testing.T) {
	a, b := sdkmetric.NewManualReader(), sdkmetric.NewManualReader()
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(a), sdkmetric.WithReader(b))
	tel, err := New(Config{MeterProvider: mp, LoggerProvider: lognoop.NewLoggerProvider(), TopStacks: 5,
		Scheduler: func() goroutine.Scheduler { return goroutine.Scheduler{Waiting: 7} }})
	require.NoError(t, err)
	publish(tel, snapshot(epoch, goroutine.Group{Stack: stack("main.a"), State: goroutine.Select, Count: 7}))
	for _, r := range []sdkmetric.Reader{a, b, a} {
		_, total := sum(t, collect(t, r)[MetricCount], AttrState)
		assert.EqualValues(t, 7, total)
		_, total = sum(t, collect(t, r)[MetricSchedulerCount], AttrState)
		assert.EqualValues(t, 7, total)
	}
}

func TestAPanicInACallbackLosesNothingElse(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	tel, err := New(Config{MeterProvider: mp, LoggerProvider: lognoop.NewLoggerProvider(), TopStacks: 5,
		Scheduler: func() goroutine.Scheduler { panic("boom") }})
	require.NoError(t, err)
	publish(tel, snapshot(epoch, goroutine.Group{Stack: stack("main.a"), State: goroutine.Select, Count: 7}))
	_, total := sum(t, collect(t, reader)[MetricCount], AttrState)
	assert.EqualValues(t, 7, total)
}

func TestCallbacksAreConcurrentSafe(t *testing.T) {
	tel, reader := harness(t, 5)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			var rm metricdata.ResourceMetrics
			assert.NoError(t, reader.Collect(context.Background(), &rm))
		}
	}()
	for i := range 200 {
		publish(tel, snapshot(epoch.Add(time.Duration(i)*time.Second),
			goroutine.Group{Stack: stack(fmt.Sprint("main.f", i%9)), State: goroutine.Select, Count: i + 1}))
		tel.SetOpen([]detectors.Finding{{Detector: "leak", Confidence: detectors.Suspected}}, epoch)
	}
	<-done
}

func TestLabelsTellStacksApartAndAgesComeFromTheOtherSnapshot(t *testing.T) {
	tel, reader := harness(t, 5)
	label := func(v string) []goroutine.Label { return []goroutine.Label{{Key: "tenant", Value: v}} }
	counts := snapshot(epoch,
		goroutine.Group{Stack: stack("main.a"), State: goroutine.Select, Count: 3, Labels: label("x")},
		goroutine.Group{Stack: stack("main.a"), State: goroutine.Select, Count: 4, Labels: label("y")})
	ages := snapshot(epoch, goroutine.Group{Stack: stack("main.a"), State: goroutine.Select, Count: 7, Births: []goroutine.Cohort{{Count: 7}}})
	ages.Epochs = []goroutine.Epoch{{LastID: 9, End: epoch.Add(-time.Minute)}}
	tel.Publish(context.Background(), counts, ages)
	got := collect(t, reader)
	values, _ := sum(t, got[MetricStackCount], "goroutine.label.tenant")
	assert.Equal(t, map[string]int64{"x": 3, "y": 4}, values)
	age := got[MetricStackAge].Data.(metricdata.Gauge[float64])
	require.Len(t, age.DataPoints, 1)
	assert.Equal(t, 60.0, age.DataPoints[0].Value)
}
