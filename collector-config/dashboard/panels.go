// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package dashboard

// kind is the way in which a panel shows its queries.
type kind int

const (
	graph kind = iota
	number
	list
)

// A row is a section of the dashboard.
type row struct {
	title  string
	panels []panel
}

// A panel shows one or more queries.
type panel struct {
	title, description string
	kind               kind
	width, height      uint32 // the dashboard is 24 columns wide
	unit               string // Grafana's name for it
	stacked            bool
	queries            []query
	events             string // of a list: the LogQL query that a click on a stack ID opens
}

// A query is a PromQL expression. Its name is the legend of a graph or the
// column of a table.
type query struct{ expr, name, unit string }

// The labels of a service, of a replica, and of a finding on it. In a Prometheus
// that does not promote the resource attributes, the first two are absent, and
// the queries work all the same.
const (
	service = `k8s_cluster_name, k8s_namespace_name, job`
	replica = service + `, instance`
	place   = `code_function_name, goroutine_stack_id`
	finding = `goroutine_detector_name, ` + place
)

// services selects the services that are chosen at the top of the dashboard, and
// chosen the replicas. "All" matches a label that is absent.
const (
	services = `k8s_cluster_name=~"$cluster", k8s_namespace_name=~"$namespace", job=~"$job"`
	chosen   = services + `, instance=~"$instance", service_version=~"$version"`
)

// ownStacks also limits the selection to stacks that have series of their own.
const ownStacks = chosen + `, goroutine_stack_id!="_OTHER"`

// present has one series for each replica.
const present = `goroutine_snapshot_age_seconds{` + chosen + `}`

// judging has a series for each detector that judges. Where there is none, no
// panel says 0 findings.
const judging = `(goroutine_detector_status{` + chosen + `, goroutine_detector_state="judging"} > 0)`

// orZero adds a 0 for each service that has no series in expr and whose detectors
// judge. So the list of a healthy service is not empty, and that of a service
// that is not judged is.
func orZero(expr string) string {
	return expr + ` or on (` + service + `) 0 * group by (` + service + `) ` + judging
}

// withServiceName adds the label service_name, by which a log store knows the
// service: job also has service.namespace.
func withServiceName(expr string) string {
	return `label_replace(` + expr + `, "service_name", "$1", "job", "(?:.*/)?(.*)")`
}

const placeLegend = "{{code_function_name}} {{goroutine_stack_id}}"

