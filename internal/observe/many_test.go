// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/internal/telemetry"
)

// Thousands of targets keep nothing for display.
func TestForMany(t *testing.T) {
	f := newFake(waiting, 3)
	target, _ := newTestTarget(f, nil)
	target.ForMany()
	observe(t, target, 5)
	points := target.Status().Points
	require.Len(t, points, 1)
	assert.Empty(t, points[0].Stacks)
	assert.Empty(t, points[0].States)
	s := target.Status()
	assert.False(t, s.Unreachable())

	f.fails(errors.New("no"))
	observe(t, target, 5)
	s = target.Status()
	assert.Len(t, s.Points, 1)
	assert.True(t, s.Unreachable())
}

// A process that is no longer observed has no open findings.
func TestEnd(t *testing.T) {
	exported := new(logs)
	tel, err := telemetry.New(telemetry.Config{
		MeterProvider:  sdkmetric.NewMeterProvider(),
		LoggerProvider: sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewSimpleProcessor(exported))),
		TopStacks:      20,
	})
	require.NoError(t, err)
	target, _ := newTestTarget(newFake(crowded, 20), tel, crowd)
	observe(t, target, 1)
	require.Len(t, target.Status().Open, 1)
	events := target.End(t.Context())
	require.Len(t, events, 1)
	assert.Equal(t, "resolved", events[0].Kind.String())
	assert.Equal(t, []string{"goroutine.finding.detected", "goroutine.finding.resolved"}, exported.names)
}
