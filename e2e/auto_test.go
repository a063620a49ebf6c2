// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/e2e"
	"github.com/otelgoroutine/go/e2e/program"
)

// TestTheImportWithTheEnvironmentOnly takes more than a minute, because no variable
// makes the detectors faster than they are in a service.
func TestTheImportWithTheEnvironmentOnly(t *testing.T) {
	t.Parallel()
	receiver := e2e.Receive(t)
	p := e2e.Start(t, "auto", append(receiver.Environment(),
		"OTELGOROUTINE_INTERVAL=1s", "OTELGOROUTINE_BUDGET_CPU=100%", "OTELGOROUTINE_BUDGET_PAUSE=1s",
		"OTELGOROUTINE_DETECTORS=deadlock,leak", "OTELGOROUTINE_TOP_STACK=5")...)
	told := p.AwaitStderr("OTELGOROUTINE_TOP_STACK ")
	assert.Contains(t, told, "the nearest name is OTELGOROUTINE_TOP_STACKS")
	assertTold(t, receiver.AwaitEvent(p, program.Event))
	p.Await("the detectors' states over OTLP", func() bool { return len(receiver.Detectors()) > 0 })
	assert.Equal(t, map[string]bool{"deadlock": true, "leak": true}, receiver.Detectors())
	require.NoError(t, p.Stop())
	assertOnce(t, bodies(detections(receiver)))
	assert.Len(t, e2e.Lines(p.Stderr(), ""), 1, "the mistake, and nothing else")
}

// TestTheImportTurnedOff has a healthy twin above: the same program with other variables.
func TestTheImportTurnedOff(t *testing.T) {
	t.Parallel()
	for _, off := range []string{"OTELGOROUTINE_ENABLED=false", "OTEL_SDK_DISABLED=true"} {
		receiver := e2e.Receive(t)
		p := e2e.Start(t, "auto", append(receiver.Environment(), off)...)
		require.NoError(t, p.Stop(), "the providers are flushed")
		assert.Empty(t, receiver.MetricNames(), off)
		assert.Empty(t, receiver.Events(), off)
		assert.Empty(t, p.Stderr(), off)
	}
}
