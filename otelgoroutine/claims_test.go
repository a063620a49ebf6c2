// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"context"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// wrapped is a provider that wraps another, as people write them.
type wrapped struct{ metric.MeterProvider }

// rewrapped wraps the meters as well.
type rewrapped struct{ metric.MeterProvider }

func (r *rewrapped) Meter(name string, opts ...metric.MeterOption) metric.Meter {
	return &wrappedMeter{r.MeterProvider.Meter(name, opts...)}
}

type wrappedMeter struct{ metric.Meter }

func TestAProviderIsRecognizedThroughAnother(t *testing.T) {
	mp := provider()
	m, err := Start(mp)
	require.NoError(t, err)
	for name, other := range map[string]metric.MeterProvider{
		"itself":                     mp,
		"wrapped":                    wrapped{mp},
		"wrapped, by pointer":        &wrapped{mp},
		"wrapped, as are its meters": &rewrapped{mp},
		"wrapped twice":              &wrapped{&rewrapped{mp}},
	} {
		_, err := Start(other)
		assert.ErrorIs(t, err, ErrStarted, name)
	}
	require.NoError(t, m.Shutdown(t.Context()))

	m, err = Start(&rewrapped{mp})
	require.NoError(t, err, "after Shutdown the provider is free")
	_, err = Start(mp)
	assert.ErrorIs(t, err, ErrStarted)
	require.NoError(t, m.Shutdown(t.Context()))
}

func TestProvidersThatLeadNowhereAreNotTheSame(t *testing.T) {
	stopped := provider()
	require.NoError(t, stopped.Shutdown(t.Context()))
	for _, mp := range []metric.MeterProvider{noop.NewMeterProvider(), noop.NewMeterProvider(), stopped, provider(), provider()} {
		m, err := Start(mp)
		require.NoError(t, err)
		defer func() { require.NoError(t, m.Shutdown(t.Context())) }()
	}
}

func TestTwoMonitorsSendAnEventOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs, others memory
		lp := logsTo(&logs)
		first, err := Start(provider(), withCapturer(parked(1)), WithDetectors(always()), WithLoggerProvider(lp))
		require.NoError(t, err)
		second, err := Start(provider(), withCapturer(parked(1)), WithDetectors(always()), WithLoggerProvider(lp))
		require.NoError(t, err)
		third, err := Start(provider(), withCapturer(parked(1)), WithDetectors(always()), WithLoggerProvider(logsTo(&others)))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		assert.Len(t, logs.names(), 1)
		assert.Len(t, others.names(), 1, "another logger provider has its own")
		assert.Len(t, second.Findings(), 1)
		for _, m := range []*Monitor{first, second, third} {
			require.NoError(t, m.Shutdown(t.Context()))
		}
	})
}

func TestTwoMonitorsWithTheirOwnDetectorsSendAllEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs memory
		lp := logsTo(&logs)
		other := always()
		other.Name = "other"
		first, err := Start(provider(), withCapturer(parked(1)), WithDetectors(always()), WithLoggerProvider(lp))
		require.NoError(t, err)
		second, err := Start(provider(), withCapturer(parked(1)), WithDetectors(other), WithLoggerProvider(lp))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		assert.Len(t, logs.names(), 2)
		require.NoError(t, first.Shutdown(t.Context()))
		require.NoError(t, second.Shutdown(t.Context()))
	})
}

