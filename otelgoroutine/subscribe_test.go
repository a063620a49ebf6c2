// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

// updates keeps what a subscriber is called with.
type updates struct {
	mu  sync.Mutex
	all []Update
}

func (u *updates) add(one Update) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all = append(u.all, one)
}

func (u *updates) list() []Update {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.all)
}

func TestSubscribersAreToldOfEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := Start(provider(), withCapturer(parked(3)), WithDetectors(always()))
		require.NoError(t, err)
		synctest.Wait()
		var seen updates
		cancel := m.Subscribe(seen.add)
		got := seen.list()
		require.Len(t, got, 1, "what there is already comes before Subscribe returns")
		assert.Same(t, m.Snapshot(), got[0].Snapshot)
		assert.Empty(t, got[0].Events, "its events are over")
		assert.Len(t, got[0].Open, 1)
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		assert.Len(t, seen.list(), 5)
		cancel()
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Len(t, seen.list(), 5)
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

func TestAnUpdateHasEventsAndSkips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(3)
		take := c.take
		subscribed := make(chan struct{})
		c.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
			<-subscribed
			if n == 2 {
				return nil, []capture.Skip{{Source: goroutine.SourceTrace, Refusal: &capture.Refusal{Reason: capture.ReasonBudget, Err: errors.New("later")}}}
			}
			return take(n)
		}
		m, err := Start(provider(), withCapturer(c), WithDetectors(always()))
		require.NoError(t, err)
		var seen updates
		m.Subscribe(seen.add)
		close(subscribed)
		time.Sleep(31 * time.Second)
		require.NoError(t, m.Shutdown(t.Context()))
		got := seen.list()
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
			heard := WithEventFunc(func(detectors.Event) {}) // the first may come before the subscribers
			m, err := Start(provider(), withCapturer(parked(3)), heard)
			require.NoError(t, err)
			var seen updates
			m.Subscribe(func(Update) { panic("boom") })
			m.Subscribe(seen.add)
			time.Sleep(time.Minute + time.Second)
			synctest.Wait()
			assert.Len(t, seen.list(), 5)
			require.NoError(t, m.Shutdown(t.Context()))
		})
	})
	require.Len(t, errs, 1)
	assert.ErrorContains(t, errs[0], "boom")
}

func TestSubscribeAfterShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := Start(provider(), withCapturer(parked(3)))
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, m.Shutdown(t.Context()))
		<-m.Done()
		var seen updates
		m.Subscribe(seen.add)
		time.Sleep(time.Hour)
		synctest.Wait()
		got := seen.list()
		require.Len(t, got, 1, "what was last seen")
		assert.NotNil(t, got[0].Snapshot)
		assert.Empty(t, m.feed.subscribers)
	})
}
