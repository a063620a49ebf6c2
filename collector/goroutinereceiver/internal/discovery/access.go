// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/discovery/kubernetes"
	"go.uber.org/zap"
	authorization "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// accessTimeout bounds the check of one job.
	accessTimeout = 15 * time.Second
	// failures counts what Prometheus's informers could not list or watch.
	failures = "prometheus_sd_kubernetes_failures_total"
	// ownNamespaceFile has the namespace of the Collector's pod.
	ownNamespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
)

// Prometheus's informers tell what the API server refuses to a global logger of
// Kubernetes's client, with nothing but the refusal. So permissions are asked for
// here: the API server says of each what it would do.

// A resource is what an informer lists and watches.
type resource struct{ group, name, namespace string }

func (r resource) String() string {
	where := "in all namespaces"
	if r.namespace != "" {
		where = "in namespace " + r.namespace
	}
	return r.name + " " + where
}

var (
	pods           = resource{name: "pods"}
	services       = resource{name: "services"}
	endpoints      = resource{name: "endpoints"}
	nodes          = resource{name: "nodes"}
	namespaces     = resource{name: "namespaces"}
	endpointSlices = resource{group: "discovery.k8s.io", name: "endpointslices"}
	ingresses      = resource{group: "networking.k8s.io", name: "ingresses"}
	replicaSets    = resource{group: "apps", name: "replicasets"}
	batchJobs      = resource{group: "batch", name: "jobs"}
)

// perRole lists what each role lists and watches in the namespaces of its section.
var perRole = map[kubernetes.Role][]resource{
	kubernetes.RolePod:           {pods},
	kubernetes.RoleService:       {services},
	kubernetes.RoleEndpoint:      {endpoints, services, pods},
	kubernetes.RoleEndpointSlice: {endpointSlices, services, pods},
	kubernetes.RoleIngress:       {ingresses},
	kubernetes.RoleNode:          nil, // nodes have no namespace
}

// needs lists everything that a section lists and watches.
func needs(c *kubernetes.SDConfig) []resource {
	named := slices.Clone(perRole[c.Role])
	var global []resource
	if c.Role == kubernetes.RoleNode {
		return []resource{nodes}
	}
	if c.AttachMetadata.Namespace {
		global = append(global, namespaces)
	}
	if withPods := slices.Contains(named, pods); withPods {
		if c.AttachMetadata.Node {
			global = append(global, nodes)
		}
		if c.AttachMetadata.Deployment {
			named = append(named, replicaSets)
		}
		if c.AttachMetadata.Job || c.AttachMetadata.CronJob {
			named = append(named, batchJobs)
		}
	}
	for _, namespace := range namespacesOf(c) {
		for _, r := range named {
			r.namespace = namespace
			global = append(global, r)
		}
	}
	return global
}

// namespacesOf lists the namespaces of a section; "" means all.
func namespacesOf(c *kubernetes.SDConfig) []string {
	names := slices.Clone(c.NamespaceDiscovery.Names)
	if c.NamespaceDiscovery.IncludeOwnNamespace {
		if own, err := os.ReadFile(ownNamespaceFile); err == nil {
			names = append(names, string(own))
		}
	}
	if len(names) == 0 {
		return []string{""}
	}
	return names
}

// client returns the client that Prometheus makes of the same section.
func client(c *kubernetes.SDConfig) (*authorizationclient.AuthorizationV1Client, error) {
	conf, err := clientConfig(c)
	if err != nil {
		return nil, err
	}
	return authorizationclient.NewForConfig(conf)
}

func clientConfig(c *kubernetes.SDConfig) (*rest.Config, error) {
	switch {
	case c.KubeConfig != "":
		return clientcmd.BuildConfigFromFlags("", c.KubeConfig)
	case c.APIServer.URL == nil:
		return rest.InClusterConfig()
	}
	transport, err := config.NewRoundTripperFromConfig(c.HTTPClientConfig, "kubernetes_sd")
	if err != nil {
		return nil, err
	}
	return &rest.Config{Host: c.APIServer.String(), Transport: transport}, nil
}

