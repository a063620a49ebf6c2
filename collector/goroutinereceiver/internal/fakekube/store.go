// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package fakekube

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// maxHistory is how many changes watches can go back.
const maxHistory = 10_000

// An object is one that is never changed after it is stored.
type object struct {
	object runtime.Object
	meta   metav1.Object
}

// A change has the object before and after; nil is none.
type change struct {
	version  int64
	resource *resource
	old, new *object
}

// A store has the objects, and the changes that led to them.
type store struct {
	mu      sync.Mutex
	version int64
	oldest  int64 // watches from versions before have 410 Gone
	objects map[*resource]map[string]*object
	history []change
	changed chan struct{} // closed and replaced with each change
	broken  chan struct{} // closed and replaced to end all watches
	marks   int           // bookmarks asked for
	closed  bool          // watches end at once
}

func newStore() *store {
	return &store{
		version: 1, oldest: 1,
		objects: make(map[*resource]map[string]*object),
		changed: make(chan struct{}), broken: make(chan struct{}),
	}
}

func (s *store) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// set stores an object, or removes it if remove is set.
func (s *store) set(o runtime.Object, remove bool) error {
	r, err := resourceOf(o)
	if err != nil {
		return err
	}
	o = o.DeepCopyObject()
	m, err := meta.Accessor(o)
	if err != nil {
		return err
	}
	o.GetObjectKind().SetGroupVersionKind(r.kind)
	key := m.GetNamespace() + "/" + m.GetName()

	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.objects[r][key]
	if old == nil && remove {
		return nil
	}
	s.version++
	m.SetResourceVersion(strconv.FormatInt(s.version, 10))
	if s.objects[r] == nil {
		s.objects[r] = make(map[string]*object)
	}
	c := change{version: s.version, resource: r, old: old}
	if remove {
		delete(s.objects[r], key)
	} else {
		c.new = &object{o, m}
		s.objects[r][key] = c.new
	}
	s.remember(c)
	s.wake()
	return nil
}

func (s *store) remember(c change) {
	s.history = append(s.history, c)
	if len(s.history) > maxHistory {
		s.oldest = s.history[0].version
		s.history = slices.Clone(s.history[1:])
	}
}

// list returns what matches, in order of names, and the version of that.
func (s *store) list(f filter) ([]*object, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listLocked(f), s.version
}

func (s *store) listLocked(f filter) []*object {
	var all []*object
	for _, o := range s.objects[f.resource] {
		if f.matches(o) {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b *object) int {
		return strings.Compare(a.meta.GetNamespace()+"/"+a.meta.GetName(), b.meta.GetNamespace()+"/"+b.meta.GetName())
	})
	return all
}

// since returns the changes after a version. ok is false if they are forgotten.
func (s *store) since(version int64) (changes []change, ok bool) {
	if version < s.oldest {
		return nil, false
	}
	i, _ := slices.BinarySearchFunc(s.history, version+1, func(c change, v int64) int { return cmp.Compare(c.version, v) })
	return s.history[i:], true
}
