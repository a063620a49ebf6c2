// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"encoding/hex"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// Files has the paths of what was saved with an event. A path is empty if there is
// no such file.
type Files struct {
	Profile   string
	ProfileID [16]byte // of the profile that was handed to an exporter; zero if there is none
	Recording string
}

// None reports whether nothing was saved.
func (f Files) None() bool { return f == Files{} }

// Count counts an event that opens an incident, and no others. It is for an event that
// is not sent; Emit counts those that are.
func (t *Telemetry) Count(ctx context.Context, e detectors.Event) {
	if e.Kind == detectors.Detected && !t.muted.Load() {
		t.detected.Add(ctx, 1, metric.WithAttributes(
			attribute.String(AttrDetectorName, e.Finding.Detector),
			attribute.String(AttrConfidence, e.Finding.Confidence.String())))
	}
}

// Emit sends an event about an incident as a log record. If the event opens the
// incident, Emit also counts it.
func (t *Telemetry) Emit(ctx context.Context, e detectors.Event, saved Files) {
	t.Count(ctx, e)
	f := &e.Finding
	name, severity := nameOf(e), severityOf(e)
	ctx = inTrace(ctx, e)
	if !t.logger.Enabled(ctx, log.EnabledParameters{Severity: severity, EventName: name}) {
		return
	}
	var r log.Record
	r.SetEventName(name)
	r.SetTimestamp(e.Time)
	r.SetSeverity(severity)
	r.SetSeverityText(severity.String())
	r.SetBody(attribute.StringValue(clip(bodyOf(e), maxBody)))
	if e.Kind == detectors.Suppressed {
		r.AddAttributes(attribute.Int(AttrSuppressedCount, e.Suppressed))
	} else {
		r.AddAttributes(attributesOf(f, saved)...)
	}
	t.logger.Emit(ctx, r)
}

func nameOf(e detectors.Event) string {
	switch e.Kind {
	case detectors.Suppressed:
		return EventSuppressed
	case detectors.Resolved:
		return eventsOf(e.Finding.Detector).resolved
	}
	return eventsOf(e.Finding.Detector).detected
}

func severityOf(e detectors.Event) log.Severity {
	switch {
	case e.Kind == detectors.Suppressed && e.Suppressed > 0:
		return log.SeverityWarn
	case e.Kind == detectors.Suppressed, e.Kind == detectors.Resolved:
		return log.SeverityInfo
	}
	return severities[e.Finding.Confidence.Severity()]
}

// severities maps the severities of findings to those of log records.
var severities = map[detectors.Severity]log.Severity{
	detectors.SeverityInfo:  log.SeverityInfo,
	detectors.SeverityWarn:  log.SeverityWarn,
	detectors.SeverityError: log.SeverityError,
}

func bodyOf(e detectors.Event) string {
	switch {
	case e.Kind == detectors.Suppressed && e.Suppressed == 0:
		return "All open findings are reported one by one again."
	case e.Kind == detectors.Suppressed:
		return fmt.Sprintf("%d open findings are not reported one by one; %s counts all of them.", e.Suppressed, MetricFindingOpen)
	case e.Kind == detectors.Resolved:
		return "Resolved: " + e.Finding.Message
	}
	return sentences(&e.Finding)
}

// sentences returns the message of f, how sure it is, and what to do next.
func sentences(f *detectors.Finding) string {
	text := fmt.Sprintf("%s Confidence: %s.", clip(f.Message, maxSentence), f.Confidence)
	if f.Unjudged != "" {
		text += fmt.Sprintf(" Not judged now: %s.", clip(f.Unjudged, maxSentence/4))
	}
	if f.Advice != "" {
		text += " Next: " + f.Advice
	}
	return text
}

