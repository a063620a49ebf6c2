// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package collectorconfig

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/otelgoroutine/go/collector-config/alertrules"
)

// alertmanager is what docs/backends.md says about Alertmanager.
type alertmanager struct {
	Route struct {
		GroupBy []string `yaml:"group_by"`
	}
	InhibitRules []struct {
		Source []string `yaml:"source_matchers"`
		Target []string `yaml:"target_matchers"`
		Equal  []string
	} `yaml:"inhibit_rules"`
}

// The rules for Alertmanager that we document name alerts that exist, and labels
// that all of them have: a label that both lack would be equal, and hide too much.
func TestAlertmanagerInhibitsAlertsThatExist(t *testing.T) {
	var config alertmanager
	require.NoError(t, yaml.Unmarshal([]byte(block(t, "../docs/backends.md", "inhibit_rules:")), &config))
	rules := alerts(t)
	require.NotEmpty(t, config.InhibitRules)
	for _, r := range config.InhibitRules {
		for _, matcher := range slices.Concat(r.Source, r.Target) {
			for _, name := range named(t, matcher) {
				require.Contains(t, rules, name)
				for _, l := range slices.Concat(r.Equal, config.Route.GroupBy) {
					assert.Contains(t, rules[name], l, "%s is not a label of %s", l, name)
				}
			}
		}
	}
}

// block returns the YAML in a document that has a certain line.
func block(t *testing.T, file, with string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(m[1], with+"\n") {
			return m[1]
		}
	}
	t.Fatalf("no YAML with the line %s in %s", with, file)
	return ""
}

// alerts returns the expressions of all alerts, which name the labels.
func alerts(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("alerts.yaml")
	require.NoError(t, err)
	f, err := alertrules.Parse(text)
	require.NoError(t, err)
	exprs := make(map[string]string)
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			exprs[r.Alert], _, _ = strings.Cut(r.Expr, "(goroutine_")
		}
	}
	return exprs
}

// named returns the names that a matcher of alertname accepts.
func named(t *testing.T, matcher string) []string {
	t.Helper()
	m := regexp.MustCompile(`^alertname=~?"([^"]+)"$`).FindStringSubmatch(matcher)
	require.NotNil(t, m, matcher)
	return strings.Split(m[1], "|")
}
