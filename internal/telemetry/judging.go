// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelgoroutine/go/detectors"
)

// maxDetectors is how many detectors have series for their state.
const maxDetectors = 40

// judging is which detectors are judging, ready to be observed.
//
// The semantic conventions report a state as one series for each possible state,
// 1 for the current one and 0 for all others. Here a state is reported from when
// a detector enters it until five minutes after it left: with nine states that
// is usually a ninth of the series, and no backend keeps a state that is over.
//
// That the newest snapshot is too old is decided at the collection. Then every
// detector is in the state no_snapshot, whatever it was in before.
type judging struct {
	seen  series
	now   atomic.Pointer[detectorStates]
	stale atomic.Pointer[time.Time] // the last collection at which the newest snapshot was too old
}

type detectorStates struct {
	states []observation[int64]       // after the newest snapshot
	blind  []metric.MeasurementOption // no_snapshot, by detector
}

func newJudging() judging {
	return judging{seen: newSeries(maxDetectors * (1 + len(detectors.Reasons())))}
}

// SetDetectors sets the statuses of the detectors that are observed from now on,
// while the newest snapshot is young enough. It must not be called concurrently.
func (t *Telemetry) SetDetectors(list []detectors.Status, now time.Time) {
	list = list[:min(len(list), maxDetectors)]
	next := &detectorStates{blind: make([]metric.MeasurementOption, len(list))}
	t.judging.seen.begin(now)
	for i, d := range list {
		next.blind[i] = metric.WithAttributeSet(stateSet(d.Detector, string(detectors.ReasonNoSnapshot)))
		t.judging.seen.add(1, stateSet(d.Detector, d.State()))
	}
	next.states = t.judging.seen.end()
	t.judging.now.Store(next)
}

func stateSet(detector, state string) attribute.Set {
	return attribute.NewSet(attribute.String(AttrDetectorName, clip(detector, maxName)), attribute.String(AttrDetectorState, state))
}

func (t *Telemetry) registerSight(m *maker, age func(time.Time) (time.Duration, bool)) {
	ages, status := m.gauge(MetricSnapshotAge), m.upDown(MetricDetectorStatus)
	t.register(m, func(_ context.Context, o metric.Observer) error {
		now := time.Now()
		old, stale := age(now)
		o.ObserveFloat64(ages, old.Seconds())
		t.judging.observe(o, status, now, stale)
		return nil
	}, ages, status)
}

// observe observes the states. Values with the same attributes add up, so a state
// that occurs in both lists has the sum.
func (j *judging) observe(o metric.Observer, i metric.Int64Observable, now time.Time, stale bool) {
	current := j.now.Load()
	if current == nil {
		return
	}
	if stale {
		j.stale.Store(&now)
		for _, s := range current.states {
			o.ObserveInt64(i, 0, s.attrs)
		}
		observeAll(o, i, current.blind, 1)
		return
	}
	observeInts(o, i, current.states)
	if last := j.stale.Load(); last != nil && now.Sub(*last) < fade {
		observeAll(o, i, current.blind, 0)
	}
}

// observeAll observes one value for a list of attribute sets.
func observeAll(o metric.Observer, i metric.Int64Observable, list []metric.MeasurementOption, value int64) {
	for _, attrs := range list {
		o.ObserveInt64(i, value, attrs)
	}
}
