// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"log/slog"
	"reflect"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelgoroutine/go/detectors"
)

// collectedFor is how long after a collection metrics count as heard: longer than
// any usual interval between two.
const collectedFor = 10 * time.Minute

// Heard reports whether metrics or events reach anything. They do not with a no-op
// provider, before the SDK is set up, and after it is shut down.
func (t *Telemetry) Heard(ctx context.Context) bool {
	return t.logger.Enabled(ctx, log.EnabledParameters{Severity: log.SeverityError}) || t.metricsHeard(ctx)
}

// EventsHeard reports whether a logger provider is set up: whether it takes errors, or
// an event, which may be nil. If it is set up and does not take the event, that is a
// choice.
func EventsHeard(ctx context.Context, lp log.LoggerProvider, e *detectors.Event) bool {
	logger := loggerOf(lp)
	return logger.Enabled(ctx, log.EnabledParameters{Severity: log.SeverityError}) ||
		e != nil && logger.Enabled(ctx, log.EnabledParameters{Severity: severityOf(*e), EventName: nameOf(*e)})
}

// Declined reports whether both providers are the no-ops of the OpenTelemetry API, which
// are set where nothing of OpenTelemetry is wanted. The global providers of before the SDK
// is set up are none, and neither are those of an SDK that was shut down. A no-op for logs
// alone is what otelconf makes of a configuration with metrics only.
func Declined(mp metric.MeterProvider, lp log.LoggerProvider) bool {
	const global = "go.opentelemetry.io/otel/internal/global" // of before the SDK was set up
	if from(mp, global) {
		mp = otel.GetMeterProvider()
	}
	if from(lp, global) {
		lp = otel.GetLoggerProvider()
	}
	return from(mp, "go.opentelemetry.io/otel/metric/noop") && from(lp, "go.opentelemetry.io/otel/log/noop")
}

// from reports whether the type of v, or of what it points to, is defined in a package.
func from(v any, pkg string) bool {
	t := reflect.TypeOf(v)
	if t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t != nil && t.PkgPath() == pkg
}

// Bridged reports whether a logger of log/slog passes records on to a logger provider:
// whether its handler is the bridge of OpenTelemetry. One that wraps it is not
// recognized.
func Bridged(l *slog.Logger) bool {
	return from(l.Handler(), "go.opentelemetry.io/contrib/bridges/otelslog")
}

// SameSlog reports whether two loggers of log/slog lead to the same place.
func SameSlog(a, b *slog.Logger) bool {
	return a != nil && b != nil && (a == b || identical(a.Handler(), b.Handler()))
}

// metricsHeard reports whether the instruments are enabled. A provider may not say
// so, as one that wraps another and knows nothing of enabling: then the last
// collection tells.
func (t *Telemetry) metricsHeard(ctx context.Context) bool {
	if probe(t.config.MeterProvider).Enabled(ctx) {
		t.enabled.Store(true)
		return true
	}
	collected := t.collected.Load()
	return collected != nil && time.Since(*collected) < collectedFor && !t.enabled.Load()
}

// Mute stops metrics, or lets them continue. It is for a second monitor that
// turns out to report to the same place as the first.
func (t *Telemetry) Mute(muted bool) { t.muted.Store(muted) }

// Muted reports whether metrics are off.
func (t *Telemetry) Muted() bool { return t.muted.Load() }

// SameMetrics reports whether two providers lead to the same metrics, as far as
// can be told: they are the same, or have the same meter, as the global provider
// has once the SDK is set up, or the same instrument, as a provider that wraps
// another often has.
func SameMetrics(a, b metric.MeterProvider) bool {
	return identical(a, b) || identical(meterOf(a), meterOf(b)) || identical(probe(a), probe(b))
}

// SameEvents reports whether two providers lead to the same events.
func SameEvents(a, b log.LoggerProvider) bool {
	return identical(a, b) || identical(loggerOf(a), loggerOf(b))
}

// identical reports whether a and b are the same object. What is not a pointer has
// no identity: all no-op providers are equal.
func identical(a, b any) bool {
	return a != nil && b != nil && reflect.ValueOf(a).Kind() == reflect.Pointer && a == b
}

// probe returns an instrument of the provider as it is now. Providers keep their
// instruments, so that this makes no second one.
func probe(mp metric.MeterProvider) metric.Int64Counter {
	m := &maker{meter: meterOf(mp)}
	return m.counter(MetricSnapshotSkipped)
}

func meterOf(mp metric.MeterProvider) metric.Meter {
	return mp.Meter(ScopeName, metric.WithInstrumentationVersion(Version), metric.WithSchemaURL(SchemaURL))
}

func loggerOf(lp log.LoggerProvider) log.Logger {
	return lp.Logger(ScopeName, log.WithInstrumentationVersion(Version), log.WithSchemaURL(SchemaURL))
}
