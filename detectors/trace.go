// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

// MaxTraces is the maximum number of traces in a finding.
const MaxTraces = 10

// MaxLabelValues is the maximum number of values that a finding has of one label.
const MaxLabelValues = 10

// maxLabelKeys is how many keys the labels of a finding may have.
const maxLabelKeys = 8

// MaxLabels is the maximum number of labels of a finding.
const MaxLabels = maxLabelKeys * MaxLabelValues

// A Trace identifies a distributed trace, or a span of one, in which goroutines of a
// finding were started. It comes from the pprof labels of the goroutines.
type Trace struct {
	TraceID string // 32 lower-case hexadecimal digits; empty if the labels have only a span
	SpanID  string // 16 lower-case hexadecimal digits; empty if the labels have only a trace
	Count   int    // goroutines with it among those whose labels were read, at least 1
}

// String returns the known IDs in one line.
func (t Trace) String() string {
	switch {
	case t.SpanID == "":
		return "trace " + t.TraceID
	case t.TraceID == "":
		return "span " + t.SpanID
	}
	return "trace " + t.TraceID + ", span " + t.SpanID
}
