// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

func labels(pairs ...string) (all []goroutine.Label) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, goroutine.Label{Key: pairs[i], Value: pairs[i+1]})
	}
	return all
}

// traced are the labels of a goroutine of trace n.
func traced(n int, more ...string) []goroutine.Label {
	return labels(append(more, "span_id", spanID(n), "trace_id", traceID(n))...)
}

func traceID(n int) string { return fmt.Sprintf("%032x", n) }
func spanID(n int) string  { return fmt.Sprintf("%016x", n+0xa0) }

// reads is a labelled profile that a test gives, and counts how often it is asked for.
type reads struct {
	groups []goroutine.Group
	refuse bool
	asked  int
	at     func(goroutine.StackID) bool // of the last time
}

func (r *reads) config(allowed ...string) Labels {
	return Labels{Allowed: allowed, Read: func(at func(goroutine.StackID) bool) *goroutine.Snapshot {
		r.asked, r.at = r.asked+1, at
		if r.refuse {
			return nil
		}
		return &goroutine.Snapshot{Source: goroutine.SourceLabelled, Groups: r.groups}
	}}
}

func withLabels(stack *goroutine.Stack, count int, labels []goroutine.Label) goroutine.Group {
	return goroutine.Group{Stack: stack, State: goroutine.Select, Count: count, Labels: labels}
}

// reporting reports findings.
func reporting(findings ...detectors.Finding) *detectors.Detector {
	return &detectors.Detector{Name: "reports", Run: func(p *detectors.Pass) error {
		for _, f := range findings {
			p.Report(f)
		}
		return nil
	}}
}

func suspected(at *goroutine.Stack, count int, ids ...uint64) detectors.Finding {
	return detectors.Finding{Confidence: detectors.Suspected, Stack: at, State: goroutine.Select, Count: count, IDs: ids, Message: "Found."}
}

var otherPlace = goroutine.NewStack([]goroutine.Frame{{Function: "main.otherPlace"}})

// What is not allowed is not in a finding, whatever was read.
func TestAFindingHasTheLabelsThatAreAllowed(t *testing.T) {
	r := &reads{groups: []goroutine.Group{
		withLabels(worker, 1, traced(1, "tenant", "a", "user", "secret")),
		withLabels(worker, 3, traced(2, "shard", "7", "tenant", "b", "user", "secret")),
		withLabels(worker, 2, labels("tenant", "a", "user", "secret")),
		withLabels(otherPlace, 9, traced(3, "tenant", "other")),
		{Stack: worker, State: goroutine.ChanSend, Count: 9, Labels: traced(4, "tenant", "another state")},
	}}
	e := New(Config{Detectors: []*detectors.Detector{reporting(suspected(worker, 6))}, Labels: r.config("tenant", "shard")})
	result := e.Step(parked(0, 6))
	require.Len(t, result.Events, 1)
	for _, f := range []detectors.Finding{result.Events[0].Finding, result.Open[0]} {
		assert.Equal(t, labels("tenant", "a", "tenant", "b", "shard", "7"), f.Labels)
		assert.Equal(t, []detectors.Trace{{TraceID: traceID(1), SpanID: spanID(1), Count: 1}, {TraceID: traceID(2), SpanID: spanID(2), Count: 3}}, f.Traces)
		assert.NotContains(t, fmt.Sprint(f), "secret")
	}
	assert.True(t, r.at(worker.ID))
	assert.False(t, r.at(otherPlace.ID), "only the place of the finding is read")
}

