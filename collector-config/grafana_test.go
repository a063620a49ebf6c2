// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package collectorconfig

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/otelgoroutine/go/collector-config/alertrules"
)

// A dataSources file, as far as ours goes. Grafana's own types are internal to it.
type dataSources struct {
	APIVersion  int `yaml:"apiVersion"`
	Datasources []struct {
		Name, UID, Type, Access, URL string
		IsDefault                    bool `yaml:"isDefault"`
		JSONData                     struct {
			HTTPMethod    string `yaml:"httpMethod"`
			TimeInterval  string `yaml:"timeInterval"`
			DerivedFields []struct {
				Name, URL       string
				MatcherType     string `yaml:"matcherType"`
				MatcherRegex    string `yaml:"matcherRegex"`
				DatasourceUID   string `yaml:"datasourceUid"`
				URLDisplayLabel string `yaml:"urlDisplayLabel"`
			} `yaml:"derivedFields"`
			TracesToLogs struct {
				DatasourceUID      string `yaml:"datasourceUid"`
				FilterByTraceID    bool   `yaml:"filterByTraceID"`
				SpanStartTimeShift string `yaml:"spanStartTimeShift"`
				SpanEndTimeShift   string `yaml:"spanEndTimeShift"`
				Tags               []struct{ Key, Value string }
			} `yaml:"tracesToLogsV2"`
		} `yaml:"jsonData"`
	}
}

// dashboardProviders is a file that says where Grafana finds dashboards.
type dashboardProviders struct {
	APIVersion int `yaml:"apiVersion"`
	Providers  []struct {
		Name, Type, Folder    string
		UpdateIntervalSeconds int `yaml:"updateIntervalSeconds"`
		Options               struct{ Path string }
	}
}

// composeFile is compose.yaml, as far as it goes.
type composeFile struct {
	Services map[string]struct {
		Image       string
		Command     []string
		NetworkMode string `yaml:"network_mode"`
		User        string
		Environment map[string]string
		Volumes     []string
		Tmpfs       []string
		Ports       []string
	}
}

// readStrictly is like read. A key that the type does not have is an error, as a
// misspelt one would be.
func readStrictly(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	require.NoError(t, d.Decode(into), name)
}

const provisioning = "grafana/provisioning"

// uids returns the type of each data source, by its UID.
func uids(t *testing.T) map[string]string {
	t.Helper()
	var d dataSources
	readStrictly(t, provisioning+"/datasources/datasources.yaml", &d)
	assert.Equal(t, 1, d.APIVersion)
	types := make(map[string]string)
	for _, s := range d.Datasources {
		require.NotContains(t, types, s.UID)
		types[s.UID] = s.Type
	}
	return types
}

func TestDataSourcesReferToOneAnotherAndToServices(t *testing.T) {
	types := uids(t)
	var d dataSources
	readStrictly(t, provisioning+"/datasources/datasources.yaml", &d)
	var c composeFile
	readStrictly(t, "compose.yaml", &c)
	for _, s := range d.Datasources {
		host, _, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
		assert.Contains(t, c.Services, host, s.Name)
		for _, f := range s.JSONData.DerivedFields {
			assert.Equal(t, "tempo", types[f.DatasourceUID], "from an event to its trace")
		}
		if s.Type == "tempo" {
			assert.Equal(t, "loki", types[s.JSONData.TracesToLogs.DatasourceUID], "from a trace to its events")
		}
	}
	assert.Equal(t, "service:collector", c.Services["prometheus"].NetworkMode, "so that collector:9090 is Prometheus")
}

func TestTheDashboardFindsItsDataSources(t *testing.T) {
	text, err := os.ReadFile("grafana-dashboard.json")
	require.NoError(t, err)
	var d struct {
		Templating struct {
			List []struct{ Name, Type, Query any }
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &d)) // JSON is YAML
	types := uids(t)
	var wanted []any
	for _, v := range d.Templating.List {
		if v.Type == "datasource" {
			wanted = append(wanted, v.Query)
		}
	}
	assert.Equal(t, []any{"prometheus", "loki"}, wanted)
	for _, kind := range wanted {
		assert.Contains(t, types, kind, "the first of its kind is chosen")
	}
}

// references matches the data sources that a rule of Grafana refers to.
var references = regexp.MustCompile(`(?m)datasourceUid: *"?([^"\s]+)`)

func TestGrafanaAlertsFindTheirDataSource(t *testing.T) {
	text, err := os.ReadFile("grafana-alerts.yaml")
	require.NoError(t, err)
	found := references.FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, found)
	for _, m := range found {
		assert.Contains(t, []string{"prometheus", "__expr__"}, m[1], "__expr__ is Grafana itself")
	}
}

// Everything that compose.yaml mounts exists, and what refers to a mounted file
// finds it.
func TestComposeMountsWhatExists(t *testing.T) {
	var c composeFile
	readStrictly(t, "compose.yaml", &c)
	mounted := make(map[string]string) // by service and path in its container
	for name, s := range c.Services {
		assert.Regexp(t, `^[a-z/-]+:v?\d+\.\d+\.\d+$`, s.Image, "a version, not latest")
		for _, v := range s.Volumes {
			parts := strings.Split(v, ":")
			require.Len(t, parts, 3, v)
			assert.Equal(t, "ro", parts[2], v)
			_, err := os.Stat(parts[0])
			assert.NoError(t, err, name)
			mounted[name+" "+parts[1]] = parts[0]
		}
		for _, port := range s.Ports {
			assert.True(t, strings.HasPrefix(port, "127.0.0.1:"), "%s: %s is open to the network", name, port)
		}
		for _, arg := range s.Command {
			_, file, ok := strings.Cut(arg, "=")
			require.True(t, ok, arg)
			assert.Contains(t, mounted, name+" "+file)
		}
	}
	var p dashboardProviders
	readStrictly(t, provisioning+"/dashboards/dashboards.yaml", &p)
	require.Len(t, p.Providers, 1)
	assert.Equal(t, "./grafana-dashboard.json", mounted["grafana "+p.Providers[0].Options.Path+"/goroutines.json"])
	for _, kind := range []string{"datasources", "dashboards"} {
		assert.Equal(t, "./"+provisioning+"/"+kind, mounted["grafana /etc/grafana/provisioning/"+kind])
	}
}

// The labels are the same whichever way the metrics take.
func TestTheSameResourceAttributesBecomeLabels(t *testing.T) {
	type included struct {
		Labels struct {
			Included []string
		} `yaml:"resource_constant_labels"`
	}
	var scraped, written, inKubernetes struct{ Exporters map[string]included }
	read(t, "otel-collector.yaml", &scraped)
	read(t, "remote-write.yaml", &written)
	read(t, "kubernetes/base/collector.yaml", &inKubernetes)
	var otlp struct {
		OTLP struct {
			Promoted []string `yaml:"promote_resource_attributes"`
		}
	}
	read(t, "prometheus-otlp.yaml", &otlp)
	want := alertrules.Promoted
	assert.Equal(t, want, scraped.Exporters["prometheus"].Labels.Included)
	assert.Equal(t, want, inKubernetes.Exporters["prometheus"].Labels.Included)
	assert.Equal(t, want, written.Exporters["prometheus_remote_write"].Labels.Included)
	assert.Equal(t, want, otlp.OTLP.Promoted)
}
