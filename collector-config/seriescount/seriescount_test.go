// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package seriescount

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/telemetry"
)

var update = flag.Bool("update", false, "write the tables of the README anew")

// The tables of the README are between these lines.
const (
	readme = "../README.md"
	begin  = "<!-- series: go test ./seriescount -update -->\n"
	end    = "<!-- end of series -->\n"
)

func TestTheREADMEIsCalculatedFromTheCatalog(t *testing.T) {
	text, err := os.ReadFile(readme)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok)
	got, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	if *update {
		got = "\n" + Markdown() + "\n"
		require.NoError(t, os.WriteFile(readme, []byte(before+begin+got+end+after), 0o644))
	}
	assert.Equal(t, "\n"+Markdown()+"\n", got, "run: go test ./seriescount -update")
}

func TestEveryMetricOfTheCatalogIsCounted(t *testing.T) {
	rows := Rows(DefaultTop)
	counted := make(map[string]Row)
	for _, r := range rows {
		counted[r.Metric] = r
		assert.LessOrEqual(t, r.Usual, r.Most, r.Metric)
	}
	for _, m := range telemetry.Metrics() {
		assert.Contains(t, counted, m.Name)
	}
}

func TestNamesInPrometheus(t *testing.T) {
	names := make(map[string]string)
	for _, r := range Rows(1) {
		names[r.Metric] = r.Prometheus
	}
	for metric, want := range map[string]string{
		telemetry.MetricCount:            "goroutine_count",
		telemetry.MetricStackCount:       "goroutine_stack_goroutine_count",
		telemetry.MetricSchedulerCount:   "goroutine_scheduler_goroutine_count",
		telemetry.MetricCreated:          "goroutine_created_total",
		telemetry.MetricStackAge:         "goroutine_stack_age_seconds",
		telemetry.MetricSnapshotDuration: "goroutine_snapshot_duration_seconds",
		telemetry.MetricSnapshotSkipped:  "goroutine_snapshot_skipped_total",
		telemetry.MetricFindingOpen:      "goroutine_finding_open",
	} {
		assert.Equal(t, want, names[metric], "as a real Prometheus has it: TestChain")
	}
}
