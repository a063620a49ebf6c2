package collectorconfig

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/collector-config/dashboard"
	"github.com/otelgoroutine/go/collector-config/internal/rig"
	"github.com/otelgoroutine/go/collector-config/seriescount"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// The whole chain, each part of it real: services with faults, the Collector,
// a scraping Prometheus with the alerts, the queries of the dashboard, and the
// events in the file and in the store that they go onward to.
func TestChain(t *testing.T) {
	t.Parallel()
	needPrometheus(t)
	events := newStore(t)
	col := startCollector(t, rig.CollectorConfig{Files: []string{"otel-collector.yaml"}, Env: []string{events.env()}})
	prom := startPrometheus(t, rig.PrometheusConfig{Collector: col, Hurry: hurry})
	startExample(t, col, "r1", "-faults", "all", "-faults-for", "35s")
	startExample(t, col, "r2", "-faults", "leak", "-faults-for", "35s")
	startExample(t, col, "r3", "-faults", "leak", "-faults-for", "35s")
	startExample(t, col, "r4", "-faults", "none")
	newPatient(t, col.OTLP, "tight", otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1e-6, Pause: 1})) // skips looks

	series(t, prom, `goroutine_count{instance="r1"}`)
	assert.Empty(t, alerts(t, prom, "GoroutineLeak"), "inactive before there is a leak")

	fires(t, prom, "GoroutineDeadlock", "r1", "main.transfer")
	fires(t, prom, "GoroutineBlockedForever", "r1", "main.(*settings).watch")
	fires(t, prom, "GoroutineLeak", "r1", "main.report.func1")
	fires(t, prom, "GoroutineFleetFinding", "", "main.report.func1")
	assertQueries(t, prom)
	assertSeries(t, prom)

	eventually(t, "GoroutineLeak to end", func() error { return gone(alerts(t, prom, "GoroutineLeak")) })
	assert.NotEmpty(t, alerts(t, prom, "GoroutineDeadlock"), "what is not cured fires on")
	failed, err := prom.FailedRules(t.Context())
	require.NoError(t, err)
	assert.Empty(t, failed)
	for _, a := range alerts(t, prom, "") {
		assert.NotEqual(t, "r4", a.Labels["instance"], "a healthy replica: %v", a)
	}
	eventually(t, "the end in the store", events.have("goroutine.leak.resolved", "r1"))
	assertEvents(t, eventsIn(t, col.Events))
	events.mu.Lock()
	defer events.mu.Unlock()
	assertEvents(t, events.events)
}

// alerts returns those with a name, or all when it is empty.
func alerts(t *testing.T, p *rig.Prometheus, name string) []rig.Alert {
	t.Helper()
	all, err := p.Alerts(t.Context())
	require.NoError(t, err)
	return slices.DeleteFunc(all, func(a rig.Alert) bool { return name != "" && a.Labels["alertname"] != name })
}

func gone(left []rig.Alert) error {
	if len(left) > 0 {
		return fmt.Errorf("still there: %v", left)
	}
	return nil
}

// fires waits until an alert fires on a replica, and checks that it tells a
// person where to look.
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

// assertQueries runs every query of the dashboard with its variables filled
// in.
func assertQueries(t *testing.T, p *rig.Prometheus) {
	t.Helper()
	variables := strings.NewReplacer("$job", ".*", "$instance", ".*", "$__rate_interval", "20s")
	for panel, queries := range dashboard.Queries() {
		for _, q := range queries {
			for _, s := range series(t, p, variables.Replace(q)) {
				assert.NotEqual(t, "NaN", s.Point[1], "%s: %v", panel, s.Labels)
			}
		}
	}
	for label, of := range dashboard.Variables() {
		got := series(t, p, "group by ("+label+") ("+variables.Replace(of)+")")
		assert.NotEmpty(t, got[0].Labels[label])
	}
}

// assertSeries holds the numbers that the README calculates against what a
// real Prometheus has.
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

func assertEvents(t *testing.T, events []event) {
	t.Helper()
	names := make(map[string]int)
	for _, e := range events {
		if e.instance == "r1" {
			names[e.name]++
			assertComplete(t, e)
		}
		assert.NotEqual(t, "r4", e.instance, "%s: %s", e.name, e.record.Body().Str())
	}
	for _, want := range []string{
		"goroutine.leak.detected", "goroutine.leak.resolved", "goroutine.deadlock.detected", "goroutine.blocked_forever.detected",
	} {
		assert.Positive(t, names[want], "%s among %v", want, slices.Sorted(maps.Keys(names)))
	}
}