var rows = []row{
	{"Findings", []panel{
		{title: "Findings open", kind: number, width: 4, height: 8,
			description: "0 while at least one detector judges. Otherwise, that there are no findings means nothing.",
			queries:     []query{{expr: `sum(goroutine_finding_open{` + chosen + `}) or 0 * count` + judging}}},
		{title: "Open findings", kind: list, width: 20, height: 8, events: eventsOfReplica,
			description: "Function and stack of each finding; of a hang or a deadlock, of what stopped first. The stack ID is the same in the other panels, in events and in profiles: click on it for the events, and in an event on its trace. A service with 0 has none.",
			queries:     []query{{name: "findings", expr: withServiceName(orZero(`sum by (` + replica + `, service_version, goroutine_finding_confidence, ` + finding + `) (goroutine_finding_open{` + chosen + `}) > 0`))}}},
		{title: "Events", kind: list, width: 16, height: 8, events: eventsOfReplica,
			description: "Events, as counted by the Collector; 0 as well where no Collector counts them. The events themselves, with stack, evidence and advice, are in the log store, under the same event name and stack ID.",
			queries:     []query{{name: "events", expr: withServiceName(orZero(`sum by (` + replica + `, event_name, ` + place + `) (goroutine_event_count_total{` + chosen + `})`))}}},
		{title: "Findings detected", width: 8, height: 8,
			description: "Since the start of each replica.",
			queries:     []query{{name: "{{goroutine_detector_name}}", expr: `sum by (goroutine_detector_name) (goroutine_finding_detected_total{` + chosen + `}) or 0 * count by (goroutine_detector_name) ` + judging}}},
	}},
	{"What the findings cover", []panel{
		{title: "Detectors not judging", kind: list, width: 12, height: 8,
			description: "No findings of these detectors means nothing. short_history: too few snapshots yet, by default 1 minute for hangs and 47 for leaks. no_snapshot: none was taken for more than three intervals.",
			queries:     []query{{name: "detectors", expr: orZero(`sum by (` + replica + `, goroutine_detector_name, goroutine_detector_state) (goroutine_detector_status{` + chosen + `, goroutine_detector_state!="judging"}) > 0`)}}},
		{title: "Detectors by state", width: 6, height: 8, stacked: true,
			description: "Of all replicas.",
			queries:     []query{{name: "{{goroutine_detector_state}}", expr: `sum by (goroutine_detector_state) (goroutine_detector_status{` + chosen + `})`}}},
		{title: "Age of the newest snapshot", width: 6, height: 8, unit: "s",
			description: "Up to three intervals where nothing changes. Above that, and a few seconds, nothing is judged.",
			queries:     []query{{name: "{{job}} {{instance}}", expr: `topk(20, max by (` + replica + `) (` + present + `))`}}},
	}},
	{"Releases", releases},
	{"States", []panel{
		{title: "Goroutines by detailed state", width: 12, height: 9, stacked: true,
			description: "In the Go runtime's own words: running, runnable, or what they wait for. The values add up to all goroutines.",
			queries:     []query{{name: "{{goroutine_detailed_state}}", expr: `sum by (goroutine_detailed_state) (goroutine_count{` + chosen + `})`}}},
		{title: "Goroutines by scheduler state", width: 6, height: 9, stacked: true,
			description: "As counted by the scheduler itself, at every collection.",
			queries:     []query{{name: "{{goroutine_state}}", expr: `sum by (goroutine_state) (goroutine_scheduler_goroutine_count{` + chosen + `})`}}},
		{title: "Goroutines created per second", width: 6, height: 9, unit: "cps",
			queries: []query{{name: "{{job}}", expr: `sum by (` + service + `) (rate(goroutine_created_total{` + chosen + `}[$__rate_interval]))`}}},
	}},
	{"Stacks", []panel{
		{title: "Largest stacks", width: 24, height: 9,
			queries: []query{{name: placeLegend, expr: `topk(10, sum by (` + place + `) (goroutine_stack_goroutine_count{` + ownStacks + `}))`}}},
		{title: "Largest stacks and their age", kind: list, width: 24, height: 10,
			description: "The age is the minimum age of the oldest goroutine of the stack. Many old goroutines may be a leak.",
			queries: []query{
				{name: "goroutines", expr: `topk(20, sum by (` + place + `) (goroutine_stack_goroutine_count{` + ownStacks + `}))`},
				{name: "oldest", unit: "s", expr: `max by (` + place + `) (goroutine_stack_age_seconds{` + chosen + `})`},
			}},
		{title: "Oldest goroutine of a stack", width: 24, height: 8, unit: "s",
			description: "A line that rises by one second per second is a goroutine that does not exit.",
			queries:     []query{{name: placeLegend, expr: `topk(10, max by (` + place + `) (goroutine_stack_age_seconds{` + chosen + `}))`}}},
	}},
	{"Fleet", []panel{
		{title: "Goroutines by replica", width: 12, height: 8,
			queries: []query{{name: "{{job}} {{instance}}", expr: `topk(20, sum by (` + replica + `) (goroutine_count{` + chosen + `}))`}}},
		{title: "Replicas compared with the median of their service", width: 12, height: 8,
			description: "1 is the median. One line far above it points to a bad host or a hanging dependency.",
			queries: []query{{name: "{{job}} {{instance}}", expr: `topk(20, sum by (` + replica + `) (goroutine_count{` + chosen + `})
  / on (` + service + `) group_left () quantile by (` + service + `) (0.5, sum by (` + replica + `) (goroutine_count{` + services + `})))`}}},
		{title: "Replicas with the same finding", kind: list, width: 12, height: 8, events: eventsOfService,
			description: "The same finding on many replicas at once points to a bad release.",
			queries:     []query{{name: "replicas", expr: withServiceName(orZero(`count by (` + service + `, ` + finding + `) (max by (` + replica + `, ` + finding + `) (goroutine_finding_open{` + chosen + `}) > 0)`))}}},
		{title: "Replicas", kind: list, width: 12, height: 8,
			description: "Resource attributes of each replica; host_name is set by the agents.",
			queries:     []query{{name: "telemetry", expr: `count by (` + replica + `, host_name, service_version, telemetry_sdk_version) (target_info{` + chosen + `})`}}},
	}},
	{"Cost of the instrumentation", []panel{
		{title: "Snapshot cost, 95th percentile", width: 8, height: 8, unit: "s",
			queries: []query{{name: "{{goroutine_snapshot_source}}", expr: `histogram_quantile(0.95, sum by (le, goroutine_snapshot_source) (rate(goroutine_snapshot_duration_seconds_bucket{` + chosen + `}[$__rate_interval]))) >= 0`}}},
		{title: "Snapshot cost, share of a core", width: 8, height: 8, unit: "percentunit",
			description: "Time spent on snapshots. It is an upper bound of their CPU time, which the budget limits.",
			queries:     []query{{name: "{{job}} {{instance}}", expr: `topk(20, sum by (` + replica + `) (rate(goroutine_snapshot_duration_seconds_sum{` + chosen + `}[$__rate_interval])))`}}},
		{title: "Snapshots skipped per second", width: 4, height: 8, unit: "cps",
			queries: []query{{name: "{{goroutine_snapshot_skip_reason}} {{goroutine_snapshot_source}}", expr: `sum by (goroutine_snapshot_source, goroutine_snapshot_skip_reason) (rate(goroutine_snapshot_skipped_total{` + chosen + `}[$__rate_interval]))
  or label_replace(0 * count(` + present + `), "goroutine_snapshot_skip_reason", "none", "", "")`}}},
		{title: "Series", width: 4, height: 8,
			description: "Series of otelgoroutine in Prometheus.",
			queries:     []query{{name: "{{job}}", expr: `count by (` + service + `) ({__name__=~"goroutine_.*", ` + chosen + `})`}}},
	}},
}
