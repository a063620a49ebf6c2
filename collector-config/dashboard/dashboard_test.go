// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"encoding/json"
	"flag"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/telemetry"
)

var update = flag.Bool("update", false, "write grafana-dashboard.json anew")

const file = "../grafana-dashboard.json"

func TestTheFileIsGeneratedFromTheCode(t *testing.T) {
	text, err := JSON()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(file, text, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(text), "run: go test ./dashboard -update")
}

// The queries are tested by the title of their panel. Each title must therefore
// appear exactly once, in the file and in the result of Queries.
func TestEveryPanelOfTheFileIsTested(t *testing.T) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var d struct {
		Panels []struct {
			Type, Title string
			Targets     []struct{ Expr string }
			GridPos     struct{ X, W int }
		}
	}
	require.NoError(t, json.Unmarshal(text, &d))
	inFile := make(map[string][]string)
	for _, p := range d.Panels {
		assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		if p.Type == "row" {
			continue
		}
		require.NotContains(t, inFile, p.Title)
		for _, target := range p.Targets {
			inFile[p.Title] = append(inFile[p.Title], target.Expr)
		}
	}
	assert.Equal(t, Queries(), inFile)
}

// values are what a click replaces variables with.
var values = strings.NewReplacer("${loki}", "loki-1", "${__from}", "1700000000000", "${__to}", "1700000060000",
	"${__data.fields.service_name:percentencode}", "my%20shop", "${__data.fields.instance:percentencode}", "pod-1",
	"${__data.fields.goroutine_stack_id:percentencode}", "3e11c718d686abaf")

// A click on a stack ID leads to Grafana's page Explore, with the events about that
// stack in the log store that is chosen.
func TestALinkLeadsToTheEvents(t *testing.T) {
	for panel, want := range map[string]string{
		"Open findings":                `{service_name="my shop"} | goroutine_stack_id="3e11c718d686abaf" | service_instance_id="pod-1"`,
		"Findings of one version only": `{service_name="my shop"} | goroutine_stack_id="3e11c718d686abaf"`,
	} {
		address, err := url.ParseRequestURI(values.Replace(Links()[panel]))
		require.NoError(t, err, panel)
		assert.Equal(t, "/explore", address.Path)
		query, err := url.ParseQuery(address.RawQuery)
		require.NoError(t, err)
		assert.Equal(t, "1", query.Get("schemaVersion"))
		source := map[string]any{"type": "loki", "uid": "loki-1"}
		var panes any
		require.NoError(t, json.Unmarshal([]byte(query.Get("panes")), &panes))
		assert.Equal(t, map[string]any{"events": map[string]any{
			"datasource": "loki-1",
			"queries":    []any{map[string]any{"refId": "A", "datasource": source, "queryType": "range", "expr": want}},
			"range":      map[string]any{"from": "1700000000000", "to": "1700000060000"},
		}}, panes)
	}
}

// Every column that a link uses is a label of every query of its panel.
func TestALinkUsesColumnsThatThereAre(t *testing.T) {
	columns := regexp.MustCompile(`__data\.fields\.(\w+)`)
	for panel, link := range Links() {
		for _, expr := range Queries()[panel] {
			for _, m := range columns.FindAllStringSubmatch(link, -1) {
				assert.Contains(t, expr, m[1], panel)
			}
		}
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, len(Links()), strings.Count(string(text), "Events about this stack"))
}

// What a click filters by is an attribute of events, as Loki writes it.
func TestALinkFiltersByAttributesOfEvents(t *testing.T) {
	assert.Contains(t, eventsOfService, strings.ReplaceAll(telemetry.AttrStackID, ".", "_")+"=")
}

func TestTheFileHasTheVariablesAndAnnotations(t *testing.T) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var d struct {
		Templating struct {
			List []struct {
				Name, Type, AllValue string
				Query                any
				Current              struct{ Value any }
			}
		}
		Annotations struct{ List []struct{ Name, Expr string } }
	}
	require.NoError(t, json.Unmarshal(text, &d))
	queries := make(map[string]any)
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			queries[v.Name] = v.Query
			assert.Equal(t, ".*", v.AllValue, "it matches an absent label")
			assert.Equal(t, []any{"$__all"}, v.Current.Value, v.Name)
		}
	}
	require.Len(t, queries, len(Variables()))
	for _, v := range Variables() {
		assert.Equal(t, "label_values("+v.Of+", "+v.Label+")", queries[v.Name])
	}
	inFile := make(map[string]string)
	for _, a := range d.Annotations.List {
		inFile[a.Name] = a.Expr
	}
	assert.Equal(t, Annotations(), inFile)
}
