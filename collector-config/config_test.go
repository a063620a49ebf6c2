// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package collectorconfig

import (
	"os"
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

// An alert says what is wrong, where, and what to do. The place is a stack,
// unless the alert is about the instrumentation itself.
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
	var tests []byte
	for _, name := range []string{"alerts_test.yaml", "alerts_days_test.yaml"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		tests = append(tests, text...)
	}
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
			assert.True(t, has(tests, `alertname: `+r.Alert+`\n\s+exp_alerts:\n\s+- `), "%s: a test in which it fires", r.Alert)
			assert.True(t, has(tests, `alertname: `+r.Alert+`\n( {6}- |\n| {2}- |$)`), "%s: a test in which it does not", r.Alert)
		}
	}
	assert.Positive(t, n)
}

func has(text []byte, pattern string) bool { return regexp.MustCompile(pattern).Match(text) }

func read(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, into))
}

// forConfigurations are the components that no file here uses, and why a
// configuration that starts from one of these files may need them.
var forConfigurations = map[string]string{
	"receivers receivercreator":   "a receiver for each pod that an observer finds",
	"extensions k8sobserver":      "the observer of pods",
	"extensions basicauth":        "targets and stores that want a password",
	"extensions bearertokenauth":  "targets and stores that want a token",
	"extensions oauth2clientauth": "targets and stores that want a token of an identity provider",
	"processors resource":         "attributes such as the cluster or the team",
	"exporters debug":             "to see what is sent",
}

// The builder's configuration lists exactly the components that the files use,
// and those that configurations of users need beside them.
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
	for _, file := range slices.Concat(rig.Combinations...) {
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
	for c := range forConfigurations {
		assert.False(t, used[c], "%s is used in a file", c)
		used[c] = true
	}
	for _, c := range has {
		assert.True(t, used[c], "%s is built and not used", c)
		delete(used, c)
	}
	assert.Empty(t, used, "used and not built")
}

// All modules with the Collector's libraries have those of one release, which the
// builder's configuration names. prometheus3 has none: it is Prometheus, which uses the
// Collector's translation.
func TestOneReleaseOfTheCollector(t *testing.T) {
	builder, err := os.ReadFile("builder-config.yaml")
	require.NoError(t, err)
	release := regexp.MustCompile(`(?m)^  - gomod: go\.opentelemetry\.io/collector/\S+ (v0\.\S+)$`).FindStringSubmatch(string(builder))
	stable := regexp.MustCompile(`(?m)^  - gomod: go\.opentelemetry\.io/collector/\S+ (v1\.\S+)$`).FindStringSubmatch(string(builder))
	require.NotNil(t, release)
	require.NotNil(t, stable)
	required := regexp.MustCompile(`(?m)^\t(go\.opentelemetry\.io/collector/\S+|github\.com/open-telemetry/opentelemetry-collector-contrib/\S+) (v\S+)`)
	for _, file := range []string{
		"distribution/go.mod", "../collector/goroutinereceiver/go.mod", "../collector/creatortest/go.mod",
		"../otlpprofiles/go.mod", "../internal/otlptest/go.mod", "../e2e/go.mod", "go.mod",
	} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		all := required.FindAllStringSubmatch(string(text), -1)
		require.NotEmpty(t, all, file)
		for _, r := range all {
			assert.Contains(t, []string{release[1], stable[1]}, r[2], "%s requires another release of %s", file, r[1])
		}
	}
}
