// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
)

func TestAShortRun(t *testing.T) {
	r, err := soak(t.Context(), options{span: 300 * time.Millisecond, waves: true, probe: 20 * time.Millisecond}, io.Discard)
	require.NoError(t, err)
	assert.Positive(t, r.healthy)
	assert.Equal(t, r.healthy, r.blind, "a monitor needs a minute to judge")
	assert.Zero(t, r.unhealthy)
	assert.Positive(t, r.requests)
}

func TestTheProbeIsAskedOverHTTP(t *testing.T) {
	s, err := startService(false, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "unhealthy: hang (high)", http.StatusServiceUnavailable)
	}))
	require.NoError(t, err)
	defer s.stop()
	r := result{span: time.Minute, found: make(map[string]int)}
	open := &[]detectors.Finding{{Detector: "hang", Confidence: detectors.High, Message: "It hangs."}}
	require.NoError(t, r.ask(t.Context(), s, nil))
	require.NoError(t, r.ask(t.Context(), s, open))
	assert.Equal(t, 2, r.unhealthy)
	assert.Zero(t, r.healthy)
	var b bytes.Buffer
	r.write(&b)
	assert.Contains(t, b.String(), "Probes: 0 healthy (0 of them blind), 2 unhealthy.\nFirst unhealthy answer: unhealthy: hang (high)\nOpen in 1 probes: hang (high)\n")
	assert.Equal(t, "hang (high): It hangs.", names(open))
	assert.Equal(t, "none", names(nil))
}

func TestFlags(t *testing.T) {
	o, err := parseOptions([]string{"-for", "1h", "-waves"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, options{span: time.Hour, waves: true, probe: probeEvery}, o)
	_, err = parseOptions([]string{"-for", "1ms"}, io.Discard)
	assert.ErrorContains(t, err, "1s")
}
