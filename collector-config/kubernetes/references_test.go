// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"os"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func TestWhatPodsReferToExists(t *testing.T) {
	for _, overlay := range overlays {
		all := objects(t, overlay)
		pod := pods(t, all)
		c := container(t, pod)
		config := the[*corev1.ConfigMap](t, all)
		assert.Equal(t, the[*corev1.ServiceAccount](t, all).Name, pod.Spec.ServiceAccountName)
		require.Len(t, pod.Spec.Volumes, 1)
		require.Len(t, c.VolumeMounts, 1)
		assert.Equal(t, config.Name, pod.Spec.Volumes[0].ConfigMap.Name)
		assert.Regexp(t, `^goroutine-collector-\w{10}$`, config.Name, "a change starts new pods")
		assert.Equal(t, pod.Spec.Volumes[0].Name, c.VolumeMounts[0].Name)
		file, ok := strings.CutPrefix(c.Args[0], "--config=")
		require.True(t, ok)
		assert.Equal(t, c.VolumeMounts[0].MountPath, path.Dir(file))
		assert.Contains(t, config.Data, path.Base(file))
		assert.Equal(t, "health", c.LivenessProbe.HTTPGet.Port.String())
		assert.Equal(t, "health", c.ReadinessProbe.HTTPGet.Port.String())
		assert.Equal(t, "/", c.ReadinessProbe.HTTPGet.Path)
	}
}

func TestSelectorsSelectThePods(t *testing.T) {
	for _, overlay := range overlays {
		all := objects(t, overlay)
		pod := pods(t, all)
		of := labels.Set(pod.Labels)
		service := the[*corev1.Service](t, all)
		require.NotEmpty(t, service.Spec.Selector)
		assert.True(t, labels.SelectorFromSet(service.Spec.Selector).Matches(of))
		for _, p := range service.Spec.Ports {
			assert.Equal(t, p.Port, port(t, container(t, pod), p.TargetPort.String()))
		}
		policy := the[*networkingv1.NetworkPolicy](t, all)
		require.NotEmpty(t, policy.Spec.PodSelector.MatchLabels, "or it is about all pods of the namespace")
		assert.True(t, matches(t, &policy.Spec.PodSelector, of))
		for _, s := range every[*appsv1.StatefulSet](all) {
			assert.True(t, matches(t, s.Spec.Selector, of))
			assert.Equal(t, service.Name, s.Spec.ServiceName)
		}
		for _, d := range every[*appsv1.Deployment](all) {
			assert.True(t, matches(t, d.Spec.Selector, of))
			assert.Equal(t, int32(1), *d.Spec.Replicas, "a second one would send everything twice")
			assert.Equal(t, appsv1.RecreateDeploymentStrategyType, d.Spec.Strategy.Type, "for the same reason")
		}
	}
}

func matches(t *testing.T, selector *metav1.LabelSelector, of labels.Set) bool {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	require.NoError(t, err)
	return s.Matches(of)
}

// Each shard knows how many there are, and which one it is.
func TestShards(t *testing.T) {
	all := objects(t, "sharded")
	set := the[*appsv1.StatefulSet](t, all)
	assert.Equal(t, appsv1.ParallelPodManagement, set.Spec.PodManagementPolicy)
	c := container(t, &set.Spec.Template)
	require.Greater(t, *set.Spec.Replicas, int32(1))
	assert.EqualValues(t, variable(t, c, "SHARDS").Value, itoa(*set.Spec.Replicas))
	assert.Equal(t, "metadata.labels['"+appsv1.PodIndexLabel+"']", variable(t, c, "SHARD").ValueFrom.FieldRef.FieldPath)
}

// The image that the Dockerfile makes runs with the arguments and the user of the pods.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	context := pods(t, objects(t, "cluster")).Spec.SecurityContext
	assert.Contains(t, string(text), "\nUSER "+itoa(*context.RunAsUser)+":"+itoa(*context.RunAsGroup)+"\n")
	assert.Contains(t, string(text), "\nENTRYPOINT [\"/otelcol-goroutine\"]\n", "the pods give arguments only")
	assert.NotContains(t, string(text), "\nCMD")
	assert.DirExists(t, "../distribution")
}
