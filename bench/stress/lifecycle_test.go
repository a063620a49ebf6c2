// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package stress

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/otel/metric/noop"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/telemetry"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// TestStartAndShutdownAThousandTimes proves that a monitor can be started and
// shut down as often as one likes, in a service at work and at any moment of
// its snapshots: nothing stays registered, runs on or is kept.
func TestStartAndShutdownAThousandTimes(t *testing.T) {
	t.Parallel()
	r := inChild(t, order{Scenario: "lifecycle", Size: size(1000, 300, 50)}, setting{})
	nothingIsLeft(t, r, 4<<20)
	assert.Positive(t, r.Work)
	assert.Positive(t, r.Numbers["saw a trace"])
	t.Logf("%d requests, heap %d → %d KiB", r.Work, r.HeapBefore>>10, r.HeapAfter>>10)
}

// nothingIsLeft holds a child to its promise that the monitor leaves nothing
// behind: no goroutine, and no more than this much memory.
func nothingIsLeft(t *testing.T, r report, heap int64) {
	t.Helper()
	assert.Empty(t, r.Wrong)
	assert.LessOrEqual(t, r.GoroutinesAfter, r.GoroutinesBefore, r.Left)
	assert.LessOrEqual(t, r.HeapAfter-r.HeapBefore, heap, "bytes more than before")
}

func lifecycle(c *child) {
	shared := newLife()
	for range 20 { // what is made once is there after that
		c.live(newLife(), 1)
		c.live(shared, 1)
	}
	l := newLoad(noop.Meter{})
	l.end()
	c.before()
	l = newLoad(noop.Meter{})
	for i := range c.Size {
		if i%2 == 0 {
			c.live(shared, i)
		} else {
			c.live(newLife(), i)
		}
	}
	l.end()
	c.note(func(r *report) { r.Work = l.work.Load() })
	c.after()
}

// A life is providers that a monitor lives on, one after the other.
type life struct {
	reader *sdkmetric.ManualReader
	meters *sdkmetric.MeterProvider
	logs   *sdklog.LoggerProvider
}

func newLife() *life {
	l := &life{reader: sdkmetric.NewManualReader(), logs: sdklog.NewLoggerProvider()}
	l.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(l.reader))
	return l
}

// live is one life of a monitor. In most it has no snapshot yet or is taking
// one when it is shut down; some see the first snapshot, and few the second.
func (c *child) live(l *life, i int) {
	m, err := otelgoroutine.Start(l.meters, otelgoroutine.WithLoggerProvider(l.logs),
		otelgoroutine.WithInterval(otelgoroutine.MinInterval), otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1, Pause: 1e9}))
	must(err)
	switch {
	case i%50 == 0:
		c.until("a trace", func() bool { return m.Snapshot() != nil && m.Snapshot().Source == goroutine.SourceTrace })
		c.note(func(r *report) { r.Numbers["saw a trace"]++ })
	case i%5 == 0:
		c.until("a snapshot", func() bool { return m.Snapshot() != nil })
	}
	for range 2 {
		if err := m.Shutdown(context.Background()); err != nil {
			c.wrong("Shutdown %d: %v", i, err)
		}
	}
	var rm metricdata.ResourceMetrics
	must(l.reader.Collect(context.Background(), &rm))
	for name := range readingOf(&rm).series {
		if !slices.Contains(recorded, name) {
			c.wrong("after Shutdown %d, %s is collected", i, name)
		}
	}
}

// recorded are the metrics of what happened, which an SDK keeps.
var recorded = []string{telemetry.MetricSnapshotDuration, telemetry.MetricSnapshotSkipped, telemetry.MetricFindingDetected}

// TestProvidersThatAreShutDownFirst proves that the usual mistake does no harm:
// providers that end before the monitor does. It goes on, complains of nothing
// and shuts down.
func TestProvidersThatAreShutDownFirst(t *testing.T) {
	t.Parallel()
	for _, variant := range some("both", "meters", "logs") {
		t.Run(variant, func(t *testing.T) {
			r := inChild(t, order{Scenario: "meters first", Variant: variant}, setting{})
			nothingIsLeft(t, r, 2<<20)
			assert.Empty(t, r.Shutdown)
			assert.Empty(t, r.Told)
			assert.Contains(t, r.Events, lostEvent)
		})
	}
}

func metersFirst(c *child) {
	c.before()
	c.start("")
	c.snapshots(3)
	if c.Variant != "logs" {
		must(c.meters.Shutdown(context.Background()))
	}
	if c.Variant != "meters" {
		must(c.logs.Shutdown(context.Background()))
	}
	if c.Variant != "both" { // then nothing hears the monitor, and it takes none
		c.snapshots(5)
	}
	c.stop()
	c.after()
}
