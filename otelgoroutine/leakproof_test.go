// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package otelgoroutine_test has goroutines that are not taken for our own.
package otelgoroutine_test

import (
	"os"
	"os/exec"
	"runtime/pprof"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// forget starts a goroutine whose result is never received.
func forget() {
	result := make(chan int)
	go func() { result <- 42 }()
}

// TestASingleLeakIsProven runs in a process of its own: a goroutine that the
// runtime found to be leaked must never be woken, and so cannot be cleaned up.
func TestASingleLeakIsProven(t *testing.T) {
	if pprof.Lookup("goroutineleak") == nil {
		t.Skip("no goroutineleak profile: it came with Go 1.27; GOTOOLCHAIN=go1.27.4 go test runs this")
	}
	const inside = "OTELGOROUTINE_TEST_LEAK"
	if os.Getenv(inside) == "" {
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		child.Env = append(os.Environ(), inside+"=1")
		out, err := child.CombinedOutput()
		require.NoError(t, err, string(out))
		return
	}
	forget()
	idle := make(chan int)
	defer close(idle)
	go func() { <-idle }() // waits in the same way, and is alive
	leak := detectors.DefaultLeakConfig()
	leak.MinStand = time.Second
	m, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(), otelgoroutine.WithInterval(otelgoroutine.MinInterval),
		otelgoroutine.WithLeakProof(), otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1, Pause: time.Second}),
		otelgoroutine.WithDetectors(detectors.NewLeak(leak)))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(m.Findings()) > 0 }, time.Minute, 50*time.Millisecond)
	found := m.Findings()
	require.Len(t, found, 1)
	assert.Equal(t, detectors.Confirmed, found[0].Confidence)
	assert.Equal(t, "github.com/otelgoroutine/go/otelgoroutine_test.forget.func1", found[0].Stack.User().Function)
	assert.Equal(t, 1, found[0].Count)
	assert.NoError(t, m.Shutdown(t.Context()))
	if !t.Failed() {
		os.Exit(0) // past the check for goroutines that were left behind
	}
}
