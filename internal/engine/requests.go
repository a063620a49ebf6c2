// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

const (
	// readAgain is after how long the labels of a finding's goroutines are read again:
	// in time for the event that repeats it.
	readAgain = time.Hour
	// maxOrigins is how many findings are remembered that are not found any more.
	maxOrigins = 1000
)

// Labels says how the labels of a finding's goroutines are read.
type Labels struct {
	// Allowed are the keys of the labels whose values findings may have. Labels that
	// identify a trace are understood without being allowed; see [LabelKeys].
	Allowed []string

	// Read takes a snapshot with the labels of the goroutines at some stacks, or
	// returns nil when it is refused. It may call at from another goroutine, even after
	// it has returned.
	Read func(at func(goroutine.StackID) bool) *goroutine.Snapshot
}

// Keys of the labels that identify traces.
const (
	labelTraceID   = "trace_id"           // ours, and otel-profiling-go of Pyroscope since v0.7: hexadecimal
	labelSpanID    = "span_id"            // the same: hexadecimal
	labelProfileID = "profile_id"         // the first versions of otel-profiling-go: a span, hexadecimal
	labelDDTrace   = "trace id"           // dd-trace-go with AppSec: hexadecimal
	labelDDRoot    = "local root span id" // dd-trace-go v1: a span, decimal
	labelDDSpan    = "span id"            // dd-trace-go: decimal
)

// LabelKeys returns the keys of the labels to read: those that are allowed, and those
// that identify traces.
func LabelKeys(allowed []string) []string {
	keys := append(slices.Clone(allowed), labelTraceID, labelSpanID, labelProfileID, labelDDTrace, labelDDRoot, labelDDSpan)
	slices.Sort(keys)
	return slices.Compact(keys)
}

// An origin is what labels told about the goroutines of a finding.
type origin struct {
	labels []goroutine.Label
	traces []detectors.Trace

	at    time.Time // when they were read; zero if they never were
	count int       // how many goroutines there were then
	asked time.Time // when a labelled profile was last refused
	found time.Time // of the last snapshot with the finding
}

// holds reports whether labels need not be read again.
func (o *origin) holds(f *detectors.Finding, now time.Time) bool {
	return !o.at.IsZero() && f.Count < manyMore*max(1, o.count) && now.Sub(o.at) < readAgain
}

// origin sets the labels and traces of findings that may be faults, and of those that
// grow. A goroutine dump of this step tells them if it shows labels. Otherwise one
// labelled profile serves all findings of a snapshot. What was read is kept while the
// finding lasts. It never changes confidence or identity.
func (e *Engine) origin(c *closer, findings []detectors.Finding) {
	if e.labels.Read == nil {
		return
	}
	var due []*detectors.Finding
	for i := range findings {
		f := &findings[i]
		if o := e.origins[f.Identity()]; worthLabels(f) && !o.holds(f, c.Time) {
			due = append(due, f)
		}
	}
	if len(due) > 0 {
		e.readOrigins(c, due)
	}
	for i := range findings {
		f := &findings[i]
		if o, ok := e.origins[f.Identity()]; ok {
			o.found = c.Time
			e.origins[f.Identity()] = o
			o.addTo(f)
		}
	}
	e.forgetOrigins(c.Time)
}

// worthLabels reports whether the labels of the goroutines of f are read. A finding
// about the process as a whole has no goroutines of its own.
func worthLabels(f *detectors.Finding) bool {
	return (f.Confidence >= detectors.Medium || f.GrowthPerMinute > 0) && len(placesOf(f)) > 0
}

// addTo sets what the detector has not reported itself.
func (o *origin) addTo(f *detectors.Finding) {
	if len(f.Labels) == 0 {
		f.Labels = o.labels
	}
	if len(f.Traces) == 0 {
		f.Traces = o.traces
	}
}

