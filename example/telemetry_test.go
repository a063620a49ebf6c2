// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/log"

	"github.com/otelgoroutine/go/internal/otlptest"
)

// Each variable, alone, makes the exporters use HTTP: the one of a signal for that
// signal.
func TestOTLPOverHTTP(t *testing.T) {
	for name, test := range map[string]struct {
		variable      string
		metrics, logs int
	}{
		"all":     {"OTEL_EXPORTER_OTLP_PROTOCOL", 1, 1},
		"metrics": {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", 1, 0},
		"logs":    {"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			overHTTP, overGRPC := new(otlptest.Recorder), new(otlptest.Recorder)
			server := httptest.NewServer(otlptest.Handler(overHTTP))
			defer server.Close()
			grpc, err := otlptest.Start(overGRPC)
			require.NoError(t, err)
			defer grpc.Stop()
			t.Setenv(test.variable, "http/protobuf")
			t.Setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", endpoint(test.metrics, server.URL+"/v1/metrics", grpc.Addr()))
			t.Setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", endpoint(test.logs, server.URL+"/v1/logs", grpc.Addr()))

			otel, err := startTelemetry(t.Context(), "", time.Hour)
			require.NoError(t, err)
			counter, err := otel.metrics.Meter("test").Int64Counter("c")
			require.NoError(t, err)
			counter.Add(t.Context(), 1)
			otel.logs.Logger("test").Emit(t.Context(), log.Record{})
			require.NoError(t, otel.logs.ForceFlush(t.Context()))
			require.NoError(t, otel.metrics.ForceFlush(t.Context()))

			metrics, logs := overHTTP.Received()
			assert.Len(t, metrics, test.metrics)
			assert.Len(t, logs, test.logs)
			metrics, logs = overGRPC.Received()
			assert.Len(t, metrics, 1-test.metrics)
			assert.Len(t, logs, 1-test.logs)
			require.NoError(t, otel.shutdown(t.Context()))
		})
	}
}

// endpoint returns the endpoint of a signal, over HTTP or gRPC.
func endpoint(overHTTP int, url, addr string) string {
	if overHTTP == 1 {
		return url
	}
	return "http://" + addr
}
