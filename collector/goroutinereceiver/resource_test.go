// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/discovery"
)

func TestResourceOfAListedTarget(t *testing.T) {
	r := ofListed("https://host/debug/pprof/", "host", "host", map[string]string{"team": "a", "x": "y"}, map[string]string{"team": "b", "x": "", "service.name": "shop"})
	assert.Equal(t, map[string]any{
		"service.name": "shop", "service.instance.id": "host", "server.address": "host", "server.port": int64(443),
		"url.scheme": "https", "telemetry.sdk.language": "go", "team": "b",
	}, r.Attributes().AsRaw())
}

func TestResourceOfADiscoveredTarget(t *testing.T) {
	found := discovery.Target{
		URL:    "http://10.0.0.1:6060/debug/pprof/",
		Labels: map[string]string{"job": "shop", "instance": "10.0.0.1:6060", "team": "a", "zone": "z", "service.name": "of a label"},
		Discovered: map[string]string{
			"__meta_kubernetes_namespace": "prod", "__meta_kubernetes_pod_name": "shop-1", "__meta_kubernetes_pod_uid": "u",
			"__meta_kubernetes_pod_node_name": "n1", "__meta_kubernetes_node_name": "other", "__meta_kubernetes_pod_container_name": "c",
			"__meta_kubernetes_pod_controller_kind": "ReplicaSet", "__meta_kubernetes_pod_controller_name": "shop-5f",
			"__meta_kubernetes_pod_label_app": "shop",
		},
	}
	r := ofDiscovered(&found, map[string]string{"team": "b", "k8s.cluster.name": "eu"})
	assert.Equal(t, map[string]any{
		"service.name": "of a label", "service.instance.id": "10.0.0.1:6060", "server.address": "10.0.0.1", "server.port": int64(6060),
		"url.scheme": "http", "telemetry.sdk.language": "go", "team": "b", "zone": "z", "k8s.cluster.name": "eu",
		"k8s.namespace.name": "prod", "k8s.pod.name": "shop-1", "k8s.pod.uid": "u", "k8s.node.name": "n1",
		"k8s.container.name": "c", "k8s.replicaset.name": "shop-5f",
	}, r.Attributes().AsRaw())
	assert.Len(t, found.Labels, 5, "they are the discovery's")

	found.Discovered["__meta_kubernetes_pod_controller_kind"] = "Rollout"
	assert.NotContains(t, ofDiscovered(&found, nil).Attributes().AsRaw(), "k8s.replicaset.name")
}

func TestValuesAreBounded(t *testing.T) {
	long := bounded("\xff" + strings.Repeat("ä", maxValue))
	assert.LessOrEqual(t, len(long), maxValue)
	assert.True(t, utf8.ValidString(long))
	assert.Equal(t, "short", bounded("short"))
}
