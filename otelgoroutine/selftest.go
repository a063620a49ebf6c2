package otelgoroutine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
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
// goroutine.finding.resolved, shows the finding in goroutine.finding.open until it was
// collected once, and counts it in goroutine.finding.detected. Its detector, its stack and its function are named self_test, its
// confidence is info, and its text begins with "This is a test". No goroutine does
// anything wrong: nothing is captured and no detector, finding, status or health of the
// monitor changes.
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
	events := t.eventsOff(ctx)
	collected, end := m.telemetry.OpenTest(&t.finding)
	t.tell(ctx, detectors.Detected)
	if events == nil {
		events = t.flushEvents(ctx)
	}
	if metrics == nil {
		metrics = t.collect(ctx, collected)
	}
	end(time.Now())
	t.end(ctx, events == nil)
	return errors.Join(prefixed("metrics", metrics), prefixed("events", events))
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

// eventsOff says why events cannot arrive anywhere.
func (t *selfTest) eventsOff(ctx context.Context) error {
	switch {
	case t.stopped():
		return errStopped
	case t.telemetry.EventsHeard(ctx, t.finding.Detector, detectors.SeverityInfo):
		return nil
	case t.telemetry.EventsHeard(ctx, t.finding.Detector, detectors.SeverityError):
		return errors.New("the LoggerProvider takes no events of severity INFO, as the test is; those of faults, WARN and ERROR, it may take")
	}
	return errors.New("the LoggerProvider is not enabled: it is a no-op, has no processor, is not set up yet, or was shut down")
}

func (m *Monitor) stopped() bool {
	select {
	case <-m.stop:
		return true
	default:
		return false
	}
}

// tell sends an event of the test.
func (t *selfTest) tell(ctx context.Context, kind detectors.Kind) {
	defer t.told.survive()
	t.telemetry.Emit(ctx, detectors.Event{Kind: kind, Time: time.Now(), Finding: t.finding}, telemetry.Files{})
}

// end resolves the test, whether or not there is time left.
func (t *selfTest) end(ctx context.Context, flush bool) {
	t.finding.Message, t.finding.Advice = "This was a test. It is over.", ""
	t.tell(context.WithoutCancel(ctx), detectors.Resolved)
	if flush && ctx.Err() == nil {
		_ = t.flushEvents(ctx) // the same exporter has just succeeded
	}
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
