// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// TestTheNaiveMonitorCountsParkedGoroutines counts goroutines of this
// process, which stay until its end.
func TestTheNaiveMonitorCountsParkedGoroutines(t *testing.T) {
	require.NoError(t, park(60))
	n, err := newNaive(sdkmetric.NewMeterProvider())
	require.NoError(t, err)
	n.take()
	counts := *n.counts.Load()
	assert.GreaterOrEqual(t, counts["chan receive"], int64(30), "%v", counts)
	assert.GreaterOrEqual(t, counts["select"], int64(30), "%v", counts)
}

func TestParkedGoroutinesAreDeepAndDiffer(t *testing.T) {
	require.NoError(t, park(240))
	var b strings.Builder
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&b, 0))
	p, err := profile.Parse(strings.NewReader(b.String()))
	require.NoError(t, err)
	stacks := 0
	for _, s := range p.Sample {
		if frames := names(s); strings.Contains(frames, "/lab.arrive") {
			stacks++
			assert.GreaterOrEqual(t, strings.Count(frames, "\n"), parkedDepth, frames)
		}
	}
	assert.GreaterOrEqual(t, stacks, 24)
}

// names lists the functions of a sample, one a line.
func names(s *profile.Sample) string {
	var b strings.Builder
	for _, l := range s.Location {
		for _, line := range l.Line {
			b.WriteString(line.Function.Name + "\n")
		}
	}
	return b.String()
}
