// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// memory is a log processor that keeps the records it receives.
type memory struct {
	records []sdklog.Record
	refuse  string // event name for which Enabled returns false
	asked   []sdklog.EnabledParameters
}

func (m *memory) Enabled(_ context.Context, p sdklog.EnabledParameters) bool {
	m.asked = append(m.asked, p)
	return p.EventName != m.refuse
}
func (m *memory) OnEmit(_ context.Context, r *sdklog.Record) error {
	m.records = append(m.records, r.Clone())
	return nil
}
func (m *memory) Shutdown(context.Context) error   { return nil }
func (m *memory) ForceFlush(context.Context) error { return nil }

func emitter(t *testing.T) (*Telemetry, *memory, *sdkmetric.ManualReader) {
	t.Helper()
	logs, reader := &memory{}, sdkmetric.NewManualReader()
	tel, err := New(Config{
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
		LoggerProvider: sdklog.NewLoggerProvider(sdklog.WithProcessor(logs), sdklog.WithAttributeCountLimit(-1)),
		TopStacks:      5,
		Scheduler:      func() goroutine.Scheduler { return goroutine.Scheduler{} },
	})
	require.NoError(t, err)
	return tel, logs, reader
}

func finding() detectors.Finding {
	return detectors.Finding{
		ID: "0123456789abcdef", Detector: "leak", Confidence: detectors.Suspected, State: goroutine.ChanSend,
		Stack: goroutine.NewStack([]goroutine.Frame{
			{Function: "runtime.gopark", File: "/go/proc.go", Line: 1},
			{Function: "main.handle", File: "/src/main.go", Line: 42}}),
		Count: 37, GrowthPerMinute: 1.5, Age: 90 * time.Second, IDs: []uint64{3, 5},
		CreatedBy: goroutine.Frame{Function: "main.serve", File: "/src/server.go", Line: 41},
		Message:   "37 goroutines are stuck.", Evidence: []string{"It was 20.", "It is 37."},
		Advice: "Make room for one value in the channel.",
	}
}

// withAll returns a finding that has every attribute.
func withAll() detectors.Finding {
	f := finding()
	f.Unjudged = "the restart lost the history"
	f.Labels = []goroutine.Label{{Key: "tenant", Value: "b"}, {Key: "tenant", Value: "a"}}
	f.Traces = []detectors.Trace{{TraceID: "0123456789abcdef0123456789abcdef", Count: 2}, {SpanID: "0123456789abcdef", Count: 1}}
	f.Participants = []detectors.Participant{
		{Role: detectors.RoleCause, Stack: f.Stack, State: f.State, Count: 1, CreatedBy: f.CreatedBy, Note: "waits for an answer"},
		{Role: detectors.RoleWaiter, Count: 36},
	}
	return f
}

func attributes(r sdklog.Record) map[string]attribute.Value {
	all := make(map[string]attribute.Value)
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		all[string(kv.Key)] = kv.Value
		return true
	})
	return all
}

