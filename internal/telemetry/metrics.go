// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// ScopeName is the name of the instrumentation scope.
const ScopeName = "github.com/otelgoroutine/go/otelgoroutine"

// Version is the version of the module and of the instrumentation scope.
const Version = "0.1.0"

// A Config configures a Telemetry. All fields except Scheduler
// and Age are required.
type Config struct {
	MeterProvider  metric.MeterProvider
	LoggerProvider log.LoggerProvider
	TopStacks      int                        // number of stacks with series of their own
	Scheduler      func() goroutine.Scheduler // called at every collection; nil for another process, whose scheduler cannot be read

	// Age returns the age of the newest snapshot, and whether it is too old to judge
	// by. It is called at every collection and must not wait for anything. If it is
	// nil, neither the age nor the states of the detectors are observed.
	Age func(now time.Time) (age time.Duration, stale bool)
}

// Telemetry holds the instruments and the logger.
type Telemetry struct {
	config    Config
	logger    log.Logger
	scheduler func() goroutine.Scheduler

	detected metric.Int64Counter
	duration metric.Float64Histogram
	skipped  metric.Int64Counter
	dropped  metric.Int64Counter

	views    views
	current  atomic.Pointer[observations]
	open     atomic.Pointer[[]observation[int64]]
	openSeen series
	judging  judging
	test     selfTest

	registrations []metric.Registration

	collected atomic.Pointer[time.Time] // last
	enabled   atomic.Bool               // the instruments were, at some time
	muted     atomic.Bool
}

// observations is what the callbacks observe until the next snapshot.
type observations struct {
	states, stacks []observation[int64]
	ages           []observation[float64]
}

// An observation is a value with its attributes, ready to be observed.
type observation[N int64 | float64] struct {
	value N
	attrs metric.MeasurementOption
}

// New creates the instruments and registers three callbacks: one for the
// scheduler, which is read at every collection, one for the latest snapshot, and
// one for its age and what can be judged by it. A View that drops all instruments of a callback disables that
// callback.
func New(c Config) (*Telemetry, error) {
	t := &Telemetry{
		config:    c,
		logger:    loggerOf(c.LoggerProvider),
		scheduler: c.Scheduler,
		views:     newViews(c.TopStacks),
		openSeen:  newSeries(maxOpenSeries),
		judging:   newJudging(),
	}
	m := &maker{meter: meterOf(c.MeterProvider)}
	t.detected = m.counter(MetricFindingDetected)
	t.duration = m.histogram(MetricSnapshotDuration)
	t.skipped = m.counter(MetricSnapshotSkipped)
	t.dropped = m.counter(MetricProfileDropped)
	if t.scheduler != nil {
		t.registerScheduler(m)
	}
	if c.Age != nil {
		t.registerSight(m, c.Age)
	}
	t.registerSnapshot(m)
	if err := errors.Join(m.errs...); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *Telemetry) registerScheduler(m *maker) {
	count, created := m.upDown(MetricSchedulerCount), m.observableCounter(MetricCreated)
	state := func(s string) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String(AttrState, s)))
	}
	running, runnable, waiting, notInGo := state(stateRunning), state(stateRunnable), state(stateWaiting), state(stateNotInGo)
	t.register(m, func(_ context.Context, o metric.Observer) error {
		s := t.scheduler()
		o.ObserveInt64(count, s.Running, running)
		o.ObserveInt64(count, s.Runnable, runnable)
		o.ObserveInt64(count, s.Waiting, waiting)
		o.ObserveInt64(count, s.NotInGo, notInGo)
		o.ObserveInt64(created, s.Created)
		return nil
	}, count, created)
}

func (t *Telemetry) registerSnapshot(m *maker) {
	states, stacks := m.upDown(MetricCount), m.upDown(MetricStackCount)
	ages, open := m.gauge(MetricStackAge), m.upDown(MetricFindingOpen)
	t.register(m, func(_ context.Context, o metric.Observer) error {
		if now := t.current.Load(); now != nil {
			observeInts(o, states, now.states)
			observeInts(o, stacks, now.stacks)
			for _, a := range now.ages {
				o.ObserveFloat64(ages, a.value, a.attrs)
			}
		}
		if now := t.open.Load(); now != nil {
			observeInts(o, open, *now)
		}
		t.test.observe(o, open)
		return nil
	}, states, stacks, ages, open)
}

func observeInts(o metric.Observer, i metric.Int64Observable, list []observation[int64]) {
	for _, v := range list {
		o.ObserveInt64(i, v.value, v.attrs)
	}
}

func (t *Telemetry) register(m *maker, f metric.Callback, instruments ...metric.Observable) {
	if len(m.errs) > 0 {
		return
	}
	r, err := m.meter.RegisterCallback(t.guarded(f), instruments...)
	if err != nil {
		m.errs = append(m.errs, err)
		return
	}
	t.registrations = append(t.registrations, r)
}

// guarded notes the collection, observes nothing while muted, and recovers from a
// panic in f. The SDK does not, so the panic would end the process.
func (t *Telemetry) guarded(f metric.Callback) metric.Callback {
	return func(ctx context.Context, o metric.Observer) error {
		defer func() { _ = recover() }()
		now := time.Now()
		t.collected.Store(&now)
		if t.muted.Load() {
			return nil
		}
		return f(ctx, o)
	}
}

