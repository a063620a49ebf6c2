// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	otelattribute "go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	lognoop "go.opentelemetry.io/otel/log/noop"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/detectors"
)

// exports is an exporter of metrics that keeps what it gets.
type exports struct {
	sdkmetric.Exporter // for Temporality and Aggregation
	mu                 sync.Mutex
	points             []metricdata.DataPoint[int64] // of goroutine.finding.open
	err                error
}

func (*exports) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return sdkmetric.DefaultTemporalitySelector(k)
}

func (*exports) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}
func (*exports) ForceFlush(context.Context) error { return nil }
func (*exports) Shutdown(context.Context) error   { return nil }

func (e *exports) Export(_ context.Context, rm *metricdata.ResourceMetrics) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.points = append(e.points, openIn(rm)...)
	return e.err
}

func openIn(rm *metricdata.ResourceMetrics) (points []metricdata.DataPoint[int64]) {
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name == "goroutine.finding.open" {
				points = append(points, m.Data.(metricdata.Sum[int64]).DataPoints...)
			}
		}
	}
	return points
}

func (e *exports) values() (values []int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.points {
		values = append(values, p.Value)
	}
	return values
}

// requireTest checks that what can be seen of an event says that it is a test.
func requireTest(t *testing.T, r *sdklog.Record) {
	t.Helper()
	assert.Contains(t, r.Body().AsString(), "This ")
	assert.Contains(t, r.Body().AsString(), " a test")
	assert.Equal(t, log.SeverityInfo, r.Severity())
	got := make(map[string]string)
	r.WalkAttributes(func(kv otelattribute.KeyValue) bool {
		got[string(kv.Key)] = kv.Value.String()
		return true
	})
	assert.Equal(t, "self_test", got["goroutine.detector.name"])
	assert.Equal(t, "self_test", got["goroutine.stack.id"])
	assert.Equal(t, "self_test", got["code.function.name"])
	assert.Equal(t, "self_test(...)\n", got["code.stacktrace"])
	assert.Contains(t, got["goroutine.finding.evidence"], "This is a test.")
	assert.Regexp(t, `^self_test-[0-9a-f]{16}$`, got["goroutine.finding.id"])
	assert.Equal(t, "0", got["goroutine.finding.goroutine.count"])
}

// With the SDK, the test takes no time: both providers are flushed.
func TestASelfTestArrivesAtOnceAndEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs memory
		e := new(exports)
		mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(e)))
		m, err := Start(mp, withCapturer(parked(3)), WithLoggerProvider(logsTo(&logs)), WithDetectors())
		require.NoError(t, err)
		synctest.Wait()
		status := m.Status()

		began := time.Now()
		require.NoError(t, m.SelfTest(t.Context()))
		assert.Zero(t, time.Since(began))
		require.Equal(t, []string{"goroutine.finding.detected", "goroutine.finding.resolved"}, logs.names())
		for i := range logs.records {
			requireTest(t, &logs.records[i])
		}
		assert.Equal(t, []int64{1}, e.values())
		for _, key := range []otelattribute.Key{"goroutine.detector.name", "goroutine.stack.id", "code.function.name"} {
			v, _ := e.points[0].Attributes.Value(key)
			assert.Equal(t, "self_test", v.AsString())
		}

		assert.Empty(t, m.Findings(), "it is no finding")
		assert.Equal(t, status, m.Status())
		assert.EqualValues(t, 1, m.observer.client.taker.capturer.(*script).taken.Load(), "nothing is captured")
		time.Sleep(20 * time.Minute)
		values := e.values()
		assert.Equal(t, []int64{1, 0, 0, 0, 0}, values, "a backend that is pushed to forgets a series after five minutes")
		require.NoError(t, m.SelfTest(t.Context()), "again")
		require.NoError(t, m.Shutdown(t.Context()))
		require.NoError(t, mp.Shutdown(t.Context()))
		assert.ErrorContains(t, m.SelfTest(t.Context()), "the monitor was shut down")
	})
}

