// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/metadatatest"
	"github.com/otelgoroutine/go/internal/otlptest"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// write writes a file of targets for file_sd_configs.
func write(t *testing.T, name string, groups ...values) {
	t.Helper()
	data, err := json.Marshal(groups)
	require.NoError(t, err)
	next := name + ".next"
	require.NoError(t, os.WriteFile(next, data, 0o600))
	require.NoError(t, os.Rename(next, name))
}

func group(team string, addresses ...string) values {
	return values{"targets": addresses, "labels": values{"team": team}}
}

// latest returns the newest metrics of an instance.
func (h *harness) latest(instance string) (m pmetric.Metrics, r pcommon.Resource, n int) {
	received, _ := h.Received()
	for _, all := range received {
		of := all.ResourceMetrics().At(0).Resource()
		if attributeOf(of, "service.instance.id") == instance {
			m, r = all, of
			n++
		}
	}
	return m, r, n
}

// A target that leaves ends: its findings, its series and its memory. One whose labels
// change goes on, and one that comes back begins anew.
func TestTargetsComeAndGo(t *testing.T) {
	a, b := startProcess(t, "127.0.0.1:0"), startProcess(t, "127.0.0.1:0")
	file := filepath.Join(t.TempDir(), "targets.json")
	write(t, file, group("one", a.address, b.address))
	h := begin(t, values{
		"discovery":           []any{values{"job_name": "shop", "file_sd_configs": []any{values{"files": []any{file}}}}},
		"resource_attributes": values{"k8s.cluster.name": "eu"},
	})
	for _, p := range []*process{a, b} {
		eventually(t, "it is observed", func() bool { _, _, n := h.latest(p.address); return n > 3 })
		_, r, _ := h.latest(p.address)
		assert.Equal(t, []string{"shop", "one", "eu"}, []string{attributeOf(r, "service.name"), attributeOf(r, "team"), attributeOf(r, "k8s.cluster.name")})
	}
	eventually(t, "findings of both", func() bool { return len(h.Events("goroutine.blocked_forever.detected")) > 1 })

	freed := make(chan struct{})
	func() {
		r := h.receiver()
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, gone := range r.targets {
			if gone.remote.Instance == b.address {
				runtime.AddCleanup(gone.observed, func(c chan struct{}) { close(c) }, freed)
			}
		}
	}()
	write(t, file, group("two", a.address))
	eventually(t, "its findings end", func() bool { return len(h.Events("goroutine.blocked_forever.resolved")) > 0 })
	eventually(t, "it is told", func() bool { return h.told("target is gone; its findings and series end", b.address) })
	eventually(t, "the other has its new label", func() bool { _, r, _ := h.latest(a.address); return attributeOf(r, "team") == "two" })
	last, _, n := h.latest(b.address)
	for _, m := range otlptest.Metrics(last) {
		for _, p := range flagsOf(m) {
			assert.True(t, p.NoRecordedValue(), m.Name())
		}
	}
	eventually(t, "its memory is freed", func() bool {
		runtime.GC()
		select {
		case <-freed:
			return true
		default:
			return false
		}
	})
	assert.Len(t, h.Events("goroutine.blocked_forever.resolved"), 1, "the other's finding is open: it has gone on")
	assert.Len(t, h.Events("goroutine.blocked_forever.detected"), 2)
	_, _, now := h.latest(b.address)
	assert.Equal(t, n, now, "nothing is sent any more")
	metadatatest.AssertEqualGoroutineReceiverTargets(t, h.metrics, byState(0, 1, 0, 0), metricdatatest.IgnoreTimestamp())

	write(t, file, group("two", a.address, b.address))
	eventually(t, "it is back", func() bool { _, _, again := h.latest(b.address); return again > n })
	eventually(t, "its finding is a new one", func() bool { return len(h.Events("goroutine.blocked_forever.detected")) > 2 })
}

func byState(counts ...int64) (points []metricdata.DataPoint[int64]) {
	for i, n := range counts {
		points = append(points, metricdata.DataPoint[int64]{Value: n, Attributes: attribute.NewSet(attribute.String("state", states[i]))})
	}
	return points
}

func flagsOf(m pmetric.Metric) (all []pmetric.DataPointFlags) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for _, p := range m.Gauge().DataPoints().All() {
			all = append(all, p.Flags())
		}
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			all = append(all, p.Flags())
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			all = append(all, p.Flags())
		}
	}
	return all
}

// What is beyond max_targets is told and counted.
func TestTooManyTargets(t *testing.T) {
	p := startProcess(t, "127.0.0.1:0")
	found := make([]any, 5)
	for i := range found {
		found[i] = fmt.Sprint("127.0.0.1:", i+1)
	}
	h := begin(t, values{
		"endpoint":    p.address,
		"discovery":   []any{values{"job_name": "shop", "static_configs": []any{values{"targets": found}}}},
		"max_targets": 3,
	})
	eventually(t, "two are found", func() bool { _, refused := h.receiver().count(); return refused == 3 })
	assert.True(t, h.told("there are more targets than max_targets, and those beyond are not observed", "not_observed:3"))
	metadatatest.AssertEqualGoroutineReceiverTargetsRefused(t, h.metrics, []metricdata.DataPoint[int64]{{Value: 3}}, metricdatatest.IgnoreTimestamp())
	eventually(t, "the listed one is observed", func() bool { _, ok := h.sum("127.0.0.1", telemetry.MetricCount); return ok })
}

// Another pod at the same address is another process.
func TestAnotherPodAtTheSameAddress(t *testing.T) {
	p := startProcess(t, "127.0.0.1:0")
	h := begin(t, values{"endpoint": p.address})
	r := h.receiver()
	ctx := t.Context()
	pod := func(uid string) []spec {
		return []spec{
			{name: "http://" + p.address + "/debug/pprof/", identity: uid, address: p.address, resource: pcommon.NewResource()},
			{name: "http://" + p.address + "/debug/pprof/", identity: "a second one", address: p.address, resource: pcommon.NewResource()},
		}
	}
	only := func() *target {
		r.mu.Lock()
		defer r.mu.Unlock()
		require.Len(t, r.targets, 1)
		for _, one := range r.targets {
			return one
		}
		return nil
	}
	r.observe(ctx, pod("u1"), 0)
	first := only()
	r.observe(ctx, pod("u1"), 0)
	assert.Same(t, first, only())
	r.observe(ctx, pod("u2"), 0)
	assert.NotSame(t, first, only())
	eventually(t, "the first has ended", func() bool { return h.logged.FilterMessage("target is gone; its findings and series end").Len() == 2 })
	r.observe(ctx, nil, 0)
	eventually(t, "none is left", func() bool { counts, _ := r.count(); return counts == [len(states)]int64{} })
}
