// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

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
	MetricSchedulerCount   = "goroutine.scheduler.goroutine.count"
	MetricCreated          = "goroutine.created"
	MetricStackCount       = "goroutine.stack.goroutine.count"
	MetricStackAge         = "goroutine.stack.age"
	MetricFindingOpen      = "goroutine.finding.open"
	MetricFindingDetected  = "goroutine.finding.detected"
	MetricSnapshotDuration = "goroutine.snapshot.duration"
	MetricSnapshotSkipped  = "goroutine.snapshot.skipped"
	MetricSnapshotAge      = "goroutine.snapshot.age"
	MetricProfileDropped   = "goroutine.profile.dropped"
	MetricDetectorStatus   = "goroutine.detector.status"
)

// Names of the attributes of metrics and events.
const (
	AttrState           = "goroutine.state"
	AttrDetailedState   = "goroutine.detailed_state"
	AttrStackID         = "goroutine.stack.id"
	AttrEntryFunction   = "goroutine.entry.function.name"
	AttrDetectorName    = "goroutine.detector.name"
	AttrDetectorState   = "goroutine.detector.state"
	AttrConfidence      = "goroutine.finding.confidence"
	AttrSnapshotSource  = "goroutine.snapshot.source"
	AttrSkipReason      = "goroutine.snapshot.skip_reason"
	AttrFindingID       = "goroutine.finding.id"
	AttrFindingCount    = "goroutine.finding.goroutine.count"
	AttrGrowthPerMinute = "goroutine.finding.growth_per_minute"
	AttrFindingAge      = "goroutine.finding.age"
	AttrEvidence        = "goroutine.finding.evidence"
	AttrAdvice          = "goroutine.finding.advice"
	AttrIDs             = "goroutine.ids"
	AttrProfilePath     = "goroutine.profile.path"
	AttrProfileID       = "goroutine.profile.id"
	AttrProfileCause    = "goroutine.profile.cause"
	AttrRecordingPath   = "goroutine.finding.recording.path"
	AttrCreatorFunction = "goroutine.creator.function.name"
	AttrCreatorFile     = "goroutine.creator.file.path"
	AttrCreatorLine     = "goroutine.creator.line.number"
	AttrSuppressedCount = "goroutine.finding.suppressed_count"
	AttrUnjudged        = "goroutine.finding.unjudged"

	AttrParticipantRoles        = "goroutine.finding.participant.roles"
	AttrParticipantDescriptions = "goroutine.finding.participant.descriptions"
	AttrParticipantCounts       = "goroutine.finding.participant.goroutine.counts"
	AttrParticipantStackIDs     = "goroutine.finding.participant.stack.ids"
	AttrParticipantStacktraces  = "goroutine.finding.participant.stacktraces"

	AttrTraceIDs       = "goroutine.trace.ids"
	findingLabelPrefix = "goroutine.finding.label."

	labelPrefix          = "goroutine.label."
	AttrCodeFunctionName = "code.function.name"
	AttrCodeFilePath     = "code.file.path"
	AttrCodeLineNumber   = "code.line.number"
	AttrCodeStacktrace   = "code.stacktrace"
)

// SchemaURL names the version of the semantic conventions that defines the
// code.* attributes. It is a literal because importing package semconv for one
// constant would add 37 kB to every user's program.
const SchemaURL = "https://opentelemetry.io/schemas/1.43.0"

// Names of events that do not belong to a built-in detector. All user-defined
// detectors share these two names, because event names must not contain dynamic
// values; goroutine.detector.name tells them apart.
const (
	EventDetected   = "goroutine.finding.detected"
	EventResolved   = "goroutine.finding.resolved"
	EventSuppressed = "goroutine.finding.suppressed"
)

// eventNames holds the names of the events of one detector.
type eventNames struct{ detected, resolved string }

