// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package fakekube

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authorization "k8s.io/api/authorization/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// forms are those in which clients ask.
var forms = map[string]string{"json": runtime.ContentTypeJSON, "protobuf": runtime.ContentTypeProtobuf}

// start serves s and returns a client that asks in a form.
func start(t *testing.T, s *Server, form, token string) kubernetes.Interface {
	t.Helper()
	server := httptest.NewTLSServer(s)
	t.Cleanup(server.Close)
	t.Cleanup(s.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host: server.URL, BearerToken: token,
		TLSClientConfig: rest.TLSClientConfig{Insecure: true},
		ContentConfig:   rest.ContentConfig{ContentType: form},
	})
	require.NoError(t, err)
	return client
}

func pod(namespace, name string, labels map[string]string) *core.Pod {
	return &core.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
}

func TestListAndWatch(t *testing.T) {
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			s := New()
			require.NoError(t, s.Apply(pod("shop", "a", nil), pod("bank", "b", nil)))
			client := start(t, s, form, Token)

			list, err := client.CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{})
			require.NoError(t, err)
			require.Len(t, list.Items, 1)
			assert.Equal(t, "a", list.Items[0].Name)

			w, err := client.CoreV1().Pods("shop").Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion})
			require.NoError(t, err)
			defer w.Stop()
			require.NoError(t, s.Apply(pod("bank", "c", nil), pod("shop", "d", nil), pod("shop", "a", map[string]string{"v": "2"})))
			require.NoError(t, s.Delete(pod("shop", "d", nil)))
			assert.Equal(t, "ADDED d", next(t, w))
			assert.Equal(t, "MODIFIED a", next(t, w))
			assert.Equal(t, "DELETED d", next(t, w))
		})
	}
}

func next(t *testing.T, w watch.Interface) string {
	t.Helper()
	e, open := <-w.ResultChan()
	if !open {
		return "closed"
	}
	if p, ok := e.Object.(*core.Pod); ok {
		return strings.TrimSpace(string(e.Type) + " " + p.Name)
	}
	return string(e.Type) + ": " + apierrors.FromObject(e.Object).Error()
}

func TestWatchesBeginWithWhatThereIs(t *testing.T) {
	s := New()
	require.NoError(t, s.Apply(pod("shop", "a", nil)))
	client := start(t, s, runtime.ContentTypeProtobuf, Token)
	yes := true
	o := metav1.ListOptions{SendInitialEvents: &yes, AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}
	w, err := client.CoreV1().Pods("").Watch(t.Context(), o)
	require.NoError(t, err)
	defer w.Stop()
	assert.Equal(t, "ADDED a", next(t, w))
	mark := <-w.ResultChan()
	assert.Equal(t, watch.Bookmark, mark.Type)
	p := mark.Object.(*core.Pod)
	assert.Equal(t, "true", p.Annotations[metav1.InitialEventsAnnotationKey])
	assert.Equal(t, "2", p.ResourceVersion)
	s.Bookmark()
	assert.Equal(t, "BOOKMARK", next(t, w))

	s.WithoutWatchList()
	_, err = client.CoreV1().Pods("").Watch(t.Context(), o)
	assert.True(t, apierrors.IsInvalid(err), "%v", err)
}

func TestSelectors(t *testing.T) {
	s := New()
	web := map[string]string{"app": "web"}
	running := pod("shop", "a", web)
	running.Status.Phase = core.PodRunning
	require.NoError(t, s.Apply(running, pod("shop", "b", web), pod("shop", "c", nil)))
	client := start(t, s, runtime.ContentTypeJSON, Token).CoreV1().Pods("")

	list, err := client.List(t.Context(), metav1.ListOptions{LabelSelector: "app=web", FieldSelector: "status.phase=Running"})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	_, err = client.List(t.Context(), metav1.ListOptions{FieldSelector: "spec.colour=red"})
	assert.True(t, apierrors.IsBadRequest(err), "%v", err)

	w, err := client.Watch(t.Context(), metav1.ListOptions{LabelSelector: "app=web", ResourceVersion: list.ResourceVersion})
	require.NoError(t, err)
	defer w.Stop()
	require.NoError(t, s.Apply(pod("shop", "b", nil)), "no longer selected")
	assert.Equal(t, "DELETED b", next(t, w))
	require.NoError(t, s.Apply(pod("shop", "b", web)), "selected again")
	assert.Equal(t, "ADDED b", next(t, w))
}

