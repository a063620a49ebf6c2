// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/discovery"
)

// maxValue is how many bytes an attribute of a resource has.
const maxValue = 1024

// kubernetes maps labels of Prometheus's Kubernetes discovery to the attributes of the
// semantic conventions, as contrib's prometheusreceiver does. The last one that is
// present wins.
var kubernetes = []struct{ label, attribute string }{
	{"__meta_kubernetes_namespace", "k8s.namespace.name"},
	{"__meta_kubernetes_node_name", "k8s.node.name"},
	{"__meta_kubernetes_endpoint_node_name", "k8s.node.name"},
	{"__meta_kubernetes_endpointslice_endpoint_node_name", "k8s.node.name"},
	{"__meta_kubernetes_pod_node_name", "k8s.node.name"},
	{"__meta_kubernetes_pod_container_name", "k8s.container.name"},
	{"__meta_kubernetes_pod_name", "k8s.pod.name"},
	{podUID, "k8s.pod.uid"},
}

const podUID = "__meta_kubernetes_pod_uid"

// controllers maps the kind of a pod's controller to the attribute of its name.
var controllers = map[string]string{
	"ReplicaSet":  "k8s.replicaset.name",
	"DaemonSet":   "k8s.daemonset.name",
	"StatefulSet": "k8s.statefulset.name",
	"Job":         "k8s.job.name",
	"CronJob":     "k8s.cronjob.name",
}

// located sets what the address of a target says.
func located(to pcommon.Map, address string) {
	u, err := url.Parse(address)
	if err != nil {
		return
	}
	to.PutStr("telemetry.sdk.language", "go")
	to.PutStr("url.scheme", u.Scheme)
	to.PutStr("server.address", bounded(u.Hostname()))
	port, err := strconv.ParseInt(u.Port(), 10, 64)
	if err != nil {
		port = map[string]int64{"http": 80, "https": 443}[u.Scheme]
	}
	to.PutInt("server.port", port)
}

// ofListed returns the resource of a target that the configuration names.
func ofListed(address, host, instance string, attributes ...map[string]string) pcommon.Resource {
	r := pcommon.NewResource()
	located(r.Attributes(), address)
	r.Attributes().PutStr("service.name", bounded(host))
	r.Attributes().PutStr("service.instance.id", bounded(instance))
	for _, more := range attributes {
		putAll(r.Attributes(), more)
	}
	return r
}

// ofDiscovered returns the resource of a target that discovery found. Its labels are
// attributes, except job and instance, which name the service.
func ofDiscovered(t *discovery.Target, attributes map[string]string) pcommon.Resource {
	r := pcommon.NewResource()
	to := r.Attributes()
	located(to, t.URL)
	ofKubernetes(to, t.Discovered)
	labels := maps.Clone(t.Labels)
	to.PutStr("service.name", bounded(labels["job"]))
	to.PutStr("service.instance.id", bounded(labels["instance"]))
	delete(labels, "job")
	delete(labels, "instance")
	putAll(to, labels)
	putAll(to, attributes)
	return r
}

func ofKubernetes(to pcommon.Map, discovered map[string]string) {
	for _, k := range kubernetes {
		if value := discovered[k.label]; value != "" {
			to.PutStr(k.attribute, bounded(value))
		}
	}
	kind, name := discovered["__meta_kubernetes_pod_controller_kind"], discovered["__meta_kubernetes_pod_controller_name"]
	if attribute, ok := controllers[kind]; ok && name != "" {
		to.PutStr(attribute, bounded(name))
	}
}

// putAll sets attributes. An empty value removes one.
func putAll(to pcommon.Map, attributes map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		if attributes[key] == "" {
			to.Remove(key)
			continue
		}
		to.PutStr(key, bounded(attributes[key]))
	}
}

// bounded limits a value to maxValue bytes of valid UTF-8.
func bounded(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxValue {
		return s
	}
	end := maxValue
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