// builtIn lists the built-in detectors, which have event names of their own,
// and the meaning of their detected events.
var builtIn = []struct {
	detector string
	events   eventNames
	doc      string
}{
	{"hang", eventNames{"goroutine.hang.detected", "goroutine.hang.resolved"},
		"Work that used to move on has stopped, and callers wait behind it."},
	{"leak", eventNames{"goroutine.leak.detected", "goroutine.leak.resolved"},
		"Goroutines block at one place, practically none leave, and more keep joining."},
	{"growth", eventNames{"goroutine.growth.detected", "goroutine.growth.resolved"},
		"The number of goroutines at one place keeps growing and practically none leave, but they are alive: a timer, other goroutines or a connection may wake them."},
	{"deadlock", eventNames{"goroutine.deadlock.detected", "goroutine.deadlock.resolved"},
		"Goroutines wait for a lock whose queue does not move."},
	{"blocked_forever", eventNames{"goroutine.blocked_forever.detected", "goroutine.blocked_forever.resolved"},
		"Goroutines block on a nil channel or in a select without cases. Nothing can wake them. INFO for a fixed number, WARN when it keeps rising."},
	{"pileup", eventNames{"goroutine.pileup.detected", "goroutine.pileup.resolved"},
		"Thousands of goroutines are blocked at one place."},
	{"surge", eventNames{"goroutine.surge.detected", "goroutine.surge.resolved"},
		"The process has far more goroutines than before, or more than a threshold."},
	{"contention", eventNames{"goroutine.contention.detected", "goroutine.contention.resolved"},
		"Many goroutines keep waiting for one lock or to send on one channel, in a queue that moves."},
	{"stall", eventNames{"goroutine.stall.detected", "goroutine.stall.resolved"},
		"No goroutine of the process makes progress, and none waits for anything outside it."},
}

// eventsOf returns the names of the events of a detector.
func eventsOf(detector string) eventNames {
	for _, d := range builtIn {
		if d.detector == detector {
			return d.events
		}
	}
	return eventNames{EventDetected, EventResolved}
}

// A Metric is one row of the catalog of metrics.
type Metric struct {
	Name, Instrument, Unit string
	Attributes             []string
	Doc                    string
}

// Metrics returns the catalog of metrics. The caller may change the slice but
// not the attributes of its elements.
func Metrics() []Metric { return slices.Clone(metricCatalog) }