// Close unregisters the callbacks. After that, nothing is observed.
func (t *Telemetry) Close() error {
	var errs []error
	for _, r := range t.registrations {
		errs = append(errs, r.Unregister())
	}
	t.registrations = nil
	return errors.Join(errs...)
}

// Publish sets what is observed from now on: the counts of one snapshot and the
// ages of another. Both may be the same snapshot. Publish also records how long
// they took.
func (t *Telemetry) Publish(ctx context.Context, counts, ages *goroutine.Snapshot) {
	t.current.Store(t.views.of(counts, ages))
	t.Took(ctx, counts)
	if ages != counts {
		t.Took(ctx, ages)
	}
}

// Took records how long a snapshot took.
func (t *Telemetry) Took(ctx context.Context, s *goroutine.Snapshot) {
	if t.muted.Load() {
		return
	}
	t.duration.Record(ctx, s.Duration.Seconds(),
		metric.WithAttributes(attribute.String(AttrSnapshotSource, string(s.Source))))
}

// Skipped counts a snapshot that was not taken.
func (t *Telemetry) Skipped(ctx context.Context, source goroutine.Source, reason string) {
	if t.muted.Load() {
		return
	}
	t.skipped.Add(ctx, 1, metric.WithAttributes(
		attribute.String(AttrSnapshotSource, string(source)),
		attribute.String(AttrSkipReason, reason)))
}

// DroppedProfile counts a profile that did not reach the exporter.
func (t *Telemetry) DroppedProfile(ctx context.Context) {
	if !t.muted.Load() {
		t.dropped.Add(ctx, 1)
	}
}

// maxOpenStacks is how many open findings are observed with their stack: the
// ten that are reported individually, and as many in reserve. maxOpenSeries
// adds series that fade out and the confidence levels of 40 detectors.
const (
	maxOpenStacks = 20
	maxOpenSeries = maxOpenStacks*(1+fadedPerStack) + 240
)

// SetOpen sets the open findings that are observed from now on. The findings
// must be sorted, the longest open first.
func (t *Telemetry) SetOpen(findings []detectors.Finding, now time.Time) {
	t.openSeen.begin(now)
	for i := range findings {
		t.openSeen.add(1, openSet(&findings[i], i < maxOpenStacks))
	}
	open := t.openSeen.end()
	t.open.Store(&open)
}

// openSet returns the attributes under which an open finding is counted. The
// stack is included so that an alert can name the place and replicas with the
// same finding can be counted.
func openSet(f *detectors.Finding, withStack bool) attribute.Set {
	attrs := []attribute.KeyValue{
		attribute.String(AttrDetectorName, f.Detector),
		attribute.String(AttrConfidence, f.Confidence.String()),
	}
	if !withStack || f.Stack == nil || f.Stack.ID == goroutine.OtherStacks {
		return attribute.NewSet(append(attrs, attribute.String(AttrStackID, string(goroutine.OtherStacks)))...)
	}
	return attribute.NewSet(append(attrs,
		attribute.String(AttrStackID, string(f.Stack.ID)),
		attribute.String(AttrCodeFunctionName, clip(f.Stack.User().Function, maxName)),
		attribute.String(AttrEntryFunction, clip(f.Stack.Entry().Function, maxName)))...)
}

// A maker creates instruments from their descriptions in the catalog and
// collects the errors.
type maker struct {
	meter metric.Meter
	errs  []error
}

func (m *maker) counter(name string) metric.Int64Counter {
	e := entry(name)
	i, err := m.meter.Int64Counter(e.Name, metric.WithUnit(e.Unit), metric.WithDescription(e.Doc))
	return keep(m, i, err)
}

func (m *maker) upDown(name string) metric.Int64ObservableUpDownCounter {
	e := entry(name)
	i, err := m.meter.Int64ObservableUpDownCounter(e.Name, metric.WithUnit(e.Unit), metric.WithDescription(e.Doc))
	return keep(m, i, err)
}

func (m *maker) observableCounter(name string) metric.Int64ObservableCounter {
	e := entry(name)
	i, err := m.meter.Int64ObservableCounter(e.Name, metric.WithUnit(e.Unit), metric.WithDescription(e.Doc))
	return keep(m, i, err)
}

func (m *maker) gauge(name string) metric.Float64ObservableGauge {
	e := entry(name)
	i, err := m.meter.Float64ObservableGauge(e.Name, metric.WithUnit(e.Unit), metric.WithDescription(e.Doc))
	return keep(m, i, err)
}

// histogram creates a histogram with bounds from 0.1 ms, for 100 goroutines, to
// 10 s, for several million.
func (m *maker) histogram(name string) metric.Float64Histogram {
	e := entry(name)
	i, err := m.meter.Float64Histogram(e.Name, metric.WithUnit(e.Unit), metric.WithDescription(e.Doc),
		metric.WithExplicitBucketBoundaries(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10))
	return keep(m, i, err)
}

func keep[I any](m *maker, i I, err error) I {
	if err != nil {
		m.errs = append(m.errs, err)
	}
	return i
}
