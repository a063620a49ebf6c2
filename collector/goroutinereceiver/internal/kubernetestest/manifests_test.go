// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetestest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/discovery"
	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/fakekube"
)

const folder = "../../../../collector-config/kubernetes"

// shop is the namespace of the pods, and of the overlay "namespace".
const shop = "shop"

// objects decodes a file of the manifests.
func objects(t *testing.T, name string) (all []runtime.Object) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	require.NoError(t, err)
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(document, nil, nil)
		require.NoError(t, err)
		all = append(all, object)
	}
}

// rulesOf returns what the roles of a file allow. A Role is one of the namespace shop.
func rulesOf(t *testing.T, name string) (all []fakekube.Rule) {
	t.Helper()
	add := func(namespace string, rules []rbacv1.PolicyRule) {
		for _, r := range rules {
			all = append(all, fakekube.Rule{Namespace: namespace, PolicyRule: r})
		}
	}
	for _, object := range objects(t, name) {
		switch role := object.(type) {
		case *rbacv1.ClusterRole:
			add("", role.Rules)
		case *rbacv1.Role:
			add(shop, role.Rules)
		}
	}
	require.NotEmpty(t, all)
	return all
}

// example returns the pod template of the service in the example.
func example(t *testing.T) *appsv1.Deployment {
	t.Helper()
	return objects(t, "example/deployment.yaml")[0].(*appsv1.Deployment)
}

// resolved returns the configuration of the manifests, with variables expanded, for an
// API server elsewhere than where a pod would find it.
func resolved(t *testing.T, s *server) *confmap.Conf {
	t.Helper()
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs:              []string{"file:" + filepath.Join(folder, "base/collector.yaml")},
		ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory(), envprovider.NewFactory()},
	})
	require.NoError(t, err)
	conf, err := resolver.Resolve(t.Context())
	require.NoError(t, err)
	jobs := conf.Get(jobsKey).([]any)
	require.Len(t, jobs, 1)
	s.reachedBy(t, jobs[0].(map[string]any)["kubernetes_sd_configs"].([]any)[0].(map[string]any))
	require.NoError(t, conf.Merge(confmap.NewFromStringMap(map[string]any{"receivers": map[string]any{"goroutine": map[string]any{"discovery": jobs}}})))
	return conf
}

const jobsKey = "receivers::goroutine::discovery"

// jobs returns the jobs of the manifests' configuration.
func jobs(t *testing.T, s *server) []discovery.Config {
	t.Helper()
	var read struct {
		Jobs discovery.Configs `mapstructure:"jobs"`
	}
	list := resolved(t, s).Get(jobsKey)
	require.NoError(t, confmap.NewFromStringMap(map[string]any{"jobs": list}).Unmarshal(&read))
	return read.Jobs
}

// reachedBy changes a section of kubernetes_sd_configs so that it reaches the server.
// Prometheus knows the pod's own namespace in a cluster only.
func (s *server) reachedBy(t *testing.T, section map[string]any) {
	t.Helper()
	section["api_server"] = s.URL
	section["authorization"] = map[string]any{"credentials": fakekube.Token}
	section["tls_config"] = map[string]any{"ca_file": s.authority(t)}
	if section["namespaces"].(map[string]any)["own_namespace"].(bool) {
		section["namespaces"] = map[string]any{"names": []any{shop}}
	}
}