// metricCatalog is the only place that describes metrics: instruments are
// created and TELEMETRY.md is rendered from it.
var metricCatalog = []Metric{
	{MetricCount, "ObservableUpDownCounter", "{goroutine}", []string{AttrState, AttrDetailedState},
		"Goroutines by state, in the latest snapshot. The values add up to the snapshot's total."},
	{MetricSchedulerCount, "ObservableUpDownCounter", "{goroutine}", []string{AttrState},
		"Goroutines by state, as counted by the scheduler at every collection. Approximate: the values need not add up, and they include about ten goroutines of the runtime itself."},
	{MetricCreated, "ObservableCounter", "{goroutine}", nil,
		"Goroutines created since the process started."},
	{MetricStackCount, "ObservableUpDownCounter", "{goroutine}", []string{AttrStackID, AttrState, AttrDetailedState, AttrCodeFunctionName, AttrEntryFunction, labelPrefix + "<key>"},
		"Goroutines of the largest stacks. All others are counted under the stack ID _OTHER, which has no function names, so that the values add up to the snapshot's total."},
	{MetricStackAge, "ObservableGauge", "s", []string{AttrStackID, AttrCodeFunctionName},
		"Minimum age of the oldest goroutine of each of the largest stacks. Absent while nothing is known of it: the source has no goroutine IDs, or the newest snapshot is the first that can show the goroutine."},
	{MetricFindingOpen, "ObservableUpDownCounter", "{finding}", []string{AttrDetectorName, AttrConfidence, AttrStackID, AttrCodeFunctionName, AttrEntryFunction},
		"Open findings. The 20 that have been open for longest carry their stack: its ID, the function where it waits and the one that the goroutine was started with. All others are counted under the stack ID _OTHER, so that the values add up."},
	{MetricFindingDetected, "Counter", "{finding}", []string{AttrDetectorName, AttrConfidence},
		"Findings opened."},
	{MetricSnapshotDuration, "Histogram", "s", []string{AttrSnapshotSource},
		"Time to take and parse a snapshot."},
	{MetricSnapshotSkipped, "Counter", "{snapshot}", []string{AttrSnapshotSource, AttrSkipReason},
		"Snapshots not taken."},
	{MetricSnapshotAge, "ObservableGauge", "s", nil,
		"Age of the newest snapshot at the time of the collection; before the first, the time since the start. Normally below the interval; up to three intervals in a process in which nothing changes."},
	{MetricProfileDropped, "Counter", "{profile}", nil,
		"Profiles that did not reach the function of WithProfileExporter: it failed, or too many waited for it. Absent before the first."},
	{MetricDetectorStatus, "ObservableUpDownCounter", "{detector}", []string{AttrDetectorName, AttrDetectorState},
		"1 for the state that a detector is in, at the time of the collection, and 0 for those that it left within the last five minutes. Without findings, only detectors in the state `judging` say that there is nothing to find. At most 40 detectors."},
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
	{AttrState, "string", "The scheduler's state of the goroutine: `running`, `runnable`, `waiting` or `not_in_go` (in a system call or in C code)."},
	{AttrDetailedState, "string", "The state in the Go runtime's own words, as a goroutine dump prints it: `running`, `runnable`, `syscall`, or what a waiting goroutine waits for: `chan receive`, `select`, `sync.Mutex.Lock`, `IO wait`, `sleep`, …; `waiting` when the reason is not known. The words change with the Go version. It determines `goroutine.state`."},
	{AttrStackID, "string", "Hash of the function names on the stack, without line numbers: the same on every replica. `_OTHER` for all stacks that have no series of their own, and in events about the process as a whole (surge, stall)."},
	{AttrEntryFunction, "string", "The function that the goroutine was started with."},
	{labelPrefix + "<key>", "string", "The value of the goroutine's pprof label with this key, cut at 128 bytes. Only for the keys of WithLabelKeys."},
	{AttrDetectorName, "string", "The detector: " + builtInNames() + ", or the name of one of your own detectors. `" + TestName + "` is a self-test, asked for with `Monitor.SelfTest`: no fault."},
	{AttrDetectorState, "string", stateDoc()},
	{AttrConfidence, "string", confidenceDoc()},
	{AttrSnapshotSource, "string", fmt.Sprintf("`%s`, `%s`, `%s`, `%s`, `%s`, `%s`, `%s` or `%s`.", goroutine.SourceTrace, goroutine.SourceRecorder, goroutine.SourceProfile, goroutine.SourceLabelled, goroutine.SourceText, goroutine.SourceProof, goroutine.SourceWindow, goroutine.SourceLocks)},
	{AttrSkipReason, "string", "Why a snapshot was not taken: `cpu_budget`, `pause_budget`, `overload`, `slot_taken` (the program takes a trace of its own), `not_running` (the flight recorder of WithFlightRecorder), `unsupported_version`, `too_large`, `memory_limit` (it could take too much of what the limit leaves), `unsafe` (a trace or a leak proof that could end the process; a trace only once, because none is tried again), `deadline`, `hung` (an earlier one has not returned) or `error`."},
	{AttrFindingID, "string", "Identifies a finding: the same on all events of the finding, and unique to it. 16 hexadecimal digits, after `" + TestName + "-` in a self-test."},
	{AttrFindingCount, "int", "Number of goroutines in the finding."},
	{AttrGrowthPerMinute, "double", "Goroutines that join the finding each minute; 0 when their number does not grow."},
	{AttrFindingAge, "double", "Minimum duration of the condition, in seconds. Absent when it is not known, as when one snapshot shows it."},
	{AttrEvidence, "string[]", "Short sentences with the numbers behind the verdict, at most 8."},
	{AttrAdvice, "string", "What to do next, in one sentence. Absent when there is nothing to say."},
	{AttrIDs, "int[]", "IDs of some of the goroutines, oldest first, at most 10. Absent when the source has none."},
	{AttrProfilePath, "string", "Path of the pprof profile that was saved with the event; with WithArchive and without WithProfileDir, its name in the archive."},
	{AttrProfileID, "string", "ID of the profile that was handed to the function of WithProfileExporter, and so of the OTLP profile (alpha) of module otlpprofiles: `profile_id`, 32 hexadecimal digits. That it was handed over does not say that it arrived."},
	{AttrProfileCause, "string", "Why a profile was taken: `finding`, `periodic` or `request`."},
	{AttrRecordingPath, "string", "Path of the flight recorder's recording that was saved with the event, or its name as of the profile. Only with WithFlightRecorder."},
	{AttrCreatorFunction, "string", "The function whose go statement created the goroutines; when there are several, the one that created most. From a goroutine dump; absent when none could be taken."},
	{AttrCreatorFile, "string", "The file of that go statement."},
	{AttrCreatorLine, "int", "The line of that go statement."},
	{AttrUnjudged, "string", "Why the finding cannot be judged at the moment; absent while it can."},
	{AttrParticipantRoles, "string[]", "The places of a fault that has several, the cause first, at most 8: " + roleDoc() + ". Absent when the fault has one place. All attributes of participants have the same order."},
	{AttrParticipantDescriptions, "string[]", "How many goroutines each has, where, in which state, and what they have to do with the fault."},
	{AttrParticipantCounts, "int[]", "Number of goroutines of each."},
	{AttrParticipantStackIDs, "string[]", "`goroutine.stack.id` of each."},
	{AttrParticipantStacktraces, "string[]", "The stack of each, as in `code.stacktrace`; at most 16 KiB in all."},
	{AttrTraceIDs, "string[]", "IDs of traces in which its goroutines were started, as their pprof labels tell, at most 10; those of the cause first. The log record has the trace context of the first one whose span is known too. Absent when no goroutine has such a label."},
	{findingLabelPrefix + "<key>", "string[]", "Values of the pprof label with this key that its goroutines have, cut at 128 bytes: at most 10, that of the most goroutines first. Only for the keys of WithFindingLabels."},
	{AttrSuppressedCount, "int", "Number of open findings that are not reported one by one."},
	{AttrCodeFunctionName, "string", "The innermost function outside the standard library."},
	{AttrCodeFilePath, "string", "The file of that function."},
	{AttrCodeLineNumber, "int", "The line in that file."},
	{AttrCodeStacktrace, "string", "The stack, leaf first, as a goroutine dump prints it, without arguments; at most 16 KiB."},
}

