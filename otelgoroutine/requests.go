// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"context"
	"slices"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
	"github.com/otelgoroutine/go/internal/engine"
)

// WithFindingLabels adds the values of pprof labels with these keys, at most
// [MaxLabelKeys], to findings: as attributes goroutine.finding.label.<key> of their
// events, in reports and on the live page. They are the labels of the goroutines of
// the finding: at most ten different values of each key, cut at 128 bytes, the value
// of the most goroutines first. Values of other labels appear nowhere.
//
// Labels that identify a trace need no permission: trace_id and span_id, as package
// spanlabels and Pyroscope's otel-profiling-go set them, and those of Datadog's
// dd-trace-go. They become the trace context of the event and its attribute
// goroutine.trace.ids, which have IDs and no names.
//
// The labels are read when a finding is opened that may be a fault or that grows, and
// again when its number has doubled and after an hour: from a goroutine dump, if one is
// taken and shows labels, as with Go 1.27, otherwise from one goroutine profile for all
// findings of a snapshot, within the budget.
func WithFindingLabels(keys ...string) Option {
	return optionFunc(func(c *config) {
		c.checkLabelKeys("WithFindingLabels", keys)
		c.findingLabels = nil
		for _, k := range keys {
			if !slices.Contains(c.findingLabels, k) {
				c.findingLabels = append(c.findingLabels, k)
			}
		}
	})
}

// checkLabelKeys refuses keys of labels that an option must not have.
func (c *config) checkLabelKeys(option string, keys []string) {
	if len(keys) == 0 || len(keys) > MaxLabelKeys {
		c.refuse("%s: there are %d keys; there must be 1 to %d", option, len(keys), MaxLabelKeys)
	}
	for _, k := range keys {
		if k == "" || len(k) > maxLabelKey {
			c.refuse("%s: key %q has %d bytes; it must have 1 to %d", option, k, len(k), maxLabelKey)
		}
	}
}

// labelsOf says how the engine reads the labels of a finding's goroutines.
func (o *observer) labelsOf(c config) engine.Labels {
	keys := engine.LabelKeys(c.findingLabels)
	return engine.Labels{
		Allowed: slices.Clone(c.findingLabels),
		Read: func(at func(goroutine.StackID) bool) *goroutine.Snapshot {
			ctx := context.Background()
			s, skip := o.client.labelsAt(keys, at)
			if skip != nil {
				o.skipped(ctx, *skip)
			}
			if s != nil {
				o.telemetry.Took(ctx, s)
			}
			return s
		},
	}
}

// labelsAt takes a snapshot with the labels that have these keys, of the goroutines at
// some stacks.
func (c *client) labelsAt(keys []string, at func(goroutine.StackID) bool) (*goroutine.Snapshot, *capture.Skip) {
	return one(c, goroutine.SourceLabelled, func(capturer capturer) (*goroutine.Snapshot, *capture.Skip) {
		return capturer.Labelled(keys, at)
	})
}
