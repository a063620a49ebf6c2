// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/collector-config/internal/rig"
	"github.com/otelgoroutine/go/collector-config/seriescount"
)

// The whole chain consists of real parts: services with faults, the Collector,
// a scraping Prometheus with the alerts, the queries of the dashboard, and the
// events in the file and in the store that they are forwarded to.
func TestChain(t *testing.T) {
	t.Parallel()
	events := newStore(t)
	col := startCollector(t, rig.CollectorConfig{Files: []string{"otel-collector.yaml"}, Env: []string{events.env()}})
	prom := startPrometheus(t, rig.PrometheusConfig{Collector: col, Hurry: hurry})
	startExample(t, col, "r1", "-faults", "all")
	startExample(t, col, "r2", "-faults", "leak")
	startExample(t, col, "r3", "-faults", "leak")
	startExample(t, col, "r4", "-faults", "none")
	curable := startReplica(t, patientConfig{OTLP: col.OTLP, Instance: "p1", Leak: true})
	startReplica(t, patientConfig{OTLP: col.OTLP, Instance: "tight", Tight: true})
	startReplica(t, patientConfig{OTLP: col.OTLP, Instance: "blind", NoIDs: true})

	fires(t, prom, "GoroutineDeadlock", "r1", "main.transfer")
	fires(t, prom, "GoroutineBlockedForever", "r1", "main.(*settings).watch")
	fires(t, prom, "GoroutineLeak", "r1", "main.report.func1")
	fires(t, prom, "GoroutineFleetFinding", "", "main.report.func1")
	fires(t, prom, "GoroutineLeak", "p1", fnName("forgotten"))
	eventually(t, "the detectors of blind", func() error { return cannotJudge(alerts(t, prom, "GoroutineDetectorNotJudging"), "blind", "deadlock") })
	assertQueries(t, prom, nil)
	assertHealthy(t, prom, "r4")
	assertSeries(t, prom)

	curable.cure(t)
	eventually(t, "the leak of p1 to end", func() error { return gone(alerts(t, prom, "GoroutineLeak"), "p1") })
	assert.NotEmpty(t, alerts(t, prom, "GoroutineDeadlock"), "what is not cured fires on")
	failed, err := prom.FailedRules(t.Context())
	require.NoError(t, err)
	assert.Empty(t, failed)
	for _, name := range []string{"GoroutineLeak", "GoroutineDeadlock", "GoroutineBlockedForever", "GoroutineDetectorNotJudging"} {
		assert.NoError(t, gone(alerts(t, prom, name), "r4"), "a healthy replica")
	}
	eventually(t, "the end in the store", events.have("goroutine.leak.resolved", "p1"))
	assertEvents(t, eventsIn(t, col.Events))
	events.mu.Lock()
	defer events.mu.Unlock()
	assertEvents(t, events.events)
}

// alerts returns the alerts with a name, or all alerts if name is empty.
func alerts(t *testing.T, p *rig.Prometheus, name string) []rig.Alert {
	t.Helper()
	all, err := p.Alerts(t.Context())
	require.NoError(t, err)
	return slices.DeleteFunc(all, func(a rig.Alert) bool { return name != "" && a.Labels["alertname"] != name })
}

// gone returns an error if any alert is about a replica.
func gone(left []rig.Alert, instance string) error {
	for _, a := range left {
		if a.Labels["instance"] == instance {
			return fmt.Errorf("still there: %v", a)
		}
	}
	return nil
}

// cannotJudge returns an error unless an alert fires that a detector of a replica
// has no goroutine IDs.
func cannotJudge(all []rig.Alert, instance, detector string) error {
	for _, a := range all {
		if a.State == "firing" && a.Labels["instance"] == instance && a.Labels["goroutine_detector_state"] == "no_ids" &&
			strings.Contains(a.Annotations["description"], " "+detector+",") {
			return nil
		}
	}
	return fmt.Errorf("not among %v", all)
}

// fires waits until an alert fires for a replica. It checks that the alert's
// text names the place.
func fires(t *testing.T, p *rig.Prometheus, name, instance, function string) {
	t.Helper()
	eventually(t, name, func() error {
		for _, a := range alerts(t, p, name) {
			if a.State == "firing" && a.Labels["instance"] == instance && a.Labels["code_function_name"] == function {
				description := a.Annotations["description"]
				assert.Contains(t, description, a.Labels["goroutine_stack_id"])
				assert.Contains(t, description, function)
				assert.NotContains(t, description+a.Annotations["summary"], "error expanding")
				return nil
			}
		}
		return fmt.Errorf("%s does not fire on %q: %v", name, instance, alerts(t, p, ""))
	})
}

// assertSeries compares the numbers that the README calculates with those of a
// real Prometheus.
func assertSeries(t *testing.T, p *rig.Prometheus) {
	t.Helper()
	for _, row := range seriescount.Rows(seriescount.DefaultTop) {
		got, err := p.Query(t.Context(), `count by (instance) ({__name__=~"`+row.Prometheus+`(_bucket|_sum|_count)?", job="otelgoroutine-example"})`)
		require.NoError(t, err)
		for _, s := range got {
			var n int
			_, err := fmt.Sscan(s.Point[1].(string), &n)
			require.NoError(t, err)
			assert.LessOrEqual(t, n, row.Most, "%s of %s", row.Metric, s.Labels["instance"])
		}
	}
}

// assertEvents checks the events about faults. The example's detectors use
// short times, so on a slow machine they may report a surge or contention, even
// in r4.
func assertEvents(t *testing.T, events []event) {
	t.Helper()
	names := make(map[string]int)
	for _, e := range events {
		names[e.instance+" "+e.name]++
		if e.instance == "r1" {
			assertComplete(t, e)
		}
	}
	for _, want := range []string{
		"r1 goroutine.leak.detected", "r1 goroutine.deadlock.detected", "r1 goroutine.blocked_forever.detected", "p1 goroutine.leak.resolved",
	} {
		assert.Positive(t, names[want], "%s among %v", want, slices.Sorted(maps.Keys(names)))
		assert.Zero(t, names["r4 "+strings.TrimPrefix(want, "r1 ")], "%s of a healthy replica", want)
	}
}
