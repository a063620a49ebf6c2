// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetestest

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/discovery"
)

// pod returns a running pod that opts in, with a port named pprof.
func pod(namespace, name, address string, changes ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: map[string]string{"otelgoroutine/scrape": "true"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name:  "server",
			Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}, {Name: "pprof", ContainerPort: 6060}},
		}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address},
	}
	for _, change := range changes {
		change(p)
	}
	return p
}

func phase(phase corev1.PodPhase) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.Phase = phase }
}

func annotated(pairs ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		for pair := range slices.Chunk(pairs, 2) {
			p.Annotations[pair[0]] = pair[1]
		}
	}
}

func labelled(name, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Labels = map[string]string{name: value} }
}

func of(kind, name string) func(*corev1.Pod) {
	yes := true
	return func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: name, Controller: &yes}}
	}
}

func containers(all ...corev1.Container) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.Containers = all }
}

var proxied = containers(
	corev1.Container{Name: "server", Ports: []corev1.ContainerPort{{ContainerPort: 8080}, {ContainerPort: 8081}}},
	corev1.Container{Name: "proxy"},
)

// names returns "URL job instance" of targets, in order.
func names(u discovery.Update) (all []string) {
	for _, target := range u.Targets {
		all = append(all, fmt.Sprintf("%s %s %s", target.URL, target.Labels["job"], target.Labels["instance"]))
	}
	slices.Sort(all)
	return all
}

// Which pods are targets, at which URL, and what they are called.
func TestTargets(t *testing.T) {
	s := serve(t, rulesOf(t, "cluster/rbac.yaml"))
	port := annotated("otelgoroutine/port", "7070")
	require.NoError(t, s.Apply(
		pod(shop, "a", "10.0.0.1"),
		pod(shop, "b", "10.0.0.2", port, proxied),
		pod(shop, "c", "10.0.0.3", port, containers(corev1.Container{Name: "server"})),
		pod("bank", "d-5f7b8c9d6-x2x9p", "10.0.0.4", of("ReplicaSet", "d-5f7b8c9d6")),
		pod("bank", "e-0", "10.0.0.5", of("StatefulSet", "e-x2")),
		pod("bank", "f", "10.0.0.6", of("DaemonSet", "f-ds"), labelled("app.kubernetes.io/name", "fox")),
		pod("bank", "g", "10.0.0.7", labelled("app.kubernetes.io/name", "fox"), annotated("resource.opentelemetry.io/service.name", "gnu")),
		pod("bank", "h", "10.0.0.8", annotated("otelgoroutine/scheme", "https", "otelgoroutine/path", "/admin/debug/pprof/")),
		pod("bank", "i", "fd00::9"),
		pod("bank", "j", "fd00::10", port),
		pod("bank", "k", "fd00::11", port, containers(corev1.Container{Name: "server"})),
		// none of these
		pod(shop, "no-annotation", "10.0.1.1", func(p *corev1.Pod) { p.Annotations = nil }),
		pod(shop, "opted-out", "10.0.1.2", annotated("otelgoroutine/scrape", "false")),
		pod(shop, "no-port", "10.0.1.3", containers(corev1.Container{Name: "server"})),
		pod(shop, "bad-port", "10.0.1.4", annotated("otelgoroutine/port", "http")),
		pod(shop, "pending", "", phase(corev1.PodPending)),
		pod(shop, "done", "10.0.1.5", phase(corev1.PodSucceeded)),
		pod(shop, "failed", "10.0.1.6", phase(corev1.PodFailed)),
	))
	assert.Equal(t, []string{
		"http://10.0.0.1:6060/debug/pprof/ a shop.a.server",
		"http://10.0.0.2:7070/debug/pprof/ b shop.b",
		"http://10.0.0.3:7070/debug/pprof/ c shop.c",
		"http://10.0.0.4:6060/debug/pprof/ d bank.d-5f7b8c9d6-x2x9p.server",
		"http://10.0.0.5:6060/debug/pprof/ e-x2 bank.e-0.server",
		"http://10.0.0.6:6060/debug/pprof/ fox bank.f.server",
		"http://10.0.0.7:6060/debug/pprof/ gnu bank.g.server",
		"http://[fd00::10]:7070/debug/pprof/ j bank.j",
		"http://[fd00::11]:7070/debug/pprof/ k bank.k",
		"http://[fd00::9]:6060/debug/pprof/ i bank.i.server",
		"https://10.0.0.8:6060/admin/debug/pprof/ h bank.h.server",
	}, names(discover(t, s).await(t, 11)))
}

