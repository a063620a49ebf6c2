// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package auto_test

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/auto"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// role names the case that a child process is.
const role = "OTELGOROUTINE_TEST_AUTO"

// The monitor starts once in a process, so each case has a process of its own.
func TestAProgramThatImportsThePackage(t *testing.T) {
	inProcesses(t, "TestAProgramThatImportsThePackage", map[string]program{
		"exports once the SDK is set":                 {[]string{"OTELGOROUTINE_INTERVAL=100ms"}, exports},
		"gives way to the program's own":              {[]string{"OTELGOROUTINE_INTERVAL=100ms"}, givesWay},
		"is off":                                      {[]string{"OTELGOROUTINE_ENABLED=false"}, isOff},
		"is off with the SDK":                         {[]string{"OTEL_SDK_DISABLED= True "}, isOff},
		"is on with a mistake":                        {[]string{"OTELGOROUTINE_INTERVAL=100", "OTELGOROUTINE_TOP_STACK=1"}, isOn},
		"is on if the SDK is not disabled":            {[]string{"OTEL_SDK_DISABLED=1"}, isOn},
		"captures nothing before anything is to hear": {nil, capturesNothing},
	})
}

// A program is what a child process does, and its variables.
type program struct {
	environment []string
	run         func(*testing.T)
}

// inProcesses runs each program in a process of its own.
func inProcesses(t *testing.T, test string, programs map[string]program) {
	if is := os.Getenv(role); is != "" {
		programs[is].run(t)
		return
	}
	for name, p := range programs {
		t.Run(name, func(t *testing.T) {
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.count=1")
			child.Env = append(append(os.Environ(), role+"="+name), p.environment...)
			out, err := child.CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}
}

func exports(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	require.Eventually(t, func() bool { return sums(t, reader)["goroutine.count"] > 0 }, time.Minute, time.Millisecond)
	assert.Equal(t, 100*time.Millisecond, auto.Monitor().Interval())
	require.NoError(t, auto.Monitor().Shutdown(t.Context()))
	assert.Empty(t, sums(t, reader)["goroutine.count"])
}

func givesWay(t *testing.T) {
	const parked = 1000
	stop := make(chan struct{})
	defer close(stop)
	for range parked {
		go func() { <-stop }()
	}
	reader := sdkmetric.NewManualReader()
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	otel.SetMeterProvider(mp)
	own, err := otelgoroutine.Start(mp)
	require.NoError(t, err)
	<-auto.Monitor().Done()
	var got map[string]int64
	require.Eventually(t, func() bool { // the first snapshot may be the one that the other took before there were any
		got = sums(t, reader)
		return got["goroutine.count"] > parked
	}, time.Minute, time.Millisecond)
	for _, name := range []string{"goroutine.count", "goroutine.scheduler.goroutine.count"} {
		assert.Greater(t, got[name], int64(parked), name)
		assert.Less(t, got[name], int64(2*parked), "%s is counted once", name)
	}
	require.NoError(t, own.Shutdown(t.Context()))
}

func isOff(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	assert.Zero(t, auto.Monitor().Interval())
	assert.Empty(t, sums(t, reader))
	<-auto.Monitor().Done()
	require.NoError(t, auto.Monitor().Shutdown(t.Context()))
}

func isOn(t *testing.T) {
	assert.Equal(t, 15*time.Second, auto.Monitor().Interval())
	require.NoError(t, auto.Monitor().Shutdown(t.Context()))
}

func capturesNothing(t *testing.T) {
	own, err := otelgoroutine.Start(noop.NewMeterProvider(), otelgoroutine.WithHandover())
	require.ErrorIs(t, err, otelgoroutine.ErrStarted, "two imports in one process")
	assert.Nil(t, own)
	select {
	case <-auto.Monitor().Done():
		t.Error("it gave way to another that gives way")
	default:
	}
	require.NoError(t, auto.Monitor().Shutdown(t.Context()))
}

// sums returns the sums of the up-down counters.
func sums(t *testing.T, reader sdkmetric.Reader) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &all))
	found := make(map[string]int64)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if data, ok := m.Data.(metricdata.Sum[int64]); ok {
				for _, p := range data.DataPoints {
					found[m.Name] += p.Value
				}
			}
		}
	}
	return found
}
