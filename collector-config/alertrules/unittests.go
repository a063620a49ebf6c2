// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package alertrules

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A testFile is a file of tests of rules, in the format of promtool and of
// vmalert-tool.
type testFile struct {
	RuleFiles          []string    `yaml:"rule_files"`
	EvaluationInterval string      `yaml:"evaluation_interval"`
	Tests              []testGroup `yaml:"tests"`
}

type testGroup struct {
	Name        string           `yaml:"name"`
	Interval    string           `yaml:"interval"`
	InputSeries []testSeries     `yaml:"input_series"`
	Alerts      []alertTest      `yaml:"alert_rule_test"`
	PromQL      []map[string]any `yaml:"promql_expr_test,omitempty"`
}

type testSeries struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

type alertTest struct {
	EvalTime string      `yaml:"eval_time"`
	Alert    string      `yaml:"alertname"`
	Expected []testAlert `yaml:"exp_alerts,omitempty"`
}

type testAlert struct {
	Labels      map[string]string `yaml:"exp_labels"`
	Annotations map[string]string `yaml:"exp_annotations"`
}

// VictoriaMetricsTests translates tests of the rules for promtool into tests of
// the rules in ruleFile for vmalert-tool. Tests of rules that are not in f, and of
// single queries, are left out.
func VictoriaMetricsTests(tests []byte, f File, ruleFile string) ([]byte, error) {
	var file testFile
	if err := yaml.Unmarshal(tests, &file); err != nil {
		return nil, fmt.Errorf("tests of alerting rules: %w", err)
	}
	has := make(map[string]bool)
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			has[r.Alert] = true
		}
	}
	file.RuleFiles = []string{ruleFile}
	for i := range file.Tests {
		if err := file.Tests[i].rename(has); err != nil {
			return nil, fmt.Errorf("test %q: %w", file.Tests[i].Name, err)
		}
	}
	return encode("", file)
}

// rename renames what the test has of metrics and labels.
func (g *testGroup) rename(has map[string]bool) error {
	g.PromQL = nil
	series, alerts := g.InputSeries, g.Alerts
	g.InputSeries, g.Alerts = nil, nil
	for _, s := range series {
		if strings.HasPrefix(s.Series, "target_info{") {
			continue // VictoriaMetrics has none
		}
		if !strings.HasPrefix(s.Series, "otelcol_") {
			var err error
			if s.Series, err = rename(s.Series); err != nil {
				return err
			}
		}
		g.InputSeries = append(g.InputSeries, s)
	}
	for _, a := range alerts {
		if !has[a.Alert] {
			continue
		}
		if err := a.rename(); err != nil {
			return err
		}
		g.Alerts = append(g.Alerts, a)
	}
	return nil
}

// rename renames the labels of the alerts that are expected. The job of an alert
// about a Collector is one that is scraped.
func (a *alertTest) rename() error {
	for i, expected := range a.Expected {
		if expected.Labels["job"] == "otel-collector" {
			continue
		}
		renamed := make(map[string]string)
		for l, v := range expected.Labels {
			if l != "severity" {
				var err error
				if l, err = renameLabel(l); err != nil {
					return err
				}
			}
			renamed[l] = v
		}
		a.Expected[i].Labels = renamed
	}
	return nil
}
