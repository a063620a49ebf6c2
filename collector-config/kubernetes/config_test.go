// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// A config is what these tests read of a configuration of the Collector. The Collector
// itself validates all of it in chaintest.
type config struct {
	Extensions map[string]map[string]any
	Receivers  map[string]any
	Processors map[string]any
	Connectors map[string]any
	Exporters  map[string]map[string]any
	Service    struct {
		Telemetry struct {
			Metrics struct {
				Readers []struct {
					Pull struct {
						Exporter struct {
							Prometheus struct{ Port any }
						}
					}
				}
			}
		}
	}
}

func parse(t *testing.T, text string) (c config) {
	t.Helper()
	require.NoError(t, yaml.Unmarshal([]byte(text), &c))
	return c
}

func configOf(t *testing.T, all []runtime.Object) string {
	t.Helper()
	return the[*corev1.ConfigMap](t, all).Data["collector.yaml"]
}

// The ports of the container are those at which the Collector listens.
func TestPortsAreThoseOfTheConfiguration(t *testing.T) {
	all := objects(t, "cluster")
	conf, c := parse(t, configOf(t, all)), container(t, pods(t, all))
	assert.Equal(t, fmt.Sprintf(":%d", port(t, c, "health")), conf.Extensions["health_check"]["endpoint"])
	assert.Equal(t, fmt.Sprintf(":%d", port(t, c, "metrics")), conf.Exporters["prometheus"]["endpoint"])
	require.Len(t, conf.Service.Telemetry.Metrics.Readers, 1)
	assert.EqualValues(t, port(t, c, "telemetry"), conf.Service.Telemetry.Metrics.Readers[0].Pull.Exporter.Prometheus.Port)
}

// The network policy lets through what the configuration uses, and nothing else.
func TestNetworkPolicy(t *testing.T) {
	for _, overlay := range overlays {
		all := objects(t, overlay)
		policy := the[*networkingv1.NetworkPolicy](t, all).Spec
		assert.ElementsMatch(t, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}, policy.PolicyTypes)
		require.Len(t, policy.Ingress, 1)
		assert.Equal(t, []string{"TCP metrics", "TCP telemetry"}, ports(policy.Ingress[0].Ports))

		onward, err := url.Parse(variable(t, container(t, pods(t, all)), "ONWARD_ENDPOINT").Value)
		require.NoError(t, err)
		var out []string
		for _, rule := range policy.Egress {
			require.NotEmpty(t, rule.Ports, "no rule is about all ports")
			out = append(out, ports(rule.Ports)...)
		}
		assert.Equal(t, []string{"TCP 6060", "UDP 53", "TCP 53", "TCP 443", "TCP 6443", "TCP " + onward.Port()}, out)
		peer := policy.Egress[0].To[0]
		assert.Equal(t, overlay == "namespace", peer.NamespaceSelector == nil, "which pods")
		assert.Equal(t, overlay != "namespace", peer.PodSelector == nil, "which pods")
	}
}

func ports(all []networkingv1.NetworkPolicyPort) (text []string) {
	for _, p := range all {
		protocol := corev1.ProtocolTCP
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		text = append(text, string(protocol)+" "+p.Port.String())
	}
	return text
}

var reference = regexp.MustCompile(`\$\{env:(\w+)(:-)?`)

// Every variable that the pods set is used, and every one that is used is set or has
// a default.
func TestEnvironment(t *testing.T) {
	for _, overlay := range overlays {
		all := objects(t, overlay)
		used := make(map[string]bool)
		var set []string
		for _, v := range container(t, pods(t, all)).Env {
			set = append(set, v.Name)
		}
		for _, m := range reference.FindAllStringSubmatch(configOf(t, all), -1) {
			used[m[1]] = true
			assert.True(t, m[2] != "" || slices.Contains(set, m[1]), "%s has no value", m[1])
		}
		for _, name := range set {
			assert.True(t, used[name] || name == "GOMEMLIMIT", "%s is not used", name)
		}
	}
}

var percentage = regexp.MustCompile(`limit_percentage: (\d+)\s+spike_limit_percentage: (\d+)`)

// The runtime collects garbage before memory_limiter refuses data.
func TestMemoryLimit(t *testing.T) {
	all := objects(t, "cluster")
	limits := percentage.FindStringSubmatch(configOf(t, all))
	require.NotNil(t, limits)
	hard, err := strconv.ParseFloat(limits[1], 64)
	require.NoError(t, err)
	spike, err := strconv.ParseFloat(limits[2], 64)
	require.NoError(t, err)
	c := container(t, pods(t, all))
	mib, err := strconv.ParseFloat(strings.TrimSuffix(variable(t, c, "GOMEMLIMIT").Value, "MiB"), 64)
	require.NoError(t, err)
	share := mib * (1 << 20) / float64(c.Resources.Limits.Memory().Value())
	assert.Less(t, share, (hard-spike)/100)
	assert.Greater(t, share, 0.5)
	assert.False(t, c.Resources.Requests.Cpu().IsZero())
	assert.True(t, c.Resources.Limits.Cpu().IsZero(), "it would be throttled")
}

// What this configuration shares with otel-collector.yaml is the same there. Kustomize
// reads no files from outside its folder, so it cannot be one file.
func TestSharedComponents(t *testing.T) {
	text, err := os.ReadFile("../otel-collector.yaml")
	require.NoError(t, err)
	there, here := parse(t, string(text)), parse(t, configOf(t, objects(t, "cluster")))
	for _, name := range []string{"transform/events", "delta_to_cumulative", "batch/metrics", "batch/events"} {
		require.Contains(t, here.Processors, name)
		assert.Equal(t, there.Processors[name], here.Processors[name], name)
	}
	assert.Equal(t, there.Connectors, here.Connectors)
	there.Exporters["otlp_http/onward"]["endpoint"] = here.Exporters["otlp_http/onward"]["endpoint"]
	assert.Equal(t, there.Exporters["otlp_http/onward"], here.Exporters["otlp_http/onward"])
	assert.Equal(t, there.Exporters["prometheus"]["translation_strategy"], here.Exporters["prometheus"]["translation_strategy"])
}

func itoa[T ~int32 | ~int64](n T) string { return strconv.FormatInt(int64(n), 10) }