// readOrigins reads the labels for some findings.
func (e *Engine) readOrigins(c *closer, due []*detectors.Finding) {
	if e.origins == nil {
		e.origins = make(map[detectors.Identity]origin)
	}
	read := originsIn(e.dumpWithLabels(c))
	if read == nil {
		read = originsIn(e.labelledProfile(c, due))
	}
	for _, f := range due {
		o := e.origins[f.Identity()]
		if read != nil {
			o = e.labels.of(read(f))
			o.at, o.count = c.Time, f.Count
		}
		e.origins[f.Identity()] = o
	}
}

// dumpWithLabels returns the goroutine dump of this step, or nil if there was none or it
// shows no labels.
func (e *Engine) dumpWithLabels(c *closer) *goroutine.Snapshot {
	dump := c.text.Snapshot
	if dump == nil { // a detector may have asked for it
		dump = e.history.inspections[goroutine.SourceText]
	}
	if dump == nil || dump.Time.Before(c.Time) || dump.Labelled == nil {
		return nil
	}
	return dump
}

// labelledProfile returns a labelled profile for some findings, or nil. After one was
// refused for all of them, it waits before it asks again.
func (e *Engine) labelledProfile(c *closer, due []*detectors.Finding) *goroutine.Snapshot {
	spacing := min(labelSpacing*e.interval, maxLabelSpacing)
	mayAsk := func(f *detectors.Finding) bool {
		asked := e.origins[f.Identity()].asked
		return asked.IsZero() || c.Time.Sub(asked) >= spacing
	}
	if !slices.ContainsFunc(due, mayAsk) {
		return nil
	}
	wanted := make(map[goroutine.StackID]bool)
	for _, f := range due {
		for _, p := range placesOf(f) {
			wanted[p.stack] = true
		}
	}
	s := e.labels.Read(func(id goroutine.StackID) bool { return wanted[id] })
	for _, f := range due {
		o := e.origins[f.Identity()]
		o.asked = c.Time
		e.origins[f.Identity()] = o
	}
	return s
}

// forgetOrigins forgets findings that have not been found for long.
func (e *Engine) forgetOrigins(now time.Time) {
	if len(e.origins) <= maxOrigins {
		maps.DeleteFunc(e.origins, func(_ detectors.Identity, o origin) bool { return now.Sub(o.found) >= readAgain })
		return
	}
	maps.DeleteFunc(e.origins, func(_ detectors.Identity, o origin) bool { return !o.found.Equal(now) })
}

// A located is where goroutines of a finding are, with those that it lists.
type located struct {
	spot
	ids []uint64
}

// placesOf returns where the goroutines of f are: those of its participants in their
// order, then its own.
func placesOf(f *detectors.Finding) (places []located) {
	add := func(stack *goroutine.Stack, state goroutine.State, ids []uint64) {
		s := spot{stack.ID, state}
		if stack.ID != goroutine.OtherStacks && !slices.ContainsFunc(places, func(p located) bool { return p.spot == s }) {
			places = append(places, located{s, ids})
		}
	}
	for i := range f.Participants {
		p := &f.Participants[i]
		add(p.Stack, p.State, p.IDs)
	}
	add(f.Stack, f.State, f.IDs)
	return places
}

// A labelledCount is a number of goroutines with the same labels.
type labelledCount struct {
	labels []goroutine.Label
	count  int
}

// originsIn returns a function that returns the labels of the goroutines of a finding
// in a snapshot: place by place, and at each place the listed goroutines first. It is
// nil if there is no snapshot.
func originsIn(s *goroutine.Snapshot) func(*detectors.Finding) []labelledCount {
	switch {
	case s == nil:
		return nil
	case s.Labelled != nil:
		return func(f *detectors.Finding) []labelledCount { return fromDump(s, placesOf(f)) }
	}
	return func(f *detectors.Finding) []labelledCount { return fromProfile(s, placesOf(f)) }
}

