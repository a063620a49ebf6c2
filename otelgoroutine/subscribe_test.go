package otelgoroutine

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

func TestSubscribersAreToldOfEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := Start(sdkmetric.NewMeterProvider(), withCapturer(parked(3)), WithDetectors(always()))
		require.NoError(t, err)
		synctest.Wait()
		var got []Update
		cancel := m.Subscribe(func(u Update) { got = append(got, u) })
		require.Len(t, got, 1, "what there is already comes before Subscribe returns")
		assert.Same(t, m.Snapshot(), got[0].Snapshot)
		assert.Empty(t, got[0].Events, "its events are over")
		assert.Len(t, got[0].Open, 1)
		time.Sleep(time.Minute + time.Second)
		assert.Len(t, got, 5)
		cancel()
		time.Sleep(time.Hour)
		assert.Len(t, got, 5)
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

func TestAnUpdateHasEventsAndSkips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(3)
		take := c.take
		c.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
			if n == 2 {
				return nil, []capture.Skip{{Source: goroutine.SourceTrace, Refusal: &capture.Refusal{Reason: capture.ReasonBudget, Err: errors.New("later")}}}
			}
			return take(n)
		}
		m, err := Start(sdkmetric.NewMeterProvider(), withCapturer(c), WithDetectors(always()))
		require.NoError(t, err)
		var got []Update
		m.Subscribe(func(u Update) { got = append(got, u) })
		time.Sleep(31 * time.Second)
		require.NoError(t, m.Shutdown(t.Context()))
		require.Len(t, got, 3)
		require.Len(t, got[0].Events, 1)
		assert.Equal(t, detectors.Detected, got[0].Events[0].Kind)
		assert.Nil(t, got[1].Snapshot)
		assert.Equal(t, []Skip{{goroutine.SourceTrace, "cpu_budget"}}, got[1].Skips)
		assert.Len(t, got[1].Open, 1, "what is open stays open")
		assert.Empty(t, got[2].Skips)
	})
}

func TestASubscriberThatPanicsDisturbsNoOther(t *testing.T) {
	errs := handled(func() {
		synctest.Test(t, func(t *testing.T) {
			m, err := Start(sdkmetric.NewMeterProvider(), withCapturer(parked(3)))
			require.NoError(t, err)
			calls := 0
			m.Subscribe(func(Update) { panic("boom") })
			m.Subscribe(func(Update) { calls++ })
			time.Sleep(time.Minute + time.Second)
			assert.Equal(t, 5, calls)
			require.NoError(t, m.Shutdown(t.Context()))
		})
	})
	require.Len(t, errs, 1)
	assert.ErrorContains(t, errs[0], "boom")
}

func TestSubscribeAfterShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := Start(sdkmetric.NewMeterProvider(), withCapturer(parked(3)))
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, m.Shutdown(t.Context()))
		<-m.Done()
		var got []Update
		m.Subscribe(func(u Update) { got = append(got, u) })
		time.Sleep(time.Hour)
		require.Len(t, got, 1, "what was last seen")
		assert.NotNil(t, got[0].Snapshot)
		assert.Empty(t, m.feed.subscribers)
	})
}