func builtInNames() string {
	names := make([]string, len(builtIn))
	for i, d := range builtIn {
		names[i] = d.detector
	}
	return codes(names)
}

func stateDoc() string {
	var others []string
	for _, r := range detectors.Reasons() {
		others = append(others, fmt.Sprintf("`%s`: %s", r, reasonDocs[r]))
	}
	return fmt.Sprintf("Whether a detector judges the process: `%s`, or why it does not. %s.", detectors.StateJudging, strings.Join(others, "; "))
}

// reasonDocs says what the reasons mean, for which a detector is not judging.
var reasonDocs = map[detectors.Reason]string{
	detectors.ReasonShortHistory: "there are too few snapshots yet, or they do not reach back far enough",
	detectors.ReasonNoIDs:        "snapshots have no goroutine IDs",
	detectors.ReasonInspection:   "it suspects a fault, and waits for a closer inspection before it reports one",
	detectors.ReasonError:        "it failed; the error was reported",
	detectors.ReasonNoSnapshot:   "no snapshot was taken for more than three intervals",
	detectors.ReasonNoListener:   "nothing is captured, because no telemetry is heard",
	detectors.ReasonStopped:      "the observation has ended",
	detectors.ReasonOther:        "a reason of a detector of your own",
}

func confidenceDoc() string {
	var words []string
	for _, c := range detectors.Confidences() {
		words = append(words, c.String())
	}
	return "Confidence of the verdict, weakest first: " + codes(words) + "."
}

func roleDoc() string {
	return fmt.Sprintf("`%s` (got stuck first), `%s` (holds what others wait for), `%s` (waits for others of the fault), `%s` (stopped about the same time; why is not known) or `%s` (comes together with the others, and stays)",
		detectors.RoleCause, detectors.RoleHolder, detectors.RoleWaiter, detectors.RoleAffected, detectors.RoleCompanion)
}

// profileAttributes are the attributes of OTLP profiles, and of their samples.
var profileAttributes = []string{AttrProfileCause, AttrFindingID, AttrDetectorName, AttrDetailedState, labelPrefix + "<key>"}

const profilesIntro = `
## Profiles

Goroutine profiles as OTLP profiles, a signal that is alpha, from module otlpprofiles ([docs/profiles.md](docs/profiles.md)). Sample type: ` + "`goroutine`, unit `count`. `profile_id` is the `" + AttrProfileID + "` of the events." + `

Attributes of a profile: `

// An eventEntry is one row of the catalog of events.
type eventEntry struct {
	Name, Severity, Doc string
	Attributes          []string
}

