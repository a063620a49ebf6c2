// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package alertrules

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/template/parse"

	"github.com/grafana/grafana-openapi-client-go/models"
)

// DataSource is the UID of the data source that Grafana's rules query.
// grafana/provisioning gives it to Prometheus.
const DataSource = "prometheus"

const inGrafana = `# Generated from alerts.yaml by: go test ./alertrules -update
#
# For Grafana's own alerting: put it into provisioning/alerting. The rules query
# the data source with the UID "` + DataSource + `".
#
# Grafana's templates cannot query, so the texts have no numbers of goroutines.
# Grafana 12 and newer know keepFiringFor, 12.1 and newer
# missing_series_evals_to_resolve; older ones ignore them.
`

const (
	folder   = "otelgoroutine" // in Grafana; it is created if it does not exist
	interval = "1m"            // of groups that have none
)

// Grafana returns the rules in the format in which Grafana is provisioned with
// its own alerts.
func Grafana(f File) ([]byte, error) {
	file := models.AlertingFileExport{APIVersion: 1}
	for _, g := range f.Groups {
		group := &models.AlertRuleGroupExport{OrgID: 1, Name: g.Name, Folder: folder, Interval: interval}
		if g.Interval != "" {
			group.Interval = g.Interval
		}
		for _, r := range g.Rules {
			rule, err := grafanaRule(r)
			if err != nil {
				return nil, fmt.Errorf("alert %s: %w", r.Alert, err)
			}
			group.Rules = append(group.Rules, rule)
		}
		file.Groups = append(file.Groups, group)
	}
	return encodeJSON(inGrafana, file)
}

// encodeJSON writes a value as YAML with the names that it has in JSON, which
// are the only ones that Grafana's types know. What is empty is left out.
func encodeJSON(comment string, value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	for name, v := range fields {
		if v == nil {
			delete(fields, name)
		}
	}
	return encode(comment, fields)
}

func grafanaRule(r Rule) (*models.AlertRuleExport, error) {
	annotations := make(map[string]string)
	for name, text := range r.Annotations {
		var err error
		if annotations[name], err = grafanaText(text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return &models.AlertRuleExport{
		UID:                         uid(r.Alert),
		Title:                       r.Alert,
		Condition:                   "C",
		Data:                        steps(r.Expr),
		For:                         r.For,
		KeepFiringFor:               r.KeepFiringFor,
		Labels:                      r.Labels,
		Annotations:                 annotations,
		NoDataState:                 "OK", // as in Prometheus: a series that is missing is no alert
		ExecErrState:                "Error",
		MissingSeriesEvalsToResolve: 1,
	}, nil
}

// uid returns the identity of a rule, at most the 40 bytes that Grafana accepts.
// Provisioning a newer file replaces the rule with the same one.
func uid(alert string) string {
	name := "otelg-" + strings.TrimPrefix(strings.ToLower(alert), "goroutine")
	return name[:min(len(name), 40)]
}

// steps returns the query of a rule and a condition that is true for every series
// in its result, as the rule is in Prometheus, whatever its value. Grafana itself
// converts a rule of Prometheus to these three steps.
func steps(expr string) []*models.AlertQueryExport {
	const onServer = "__expr__"
	return []*models.AlertQueryExport{
		{RefID: "A", DatasourceUID: DataSource, RelativeTimeRange: &models.RelativeTimeRangeExport{From: 600},
			Model: map[string]any{"refId": "A", "expr": expr, "instant": true, "range": false}},
		{RefID: "B", DatasourceUID: onServer, QueryType: "math",
			Model: map[string]any{"refId": "B", "type": "math", "expression": "is_number($A) || is_nan($A) || is_inf($A)"}},
		{RefID: "C", DatasourceUID: onServer, QueryType: "threshold",
			Model: map[string]any{"refId": "C", "type": "threshold", "expression": "B",
				"conditions": []any{map[string]any{"evaluator": map[string]any{"type": "gt", "params": []any{0}}}}}},
	}
}

// grafanaText translates an annotation. Grafana replaces a variable like $labels
// in some versions, by the variable of the environment with that name; fields,
// which mean the same, it leaves alone.
func grafanaText(text string) (string, error) {
	t, err := parseTemplate(text)
	if err != nil {
		return "", err
	}
	t = t.withoutQueries()
	if err := t.arguments(grafanaArgument); err != nil {
		return "", err
	}
	return t.String(), nil
}

func grafanaArgument(n parse.Node) (parse.Node, error) {
	v, ok := n.(*parse.VariableNode)
	if !ok {
		return n, nil
	}
	switch {
	case v.Ident[0] == "$labels" && len(v.Ident) == 2:
		return &parse.FieldNode{NodeType: parse.NodeField, Ident: []string{"Labels", v.Ident[1]}}, nil
	case v.Ident[0] == "$value" && len(v.Ident) == 1:
		return &parse.FieldNode{NodeType: parse.NodeField, Ident: []string{"Values", "A", "Value"}}, nil
	}
	return nil, fmt.Errorf("the variable %s is not known in Grafana: use $labels.name and $value", v)
}
