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
// is a quarter of the series, and no backend keeps a state that is over. The
// state no_snapshot is always reported, because it is decided at the collection,
// where no series can be begun.
type judging struct {
	seen series
	now  atomic.Pointer[detectorStates]
}

type detectorStates struct {
	states []observation[int64] // all but no_snapshot
	blind  []observation[int64] // no_snapshot, by detector
}

func newJudging() judging {
	return judging{seen: newSeries(maxDetectors * (1 + len(detectors.Reasons())))}
}

// SetDetectors sets the statuses of the detectors that are observed from now on,
// while the newest snapshot is young enough. It must not be called concurrently.
func (t *Telemetry) SetDetectors(list []detectors.Status, now time.Time) {
	list = list[:min(len(list), maxDetectors)]
	next := &detectorStates{blind: make([]observation[int64], len(list))}
	t.judging.seen.begin(now)
	for i, d := range list {
		next.blind[i].attrs = metric.WithAttributeSet(stateSet(d.Detector, string(detectors.ReasonNoSnapshot)))
		if d.Reason == detectors.ReasonNoSnapshot {
			next.blind[i].value = 1
		} else {
			t.judging.seen.add(1, stateSet(d.Detector, d.State()))
		}
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
		old, stale := age(time.Now())
		o.ObserveFloat64(ages, old.Seconds())
		now := t.judging.now.Load()
		if now == nil {
			return nil
		}
		if stale {
			observeAll(o, status, now.states, 0)
			observeAll(o, status, now.blind, 1)
			return nil
		}
		observeInts(o, status, now.states)
		observeInts(o, status, now.blind)
		return nil
	}, ages, status)
}

// observeAll observes one value for all attribute sets of a list.
func observeAll(o metric.Observer, i metric.Int64Observable, list []observation[int64], value int64) {
	for _, v := range list {
		o.ObserveInt64(i, value, v.attrs)
	}
}
