// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/xconsumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/otelgoroutine/go/internal/telemetry"
)

const (
	// maxSeries is the limit of series of a metric, which is that of the SDK. It is set,
	// because a variable can set another.
	maxSeries = 2000
	// maxPending is how many events of a target wait for a consumer that refuses them.
	maxPending = 64
	// format is what the receiver's own telemetry says that it reads.
	format = "pprof"
)

// next are the consumers. One is nil if no pipeline has the receiver for its signal.
type next struct {
	metrics  consumer.Metrics
	logs     consumer.Logs
	profiles xconsumer.Profiles
}

// A pipeline hands the telemetry of one target to the next consumers. Its methods are
// called by the goroutine of the target.
type pipeline struct {
	telemetry *telemetry.Telemetry
	profiles  *profiles

	own      *ownTelemetry
	next     next
	to       *translator
	resource func() pcommon.Resource

	reader  *sdkmetric.ManualReader
	events  *events
	meters  *sdkmetric.MeterProvider
	loggers *sdklog.LoggerProvider
	data    metricdata.ResourceMetrics // reused
}

// newPipeline returns a pipeline. resource is called for everything that is sent.
func newPipeline(own *ownTelemetry, n next, to *translator, c *Config, resourceOf func() pcommon.Resource, age func(time.Time) (time.Duration, bool)) (*pipeline, error) {
	p := &pipeline{own: own, next: n, to: to, resource: resourceOf, events: new(events)}
	p.profiles = &profiles{every: c.ProfileInterval, resource: resourceOf}
	p.reader = sdkmetric.NewManualReader(
		sdkmetric.WithTemporalitySelector(sdkmetric.CumulativeTemporalitySelector),
		sdkmetric.WithAggregationSelector(sdkmetric.DefaultAggregationSelector))
	p.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(p.reader), sdkmetric.WithResource(resource.Empty()),
		sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter), sdkmetric.WithCardinalityLimit(maxSeries))
	p.loggers = sdklog.NewLoggerProvider(sdklog.WithProcessor(p.events), sdklog.WithResource(resource.Empty()),
		sdklog.WithAttributeCountLimit(128), sdklog.WithAttributeValueLengthLimit(-1))
	var err error
	p.telemetry, err = telemetry.New(telemetry.Config{
		MeterProvider: p.meters, LoggerProvider: p.loggers, TopStacks: c.TopStacks, Age: age,
	})
	return p, err
}

// flush hands over what there is. gone says that it is the last time, because there is
// no such target any more.
func (p *pipeline) flush(ctx context.Context, gone bool) error {
	// A profile comes before the event that names it.
	return cmp.Or(p.flushMetrics(ctx, gone), p.flushProfiles(ctx), p.flushEvents(ctx, gone))
}

func (p *pipeline) flushMetrics(ctx context.Context, gone bool) error {
	if p.next.metrics == nil {
		return nil
	}
	if err := p.reader.Collect(ctx, &p.data); err != nil {
		return fmt.Errorf("collecting metrics: %w", err)
	}
	m, err := p.to.metricsOf(ctx, &p.data, p.resource())
	if err != nil {
		return fmt.Errorf("translating metrics: %w", err)
	}
	if gone {
		ended(m)
	}
	n := m.DataPointCount() // a consumer may keep m
	ctx = p.own.reports.StartMetricsOp(ctx)
	err = p.next.metrics.ConsumeMetrics(ctx, m)
	p.own.reports.EndMetricsOp(ctx, format, n, err)
	if err != nil {
		return fmt.Errorf("metrics were refused: %w", err)
	}
	return nil
}

// flushEvents hands over the events. Those that are refused are tried again the next
// time, unless the refusal is permanent.
func (p *pipeline) flushEvents(ctx context.Context, gone bool) error {
	records, lost := p.events.take()
	p.own.dropped(ctx, lost)
	if p.next.logs == nil || len(records) == 0 {
		return nil
	}
	l, err := p.to.logsOf(ctx, records, p.resource())
	if err != nil {
		p.own.dropped(ctx, len(records))
		return fmt.Errorf("translating events: %w", err)
	}
	ctx = p.own.reports.StartLogsOp(ctx)
	err = p.next.logs.ConsumeLogs(ctx, l)
	p.own.reports.EndLogsOp(ctx, format, len(records), err)
	switch {
	case err == nil:
		return nil
	case gone || consumererror.IsPermanent(err):
		p.own.dropped(ctx, len(records))
		return fmt.Errorf("%d events were refused and are lost: %w", len(records), err)
	}
	p.events.putBack(records)
	return fmt.Errorf("%d events were refused and wait: %w", len(records), err)
}

// close frees the SDK's providers.
func (p *pipeline) close(ctx context.Context) {
	_ = p.telemetry.Close() // of callbacks of a provider that ends next
	_ = p.meters.Shutdown(ctx)
	_ = p.loggers.Shutdown(ctx)
}

// events is a processor of the SDK that keeps records until they are taken.
type events struct {
	mu   sync.Mutex
	kept []sdklog.Record
	lost int
}

var _ sdklog.Processor = (*events)(nil)

// Enabled takes all events.
func (e *events) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

// OnEmit keeps a record. The oldest gives way if there are too many.
func (e *events) OnEmit(_ context.Context, r *sdklog.Record) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.kept = append(e.kept, r.Clone())
	e.bound()
	return nil
}

func (e *events) bound() {
	if n := len(e.kept) - maxPending; n > 0 {
		e.lost += n
		e.kept = e.kept[n:]
	}
}

func (e *events) take() (all []sdklog.Record, lost int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all, lost = e.kept, e.lost
	e.kept, e.lost = nil, 0
	return all, lost
}

// putBack keeps records that were taken, as the oldest.
func (e *events) putBack(records []sdklog.Record) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.kept = append(records, e.kept...)
	e.bound()
}

// ForceFlush does nothing: records wait to be taken.
func (*events) ForceFlush(context.Context) error { return nil }

// Shutdown does nothing.
func (*events) Shutdown(context.Context) error { return nil }