func TestAnEventHasEveryAttribute(t *testing.T) {
	tel, logs, _ := emitter(t)
	tel.Emit(context.Background(), detectors.Event{Kind: detectors.Detected, Time: epoch, Finding: withAll()}, Files{Profile: "/tmp/p.pb.gz", ProfileID: [16]byte{0: 0xa1, 15: 0x02}, Recording: "/tmp/p.trace"})
	require.Len(t, logs.records, 1)
	r := logs.records[0]
	assert.Equal(t, "goroutine.leak.detected", r.EventName())
	assert.Equal(t, log.SeverityWarn, r.Severity())
	assert.Equal(t, epoch, r.Timestamp())
	assert.Equal(t, "37 goroutines are stuck. Confidence: suspected. Not judged now: the restart lost the history. Next: Make room for one value in the channel.", r.Body().AsString())
	assert.Equal(t, map[string]attribute.Value{
		AttrFindingID:        attribute.StringValue("0123456789abcdef"),
		AttrConfidence:       attribute.StringValue("suspected"),
		AttrFindingCount:     attribute.IntValue(37),
		AttrGrowthPerMinute:  attribute.Float64Value(1.5),
		AttrFindingAge:       attribute.Float64Value(90),
		AttrEvidence:         attribute.StringSliceValue([]string{"It was 20.", "It is 37."}),
		AttrAdvice:           attribute.StringValue("Make room for one value in the channel."),
		AttrDetectorName:     attribute.StringValue("leak"),
		AttrStackID:          attribute.StringValue(string(finding().Stack.ID)),
		AttrState:            attribute.StringValue("waiting"),
		AttrDetailedState:    attribute.StringValue("chan send"),
		AttrCodeFunctionName: attribute.StringValue("main.handle"),
		AttrCodeFilePath:     attribute.StringValue("/src/main.go"),
		AttrCodeLineNumber:   attribute.IntValue(42),
		AttrCodeStacktrace:   attribute.StringValue("main.handle(...)\n\t/src/main.go:42\n"),
		AttrIDs:              attribute.Int64SliceValue([]int64{3, 5}),
		AttrCreatorFunction:  attribute.StringValue("main.serve"),
		AttrCreatorFile:      attribute.StringValue("/src/server.go"),
		AttrCreatorLine:      attribute.IntValue(41),
		AttrProfilePath:      attribute.StringValue("/tmp/p.pb.gz"),
		AttrProfileID:        attribute.StringValue("a1000000000000000000000000000002"),
		AttrRecordingPath:    attribute.StringValue("/tmp/p.trace"),
		AttrUnjudged:         attribute.StringValue("the restart lost the history"),

		AttrTraceIDs:                  attribute.StringSliceValue([]string{"0123456789abcdef0123456789abcdef"}),
		findingLabelPrefix + "tenant": attribute.StringSliceValue([]string{"b", "a"}),

		AttrParticipantRoles: attribute.StringSliceValue([]string{"cause", "waiter"}),
		AttrParticipantDescriptions: attribute.StringSliceValue([]string{
			"1 goroutine at main.handle (main.go:42) in chan send, created by main.serve (server.go:41): waits for an answer",
			"36 goroutines at an unknown place",
		}),
		AttrParticipantCounts:      attribute.IntSliceValue([]int{1, 36}),
		AttrParticipantStackIDs:    attribute.StringSliceValue([]string{string(finding().Stack.ID), ""}),
		AttrParticipantStacktraces: attribute.StringSliceValue([]string{"main.handle(...)\n\t/src/main.go:42\n", ""}),
	}, attributes(r))
	assert.Len(t, attributes(r), len(findingAttributes), "the catalog lists what an event has")
}

func TestAnAgeThatIsNotKnownIsAbsent(t *testing.T) {
	tel, logs, _ := emitter(t)
	f := withAll()
	f.Age = 0
	tel.Emit(context.Background(), detectors.Event{Kind: detectors.Detected, Time: epoch, Finding: f}, Files{})
	assert.NotContains(t, attributes(logs.records[0]), AttrFindingAge)
}

func TestSeverityFollowsConfidence(t *testing.T) {
	for _, tt := range []struct {
		kind       detectors.Kind
		confidence detectors.Confidence
		name       string
		severity   log.Severity
	}{
		{detectors.Detected, detectors.Info, "goroutine.leak.detected", log.SeverityInfo},
		{detectors.Detected, detectors.Medium, "goroutine.leak.detected", log.SeverityWarn},
		{detectors.Repeated, detectors.Suspected, "goroutine.leak.detected", log.SeverityWarn},
		{detectors.Repeated, detectors.Confirmed, "goroutine.leak.detected", log.SeverityError},
		{detectors.Detected, detectors.High, "goroutine.leak.detected", log.SeverityError},
		{detectors.Detected, detectors.Certain, "goroutine.leak.detected", log.SeverityError},
		{detectors.Resolved, detectors.Certain, "goroutine.leak.resolved", log.SeverityInfo},
		{detectors.Suppressed, 0, "goroutine.finding.suppressed", log.SeverityWarn},
	} {
		tel, logs, _ := emitter(t)
		f := finding()
		f.Confidence = tt.confidence
		tel.Emit(context.Background(), detectors.Event{Kind: tt.kind, Finding: f, Suppressed: 3}, Files{})
		require.Len(t, logs.records, 1)
		assert.Equal(t, tt.name, logs.records[0].EventName())
		assert.Equal(t, tt.severity, logs.records[0].Severity(), "%v %v", tt.kind, tt.confidence)
	}
}

// The names of events are fixed: user-defined detectors add none.
func TestUsersDetectorsShareTheirEventNames(t *testing.T) {
	tel, logs, _ := emitter(t)
	f := finding()
	f.Detector = "mine"
	for kind, want := range map[detectors.Kind]string{
		detectors.Detected: "goroutine.finding.detected",
		detectors.Repeated: "goroutine.finding.detected",
		detectors.Resolved: "goroutine.finding.resolved",
	} {
		logs.records = nil
		tel.Emit(context.Background(), detectors.Event{Kind: kind, Finding: f}, Files{})
		require.Len(t, logs.records, 1)
		assert.Equal(t, want, logs.records[0].EventName())
		assert.Equal(t, attribute.StringValue("mine"), attributes(logs.records[0])[AttrDetectorName])
	}
}

