// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"errors"
	"reflect"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelgoroutine/go/internal/capture"
	"github.com/otelgoroutine/go/internal/engine"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// ScopeName is the name of the instrumentation scope of all telemetry.
const ScopeName = telemetry.ScopeName

// Version is the version of this module.
const Version = telemetry.Version

// ErrStarted is returned by [Start] when a monitor already reports to the meter
// provider, directly or through another provider, such as the global one: a second
// one would double every sum.
var ErrStarted = errors.New("otelgoroutine: already started on this meter provider; call Shutdown on the first monitor before starting another")

// Start begins to observe the goroutines of this process and returns before the
// first snapshot. A nil provider means the global one, otel.GetMeterProvider.
// The SDK registers no instrument while a metric callback runs, so a hanging
// callback of the service blocks Start as it does any other registration.
//
// It registers the metrics
//
//	goroutine.count                      goroutines by state
//	goroutine.scheduler.goroutine.count  goroutines by state, as the scheduler counts them
//	goroutine.created                    goroutines created since the process started
//	goroutine.stack.goroutine.count      goroutines of the largest stacks
//	goroutine.stack.age                  age of the oldest goroutine of each of these
//	goroutine.finding.open               open findings
//	goroutine.finding.detected           findings that were opened
//	goroutine.snapshot.duration          time it took to take and parse a snapshot
//	goroutine.snapshot.skipped           snapshots that were not taken
//	goroutine.snapshot.age               age of the newest snapshot
//	goroutine.profile.dropped            profiles that did not reach the exporter
//	goroutine.detector.status            detectors that are judging, and why others are not
//
// and sends events through the logger provider: goroutine.leak.detected,
// goroutine.leak.resolved and so on for each built-in detector,
// goroutine.finding.detected and goroutine.finding.resolved for the others.
// TELEMETRY.md lists all names.
//
// Events go to the logger of [WithLogger] and the functions of [WithEventFunc] as well.
// Where there are none and the logger provider is not set up, as before the SDK is, they
// go to slog's default logger, one line for each. They do not if both providers are
// OpenTelemetry's no-ops, or the environment variable OTEL_SDK_DISABLED is true. The first
// event that nothing hears is reported to the OpenTelemetry error handler.
//
// While nothing can be heard, nothing is captured: with no-op providers, or with metrics
// that are not set up and a slog default that takes no errors, unless there is a logger,
// a function, a subscriber, a directory for profiles, an archive or an exporter, or the monitor was
// asked for a snapshot, findings or its health in the last ten minutes.
//
// All monitors of a process share one capturer, which allows as much as the most
// careful of their options: the lowest budget, and no traces if one says
// [SourceProfileOnly]. An event of a detector that several monitors run for one
// logger provider, or one logger of log/slog, is sent once.
//
// The error names every option with an invalid value, and what is accepted. It
// is [ErrStarted] for a provider that is in use. After an error nothing is left
// running or registered.
//
// Environment variables that begin with OTELGOROUTINE_ win over the options; see
// [WithoutEnvironment]. With OTELGOROUTINE_ENABLED=false, Start returns a Monitor that
// does nothing, as the zero Monitor does.
func Start(mp metric.MeterProvider, opts ...Option) (*Monitor, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	if c.off {
		return new(Monitor), nil
	}
	if mp == nil {
		mp = otel.GetMeterProvider()
	}
	if isNil(mp) {
		return nil, errors.New("otelgoroutine: Start(nil pointer): the meter provider is a nil pointer in an interface; pass nil for the global one")
	}
	if c.loggerProvider == nil {
		c.loggerProvider = otel.GetLoggerProvider()
	}
	m := newMonitor(mp, c)
	defer close(m.handover.begun)
	if !claim(m) {
		return nil, ErrStarted
	}
	if err := m.begin(c); err != nil {
		release(m)
		return nil, err
	}
	return m, nil
}

// isNil reports whether v is nil or an interface that holds a nil pointer.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}

// capture returns what the capturer may do for this monitor.
func (c *config) capture() capture.Config {
	return capture.Config{
		Budget:    capture.Budget{CPU: c.budget.CPU, Pause: c.budget.Pause},
		Tracing:   c.source == SourceAuto,
		LeakProof: c.leakProof, ProofSpacing: proofSpacing(c.interval),
		Recorder: c.recorder,
		Labels:   engine.LabelKeys(c.findingLabels),
	}
}
