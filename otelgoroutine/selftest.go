// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// selfTestLimit is how long a self-test waits at most for a collection of metrics: twice
// the default period of the SDK's periodic reader.
const selfTestLimit = 2 * time.Minute

// errTesting is the error of a second self-test at one time.
var errTesting = errors.New("otelgoroutine: SelfTest: another self-test of this monitor is under way")

// SelfTest shows whether metrics and events of findings arrive in the backend. It sends
// the events of a finding that is a test, goroutine.finding.detected and
// goroutine.finding.resolved, wherever those of faults go (the LoggerProvider, a logger
// of log/slog, functions), shows the finding in goroutine.finding.open until it was
// collected once, and counts it in goroutine.finding.detected. Its detector, its stack and
// its function are named self_test, its confidence is info, and its text begins with
// "This is a test". No goroutine does anything wrong: nothing is captured and no
// detector, finding, status or health of the monitor changes.
//
// The error says what did not arrive where, as far as can be seen from inside the
// process: that the provider is a no-op or not set up, that nothing collects metrics, or
// the error of the exporter. A test that succeeds has left the process; whether it can be
// seen in the backend is for the caller to check.
//
// Where the provider has a ForceFlush method, as that of the SDK, SelfTest calls it, so
// that the test takes seconds. Otherwise, and where metrics are scraped, it takes until
// the next collection. It returns when ctx is done, and after two minutes at most. There
// is one at a time; the error of a second says so.
func (m *Monitor) SelfTest(ctx context.Context) error {
	if !m.made() {
		return errors.New("otelgoroutine: SelfTest: this Monitor was not made by Start")
	}
	if !m.testing.CompareAndSwap(false, true) {
		return errTesting
	}
	defer m.testing.Store(false)
	ctx, cancel := context.WithTimeoutCause(ctx, selfTestLimit, fmt.Errorf("none within %v", selfTestLimit))
	defer cancel()
	t := &selfTest{Monitor: m, finding: testFinding()}
	metrics := t.metricsOff(ctx)
	collected, end := m.telemetry.OpenTest(&t.finding)
	events := t.tell(ctx, detectors.Detected)
	if metrics == nil {
		metrics = t.collect(ctx, collected)
	}
	end(time.Now())
	t.finding.Message, t.finding.Advice = "This was a test. It is over.", ""
	ending, done := context.WithTimeoutCause(context.WithoutCancel(ctx), answerWithin, fmt.Errorf("not within %v", answerWithin))
	defer done()
	over := t.tell(ending, detectors.Resolved)
	return errors.Join(prefixed("metrics", metrics), prefixed("events", cmp.Or(events, over)))
}

func prefixed(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("otelgoroutine: SelfTest: %s: %w", what, err)
}

// A selfTest is a test under way.
type selfTest struct {
	*Monitor
	finding detectors.Finding
}

// testFinding returns a finding that says everywhere that it is none.
func testFinding() detectors.Finding {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	return detectors.Finding{
		ID:         telemetry.TestName + "-" + hex.EncodeToString(id[:]),
		Opened:     time.Now(),
		Detector:   telemetry.TestName,
		Confidence: detectors.Info,
		Stack:      &goroutine.Stack{ID: telemetry.TestName, Frames: []goroutine.Frame{{Function: telemetry.TestName}}},
		Message:    "This is a test: Monitor.SelfTest was called to see whether findings of otelgoroutine arrive here.",
		Evidence:   []string{"This is a test. No goroutine does anything wrong."},
		Advice:     "nothing; the test ends by itself",
	}
}

// metricsOff says why metrics cannot arrive anywhere.
func (t *selfTest) metricsOff(ctx context.Context) error {
	switch {
	case t.stopped():
		return errStopped
	case t.telemetry.Muted():
		return errors.New("they are off, because an earlier monitor reports to the same place")
	case !t.telemetry.MetricsHeard(ctx):
		return errors.New("the MeterProvider is not enabled: it is a no-op, has no reader, is not set up yet, or was shut down")
	}
	return nil
}

func (m *Monitor) stopped() bool {
	select {
	case <-m.stop:
		return true
	default:
		return false
	}
}

