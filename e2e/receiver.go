// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelgoroutine/go/internal/otlptest"
)

// A Receiver receives OTLP over gRPC and keeps all of it.
type Receiver struct {
	otlptest.Recorder
	server *otlptest.Server
}

// Receive starts a receiver, which the end of the test stops. Start programs after it:
// they are then stopped before it.
func Receive(tb testing.TB) *Receiver {
	tb.Helper()
	r := new(Receiver)
	var err error
	if r.server, err = otlptest.Start(&r.Recorder); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := r.server.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return r
}

// Addr returns the host and port to export to, without TLS.
func (r *Receiver) Addr() string { return r.server.Addr() }

// Environment returns the standard variables with which the exporters of OpenTelemetry
// export to r over gRPC several times a second.
func (r *Receiver) Environment() []string {
	return []string{
		"OTEL_SERVICE_NAME=e2e",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + r.Addr(),
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
		"OTEL_METRIC_EXPORT_INTERVAL=200", // milliseconds, as the next one
		"OTEL_BLRP_SCHEDULE_DELAY=100",
	}
}

// AwaitEvent waits until p has sent a log record with this event name, and returns the
// first one.
func (r *Receiver) AwaitEvent(p *Process, name string) plog.LogRecord {
	p.tb.Helper()
	p.Await("event "+name+" over OTLP", func() bool { return len(r.Events(name)) > 0 })
	return r.Events(name)[0]
}

// Detectors returns the detectors whose states have arrived as metrics.
func (r *Receiver) Detectors() map[string]bool {
	names := make(map[string]bool)
	metrics, _ := r.Received()
	for _, request := range metrics {
		for _, m := range otlptest.Metrics(request) {
			if m.Name() == "goroutine.detector.status" {
				for _, p := range otlptest.Points(m) {
					names[p.Attribute("goroutine.detector.name")] = true
				}
			}
		}
	}
	return names
}
