// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

func TestAMonitorGivesWayToTheProgramsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := sdkmetric.NewManualReader()
		mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		first, err := Start(mp, withCapturer(parked(7)), WithHandover())
		require.NoError(t, err)
		synctest.Wait()
		second, err := Start(mp, withCapturer(parked(7)))
		require.NoError(t, err)
		synctest.Wait()
		<-first.Done()
		assert.Equal(t, []*Monitor{second}, claimed())
		assert.EqualValues(t, 7, total(t, reader), "counted once")
		require.NoError(t, first.Shutdown(t.Context()))
		require.NoError(t, second.Shutdown(t.Context()))
	})
}

func TestAMonitorGivesWayOnWhateverProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, err := Start(noop.NewMeterProvider(), withCapturer(parked(1)), WithHandover())
		require.NoError(t, err)
		second, err := Start(provider(), withCapturer(parked(1)))
		require.NoError(t, err)
		third, err := Start(provider(), withCapturer(parked(1)))
		require.NoError(t, err)
		assert.Equal(t, []*Monitor{second, third}, claimed(), "others do not give way")
		for _, m := range []*Monitor{first, second, third} {
			require.NoError(t, m.Shutdown(t.Context()))
		}
	})
}

func TestAMonitorThatWouldGiveWayDoesNotStartBesideAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, options := range [][]Option{nil, {WithHandover()}} {
			first, err := Start(provider(), append(options, withCapturer(parked(1)))...)
			require.NoError(t, err)
			_, err = Start(provider(), withCapturer(parked(1)), WithHandover())
			assert.ErrorIs(t, err, ErrStarted)
			require.NoError(t, first.Shutdown(t.Context()))
			next, err := Start(provider(), withCapturer(parked(1)), WithHandover())
			require.NoError(t, err, "after Shutdown there is room")
			require.NoError(t, next.Shutdown(t.Context()))
		}
	})
}

// A snapshot of the first monitor ends after the second has begun. Its events are the
// second's to send, and its metrics stay off.
func TestASnapshotThatEndsAfterTheHandoverTellsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := sdkmetric.NewManualReader()
		mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		var logs memory
		slow, release := parked(7), make(chan struct{})
		take := slow.take
		slow.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
			<-release
			return take(n)
		}
		slow.abort = func() {}
		first, err := Start(mp, withCapturer(slow), WithHandover(), WithDetectors(always()), WithLoggerProvider(logsTo(&logs)))
		require.NoError(t, err)
		synctest.Wait()
		second, err := Start(mp, withCapturer(parked(7)), WithDetectors(always()), WithLoggerProvider(logsTo(&logs)))
		require.NoError(t, err, "Start does not wait for the snapshot")
		synctest.Wait()
		close(release)
		synctest.Wait()
		assert.Len(t, logs.names(), 1)
		assert.EqualValues(t, 7, total(t, reader))
		require.NoError(t, first.Shutdown(t.Context()))
		require.NoError(t, second.Shutdown(t.Context()))
	})
}

// refusingProvider is a provider whose instruments cannot be made.
type refusingProvider struct{ metric.MeterProvider }

func (refusingProvider) Meter(string, ...metric.MeterOption) metric.Meter {
	return refusingMeter{noop.Meter{}}
}

type refusingMeter struct{ noop.Meter }

func (refusingMeter) RegisterCallback(metric.Callback, ...metric.Observable) (metric.Registration, error) {
	return nil, errors.New("refused")
}

func TestAMonitorThatCouldNotBeginGivesWay(t *testing.T) {
	_, err := Start(refusingProvider{noop.NewMeterProvider()}, WithHandover())
	require.ErrorContains(t, err, "refused")
	m, err := Start(provider(), withCapturer(parked(1)))
	require.NoError(t, err)
	require.NoError(t, m.Shutdown(t.Context()))
}

func TestManyHandoversAtOnce(t *testing.T) {
	const n = 20
	monitors := make(chan *Monitor, 2*n)
	start := func(opts ...Option) {
		m, err := Start(provider(), append(opts, withCapturer(parked(1)))...)
		if assert.True(t, err == nil || errors.Is(err, ErrStarted), err) && err == nil {
			monitors <- m
		}
	}
	var all sync.WaitGroup
	for range n {
		all.Go(func() { start() })
		all.Go(func() { start(WithHandover()) })
	}
	all.Wait()
	close(monitors)
	assert.Len(t, claimed(), n)
	for m := range monitors {
		require.NoError(t, m.Shutdown(t.Context()))
	}
	assert.Empty(t, claimed())
}

// total returns the sum of goroutine.count.
func total(t *testing.T, reader sdkmetric.Reader) (sum int64) {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if data, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "goroutine.count" {
				for _, p := range data.DataPoints {
					sum += p.Value
				}
			}
		}
	}
	return sum
}
