// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
)

// What discovery with the role pod needs, and no more.
var needed = []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch"}}}

func TestRightsInTheCluster(t *testing.T) {
	for _, overlay := range []string{"cluster", "sharded"} {
		all := objects(t, overlay)
		assert.Empty(t, every[*rbacv1.Role](all))
		assert.Empty(t, every[*rbacv1.RoleBinding](all))
		role := the[*rbacv1.ClusterRole](t, all)
		assert.Equal(t, needed, role.Rules)
		assert.Nil(t, role.AggregationRule)
		binding := the[*rbacv1.ClusterRoleBinding](t, all)
		assert.Equal(t, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name}, binding.RoleRef)
		assertBound(t, binding.Subjects, the[*corev1.ServiceAccount](t, all))
	}
}

func TestRightsInANamespace(t *testing.T) {
	all := objects(t, "namespace")
	role := the[*rbacv1.Role](t, all)
	assert.Equal(t, needed, role.Rules)
	binding := the[*rbacv1.RoleBinding](t, all)
	assert.Equal(t, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name}, binding.RoleRef)
	assertBound(t, binding.Subjects, the[*corev1.ServiceAccount](t, all))
	for _, object := range all {
		m, err := meta.Accessor(object)
		require.NoError(t, err)
		assert.Equal(t, role.Namespace, m.GetNamespace(), "%T is in the namespace: nothing of the cluster is touched", object)
	}
	assert.Equal(t, "true", variable(t, container(t, pods(t, all)), "OWN_NAMESPACE").Value, "or pods of all namespaces are asked for, and refused")
}

func assertBound(t *testing.T, subjects []rbacv1.Subject, account *corev1.ServiceAccount) {
	t.Helper()
	require.NotEmpty(t, account.Namespace)
	assert.Equal(t, []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account.Name, Namespace: account.Namespace}}, subjects)
}

// What the profile "restricted" of Pod Security demands, and a file system that cannot
// be written to.
func TestPodsAreRestricted(t *testing.T) {
	for _, overlay := range overlays {
		all := objects(t, overlay)
		pod := pods(t, all)
		c := container(t, pod)
		assert.True(t, *pod.Spec.SecurityContext.RunAsNonRoot)
		assert.Positive(t, *pod.Spec.SecurityContext.RunAsUser)
		assert.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.Spec.SecurityContext.SeccompProfile.Type)
		assert.False(t, *c.SecurityContext.AllowPrivilegeEscalation)
		assert.True(t, *c.SecurityContext.ReadOnlyRootFilesystem)
		assert.Equal(t, &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}, c.SecurityContext.Capabilities)
		assert.Nil(t, c.SecurityContext.Privileged)
		assert.False(t, pod.Spec.HostNetwork || pod.Spec.HostPID || pod.Spec.HostIPC)
		for _, v := range pod.Spec.Volumes {
			assert.Nil(t, v.HostPath)
		}
		assert.False(t, *the[*corev1.ServiceAccount](t, all).AutomountServiceAccountToken)
		assert.True(t, *pod.Spec.AutomountServiceAccountToken, "discovery needs the token")
	}
	assert.Equal(t, "restricted", the[*corev1.Namespace](t, objects(t, "cluster")).Labels["pod-security.kubernetes.io/enforce"])
}
