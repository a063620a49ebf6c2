// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

// growing is a capturer that sees a number of goroutines that depends on the time
// since now.
func growing(count func(time.Duration) int) *script {
	began := time.Now()
	return &script{take: func(int) (*goroutine.Snapshot, []capture.Skip) {
		s, _ := parked(count(time.Since(began))).take(1)
		return s, nil
	}}
}

func reportOf(t *testing.T, m *Monitor) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, m.WriteReport(&b))
	return b.String()
}

func TestTheHistoryIsBoundedAndReachesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := Start(provider(), withCapturer(growing(func(d time.Duration) int { return 100 + int(d/time.Minute) })), WithDetectors())
		require.NoError(t, err)
		synctest.Wait()
		require.Len(t, m.History(), 1)
		for _, hours := range []int{1, 23, 24} {
			time.Sleep(time.Duration(hours) * time.Hour)
			points := m.History()
			assert.Len(t, points, MaxPoints)
			for i, p := range points {
				assert.Equal(t, map[goroutine.State]int{goroutine.ChanReceiveNil: p.Total}, p.States)
				assert.Equal(t, goroutine.SourceTrace, p.Source)
				if i > 0 {
					assert.Less(t, points[i-1].Time, p.Time)
				}
				if i > len(points)-wholePoints {
					assert.Equal(t, 15*time.Second, p.Time.Sub(points[i-1].Time), "the newest are not thinned out")
				}
			}
			reach := points[MaxPoints-1].Time.Sub(points[0].Time)
			assert.LessOrEqual(t, reach, MaxPointAge)
			assert.Greater(t, reach, min(time.Duration(hours)*time.Hour, MaxPointAge)*9/10)
		}
		points := m.History()
		clear(points[0].States)
		points[0].Total = -1
		assert.Positive(t, m.History()[0].Total, "the result may be modified")
		require.NoError(t, m.Shutdown(t.Context()))
		assert.Len(t, m.History(), MaxPoints)
	})
}

// The report tells the trend over the history. The start of the service, in which any
// load is strong growth, is not part of it later on.
func TestTheReportTellsTheTrend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		load := func(d time.Duration) int {
			switch {
			case d < time.Minute:
				return 5
			case d < 2*time.Hour:
				return 100
			}
			return 100 + int((d-2*time.Hour)/time.Minute)
		}
		m, err := Start(provider(), withCapturer(growing(load)), WithDetectors())
		require.NoError(t, err)
		assert.NotContains(t, reportOf(t, m), "Trend")
		time.Sleep(2*time.Minute + time.Second)
		assert.Contains(t, reportOf(t, m), "Trend over 9 snapshots\n  5 to 100 in 2m0s, factor 20.00, +47.5 a minute  << strong growth\n")
		time.Sleep(2 * time.Minute)
		assert.Contains(t, reportOf(t, m), "Trend over 9 snapshots\n  100 to 100 in 2m0s, factor 1.00, +0.0 a minute\n\n")
		time.Sleep(4*time.Hour - 4*time.Minute)
		assert.Regexp(t, `Trend over \d+ snapshots
  100 to 220 in 3h5\dm0s, factor 2.20, \+0.5 a minute  << strong growth
  160 to 220 in 1h0m0s, factor 1.38, \+1.0 a minute
  210 to 220 in 10m0s, factor 1.05, \+1.0 a minute
`, reportOf(t, m))
		require.NoError(t, m.Shutdown(t.Context()))
	})
}
