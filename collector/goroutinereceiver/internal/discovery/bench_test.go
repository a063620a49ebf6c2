// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"fmt"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
)

// BenchmarkUpdate is the cost of one change in a cluster of 1,000 pods of one port,
// with 20 labels each: all targets are made anew.
func BenchmarkUpdate(b *testing.B) {
	const pods = 1000
	cs, err := read(`discovery: [{job_name: pods, static_configs: [{targets: [unused]}], relabel_configs: [
		{source_labels: [__meta_kubernetes_pod_name], target_label: instance},
		{source_labels: [__meta_kubernetes_namespace], target_label: namespace}]}]`)
	if err != nil {
		b.Fatal(err)
	}
	groups := make([]*targetgroup.Group, pods)
	for i := range groups {
		all := model.LabelSet{"__meta_kubernetes_namespace": "shop", "__meta_kubernetes_pod_name": model.LabelValue(fmt.Sprint("shop-", i))}
		for l := range 18 {
			all[model.LabelName(fmt.Sprint("__meta_kubernetes_pod_label_", l))] = "some value of a label"
		}
		groups[i] = group(fmt.Sprint(i), all, fmt.Sprintf("10.0.%d.%d:6060", i/256, i%256))
	}
	s := &set{most: pods}
	lb := labels.NewBuilder(labels.EmptyLabels())
	b.ReportAllocs()
	for b.Loop() {
		u, _ := s.update([]found{cs[0].targets(lb, 0, groups)})
		if len(u.Targets) != pods {
			b.Fatal(len(u.Targets))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/pods, "ns/target")
}
