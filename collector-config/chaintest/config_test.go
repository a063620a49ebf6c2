// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"go/format"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/collector-config/internal/rig"
)

func TestFilesAreValid(t *testing.T) {
	program := build(t).collector
	folder, err := filepath.Abs(folder)
	require.NoError(t, err)
	for _, files := range rig.Combinations {
		dir := t.TempDir()
		c := rig.CollectorConfig{Program: program, Folder: folder, Files: files, Dir: dir, Env: []string{"QUEUE_DIR=" + dir}}
		assert.NoError(t, c.Validate(t.Context()), "%v", files)
	}
}

// The Collector itself reports what is wrong with a configuration. The README
// quotes and explains these messages.
func TestBadConfigurationGivesTheCollectorsOwnError(t *testing.T) {
	program := build(t).collector
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for name, test := range map[string]struct {
		over string
		want []string
	}{
		"unknown component": {"yaml:exporters::jaeger::endpoint: localhost:1", []string{`'exporters' unknown type: "jaeger" for id: "jaeger" (valid values: [`}},
		"unknown setting":   {"yaml:exporters::file/events::pth: e.jsonl", []string{"'exporters' error reading configuration for \"file/events\"", "has invalid keys: pth"}},
		"wrong pipeline":    {"yaml:service::pipelines::metrics::exporters: [prom]", []string{`service::pipelines::metrics: references exporter "prom" which is not configured`}},
		"wrong port":        {"yaml:receivers::otlp::protocols::grpc::endpoint: localhost:99999", []string{"listen tcp: address 99999: invalid port"}},
		"port in use":       {"yaml:receivers::otlp::protocols::grpc::endpoint: " + taken.Addr().String(), []string{"bind: address already in use", taken.Addr().String()}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rig.StartCollector(t.Context(), rig.CollectorConfig{
				Program: program, Folder: folder, Files: []string{"otel-collector.yaml", test.over}, Dir: t.TempDir(), Out: io.Discard})
			require.Error(t, err)
			for _, want := range test.want {
				assert.ErrorContains(t, err, want)
			}
		})
	}
}

// The oldest Prometheus that is supported and one of today agree on the files.
func TestRules(t *testing.T) {
	_, promtool, err := rig.FindPrometheus()
	require.NoError(t, err)
	newer, err := today()
	require.NoError(t, err)
	files := [][]string{{"check", "config", "prometheus.yaml"}, {"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml", "alerts_days_test.yaml"}}
	runs(t, promtool, files...)
	runs(t, newer.promtool, append(files, []string{"check", "config", "prometheus-otlp.yaml"})...)
}

// runs runs a program in the folder of the files under test.
func runs(t *testing.T, program string, calls ...[]string) {
	t.Helper()
	for _, args := range calls {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = folder
		out, err := cmd.CombinedOutput()
		assert.NoError(t, err, "%s %v: %s", program, args, out)
	}
}

// builder is the Collector builder, in the same version as the components.
const builder = "go.opentelemetry.io/collector/cmd/builder@v0.161.0"

func TestDistributionIsWhatTheBuilderMakes(t *testing.T) {
	dir := t.TempDir()
	config, err := os.ReadFile(filepath.Join(folder, "builder-config.yaml"))
	require.NoError(t, err)
	file := filepath.Join(dir, "builder-config.yaml")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(config), "./distribution", dir, 1)), 0o600))
	cmd := exec.CommandContext(t.Context(), "go", "run", builder, "--config", file, "--skip-compilation", "--skip-get-modules")
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, name := range []string{"main.go", "components.go", "main_others.go", "main_windows.go"} {
		made, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		made, err = format.Source(made)
		require.NoError(t, err)
		have, err := os.ReadFile(filepath.Join(folder, "distribution", name))
		require.NoError(t, err)
		assert.Equal(t, string(made), string(have), name)
	}
	gomod, err := os.ReadFile(filepath.Join(folder, "distribution", "go.mod"))
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`gomod: (\S+ v\S+)`).FindAllStringSubmatch(string(config), -1) {
		assert.Contains(t, string(gomod), "\t"+m[1]+"\n")
	}
	for _, m := range regexp.MustCompile(`(?m)^  - (\S+ v\S+ => .*)$`).FindAllStringSubmatch(string(config), -1) {
		assert.Contains(t, string(gomod), "\nreplace "+m[1]+"\n")
	}
}