func TestOldVersionsAreGone(t *testing.T) {
	s := New()
	require.NoError(t, s.Apply(pod("shop", "a", nil)))
	client := start(t, s, runtime.ContentTypeProtobuf, Token).CoreV1().Pods("")
	s.Compact()
	w, err := client.Watch(t.Context(), metav1.ListOptions{ResourceVersion: "2"})
	require.NoError(t, err)
	assert.Equal(t, "ERROR: too old resource version: 2", next(t, w))
	assert.Equal(t, "closed", next(t, w))
}

func TestHistoryIsBounded(t *testing.T) {
	s := New()
	for range maxHistory + 10 {
		require.NoError(t, s.Apply(pod("shop", "a", nil)))
	}
	assert.Len(t, s.store.history, maxHistory)
	_, ok := s.store.since(s.store.oldest)
	assert.True(t, ok)
	_, ok = s.store.since(s.store.oldest - 1)
	assert.False(t, ok)
}

func TestBrokenWatchesEnd(t *testing.T) {
	s := New()
	client := start(t, s, runtime.ContentTypeJSON, Token).CoreV1().Pods("")
	w, err := client.Watch(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	s.Break()
	assert.Equal(t, "closed", next(t, w))
}

func TestWhoMayWhat(t *testing.T) {
	s := New()
	_, err := start(t, s, runtime.ContentTypeJSON, "wrong").CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	assert.True(t, apierrors.IsUnauthorized(err), "%v", err)

	s.SetRules(Rule{Namespace: "shop", PolicyRule: rbac.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}}})
	client := start(t, s, runtime.ContentTypeProtobuf, Token)
	_, err = client.CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{})
	assert.NoError(t, err)
	_, err = client.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	assert.EqualError(t, err, `pods is forbidden: User "system:serviceaccount:observability:collector" cannot list resource "pods" in API group "" at the cluster scope`)
	_, err = client.CoreV1().Pods("shop").Watch(t.Context(), metav1.ListOptions{})
	assert.True(t, apierrors.IsForbidden(err), "%v", err)
	_, err = client.CoreV1().Pods("shop").Get(t.Context(), "a", metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "%v", err)

	assert.True(t, may(t, client, "shop", "list", "pods"))
	assert.False(t, may(t, client, "shop", "watch", "pods"))
	assert.False(t, may(t, client, "bank", "list", "pods"))
}

func may(t *testing.T, client kubernetes.Interface, namespace, verb, name string) bool {
	t.Helper()
	r, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(context.Background(), &authorization.SelfSubjectAccessReview{
		Spec: authorization.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorization.ResourceAttributes{
			Namespace: namespace, Verb: verb, Resource: name,
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return r.Status.Allowed
}

func TestControl(t *testing.T) {
	s := New()
	control := httptest.NewServer(s.Control())
	t.Cleanup(control.Close)
	do := func(method, path, body string) int {
		r, err := http.NewRequest(method, control.URL+path, strings.NewReader(body))
		require.NoError(t, err)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode
	}
	const a = "apiVersion: v1\nkind: Pod\nmetadata: {namespace: shop, name: a}\n"
	pods, err := newFilter(resources["pods"], "", &metav1.ListOptions{})
	require.NoError(t, err)

	assert.Equal(t, http.StatusOK, do("PUT", "/objects", a))
	all, _ := s.store.list(pods)
	assert.Len(t, all, 1)
	assert.Equal(t, http.StatusOK, do("DELETE", "/objects", a))
	all, _ = s.store.list(pods)
	assert.Empty(t, all)
	assert.Equal(t, http.StatusBadRequest, do("PUT", "/objects", "kind: Pod"))
	assert.Equal(t, http.StatusBadRequest, do("PUT", "/objects", "{apiVersion: v1, kind: Secret}"))

	assert.Equal(t, http.StatusOK, do("PUT", "/rules", `[{"namespace":"shop","apiGroups":[""],"resources":["pods"],"verbs":["list"]}]`))
	assert.True(t, s.allows("list", "", "pods", "shop"))
	assert.False(t, s.allows("list", "", "pods", "bank"))
	assert.Equal(t, http.StatusBadRequest, do("PUT", "/rules", `[{"verb":"list"}]`))
	assert.Equal(t, http.StatusOK, do("POST", "/break", ""))
	assert.Equal(t, http.StatusOK, do("POST", "/compact", ""))
}
