// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/bench/detection/corpus"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

// TestAnEndIsToldInAThinnedSeries replays a nil channel that is left again, of
// which the end is true: the same event would be a false end of a fault.
func TestAnEndIsToldInAThinnedSeries(t *testing.T) {
	p := detectortest.NewProcess(1)
	stuck := p.Go(detectortest.At(goroutine.ChanReceiveNil, "runtime.gopark", "runtime.chanrecv1", "corpus.(*plugin).listen", "corpus.run"), 3)
	p.Go(detectortest.At(goroutine.Select, "runtime.gopark", "corpus.(*plugin).serve", "corpus.run"), 1) // without a goroutine there are no IDs
	series := detectortest.Series(p, 400, 15*time.Second, func(i int) {
		if i == 200 {
			p.Exit(stuck...)
		}
	})
	s := corpus.Scenario{Faulty: true, Expect: []corpus.Expectation{{Detector: "blocked_forever", Function: "(*plugin).listen"}}}
	var names []string
	for _, end := range thinned(&s, series, 1, detectortest.Start, time.Minute) {
		names = append(names, end.Thinning)
		assert.Greater(t, end.At, 50*time.Minute)
	}
	assert.Equal(t, []string{"a minute apart", "three minutes apart", "on a starved host"}, names)
	assert.Empty(t, thinned(&s, series[:200], 1, detectortest.Start, time.Minute))
	assert.Empty(t, thinned(&s, series, 1, detectortest.Start, 24*time.Hour), "before the fault")
}
