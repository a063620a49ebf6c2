// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/otelgoroutine/go/collector-config/dashboard"
	"github.com/otelgoroutine/go/collector-config/internal/rig"
)

// The tests in this file evaluate queries of the dashboard over series that are
// made up, with promtool: what a healthy service, one that nothing judges, and a
// release of twenty replicas show.

// A madeUp series has a value every half minute, from the start on.
type madeUp struct{ Series, Values string }

// A sample is a value that a query is expected to have.
type sample struct {
	Labels string
	Value  float64
}

// samples are what a query is expected to have, and in which panel it is.
type samples map[string][]sample

// assertSamples checks the first query of panels after 20 minutes.
func assertSamples(t *testing.T, input []madeUp, want samples) {
	t.Helper()
	var checks []check
	for panel, s := range want {
		require.NotEmpty(t, dashboard.Queries()[panel], panel)
		checks = append(checks, check{fill(dashboard.Queries()[panel][0], nil), "20m", s})
	}
	assertValues(t, input, checks)
}

// A check is an expression, when to evaluate it, and what it is expected to have.
type check struct {
	Expr     string
	EvalTime string   `yaml:"eval_time"`
	Samples  []sample `yaml:"exp_samples"`
}

// assertValues checks expressions with promtool.
func assertValues(t *testing.T, input []madeUp, checks []check) {
	t.Helper()
	text, err := yaml.Marshal(map[string]any{
		"evaluation_interval": "1m",
		"tests":               []map[string]any{{"interval": "30s", "input_series": input, "promql_expr_test": checks}},
	})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "panels.yaml")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	_, promtool, err := rig.FindPrometheus()
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", file).CombinedOutput()
	assert.NoError(t, err, "%s", out)
}

// service returns the series of n replicas that are present and in which a
// detector is in a state. first is the number of the first one.
func service(version, state string, first, n int) (all []madeUp) {
	for i := range n {
		labels := fmt.Sprintf(`job="ns/shop", instance="shop-%d", service_version="%s"`, first+i, version)
		for _, s := range []string{
			"goroutine_snapshot_age_seconds{" + labels + "}",
			"goroutine_detector_status{" + labels + `, goroutine_detector_name="leak", goroutine_detector_state="` + state + `"}`,
			"goroutine_stack_goroutine_count{" + labels + `, goroutine_stack_id="ab", code_function_name="main.work"}`,
		} {
			all = append(all, madeUp{s, "1x40"})
		}
	}
	return all
}

// ended makes series end after sixteen minutes.
func ended(all []madeUp) []madeUp {
	for i := range all {
		all[i].Values = "1x32 stale"
	}
	return all
}

// later makes series begin after eighteen minutes.
func later(all []madeUp) []madeUp {
	for i := range all {
		all[i].Values = "_x35 1x40"
	}
	return all
}

// lists are the panels that are empty where there are findings of no replica.
var lists = []string{"Open findings", "Events", "Replicas with the same finding", "Findings of one version only", "Findings by version"}

func TestHealthyServiceHasZeros(t *testing.T) {
	want := samples{
		"Findings open":                {{"{}", 0}},
		"Detectors not judging":        {{`{job="ns/shop"}`, 0}},
		"Snapshots skipped per second": {{`{goroutine_snapshot_skip_reason="none"}`, 0}},
		"Findings detected":            {{`{goroutine_detector_name="leak"}`, 0}},
		moreGoroutines:                 {{`{job="ns/shop"}`, 0}},
	}
	for _, panel := range lists {
		want[panel] = []sample{{`{job="ns/shop", service_name="shop"}`, 0}}
	}
	assertSamples(t, service("v1", "judging", 0, 2), want)
}

// Nothing says 0 findings of a service that no detector judges.
func TestServiceThatIsNotJudgedHasNoZeros(t *testing.T) {
	want := samples{"Findings open": nil, "Findings detected": nil}
	for _, panel := range lists {
		want[panel] = nil
	}
	assertSamples(t, service("v1", "no_snapshot", 0, 2), want)
}

