// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// The example opts in, with the port that the Collector may reach.
func TestExampleOptsIn(t *testing.T) {
	template := the[*appsv1.Deployment](t, objects(t, "example")).Spec.Template
	assert.Equal(t, "true", template.Annotations["otelgoroutine/scrape"])
	number := port(t, &template.Spec.Containers[0], "pprof")
	reachable := the[*networkingv1.NetworkPolicy](t, objects(t, "cluster")).Spec.Egress[0].Ports[0].Port
	assert.Equal(t, number, reachable.IntVal)
}

// Nothing but the Collector reaches the port of net/http/pprof, and all other ports are
// as open as before.
func TestExampleKeepsItsProfiles(t *testing.T) {
	all, cluster := objects(t, "example"), objects(t, "cluster")
	template := the[*appsv1.Deployment](t, all).Spec.Template
	number := port(t, &template.Spec.Containers[0], "pprof")
	policy := the[*networkingv1.NetworkPolicy](t, all).Spec
	require.True(t, matches(t, &policy.PodSelector, labels.Set(template.Labels)))
	assert.Equal(t, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}, policy.PolicyTypes)

	require.Len(t, policy.Ingress, 2)
	require.Len(t, policy.Ingress[0].From, 1)
	from := policy.Ingress[0].From[0]
	name := the[*corev1.Namespace](t, cluster).Name
	assert.True(t, matches(t, from.NamespaceSelector, labels.Set{"kubernetes.io/metadata.name": name}))
	assert.False(t, matches(t, from.NamespaceSelector, labels.Set{"kubernetes.io/metadata.name": "default"}))
	assert.True(t, matches(t, from.PodSelector, labels.Set(pods(t, cluster).Labels)))
	assert.False(t, matches(t, from.PodSelector, labels.Set(template.Labels)))

	assert.Empty(t, policy.Ingress[1].From, "the other ports are open to all")
	for _, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP} {
		for n := int32(1); n <= 65535; n++ {
			secret := protocol == corev1.ProtocolTCP && n == number
			require.Equal(t, !secret, open(policy.Ingress[1].Ports, protocol, n), "%s %d", protocol, n)
		}
	}
}

// open reports whether one of the ranges has a port.
func open(ranges []networkingv1.NetworkPolicyPort, protocol corev1.Protocol, number int32) bool {
	for _, r := range ranges {
		of := corev1.ProtocolTCP
		if r.Protocol != nil {
			of = *r.Protocol
		}
		if of == protocol && r.Port.IntVal <= number && number <= *r.EndPort {
			return true
		}
	}
	return false
}
