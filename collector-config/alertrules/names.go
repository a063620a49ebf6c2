// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package alertrules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/VictoriaMetrics/metricsql"

	"github.com/otelgoroutine/go/collector-config/seriescount"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// Promoted are the resource attributes that are copied to every series, so that
// rules can group by them and alerts can be routed by them. otel-collector.yaml,
// remote-write.yaml and prometheus-otlp.yaml list the same ones.
var Promoted = []string{"k8s.cluster.name", "k8s.namespace.name", "deployment.environment.name", "service.version", "team"}

// identity are the labels that say which replica a series is of, with their
// attributes. In Prometheus, job is service.namespace/service.name.
var identity = map[string][]string{
	"job":      {"service.name", "service.namespace"},
	"instance": {"service.instance.id"},
}

// A metric is a metric of the catalog.
type metric struct {
	name      string // in OpenTelemetry
	histogram bool
	labels    []string // of its own, in Prometheus
}

// notOurs are metrics that others than otelgoroutine send, with the labels that
// queries may use besides those of the resource.
var notOurs = map[string][]string{
	"target_info":                                {"host_name", "telemetry_sdk_version"},
	"goroutine_event_count_total":                {"event_name", "goroutine_detector_name", "goroutine_stack_id", "code_function_name"},
	"otelcol_receiver_refused_metric_points":     {"receiver", "transport"},
	"otelcol_receiver_refused_log_records":       {"receiver", "transport"},
	"otelcol_goroutine_receiver_targets":         {"state"},
	"otelcol_goroutine_receiver_targets_refused": nil,
}

// catalog has every metric of otelgoroutine by its name in Prometheus.
var catalog = func() map[string]metric {
	attributes := make(map[string][]string)
	for _, m := range telemetry.Metrics() {
		attributes[m.Name] = m.Attributes
	}
	all := make(map[string]metric)
	for _, r := range seriescount.Rows(seriescount.DefaultTop) {
		m := metric{name: r.Metric}
		for _, a := range attributes[r.Metric] {
			m.labels = append(m.labels, underscores(a))
		}
		all[r.Prometheus] = m
	}
	for _, m := range telemetry.Metrics() {
		if m.Instrument == "Histogram" {
			for name, h := range all {
				if h.name == m.Name {
					h.histogram = true
					all[name] = h
				}
			}
		}
	}
	return all
}()

// attributes has the attributes of each label that a query may use.
var attributes = func() map[string][]string {
	all := make(map[string][]string)
	for _, m := range telemetry.Metrics() {
		for _, a := range m.Attributes {
			all[underscores(a)] = []string{a}
		}
	}
	for _, a := range Promoted {
		all[underscores(a)] = []string{a}
	}
	for l, a := range identity {
		all[l] = a
	}
	return all
}()

func underscores(name string) string { return strings.ReplaceAll(name, ".", "_") }

// find returns the metric with a name in Prometheus. The series of a histogram
// have a suffix.
func find(name string) (m metric, suffix string, ok bool) {
	if m, ok = catalog[name]; ok {
		return m, "", !m.histogram
	}
	for _, suffix = range []string{"_bucket", "_sum", "_count"} {
		if base, cut := strings.CutSuffix(name, suffix); cut {
			if m, ok = catalog[base]; ok && m.histogram {
				return m, suffix, true
			}
		}
	}
	return metric{}, "", false
}

// CheckNames returns an error unless the catalog has every metric and every label
// of a query in PromQL, or they are among the few of other programs that the
// queries use.
func CheckNames(query string) error {
	expr, err := metricsql.Parse(query)
	if err != nil {
		return fmt.Errorf("query %q: %w", query, err)
	}
	var bad error
	metricsql.VisitAll(expr, func(e metricsql.Expr) {
		if err := checkNode(e); err != nil && bad == nil {
			bad = fmt.Errorf("query %q: %w", query, err)
		}
	})
	return bad
}

func checkNode(e metricsql.Expr) error {
	if m, ok := e.(*metricsql.MetricExpr); ok {
		return checkSelector(m)
	}
	for _, l := range modifiers(e) {
		if !knownAnywhere(*l) {
			return fmt.Errorf("no metric has the label %q", *l)
		}
	}
	return nil
}

// checkSelector checks the names of a selector. One that selects by a pattern of
// names, or by labels only, may have any label.
func checkSelector(m *metricsql.MetricExpr) error {
	for _, filters := range m.LabelFilterss {
		name := nameIn(filters)
		labels, known := labelsOf(name)
		if name != "" && !known {
			return fmt.Errorf("there is no metric %q", name)
		}
		for _, f := range filters {
			if f.Label == "__name__" || slices.Contains(labels, f.Label) || ofResource(f.Label) {
				continue
			}
			if name != "" || !knownAnywhere(f.Label) {
				return fmt.Errorf("metric %q has no label %q", name, f.Label)
			}
		}
	}
	return nil
}

// nameIn returns the name that a selector requires, or "".
func nameIn(filters []metricsql.LabelFilter) string {
	for _, f := range filters {
		if f.Label == "__name__" && !f.IsRegexp && !f.IsNegative {
			return f.Value
		}
	}
	return ""
}

func labelsOf(name string) ([]string, bool) {
	if labels, ok := notOurs[name]; ok {
		return labels, true
	}
	m, suffix, ok := find(name)
	if suffix == "_bucket" {
		return append([]string{"le"}, m.labels...), ok
	}
	return m.labels, ok
}

// ofResource tells whether every series has the label if its service has the
// attribute.
func ofResource(label string) bool {
	_, ok := identity[label]
	return ok || slices.ContainsFunc(Promoted, func(a string) bool { return underscores(a) == label })
}

func knownAnywhere(label string) bool {
	if _, ok := attributes[label]; ok || label == "le" {
		return true
	}
	for _, labels := range notOurs {
		if slices.Contains(labels, label) {
			return true
		}
	}
	return false
}

// modifiers returns the labels by which an expression groups and joins.
func modifiers(e metricsql.Expr) []*string {
	var lists []*metricsql.ModifierExpr
	switch e := e.(type) {
	case *metricsql.AggrFuncExpr:
		lists = append(lists, &e.Modifier)
	case *metricsql.BinaryOpExpr:
		lists = append(lists, &e.GroupModifier, &e.JoinModifier)
	}
	var labels []*string
	for _, l := range lists {
		for i := range l.Args {
			labels = append(labels, &l.Args[i])
		}
	}
	return labels
}
