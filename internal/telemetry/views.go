// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelgoroutine/go/goroutine"
)

// views turns snapshots into observations.
type views struct {
	top            int
	own            int // stacks of this snapshot with series of their own
	states, stacks series
}

// maxStates limits the series of goroutine.count. The runtime has about forty
// states.
const maxStates = 100

// fadedPerStack is how many series that have left the top are kept at 0, for
// each stack in the top.
const fadedPerStack = 3

func newViews(top int) views {
	return views{top: top, states: newSeries(maxStates), stacks: newSeries(top * (1 + fadedPerStack))}
}

func (v *views) of(counts, ages *goroutine.Snapshot) *observations {
	v.states.begin(counts.Time)
	v.stacks.begin(counts.Time)
	v.own = 0
	shown := make(map[goroutine.StackID]bool)
	for i := range counts.Groups {
		g := &counts.Groups[i]
		v.states.add(g.Count, attribute.NewSet(stateAttr(g.State), detailedStateAttr(g.State)))
		set, own := v.stackSet(g)
		v.stacks.add(g.Count, set)
		if own {
			shown[g.Stack.ID] = true
		}
	}
	return &observations{states: v.states.end(), stacks: v.stacks.end(), ages: agesOf(ages, shown)}
}

// stackSet returns the attributes under which g is counted, and whether they
// are its own. Groups come largest first, so the first v.top attribute sets
// belong to the largest stacks. A stack in two groups counts once.
func (v *views) stackSet(g *goroutine.Group) (attribute.Set, bool) {
	set := attribute.NewSet(withLabels(g,
		attribute.String(AttrStackID, string(g.Stack.ID)),
		stateAttr(g.State),
		detailedStateAttr(g.State),
		attribute.String(AttrCodeFunctionName, clip(g.Stack.User().Function, maxName)),
		attribute.String(AttrEntryFunction, clip(g.Stack.Entry().Function, maxName)))...)
	if g.Stack.ID != goroutine.OtherStacks {
		if v.stacks.has(set) {
			return set, true
		}
		if v.own < v.top {
			v.own++
			return set, true
		}
	}
	return attribute.NewSet(
		attribute.String(AttrStackID, string(goroutine.OtherStacks)),
		stateAttr(g.State),
		detailedStateAttr(g.State)), false
}

func withLabels(g *goroutine.Group, attrs ...attribute.KeyValue) []attribute.KeyValue {
	for _, l := range g.Labels {
		attrs = append(attrs, attribute.String(LabelAttribute(l.Key), clip(l.Value, maxLabel)))
	}
	return attrs
}

// An observedAge is the age of the oldest goroutine of a stack.
type observedAge struct {
	function string
	age      time.Duration
}

// agesOf returns the age of the oldest goroutine of each stack in shown.
func agesOf(s *goroutine.Snapshot, shown map[goroutine.StackID]bool) []observation[float64] {
	oldest := make(map[goroutine.StackID]*observedAge)
	for i := range s.Groups {
		g := &s.Groups[i]
		born, known := s.Oldest(g)
		if !known || !shown[g.Stack.ID] {
			continue
		}
		a, ok := oldest[g.Stack.ID]
		if !ok {
			a = &observedAge{function: g.Stack.User().Function}
			oldest[g.Stack.ID] = a
		}
		a.age = max(a.age, s.Time.Sub(born))
	}
	ages := make([]observation[float64], 0, len(oldest))
	for id, a := range oldest {
		ages = append(ages, observation[float64]{a.age.Seconds(), metric.WithAttributes(
			attribute.String(AttrStackID, string(id)),
			attribute.String(AttrCodeFunctionName, clip(a.function, maxName)))})
	}
	return ages
}