// A cluster is a section of Kubernetes of a job, and what was last told about it.
type cluster struct {
	job    string
	config *kubernetes.SDConfig
	last   string
}

func (m *Manager) clusters() []*cluster {
	var all []*cluster
	for _, job := range m.jobs {
		for _, finder := range job.finders {
			if c, ok := finder.(*kubernetes.SDConfig); ok {
				all = append(all, &cluster{job: job.name, config: c})
			}
		}
	}
	return all
}

// watchAccess checks the permissions at the start, after requests failed, and while
// some are missing.
func (m *Manager) watchAccess(ctx context.Context) {
	all := m.clusters()
	if len(all) == 0 {
		return
	}
	tick := time.NewTicker(m.accessEvery)
	defer tick.Stop()
	for failed := -1.0; ; { // differs from what there is, so that the first check is at the start
		now := m.failures()
		for _, c := range all {
			if now != failed || c.last != "" {
				m.tell(c, c.check(ctx))
			}
		}
		failed = now
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// failures is how many requests to Kubernetes have failed.
func (m *Manager) failures() float64 {
	families, err := m.registry.Gather()
	if err != nil {
		return -1
	}
	for _, f := range families {
		if f.GetName() == failures {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return 0
}

// tell logs what is wrong with access to a cluster, once as long as it is the same.
func (m *Manager) tell(c *cluster, problem string) {
	if problem == c.last {
		return
	}
	if problem == "" {
		m.log.Info("Service discovery has access to Kubernetes again.", zap.String("job", c.job))
	} else {
		m.log.Error("Service discovery cannot read from Kubernetes: "+problem, zap.String("job", c.job))
	}
	c.last = problem
}

// check returns what keeps a section from reading what it needs, or "".
func (c *cluster) check(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, accessTimeout)
	defer cancel()
	reviews, err := client(c.config)
	if err != nil {
		return err.Error()
	}
	var refused []string
	var missing []resource
	for _, r := range needs(c.config) {
		verbs, err := r.refused(ctx, reviews)
		if ctx.Err() == context.Canceled {
			return c.last
		}
		if err != nil {
			return fmt.Sprintf("the API server was asked for permissions and answered: %v", err)
		}
		if len(verbs) > 0 {
			refused = append(refused, strings.Join(verbs, " and ")+" "+r.String())
			missing = append(missing, r)
		}
	}
	if len(refused) == 0 {
		return ""
	}
	return fmt.Sprintf("the Collector's service account may not %s; %s, with the verbs list and watch",
		strings.Join(refused, ", "), grants(missing))
}

// refused returns the verbs that a resource lacks.
func (r resource) refused(ctx context.Context, reviews authorizationclient.SelfSubjectAccessReviewsGetter) ([]string, error) {
	var verbs []string
	for _, verb := range []string{"list", "watch"} {
		review, err := reviews.SelfSubjectAccessReviews().Create(ctx, &authorization.SelfSubjectAccessReview{
			Spec: authorization.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorization.ResourceAttributes{
				Namespace: r.namespace, Verb: verb, Group: r.group, Resource: r.name,
			}},
		}, metav1.CreateOptions{})
		if err != nil {
			return nil, err
		}
		if !review.Status.Allowed {
			verbs = append(verbs, verb)
		}
	}
	return verbs, nil
}

// grants says which rules of RBAC are missing.
func grants(missing []resource) string {
	slices.SortStableFunc(missing, func(a, b resource) int { return cmp.Compare(a.namespace, b.namespace) })
	var rules []string
	for _, r := range missing {
		kind := "a ClusterRole and a ClusterRoleBinding"
		if r.namespace != "" {
			kind = "a Role and a RoleBinding in namespace " + r.namespace
		}
		rules = append(rules, fmt.Sprintf("apiGroups [%q] resources [%q] to %s", r.group, r.name, kind))
	}
	return "add " + strings.Join(rules, ", ")
}
