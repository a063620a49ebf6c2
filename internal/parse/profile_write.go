// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"io"

	"github.com/google/pprof/profile"

	"github.com/otelgoroutine/go/goroutine"
)

// WriteProfile writes a snapshot as a compressed profile that pprof can open. Each
// group becomes one sample, with its labels and with its state as [StateLabel].
// [Profile] reads the same counts, stacks and states from it. IDs, births, locks
// and creation sites are lost.
func WriteProfile(w io.Writer, s *goroutine.Snapshot) error {
	goroutines := &profile.ValueType{Type: "goroutine", Unit: "count"}
	b := &profileBuilder{
		locations: make(map[goroutine.Frame]*profile.Location),
		functions: make(map[functionNames]*profile.Function),
		p: &profile.Profile{
			SampleType:    []*profile.ValueType{goroutines},
			PeriodType:    goroutines,
			Period:        1,
			DurationNanos: int64(s.Duration),
			// A mapping with these flags keeps pprof from reading the program to
			// find the names.
			Mapping: []*profile.Mapping{{ID: 1, HasFunctions: true, HasFilenames: true, HasLineNumbers: true, HasInlineFrames: true}},
		},
	}
	if !s.Time.IsZero() {
		b.p.TimeNanos = s.Time.UnixNano()
	}
	for i := range s.Groups {
		b.group(&s.Groups[i])
	}
	return b.p.Write(w)
}

// A profileBuilder holds every function and location of a profile once.
type profileBuilder struct {
	p         *profile.Profile
	locations map[goroutine.Frame]*profile.Location
	functions map[functionNames]*profile.Function
}

func (b *profileBuilder) group(g *goroutine.Group) {
	sample := &profile.Sample{
		Value: []int64{int64(g.Count)},
		Label: make(map[string][]string, len(g.Labels)+1),
	}
	for _, l := range g.Labels {
		sample.Label[l.Key] = []string{l.Value}
	}
	sample.Label[StateLabel] = []string{string(g.State)}
	for _, f := range framesOf(g) {
		sample.Location = append(sample.Location, b.location(f))
	}
	b.p.Sample = append(b.p.Sample, sample)
}

// framesOf returns the frames of a group, or one frame that stands for its stack.
func framesOf(g *goroutine.Group) []goroutine.Frame {
	switch {
	case len(g.Stack.Frames) > 0:
		return g.Stack.Frames
	case g.Stack.ID == goroutine.OtherStacks:
		return []goroutine.Frame{{Function: otherFunction}}
	}
	return []goroutine.Frame{{Function: stateFunction(g.State)}}
}

func (b *profileBuilder) location(f goroutine.Frame) *profile.Location {
	l, ok := b.locations[f]
	if !ok {
		l = &profile.Location{
			ID:      uint64(len(b.p.Location) + 1),
			Mapping: b.p.Mapping[0],
			Line:    []profile.Line{{Function: b.function(functionNames{f.Function, f.File}), Line: int64(f.Line)}},
		}
		b.locations[f] = l
		b.p.Location = append(b.p.Location, l)
	}
	return l
}

func (b *profileBuilder) function(names functionNames) *profile.Function {
	f, ok := b.functions[names]
	if !ok {
		f = &profile.Function{
			ID:         uint64(len(b.p.Function) + 1),
			Name:       names.function,
			SystemName: names.function,
			Filename:   names.file,
		}
		b.functions[names] = f
		b.p.Function = append(b.p.Function, f)
	}
	return f
}