// The global provider takes over the SDK's once in a process, so each case has a
// process of its own.
func TestTheGlobalProviderAndTheSDKs(t *testing.T) {
	cases := map[string]func(*testing.T, *sdkmetric.MeterProvider){
		"the SDK is set up between the two": func(t *testing.T, mp *sdkmetric.MeterProvider) {
			m, err := Start(nil)
			require.NoError(t, err)
			otel.SetMeterProvider(mp)
			_, err = Start(mp)
			assert.ErrorIs(t, err, ErrStarted)
			require.NoError(t, m.Shutdown(t.Context()))
		},
		"the SDK is set up after the two": func(t *testing.T, mp *sdkmetric.MeterProvider) {
			errs := handled(func() {
				first, err := Start(nil, WithInterval(MinInterval))
				require.NoError(t, err)
				second, err := Start(mp, WithInterval(MinInterval))
				require.NoError(t, err)
				otel.SetMeterProvider(mp)
				require.Eventually(t, second.telemetry.Muted, time.Minute, time.Millisecond)
				assert.False(t, first.telemetry.Muted())
				require.NoError(t, first.Shutdown(t.Context()))
				require.Eventually(t, func() bool { return !second.telemetry.Muted() }, time.Minute, time.Millisecond)
				require.NoError(t, second.Shutdown(t.Context()))
			})
			require.Len(t, errs, 1)
			assert.ErrorIs(t, errs[0], ErrStarted)
		},
		"nothing is captured before": func(t *testing.T, mp *sdkmetric.MeterProvider) {
			m, err := Start(nil, WithInterval(MinInterval))
			require.NoError(t, err)
			time.Sleep(3 * MinInterval)
			assert.Nil(t, m.latest.Load())
			otel.SetMeterProvider(mp)
			require.Eventually(t, func() bool { return m.latest.Load() != nil }, time.Minute, time.Millisecond)
			require.NoError(t, m.Shutdown(t.Context()))
		},
		"a self-test finds the SDK": func(t *testing.T, _ *sdkmetric.MeterProvider) {
			m, err := Start(nil, WithInterval(MinInterval))
			require.NoError(t, err)
			assert.ErrorContains(t, m.SelfTest(t.Context()), "the MeterProvider is not enabled")
			e := new(exports)
			mp := pushed(e)
			otel.SetMeterProvider(mp)
			assert.NotContains(t, m.SelfTest(t.Context()).Error(), "metrics")
			assert.Contains(t, e.values(), int64(1))
			require.NoError(t, m.Shutdown(t.Context()))
			require.NoError(t, mp.Shutdown(t.Context()))
		},
	}
	const key = "OTELGOROUTINE_TEST_CASE"
	if name := os.Getenv(key); name != "" {
		cases[name](t, provider())
		return
	}
	for name := range cases {
		t.Run(name, func(t *testing.T) {
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTheGlobalProviderAndTheSDKs$", "-test.count=1")
			child.Env = append(os.Environ(), key+"="+name)
			out, err := child.CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}
}

func TestNothingIsCapturedWhileNothingCanBeHeard(t *testing.T) {
	live, stopped := provider(), provider()
	require.NoError(t, stopped.Shutdown(t.Context()))
	for _, tt := range []struct {
		name  string
		mp    metric.MeterProvider
		opts  []Option
		heard bool
	}{
		{"no-op", noop.NewMeterProvider(), nil, false},
		{"no reader", sdkmetric.NewMeterProvider(), nil, false},
		{"shut down", stopped, nil, false},
		{"a logger provider without processors", noop.NewMeterProvider(), []Option{WithLoggerProvider(sdklog.NewLoggerProvider())}, false},
		{"metrics", live, nil, true},
		{"events only", noop.NewMeterProvider(), []Option{WithLoggerProvider(logsTo(&memory{}))}, true},
		{"profiles only", noop.NewMeterProvider(), []Option{WithProfileDir(t.TempDir(), 1)}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := parked(1)
				m, err := Start(tt.mp, append(tt.opts, withCapturer(c))...)
				require.NoError(t, err)
				time.Sleep(time.Hour)
				assert.Equal(t, tt.heard, c.taken.Load() > 0)
				require.NoError(t, m.Shutdown(t.Context()))
			})
		})
	}
}

func TestAQuestionIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(1)
		m, err := Start(noop.NewMeterProvider(), withCapturer(c))
		require.NoError(t, err)
		time.Sleep(time.Hour + time.Second)
		assert.Nil(t, m.Snapshot())
		synctest.Wait()
		assert.NotNil(t, m.Snapshot(), "at once, not after an interval")
		time.Sleep(2 * askedFor)
		assert.EqualValues(t, 1+askedFor/m.interval, c.taken.Load(), "for ten minutes")

		var updates atomic.Int32
		cancel := m.Subscribe(func(Update) { updates.Add(1) })
		synctest.Wait()
		before := updates.Load()
		time.Sleep(time.Hour)
		assert.EqualValues(t, time.Hour/m.interval, updates.Load()-before, "a subscriber is heard")
		cancel()
		time.Sleep(time.Hour)
		taken := c.taken.Load()
		time.Sleep(time.Hour)
		assert.Equal(t, taken, c.taken.Load())
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// A question that comes while the monitor finds out whether it is heard is answered
// by the snapshot that follows anyway.
func TestAQuestionInBetweenTakesNoSecondSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(1)
		var m *Monitor
		logs := &asking{ask: func() { m.Snapshot() }}
		logger := sdklog.NewLoggerProvider(sdklog.WithProcessor(logs))
		started := make(chan struct{})
		logs.after = started
		m, err := Start(noop.NewMeterProvider(), withCapturer(c), WithLoggerProvider(logger))
		require.NoError(t, err)
		close(started)
		synctest.Wait()
		assert.EqualValues(t, 1, c.taken.Load())
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// asking is a log processor that asks the monitor for a snapshot when it is asked
// whether it is enabled.
type asking struct {
	memory
	after <-chan struct{}
	ask   func()
}

func (a *asking) Enabled(context.Context, sdklog.EnabledParameters) bool {
	<-a.after
	a.ask()
	return true
}

func TestCapturingEndsWithTheProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mp, c := provider(), parked(1)
		m, err := Start(mp, withCapturer(c))
		require.NoError(t, err)
		time.Sleep(time.Hour + time.Second)
		taken := c.taken.Load()
		assert.EqualValues(t, 1+time.Hour/m.interval, taken)
		require.NoError(t, mp.Shutdown(t.Context()))
		time.Sleep(time.Hour)
		assert.LessOrEqual(t, c.taken.Load(), taken+1)
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// A provider may wrap another and know nothing of enabling. The collections tell.
type unaware struct{ metric.MeterProvider }

func (u unaware) Meter(name string, opts ...metric.MeterOption) metric.Meter {
	return unawareMeter{u.MeterProvider.Meter(name, opts...)}
}

type unawareMeter struct{ metric.Meter }

func (unawareMeter) Int64Counter(string, ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return noop.Int64Counter{}, nil
}

func TestACollectionIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader, c := sdkmetric.NewManualReader(), parked(1)
		m, err := Start(unaware{sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))}, withCapturer(c))
		require.NoError(t, err)
		time.Sleep(time.Hour + time.Second)
		assert.Zero(t, c.taken.Load())
		sum(t, reader, "")
		time.Sleep(time.Minute)
		assert.EqualValues(t, time.Minute/m.interval, c.taken.Load())
		require.NoError(t, m.Shutdown(t.Context()))
	})
}
