// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/otelgoroutine/go/collector-config/dashboard"
	"github.com/otelgoroutine/go/collector-config/internal/rig"
)

// fill replaces the dashboard's variables: those that are chosen with their value,
// and the others with what "All" stands for.
func fill(expr string, chosen map[string]string) string {
	pairs := []string{"$__rate_interval", "20s", "$__range", "10m"}
	for _, v := range dashboard.Variables() {
		value, ok := chosen[v.Name]
		if !ok {
			value = ".*"
		}
		pairs = append(pairs, "$"+v.Name, value)
	}
	return strings.NewReplacer(pairs...).Replace(expr)
}

// assertQueries runs every query of the dashboard, for what is chosen.
func assertQueries(t *testing.T, p *rig.Prometheus, chosen map[string]string) {
	t.Helper()
	for panel, queries := range dashboard.Queries() {
		for _, q := range queries {
			eventually(t, panel, func() error { return numbers(t, p, fill(q, chosen)) })
		}
	}
	for _, v := range dashboard.Variables() {
		got := series(t, p, "group by ("+v.Label+") ("+fill(v.Of, chosen)+") > 0")
		assert.NotEmpty(t, labels(got, v.Label), v.Name)
	}
	series(t, p, fill(dashboard.Annotations()["Findings"], nil))
}

// labels returns the values of a label, without the empty one.
func labels(got []rig.Series, name string) (values []string) {
	for _, s := range got {
		if v := s.Labels[name]; v != "" {
			values = append(values, v)
		}
	}
	return values
}

// assertHealthy checks that a healthy replica has a value in every panel, and that
// none of the lists names a fault of its neighbours. On a slow machine, the
// example's short times may let it have a surge or contention.
func assertHealthy(t *testing.T, p *rig.Prometheus, instance string) {
	t.Helper()
	chosen := map[string]string{"instance": instance}
	assertQueries(t, p, chosen)
	for _, panel := range []string{"Open findings", "Replicas with the same finding"} {
		for _, s := range series(t, p, fill(dashboard.Queries()[panel][0], chosen)) {
			assert.NotRegexp(t, "leak|deadlock|blocked_forever", s.Labels["goroutine_detector_name"], panel)
		}
	}
}

// numbers returns an error unless a query returns series and all of them are
// numbers. A quantile is not a number while there are no new observations.
func numbers(t *testing.T, p *rig.Prometheus, query string) error {
	for _, s := range series(t, p, query) {
		if s.Point[1] == "NaN" {
			return fmt.Errorf("%s: no number for %v", query, s.Labels)
		}
	}
	return nil
}

// A Prometheus of today receives metrics in three ways: it scrapes the Collector,
// the Collector writes to it, and a service exports to it by OTLP. The dashboard
// and the alerts work in each.
func TestPrometheusOfToday(t *testing.T) {
	t.Parallel()
	program, err := today()
	require.NoError(t, err)
	events := newStore(t)
	scraped := startCollector(t, rig.CollectorConfig{Files: []string{"otel-collector.yaml"}, Env: []string{events.env()}})
	scraping := startPrometheus(t, rig.PrometheusConfig{Collector: scraped, Hurry: hurry, Program: program.prometheus})
	written := startPrometheus(t, rig.PrometheusConfig{Hurry: hurry, Program: program.prometheus, OTLP: true, RemoteWrite: true})
	writing := startCollector(t, rig.CollectorConfig{Files: []string{"otel-collector.yaml", "remote-write.yaml"},
		Env: []string{events.env(), "REMOTE_WRITE_ENDPOINT=http://" + written.Addr + "/api/v1/write"}})
	for instance, prom := range map[string]*rig.Prometheus{"scraped": scraping, "written": written, "otlp": written} {
		c := rig.ExampleConfig{OTLP: writing.OTLP, Instance: instance, Resource: deployed("v1.8.1"), Args: []string{"-faults", "leak"}}
		switch instance {
		case "scraped":
			c.OTLP = scraped.OTLP
		case "otlp":
			c.Env = prom.OTLP() // its events go to the Collector
		}
		runExample(t, c)
	}
	for instance, prom := range map[string]*rig.Prometheus{"scraped": scraping, "written": written, "otlp": written} {
		fires(t, prom, "GoroutineLeak", instance, "main.report.func1")
		assertQueries(t, prom, map[string]string{"instance": instance, "cluster": "c1", "namespace": "shops", "job": "otelgoroutine-example", "version": "v1.8.1"})
		got := series(t, prom, `goroutine_finding_open{instance="`+instance+`"}`)
		assert.Equal(t, "orders", got[0].Labels["team"])
		failed, err := prom.FailedRules(t.Context())
		require.NoError(t, err)
		assert.Empty(t, failed)
	}
}

// replicasVariable sets another number of replicas for TestRelease, at least 3. Each
// is a process of the example.
const replicasVariable = "CHAINTEST_RELEASE_REPLICAS"

func replicas(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv(replicasVariable), "3"))
	require.NoError(t, err, replicasVariable)
	require.GreaterOrEqual(t, n, 3, replicasVariable)
	return n
}

