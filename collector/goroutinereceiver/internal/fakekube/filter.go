// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package fakekube

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"
)

// A filter is what a list or watch asks for.
type filter struct {
	resource  *resource
	namespace string // "" is all
	labels    labels.Selector
	fields    fields.Selector
}

func newFilter(r *resource, namespace string, o *metav1.ListOptions) (filter, error) {
	byLabel, err := labels.Parse(o.LabelSelector)
	if err != nil {
		return filter{}, err
	}
	byField, err := fields.ParseSelector(o.FieldSelector)
	if err != nil {
		return filter{}, err
	}
	for _, want := range byField.Requirements() {
		if !supported(r, want.Field) {
			return filter{}, fmt.Errorf("field label not supported: %s", want.Field)
		}
	}
	return filter{r, namespace, byLabel, byField}, nil
}

func supported(r *resource, field string) bool {
	switch field {
	case "metadata.name", "metadata.namespace":
		return true
	case "spec.nodeName", "status.phase", "status.podIP":
		return r.name == "pods"
	}
	return false
}

func (f filter) matches(o *object) bool {
	return o != nil &&
		(f.namespace == "" || o.meta.GetNamespace() == f.namespace) &&
		f.labels.Matches(labels.Set(o.meta.GetLabels())) &&
		f.fields.Matches(fieldsOf(o))
}

// event is what a change is for a watch with this filter: an object that does not
// match any more was deleted, as far as the watch is concerned.
func (f filter) event(c change) (watch.EventType, *object) {
	if c.resource != f.resource {
		return "", nil
	}
	was, is := f.matches(c.old), f.matches(c.new)
	switch {
	case was && is:
		return watch.Modified, c.new
	case is:
		return watch.Added, c.new
	case was:
		return watch.Deleted, c.old
	}
	return "", nil
}
