package telemetry

import (
	"fmt"
	"slices"
	"strings"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// Names of the metrics.
const (
	MetricCount            = "goroutine.count"
	MetricSchedulerCount   = "goroutine.scheduler.count"
	MetricCreated          = "goroutine.created"
	MetricStackCount       = "goroutine.stack.count"
	MetricStackAge         = "goroutine.stack.age"
	MetricFindingOpen      = "goroutine.finding.open"
	MetricFindingDetected  = "goroutine.finding.detected"
	MetricSnapshotDuration = "goroutine.snapshot.duration"
	MetricSnapshotSkipped  = "goroutine.snapshot.skipped"
)

// Names of the attributes of metrics and events.
const (
	AttrState            = "goroutine.state"
	AttrSchedulerState   = "goroutine.scheduler.state"
	AttrStackID          = "goroutine.stack.id"
	AttrEntryFunction    = "goroutine.entry.function.name"
	AttrDetectorName     = "goroutine.detector.name"
	AttrConfidence       = "goroutine.finding.confidence"
	AttrSnapshotSource   = "goroutine.snapshot.source"
	AttrReason           = "reason"
	AttrFindingID        = "goroutine.finding.id"
	AttrFindingCount     = "goroutine.finding.goroutine_count"
	AttrGrowthPerMinute  = "goroutine.finding.growth_per_minute"
	AttrFindingAge       = "goroutine.finding.age"
	AttrEvidence         = "goroutine.finding.evidence"
	AttrIDs              = "goroutine.ids"
	AttrProfilePath      = "goroutine.profile.path"
	AttrCreatorFunction  = "goroutine.creator.function.name"
	AttrCreatorFile      = "goroutine.creator.file.path"
	AttrCreatorLine      = "goroutine.creator.line.number"
	AttrSuppressedCount  = "goroutine.finding.suppressed_count"
	labelPrefix          = "goroutine.label."
	AttrCodeFunctionName = "code.function.name"
	AttrCodeFilePath     = "code.file.path"
	AttrCodeLineNumber   = "code.line.number"
	AttrCodeStacktrace   = "code.stacktrace"
)

// Names of the events. Those of a finding are made of its detector's name.
const (
	eventPrefix     = "goroutine."
	eventDetected   = ".detected"
	eventResolved   = ".resolved"
	EventSuppressed = "goroutine.findings.suppressed"
)

// A Metric is one row of the catalog of metrics.
type Metric struct {
	Name, Instrument, Unit string
	Attributes             []string
	Doc                    string
}

// Metrics returns the catalog of metrics, for what is calculated from it. The
// caller may change the slice but not what is in it.
func Metrics() []Metric { return slices.Clone(metricCatalog) }

// metricCatalog is the one place where a metric is described: instruments are
// made from it and TELEMETRY.md is rendered from it.
var metricCatalog = []Metric{
	{MetricCount, "ObservableUpDownCounter", "{goroutine}", []string{AttrState},
		"Goroutines by what they are doing. The values add up to the snapshot's total."},
	{MetricSchedulerCount, "ObservableUpDownCounter", "{goroutine}", []string{AttrSchedulerState},
		"Goroutines by the scheduler's own count, read at every collection. Approximate: the values need not add up, and the runtime's own goroutines, some ten, are among them."},
	{MetricCreated, "ObservableCounter", "{goroutine}", nil,
		"Goroutines created since the start of the process."},
	{MetricStackCount, "ObservableUpDownCounter", "{goroutine}", []string{AttrStackID, AttrState, AttrCodeFunctionName, AttrEntryFunction, labelPrefix + "<key>"},
		"Goroutines of the largest stacks. What is not among them is counted under the stack ID _OTHER, which has no function names: the values add up to the snapshot's total."},
	{MetricStackAge, "ObservableGauge", "s", []string{AttrStackID, AttrCodeFunctionName},
		"Age, at least, of the oldest goroutine of each of the largest stacks. Absent where the source of the snapshot has no goroutine IDs."},
	{MetricFindingOpen, "ObservableUpDownCounter", "{finding}", []string{AttrDetectorName, AttrConfidence, AttrStackID, AttrCodeFunctionName},
		"Findings that are open now. Those that have been open for longest have their stack with them, 20 at most; the others are counted under the stack ID _OTHER, so that the values add up."},
	{MetricFindingDetected, "Counter", "{finding}", []string{AttrDetectorName, AttrConfidence},
		"Findings that were opened."},
	{MetricSnapshotDuration, "Histogram", "s", []string{AttrSnapshotSource},
		"Time that taking and reading a snapshot took."},
	{MetricSnapshotSkipped, "Counter", "{snapshot}", []string{AttrSnapshotSource, AttrReason},
		"Snapshots that were not taken."},
}

func entry(name string) Metric {
	for _, e := range metricCatalog {
		if e.Name == name {
			return e
		}
	}
	return Metric{} // the empty name makes New fail
}

// An attributeEntry is one row of the catalog of attributes.
type attributeEntry struct {
	Name, Type, Doc string
}

var attributeCatalog = []attributeEntry{
	{AttrState, "string", "What the goroutine is doing, in the Go runtime's own words: `running`, `runnable`, `syscall`, `chan receive`, `select`, `sync.Mutex.Lock`, `IO wait`, `sleep`, … `waiting` where the reason is not known."},
	{AttrSchedulerState, "string", "`running`, `runnable`, `waiting` or `not_in_go`."},
	{AttrStackID, "string", "Hash of the function names on the stack, without line numbers: the same on every replica. `_OTHER` for all stacks that have no series of their own, and in events about the process as a whole (surge, stall)."},
	{AttrEntryFunction, "string", "The function that the goroutine was started with."},
	{labelPrefix + "<key>", "string", "The value of the goroutine's pprof label with this key, cut at 128 bytes. Only for the keys of WithLabelKeys."},
	{AttrDetectorName, "string", "The detector: `leak`, `deadlock`, `blocked_forever`, `pileup`, `surge`, `contention`, `stall`, or the name of one of yours."},
	{AttrConfidence, "string", confidenceDoc()},
	{AttrSnapshotSource, "string", fmt.Sprintf("`%s`, `%s`, `%s`, `%s`, `%s` or `%s`.", goroutine.SourceTrace, goroutine.SourceProfile, goroutine.SourceLabelled, goroutine.SourceText, goroutine.SourceProof, goroutine.SourceWindow)},
	{AttrReason, "string", "Why a snapshot was not taken: `cpu_budget`, `pause_budget`, `overload`, `slot_taken`, `unsupported_version`, `too_large`, `unsafe` (a leak proof that could end the process) or `error`."},
	{AttrFindingID, "string", "The same on all events of one finding, unique to it: 16 hexadecimal digits."},
	{AttrFindingCount, "int", "Goroutines concerned."},
	{AttrGrowthPerMinute, "double", "Goroutines that join it each minute; 0 when it does not grow."},
	{AttrFindingAge, "double", "Seconds that it has been so, at least."},
	{AttrEvidence, "string[]", "Short sentences with the numbers behind the verdict, at most 8."},
	{AttrIDs, "int[]", "IDs of some of the goroutines, oldest first, at most 10. Absent where the source has none."},
	{AttrProfilePath, "string", "Where a pprof profile of the moment was saved. Only with WithProfileDir."},
	{AttrCreatorFunction, "string", "The function whose go statement made the goroutines: of the largest part where there are several. From a goroutine dump; absent where none could be taken."},
	{AttrCreatorFile, "string", "The file of that go statement."},
	{AttrCreatorLine, "int", "The line of that go statement."},
	{AttrSuppressedCount, "int", "Findings that are open and not reported one by one."},
	{AttrCodeFunctionName, "string", "The innermost function outside the standard library."},
	{AttrCodeFilePath, "string", "The file of that function."},
	{AttrCodeLineNumber, "int", "The line in that file."},
	{AttrCodeStacktrace, "string", "The stack, leaf first, as a goroutine dump prints it, without arguments; at most 16 KiB."},
}

func confidenceDoc() string {
	var words []string
	for _, c := range detectors.Confidences() {
		words = append(words, "`"+c.String()+"`")
	}
	return "How sure the finding is, weakest first: " + strings.Join(words, ", ") + "."
}

// An eventEntry is one row of the catalog of events.
type eventEntry struct {
	Name, Severity, Doc string
	Attributes          []string
}

var findingAttributes = []string{
	AttrFindingID, AttrConfidence, AttrFindingCount, AttrGrowthPerMinute, AttrFindingAge, AttrEvidence,
	AttrDetectorName, AttrStackID, AttrState, AttrCodeFunctionName, AttrCodeFilePath, AttrCodeLineNumber,
	AttrCodeStacktrace, AttrIDs, AttrCreatorFunction, AttrCreatorFile, AttrCreatorLine, AttrProfilePath,
}

var eventCatalog = []eventEntry{
	{"goroutine.<detector>.detected", "INFO (info), WARN (medium, suspected), ERROR (confirmed, high, certain)",
		"A finding was opened; or it grew to twice what was last reported, became surer, or has been open for another hour. The body is one sentence.", findingAttributes},
	{"goroutine.<detector>.resolved", "INFO", "A finding is gone. The numbers are the last that were seen.", findingAttributes},
	{EventSuppressed, "WARN; INFO when it is over", "The number of open findings that are not reported one by one has changed.", []string{AttrSuppressedCount}},
}

// Markdown renders the catalog as TELEMETRY.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Telemetry\n\nRendered from `internal/telemetry/catalog.go`; `go test ./internal/telemetry -update` renders it anew.\n\n")
	b.WriteString("Instrumentation scope: `" + ScopeName + "`. Units are UCUM.\n\n## Metrics\n\n")
	b.WriteString("| metric | instrument | unit | attributes | meaning |\n|---|---|---|---|---|\n")
	for _, m := range metricCatalog {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s | %s |\n", m.Name, m.Instrument, m.Unit, codes(m.Attributes), m.Doc)
	}
	b.WriteString("\n## Events\n\nLog records with an event name, sent through the LoggerProvider.\n\n| event | severity | meaning | attributes |\n|---|---|---|---|\n")
	for _, e := range eventCatalog {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", e.Name, e.Severity, e.Doc, codes(e.Attributes))
	}
	b.WriteString("\n## Attributes\n\n| attribute | type | meaning |\n|---|---|---|\n")
	for _, a := range attributeCatalog {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", a.Name, a.Type, a.Doc)
	}
	return b.String()
}

func codes(names []string) string {
	if len(names) == 0 {
		return "–"
	}
	return "`" + strings.Join(names, "`, `") + "`"
}
