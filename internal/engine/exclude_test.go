package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// finds reports one finding at worker in each snapshot.
func finds(c detectors.Confidence, by string) *detectors.Detector {
	return &detectors.Detector{Name: "finds", Run: func(p *detectors.Pass) error {
		p.Report(detectors.Finding{Confidence: c, Stack: worker, State: goroutine.Select, Count: 3, CreatedBy: goroutine.Frame{Function: by}, Message: "Found."})
		return nil
	}}
}

// What depends on creators and labels is decided by a dump and a labelled profile, once
// for a finding.
func TestExclusionsByCreatorAndLabel(t *testing.T) {
	at := func(by string, labels ...goroutine.Label) goroutine.Group {
		return goroutine.Group{Stack: worker, State: goroutine.Select, Count: 1, CreatedBy: goroutine.Frame{Function: by}, Labels: labels}
	}
	tenant := func(v string) goroutine.Label { return goroutine.Label{Key: "tenant", Value: v} }
	labelled := func(all ...goroutine.Group) *Inspection {
		return &Inspection{Snapshot: &goroutine.Snapshot{Source: goroutine.SourceLabelled, Groups: all}}
	}
	byAdd := detectors.KnownStack{Creator: "main.add"}
	ofA := detectors.KnownStack{Label: tenant("a")}
	both := detectors.KnownStack{Creator: "main.add", Label: tenant("")}
	elsewhere := detectors.KnownStack{Creator: "main.add", Match: func(*goroutine.Stack) bool { return false }}
	panics := detectors.KnownStack{Creator: "main.add", Match: func(*goroutine.Stack) bool { panic("a test") }}
	for name, tc := range map[string]struct {
		known      detectors.KnownStack
		dump       *Inspection
		labels     *Inspection
		confidence detectors.Confidence
		by         string
		told       bool
	}{
		"its creator":                {byAdd, dumpOf(at("main.add")), nil, detectors.Suspected, "", false},
		"another creator":            {byAdd, dumpOf(at("main.run")), nil, detectors.Suspected, "", true},
		"one of two creators":        {byAdd, dumpOf(at("main.add"), at("main.run")), nil, detectors.Suspected, "", true},
		"no dump":                    {byAdd, nil, nil, detectors.Suspected, "", true},
		"a dump without them":        {byAdd, dumpOf(), nil, detectors.Suspected, "", true},
		"information":                {byAdd, dumpOf(at("main.add")), nil, detectors.Info, "", true},
		"the snapshot has a creator": {byAdd, dumpOf(at("main.add")), nil, detectors.Suspected, "main.add", false},
		"another place":              {elsewhere, dumpOf(at("main.add")), nil, detectors.Suspected, "", true},
		"a predicate that panics":    {panics, dumpOf(at("main.add")), nil, detectors.Suspected, "", true},
		"its label":                  {ofA, dumpOf(at("main.run")), labelled(at("", tenant("a"))), detectors.Suspected, "", false},
		"another label":              {ofA, dumpOf(at("main.run")), labelled(at("", tenant("a")), at("", tenant("b"))), detectors.Suspected, "", true},
		"some without a label":       {ofA, dumpOf(at("main.run")), labelled(at("", tenant("a")), at("")), detectors.Suspected, "", true},
		"no labels":                  {ofA, dumpOf(at("main.run")), nil, detectors.Suspected, "", true},
		"both":                       {both, dumpOf(at("main.add")), labelled(at("", tenant("b"))), detectors.Suspected, "", false},
		"one of both":                {both, dumpOf(at("main.run")), labelled(at("", tenant("b"))), detectors.Suspected, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			i := &inspector{gives: map[goroutine.Source]*Inspection{}}
			if tc.dump != nil {
				i.gives[goroutine.SourceText] = tc.dump
			}
			if tc.labels != nil {
				i.gives[goroutine.SourceLabelled] = tc.labels
			}
			e := New(Config{Detectors: []*detectors.Detector{finds(tc.confidence, tc.by)}, Known: []detectors.KnownStack{tc.known}, Inspector: i})
			for step := range 3 {
				assert.Equal(t, tc.told, len(e.Step(parked(step, 3)).Open) > 0)
			}
			if !tc.told {
				assert.LessOrEqual(t, len(i.asked), 2, "once")
			}
		})
	}
}

// Without inspections, the creator that a snapshot itself has decides.
func TestExclusionsByTheCreatorOfASnapshot(t *testing.T) {
	for by, told := range map[string]bool{"main.add": false, "main.run": true, "": true} {
		e := New(Config{Detectors: []*detectors.Detector{finds(detectors.Suspected, by)}, Known: []detectors.KnownStack{{Creator: "main.*d"}, {Creator: "main.a*"}}})
		assert.Equal(t, told, len(e.Step(parked(0, 3)).Open) > 0, by)
	}
}

// An exclusion that matches nothing for a day is unused; one whose conditions snapshots
// do not show is not judged.
func TestExclusionsThatMatchNothingAreUnused(t *testing.T) {
	matches := func(s *goroutine.Stack) func(*goroutine.Stack) bool {
		return func(other *goroutine.Stack) bool { return other.ID == s.ID }
	}
	calls := 0
	e := New(Config{Known: []detectors.KnownStack{
		{Name: "used", Match: func(s *goroutine.Stack) bool { calls++; return s.ID == worker.ID }},
		{Name: "old", Match: matches(goroutine.NewStack([]goroutine.Frame{{Function: "main.gone"}}))},
		{Name: "once", Match: matches(goroutine.NewStack([]goroutine.Frame{{Function: "main.once"}}))},
		{Name: "panics", Match: func(*goroutine.Stack) bool { panic("a test") }},
		{Name: "by creator", Creator: "main.gone"},
	}})
	told := make(map[string]int) // by the hour
	for hour := range 30 {
		s := parked(0, 3)
		s.Time = start.Add(time.Duration(hour) * time.Hour)
		if hour == 4 {
			s.Groups = append(s.Groups, goroutine.Group{Stack: goroutine.NewStack([]goroutine.Frame{{Function: "main.once"}}), State: goroutine.Select, Count: 1})
		}
		for _, name := range e.Step(s).Unused {
			if _, ok := told[name]; !ok {
				told[name] = hour
			}
		}
		again := parked(0, 3)
		again.Time = s.Time.Add(15 * time.Second)
		e.Step(again)
	}
	assert.Equal(t, map[string]int{"old": 24, "once": 28}, told)
	assert.LessOrEqual(t, calls, 31, "what is used is examined once an hour")
}
