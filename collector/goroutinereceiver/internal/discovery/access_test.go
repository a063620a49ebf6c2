// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"fmt"
	"testing"

	"github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestWhatASectionNeeds(t *testing.T) {
	for settings, want := range map[string]string{
		"role: pod":                              "[pods in all namespaces]",
		"role: node":                             "[nodes in all namespaces]",
		"role: service":                          "[services in all namespaces]",
		"role: ingress":                          "[ingresses in all namespaces]",
		"role: endpoints":                        "[endpoints in all namespaces services in all namespaces pods in all namespaces]",
		"role: endpointslice":                    "[endpointslices in all namespaces services in all namespaces pods in all namespaces]",
		"role: pod, namespaces: {names: [a, b]}": "[pods in namespace a pods in namespace b]",
		"role: pod, namespaces: {names: [a]}, attach_metadata: {node: true, namespace: true}":     "[namespaces in all namespaces nodes in all namespaces pods in namespace a]",
		"role: pod, attach_metadata: {deployment: true, cronjob: true}":                           "[pods in all namespaces replicasets in all namespaces jobs in all namespaces]",
		"role: service, attach_metadata: {node: true, namespace: true}, namespaces: {names: [a]}": "[namespaces in all namespaces services in namespace a]",
	} {
		c := jobs(t, "discovery: [{job_name: a, kubernetes_sd_configs: [{"+settings+"}]}]")[0].finders[0].(*kubernetes.SDConfig)
		assert.Equal(t, want, fmt.Sprint(needs(c)), settings)
	}
}

func TestAccessIsToldOnChange(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	m := &Manager{log: zap.New(core)}
	c := &cluster{job: "pods"}
	for _, problem := range []string{"", "refused", "refused", "gone", "", ""} {
		m.tell(c, problem)
	}
	all := logs.TakeAll()
	require.Len(t, all, 3)
	assert.Equal(t, "Service discovery cannot read from Kubernetes: refused", all[0].Message)
	assert.Equal(t, "pods", all[0].ContextMap()["job"])
	assert.Equal(t, zap.InfoLevel, all[2].Level)
}

// The counter that tells that requests failed is Prometheus's own; a new version
// may rename it.
func TestFailedRequestsAreCounted(t *testing.T) {
	m, err := New(jobs(t, `discovery: [{job_name: a, static_configs: [{targets: ["a:1"]}]}]`), Options{MaxTargets: 1})
	require.NoError(t, err)
	families, err := m.registry.Gather()
	require.NoError(t, err)
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	assert.Contains(t, names, failures)
}
