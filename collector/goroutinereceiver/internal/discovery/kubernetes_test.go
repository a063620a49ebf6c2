// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	core "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbac "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/fakekube"
)

// A kube is an API server in the test.
type kube struct {
	*fakekube.Server
	config string // settings of kubernetes_sd_configs that reach it
}

func newKube(t *testing.T, objects ...runtime.Object) *kube {
	t.Helper()
	s := fakekube.New()
	require.NoError(t, s.Apply(objects...))
	server := httptest.NewTLSServer(s)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	return &kube{s, fmt.Sprintf(`api_server: %q, tls_config: {ca_file: %q}, authorization: {credentials: %s}`, server.URL, ca, fakekube.Token)}
}

func (k *kube) apply(t *testing.T, objects ...runtime.Object) {
	t.Helper()
	require.NoError(t, k.Apply(objects...))
}

func pod(namespace, name, ip string) *core.Pod {
	return &core.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: "uid-1", Labels: map[string]string{"app": "shop"},
			Annotations: map[string]string{"pprof.example/scrape": "true", "pprof.example/port": "6060"},
		},
		Spec: core.PodSpec{NodeName: "n1", Containers: []core.Container{
			{Name: "web", Ports: []core.ContainerPort{{Name: "http", ContainerPort: 8080}, {Name: "grpc", ContainerPort: 9090}}},
			{Name: "sidecar"},
		}},
		Status: core.PodStatus{Phase: core.PodRunning, PodIP: ip},
	}
}

// annotated keeps running pods that opt in.
const annotated = `
discovery:
  - job_name: pods
    kubernetes_sd_configs:
      - {role: pod, %s}
    relabel_configs:
      - {source_labels: [__meta_kubernetes_pod_annotation_pprof_example_scrape], action: keep, regex: true}
      - {source_labels: [__meta_kubernetes_pod_phase], action: keep, regex: Running}
      - {source_labels: [__meta_kubernetes_pod_container_init], action: drop, regex: true}
      - source_labels: [__meta_kubernetes_pod_ip, __meta_kubernetes_pod_annotation_pprof_example_port]
        regex: (.+);(\d+)
        replacement: $$1:$$2
        target_label: __address__
      - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
      - {source_labels: [__meta_kubernetes_pod_name], target_label: instance}
      - {source_labels: [__meta_kubernetes_pod_label_app], target_label: job}
`

func TestPodsComeChangeAndGo(t *testing.T) {
	for name, prepare := range map[string]func(*kube){
		"streamed list": func(*kube) {},
		"older server":  func(k *kube) { k.WithoutWatchList() },
	} {
		t.Run(name, func(t *testing.T) {
			plain := pod("shop", "no", "10.0.0.9")
			plain.Annotations = nil
			pending := pod("shop", "pending", "10.0.0.8")
			pending.Status.Phase = core.PodPending
			k := newKube(t, pod("shop", "a", "10.0.0.1"), plain, pending, pod("shop", "without-address", ""))
			prepare(k)
			r := run(t, 10, fmt.Sprintf(annotated, k.config))
			u := r.await(t, at("10.0.0.1:6060")...)
			assert.Equal(t, map[string]string{"job": "shop", "instance": "a", "namespace": "shop"}, u.Targets[0].Labels)
			assert.Equal(t, 2, u.Duplicates, "two ports and a container without one lead to the same address")
			assert.Equal(t, 6, u.Dropped)
			found := u.Targets[0].Discovered
			assert.Equal(t, "a uid-1 n1 shop", strings.Join([]string{found["__meta_kubernetes_pod_name"], found["__meta_kubernetes_pod_uid"], found["__meta_kubernetes_pod_node_name"], found["__meta_kubernetes_namespace"]}, " "))

			k.apply(t, pod("bank", "b", "10.0.0.2"))
			r.await(t, at("10.0.0.1:6060", "10.0.0.2:6060")...)
			k.apply(t, pod("shop", "a", "10.0.0.3"))
			r.await(t, at("10.0.0.2:6060", "10.0.0.3:6060")...)
			done := pod("bank", "b", "10.0.0.2")
			done.Status.Phase = core.PodSucceeded
			k.apply(t, done)
			r.await(t, at("10.0.0.3:6060")...)
			require.NoError(t, k.Delete(pod("shop", "a", "")))
			r.await(t)
		})
	}
}

func TestWatchesResume(t *testing.T) {
	k := newKube(t, pod("shop", "a", "10.0.0.1"))
	r := run(t, 10, fmt.Sprintf(annotated, k.config))
	r.await(t, at("10.0.0.1:6060")...)

	k.Break()
	k.apply(t, pod("shop", "b", "10.0.0.2"))
	r.await(t, at("10.0.0.1:6060", "10.0.0.2:6060")...)

	k.Compact() // 410 Gone in place of the next change: a new list finds what was missed
	require.NoError(t, k.Delete(pod("shop", "a", "")))
	r.await(t, at("10.0.0.2:6060")...)

	k.Compact()
	k.Break() // 410 Gone for the watch that resumes
	k.apply(t, pod("shop", "c", "10.0.0.3"))
	r.await(t, at("10.0.0.2:6060", "10.0.0.3:6060")...)
}