func TestWhatIsNotKnownIsAbsent(t *testing.T) {
	tel, logs, _ := emitter(t)
	f := detectors.Finding{Detector: "surge", Stack: &goroutine.Stack{ID: goroutine.OtherStacks}}
	tel.Emit(context.Background(), detectors.Event{Kind: detectors.Detected, Finding: f}, Files{})
	got := attributes(logs.records[0])
	for _, name := range []string{AttrState, AttrDetailedState, AttrAdvice, AttrIDs, AttrCodeFunctionName, AttrCreatorFunction, AttrProfilePath, AttrUnjudged, AttrTraceIDs, AttrParticipantRoles, AttrParticipantStacktraces} {
		assert.NotContains(t, got, name)
	}
}

func TestASummarySaysHowMany(t *testing.T) {
	tel, logs, _ := emitter(t)
	tel.Emit(context.Background(), detectors.Event{Kind: detectors.Suppressed, Suppressed: 3}, Files{})
	assert.Equal(t, map[string]attribute.Value{AttrSuppressedCount: attribute.IntValue(3)}, attributes(logs.records[0]))
	assert.Contains(t, logs.records[0].Body().AsString(), "3 open findings are not reported one by one")
}

func TestTheLoggerIsAskedBeforeEachEvent(t *testing.T) {
	tel, logs, _ := emitter(t)
	logs.refuse = "goroutine.leak.detected"
	tel.Emit(context.Background(), detectors.Event{Kind: detectors.Detected, Finding: finding()}, Files{})
	assert.Empty(t, logs.records)
	require.Len(t, logs.asked, 1)
	assert.Equal(t, log.SeverityWarn, logs.asked[0].Severity)
	logs.refuse = ""
	tel.Emit(context.Background(), detectors.Event{Kind: detectors.Detected, Finding: finding()}, Files{})
	assert.Len(t, logs.records, 1, "the answer is not kept")
}

func TestOnlyOpeningCounts(t *testing.T) {
	tel, _, reader := emitter(t)
	for _, k := range []detectors.Kind{detectors.Detected, detectors.Repeated, detectors.Resolved, detectors.Detected} {
		tel.Emit(context.Background(), detectors.Event{Kind: k, Finding: finding()}, Files{})
	}
	data := collect(t, reader)[MetricFindingDetected].Data.(metricdata.Sum[int64])
	require.Len(t, data.DataPoints, 1)
	assert.EqualValues(t, 2, data.DataPoints[0].Value)
}

// An event stays far below the 4 MiB that receivers accept, regardless of what
// a detector reports.
func TestAnEventIsBounded(t *testing.T) {
	tel, logs, _ := emitter(t)
	long := strings.Repeat("x\xff\u4e16", 1<<18)
	f := finding()
	f.Message, f.Advice, f.State, f.CreatedBy = long, long, goroutine.State(long), goroutine.Frame{Function: long, File: long}
	f.Evidence = []string{long, long, long, long, long, long, long, long}
	var frames []goroutine.Frame
	for range 10_000 {
		frames = append(frames, goroutine.Frame{Function: "main." + long[:1000], File: long[:1000], Line: 1})
	}
	f.Stack = goroutine.NewStack(frames)
	f.Unjudged = long
	for range 2 * detectors.MaxParticipants {
		f.Participants = append(f.Participants, detectors.Participant{Role: detectors.RoleWaiter, Stack: f.Stack, State: f.State, Count: 1, CreatedBy: f.CreatedBy, Note: long})
	}
	for i := range 2 * detectors.MaxLabels {
		f.Labels = append(f.Labels, goroutine.Label{Key: fmt.Sprint(i%8, long), Value: long})
		f.Traces = append(f.Traces, detectors.Trace{TraceID: long, SpanID: long})
	}
	tel.Emit(context.Background(), detectors.Event{Kind: detectors.Detected, Finding: f}, Files{Profile: long, Recording: long})
	require.Len(t, logs.records, 1)
	size := 0
	for name, v := range attributes(logs.records[0]) {
		s := v.String()
		size += len(s)
		assert.LessOrEqual(t, len(name), maxName)
		assert.True(t, utf8.ValidString(s), name)
	}
	assert.LessOrEqual(t, size+len(logs.records[0].Body().AsString()), 80<<10)
	assert.LessOrEqual(t, len(attributes(logs.records[0])[AttrCodeStacktrace].AsString()), 16<<10)
}
