// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import "github.com/otelgoroutine/go/detectors"

// A Trace is a distributed trace, or a span of one, in which goroutines of a finding
// were started.
type Trace struct {
	TraceID string `json:"trace_id,omitempty"` // 32 hexadecimal digits
	SpanID  string `json:"span_id,omitempty"`  // 16 hexadecimal digits
	Count   int    `json:"count"`              // goroutines with it among those whose labels were read

	text string // as of [detectors.Trace.String]
}

// describeOrigin sets the labels and traces of r.
func (r *Finding) describeOrigin(f *detectors.Finding) {
	for _, l := range f.Labels {
		r.Labels = append(r.Labels, Label{Key: l.Key, Value: l.Value})
	}
	for _, t := range f.Traces {
		r.Traces = append(r.Traces, Trace{TraceID: t.TraceID, SpanID: t.SpanID, Count: t.Count, text: t.String()})
	}
}

// writeOrigin writes the traces, and the labels in a line for each.
func (r *Finding) writeOrigin(p *printer) {
	for _, t := range r.Traces {
		p.line(6, "    Started in %s (%d).", t.text, t.Count)
	}
	for _, l := range r.Labels {
		p.line(6, "    Label %s=%q.", l.Key, l.Value)
	}
}
