// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package alertrules

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template/parse"
	"time"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/go-openapi/strfmt"
	"github.com/grafana/grafana-openapi-client-go/models"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/otelgoroutine/go/collector-config/dashboard"
)

var update = flag.Bool("update", false, "write the generated files anew")

func ofPrometheus(t *testing.T) File {
	t.Helper()
	text, err := os.ReadFile("../alerts.yaml")
	require.NoError(t, err)
	f, err := Parse(text)
	require.NoError(t, err)
	return f
}

func TestTheFilesAreGeneratedFromTheRules(t *testing.T) {
	for name, generate := range map[string]func(File) ([]byte, error){
		"../grafana-alerts.yaml": Grafana, "../alerts-victoriametrics.yaml": VictoriaMetrics,
	} {
		text, err := generate(ofPrometheus(t))
		require.NoError(t, err, name)
		if *update {
			require.NoError(t, os.WriteFile(name, text, 0o644))
		}
		want, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(text), "run: go test ./alertrules -update")
	}
}

// Grafana's own types decode the file, with no field that they do not know, and
// find it valid.
func TestGrafanaAcceptsItsFile(t *testing.T) {
	text, err := os.ReadFile("../grafana-alerts.yaml")
	require.NoError(t, err)
	var fields any
	require.NoError(t, yaml.Unmarshal(text, &fields))
	inJSON, err := json.Marshal(fields)
	require.NoError(t, err)
	d := json.NewDecoder(bytes.NewReader(inJSON))
	d.DisallowUnknownFields()
	var file models.AlertingFileExport
	require.NoError(t, d.Decode(&file))
	require.NoError(t, file.Validate(strfmt.Default))

	want := make(map[string]Rule)
	for _, g := range ofPrometheus(t).Groups {
		for _, r := range g.Rules {
			want[r.Alert] = r
		}
	}
	seen := make(map[string]bool)
	for _, g := range file.Groups {
		_, err := time.ParseDuration(g.Interval)
		assert.NoError(t, err, g.Name)
		assert.NotEmpty(t, g.Folder)
		for _, r := range g.Rules {
			assertGrafanaRule(t, want[r.Title], r)
			assert.False(t, seen[r.UID], "%s is the identity of two rules", r.UID)
			seen[r.UID] = true
		}
	}
	assert.Len(t, seen, len(want))
}

