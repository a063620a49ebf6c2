// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// job is one job with rules.
func job(t *testing.T, rules string) *Config {
	t.Helper()
	return &jobs(t, "discovery: [{job_name: shop, static_configs: [{targets: [unused]}], relabel_configs: ["+rules+"]}]")[0]
}

func of(t *testing.T, c *Config, groups ...*targetgroup.Group) found {
	t.Helper()
	return c.targets(labels.NewBuilder(labels.EmptyLabels()), 0, groups)
}

func group(source string, all model.LabelSet, addresses ...string) *targetgroup.Group {
	g := &targetgroup.Group{Source: source, Labels: all}
	for _, a := range addresses {
		g.Targets = append(g.Targets, model.LabelSet{model.AddressLabel: model.LabelValue(a)})
	}
	return g
}

func TestTargetsHaveTheLabelsOfPrometheus(t *testing.T) {
	f := of(t, job(t, `{action: labelmap, regex: __meta_pod_(.+)}`), group("a", model.LabelSet{"team": "x", "__meta_pod_name": "p"}, "10.0.0.1:6060"))
	require.Len(t, f.targets, 1)
	got := f.targets[0]
	assert.Equal(t, "http://10.0.0.1:6060/debug/pprof/", got.URL)
	assert.Equal(t, "shop", got.Job)
	assert.Equal(t, map[string]string{"job": "shop", "instance": "10.0.0.1:6060", "team": "x", "name": "p"}, got.Labels)
	assert.Equal(t, map[string]string{"__meta_pod_name": "p"}, got.Discovered)
}

func TestLabelsOfTheAddressWin(t *testing.T) {
	g := &targetgroup.Group{
		Labels:  model.LabelSet{"job": "group", "team": "group", "zone": "group", "__scheme__": "https"},
		Targets: []model.LabelSet{{"__address__": "a:1", "team": "address", "zone": "", "instance": "i", "__metrics_path__": "pprof/"}},
	}
	f := of(t, job(t, ""), g)
	require.Len(t, f.targets, 1)
	assert.Equal(t, "https://a:1/pprof/", f.targets[0].URL)
	assert.Equal(t, map[string]string{"job": "group", "team": "address", "instance": "i"}, f.targets[0].Labels, "an empty label is none")
}

func TestRelabelingDropsAndMoves(t *testing.T) {
	f := of(t, job(t, `{source_labels: [__address__], regex: "b:.*", action: drop},
		{source_labels: [__address__], regex: "(.*):1", replacement: "$$1:6061", target_label: __address__},
		{target_label: __scheme__, replacement: https}, {target_label: __metrics_path__, replacement: /x/pprof/}`),
		group("g", nil, "b:1", "a:1"))
	require.Len(t, f.targets, 1)
	assert.Equal(t, "https://a:6061/x/pprof/", f.targets[0].URL)
	assert.Equal(t, "a:6061", f.targets[0].Labels["instance"], "the address after relabeling")
	assert.Equal(t, 1, f.dropped)
}

func TestWhatCannotBeReadIsLeftOut(t *testing.T) {
	for name, test := range map[string]struct {
		labels model.LabelSet
		want   string
	}{
		"no address":    {nil, "__address__ is empty; it must be a host and a port"},
		"URL":           {model.LabelSet{"__address__": "http://a:1/"}, `__address__ is "http://a:1/"; it must be a host and a port`},
		"path":          {model.LabelSet{"__address__": "a:1/x"}, "and nothing else"},
		"user":          {model.LabelSet{"__address__": "u:p@a:1"}, "and nothing else"},
		"query":         {model.LabelSet{"__address__": "a:1?x"}, "and nothing else"},
		"port":          {model.LabelSet{"__address__": "a:b"}, "and nothing else"},
		"only a port":   {model.LabelSet{"__address__": ":80"}, "and nothing else"},
		"scheme":        {model.LabelSet{"__address__": "a:1", "__scheme__": "ftp"}, `__scheme__ is "ftp"; it must be http or https`},
		"query in path": {model.LabelSet{"__address__": "a:1", "__metrics_path__": "/x?debug=2"}, "has a query or a fragment"},
		"long path":     {model.LabelSet{"__address__": "a:1", "__metrics_path__": model.LabelValue("/" + strings.Repeat("x", 2000))}, "a path of 2001 bytes; it must have at most 1024"},
		"long value":    {model.LabelSet{"__address__": "a:1", "x": model.LabelValue(strings.Repeat("x", 2000))}, `label "x" has 2000 bytes; at most 1024 are accepted`},
		"long name":     {model.LabelSet{"__address__": "a:1", model.LabelName(strings.Repeat("n", 300)): "x"}, "has 300 bytes; at most 256"},
		"not UTF-8":     {model.LabelSet{"__address__": "a:1", "x": "\xff"}, `label "x" is not valid UTF-8`},
	} {
		t.Run(name, func(t *testing.T) {
			f := of(t, job(t, ""), &targetgroup.Group{Targets: []model.LabelSet{test.labels}})
			assert.Empty(t, f.targets)
			require.Len(t, f.invalid, 1)
			assert.ErrorContains(t, f.invalid[0], test.want)
			assert.ErrorContains(t, f.invalid[0], `discovery, job "shop": target "`)
		})
	}
	many := model.LabelSet{"__address__": "a:1"}
	for i := range maxLabels {
		many[model.LabelName(fmt.Sprint("l", i))] = "x"
	}
	f := of(t, job(t, ""), &targetgroup.Group{Targets: []model.LabelSet{many}})
	require.Len(t, f.invalid, 1)
	assert.ErrorContains(t, f.invalid[0], "66 labels after relabeling; at most 64 are accepted")
}

func TestAddressesOfIPv6(t *testing.T) {
	f := of(t, job(t, ""), group("g", nil, "[2001:db8::1]:6060"))
	require.Len(t, f.targets, 1)
	assert.Equal(t, "http://[2001:db8::1]:6060/debug/pprof/", f.targets[0].URL)
}

func TestDiscoveredLabelsAreBounded(t *testing.T) {
	f := of(t, job(t, ""), group("g", model.LabelSet{
		"__meta_kubernetes_pod_name":               "p",
		"__meta_kubernetes_pod_label_app":          "shop",
		"__meta_kubernetes_pod_labelpresent_app":   "true",
		"__meta_kubernetes_pod_annotation_x":       "y",
		"__meta_kubernetes_node_annotation_x":      "y",
		"__meta_consul_service_metadata_elaborate": model.LabelValue(strings.Repeat("x", 1025)),
	}, "a:1"))
	require.Len(t, f.targets, 1)
	assert.Equal(t, map[string]string{"__meta_kubernetes_pod_name": "p", "__meta_kubernetes_pod_label_app": "shop"}, f.targets[0].Discovered)
}

func TestGroupsAreReadInTheOrderOfTheirSources(t *testing.T) {
	c := job(t, "")
	b := group("b", model.LabelSet{"__meta_from": "b"}, "x:1")
	a := group("a", model.LabelSet{"__meta_from": "a"}, "x:1")
	for _, groups := range [][]*targetgroup.Group{{a, b}, {b, a}} {
		f := of(t, c, groups...)
		require.Len(t, f.targets, 2)
		assert.Equal(t, "a", f.targets[0].Discovered["__meta_from"])
	}
}