// A dump that shows labels tells of the goroutines that the finding lists, oldest first,
// and saves the profile.
func TestADumpTellsTheLabels(t *testing.T) {
	dump := &goroutine.Snapshot{Source: goroutine.SourceText, Time: parked(0, 1).Time, Labelled: []goroutine.Labelled{
		{ID: 3, Stack: otherPlace, State: goroutine.Running, Labels: traced(3, "tenant", "moved")},
		{ID: 4, Stack: worker, State: goroutine.Select, Labels: traced(4)},
		{ID: 7, Stack: worker, State: goroutine.Select, Labels: traced(7, "tenant", "listed")},
		{ID: 8, Stack: otherPlace, State: goroutine.Select, Labels: traced(8)},
	}}
	for name, d := range map[string]*detectors.Detector{
		"of the engine":   reporting(suspected(worker, 3, 3, 7)),
		"of the detector": asking(reporting(suspected(worker, 3, 3, 7))),
	} {
		t.Run(name, func(t *testing.T) {
			r := new(reads)
			i := &once{inspector{gives: map[goroutine.Source]*Inspection{goroutine.SourceText: {Snapshot: dump}}}}
			e := New(Config{Detectors: []*detectors.Detector{d}, Inspector: i, Labels: r.config("tenant")})
			f := e.Step(parked(0, 3)).Open[0]
			assert.Equal(t, []detectors.Trace{{TraceID: traceID(3), SpanID: spanID(3), Count: 1}, {TraceID: traceID(7), SpanID: spanID(7), Count: 1}, {TraceID: traceID(4), SpanID: spanID(4), Count: 1}}, f.Traces)
			assert.Equal(t, labels("tenant", "listed", "tenant", "moved"), f.Labels)
			assert.Zero(t, r.asked)
		})
	}
	t.Run("without labels", func(t *testing.T) {
		r := &reads{groups: []goroutine.Group{withLabels(worker, 3, traced(1))}}
		i := &inspector{gives: map[goroutine.Source]*Inspection{goroutine.SourceText: dumpOf()}}
		e := New(Config{Detectors: []*detectors.Detector{reporting(suspected(worker, 3, 3, 7))}, Inspector: i, Labels: r.config()})
		assert.Len(t, e.Step(parked(0, 3)).Open[0].Traces, 1)
		assert.Equal(t, 1, r.asked)
	})
}

// once gives each inspection once.
type once struct{ inspector }

func (o *once) Inspect(kind goroutine.Source, base *goroutine.Snapshot) *Inspection {
	i := o.inspector.Inspect(kind, base)
	delete(o.gives, kind)
	return i
}

// asking asks for a dump before it judges.
func asking(d *detectors.Detector) *detectors.Detector {
	run := d.Run
	return &detectors.Detector{Name: d.Name, Run: func(p *detectors.Pass) error {
		p.Ask(goroutine.SourceText)
		return run(p)
	}}
}

// The traces of the cause come first.
func TestTracesOfTheCauseComeFirst(t *testing.T) {
	r := &reads{groups: []goroutine.Group{withLabels(worker, 9, traced(1)), withLabels(otherPlace, 1, traced(2))}}
	f := suspected(worker, 10)
	f.Participants = []detectors.Participant{
		{Role: detectors.RoleCause, Stack: otherPlace, State: goroutine.Select, Count: 1},
		{Role: detectors.RoleWaiter, Stack: worker, State: goroutine.Select, Count: 9},
	}
	e := New(Config{Detectors: []*detectors.Detector{reporting(f)}, Labels: r.config()})
	assert.Equal(t, []detectors.Trace{{TraceID: traceID(2), SpanID: spanID(2), Count: 1}, {TraceID: traceID(1), SpanID: spanID(1), Count: 9}}, e.Step(parked(0, 9)).Open[0].Traces)
}

// One profile serves all findings of a snapshot, and what it told is kept.
func TestOneProfileServesAllFindings(t *testing.T) {
	r := &reads{groups: []goroutine.Group{withLabels(worker, 3, traced(1)), withLabels(otherPlace, 3, traced(2))}}
	count := 3
	d := &detectors.Detector{Name: "reports", Run: func(p *detectors.Pass) error {
		p.Report(suspected(worker, count))
		p.Report(suspected(otherPlace, count))
		return nil
	}}
	e := New(Config{Detectors: []*detectors.Detector{d}, Labels: r.config(), Interval: every})
	for step := range 20 {
		for _, f := range e.Step(parked(step, 3)).Open {
			assert.Len(t, f.Traces, 1)
		}
	}
	assert.Equal(t, 1, r.asked)
	count = 6
	e.Step(parked(20, 3))
	assert.Equal(t, 2, r.asked, "the number has doubled")
	e.Step(parked(20+int(readAgain/every), 3))
	assert.Equal(t, 3, r.asked, "after an hour")
}