// A release replaces replicas of v1.8.1 one by one, under the same names, with
// v1.8.2, which leaks. With a quarter of them replaced, every view says so: the
// finding is one of v1.8.2 only, all of its replicas have it, its stack has more
// goroutines than in v1.8.1, and the alert on a release is about v1.8.2.
func TestRelease(t *testing.T) {
	t.Parallel()
	n := replicas(t)
	bad := max(1, n/4)
	start := time.Now()
	events := newStore(t)
	col := startCollector(t, rig.CollectorConfig{Files: []string{"otel-collector.yaml"}, Env: []string{events.env(), "METRIC_EXPIRATION=10s"}})
	prom := startPrometheus(t, rig.PrometheusConfig{Collector: col, Hurry: hurry})
	deploy := func(i int, version, faults string) *rig.Process {
		return runExample(t, rig.ExampleConfig{OTLP: col.OTLP, Instance: fmt.Sprintf("shop-%d", i), Resource: deployed(version), Args: []string{"-faults", faults, "-load", "light"}})
	}
	running := make([]*rig.Process, n)
	for i := range running {
		running[i] = deploy(i, "v1.8.1", "none")
	}
	eventually(t, "all replicas of v1.8.1", func() error { return replicasOf(t, prom, map[string]int{"v1.8.1": n}) })
	view(t, prom, "Findings of one version only", 0, map[string]string{"": "0"})

	before := time.Now()
	for i := range bad {
		running[i].Stop()
		deploy(i, "v1.8.2", "leak")
	}
	eventually(t, "the release", func() error { return replicasOf(t, prom, map[string]int{"v1.8.1": n - bad, "v1.8.2": bad}) })
	view(t, prom, "Findings of one version only", 0, map[string]string{"v1.8.2": strconv.Itoa(bad)})
	view(t, prom, "Findings by version", 1, map[string]string{"v1.8.2": "1"}) // the share
	eventually(t, "the stack of the leak", func() error { return hasMore(panelOf(t, prom, moreGoroutines, 0)) })
	assertAlert(t, prom, before, "v1.8.2")
	marked, err := prom.QueryRange(t.Context(), rig.Hurry(fill(dashboard.Annotations()["Releases"], nil), hurry), start, time.Second)
	require.NoError(t, err)
	assert.Equal(t, []string{"v1.8.2"}, labels(marked, "service_version"), "the start of the service is no release")
}

// replicasOf returns an error unless each version has so many replicas.
func replicasOf(t *testing.T, p *rig.Prometheus, want map[string]int) error {
	got := make(map[string]int)
	for _, s := range panelOf(t, p, "Replicas by version", 0) {
		n, err := strconv.Atoi(s.Point[1].(string))
		require.NoError(t, err)
		got[s.Labels["service_version"]] = n
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("the versions have %v replicas instead of %v", got, want)
	}
	return nil
}

const moreGoroutines = "Stacks with more goroutines than in other versions"

// panelOf waits until a query of a panel returns series, and returns them.
func panelOf(t *testing.T, p *rig.Prometheus, panel string, query int) []rig.Series {
	t.Helper()
	return series(t, p, fill(dashboard.Queries()[panel][query], nil))
}

// view waits until a query of a panel has these values of the leak, by version.
// Without a leak there is a 0 of no version.
func view(t *testing.T, p *rig.Prometheus, panel string, query int, want map[string]string) {
	t.Helper()
	eventually(t, panel, func() error {
		got := leaks(panelOf(t, p, panel, query))
		if !maps.Equal(got, want) {
			return fmt.Errorf("%v instead of %v", got, want)
		}
		return nil
	})
}

// leaks returns the values about leaks, and about no finding, by version.
func leaks(all []rig.Series) map[string]string {
	values := make(map[string]string)
	for _, s := range all {
		if d := s.Labels["goroutine_detector_name"]; d == "leak" || d == "" {
			values[s.Labels["service_version"]] = s.Point[1].(string)
		}
	}
	return values
}

// hasMore returns an error unless v1.8.2 has more goroutines of the leak.
func hasMore(all []rig.Series) error {
	for _, s := range all {
		if s.Labels["code_function_name"] == "main.report.func1" && s.Labels["service_version"] == "v1.8.2" {
			return nil
		}
	}
	return fmt.Errorf("not among %v", all)
}

// sinceRelease is the alert on a finding that began with a release.
const sinceRelease = "GoroutineFindingSinceRelease"

// assertAlert checks the expression of that alert, which compares with the day
// before. The day is replaced by a time at which only the version before ran.
func assertAlert(t *testing.T, p *rig.Prometheus, before time.Time, version string) {
	t.Helper()
	expr := expressionOf(t, sinceRelease)
	eventually(t, sinceRelease, func() error {
		day := fmt.Sprintf("%ds", int(time.Since(before).Seconds()))
		got, err := p.Query(t.Context(), strings.NewReplacer("offset 1d", "offset "+day, "[1d]", "["+day+"]").Replace(expr))
		if err != nil {
			return err
		}
		if versions := labels(got, "service_version"); !slices.Contains(versions, version) || slices.Contains(versions, "v1.8.1") {
			return fmt.Errorf("it is about %v", versions)
		}
		return nil
	})
}

// expressionOf returns the expression of an alert.
func expressionOf(t *testing.T, alert string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "alerts.yaml"))
	require.NoError(t, err)
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &rules))
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert == alert {
				return r.Expr
			}
		}
	}
	require.Fail(t, "no such alert", alert)
	return ""
}