// findingAttributes are the attributes of every event about a finding.
var findingAttributes = []string{
	AttrFindingID, AttrDetectorName, AttrConfidence, AttrFindingCount, AttrGrowthPerMinute, AttrFindingAge,
	AttrEvidence, AttrAdvice, AttrStackID, AttrState, AttrDetailedState, AttrCodeFunctionName, AttrCodeFilePath,
	AttrCodeLineNumber, AttrCodeStacktrace, AttrIDs, AttrCreatorFunction, AttrCreatorFile, AttrCreatorLine, AttrProfilePath, AttrProfileID,
	AttrRecordingPath, AttrUnjudged, AttrParticipantRoles, AttrParticipantDescriptions, AttrParticipantCounts,
	AttrParticipantStackIDs, AttrParticipantStacktraces, AttrTraceIDs, findingLabelPrefix + "<key>",
}

// eventCatalog returns the catalog of events.
func eventCatalog() []eventEntry {
	const byConfidence = "by confidence"
	var events []eventEntry
	for _, d := range builtIn {
		events = append(events,
			eventEntry{d.events.detected, byConfidence, d.doc, findingAttributes},
			eventEntry{d.events.resolved, "INFO", "The condition has ended.", findingAttributes})
	}
	return append(events,
		eventEntry{EventDetected, byConfidence, "One of your own detectors reported a finding, or a self-test is under way; `" + AttrDetectorName + "` has its name.", findingAttributes},
		eventEntry{EventResolved, "INFO", "The condition has ended.", findingAttributes},
		eventEntry{EventSuppressed, "WARN; INFO at 0", "The number of open findings that are not reported one by one has changed.", []string{AttrSuppressedCount}})
}

const eventsIntro = `
## Events

Log records with an event name, sent through the LoggerProvider. The body is for people: what, where, how many, since when, how sure, and what to do next.

A detected event is sent when a finding is opened, and again when

- its number has grown to ten times the highest that was reported, at least half an hour after the last report,
- its severity has risen,
- a detector that explains more takes over,
- it had ended and is back, at least ten minutes after it was last reported as new,
- an hour has passed since the last report, and its detector still finds it, or it is an error and its goroutines stand,
- eight hours have passed, and it is a warning that its detector no longer finds and whose goroutines stand.

Information about goroutines that stand, such as a fixed number of them on a nil channel, is not sent again because time has passed.

The severity of the event follows the confidence: INFO for info, WARN for medium and suspected, ERROR for confirmed, high and certain. A resolved event says what shows that the fault is over.

`

// Markdown renders the catalog as TELEMETRY.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Telemetry\n\nRendered from `internal/telemetry/catalog.go`; `go test ./internal/telemetry -update` regenerates it.\n\n")
	b.WriteString("Instrumentation scope: `" + ScopeName + "`. Schema URL: `" + SchemaURL + "`. Units are UCUM.\n\n## Metrics\n\n")
	b.WriteString("| metric | instrument | unit | attributes | meaning |\n|---|---|---|---|---|\n")
	for _, m := range metricCatalog {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s | %s |\n", m.Name, m.Instrument, m.Unit, codes(m.Attributes), m.Doc)
	}
	b.WriteString(eventsIntro + "| event | severity | meaning |\n|---|---|---|\n")
	for _, e := range eventCatalog() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", e.Name, e.Severity, e.Doc)
	}
	b.WriteString("\nAttributes of events about a finding, as far as they are known: " + codes(findingAttributes) +
		". `" + EventSuppressed + "` has only " + codes([]string{AttrSuppressedCount}) + ".\n")
	b.WriteString("\nIn a record of log/slog, the name of the event is the attribute `" + attrEventName + "`, long values are cut further so that a record stays within 16 KiB, and " +
		codes(notInSlog) + " are left out; the message ends with the advice.\n")
	b.WriteString(profilesIntro + codes(profileAttributes[:3]) + ". Of its samples: " + codes(profileAttributes[3:]) + "; a sample whose goroutines were started in a span is linked to it.\n")
	b.WriteString("\n## Attributes\n\n| attribute | type | meaning |\n|---|---|---|\n")
	for _, a := range attributeCatalog {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", a.Name, a.Type, a.Doc)
	}
	return b.String()
}

// LabelAttribute returns the name of the attribute for a pprof label.
func LabelAttribute(key string) string { return labelPrefix + key }

func codes(names []string) string {
	if len(names) == 0 {
		return "–"
	}
	return "`" + strings.Join(names, "`, `") + "`"
}