// A profile that was refused is asked for again, though not at every snapshot, and what
// an earlier one told is kept meanwhile.
func TestARefusedProfileIsAskedForAgain(t *testing.T) {
	r := &reads{refuse: true, groups: []goroutine.Group{withLabels(worker, 3, traced(1))}}
	count := 3
	d := &detectors.Detector{Name: "reports", Run: func(p *detectors.Pass) error { p.Report(suspected(worker, count)); return nil }}
	e := New(Config{Detectors: []*detectors.Detector{d}, Labels: r.config(), Interval: every})
	step := 0
	steps := func(n int) (f detectors.Finding) {
		for range n {
			f = e.Step(parked(step, 3)).Open[0]
			step++
		}
		return f
	}
	spacing := int(min(labelSpacing*every, maxLabelSpacing) / every)
	assert.Empty(t, steps(3*spacing).Traces)
	assert.Equal(t, 3, r.asked)
	r.refuse = false
	assert.Len(t, steps(spacing).Traces, 1)
	r.refuse, count = true, 6
	assert.Len(t, steps(spacing).Traces, 1, "the earlier one")
	assert.Equal(t, 5, r.asked)
}

// A finding keeps its traces to its end.
func TestAResolvedFindingHasItsTraces(t *testing.T) {
	r := &reads{groups: []goroutine.Group{withLabels(worker, 3, traced(1))}}
	found := true
	d := &detectors.Detector{Name: "reports", Run: func(p *detectors.Pass) error {
		if found {
			p.Report(suspected(worker, 3))
		}
		return nil
	}}
	e := New(Config{Detectors: []*detectors.Detector{d}, Labels: r.config()})
	e.Step(parked(0, 3))
	found = false
	var last Result
	for step := range absences {
		last = e.Step(parked(1+step, 3))
	}
	require.Len(t, last.Events, 1)
	assert.Equal(t, detectors.Resolved, last.Events[0].Kind)
	assert.Len(t, last.Events[0].Finding.Traces, 1)
}

// Information that does not grow is not worth a profile, and the process as a whole has
// no goroutines of its own.
func TestLabelsAreReadOnASuspicion(t *testing.T) {
	info, grows, wide, own := suspected(worker, 3), suspected(worker, 3), suspected(&goroutine.Stack{ID: goroutine.OtherStacks}, 3), suspected(worker, 3)
	info.Confidence = detectors.Info
	grows.Confidence, grows.GrowthPerMinute = detectors.Info, 2
	own.Traces = []detectors.Trace{{SpanID: spanID(9), Count: 1}}
	for name, tc := range map[string]struct {
		finding detectors.Finding
		asked   int
		first   string
	}{"information": {info, 0, ""}, "that grows": {grows, 1, spanID(1)}, "the process": {wide, 0, ""}, "a detector that knows itself": {own, 1, spanID(9)}} {
		r := &reads{groups: []goroutine.Group{withLabels(worker, 3, traced(1))}}
		e := New(Config{Detectors: []*detectors.Detector{reporting(tc.finding)}, Labels: r.config()})
		f := e.Step(parked(0, 3)).Open[0]
		assert.Equal(t, tc.asked, r.asked, name)
		if tc.first != "" {
			assert.Equal(t, tc.first, f.Traces[0].SpanID, name)
		}
	}
}

func TestWhatLabelsTellIsBounded(t *testing.T) {
	r := new(reads)
	for i := range 1000 {
		r.groups = append(r.groups, withLabels(worker, 1, traced(i+1, "tenant", fmt.Sprint(i))))
	}
	huge := suspected(otherPlace, 1)
	huge.Labels, huge.Traces = make([]goroutine.Label, 1000), make([]detectors.Trace, 1000)
	e := New(Config{Detectors: []*detectors.Detector{reporting(suspected(worker, 1000), huge)}, Labels: r.config("tenant")})
	open := e.Step(parked(0, 1000)).Open
	require.Len(t, open, 2)
	for _, f := range open {
		assert.LessOrEqual(t, len(f.Labels), detectors.MaxLabels)
		assert.Len(t, f.Traces, detectors.MaxTraces)
	}
	for step := range 100 {
		for i := range 100 {
			e.origins[detectors.Identity{Subject: fmt.Sprint(step, i)}] = origin{found: start}
		}
		e.Step(parked(1+step, 1000))
		require.LessOrEqual(t, len(e.origins), maxOrigins)
	}
}

