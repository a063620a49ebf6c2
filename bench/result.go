// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"slices"
	"time"
)

// A result is what was measured in one scenario.
type result struct {
	scenario
	Doc        string
	Note       string // what a reader of the table should know, or nothing
	TraceBytes int64
	Methods    []measured
}

// measured is what one method cost, a sample a round.
type measured struct {
	Name    string
	LeftOut string // why there are no samples, or nothing
	Samples []sample
}

// method returns the samples of a method, or nil.
func (r *result) method(name string) *measured {
	i := slices.IndexFunc(r.Methods, func(m measured) bool { return m.Name == name && len(m.Samples) > 0 })
	if i < 0 {
		return nil
	}
	return &r.Methods[i]
}

// perGoroutine returns the nanoseconds that a method takes for each goroutine.
// There must be samples.
func (r *result) perGoroutine(name string) float64 {
	return float64(spreadOf(r.method(name), wall).median) / float64(r.Size)
}

// bySize returns the results of a shape, small ones first: of snapshots, or of
// reading metrics.
func bySize(all []result, shape string, reading bool) (some []*result) {
	for i := range all {
		if r := &all[i]; r.Shape == shape && r.Reading == reading {
			some = append(some, r)
		}
	}
	slices.SortStableFunc(some, func(a, b *result) int { return cmp.Compare(a.Size, b.Size) })
	return some
}

// The figures of a sample.
func wall(s sample) time.Duration  { return s.Wall }
func cpu(s sample) time.Duration   { return s.CPU }
func stop(s sample) time.Duration  { return s.Stop }
func delay(s sample) time.Duration { return s.Delay }
func allocated(s sample) int64     { return s.Allocated }
func allocations(s sample) int64   { return s.Objects }
func memory(s sample) int64        { return s.Memory }

// spread is a figure over the rounds.
type spread[T cmp.Ordered] struct{ least, median, most T }

// spreadOf returns the spread of a figure. m must have samples.
func spreadOf[T cmp.Ordered](m *measured, figure func(sample) T) spread[T] {
	values := make([]T, len(m.Samples))
	for i, s := range m.Samples {
		values[i] = figure(s)
	}
	return spreadOfAll(values)
}

// spreadOfAll takes the upper of the middle two of an even number of values for
// the median.
func spreadOfAll[T cmp.Ordered](values []T) spread[T] {
	slices.Sort(values)
	return spread[T]{values[0], values[len(values)/2], values[len(values)-1]}
}

// ratio returns the spread of how many times as large a figure is in m as in
// base, each round by itself, because what else the machine does meets both of
// one round; false when it cannot be told. Both may be nil.
func ratio(m, base *measured, figure func(sample) time.Duration) (spread[float64], bool) {
	var all []float64
	if m == nil || base == nil {
		return spread[float64]{}, false
	}
	for i := range min(len(m.Samples), len(base.Samples)) {
		if of := figure(base.Samples[i]); of > 0 {
			all = append(all, float64(figure(m.Samples[i]))/float64(of))
		}
	}
	if len(all) == 0 {
		return spread[float64]{}, false
	}
	return spreadOfAll(all), true
}

// compared are the modules whose versions a reader needs.
var compared = []string{
	"github.com/google/pprof",
	"github.com/DataDog/gostackparse",
	"github.com/maruel/panicparse/v2",
	"github.com/prometheus/client_golang",
	"go.opentelemetry.io/contrib/instrumentation/runtime",
	"go.opentelemetry.io/otel/sdk/metric",
	"golang.org/x/exp",
}
