// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package dashboard generates grafana-dashboard.json. A test compares the file
// with the code. To regenerate the file, run
//
//	go test ./dashboard -update
package dashboard

import (
	"encoding/json"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// UID is the dashboard's identity in Grafana. Importing a newer version
// replaces the older one.
const UID = "otelgoroutine"

// JSON returns the dashboard in the format that Grafana imports.
func JSON() ([]byte, error) {
	d, err := build(rows)
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(d, "", "  ")
	return append(text, '\n'), err
}

// Queries returns every PromQL expression of the dashboard, by the title of its
// panel. The expressions contain Grafana variables.
func Queries() map[string][]string {
	queries := make(map[string][]string)
	for _, r := range rows {
		for _, p := range r.panels {
			for _, q := range p.queries {
				queries[p.title] = append(queries[p.title], q.expr)
			}
		}
	}
	return queries
}

// A Variable is a choice at the top of the dashboard.
type Variable struct {
	Name  string // in queries, after the dollar sign
	Label string // the label that it chooses
	Title string
	Of    string // the series from which its values are taken
}

// Variables returns the variables, each narrowed down by those before it. The
// values come from series, not from target_info: a resource attribute that is no
// label of the series offers only "All".
func Variables() []Variable {
	return []Variable{
		{"cluster", "k8s_cluster_name", "Cluster", `goroutine_snapshot_age_seconds`},
		{"namespace", "k8s_namespace_name", "Namespace", `goroutine_snapshot_age_seconds{k8s_cluster_name=~"$cluster"}`},
		{"job", "job", "Service", `goroutine_snapshot_age_seconds{k8s_cluster_name=~"$cluster", k8s_namespace_name=~"$namespace"}`},
		{"version", "service_version", "Version", `goroutine_snapshot_age_seconds{` + services + `}`},
		{"instance", "instance", "Replica", `goroutine_snapshot_age_seconds{` + services + `, service_version=~"$version"}`},
	}
}

// build makes a dashboard in the first schema, which every version of Grafana
// can import from a file. The second schema is an API of Grafana 12 and newer.
//
//lint:ignore SA1019 see above
func build(rows []row) (dashboard.Dashboard, error) {
	//lint:ignore SA1019 see above
	b := dashboard.NewDashboardBuilder("Goroutines").
		Uid(UID).
		Description("Goroutines by state and stack, leaks and deadlocks. From otelgoroutine.").
		Tags([]string{"go", "goroutines", "opentelemetry"}).
		Time("now-12h", "now"). // a warning that stands is told every eight hours: its last event is in this range
		Refresh("30s").
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Prometheus").Type("prometheus")).
		WithVariable(dashboard.NewDatasourceVariableBuilder("loki").Label("Events").Type("loki"))
	for _, v := range Variables() {
		b.WithVariable(v.builder())
	}
	for _, a := range annotations {
		b.Annotation(a.builder())
	}
	for _, r := range rows {
		b.WithRow(dashboard.NewRowBuilder(r.title))
		for _, p := range r.panels {
			b.WithPanel(p.builder())
		}
	}
	return b.Build()
}

// builder makes a variable with "All" chosen. It stays chosen where the label does
// not exist.
func (v Variable) builder() cog.Builder[dashboard.VariableModel] {
	return dashboard.NewQueryVariableBuilder(v.Name).
		Label(v.Title).
		Query(dashboard.StringOrMap{String: cog.ToPtr("label_values(" + v.Of + ", " + v.Label + ")")}).
		Datasource(source).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortAlphabeticalAsc).
		Multi(true).
		IncludeAll(true).
		AllValue(".*").
		Current(dashboard.VariableOption{
			Text:  dashboard.StringOrArrayOfString{ArrayOfString: []string{"All"}},
			Value: dashboard.StringOrArrayOfString{ArrayOfString: []string{"$__all"}},
		})
}

var source = common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}

func (p panel) builder() cog.Builder[dashboard.Panel] {
	switch p.kind {
	case number:
		return p.number()
	case list:
		return p.list()
	}
	return p.graph()
}

func (p panel) number() cog.Builder[dashboard.Panel] {
	return stat.NewPanelBuilder().Title(p.title).Description(p.description).Datasource(source).
		Span(p.width).Height(p.height).Unit(p.unit).
		GraphMode(common.BigValueGraphModeArea).
		NoValue("not judged").
		Thresholds(dashboard.NewThresholdsConfigBuilder().
			Mode(dashboard.ThresholdsModeAbsolute).
			Steps([]dashboard.Threshold{{Color: "green"}, {Color: "red", Value: cog.ToPtr(1.0)}})).
		Targets(p.targets())
}

// list shows the latest values as a table. Several queries become one table,
// joined by their common labels.
func (p panel) list() cog.Builder[dashboard.Panel] {
	b := table.NewPanelBuilder().Title(p.title).Description(p.description).Datasource(source).
		Span(p.width).Height(p.height).
		Targets(p.targets()).
		WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}}).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
			"excludeByName": map[string]bool{"Time": true}}})
	for i, q := range p.queries {
		name := "Value"
		if len(p.queries) > 1 {
			name = "Value #" + refID(i)
		}
		b.OverrideByName(name, []dashboard.DynamicConfigValue{
			{Id: "displayName", Value: q.name}, {Id: "unit", Value: q.unit}})
	}
	if p.events != "" {
		b.OverrideByName("goroutine_stack_id", []dashboard.DynamicConfigValue{p.linkToEvents()})
	}
	return b
}

func (p panel) graph() cog.Builder[dashboard.Panel] {
	b := timeseries.NewPanelBuilder().Title(p.title).Description(p.description).Datasource(source).
		Span(p.width).Height(p.height).Unit(p.unit).Min(0).
		Legend(common.NewVizLegendOptionsBuilder().
			DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true)).
		Targets(p.targets())
	if p.stacked {
		b.FillOpacity(40).Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal))
	}
	return b
}

func (p panel) targets() []cog.Builder[variants.Dataquery] {
	var targets []cog.Builder[variants.Dataquery]
	for i, q := range p.queries {
		b := prometheus.NewDataqueryBuilder().Datasource(source).RefId(refID(i)).Expr(q.expr).LegendFormat(q.name)
		if p.kind == list {
			b.Instant().Format(prometheus.PromQueryFormatTable)
		}
		targets = append(targets, b)
	}
	return targets
}

func refID(i int) string { return string(rune('A' + i)) }