func TestNamespacesAreLimited(t *testing.T) {
	k := newKube(t, pod("shop", "a", "10.0.0.1"), pod("bank", "b", "10.0.0.2"), pod("other", "c", "10.0.0.3"))
	k.SetRules(rule("shop", "pods"), rule("bank", "pods"))
	r := run(t, 10, fmt.Sprintf(annotated, k.config+", namespaces: {names: [shop, bank]}"))
	r.await(t, at("10.0.0.1:6060", "10.0.0.2:6060")...)
	r.stop()
	assert.Empty(t, r.logs.FilterLevelExact(zap.ErrorLevel).All())
}

func rule(namespace string, resources ...string) fakekube.Rule {
	return fakekube.Rule{Namespace: namespace, PolicyRule: rbac.PolicyRule{
		APIGroups: []string{"", "discovery.k8s.io"}, Resources: resources, Verbs: []string{"list", "watch"},
	}}
}

func TestRolesFindTheirTargets(t *testing.T) {
	node := &core.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n1"},
		Status: core.NodeStatus{
			Addresses:       []core.NodeAddress{{Type: core.NodeInternalIP, Address: "10.1.0.1"}},
			DaemonEndpoints: core.NodeDaemonEndpoints{KubeletEndpoint: core.DaemonEndpoint{Port: 10250}},
		},
	}
	service := &core.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec:       core.ServiceSpec{Ports: []core.ServicePort{{Name: "pprof", Port: 6060}}},
	}
	port, name, yes := int32(6060), "pprof", true
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "shop", Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Port: &port}},
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &yes}}},
	}
	for role, want := range map[string]string{
		"node":          "10.1.0.1:10250",
		"service":       "web.shop.svc:6060",
		"endpointslice": "10.0.0.1:6060",
	} {
		t.Run(role, func(t *testing.T) {
			k := newKube(t, node, service, slice)
			r := run(t, 10, fmt.Sprintf("discovery: [{job_name: r, kubernetes_sd_configs: [{role: %s, %s}]}]", role, k.config))
			r.await(t, at(want)...)
		})
	}
}

// told starts a job of which the log has something to say, and returns that.
func toldOf(t *testing.T, yaml string) string {
	t.Helper()
	said := make(chan string, 100)
	core, _ := observer.New(zap.ErrorLevel)
	log := zap.New(core, zap.Hooks(func(e zapcore.Entry) error { said <- e.Message; return nil }))
	m, err := New(jobs(t, yaml), Options{Logger: log, MaxTargets: 10})
	require.NoError(t, err)
	go func() { _ = m.Run(t.Context(), func(Update) {}) }()
	return <-said
}

func TestMissingPermissionsAreTold(t *testing.T) {
	k := newKube(t, pod("shop", "a", "10.0.0.1"))
	k.SetRules(rule("shop", "pods"))
	assert.Equal(t, "Service discovery cannot read from Kubernetes: the Collector's service account may not list and watch pods in all namespaces; "+
		`add apiGroups [""] resources ["pods"] to a ClusterRole and a ClusterRoleBinding, with the verbs list and watch`,
		toldOf(t, fmt.Sprintf(annotated, k.config)))
	assert.Equal(t, "Service discovery cannot read from Kubernetes: the Collector's service account may not list and watch endpointslices in namespace shop, list and watch services in namespace shop; "+
		`add apiGroups ["discovery.k8s.io"] resources ["endpointslices"] to a Role and a RoleBinding in namespace shop, apiGroups [""] resources ["services"] to a Role and a RoleBinding in namespace shop, with the verbs list and watch`,
		toldOf(t, fmt.Sprintf("discovery: [{job_name: r, kubernetes_sd_configs: [{role: endpointslice, namespaces: {names: [shop]}, %s}]}]", k.config)))
}

func TestAWrongTokenIsTold(t *testing.T) {
	k := newKube(t)
	config := strings.Replace(k.config, fakekube.Token, "wrong", 1)
	assert.Equal(t, "Service discovery cannot read from Kubernetes: the API server was asked for permissions and answered: Unauthorized",
		toldOf(t, fmt.Sprintf(annotated, config)))
}

// Permissions that come later are found without a restart, and so is their end.
func TestPermissionsComeAndGo(t *testing.T) {
	k := newKube(t, pod("shop", "a", "10.0.0.1"))
	k.SetRules()
	said := make(chan string)
	core, _ := observer.New(zap.InfoLevel)
	log := zap.New(core, zap.Hooks(func(e zapcore.Entry) error {
		select {
		case said <- e.Message:
		case <-t.Context().Done():
		}
		return nil
	}))
	m, err := New(jobs(t, fmt.Sprintf(annotated, k.config)), Options{Logger: log, MaxTargets: 10})
	require.NoError(t, err)
	m.accessEvery = 10 * time.Millisecond
	updates := make(chan Update, 10)
	go func() { _ = m.Run(t.Context(), func(u Update) { updates <- u }) }()

	assert.Contains(t, <-said, "may not list and watch pods")
	k.SetRules(rule("", "pods"))
	assert.Equal(t, "Service discovery has access to Kubernetes again.", <-said)
	for u := range updates {
		if len(u.Targets) == 1 {
			break
		}
	}
	k.SetRules()
	k.Break() // a watch that has begun is not refused
	assert.Contains(t, <-said, "may not list and watch pods")
}
