// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// LogQL queries for the events about a stack, with the columns of the row that
// was clicked on. In Loki, an event's attributes are structured metadata, with
// underscores.
const (
	eventsOfService = `{service_name="${__data.fields.service_name:percentencode}"} | goroutine_stack_id="${__data.fields.goroutine_stack_id:percentencode}"`
	eventsOfReplica = eventsOfService + ` | service_instance_id="${__data.fields.instance:percentencode}"`
)

// Links returns the address that a click on a stack ID opens, by the title of its
// panel. The addresses contain Grafana variables.
func Links() map[string]string {
	links := make(map[string]string)
	for _, r := range rows {
		for _, p := range r.panels {
			if p.events != "" {
				links[p.title] = explore(p.events)
			}
		}
	}
	return links
}

// grafanaVariable matches what Grafana replaces when a link is clicked on.
var grafanaVariable = regexp.MustCompile(`\$\{[^}]*\}`)

// explore returns the address of Grafana's page Explore with a LogQL query, in
// the time range of the dashboard. The form is that of Grafana 10 and newer.
func explore(logQL string) string {
	type source struct {
		Type string `json:"type"`
		UID  string `json:"uid"`
	}
	type query struct {
		RefID      string `json:"refId"`
		Datasource source `json:"datasource"`
		QueryType  string `json:"queryType"`
		Expr       string `json:"expr"`
	}
	type pane struct {
		Datasource string            `json:"datasource"`
		Queries    []query           `json:"queries"`
		Range      map[string]string `json:"range"`
	}
	loki := source{"loki", "${loki}"}
	panes, _ := json.Marshal(map[string]pane{"events": { // strings only: it cannot fail
		Datasource: loki.UID,
		Queries:    []query{{RefID: "A", Datasource: loki, QueryType: "range", Expr: logQL}},
		Range:      map[string]string{"from": "${__from}", "to": "${__to}"},
	}})
	return "/explore?schemaVersion=1&orgId=1&panes=" + escape(string(panes))
}

// escape escapes text for a query string, except for Grafana's variables.
func escape(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		at := grafanaVariable.FindStringIndex(text)
		if at == nil {
			at = []int{len(text), len(text)}
		}
		b.WriteString(strings.ReplaceAll(url.QueryEscape(text[:at[0]]), "+", "%20"))
		b.WriteString(text[at[0]:at[1]])
		text = text[at[1]:]
	}
	return b.String()
}

// linkToEvents makes each stack ID of a table a link.
func (p panel) linkToEvents() dashboard.DynamicConfigValue {
	return dashboard.DynamicConfigValue{Id: "links", Value: []map[string]any{
		{"title": "Events about this stack", "url": explore(p.events), "targetBlank": true}}}
}

// An annotation marks times in all graphs.
type annotation struct{ name, colour, expr, title, text, tags string }

var annotations = []annotation{
	{name: "Findings", colour: "red", title: "{{goroutine_detector_name}} in {{code_function_name}}",
		text: "{{job}}, stack {{goroutine_stack_id}}", tags: "job,goroutine_detector_name",
		expr: `topk(20, count by (` + service + `, ` + finding + `) (max by (` + replica + `, ` + finding + `) (goroutine_finding_open{` + chosen + `, goroutine_finding_confidence!="info"}) > 0))`},
	// The first five minutes of a version that was not there in the hour before,
	// of a service that was.
	{name: "Releases", colour: "blue", title: "{{job}} {{service_version}}", tags: "job,service_version",
		expr: everyVersion + `
  unless last_over_time((` + everyVersion + `)[1h:1m] offset 5m)
  and on (` + service + `) group by (` + service + `) (goroutine_snapshot_age_seconds{` + services + `} offset 5m)`},
}

// Annotations returns the PromQL expression of each annotation, by its name. It is
// evaluated over the range shown, and each moment with a value is marked.
func Annotations() map[string]string {
	all := make(map[string]string)
	for _, a := range annotations {
		all[a.name] = a.expr
	}
	return all
}

func (a annotation) builder() cog.Builder[dashboard.AnnotationQuery] {
	return dashboard.NewAnnotationQueryBuilder().Name(a.name).Datasource(source).IconColor(a.colour).
		Expr(a.expr).TitleFormat(a.title).TextFormat(a.text).TagKeys(a.tags).Step("60s")
}
