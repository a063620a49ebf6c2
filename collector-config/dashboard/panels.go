package dashboard

// kind is how a panel shows its queries.
type kind int

const (
	graph kind = iota
	number
	list
)

// A row is a part of the dashboard.
type row struct {
	title  string
	panels []panel
}

// A panel shows one or more queries.
type panel struct {
	title, description string
	kind               kind
	width, height      uint32 // the dashboard is 24 wide
	unit               string // as Grafana calls it
	stacked            bool
	queries            []query
}

// A query is a PromQL expression. Its name is the legend of a graph, or the
// column of a table.
type query struct{ expr, name, unit string }

// chosen selects the services and replicas that are chosen at the top.
const chosen = `job=~"$job", instance=~"$instance"`

// where narrows it to stacks that have series of their own.
const ownStacks = chosen + `, goroutine_stack_id!="_OTHER"`

const place = "{{code_function_name}} {{goroutine_stack_id}}"

var rows = []row{
	{"Findings", []panel{
		{title: "Findings open", kind: number, width: 4, height: 8,
			queries: []query{{expr: `sum(goroutine_finding_open{` + chosen + `})`}}},
		{title: "Open findings", kind: list, width: 20, height: 8,
			description: "Where to look: the function, and the stack whose ID leads to the other panels, to the events and to a profile.",
			queries:     []query{{name: "findings", expr: `sum by (job, instance, goroutine_detector_name, goroutine_finding_confidence, code_function_name, goroutine_stack_id) (goroutine_finding_open{` + chosen + `}) > 0`}}},
		{title: "Events", kind: list, width: 16, height: 8,
			description: "What arrived as events, counted by the Collector. The events themselves, with the whole stack and the evidence, are in the store for logs under the same event name, stack ID and finding ID.",
			queries:     []query{{name: "events", expr: `sum by (job, instance, event_name, code_function_name, goroutine_stack_id) (goroutine_event_count_total{` + chosen + `})`}}},
		{title: "Findings since the start", width: 8, height: 8,
			queries: []query{{name: "{{goroutine_detector_name}} ({{goroutine_finding_confidence}})", expr: `sum by (goroutine_detector_name, goroutine_finding_confidence) (goroutine_finding_detected_total{` + chosen + `})`}}},
	}},
	{"States", []panel{
		{title: "Goroutines by state", width: 12, height: 9, stacked: true,
			description: "In the Go runtime's own words. The values add up to all goroutines.",
			queries:     []query{{name: "{{goroutine_state}}", expr: `sum by (goroutine_state) (goroutine_count{` + chosen + `})`}}},
		{title: "By the scheduler's count", width: 6, height: 9, stacked: true,
			queries: []query{{name: "{{goroutine_scheduler_state}}", expr: `sum by (goroutine_scheduler_state) (goroutine_scheduler_count{` + chosen + `})`}}},
		{title: "Created per second", width: 6, height: 9, unit: "cps",
			queries: []query{{name: "{{job}}", expr: `sum by (job) (rate(goroutine_created_total{` + chosen + `}[$__rate_interval]))`}}},
	}},
	{"Stacks", []panel{
		{title: "Largest stacks", width: 24, height: 9,
			queries: []query{{name: place, expr: `topk(10, sum by (code_function_name, goroutine_stack_id) (goroutine_stack_count{` + ownStacks + `}))`}}},
		{title: "Largest stacks, with age", kind: list, width: 24, height: 10,
			description: "Age is that of the oldest goroutine there, at least. Many old ones that stay: look closer.",
			queries: []query{
				{name: "goroutines", expr: `topk(20, sum by (code_function_name, goroutine_stack_id) (goroutine_stack_count{` + ownStacks + `}))`},
				{name: "oldest", unit: "s", expr: `max by (code_function_name, goroutine_stack_id) (goroutine_stack_age_seconds{` + chosen + `})`},
			}},
		{title: "Oldest goroutine of a stack", width: 24, height: 8, unit: "s",
			description: "A line that rises as fast as time passes is a goroutine that stays.",
			queries:     []query{{name: place, expr: `topk(10, max by (code_function_name, goroutine_stack_id) (goroutine_stack_age_seconds{` + chosen + `}))`}}},
	}},
	{"Fleet", []panel{
		{title: "Goroutines by replica", width: 12, height: 8,
			queries: []query{{name: "{{job}} {{instance}}", expr: `topk(20, sum by (job, instance) (goroutine_count{` + chosen + `}))`}}},
		{title: "Replica against the median of its service", width: 12, height: 8,
			description: "1 is like the others. One line far above: a stuck host or dependency.",
			queries: []query{{name: "{{job}} {{instance}}", expr: `topk(20, sum by (job, instance) (goroutine_count{` + chosen + `})
  / on (job) group_left () quantile by (job) (0.5, sum by (job, instance) (goroutine_count{job=~"$job"})))`}}},
		{title: "Replicas with the same finding", kind: list, width: 12, height: 8,
			description: "Many at once: a bad release.",
			queries:     []query{{name: "replicas", expr: `count by (job, goroutine_detector_name, code_function_name, goroutine_stack_id) (max by (job, instance, goroutine_detector_name, code_function_name, goroutine_stack_id) (goroutine_finding_open{` + chosen + `}) > 0)`}}},
		{title: "Replicas", kind: list, width: 12, height: 8,
			description: "What is known of each from its resource; host_name comes with agents.",
			queries:     []query{{name: "telemetry", expr: `count by (job, instance, host_name, service_version, telemetry_sdk_version) (target_info{` + chosen + `})`}}},
	}},
	{"Cost of the instrumentation", []panel{
		{title: "Time of a look, 95th percentile", width: 8, height: 8, unit: "s",
			queries: []query{{name: "{{goroutine_snapshot_source}}", expr: `histogram_quantile(0.95, sum by (le, goroutine_snapshot_source) (rate(goroutine_snapshot_duration_seconds_bucket{` + chosen + `}[$__rate_interval]))) >= 0`}}},
		{title: "Share of a core, at most", width: 8, height: 8, unit: "percentunit",
			description: "The time that looks take. Their CPU time, which the budget is about, is not more.",
			queries:     []query{{name: "{{job}} {{instance}}", expr: `topk(20, sum by (job, instance) (rate(goroutine_snapshot_duration_seconds_sum{` + chosen + `}[$__rate_interval])))`}}},
		{title: "Looks that were skipped, per second", width: 4, height: 8, unit: "cps",
			queries: []query{{name: "{{reason}} ({{goroutine_snapshot_source}})", expr: `sum by (goroutine_snapshot_source, reason) (rate(goroutine_snapshot_skipped_total{` + chosen + `}[$__rate_interval]))`}}},
		{title: "Series", width: 4, height: 8,
			description: "What all of this takes in Prometheus.",
			queries:     []query{{name: "{{job}}", expr: `count by (job) ({__name__=~"goroutine_.*", ` + chosen + `})`}}},
	}},
}