func attributesOf(f *detectors.Finding, saved Files) []attribute.KeyValue {
	attrs := []attribute.KeyValue{
		attribute.String(AttrFindingID, f.ID),
		attribute.String(AttrDetectorName, f.Detector),
		attribute.String(AttrConfidence, f.Confidence.String()),
		attribute.Int(AttrFindingCount, f.Count),
		attribute.Float64(AttrGrowthPerMinute, f.GrowthPerMinute),
		attribute.StringSlice(AttrEvidence, evidence(f)),
		attribute.String(AttrStackID, string(f.Stack.ID)),
		attribute.String(AttrCodeStacktrace, clip(f.Stack.Text(maxTrace), maxTrace)),
	}
	if f.Age > 0 {
		attrs = append(attrs, attribute.Float64(AttrFindingAge, f.Age.Seconds()))
	}
	if f.Advice != "" {
		attrs = append(attrs, attribute.String(AttrAdvice, clip(f.Advice, maxSentence)))
	}
	if f.State != "" {
		attrs = append(attrs, stateAttr(f.State), detailedStateAttr(f.State))
	}
	attrs = appendFrame(attrs, f.Stack.User(), AttrCodeFunctionName, AttrCodeFilePath, AttrCodeLineNumber)
	if len(f.IDs) > 0 {
		attrs = append(attrs, attribute.Int64Slice(AttrIDs, int64s(f.IDs)))
	}
	attrs = appendFrame(attrs, f.CreatedBy, AttrCreatorFunction, AttrCreatorFile, AttrCreatorLine)
	if f.Unjudged != "" {
		attrs = append(attrs, attribute.String(AttrUnjudged, clip(f.Unjudged, maxSentence)))
	}
	attrs = appendParticipants(attrs, f.Participants)
	attrs = appendOrigin(attrs, f)
	if saved.Profile != "" {
		attrs = append(attrs, attribute.String(AttrProfilePath, clip(saved.Profile, maxSentence)))
	}
	if saved.ProfileID != [16]byte{} {
		attrs = append(attrs, attribute.String(AttrProfileID, hex.EncodeToString(saved.ProfileID[:])))
	}
	if saved.Recording != "" {
		attrs = append(attrs, attribute.String(AttrRecordingPath, clip(saved.Recording, maxSentence)))
	}
	return attrs
}

// appendParticipants appends lists with one element for each participant. Their
// stacks share the room that one stack has.
func appendParticipants(attrs []attribute.KeyValue, all []detectors.Participant) []attribute.KeyValue {
	n := min(len(all), detectors.MaxParticipants)
	if n == 0 {
		return attrs
	}
	var roles, descriptions, ids, traces []string
	var counts []int
	for i := range all[:n] {
		p := &all[i]
		id, trace := "", ""
		if p.Stack != nil {
			id, trace = string(p.Stack.ID), clip(p.Stack.Text(maxTrace/n), maxTrace/n)
		}
		roles, counts = append(roles, string(p.Role)), append(counts, p.Count)
		descriptions = append(descriptions, clip(p.String(), maxSentence))
		ids, traces = append(ids, id), append(traces, trace)
	}
	return append(attrs,
		attribute.StringSlice(AttrParticipantRoles, roles),
		attribute.StringSlice(AttrParticipantDescriptions, descriptions),
		attribute.IntSlice(AttrParticipantCounts, counts),
		attribute.StringSlice(AttrParticipantStackIDs, ids),
		attribute.StringSlice(AttrParticipantStacktraces, traces))
}

// appendFrame appends the known parts of a frame under these names.
func appendFrame(attrs []attribute.KeyValue, f goroutine.Frame, function, file, line string) []attribute.KeyValue {
	if f.Function == "" {
		return attrs
	}
	attrs = append(attrs, attribute.String(function, clip(f.Function, maxName)))
	if f.File == "" {
		return attrs
	}
	return append(attrs, attribute.String(file, clip(f.File, maxSentence)), attribute.Int(line, f.Line))
}

func evidence(f *detectors.Finding) []string {
	sentences := make([]string, len(f.Evidence))
	for i, s := range f.Evidence {
		sentences[i] = clip(s, maxSentence)
	}
	return sentences
}

func int64s(ids []uint64) []int64 {
	out := make([]int64, len(ids))
	for i, id := range ids {
		out[i] = int64(id)
	}
	return out
}
