package collectorconfig

import (
	"go/format"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/otelgoroutine/go/collector-config/internal/rig"
)

// combinations are the ways in which the files for the Collector are used.
var combinations = [][]string{
	{"otel-collector.yaml"},
	{"otel-collector.yaml", "remote-write.yaml"},
	{"agent.yaml"},
	{"otel-collector.yaml", "gateway.yaml"},
	{"otel-collector.yaml", "gateway.yaml", "remote-write.yaml"},
}

func TestFilesAreValid(t *testing.T) {
	program := needCollector(t).collector
	for _, files := range combinations {
		dir := t.TempDir()
		c := rig.CollectorConfig{Program: program, Folder: folder(t), Files: files, Dir: dir, Env: []string{"QUEUE_DIR=" + dir}}
		assert.NoError(t, c.Validate(t.Context()), "%v", files)
	}
}

func folder(t *testing.T) string {
	t.Helper()
	here, err := os.Getwd()
	require.NoError(t, err)
	return here
}

// What is wrong with a configuration, the Collector says itself; the README
// tells how to read it, and quotes these.
func TestBadConfigurationGivesTheCollectorsOwnError(t *testing.T) {
	program := needCollector(t).collector
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for name, test := range map[string]struct {
		over string
		want []string
	}{
		"unknown component": {"yaml:exporters::jaeger::endpoint: localhost:1", []string{`'exporters' unknown type: "jaeger" for id: "jaeger" (valid values: [`}},
		"unknown setting":   {"yaml:exporters::prometheus::adress: localhost:1", []string{"'exporters' error reading configuration for \"prometheus\"", "has invalid keys: adress"}},
		"wrong pipeline":    {"yaml:service::pipelines::metrics::exporters: [prom]", []string{`service::pipelines::metrics: references exporter "prom" which is not configured`}},
		"wrong port":        {"yaml:receivers::otlp::protocols::grpc::endpoint: localhost:99999", []string{"listen tcp: address 99999: invalid port"}},
		"port in use":       {"yaml:receivers::otlp::protocols::grpc::endpoint: " + taken.Addr().String(), []string{"bind: address already in use", taken.Addr().String()}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rig.StartCollector(t.Context(), rig.CollectorConfig{
				Program: program, Folder: ".", Files: []string{"otel-collector.yaml", test.over}, Dir: t.TempDir(), Out: io.Discard})
			require.Error(t, err)
			for _, want := range test.want {
				assert.ErrorContains(t, err, want)
			}
		})
	}
}

func TestRules(t *testing.T) {
	promtool := needPrometheus(t)
	for _, args := range [][]string{
		{"check", "config", "prometheus.yaml"}, {"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"},
	} {
		out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput()
		assert.NoError(t, err, "promtool %v: %s", args, out)
	}
}

// An alert says what, where, and what to do. Where is a stack, unless it is
// about the instrumentation itself.
func TestEveryAlertIsTestedAndHasARunbook(t *testing.T) {
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert       string
				Annotations map[string]string
			}
		}
	}
	read(t, "alerts.yaml", &rules)
	tests, err := os.ReadFile("alerts_test.yaml")
	require.NoError(t, err)
	n := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			n++
			assert.NotEmpty(t, r.Annotations["summary"], r.Alert)
			assert.NotEmpty(t, r.Annotations["description"], r.Alert)
			if g.Name != "goroutine-instrumentation" {
				assert.Contains(t, r.Annotations["description"], "(stack ", r.Alert)
			}
			book, ours := strings.CutPrefix(r.Annotations["runbook_url"], "https://github.com/otelgoroutine/go/blob/main/")
			assert.True(t, ours, r.Alert)
			text, err := os.ReadFile(filepath.Join("..", book))
			assert.NoError(t, err, r.Alert)
			assert.Contains(t, string(text), r.Alert, "the runbook names its alert")
			assert.Regexp(t, `alertname: `+r.Alert+`\n\s+exp_alerts:\n\s+- `, string(tests), "a test in which it fires")
		}
	}
	assert.Positive(t, n)
}

func read(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, into))
}

// The builder's configuration lists the components that the files use, and no
// other.
func TestBuilderHasExactlyTheComponentsUsed(t *testing.T) {
	var builder map[string]any
	read(t, "builder-config.yaml", &builder)
	var has []string
	for _, kind := range []string{"receivers", "processors", "exporters", "connectors", "extensions"} {
		for _, c := range builder[kind].([]any) {
			gomod, _, _ := strings.Cut(c.(map[string]any)["gomod"].(string), " ")
			name := strings.TrimSuffix(filepath.Base(gomod), strings.TrimSuffix(kind, "s"))
			has = append(has, kind+" "+name)
		}
	}
	used := make(map[string]bool)
	for _, file := range slices.Concat(combinations...) {
		var config map[string]any
		read(t, file, &config)
		for _, kind := range []string{"receivers", "processors", "exporters", "connectors", "extensions"} {
			components, _ := config[kind].(map[string]any)
			for id := range components {
				name, _, _ := strings.Cut(id, "/")
				used[kind+" "+strings.ReplaceAll(name, "_", "")] = true
			}
		}
	}
	for _, c := range has {
		assert.True(t, used[c], "%s is built and not used", c)
		delete(used, c)
	}
	assert.Empty(t, used, "used and not built")
}

// builder is the Collector builder, of the version of the components.
const builder = "go.opentelemetry.io/collector/cmd/builder@v0.158.0"

func TestDistributionIsWhatTheBuilderMakes(t *testing.T) {
	if testing.Short() || os.Getenv(realPrograms) == skipped {
		t.Skip("downloads the builder")
	}
	dir := t.TempDir()
	config, err := os.ReadFile("builder-config.yaml")
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
		have, err := os.ReadFile(filepath.Join("distribution", name))
		require.NoError(t, err)
		assert.Equal(t, string(made), string(have), name)
	}
	gomod, err := os.ReadFile(filepath.Join("distribution", "go.mod"))
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`gomod: (\S+ v\S+)`).FindAllStringSubmatch(string(config), -1) {
		assert.Contains(t, string(gomod), "\t"+m[1]+"\n")
	}
}
