// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

// grave is a detector with a name that reports one finding with the confidence that
// is set at the moment; none while it is 0.
func grave(name string, sure *atomic.Int32) *detectors.Detector {
	return &detectors.Detector{Name: name, Doc: "Finds.", Run: func(p *detectors.Pass) error {
		g := p.Snapshot.Groups[0]
		if c := detectors.Confidence(sure.Load()); c > 0 {
			p.Report(detectors.Finding{Confidence: c, Stack: g.Stack, State: g.State, Count: g.Count, Message: "Of lock 0xc000123456."})
		}
		return nil
	}}
}

// vitals are detectors with the names of those that count, of which the first finds.
func vitals(sure *atomic.Int32) Option {
	return WithDetectors(grave("hang", sure), grave("deadlock", new(atomic.Int32)), grave("stall", new(atomic.Int32)))
}

func TestHealthFollowsTheFindings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sure atomic.Int32
		m, err := Start(noop.NewMeterProvider(), withCapturer(parked(3)), vitals(&sure))
		require.NoError(t, err)
		synctest.Wait()
		before := m.Health()
		assert.True(t, before.OK)
		assert.Equal(t, "hang, deadlock, stall ("+noListener+")", before.Blind)
		synctest.Wait()
		assert.Equal(t, Health{OK: true}, m.Health(), "the question itself is heard")

		sure.Store(int32(detectors.Suspected))
		time.Sleep(time.Minute + time.Second)
		assert.Equal(t, Health{OK: true}, m.Health(), "not sure enough")

		sure.Store(int32(detectors.High))
		time.Sleep(5 * time.Minute)
		h := m.Health()
		assert.False(t, h.OK)
		assert.Equal(t, "hang (high) at main.worker (main.go:42): 3 goroutines stand, open for 6 min", h.Reason)
		assert.Equal(t, detectors.High, h.Finding.Confidence)
		assert.Equal(t, h.Finding.Opened, h.Since)
		assert.Equal(t, 6*time.Minute-m.interval, h.Age, "as of the newest snapshot")
		assert.Empty(t, h.Blind)

		sure.Store(0)
		time.Sleep(3 * m.interval)
		assert.Equal(t, Health{OK: true}, m.Health())
		require.NoError(t, m.Shutdown(t.Context()))
		after := m.Health()
		assert.True(t, after.OK)
		assert.Contains(t, after.Blind, "the monitor was shut down")
	})
}

func TestOnlyWhatStopsWorkCounts(t *testing.T) {
	for name, want := range map[string]bool{"hang": false, "deadlock": false, "stall": false, "leak": true, "mine": true} {
		for c, sure := range map[detectors.Confidence]bool{
			detectors.Info: false, detectors.Medium: false, detectors.Suspected: false,
			detectors.Confirmed: true, detectors.High: true, detectors.Certain: true,
		} {
			synctest.Test(t, func(t *testing.T) {
				var is atomic.Int32
				is.Store(int32(c))
				m, err := Start(provider(), withCapturer(parked(3)), WithDetectors(grave(name, &is)))
				require.NoError(t, err)
				synctest.Wait()
				assert.Equal(t, want || !sure, m.Health().OK, "%s %v", name, c)
				require.NoError(t, m.Shutdown(t.Context()))
			})
		}
	}
}

// A monitor whose snapshots stop cannot tell whether a finding is still true.
func TestWhatCannotBeJudgedIsHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sure atomic.Int32
		sure.Store(int32(detectors.High))
		c := parked(3)
		take := c.take
		c.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
			if n > 4 {
				return nil, []capture.Skip{{Source: goroutine.SourceTrace, Refusal: &capture.Refusal{Reason: capture.ReasonBudget, Err: errors.New("later")}}}
			}
			return take(n)
		}
		m, err := Start(provider(), withCapturer(c), vitals(&sure))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		assert.False(t, m.Health().OK)
		time.Sleep(time.Minute)
		h := m.Health()
		assert.True(t, h.OK)
		assert.Nil(t, h.Finding)
		assert.Contains(t, h.Blind, "hang, deadlock, stall (the last snapshot was taken 75 s ago")
		require.NoError(t, m.Shutdown(t.Context()))
	})
	for _, m := range []*Monitor{nil, new(Monitor)} {
		assert.Equal(t, Health{OK: true, Blind: "no monitor was started"}, m.Health())
	}
	open := []detectors.Finding{{Detector: "hang", Confidence: detectors.High, Unjudged: "snapshots have no goroutine IDs"}}
	assert.Nil(t, gravest(open))
}

