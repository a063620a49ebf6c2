// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

// stalling is a capturer whose second capture does not return before gate closes.
func stalling(gate <-chan struct{}) *script {
	s := parked(3)
	take := s.take
	s.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
		if n == 2 {
			<-gate
		}
		return take(n)
	}
	return s
}

func TestACaptureThatHangsIsToldOnceAndHoldsNothingUp(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	errs := handled(func() {
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan struct{})
			c := stalling(gate)
			m, err := Start(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), withCapturer(c), WithDetectors())
			require.NoError(t, err)
			var told updates
			m.Subscribe(told.add)
			skips := func() (all []Skip) {
				for _, u := range told.list() {
					all = append(all, u.Skips...)
				}
				return all
			}
			time.Sleep(10*time.Minute + time.Second)
			assert.EqualValues(t, 2, c.taken.Load(), "there are never two captures at a time")
			assert.EqualValues(t, 1, c.aborted.Load())
			require.Len(t, skips(), 40, "one with every interval")
			assert.Equal(t, Skip{goroutine.SourceTrace, "hung"}, skips()[0])
			assert.NotNil(t, m.Snapshot(), "the last one stays")

			close(gate)
			time.Sleep(time.Minute)
			assert.EqualValues(t, 6, c.taken.Load(), "when it has returned, snapshots go on")
			assert.Len(t, skips(), 40)
			require.NoError(t, m.Shutdown(t.Context()))
		})
	})
	require.Len(t, errs, 1)
	assert.ErrorContains(t, errs[0], "an earlier capture did not end")
	assert.EqualValues(t, 40, sum(t, reader, "goroutine.snapshot.skipped"))
}

func TestShutdownLeavesACaptureThatHangsBehind(t *testing.T) {
	handled(func() {
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan struct{})
			c := stalling(gate)
			m, err := Start(provider(), withCapturer(c))
			require.NoError(t, err)
			time.Sleep(16 * time.Second)
			began := time.Now()
			err = m.Shutdown(t.Context())
			assert.ErrorIs(t, err, errHung)
			assert.LessOrEqual(t, time.Since(began), hangAfter)
			assert.EqualValues(t, 1, c.aborted.Load(), "it was told to end")
			close(gate) // and its goroutine ends, or the bubble does not
		})
	})
}

// A capture that ends when it is told to delays Shutdown no further.
func TestShutdownEndsACapture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		c := stalling(gate)
		c.abort = func() { close(gate) }
		m, err := Start(provider(), withCapturer(c))
		require.NoError(t, err)
		time.Sleep(16 * time.Second)
		began := time.Now()
		require.NoError(t, m.Shutdown(t.Context()))
		assert.Zero(t, time.Since(began))
	})
}

// clients returns clients of one taker, and ends them with the test.
func clients(t *testing.T, c capturer, intervals ...time.Duration) (list []*client) {
	taker := newTaker(c)
	stop := make(chan struct{})
	for _, interval := range intervals {
		cl := &client{taker: taker, interval: interval, stop: stop}
		taker.join(cl)
		list = append(list, cl)
	}
	go taker.run()
	return list
}

func TestMonitorsShareASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(1)
		both := clients(t, c, 10*time.Second, 10*time.Second)
		a, _ := both[0].Take(0)
		time.Sleep(4 * time.Second)
		b, _ := both[1].Take(0)
		assert.Same(t, a, b)
		again, _ := both[1].Take(0)
		assert.NotSame(t, a, again, "but no monitor gets one twice")
		time.Sleep(6 * time.Second)
		a, _ = both[0].Take(0)
		assert.EqualValues(t, 3, c.taken.Load(), "the last one is older than half the interval")
		assert.NotSame(t, a, again)
		for _, cl := range both {
			assert.False(t, cl.close())
		}
	})
}

func TestAClientWaitsForTheOthersCapture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(1)
		take := c.take
		c.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
			time.Sleep(time.Second)
			return take(n)
		}
		both := clients(t, c, time.Second, time.Second)
		done := make(chan *goroutine.Snapshot)
		go func() { s, _ := both[0].Take(0); done <- s }()
		s, skips := both[1].Take(0)
		assert.NotNil(t, s)
		assert.Empty(t, skips)
		assert.NotNil(t, <-done)
		for _, cl := range both {
			cl.close()
		}
	})
}

func TestTheMostCarefulMonitorDecides(t *testing.T) {
	with := func(config capture.Config) *client { return &client{config: config} }
	c := merged([]*client{
		with(capture.Config{Budget: capture.Budget{CPU: 0.1, Pause: time.Millisecond}, Tracing: true}),
		with(capture.Config{Budget: capture.Budget{CPU: 0.2, Pause: time.Microsecond}, Tracing: true, LeakProof: true}),
		with(capture.Config{Budget: capture.Budget{CPU: 0.3, Pause: time.Second}, Tracing: false}),
	})
	assert.Equal(t, capture.Config{Budget: capture.Budget{CPU: 0.1, Pause: time.Microsecond}, LeakProof: true}, c)
}

func TestOnlyWhoAskedForProofsGetsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(1)
		c.proof = &goroutine.Snapshot{}
		both := clients(t, c, time.Second, time.Second)
		both[1].config.LeakProof = true
		s, skip := both[0].Prove(&goroutine.Snapshot{})
		assert.Nil(t, s)
		assert.Nil(t, skip)
		s, _ = both[1].Prove(&goroutine.Snapshot{})
		assert.NotNil(t, s)
		s, skip = both[0].Labelled()
		assert.Nil(t, s, "no labels were asked for")
		assert.Nil(t, skip)
		for _, cl := range both {
			cl.close()
		}
	})
}

func TestAllMonitorsOfAProcessHaveOneCapturer(t *testing.T) {
	a, err := Start(provider(), WithSource(SourceProfileOnly))
	require.NoError(t, err)
	b, err := Start(provider(), WithSource(SourceProfileOnly))
	require.NoError(t, err)
	running.Lock()
	shared := running.taker
	running.Unlock()
	require.NotNil(t, shared)
	assert.Len(t, shared.clients, 2)
	require.NoError(t, a.Shutdown(t.Context()))
	assert.Len(t, shared.clients, 1)
	require.NoError(t, b.Shutdown(t.Context()))
	assert.Nil(t, running.taker)
}

func TestANilOrZeroMonitorDoesNothing(t *testing.T) {
	for name, m := range map[string]*Monitor{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			assert.Nil(t, m.Snapshot())
			assert.Nil(t, m.Findings())
			assert.Zero(t, m.Interval())
			assert.Zero(t, m.Budget())
			<-m.Done()
			m.Subscribe(func(Update) { t.Error("called") })()
			assert.ErrorContains(t, m.WriteReport(&bytes.Buffer{}), "not made by Start")
			assert.NoError(t, m.Shutdown(t.Context()))
		})
	}
}

// sum adds up a counter.
func sum(t *testing.T, reader sdkmetric.Reader, name string) (total int64) {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); !errors.Is(err, sdkmetric.ErrReaderShutdown) {
		require.NoError(t, err)
	}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if data, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == name {
				for _, p := range data.DataPoints {
					total += p.Value
				}
			}
		}
	}
	return total
}