// Where metrics are scraped, the finding stays open until the next scrape.
func TestASelfTestWaitsForACollection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs memory
		reader := sdkmetric.NewManualReader()
		m, err := Start(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), withCapturer(parked(3)), WithLoggerProvider(logsTo(&logs)), WithDetectors())
		require.NoError(t, err)
		result := make(chan error)
		go func() { result <- m.SelfTest(t.Context()) }()
		time.Sleep(50 * time.Second)
		assert.Equal(t, []string{"goroutine.finding.detected"}, logs.names())
		assert.Equal(t, errTesting, m.SelfTest(t.Context()), "one at a time")
		var rm metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(t.Context(), &rm))
		require.NoError(t, <-result)
		require.Len(t, openIn(&rm), 1)
		assert.EqualValues(t, 1, openIn(&rm)[0].Value)

		began := time.Now()
		err = m.SelfTest(t.Context())
		assert.ErrorContains(t, err, "metrics: no collection has read goroutine.finding.open: none within 2m0s; nothing reads the MeterProvider")
		assert.Equal(t, 2*time.Minute, time.Since(began))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, m.SelfTest(ctx), context.DeadlineExceeded)
		assert.Equal(t, strings.Repeat("goroutine.finding.detected goroutine.finding.resolved ", 3), strings.Join(logs.names(), " ")+" ", "each one ends")
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// refusingLogs is an exporter of log records that fails.
type refusingLogs struct{}

func (refusingLogs) Export(context.Context, []sdklog.Record) error {
	return errors.New("no route to host")
}
func (refusingLogs) Shutdown(context.Context) error   { return nil }
func (refusingLogs) ForceFlush(context.Context) error { return nil }

// onlyErrors is a log processor that takes errors only.
type onlyErrors struct{ memory }

func (*onlyErrors) Enabled(_ context.Context, p sdklog.EnabledParameters) bool {
	return p.Severity >= log.SeverityError
}

// panicking is a provider whose ForceFlush panics.
type panicking struct{ *sdkmetric.MeterProvider }

func (panicking) ForceFlush(context.Context) error { panic("boom") }

func TestASelfTestSaysWhatDidNotArrive(t *testing.T) {
	var kept memory
	for name, tt := range map[string]struct {
		meters func() metric.MeterProvider
		logs   log.LoggerProvider
		says   []string
	}{
		"nothing is set up": {func() metric.MeterProvider { return metricnoop.NewMeterProvider() }, lognoop.NewLoggerProvider(), []string{
			"SelfTest: metrics: the MeterProvider is not enabled", "SelfTest: events: the providers are no-ops, and there is neither WithLogger nor WithEventFunc"}},
		"no logs": {func() metric.MeterProvider { return pushed(new(exports)) }, lognoop.NewLoggerProvider(), []string{
			"SelfTest: events: the slog logger takes no records of level INFO, as the test is"}},
		"errors only": {func() metric.MeterProvider { return pushed(new(exports)) }, sdklog.NewLoggerProvider(sdklog.WithProcessor(new(onlyErrors))), []string{
			"events: the LoggerProvider takes no events of severity INFO"}},
		"the backend of metrics is gone": {func() metric.MeterProvider { return pushed(&exports{err: errors.New("connection refused")}) }, logsTo(&kept), []string{
			"metrics: they could not be exported: ", "connection refused"}},
		"a provider that panics": {func() metric.MeterProvider { return panicking{pushed(new(exports))} }, logsTo(&kept), []string{
			"metrics: the ForceFlush method of the provider: panic: boom"}},
	} {
		t.Run(name, func(t *testing.T) {
			_ = handled(func() {
				synctest.Test(t, func(t *testing.T) {
					mp := tt.meters()
					m, err := Start(mp, withCapturer(parked(1)), WithLoggerProvider(tt.logs), WithDetectors())
					require.NoError(t, err)
					began := time.Now()
					err = m.SelfTest(t.Context())
					require.Error(t, err)
					for _, says := range tt.says {
						assert.ErrorContains(t, err, says)
					}
					assert.Equal(t, len(tt.says) > 1 && name == "nothing is set up", strings.Contains(err.Error(), "\n"), "what did arrive is not in the error")
					assert.Zero(t, time.Since(began), "there is nothing to wait for")
					require.NoError(t, m.Shutdown(t.Context()))
					if sdk, ok := mp.(interface{ Shutdown(context.Context) error }); ok {
						_ = sdk.Shutdown(t.Context())
					}
				})
			})
		})
	}
}