// tell sends an event of the test wherever events of findings go, and says what did not
// take it.
func (t *selfTest) tell(ctx context.Context, kind detectors.Kind) error {
	if t.stopped() {
		return errStopped
	}
	e := detectors.Event{Kind: kind, Time: time.Now(), Finding: t.finding}
	to := t.reach(ctx, &e)
	if to.none() {
		return errors.New("the providers are no-ops, and there is neither WithLogger nor WithEventFunc")
	}
	var errs []error
	if to.logs {
		errs = append(errs, t.emit(ctx, e))
	} else {
		t.telemetry.Count(ctx, e)
	}
	if to.logger != nil {
		errs = append(errs, t.write(ctx, e, to))
	}
	if to.functions {
		t.hand(ctx, dispatch{Event: e, to: reach{functions: true}}, telemetry.Files{})
	}
	return errors.Join(errs...)
}

// emit sends an event to the logger provider, and waits until it is exported.
func (t *selfTest) emit(ctx context.Context, e detectors.Event) error {
	if !t.telemetry.Takes(ctx, e) {
		return errors.New("the LoggerProvider takes no events of severity INFO, as the test is; those of faults, WARN and ERROR, it may take")
	}
	defer t.told.survive()
	t.telemetry.Emit(ctx, e, telemetry.Files{})
	return t.flushEvents(ctx)
}

// write writes an event to a logger of log/slog, and waits until its handler has it.
func (t *selfTest) write(ctx context.Context, e detectors.Event, to reach) error {
	result := make(chan error, 1)
	posted := t.sinks.courier.post(func() {
		defer close(result) // after a panic, which is reported, too
		result <- writeTo(ctx, to.logger, e)
	})
	if !posted {
		return errors.New("a slog handler or a function of WithEventFunc does not return, and too much waits for it")
	}
	select {
	case err, ok := <-result:
		if !ok {
			return errors.New("the slog handler panicked")
		}
		return err
	case <-ctx.Done():
		return fmt.Errorf("the slog handler has not returned: %w", context.Cause(ctx))
	case <-t.stop:
		return errStopped
	}
}

func writeTo(ctx context.Context, l *slog.Logger, e detectors.Event) error {
	level := telemetry.SlogLevel(e)
	if !l.Handler().Enabled(ctx, level) {
		return fmt.Errorf("the slog logger takes no records of level %v, as the test is; those of faults, WARN and ERROR, it may take", level)
	}
	if err := l.Handler().Handle(ctx, telemetry.SlogRecord(e, telemetry.Files{})); err != nil {
		return fmt.Errorf("the slog handler did not take it: %w", err)
	}
	return nil
}

func (t *selfTest) flushEvents(ctx context.Context) error {
	logs := any(t.logs)
	if global := otel.GetLoggerProvider(); !flushes(logs) && telemetry.SameEvents(t.logs, global) {
		logs = global // the SDK was set up after the monitor was started
	}
	return t.flush(ctx, logs)
}

// collect waits until the test was collected and exported.
func (t *selfTest) collect(ctx context.Context, collected <-chan struct{}) error {
	meters := any(t.provider)
	if global := otel.GetMeterProvider(); !flushes(meters) && telemetry.SameMetrics(t.provider, global) {
		meters = global
	}
	if err := t.flush(ctx, meters); err != nil {
		return err
	}
	select {
	case <-collected:
		return nil
	case <-t.stop:
		return errStopped
	case <-ctx.Done():
		return fmt.Errorf("no collection has read %s: %w; nothing reads the MeterProvider, or a View drops the metric", telemetry.MetricFindingOpen, context.Cause(ctx))
	}
}

// A flusher is a provider of the SDK.
type flusher interface{ ForceFlush(context.Context) error }

func flushes(provider any) bool {
	_, ok := provider.(flusher)
	return ok
}

// flush lets a provider export now, if it can. It is not of this package and may panic.
func (t *selfTest) flush(ctx context.Context, provider any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the ForceFlush method of the provider: panic: %v", p)
		}
	}()
	if f, ok := provider.(flusher); ok {
		if err := f.ForceFlush(ctx); err != nil {
			return fmt.Errorf("they could not be exported: %w", err)
		}
	}
	return nil
}
