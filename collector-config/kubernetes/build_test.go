// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// The overlays with a Collector.
var overlays = []string{"cluster", "namespace", "sharded"}

// The kinds of objects that there may be.
var scheme = runtime.NewScheme()

func init() {
	utilruntime.Must(appsv1.AddToScheme(scheme))
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(networkingv1.AddToScheme(scheme))
	utilruntime.Must(rbacv1.AddToScheme(scheme))
}

// build does what "kubectl kustomize" does.
func build(t *testing.T, fs filesys.FileSystem, dir string) resmap.ResMap {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(fs, dir)
	require.NoError(t, err)
	return built
}

// objects builds an overlay and decodes it. A field that the API does not have, or that
// is there twice, is an error, as with "kubectl apply --validate=strict".
func objects(t *testing.T, dir string) (all []runtime.Object) {
	t.Helper()
	return decode(t, build(t, filesys.MakeFsOnDisk(), dir))
}

func decode(t *testing.T, built resmap.ResMap) (all []runtime.Object) {
	t.Helper()
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	for _, r := range built.Resources() {
		text, err := r.AsYAML()
		require.NoError(t, err)
		object, _, err := decoder.Decode(text, nil, nil)
		require.NoError(t, err, "%s", text)
		all = append(all, object)
	}
	return all
}

// every returns the objects of one type.
func every[T runtime.Object](all []runtime.Object) (some []T) {
	for _, object := range all {
		if o, ok := object.(T); ok {
			some = append(some, o)
		}
	}
	return some
}

// the returns the only object of a type.
func the[T runtime.Object](t *testing.T, all []runtime.Object) T {
	t.Helper()
	some := every[T](all)
	require.Len(t, some, 1)
	return some[0]
}

// pods returns the template of the pods with the Collector.
func pods(t *testing.T, all []runtime.Object) *corev1.PodTemplateSpec {
	t.Helper()
	if s := every[*appsv1.StatefulSet](all); len(s) > 0 {
		require.Empty(t, every[*appsv1.Deployment](all))
		return &s[0].Spec.Template
	}
	return &the[*appsv1.Deployment](t, all).Spec.Template
}

// container returns the only container of a pod.
func container(t *testing.T, pod *corev1.PodTemplateSpec) *corev1.Container {
	t.Helper()
	require.Len(t, pod.Spec.Containers, 1)
	require.Empty(t, pod.Spec.InitContainers)
	return &pod.Spec.Containers[0]
}

// variable returns a variable of the container's environment.
func variable(t *testing.T, c *corev1.Container, name string) corev1.EnvVar {
	t.Helper()
	for _, v := range c.Env {
		if v.Name == name {
			return v
		}
	}
	require.Failf(t, "no such variable", "%s in %v", name, c.Env)
	return corev1.EnvVar{}
}

// port returns the number of a port of the container.
func port(t *testing.T, c *corev1.Container, name string) int32 {
	t.Helper()
	for _, p := range c.Ports {
		if p.Name == name {
			return p.ContainerPort
		}
	}
	require.Failf(t, "no such port", "%s in %v", name, c.Ports)
	return 0
}