func TestTheOldestFindingIsTheReason(t *testing.T) {
	at := time.Now()
	open := []detectors.Finding{
		{Detector: "hang", Confidence: detectors.High, Opened: at.Add(time.Minute)},
		{Detector: "leak", Confidence: detectors.Confirmed, Opened: at},
		{Detector: "deadlock", Confidence: detectors.Certain, Opened: at.Add(time.Second)},
	}
	assert.Equal(t, "deadlock", gravest(open).Detector)
}

// A probe keeps a monitor going that nothing else hears, and lets it rest while the
// process is quiet.
func TestAProbeIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(3)
		c.still.Store(&counts{3, 100})
		m, err := Start(noop.NewMeterProvider(), withCapturer(c), WithDetectors())
		require.NoError(t, err)
		time.Sleep(time.Hour)
		assert.Zero(t, c.taken.Load())
		for range 60 {
			m.Health()
			time.Sleep(time.Minute)
		}
		assert.Greater(t, c.taken.Load(), int32(time.Hour/m.interval/restful))
		assert.Less(t, c.taken.Load(), int32(time.Hour/m.interval/2), "fewer than in a busy process")
		time.Sleep(askedFor)
		taken := c.taken.Load()
		time.Sleep(time.Hour)
		assert.Equal(t, taken, c.taken.Load(), "not asked any more")
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

func TestWhyHealthIsBlindIsBoundedAndTellsNoErrors(t *testing.T) {
	long := detectors.NotJudging("hang", detectors.ReasonShortHistory, strings.Repeat("é", 140)+"\nx")
	failed := detectors.NotJudging("deadlock", detectors.ReasonError, "secret")
	assert.Equal(t, "deadlock (error); hang, stall (not in use)", blind([]detectors.Status{failed}))
	all := []detectors.Status{long, {Detector: "deadlock", Detail: strings.Repeat("x\r\n", 300)}, {Detector: "stall", Judging: true}}
	text := blind(all)
	assert.LessOrEqual(t, len(text), maxHealthText)
	assert.NotContains(t, text, "\n")
	assert.NotContains(t, text, "stall")
	assert.Empty(t, blind([]detectors.Status{{Detector: "hang", Judging: true}, {Detector: "deadlock", Judging: true}, {Detector: "stall", Judging: true}}))

	stack := goroutine.NewStack([]goroutine.Frame{{Function: strings.Repeat("é", 300), File: "/a/" + strings.Repeat("f", 400), Line: 1}})
	assert.LessOrEqual(t, len(bounded(reason(&detectors.Finding{Detector: "hang", Stack: stack}, 0))), maxHealthText)
	assert.Equal(t, "an unknown place", placeOf(nil))
	assert.Equal(t, "main.f", placeOf(goroutine.NewStack([]goroutine.Frame{{Function: "main.f"}})))
	assert.Equal(t, "an unknown place", placeOf(goroutine.NewStack(nil)))
}

// A monitor that hangs, with a finding that was open before, answers at once.
func TestHealthDoesNotWaitForAMonitorThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sure atomic.Int32
		sure.Store(int32(detectors.Certain))
		c := parked(3)
		take, release := c.take, make(chan struct{})
		c.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
			if n > 2 {
				<-release
			}
			return take(n)
		}
		m, err := Start(provider(), withCapturer(c), vitals(&sure))
		require.NoError(t, err)
		time.Sleep(m.interval + time.Second)
		assert.False(t, m.Health().OK)
		time.Sleep(5 * time.Minute)
		asked := time.Now()
		h := m.Health()
		assert.Equal(t, asked, time.Now())
		assert.True(t, h.OK)
		assert.Contains(t, h.Blind, "an earlier capture has not returned")
		close(release)
		time.Sleep(2 * m.interval)
		assert.False(t, m.Health().OK)
		require.NoError(t, m.Shutdown(t.Context()))
	})
}
