// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package fakekube

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	authorization "k8s.io/api/authorization/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// Token is the bearer token of the only user of the API.
const Token = "fake-token"

// User is whom Token belongs to.
const User = "system:serviceaccount:observability:collector"

// A Rule is a rule of a Role in a namespace, or of a ClusterRole if the namespace
// is empty.
type Rule struct {
	Namespace       string `json:"namespace,omitempty"`
	rbac.PolicyRule `json:",inline"`
}

// A Server is a handler of the API. Serve it over TLS: clients do not send tokens
// otherwise.
type Server struct {
	store *store

	mu        sync.Mutex
	rules     []Rule
	ruled     bool // false: everything is allowed
	older     bool
	requests  map[string]int
	requested chan struct{}
}

// New returns a server without objects that allows everything to [User].
func New() *Server {
	return &Server{store: newStore(), requests: make(map[string]int), requested: make(chan struct{})}
}

// Apply creates an object or replaces it.
func (s *Server) Apply(objects ...runtime.Object) error {
	for _, o := range objects {
		if err := s.store.set(o, false); err != nil {
			return err
		}
	}
	return nil
}

// Delete removes the object of the same kind, namespace and name, if there is one.
func (s *Server) Delete(o runtime.Object) error { return s.store.set(o, true) }

// SetRules allows what rules allow, and nothing else.
func (s *Server) SetRules(rules ...Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules, s.ruled = rules, true
}

// WithoutWatchList makes the server one of before Kubernetes 1.32, which refuses
// watches that ask for what there is.
func (s *Server) WithoutWatchList() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.older = true
}

// Break ends all watches, as a restart or a load balancer does.
func (s *Server) Break() {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	close(s.store.broken)
	s.store.broken = make(chan struct{})
}

// Close ends all watches, and new ones as soon as they have begun, so that what
// serves the handler can be closed.
func (s *Server) Close() {
	s.store.mu.Lock()
	s.store.closed = true
	s.store.mu.Unlock()
	s.Break()
}

// Compact forgets all changes: a watch that wants those after an old version gets
// 410 Gone, and so does one that runs, with the next change.
func (s *Server) Compact() {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	s.store.version++
	s.store.oldest = s.store.version
	s.store.history = nil
}

// Bookmark sends the current version to all watches that take bookmarks.
func (s *Server) Bookmark() {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	s.store.marks++
	s.store.wake()
}

// Requests returns how often a verb on a resource was asked for, answered or
// refused, and a channel that is closed with the next request.
func (s *Server) Requests(verb, resource string) (int, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[verb+" "+resource], s.requested
}

func (s *Server) count(verb, resource string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[verb+" "+resource]++
	close(s.requested)
	s.requested = make(chan struct{})
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := newCodec(r)
	if r.Header.Get("Authorization") != "Bearer "+Token {
		c.fail(w, apierrors.NewUnauthorized("Unauthorized"))
		return
	}
	if strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews") && r.Method == http.MethodPost {
		s.review(w, r, c)
		return
	}
	res, namespace, ok := parsePath(r.URL.Path)
	if !ok {
		c.fail(w, apierrors.NewGenericServerResponse(http.StatusNotFound, "get", schema.GroupResource{}, "", "the server could not find the requested resource", 0, false))
		return
	}
	if r.Method != http.MethodGet {
		c.fail(w, apierrors.NewMethodNotSupported(schema.GroupResource{Group: res.group, Resource: res.name}, r.Method))
		return
	}
	s.read(w, r, c, res, namespace)
}

// read answers a list or a watch.
func (s *Server) read(w http.ResponseWriter, r *http.Request, c codec, res *resource, namespace string) {
	var o metav1.ListOptions
	if err := scheme.ParameterCodec.DecodeParameters(r.URL.Query(), core.SchemeGroupVersion, &o); err != nil {
		c.fail(w, apierrors.NewBadRequest(err.Error()))
		return
	}
	verb := "list"
	if o.Watch {
		verb = "watch"
	}
	s.count(verb, res.name)
	if !s.allows(verb, res.group, res.name, namespace) {
		c.fail(w, forbidden(verb, res, namespace))
		return
	}
	f, err := newFilter(res, namespace, &o)
	if err != nil {
		c.fail(w, apierrors.NewBadRequest(err.Error()))
		return
	}
	if o.Watch {
		s.watch(w, r, c, f, &o)
		return
	}
	s.list(w, c, f)
}

func (s *Server) list(w http.ResponseWriter, c codec, f filter) {
	objects, version := s.store.list(f)
	list, err := scheme.Scheme.New(f.resource.list)
	if err != nil {
		c.fail(w, apierrors.NewInternalError(err))
		return
	}
	items := make([]runtime.Object, len(objects))
	for i, o := range objects {
		items[i] = o.object
	}
	if err := meta.SetList(list, items); err != nil {
		c.fail(w, apierrors.NewInternalError(err))
		return
	}
	list.(metav1.ListMetaAccessor).GetListMeta().SetResourceVersion(strconv.FormatInt(version, 10))
	list.GetObjectKind().SetGroupVersionKind(f.resource.list)
	c.send(w, http.StatusOK, list)
}

// allows tells what RBAC says.
func (s *Server) allows(verb, group, name, namespace string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ruled {
		return true
	}
	return slices.ContainsFunc(s.rules, func(r Rule) bool {
		return (r.Namespace == "" || r.Namespace == namespace) &&
			has(r.Verbs, verb) && has(r.APIGroups, group) && has(r.Resources, name)
	})
}

func has(list []string, s string) bool {
	return slices.Contains(list, s) || slices.Contains(list, "*")
}

func forbidden(verb string, r *resource, namespace string) *apierrors.StatusError {
	scope := "at the cluster scope"
	if namespace != "" {
		scope = fmt.Sprintf("in the namespace %q", namespace)
	}
	return apierrors.NewForbidden(schema.GroupResource{Group: r.group, Resource: r.name}, "",
		//lint:ignore ST1005 the API server's own words
		fmt.Errorf("User %q cannot %s resource %q in API group %q %s", User, verb, r.name, r.group, scope))
}

// review answers whether the user may do something.
func (s *Server) review(w http.ResponseWriter, r *http.Request, c codec) {
	var review authorization.SelfSubjectAccessReview
	if err := c.receive(r, &review); err != nil {
		c.fail(w, apierrors.NewBadRequest(err.Error()))
		return
	}
	a := review.Spec.ResourceAttributes
	if a == nil {
		c.fail(w, apierrors.NewBadRequest("a review needs resourceAttributes"))
		return
	}
	s.count("review", a.Resource)
	review.Status.Allowed = s.allows(a.Verb, a.Group, a.Resource, a.Namespace)
	review.SetGroupVersionKind(authorization.SchemeGroupVersion.WithKind("SelfSubjectAccessReview"))
	c.send(w, http.StatusCreated, &review)
}
