// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package seriescount calculates how many series a replica has in Prometheus,
// using the catalog of metrics. The README's tables are rendered from the
// result.
package seriescount

import (
	"fmt"
	"strings"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// DefaultTop is the default of otelgoroutine.WithTopStacks.
const DefaultTop = 20

// A Row has the number of series of one metric for one replica.
type Row struct {
	Metric     string // name in OpenTelemetry
	Prometheus string // name in Prometheus; a histogram appends _bucket, _sum and _count
	Usual      int    // series of a service of medium size without findings
	Most       int    // upper bound
	Why        string
}

// A span is the usual and the maximum number of values.
type span struct{ usual, most int }

// sources is how many sources of snapshots a replica uses. Usually it is the
// first profile and then traces; at most it is all values of
// goroutine.snapshot.source.
var sources = span{2, 6}

// builtin is how many detectors a replica has by default.
var builtin = len(detectors.Default())

// reasons is how many values goroutine.snapshot.skip_reason has.
const reasons = 12

// of returns how many attribute sets a metric has, and why. Attributes that
// depend on each other, such as a stack and its function, are counted together.
func of(m telemetry.Metric, top int) (span, string) {
	switch m.Name {
	case telemetry.MetricCount:
		return span{12, 100}, "detailed states that occur; the runtime has about forty"
	case telemetry.MetricSchedulerCount:
		return span{4, 4}, "four states"
	case telemetry.MetricCreated:
		return span{1, 1}, ""
	case telemetry.MetricStackCount:
		return span{2*top + 10, 4*top + 100}, "the top stacks, about as many that left the top and are 0 for five minutes, and the states of _OTHER"
	case telemetry.MetricStackAge:
		return span{2 * top, 13 * top}, "the top stacks; stacks that left the top keep their last value until metric_expiration, 12 snapshots later"
	case telemetry.MetricFindingOpen:
		return span{0, 320}, "none without findings; one for each open finding"
	case telemetry.MetricFindingDetected:
		return span{0, builtin * 6}, "none without findings; detectors and levels of confidence"
	case telemetry.MetricSnapshotDuration:
		return sources, "sources of snapshots"
	case telemetry.MetricSnapshotSkipped:
		return span{1, sources.most * reasons}, "sources of snapshots and reasons"
	case telemetry.MetricSnapshotAge:
		return span{1, 1}, ""
	case telemetry.MetricProfileDropped:
		return span{0, 1}, "none unless profiles are exported and one was dropped"
	case telemetry.MetricDetectorStatus:
		return span{builtin, builtin * 9}, "detectors, each in one state; those that it left are 0 for five minutes"
	}
	return span{}, ""
}

// buckets is how many series the histogram has for each attribute set: eleven
// bounds, +Inf, the sum and the count.
const buckets = 11 + 3

// Rows returns a row for each metric of the catalog that has a case in of. A
// test checks that every metric has one.
func Rows(top int) []Row {
	var rows []Row
	for _, m := range telemetry.Metrics() {
		n, why := of(m, top)
		if n == (span{}) {
			continue
		}
		if m.Instrument == "Histogram" {
			n = span{n.usual * buckets, n.most * buckets}
			why += fmt.Sprintf(", %d series each", buckets)
		}
		rows = append(rows, Row{m.Name, inPrometheus(m), n.usual, n.most, why})
	}
	return rows
}

// inPrometheus returns the translated name. Dots become underscores. The unit,
// unless it is an annotation, and _total are appended.
func inPrometheus(m telemetry.Metric) string {
	name := strings.ReplaceAll(m.Name, ".", "_")
	if m.Unit == "s" {
		name += "_seconds"
	}
	if strings.HasSuffix(m.Instrument, "Counter") && !strings.Contains(m.Instrument, "UpDown") {
		name += "_total"
	}
	return name
}

// Total adds up the rows and target_info, which every replica has.
func Total(rows []Row) (usual, most int) {
	usual, most = 1, 1
	for _, r := range rows {
		usual, most = usual+r.Usual, most+r.Most
	}
	return usual, most
}

// Guarded returns what remains of rows after the guard of gateway.yaml: stacks
// with at least ten goroutines, which are a quarter of the top stacks in the
// example, _OTHER by state, and the ages of old goroutines.
func Guarded(rows []Row, top int) []Row {
	guarded := append([]Row(nil), rows...)
	for i, r := range guarded {
		switch r.Metric {
		case telemetry.MetricStackCount:
			guarded[i].Usual = top/4 + 12
		case telemetry.MetricStackAge:
			guarded[i].Usual = top / 2
		}
	}
	return guarded
}

// Markdown renders the tables for the README.
func Markdown() string {
	rows := Rows(DefaultTop)
	var b strings.Builder
	b.WriteString("| metric | in Prometheus | usual | at most | why |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| `%s` | `%s` | %d | %d | %s |\n", r.Metric, r.Prometheus, r.Usual, r.Most, r.Why)
	}
	usual, most := Total(rows)
	fmt.Fprintf(&b, "| total with `target_info` | | **%d** | **%d** | |\n\n", usual, most)
	b.WriteString("| replicas | `WithTopStacks(20)` | `WithTopStacks(10)` | 20, behind the guard | 20, at most |\n|---|---|---|---|---|\n")
	half, _ := Total(Rows(DefaultTop / 2))
	guarded, _ := Total(Guarded(rows, DefaultTop))
	for _, n := range []int{1, 10, 1000} {
		fmt.Fprintf(&b, "| %d | %d | %d | %d | %d |\n", n, n*usual, n*half, n*guarded, n*most)
	}
	return b.String()
}