// fromDump goes by goroutine IDs first: a listed goroutine may have moved, and other
// goroutines may share its place.
func fromDump(s *goroutine.Snapshot, places []located) (all []labelledCount) {
	taken := make(map[uint64]bool)
	take := func(g *goroutine.Labelled) {
		if !taken[g.ID] {
			taken[g.ID] = true
			all = append(all, labelledCount{g.Labels, 1})
		}
	}
	for _, p := range places {
		for i := range s.Labelled {
			if g := &s.Labelled[i]; slices.Contains(p.ids, g.ID) {
				take(g)
			}
		}
	}
	for _, p := range places {
		for i := range s.Labelled {
			if g := &s.Labelled[i]; p.has(g.Stack.ID, g.State) {
				take(g)
			}
		}
	}
	return all
}

func fromProfile(s *goroutine.Snapshot, places []located) (all []labelledCount) {
	taken := make(map[int]bool)
	for _, p := range places {
		for i := range s.Groups {
			if g := &s.Groups[i]; !taken[i] && len(g.Labels) > 0 && p.has(g.Stack.ID, g.State) {
				taken[i] = true
				all = append(all, labelledCount{g.Labels, g.Count})
			}
		}
	}
	return all
}

// of returns what labels tell: the values that are allowed, and the traces.
func (l *Labels) of(read []labelledCount) (o origin) {
	values := make(map[goroutine.Label]int)
	for _, r := range read {
		for _, label := range r.labels {
			if slices.Contains(l.Allowed, label.Key) {
				values[label] += r.count
			}
		}
		o.traces = withTrace(o.traces, TraceOf(r.labels), r.count)
	}
	for _, key := range l.Allowed {
		o.labels = append(o.labels, mostOf(values, key)...)
	}
	return o
}

// mostOf returns the labels with a key that the most goroutines have.
func mostOf(values map[goroutine.Label]int, key string) (labels []goroutine.Label) {
	for label := range values {
		if label.Key == key {
			labels = append(labels, label)
		}
	}
	slices.SortFunc(labels, func(a, b goroutine.Label) int {
		return cmp.Or(cmp.Compare(values[b], values[a]), cmp.Compare(a.Value, b.Value))
	})
	return labels[:min(len(labels), detectors.MaxLabelValues)]
}

// withTrace returns traces with another one, if there is room. A trace is one, however
// many of its spans there are.
func withTrace(traces []detectors.Trace, t detectors.Trace, count int) []detectors.Trace {
	if t.TraceID == "" && t.SpanID == "" {
		return traces
	}
	for i := range traces {
		if same := &traces[i]; same.TraceID == t.TraceID && (t.TraceID != "" || same.SpanID == t.SpanID) {
			same.Count += count
			same.SpanID = cmp.Or(same.SpanID, t.SpanID)
			return traces
		}
	}
	if len(traces) >= detectors.MaxTraces {
		return traces
	}
	t.Count = count
	return append(traces, t)
}

// TraceOf returns the trace that labels identify; the zero Trace if they identify none.
// What is not an ID is no trace, whatever its key.
func TraceOf(labels []goroutine.Label) (t detectors.Trace) {
	value := func(key string) string {
		for _, l := range labels {
			if l.Key == key {
				return l.Value
			}
		}
		return ""
	}
	t.TraceID = cmp.Or(hexID(value(labelTraceID), 32), hexID(value(labelDDTrace), 32))
	t.SpanID = cmp.Or(hexID(value(labelSpanID), 16), hexID(value(labelProfileID), 16),
		decimalID(value(labelDDRoot)), decimalID(value(labelDDSpan)))
	return t
}

// hexID returns an ID of so many hexadecimal digits in lower case, or "" if s is none.
func hexID(s string, digits int) string {
	if len(s) != digits || strings.Trim(s, "0") == "" {
		return ""
	}
	if _, err := hex.DecodeString(s); err != nil {
		return ""
	}
	return strings.ToLower(s)
}

// decimalID returns a span ID that is written as a decimal number, or "".
func decimalID(s string) string {
	id, err := strconv.ParseUint(s, 10, 64)
	if err != nil || id == 0 {
		return ""
	}
	return fmt.Sprintf("%016x", id)
}