// The service of the example is found, with what alerts need, when its pods come and
// until they go.
func TestExampleIsFound(t *testing.T) {
	t.Parallel()
	for name, older := range map[string]bool{"Kubernetes 1.32": false, "before": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, rulesOf(t, "cluster/rbac.yaml"))
			if older {
				s.WithoutWatchList()
			}
			template := example(t).Spec.Template
			p := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec, Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1"}}
			p.Namespace, p.Name = shop, "checkout-1"
			r := discover(t, s)
			r.await(t, 0)
			require.NoError(t, s.Apply(p))
			target := r.await(t, 1).Targets[0]
			assert.Equal(t, "http://10.0.0.1:6060/debug/pprof/", target.URL)
			assert.Equal(t, map[string]string{
				"job": "checkout", "instance": "shop.checkout-1.checkout", "service.version": "v1.8.2", "team": "payments",
			}, target.Labels)
			require.NoError(t, s.Delete(p))
			r.await(t, 0)
			s.assertAsked(t, older)
		})
	}
}

// assertAsked checks that discovery asked for nothing but what the roles allow, and for
// all of it: a server of before Kubernetes 1.32 is asked for a list, too.
func (s *server) assertAsked(t *testing.T, older bool) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	assert.Zero(t, s.refused)
	delete(s.asked, "create /apis/authorization.k8s.io/v1/selfsubjectaccessreviews") // which every account may
	want := map[string]bool{"watch /api/v1/pods": true}
	if older {
		want["list /api/v1/pods"] = true
	}
	assert.Equal(t, want, s.asked)
}

// In the overlay of one namespace, the pods of others are not asked for.
func TestOwnNamespace(t *testing.T) {
	t.Setenv("OWN_NAMESPACE", "true")
	s := serve(t, rulesOf(t, "namespace/rbac.yaml"))
	require.NoError(t, s.Apply(pod(shop, "a", "10.0.0.1"), pod("bank", "b", "10.0.0.2")))
	u := discover(t, s).await(t, 1)
	assert.Equal(t, []string{"http://10.0.0.1:6060/debug/pprof/ a shop.a.server"}, names(u))
	s.mu.Lock()
	defer s.mu.Unlock()
	assert.Zero(t, s.refused)
	assert.Contains(t, s.asked, "watch /api/v1/namespaces/"+shop+"/pods")
}

// The role of one namespace is not enough for the whole cluster: what the roles say is
// what decides in these tests.
func TestRoleOfOneNamespace(t *testing.T) {
	t.Parallel()
	s := serve(t, rulesOf(t, "namespace/rbac.yaml"))
	require.NoError(t, s.Apply(pod(shop, "a", "10.0.0.1")))
	r := discover(t, s)
	s.awaitRefusal(t)
	r.await(t, 0)
	s.SetRules(rulesOf(t, "cluster/rbac.yaml")...)
	r.await(t, 1)
}

// Each pod is a target of one shard.
func TestShards(t *testing.T) {
	const shards, pods = 4, 60
	s := serve(t, rulesOf(t, "cluster/rbac.yaml"))
	for i := range pods {
		require.NoError(t, s.Apply(pod(shop, fmt.Sprintf("p%d", i), fmt.Sprintf("10.0.0.%d", i+1))))
	}
	t.Setenv("SHARDS", strconv.Itoa(shards))
	runs := make([]*run, shards)
	for i := range runs {
		t.Setenv("SHARD", strconv.Itoa(i))
		runs[i] = discover(t, s)
	}
	of := make(map[string]int)
	for i, u := range awaitAll(t, runs, pods) {
		assert.Greater(t, len(u.Targets), pods/shards/3, "shard %d has its part", i)
		for _, target := range u.Targets {
			of[target.URL]++
		}
	}
	assert.Len(t, of, pods)
	for at, n := range of {
		assert.Equal(t, 1, n, at)
	}
}

// awaitAll waits until runs have a number of targets together, and returns the updates
// with them.
func awaitAll(t *testing.T, runs []*run, targets int) []discovery.Update {
	t.Helper()
	arrived := make(chan struct{}, 1)
	var mu sync.Mutex
	latest := make([]discovery.Update, len(runs))
	for i, r := range runs {
		go func() {
			for u := range r.until(t.Context()) {
				mu.Lock()
				latest[i] = u
				n := 0
				for _, u := range latest {
					n += len(u.Targets)
				}
				mu.Unlock()
				if n == targets {
					arrived <- struct{}{}
					return
				}
			}
		}()
	}
	select {
	case <-arrived:
	case <-time.After(patience):
		require.Fail(t, "too few targets")
	}
	mu.Lock()
	defer mu.Unlock()
	return latest
}

// until returns the updates that come before ctx is done.
func (r *run) until(ctx context.Context) iter.Seq[discovery.Update] {
	return func(yield func(discovery.Update) bool) {
		for {
			select {
			case u := <-r.updates:
				if !yield(u) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}
