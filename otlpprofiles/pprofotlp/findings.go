// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package pprofotlp

import (
	"go.opentelemetry.io/otel/attribute"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// For returns the options of a profile with a cause, such as finding or periodic, and for
// findings: it has the attributes of the first one, as events of all findings have its
// ID, and their goroutines are linked to the span of their event.
func For(cause string, findings []detectors.Finding) Options {
	o := Options{Attributes: []attribute.KeyValue{attribute.String(telemetry.AttrProfileCause, cause)}}
	if len(findings) > 0 {
		o.Attributes = append(o.Attributes,
			attribute.String(telemetry.AttrFindingID, findings[0].ID),
			attribute.String(telemetry.AttrDetectorName, findings[0].Detector))
		o.Links = links(findings)
	}
	return o
}

// links returns the spans in which goroutines of findings were started, by their stacks.
func links(findings []detectors.Finding) map[goroutine.StackID]Link {
	all := make(map[goroutine.StackID]Link)
	for i := range findings {
		f := &findings[i]
		link := spanOf(f.Traces)
		if link == (Link{}) {
			continue
		}
		for _, p := range f.Participants {
			linkStack(all, p.Stack, link)
		}
		linkStack(all, f.Stack, link)
	}
	return all
}

// spanOf returns the first span of which the trace is known as well. The event of the
// finding has the same one.
func spanOf(traces []detectors.Trace) (link Link) {
	for _, t := range traces {
		if link = LinkOf(t.TraceID, t.SpanID); link != (Link{}) {
			break
		}
	}
	return link
}

// linkStack sets the link of a stack. That of the first finding counts.
func linkStack(all map[goroutine.StackID]Link, stack *goroutine.Stack, link Link) {
	if stack == nil || stack.ID == goroutine.OtherStacks {
		return
	}
	if _, linked := all[stack.ID]; !linked {
		all[stack.ID] = link
	}
}
