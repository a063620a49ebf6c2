// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetestest

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/otelgoroutine/go/collector/goroutinereceiver"
)

// configured returns the receiver's configuration of the manifests, valid, for the API
// server of the test.
func configured(t *testing.T, s *server) component.Config {
	t.Helper()
	section, err := resolved(t, s).Sub("receivers::goroutine")
	require.NoError(t, err)
	config := goroutinereceiver.NewFactory().CreateDefaultConfig()
	require.NoError(t, section.Unmarshal(config))
	require.NoError(t, confmap.Validate(config))
	return config
}

// profiled serves net/http/pprof and returns its port.
func profiled(t *testing.T) int {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).Port
}

// The receiver with the configuration of the manifests, and the rights of its account,
// observes the service of the example. Its metrics have the resource that alerts,
// dashboard and docs/kubernetes.md expect.
func TestReceiver(t *testing.T) {
	t.Setenv("CLUSTER_NAME", "prod-1")
	s := serve(t, rulesOf(t, "cluster/rbac.yaml"))
	template := example(t).Spec.Template
	yes := true
	p := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec, Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "127.0.0.1"}}
	p.Namespace, p.Name, p.UID = shop, "checkout-6b5f7d9c8-abcde", "u-1"
	p.Spec.NodeName = "node-1"
	p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "checkout-6b5f7d9c8", Controller: &yes}}
	p.Annotations["otelgoroutine/port"] = strconv.Itoa(profiled(t))
	require.NoError(t, s.Apply(p))

	sink := new(consumertest.MetricsSink)
	r, err := goroutinereceiver.NewFactory().CreateMetrics(t.Context(), receivertest.NewNopSettings(goroutinereceiver.NewFactory().Type()), configured(t, s), sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	defer func() { assert.NoError(t, r.Shutdown(t.Context())) }()
	require.Eventually(t, func() bool { return len(sink.AllMetrics()) > 0 }, patience, 20*time.Millisecond)

	resource := sink.AllMetrics()[0].ResourceMetrics().At(0).Resource().Attributes().AsRaw()
	for name, want := range map[string]any{
		"service.name": "checkout", "service.instance.id": "shop.checkout-6b5f7d9c8-abcde", "service.version": "v1.8.2",
		"team": "payments", "k8s.cluster.name": "prod-1", "k8s.namespace.name": shop,
		"k8s.pod.name": p.Name, "k8s.pod.uid": "u-1", "k8s.node.name": "node-1", "k8s.replicaset.name": "checkout-6b5f7d9c8",
		"k8s.container.name": "checkout", "server.address": "127.0.0.1",
	} {
		assert.Equal(t, want, resource[name], name)
	}
}

// Without a name of the cluster there is no such attribute, and no error.
func TestNoClusterName(t *testing.T) {
	t.Setenv("CLUSTER_NAME", "")
	config := configured(t, serve(t, rulesOf(t, "cluster/rbac.yaml"))).(*goroutinereceiver.Config)
	assert.Equal(t, map[string]string{"k8s.cluster.name": ""}, config.ResourceAttributes, "which removes one")
}
