// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/collector-config/alertrules"
	"github.com/otelgoroutine/go/collector-config/internal/rig"
)

// VictoriaMetrics runs the rules that are generated for it on its own storage, with
// series that have the names of OTLP. The series and the alerts that are expected
// are those of the tests for Prometheus.
func TestRulesInVictoriaMetrics(t *testing.T) {
	t.Parallel()
	tool, err := rig.BuildVMAlertTool(t.Context(), folder)
	require.NoError(t, err)
	file, err := filepath.Abs(filepath.Join(folder, "alerts-victoriametrics.yaml"))
	require.NoError(t, err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	rules, err := alertrules.Parse(text)
	require.NoError(t, err)
	for _, name := range []string{"alerts_test.yaml", "alerts_days_test.yaml"} {
		tests, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err)
		tests, err = alertrules.VictoriaMetricsTests(tests, rules, file)
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, tests, 0o600))
		cmd := exec.CommandContext(t.Context(), tool, "unittest", "--files="+path, "--disableAlertgroupLabel")
		cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
		out, err := cmd.CombinedOutput()
		assert.NoError(t, err, "%s: %s", name, out)
	}
}
