// Package seriescount calculates, from the catalog of metrics, how many series
// a replica has in Prometheus. The README's tables are rendered from it.
package seriescount

import (
	"fmt"
	"strings"

	"github.com/otelgoroutine/go/internal/telemetry"
)

// DefaultTop is the default of otelgoroutine.WithTopStacks.
const DefaultTop = 20

// A Row is what one metric comes to for one replica.
type Row struct {
	Metric     string // in OpenTelemetry
	Prometheus string // in Prometheus; a histogram has _bucket, _sum and _count behind it
	Usual      int    // series of a service of some size and no trouble
	Most       int    // series that it can have at most
	Why        string
}

// A span is how many values there are usually, and at most.
type span struct{ usual, most int }

// sources is how many kinds of snapshots a replica takes: the first profile and
// the traces; and all of them.
var sources = span{2, 5}

// of tells how many attribute sets a metric has. Where attributes depend on one
// another, as a function on its stack, they are counted together.
func of(m telemetry.Metric, top int) (span, string) {
	switch m.Name {
	case telemetry.MetricCount:
		return span{12, 100}, "states that occur; the runtime has some forty"
	case telemetry.MetricSchedulerCount:
		return span{4, 4}, "four states"
	case telemetry.MetricCreated:
		return span{1, 1}, ""
	case telemetry.MetricStackCount:
		return span{2*top + 10, 4*top + 100}, "the top stacks, about as many that left the top and are 0 for five minutes, and a state each of _OTHER"
	case telemetry.MetricStackAge:
		return span{2 * top, 13 * top}, "the top stacks; those that left the top stay until metric_expiration, 12 looks later"
	case telemetry.MetricFindingOpen:
		return span{0, 320}, "none without trouble; one for each open finding"
	case telemetry.MetricFindingDetected:
		return span{0, 7 * 6}, "none without trouble; detectors and levels of confidence"
	case telemetry.MetricSnapshotDuration:
		return sources, "kinds of snapshots"
	case telemetry.MetricSnapshotSkipped:
		return span{1, 5 * 8}, "kinds of snapshots and reasons"
	}
	return span{}, ""
}

// buckets is how many series a set of attributes of the histogram has: eleven
// bounds, +Inf, the sum and the count.
const buckets = 11 + 3

// Rows returns a row for each metric of the catalog, and none for a metric that
// nothing is known about, which the test does not let pass.
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

// inPrometheus is the name after the translation: dots become underscores, a
// unit that is no annotation and _total are added.
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

// Total adds rows up. Beside them every replica has target_info.
func Total(rows []Row) (usual, most int) {
	usual, most = 1, 1
	for _, r := range rows {
		usual, most = usual+r.Usual, most+r.Most
	}
	return usual, most
}

// Guarded is what the guard of gateway.yaml leaves of rows: the stacks with ten
// goroutines and more, which are one in four of the top in the example, with
// _OTHER by state, and the ages of those that are old.
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

// Markdown renders the tables of the README.
func Markdown() string {
	rows := Rows(DefaultTop)
	var b strings.Builder
	b.WriteString("| metric | in Prometheus | usual | at most | why |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| `%s` | `%s` | %d | %d | %s |\n", r.Metric, r.Prometheus, r.Usual, r.Most, r.Why)
	}
	usual, most := Total(rows)
	fmt.Fprintf(&b, "| with `target_info` | | **%d** | **%d** | |\n\n", usual, most)
	b.WriteString("| replicas | `WithTopStacks(20)` | `WithTopStacks(10)` | 20, behind the guard | at most, 20 |\n|---|---|---|---|---|\n")
	half, _ := Total(Rows(DefaultTop / 2))
	guarded, _ := Total(Guarded(rows, DefaultTop))
	for _, n := range []int{1, 10, 1000} {
		fmt.Fprintf(&b, "| %d | %d | %d | %d | %d |\n", n, n*usual, n*half, n*guarded, n*most)
	}
	return b.String()
}
