// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package fakekube

import (
	"fmt"
	"strings"

	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// A resource is a kind of object by the name that paths and RBAC have for it.
type resource struct {
	group, name string
	kind        schema.GroupVersionKind
	list        schema.GroupVersionKind
}

var resources = map[string]*resource{}

func init() {
	for name, kind := range map[string]schema.GroupVersionKind{
		"pods":           core.SchemeGroupVersion.WithKind("Pod"),
		"services":       core.SchemeGroupVersion.WithKind("Service"),
		"endpoints":      core.SchemeGroupVersion.WithKind("Endpoints"),
		"nodes":          core.SchemeGroupVersion.WithKind("Node"),
		"namespaces":     core.SchemeGroupVersion.WithKind("Namespace"),
		"endpointslices": discovery.SchemeGroupVersion.WithKind("EndpointSlice"),
		"ingresses":      networking.SchemeGroupVersion.WithKind("Ingress"),
		"replicasets":    apps.SchemeGroupVersion.WithKind("ReplicaSet"),
		"jobs":           batch.SchemeGroupVersion.WithKind("Job"),
	} {
		list := kind
		list.Kind += "List"
		resources[name] = &resource{group: kind.Group, name: name, kind: kind, list: list}
	}
}

// resourceOf returns the resource that an object belongs to.
func resourceOf(o runtime.Object) (*resource, error) {
	kinds, _, err := scheme.Scheme.ObjectKinds(o)
	if err != nil {
		return nil, err
	}
	for _, r := range resources {
		for _, k := range kinds {
			if k == r.kind {
				return r, nil
			}
		}
	}
	return nil, fmt.Errorf("no resource for %v", kinds)
}

// fieldsOf are the fields that selectors may name.
func fieldsOf(o *object) fields.Set {
	set := fields.Set{"metadata.name": o.meta.GetName(), "metadata.namespace": o.meta.GetNamespace()}
	if pod, ok := o.object.(*core.Pod); ok {
		set["spec.nodeName"] = pod.Spec.NodeName
		set["status.phase"] = string(pod.Status.Phase)
		set["status.podIP"] = pod.Status.PodIP
	}
	return set
}

// parsePath splits the path of a list or watch. ok is false for another path.
func parsePath(path string) (r *resource, namespace string, ok bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var group string
	switch {
	case len(parts) > 2 && parts[0] == "api" && parts[1] == "v1":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis" && parts[2] == "v1":
		group, parts = parts[1], parts[3:]
	default:
		return nil, "", false
	}
	if len(parts) == 3 && parts[0] == "namespaces" {
		namespace, parts = parts[1], parts[2:]
	}
	if len(parts) != 1 {
		return nil, "", false
	}
	r, known := resources[parts[0]]
	return r, namespace, known && r.group == group
}
