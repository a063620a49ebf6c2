// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	otelattribute "go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

func statesOf(s Status) (states []string) {
	for _, d := range s.Detectors {
		states = append(states, d.State())
	}
	return states
}

// observed collects how many detectors are in a state, and the age of the newest
// snapshot.
func observed(t *testing.T, r sdkmetric.Reader) (states map[string]int64, age float64) {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, r.Collect(context.Background(), &rm))
	states = make(map[string]int64)
	for _, m := range rm.ScopeMetrics[0].Metrics {
		switch m.Name {
		case "goroutine.snapshot.age":
			age = m.Data.(metricdata.Gauge[float64]).DataPoints[0].Value
		case "goroutine.detector.status":
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				if state, _ := p.Attributes.Value(otelattribute.Key("goroutine.detector.state")); p.Value != 0 {
					states[state.AsString()] += p.Value
				}
			}
		}
	}
	return states, age
}

// A healthy monitor judges with everything it has after an hour, and says so in
// every way.
func TestAHealthyMonitorSaysThatAllAreJudging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(3)
		take := c.take
		c.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
			s, skips := take(n)
			s.Groups[0].State = goroutine.Select
			return s, skips
		}
		reader := sdkmetric.NewManualReader()
		m, err := Start(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), withCapturer(c))
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, 1, m.Status().Judging(), m.Status().String())
		assert.Contains(t, m.Status().String(), "Judging: 1 of 9 detectors. Not judging: hang, deadlock, pileup (4 snapshots over at least 60 s are needed; there is 1; possible from 00:01 UTC); leak (7 snapshots over at least 45 min are needed; there is 1; possible from 00:45 UTC);")

		time.Sleep(time.Hour + 12*time.Second)
		assert.Equal(t, "Judging: all 9 detectors. Newest snapshot 12 s old.", m.Status().String())
		states, age := observed(t, reader)
		assert.Equal(t, map[string]int64{"judging": 9}, states)
		assert.Equal(t, 12.0, age)
		var report bytes.Buffer
		require.NoError(t, m.WriteReport(&report))
		assert.Contains(t, report.String(), "\nFindings\n  none\n  Judging: all 9 detectors. Newest snapshot 12 s old.\n")
		require.NoError(t, m.Shutdown(context.Background()))
		assert.Zero(t, m.Status().Judging(), "after Shutdown nothing is judged")
	})
}

// A capture that hangs takes the monitor's goroutine with it. The age grows all
// the same, and no detector counts as judging.
func TestAMonitorThatHangsSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(3)
		take, release := c.take, make(chan struct{})
		c.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
			if n > 2 {
				<-release
			}
			return take(n)
		}
		reader := sdkmetric.NewManualReader()
		m, err := Start(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), withCapturer(c), WithDetectors(always()))
		require.NoError(t, err)
		time.Sleep(15*time.Second + 45*time.Second)
		assert.Equal(t, []string{"judging"}, statesOf(m.Status()))
		time.Sleep(time.Second)
		assert.Equal(t, []string{"no_snapshot"}, statesOf(m.Status()))
		assert.Equal(t, 46*time.Second, m.Status().Age)
		states, age := observed(t, reader)
		assert.Equal(t, map[string]int64{"no_snapshot": 1}, states)
		assert.Equal(t, 46.0, age)
		var report bytes.Buffer
		require.NoError(t, m.WriteReport(&report))
		assert.Contains(t, report.String(), "  Not judging: always (the last snapshot was taken 46 s ago (trace: an earlier capture has not returned))\n")

		close(release)
		time.Sleep(30 * time.Second)
		assert.Equal(t, []string{"judging"}, statesOf(m.Status()))
		require.NoError(t, m.Shutdown(context.Background()))
	})
}

func TestRefusedSnapshotsAreToldWithTheirReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(3)
		take := c.take
		c.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
			skips := []capture.Skip{{Source: goroutine.SourceTrace, Refusal: &capture.Refusal{Reason: capture.ReasonBudget, Err: errors.New("later")}}}
			switch {
			case n == 1:
				skips[0].Reason = capture.ReasonBusy
				s, _ := take(n)
				s.Source, s.Epochs = goroutine.SourceProfile, nil
				return s, skips
			case n <= 5:
				return nil, skips
			}
			return take(n)
		}
		ids := &detectors.Detector{Name: "ids", Needs: detectors.Needs{IDs: true}, Run: func(*detectors.Pass) error { return nil }}
		m, err := Start(provider(), withCapturer(c), WithDetectors(always(), ids))
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, "Judging: 1 of 2 detectors. Not judging: ids (snapshots have no goroutine IDs (no trace: another execution trace is running)). Newest snapshot 0 s old.", m.Status().String())
		assert.Contains(t, m.Status().Skips, Skip{goroutine.SourceTrace, "slot_taken"})
		time.Sleep(46 * time.Second)
		assert.Equal(t, "Judging: none of 2 detectors. Not judging: always, ids (the last snapshot was taken 46 s ago (trace: its CPU time exceeds the budget so far)). Newest snapshot 46 s old.", m.Status().String())
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"judging", "judging"}, statesOf(m.Status()))
		require.NoError(t, m.Shutdown(context.Background()))
	})
}

func TestAMonitorThatNothingHearsSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := Start(noop.NewMeterProvider(), withCapturer(parked(3)), WithDetectors(always()))
		require.NoError(t, err)
		time.Sleep(time.Hour)
		assert.Equal(t, "Judging: 0 of 1 detector. Not judging: always (nothing exports telemetry, and no findings were asked for in the last 10 min). There is no snapshot yet.", m.Status().String())
		synctest.Wait()
		assert.Equal(t, []string{"judging"}, statesOf(m.Status()), "the question was heard")
		require.NoError(t, m.Shutdown(context.Background()))
	})
}

func TestTheStatusOfNoMonitor(t *testing.T) {
	var none *Monitor
	assert.Zero(t, none.Status())
	assert.Zero(t, new(Monitor).Status())
	assert.Equal(t, "No detector is used. There is no snapshot yet.", none.Status().String())
}
