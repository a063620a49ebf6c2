// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/internal/otlptest"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// A self-test of a service as it is set up in production: both providers have a period
// in which nothing would be exported for a minute or more.
func TestASelfTestArrivesOverOTLP(t *testing.T) {
	arrived := new(otlptest.Recorder)
	receiver, err := otlptest.Start(arrived)
	require.NoError(t, err)
	metrics, err := otlpmetricgrpc.New(t.Context(), otlpmetricgrpc.WithEndpoint(receiver.Addr()), otlpmetricgrpc.WithInsecure(), otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{}))
	require.NoError(t, err)
	events, err := otlploggrpc.New(t.Context(), otlploggrpc.WithEndpoint(receiver.Addr()), otlploggrpc.WithInsecure(), otlploggrpc.WithRetry(otlploggrpc.RetryConfig{}))
	require.NoError(t, err)
	logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(events, sdklog.WithExportInterval(time.Hour))))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics, sdkmetric.WithInterval(time.Hour))))
	m, err := otelgoroutine.Start(meters, otelgoroutine.WithLoggerProvider(logs))
	require.NoError(t, err)

	require.NoError(t, m.SelfTest(t.Context()))
	assert.Equal(t, []float64{1}, openTests(arrived))
	for _, name := range []string{"goroutine.finding.detected", "goroutine.finding.resolved"} {
		require.Len(t, arrived.Events(name), 1)
		r := arrived.Events(name)[0]
		assert.Equal(t, "self_test", otlptest.Attribute(r.Attributes(), "goroutine.detector.name"))
		assert.Regexp(t, "^(Resolved: )?This (is|was) a test", r.Body().Str())
	}
	assert.Empty(t, m.Findings())

	require.NoError(t, receiver.Stop())
	require.EventuallyWithT(t, func(t *assert.CollectT) { // the first may meet the end of the old connections
		err := m.SelfTest(context.Background())
		assert.ErrorContains(t, err, "SelfTest: metrics: they could not be exported: ", "the backend is gone")
		assert.ErrorContains(t, err, "SelfTest: events: they could not be exported: ")
		assert.ErrorContains(t, err, "connection refused")
	}, 2*time.Minute, 10*time.Millisecond)

	require.NoError(t, m.Shutdown(t.Context()))
	_, _ = logs.Shutdown(t.Context()), meters.Shutdown(t.Context()) // there is nothing left to export to
}

// openTests returns the values of goroutine.finding.open for self-tests.
func openTests(arrived *otlptest.Recorder) (values []float64) {
	all, _ := arrived.Received()
	for _, received := range all {
		for _, m := range otlptest.Metrics(received) {
			if m.Name() != "goroutine.finding.open" {
				continue
			}
			for _, p := range otlptest.Points(m) {
				if p.Attribute("goroutine.detector.name") == "self_test" {
					values = append(values, p.Value)
				}
			}
		}
	}
	return values
}
