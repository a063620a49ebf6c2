// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package fakekube

import (
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
)

// defaultTimeout ends a watch that does not say for how long it is.
const defaultTimeout = 30 * time.Minute

// A watcher is one watch.
type watcher struct {
	store   *store
	filter  filter
	out     *stream
	version int64 // everything up to here was sent
	marks   int
	marked  bool            // takes bookmarks
	broken  <-chan struct{} // closed to end the watch
}

func (s *Server) watch(w http.ResponseWriter, r *http.Request, c codec, f filter, o *metav1.ListOptions) {
	initial := o.SendInitialEvents != nil && *o.SendInitialEvents
	s.mu.Lock()
	older := s.older
	s.mu.Unlock()
	if o.SendInitialEvents != nil && older {
		c.fail(w, apierrors.NewInvalid(schema.GroupKind{Group: "meta.k8s.io", Kind: "ListOptions"}, "", nil))
		return
	}
	from, err := version(o.ResourceVersion)
	if err != nil {
		c.fail(w, apierrors.NewBadRequest(err.Error()))
		return
	}
	timeout := defaultTimeout
	if o.TimeoutSeconds != nil {
		timeout = time.Duration(*o.TimeoutSeconds) * time.Second
	}
	end := time.NewTimer(timeout)
	defer end.Stop()
	wr := &watcher{store: s.store, filter: f, version: from, marked: o.AllowWatchBookmarks}
	wr.register() // before the client hears that the watch has begun
	wr.out = c.stream(w)
	if err := wr.begin(initial); err != nil {
		return
	}
	wr.follow(r, end.C)
}

// version reads a resource version; "" is 0, any.
func version(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	return strconv.ParseInt(s, 10, 64)
}

// register notes what the watch hears of from now on.
func (w *watcher) register() {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.marks, w.broken = w.store.marks, w.store.broken
}

// begin sends what there is, unless the watch continues from a version.
func (w *watcher) begin(initial bool) error {
	w.store.mu.Lock()
	var objects []*object
	if initial || w.version == 0 {
		objects, w.version = w.store.listLocked(w.filter), w.store.version
	}
	w.store.mu.Unlock()
	for _, o := range objects {
		if err := w.out.send(watch.Added, o.object); err != nil {
			return err
		}
	}
	if !initial {
		return nil
	}
	return w.bookmark(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
}

// follow sends changes until the client, the timeout or Break ends the watch.
func (w *watcher) follow(r *http.Request, end <-chan time.Time) {
	for {
		w.store.mu.Lock()
		changes, ok := w.store.since(w.version)
		marks, now := w.store.marks, w.store.version
		changed, closed := w.store.changed, w.store.closed
		w.store.mu.Unlock()
		if closed {
			return
		}
		if !ok {
			_ = w.out.send(watch.Error, status(apierrors.NewResourceExpired("too old resource version: "+strconv.FormatInt(w.version, 10))))
			return
		}
		if w.send(changes) != nil {
			return
		}
		w.version = max(w.version, now)
		if marks != w.marks && w.marked && w.bookmark(nil) != nil {
			return
		}
		w.marks = marks
		select {
		case <-changed:
		case <-w.broken:
			return
		case <-end:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (w *watcher) send(changes []change) error {
	for _, c := range changes {
		kind, o := w.filter.event(c)
		if o == nil {
			continue
		}
		if kind == watch.Deleted {
			o = o.at(c.version)
		}
		if err := w.out.send(kind, o.object); err != nil {
			return err
		}
	}
	return nil
}

// at is a copy of an object with another version: that of its deletion.
func (o *object) at(version int64) *object {
	c := o.object.DeepCopyObject()
	m, err := meta.Accessor(c)
	if err != nil {
		return o
	}
	m.SetResourceVersion(strconv.FormatInt(version, 10))
	return &object{c, m}
}

// bookmark sends an object with nothing but the version.
func (w *watcher) bookmark(annotations map[string]string) error {
	o, err := scheme.Scheme.New(w.filter.resource.kind)
	if err != nil {
		return err
	}
	o.GetObjectKind().SetGroupVersionKind(w.filter.resource.kind)
	m, err := meta.Accessor(o)
	if err != nil {
		return err
	}
	m.SetResourceVersion(strconv.FormatInt(w.version, 10))
	m.SetAnnotations(annotations)
	return w.out.send(watch.Bookmark, o)
}
