// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	lognoop "go.opentelemetry.io/otel/log/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/detectors"
)

// states returns the observed states as "detector state" and their values.
func states(t *testing.T, m metricdata.Metrics) map[string]int64 {
	t.Helper()
	all := make(map[string]int64)
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		name, _ := p.Attributes.Value(attribute.Key(AttrDetectorName))
		state, _ := p.Attributes.Value(attribute.Key(AttrDetectorState))
		all[name.AsString()+" "+state.AsString()] = p.Value
	}
	return all
}

func TestADetectorIsInOneState(t *testing.T) {
	age, stale := 12*time.Second, false
	reader := sdkmetric.NewManualReader()
	tel, err := New(Config{
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
		LoggerProvider: lognoop.NewLoggerProvider(),
		Age:            func(time.Time) (time.Duration, bool) { return age, stale },
	})
	require.NoError(t, err)
	ages := func() float64 {
		return collect(t, reader)[MetricSnapshotAge].Data.(metricdata.Gauge[float64]).DataPoints[0].Value
	}
	status := func() map[string]int64 { return states(t, collect(t, reader)[MetricDetectorStatus]) }

	assert.Equal(t, 12.0, ages(), "also before the first snapshot")
	tel.SetDetectors([]detectors.Status{
		detectors.NotJudging("leak", detectors.ReasonShortHistory, "too few"), {Detector: "surge", Judging: true},
	}, epoch)
	assert.Equal(t, map[string]int64{"leak short_history": 1, "surge judging": 1}, status())

	both := []detectors.Status{{Detector: "leak", Judging: true}, {Detector: "surge", Judging: true}}
	tel.SetDetectors(both, epoch.Add(time.Minute))
	assert.Equal(t, map[string]int64{"leak short_history": 0, "leak judging": 1, "surge judging": 1}, status(),
		"the state that it left is 0 for a while, for backends that keep the last value")

	age, stale = time.Hour, true // nothing is called: the monitor may hang
	assert.Equal(t, map[string]int64{"leak short_history": 0, "leak judging": 0, "leak no_snapshot": 1, "surge judging": 0, "surge no_snapshot": 1}, status())
	assert.Equal(t, 3600.0, ages())

	age, stale = time.Second, false
	tel.SetDetectors(both, epoch.Add(time.Hour))
	assert.Equal(t, map[string]int64{"leak judging": 1, "leak no_snapshot": 0, "surge judging": 1, "surge no_snapshot": 0}, status())
	long := time.Now().Add(-fade)
	tel.judging.stale.Store(&long)
	assert.Equal(t, map[string]int64{"leak judging": 1, "surge judging": 1}, status())

	back := []detectors.Status{detectors.NotJudging("leak", detectors.ReasonNoSnapshot, "the clock was set back")}
	tel.SetDetectors(back, epoch.Add(time.Hour))
	assert.Equal(t, map[string]int64{"leak judging": 0, "leak no_snapshot": 1, "surge judging": 0}, status())
	stale = true
	assert.EqualValues(t, 1, status()["leak no_snapshot"], "not twice")
}

func TestTheSeriesOfDetectorsAreBounded(t *testing.T) {
	tel, reader := harness(t, 1)
	for round := range 50 {
		var many []detectors.Status
		for i := range 100 {
			reasons := detectors.Reasons()
			many = append(many, detectors.NotJudging(fmt.Sprintf("d%d_%d", i, round), reasons[round%len(reasons)], ""))
		}
		tel.SetDetectors(many, epoch.Add(time.Duration(round)*time.Second))
	}
	assert.LessOrEqual(t, len(states(t, collect(t, reader)[MetricDetectorStatus])), maxDetectors*(2+len(detectors.Reasons())))
}
