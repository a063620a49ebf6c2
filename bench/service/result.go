// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"time"
)

// A measurement is what was measured in one run.
type measurement struct {
	plan
	loaded
	consumption
	generatorCPU time.Duration
	snapshots    int   // regular ones within the measured time
	seen         int64 // goroutines that the last export told
}

// of returns the measurement of a variant in a round, or nil.
func (s *scenario) of(load, variant string, round int) *measurement {
	i := slices.IndexFunc(s.runs, func(m measurement) bool {
		return m.load == load && m.variant.name == variant && m.round == round
	})
	if i < 0 {
		return nil
	}
	return &s.runs[i]
}

// values returns a figure of a variant, of each round in which it was measured.
func (s *scenario) values(load, variant string, f figure) (values []float64) {
	for round := range s.rounds {
		if m := s.of(load, variant, round); m != nil {
			values = append(values, f(m))
		}
	}
	return values
}

// ratios returns a figure of a variant in parts of that of off, of each round
// in which both were measured and off is not 0.
func (s *scenario) ratios(load, variant string, f figure) (ratios []float64) {
	for round := range s.rounds {
		m, base := s.of(load, variant, round), s.of(load, off, round)
		if m != nil && base != nil && f(base) != 0 {
			ratios = append(ratios, f(m)/f(base))
		}
	}
	return ratios
}

// A figure is something that is measured.
type figure func(*measurement) float64

func throughput(m *measurement) float64 { return m.throughput }
func p99(m *measurement) float64        { return m.p99.Seconds() }
func cores(m *measurement) float64      { return m.CPU.Seconds() / m.elapsed.Seconds() }
func gcs(m *measurement) float64        { return float64(m.GCs) }

// median returns the middle value, or the mean of the middle two. There must be
// values.
func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