func TestFindingsThatAreGoneAreForgotten(t *testing.T) {
	r := new(reads)
	found := true
	d := &detectors.Detector{Name: "reports", Run: func(p *detectors.Pass) error {
		if found {
			p.Report(suspected(worker, 3))
		}
		return nil
	}}
	e := New(Config{Detectors: []*detectors.Detector{d}, Labels: r.config()})
	e.Step(parked(0, 3))
	found = false
	e.Step(parked(1, 3))
	assert.Len(t, e.origins, 1, "it may come back")
	e.Step(parked(1+int(2*time.Hour/every), 3))
	assert.Empty(t, e.origins)
}

// Labels that others set are understood, and what is no ID is no trace.
func TestTracesInLabels(t *testing.T) {
	const trace, span = "0123456789abcdef0123456789abcdef", "0123456789abcdef"
	for name, tc := range map[string]struct {
		labels []goroutine.Label
		want   detectors.Trace
	}{
		"ours, and Pyroscope's":      {labels("span_id", span, "span_name", "GET /secret", "trace_id", trace), detectors.Trace{TraceID: trace, SpanID: span}},
		"Pyroscope's before v0.7":    {labels("span_id", span, "span_name", "GET /secret"), detectors.Trace{SpanID: span}},
		"Pyroscope's first versions": {labels("profile_id", span), detectors.Trace{SpanID: span}},
		"Datadog's":                  {labels("span id", "81985529216486895", "trace endpoint", "GET /secret"), detectors.Trace{SpanID: span}},
		"Datadog's v1":               {labels("local root span id", "81985529216486895", "span id", "7"), detectors.Trace{SpanID: span}},
		"Datadog's with AppSec":      {labels("span id", "81985529216486895", "trace id", trace), detectors.Trace{TraceID: trace, SpanID: span}},
		"upper case":                 {labels("trace_id", strings.ToUpper(trace)), detectors.Trace{TraceID: trace}},
		"no labels":                  {nil, detectors.Trace{}},
		"others":                     {labels("user", "secret"), detectors.Trace{}},
		"no hexadecimal":             {labels("span_id", "secret-secret-16", "trace_id", "secret-secret-secret-secret-1234"), detectors.Trace{}},
		"too short":                  {labels("span_id", "abc", "trace_id", span), detectors.Trace{}},
		"zeros":                      {labels("span_id", strings.Repeat("0", 16), "trace_id", strings.Repeat("0", 32), "span id", "0"), detectors.Trace{}},
		"no number":                  {labels("span id", "-7"), detectors.Trace{}},
	} {
		got := TraceOf(tc.labels)
		assert.Equal(t, tc.want, got, name)
		assert.NotContains(t, fmt.Sprint(got), "secret", name)
	}
	assert.Subset(t, LabelKeys([]string{"tenant"}), []string{"tenant", "trace_id", "span_id", "profile_id", "trace id", "span id", "local root span id"})
	assert.NotContains(t, LabelKeys(nil), "span_name")
}

// Spans of one trace are one trace; spans without a trace are different ones.
func TestTheSpansOfATraceAreOne(t *testing.T) {
	var traces []detectors.Trace
	for _, next := range []detectors.Trace{{TraceID: traceID(1)}, {TraceID: traceID(1), SpanID: spanID(1)}, {TraceID: traceID(1), SpanID: spanID(2)}, {SpanID: spanID(3)}, {SpanID: spanID(3)}, {SpanID: spanID(4)}} {
		traces = withTrace(traces, next, 2)
	}
	assert.Equal(t, []detectors.Trace{{TraceID: traceID(1), SpanID: spanID(1), Count: 6}, {TraceID: "", SpanID: spanID(3), Count: 4}, {TraceID: "", SpanID: spanID(4), Count: 2}}, traces)
}
