// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
)

// Bounds of what one target may carry. Prometheus has none unless its
// configuration says so.
const (
	maxLabels = 64
	maxName   = 256
	maxValue  = 1024
)

// A Target is what is left of a discovered address after relabeling.
type Target struct {
	// URL is where net/http/pprof is: scheme, address and path.
	URL string
	// Job is the name of the job that found the target. The label job may differ.
	Job string
	// Labels are those after relabeling whose names do not begin with two
	// underscores. There is always a job and an instance.
	Labels map[string]string
	// Discovered are the labels before relabeling whose names begin with __meta_,
	// such as __meta_kubernetes_pod_name. Annotations of Kubernetes, the labels that
	// say that a label or an annotation is present, and values of more than 1,024
	// bytes are left out: relabel them to keep them.
	Discovered map[string]string

	job int
	key string
}

// Key is the same for two targets with the same URL and labels. It has no other
// meaning.
func (t Target) Key() string { return t.key }

// compare orders targets by the order of jobs in the configuration, and by URL and
// labels within a job.
func compare(a, b Target) int {
	return cmp.Or(cmp.Compare(a.job, b.job), strings.Compare(a.key, b.key))
}

// target makes a target of an address of a group. It returns false if relabeling
// dropped it.
func (c *Config) target(lb *labels.Builder, address, group model.LabelSet) (Target, bool, error) {
	c.before(lb, address, group)
	discovered := meta(lb)
	if !relabel.ProcessBuilder(lb, c.relabel...) {
		return Target{}, false, nil
	}
	at, err := location(lb)
	if err != nil {
		return Target{}, true, err
	}
	if lb.Get(model.InstanceLabel) == "" {
		lb.Set(model.InstanceLabel, lb.Get(model.AddressLabel))
	}
	final := after(lb)
	if err := checkLabels(final); err != nil {
		return Target{}, true, err
	}
	return Target{
		URL: at, Job: c.name, Labels: final, Discovered: discovered,
		key: key(at, final),
	}, true, nil
}

// before sets the labels that relabeling starts from: those of the address win over
// those of the group, and both over those of the job.
func (c *Config) before(lb *labels.Builder, address, group model.LabelSet) {
	lb.Reset(labels.EmptyLabels())
	for _, set := range []model.LabelSet{group, address} {
		for name, value := range set {
			lb.Set(string(name), string(value))
		}
	}
	for name, value := range map[string]string{
		model.JobLabel:         c.name,
		model.SchemeLabel:      c.scheme,
		model.MetricsPathLabel: c.path,
	} {
		if lb.Get(name) == "" {
			lb.Set(name, value)
		}
	}
}

func meta(lb *labels.Builder) map[string]string {
	m := make(map[string]string)
	lb.Range(func(l labels.Label) {
		if strings.HasPrefix(l.Name, model.MetaLabelPrefix) && len(l.Value) <= maxValue && !bulky(l.Name) {
			m[l.Name] = l.Value
		}
	})
	return m
}

// bulky tells the labels of Kubernetes that are many, large, or say what others say.
func bulky(name string) bool {
	rest, ok := strings.CutPrefix(name, model.MetaLabelPrefix+"kubernetes_")
	return ok && (strings.Contains(rest, "_annotation_") ||
		strings.Contains(rest, "_annotationpresent_") || strings.Contains(rest, "_labelpresent_"))
}

func after(lb *labels.Builder) map[string]string {
	m := make(map[string]string)
	lb.Range(func(l labels.Label) {
		if !strings.HasPrefix(l.Name, model.ReservedLabelPrefix) {
			m[l.Name] = l.Value
		}
	})
	return m
}

// location is the URL of the labels after relabeling.
func location(lb *labels.Builder) (string, error) {
	scheme, address, path := lb.Get(model.SchemeLabel), lb.Get(model.AddressLabel), lb.Get(model.MetricsPathLabel)
	if scheme != "http" && scheme != "https" {
		return "", fmt.Errorf("%s is %q; it must be http or https", model.SchemeLabel, scheme)
	}
	if address == "" {
		return "", fmt.Errorf("%s is empty; it must be a host and a port", model.AddressLabel)
	}
	if err := checkPath(path); err != nil {
		return "", fmt.Errorf("%s: %w", model.MetricsPathLabel, err)
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	at := url.URL{Scheme: scheme, Host: address, Path: path}
	if err := checkAddress(address, at.String()); err != nil {
		return "", err
	}
	return at.String(), nil
}

// checkAddress returns an error unless an address is the host of its URL and
// nothing else, such as a user with a password or a path.
func checkAddress(address, at string) error {
	back, err := url.Parse(at)
	if err != nil || back.Host != address || back.User != nil || back.Hostname() == "" {
		return fmt.Errorf("%s is %q; it must be a host and a port, such as 10.0.0.1:6060, and nothing else", model.AddressLabel, address)
	}
	return nil
}

func checkPath(path string) error {
	if strings.ContainsAny(path, "?#") {
		return fmt.Errorf("%q has a query or a fragment; it must be a path only, such as %s", path, defaultPath)
	}
	if len(path) > maxValue {
		return fmt.Errorf("a path of %d bytes; it must have at most %d", len(path), maxValue)
	}
	return nil
}

func checkLabels(all map[string]string) error {
	if len(all) > maxLabels {
		return fmt.Errorf("%d labels after relabeling; at most %d are accepted; drop some with labeldrop", len(all), maxLabels)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := checkLabel(name, all[name]); err != nil {
			return err
		}
	}
	return nil
}

func checkLabel(name, value string) error {
	switch {
	case len(name) > maxName:
		return fmt.Errorf("the name of label %q... has %d bytes; at most %d are accepted", name[:32], len(name), maxName)
	case len(value) > maxValue:
		return fmt.Errorf("label %q has %d bytes; at most %d are accepted; shorten it with relabel_configs", name, len(value), maxValue)
	case !utf8.ValidString(value):
		return fmt.Errorf("label %q is not valid UTF-8", name)
	}
	return nil
}

// key joins URL and labels with bytes that neither has.
func key(at string, all map[string]string) string {
	var b strings.Builder
	b.WriteString(at)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b.WriteString("\xff")
		b.WriteString(name)
		b.WriteString("\xfe")
		b.WriteString(all[name])
	}
	return b.String()
}

// An invalid is a target that relabeling kept and that cannot be one.
type invalid struct {
	job, address string
	err          error
}

func (i invalid) Error() string {
	return fmt.Sprintf("discovery, job %q: target %q: %v", i.job, i.address, i.err)
}

// found is what one job has found.
type found struct {
	targets []Target
	dropped int
	invalid []invalid
}

// targets makes targets of all groups of a job. Groups are read in the order of
// their sources, so that of two equal targets the same one is always the first.
func (c *Config) targets(lb *labels.Builder, job int, groups []*targetgroup.Group) found {
	var f found
	groups = slices.Clone(groups)
	slices.SortStableFunc(groups, func(a, b *targetgroup.Group) int { return strings.Compare(a.Source, b.Source) })
	for _, g := range groups {
		for _, address := range g.Targets {
			t, kept, err := c.target(lb, address, g.Labels)
			switch {
			case err != nil:
				f.invalid = append(f.invalid, invalid{c.name, string(address[model.AddressLabel]), err})
			case !kept:
				f.dropped++
			default:
				t.job = job
				f.targets = append(f.targets, t)
			}
		}
	}
	return f
}