func pushed(e *exports) *sdkmetric.MeterProvider {
	return sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(e)))
}

// The batch processor tells what its exporter said.
func TestASelfTestTellsTheErrorOfTheExporterOfLogs(t *testing.T) {
	logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(refusingLogs{})))
	m, err := Start(provider(), withCapturer(parked(1)), WithLoggerProvider(logs), WithDetectors())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan struct{})
	time.AfterFunc(time.Millisecond, func() { cancel(); close(cancelled) }) // nothing collects the metrics
	err = m.SelfTest(ctx)
	<-cancelled
	assert.ErrorContains(t, err, "metrics: no collection has read")
	_ = handled(func() { _ = logs.Shutdown(t.Context()) })
	require.NoError(t, m.Shutdown(t.Context()))
}

func TestASelfTestEndsWithTheMonitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs memory
		m, err := Start(provider(), withCapturer(parked(1)), WithLoggerProvider(logsTo(&logs)), WithDetectors())
		require.NoError(t, err)
		var ended atomic.Bool
		result := make(chan error)
		go func() { err := m.SelfTest(context.Background()); ended.Store(true); result <- err }()
		synctest.Wait()
		assert.False(t, ended.Load())
		require.NoError(t, m.Shutdown(t.Context()))
		assert.ErrorContains(t, <-result, "metrics: the monitor was shut down")
	})
	for _, m := range []*Monitor{nil, {}} {
		assert.ErrorContains(t, m.SelfTest(t.Context()), "not made by Start")
	}
}

// Without a LoggerProvider, the test goes where the events of faults go: to slog's
// default, or to the program's own logger and functions.
func TestASelfTestReachesSlogAndFunctions(t *testing.T) {
	for name, own := range map[string]bool{"slog's default": false, "a logger and a function": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				logger := slog.New(slog.NewTextHandler(&out, nil))
				var kinds []detectors.Kind
				options := []Option{withCapturer(parked(1)), WithDetectors()}
				if own {
					options = append(options, WithLogger(logger), WithEventFunc(func(e detectors.Event) { kinds = append(kinds, e.Kind) }))
				} else {
					byDefaultTo(t, logger.Handler())
				}
				mp := pushed(new(exports))
				m, err := Start(mp, options...)
				require.NoError(t, err)
				require.NoError(t, m.SelfTest(t.Context()))
				require.NoError(t, m.Shutdown(t.Context()))
				assert.Equal(t, 2, strings.Count(out.String(), "goroutine.detector.name=self_test"), out.String())
				assert.Contains(t, out.String(), "This is a test")
				assert.Contains(t, out.String(), "event.name=goroutine.finding.resolved")
				if own {
					assert.Equal(t, []detectors.Kind{detectors.Detected, detectors.Resolved}, kinds)
				}
				require.NoError(t, mp.Shutdown(t.Context()))
			})
		})
	}
}

func TestASelfTestSaysThatSlogDidNotTakeIt(t *testing.T) {
	for name, tt := range map[string]struct {
		handler slog.Handler
		says    string
	}{
		"warnings only": {slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn}), "the slog logger takes no records of level INFO"},
		"a panic":       {panickingHandler{}, "the slog handler panicked"},
	} {
		t.Run(name, func(t *testing.T) {
			_ = handled(func() {
				synctest.Test(t, func(t *testing.T) {
					mp := pushed(new(exports))
					m, err := Start(mp, withCapturer(parked(1)), WithDetectors(), WithLogger(slog.New(tt.handler)))
					require.NoError(t, err)
					assert.ErrorContains(t, m.SelfTest(t.Context()), "SelfTest: events: "+tt.says)
					require.NoError(t, m.Shutdown(t.Context()))
					require.NoError(t, mp.Shutdown(t.Context()))
				})
			})
		})
	}
}