const leak = `code_function_name="main.work", goroutine_detector_name="leak", goroutine_stack_id="ab"`

// leaking returns the series of the leaks on n replicas.
func leaking(version string, first, n int) (all []madeUp) {
	for i := range n {
		all = append(all, madeUp{fmt.Sprintf(`goroutine_finding_open{job="ns/shop", instance="shop-%d", service_version="%s", goroutine_finding_confidence="suspected", %s}`, first+i, version, leak), "1x40"})
	}
	return all
}

// Of twenty replicas, one has the new version, under the name of an old one whose
// series are still there.
func TestReleaseOfTwentyReplicas(t *testing.T) {
	input := slices.Concat(service("v1.8.1", "judging", 0, 20), service("v1.8.2", "judging", 0, 1), leaking("v1.8.2", 0, 1),
		[]madeUp{{`goroutine_stack_goroutine_count{job="ns/shop", instance="shop-0", service_version="v1.8.2", goroutine_stack_id="cd", code_function_name="main.report"}`, "1x40"}})
	finding := sample{`{job="ns/shop", service_name="shop", service_version="v1.8.2", ` + leak + `}`, 1}
	assertSamples(t, input, samples{
		"Replicas by version":          {{`{job="ns/shop", service_version="v1.8.1"}`, 20}, {`{job="ns/shop", service_version="v1.8.2"}`, 1}},
		"Findings of one version only": {finding},
		"Findings by version":          {finding},
		moreGoroutines:                 {{`{job="ns/shop", service_version="v1.8.2", goroutine_stack_id="cd", code_function_name="main.report"}`, 1}},
	})
}

// What both versions have did not begin with the new one.
func TestFindingOfBothVersions(t *testing.T) {
	input := slices.Concat(service("v1.8.1", "judging", 0, 19), service("v1.8.2", "judging", 19, 1), leaking("v1.8.1", 3, 1), leaking("v1.8.2", 19, 1))
	labels := func(version string) string {
		return `{job="ns/shop", service_name="shop", service_version="` + version + `", ` + leak + `}`
	}
	assertSamples(t, input, samples{
		"Findings of one version only": {{`{job="ns/shop", service_name="shop"}`, 0}},
		"Findings by version":          {{labels("v1.8.1"), 1}, {labels("v1.8.2"), 1}},
	})
}

// When the release is complete, the range shown still has the old version. A
// finding that was there with a version before it did not begin with this one.
func TestReleaseThatIsComplete(t *testing.T) {
	old, present := ended(service("v1.8.1", "judging", 0, 20)), service("v1.8.2", "judging", 20, 20)
	finding := sample{`{job="ns/shop", service_name="shop", service_version="v1.8.2", ` + leak + `}`, 7}
	assertSamples(t, slices.Concat(old, present, leaking("v1.8.2", 20, 7)), samples{"Findings of one version only": {finding}})
	assertSamples(t, slices.Concat(old, present, leaking("v1.8.2", 20, 7), ended(leaking("v1.8.1", 3, 1))), samples{
		"Findings of one version only": {{`{job="ns/shop", service_name="shop"}`, 0}},
		"Findings by version":          {finding},
	})
}

// A release is marked for its first five minutes.
func TestReleaseIsMarked(t *testing.T) {
	marks := dashboard.Annotations()["Releases"]
	assertValues(t, slices.Concat(service("v1.8.1", "judging", 0, 3), later(service("v1.8.2", "judging", 3, 1))), []check{
		{fill(marks, nil), "5m", nil}, // the start of the service is no release
		{fill(marks, nil), "17m", nil},
		{fill(marks, nil), "19m", []sample{{`{job="ns/shop", service_version="v1.8.2"}`, 1}}},
		{fill(marks, nil), "24m", nil},
	})
}
