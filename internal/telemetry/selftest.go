// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelgoroutine/go/detectors"
)

// A selfTest is the finding of a self-test, observed besides those of SetOpen. The zero
// value has none.
type selfTest struct{ now atomic.Pointer[testSeries] }

type testSeries struct {
	attrs metric.MeasurementOption
	value int64         // 1 while the test is open
	until time.Time     // for how long 0 is observed
	once  sync.Once     // closes read
	read  chan struct{} // closed by the first collection that observed it as open
}

// OpenTest observes the finding of a self-test as open until end is called, and as 0 for
// a while after. read is closed when a collection has read it. There must be one at a
// time.
func (t *Telemetry) OpenTest(f *detectors.Finding) (read <-chan struct{}, end func(now time.Time)) {
	open := &testSeries{attrs: metric.WithAttributeSet(openSet(f, true)), value: 1, read: make(chan struct{})}
	t.test.now.Store(open)
	return open.read, func(now time.Time) {
		t.test.now.Store(&testSeries{attrs: open.attrs, until: now.Add(fade)})
	}
}

func (t *selfTest) observe(o metric.Observer, i metric.Int64Observable) {
	now := t.now.Load()
	switch {
	case now == nil:
	case now.value > 0:
		o.ObserveInt64(i, now.value, now.attrs)
		now.once.Do(func() { close(now.read) })
	case time.Now().Before(now.until):
		o.ObserveInt64(i, 0, now.attrs)
	}
}

// MetricsHeard reports whether metrics reach anything.
func (t *Telemetry) MetricsHeard(ctx context.Context) bool { return t.metricsHeard(ctx) }

// Takes reports whether the logger provider takes an event.
func (t *Telemetry) Takes(ctx context.Context, e detectors.Event) bool {
	return t.logger.Enabled(ctx, log.EnabledParameters{Severity: severityOf(e), EventName: nameOf(e)})
}

// TestName is the detector of a self-test, and the value of its other attributes that are
// free.
const TestName = "self_test"
