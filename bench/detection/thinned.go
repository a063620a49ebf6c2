// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/otelgoroutine/go/bench/detection/corpus"
	"github.com/otelgoroutine/go/bench/detection/internal/watch"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/engine"
)

// A thinning says which snapshots of a series are left, by their number: as in a
// process whose governor or whose host allows few.
type thinning struct {
	name string
	left func(i int) bool
}

var thinnings = []thinning{
	{"a minute apart", func(i int) bool { return i%4 == 0 }},
	{"three minutes apart", func(i int) bool { return i%12 == 0 }},
	{"on a starved host", func(i int) bool { return i%31 < 4 || i%31 == 11 }}, // four in a row, a gap of two minutes, one of five
}

// A falseEnd is an event that said that a fault had ended, while it stood.
type falseEnd struct {
	Thinning string
	watch.Finding
}

// thinned judges a series once for each thinning, and returns the ends of the
// fault that were told after a time, since began.
func thinned(s *corpus.Scenario, series []*goroutine.Snapshot, scale float64, began time.Time, after time.Duration) (ends []falseEnd) {
	for _, t := range thinnings {
		e := engine.New(engine.Config{Detectors: detectors.Scaled(scale)})
		for i, snapshot := range series {
			if !t.left(i) {
				continue
			}
			for _, event := range e.Step(snapshot).Events {
				f := watch.From(&event.Finding)
				f.At = event.Time.Sub(began)
				if event.Kind == detectors.Resolved && f.At > after && hits(s, &f) {
					ends = append(ends, falseEnd{t.name, f})
				}
			}
		}
	}
	return ends
}