// identityInGrafana is what Grafana accepts as the UID of a rule.
var identityInGrafana = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,40}$`)

func assertGrafanaRule(t *testing.T, want Rule, r *models.AlertRuleExport) {
	t.Helper()
	assert.Regexp(t, identityInGrafana, r.UID)
	assert.Equal(t, want.Labels, r.Labels)
	assert.Equal(t, want.For, r.For)
	assert.Equal(t, want.KeepFiringFor, r.KeepFiringFor)
	require.Len(t, r.Data, 3)
	assert.Equal(t, want.Expr, r.Data[0].Model.(map[string]any)["expr"])
	assert.Equal(t, DataSource, r.Data[0].DatasourceUID)
	assert.Equal(t, r.Condition, r.Data[2].RefID)
	assert.Equal(t, want.Annotations["runbook_url"], r.Annotations["runbook_url"])
	for _, text := range r.Annotations {
		assert.NotContains(t, text, "query", r.Title)
		assert.NotContains(t, text, "$", "%s: Grafana may replace it by a variable of the environment", r.Title)
		assert.NotContains(t, text, "  ", r.Title)
	}
}

func TestTextsInGrafana(t *testing.T) {
	for text, want := range map[string]string{
		"{{ $labels.job }}: {{ $value | humanize }}":                                         "{{.Labels.job}}: {{.Values.A.Value | humanize}}",
		`On {{ $labels.instance }}.{{ with "up" | query }} {{ . | first | value }}{{ end }}`: "On {{.Labels.instance}}.",
		`{{ with "up" | query }}{{ . }} on{{ else }}Many on{{ end }} x`:                      "Many on x",
		`{{ if eq $labels.job "a" }}b{{ else }}c{{ end }}`:                                   `{{if eq .Labels.job "a"}}b{{else}}c{{end}}`,
	} {
		got, err := grafanaText(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got)
	}
	_, err := grafanaText("{{ $externalURL }}")
	assert.ErrorContains(t, err, "undefined variable")
	_, err = grafanaText("{{ $labels }}")
	assert.ErrorContains(t, err, "the variable $labels is not known in Grafana: use $labels.name and $value")
	_, err = grafanaText(`{{ template "x" }}`)
	assert.ErrorContains(t, err, "cannot be translated")
}

func TestNamesInVictoriaMetrics(t *testing.T) {
	for query, want := range map[string]string{
		`goroutine_snapshot_age_seconds offset 1h`:                                     `goroutine.snapshot.age offset 1h`,
		`sum by (job, goroutine_state) (goroutine_count{instance="a"})`:                `sum(goroutine.count{service.instance.id="a"}) by(service.name,service.namespace,goroutine.state)`,
		`rate(goroutine_snapshot_duration_seconds_sum[5m])`:                            `rate(goroutine.snapshot.duration_sum[5m])`,
		`goroutine_created_total / on (job) group_left (team) goroutine_count`:         `goroutine.created / on(service.name,service.namespace) group_left(team) goroutine.count`,
		`group by (k8s_cluster_name) (goroutine_finding_open{goroutine_stack_id="x"})`: `group(goroutine.finding.open{goroutine.stack.id="x"}) by(k8s.cluster.name)`,
	} {
		got, err := rename(query)
		require.NoError(t, err, query)
		assert.Equal(t, want, got)
	}
	for query, want := range map[string]string{
		`goroutine_leaks`:                               `the metric "goroutine_leaks" is not in the catalog`,
		`goroutine_count{colour="red"}`:                 `no metric has the label "colour"`,
		`sum by (colour) (goroutine_count)`:             `no metric has the label "colour"`,
		`goroutine_count + on (colour) goroutine_count`: `no metric has the label "colour"`,
		`goroutine_snapshot_duration_seconds`:           `is not in the catalog`,
		`goroutine_count{`:                              `query "goroutine_count{"`,
	} {
		_, err := rename(query)
		assert.ErrorContains(t, err, want)
	}
}

func TestTextsInVictoriaMetrics(t *testing.T) {
	for text, want := range map[string]string{
		"{{ $labels.job }} {{ $value }}": `{{(index $labels "service.name")}} {{$value}}`,
		`{{ with printf "goroutine_count{job=%q} > 0" $labels.job | query }}{{ .Labels.goroutine_state }}{{ end }}`: `{{with printf "goroutine.count{service.name=%q} > 0" (index $labels "service.name") | query}}{{(index .Labels "goroutine.state")}}{{end}}`,
		`{{ . | label "goroutine_finding_confidence" }}`:                                                            `{{. | label "goroutine.finding.confidence"}}`,
	} {
		got, err := renameInTemplate(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got)
	}
	_, err := renameInTemplate("{{ $labels.colour }}")
	assert.ErrorContains(t, err, `no metric has the label "colour"`)
}

// No name with an underscore is left of ours in the file, and its own parser
// accepts every query.
func TestVictoriaMetricsAcceptsItsFile(t *testing.T) {
	text, err := os.ReadFile("../alerts-victoriametrics.yaml")
	require.NoError(t, err)
	f, err := Parse(text)
	require.NoError(t, err)
	var left []string
	for _, r := range ofPrometheus(t).rules() {
		left = append(left, r.Alert)
	}
	var have []string
	for _, r := range f.rules() {
		have = append(have, r.Alert)
		for _, q := range queriesOf(t, r) {
			expr, err := metricsql.Parse(q)
			require.NoError(t, err, r.Alert)
			if !strings.Contains(q, "otelcol_") {
				metricsql.VisitAll(expr, func(e metricsql.Expr) { assertDots(t, r.Alert, e) })
			}
		}
	}
	assert.Subset(t, left, have)
	for _, alert := range left {
		if !slices.Contains(have, alert) {
			assert.Contains(t, string(text), "# "+alert+"\n", "a rule that is missing is named")
		}
	}
}

func assertDots(t *testing.T, alert string, e metricsql.Expr) {
	for _, l := range modifiers(e) {
		assert.NotRegexp(t, "^(goroutine|code|k8s|service|deployment)_|^(job|instance)$", *l, alert)
	}
	m, ok := e.(*metricsql.MetricExpr)
	if !ok {
		return
	}
	for _, filters := range m.LabelFilterss {
		assert.Regexp(t, `^goroutine\.`, nameIn(filters), alert)
		for _, f := range filters {
			assert.NotRegexp(t, "^(goroutine|code|k8s|service|deployment)_|^(job|instance)$", f.Label, alert)
		}
	}
}

func (f File) rules() []Rule {
	var all []Rule
	for _, g := range f.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// queriesOf returns the expression of a rule and the queries in its annotations,
// with the letter x for the value of every label.
func queriesOf(t *testing.T, r Rule) []string {
	t.Helper()
	queries := []string{r.Expr}
	for _, text := range r.Annotations {
		tmpl, err := parseTemplate(text)
		require.NoError(t, err, r.Alert)
		require.NoError(t, tmpl.arguments(func(n parse.Node) (parse.Node, error) {
			if s, ok := n.(*parse.StringNode); ok && strings.Contains(s.Text, "%q") {
				queries = append(queries, strings.ReplaceAll(s.Text, "%q", `"x"`))
			}
			return n, nil
		}))
	}
	return queries
}

// A query that names a metric or a label that does not exist finds nothing, which
// for an alert is not different from health.
func TestEveryNameInTheRulesAndTheDashboardExists(t *testing.T) {
	n := 0
	for _, r := range ofPrometheus(t).rules() {
		for _, q := range queriesOf(t, r) {
			n++
			assert.NoError(t, CheckNames(q), r.Alert)
		}
	}
	assert.Greater(t, n, 30, "expressions, and queries in annotations")
	variables := strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h")
	for panel, queries := range dashboard.Queries() {
		for _, q := range queries {
			assert.NoError(t, CheckNames(variables.Replace(q)), panel)
		}
	}
}

func TestNamesThatDoNotExist(t *testing.T) {
	for query, want := range map[string]string{
		`goroutine_leaks`:                                `there is no metric "goroutine_leaks"`,
		`goroutine_count{goroutine_stack_id="x"}`:        `metric "goroutine_count" has no label "goroutine_stack_id"`,
		`sum by (colour) (goroutine_count)`:              `no metric has the label "colour"`,
		`goroutine_snapshot_duration_seconds`:            `there is no metric`,
		`goroutine_count_bucket`:                         `there is no metric`,
		`{colour="red"}`:                                 `has no label "colour"`,
		`goroutine_count unless on (colour) target_info`: `no metric has the label "colour"`,
	} {
		assert.ErrorContains(t, CheckNames(query), want, query)
	}
	for _, query := range []string{
		`goroutine_count{job="x", service_version="1", team="a"}`, `{__name__=~"goroutine_.*", job="x"}`,
		`histogram_quantile(0.9, sum by (le) (rate(goroutine_snapshot_duration_seconds_bucket{le="1"}[5m])))`,
	} {
		assert.NoError(t, CheckNames(query))
	}
}

// Every alert about a service can be routed by these labels. What identifies it
// never includes the confidence, which changes while a finding is open.
func TestAlertsCanBeRoutedAndDoNotChange(t *testing.T) {
	for _, r := range ofPrometheus(t).rules() {
		if strings.Contains(r.Expr, "otelcol_") {
			continue
		}
		expr, err := metricsql.Parse(r.Expr)
		require.NoError(t, err, r.Alert)
		outermost := grouping(expr)
		require.NotNil(t, outermost, r.Alert)
		for _, l := range []string{"k8s_cluster_name", "k8s_namespace_name", "deployment_environment_name", "team", "job"} {
			assert.Contains(t, outermost, l, r.Alert)
		}
		metricsql.VisitAll(expr, func(e metricsql.Expr) { assertJoin(t, r.Alert, e) })
		assert.NotContains(t, outermost, "goroutine_finding_confidence", r.Alert)
	}
}

// grouping returns the labels of the leftmost aggregation of an expression, which
// are the labels of its result.
func grouping(e metricsql.Expr) []string {
	switch e := e.(type) {
	case *metricsql.BinaryOpExpr:
		return grouping(e.Left)
	case *metricsql.AggrFuncExpr:
		return e.Modifier.Args
	}
	return nil
}

// assertJoin checks that a join holds two clusters apart.
func assertJoin(t *testing.T, alert string, e metricsql.Expr) {
	b, ok := e.(*metricsql.BinaryOpExpr)
	if !ok || b.GroupModifier.Op == "" {
		return
	}
	assert.Equal(t, "on", strings.ToLower(b.GroupModifier.Op), alert)
	for _, l := range []string{"k8s_cluster_name", "k8s_namespace_name", "deployment_environment_name", "job"} {
		assert.Contains(t, b.GroupModifier.Args, l, fmt.Sprintf("%s: a join", alert))
	}
}

func TestUnknownFieldsAreErrors(t *testing.T) {
	_, err := Parse([]byte("groups:\n- name: a\n  rules:\n  - alert: b\n    colour: red\n"))
	assert.ErrorContains(t, err, "colour")
}

func TestTestsForVictoriaMetrics(t *testing.T) {
	rules := File{Groups: []Group{{Rules: []Rule{{Alert: "GoroutineLeak"}, {Alert: "CollectorLosesTelemetry"}}}}}
	tests := `
rule_files: [alerts.yaml]
evaluation_interval: 1m
tests:
  - name: some
    interval: 1m
    input_series:
      - {series: 'goroutine_finding_open{job="shop",goroutine_detector_name="leak"}', values: '1x9'}
      - {series: 'target_info{job="shop"}', values: '1x9'}
      - {series: 'otelcol_receiver_refused_log_records{job="otel-collector"}', values: '0x9'}
    alert_rule_test:
      - {eval_time: 1m, alertname: GoroutineInstrumentationQuiet}
      - {eval_time: 2m, alertname: GoroutineLeak, exp_alerts: [{exp_labels: {severity: warning, job: shop}, exp_annotations: {summary: s}}]}
      - {eval_time: 3m, alertname: CollectorLosesTelemetry, exp_alerts: [{exp_labels: {severity: warning, job: otel-collector}}]}
    promql_expr_test:
      - {expr: up, eval_time: 1m}
`
	text, err := VictoriaMetricsTests([]byte(tests), rules, "vm.yaml")
	require.NoError(t, err)
	var got testFile
	require.NoError(t, yaml.Unmarshal(text, &got))
	assert.Equal(t, testFile{RuleFiles: []string{"vm.yaml"}, EvaluationInterval: "1m", Tests: []testGroup{{
		Name: "some", Interval: "1m",
		InputSeries: []testSeries{
			{`goroutine.finding.open{service.name="shop",goroutine.detector.name="leak"}`, "1x9"},
			{`otelcol_receiver_refused_log_records{job="otel-collector"}`, "0x9"},
		},
		Alerts: []alertTest{
			{"2m", "GoroutineLeak", []testAlert{{map[string]string{"severity": "warning", "service.name": "shop"}, map[string]string{"summary": "s"}}}},
			{"3m", "CollectorLosesTelemetry", []testAlert{{map[string]string{"severity": "warning", "job": "otel-collector"}, map[string]string{}}}},
		},
	}}}, got)

	_, err = VictoriaMetricsTests([]byte(strings.ReplaceAll(tests, "goroutine_finding_open", "goroutine_leaks")), rules, "vm.yaml")
	assert.ErrorContains(t, err, `test "some": the metric "goroutine_leaks" is not in the catalog`)
}
