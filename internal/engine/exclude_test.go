// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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

// Without inspections, the creators that a snapshot itself has decide: all of them, in
// each snapshot anew.
func TestExclusionsByTheCreatorsOfASnapshot(t *testing.T) {
	for name, tc := range map[string]struct {
		creators []string
		told     bool
	}{
		"its creator":         {[]string{"main.add"}, false},
		"two that it names":   {[]string{"main.add", "main.also"}, false},
		"another creator":     {[]string{"main.run"}, true},
		"one of two creators": {[]string{"main.add", "main.add", "main.run"}, true},
		"unknown":             {[]string{""}, true},
	} {
		known := []detectors.KnownStack{{Name: "unknown labels", Label: goroutine.Label{Key: "job"}}, {Name: "mine", Creator: "main.a*"}}
		e := New(Config{Detectors: []*detectors.Detector{finds(detectors.Suspected, "main.add")}, Known: known})
		assert.Empty(t, e.Step(madeBy(0, "main.add")).Open, name)
		assert.Equal(t, tc.told, len(e.Step(madeBy(1, tc.creators...)).Open) > 0, name)
	}
}

// madeBy is a snapshot of goroutines at worker with these creators.
func madeBy(step int, creators ...string) *goroutine.Snapshot {
	s := parked(step, len(creators))
	s.Groups = nil
	for _, by := range creators {
		s.Groups = append(s.Groups, goroutine.Group{Stack: worker, State: goroutine.Select, Count: 1, CreatedBy: goroutine.Frame{Function: by}})
	}
	return s
}

// A finding lists its oldest goroutines; the creators of the others count as well.
func TestExclusionsByTheCreatorsOfAllGoroutines(t *testing.T) {
	d := &detectors.Detector{Name: "finds", Run: func(p *detectors.Pass) error {
		p.Report(detectors.Finding{Confidence: detectors.Suspected, Stack: worker, State: goroutine.Select, Count: p.Snapshot.Total, IDs: []uint64{1, 2}})
		return nil
	}}
	group := func(by string, ids ...uint64) goroutine.Group {
		return goroutine.Group{Stack: worker, State: goroutine.Select, Count: len(ids), IDs: ids, CreatedBy: goroutine.Frame{Function: by}}
	}
	dump := dumpOf(group("main.add", 1, 2), group("main.run", 3))
	for count, told := range map[int]bool{2: false, 3: true} {
		i := &inspector{gives: map[goroutine.Source]*Inspection{goroutine.SourceText: dump}}
		e := New(Config{Detectors: []*detectors.Detector{d}, Known: []detectors.KnownStack{{Name: "mine", Creator: "main.add"}}, Inspector: i})
		assert.Equal(t, told, len(e.Step(parked(0, count)).Open) > 0, count)
	}
}

// An exclusion that is decided late, because the dump was refused at first, ends the
// incident, whether its detector still finds it or its goroutines only stand.
func TestAnExclusionThatIsDecidedLateEndsItsIncident(t *testing.T) {
	add := goroutine.Group{Stack: worker, State: goroutine.Select, Count: 3, CreatedBy: goroutine.Frame{Function: "main.add"}}
	for name, found := range map[string]bool{"found": true, "standing": false} {
		t.Run(name, func(t *testing.T) {
			finds := finds(detectors.Suspected, "")
			d := &detectors.Detector{Name: "finds", Run: func(p *detectors.Pass) error {
				if !found && p.Snapshot.Time.After(start) {
					return nil
				}
				report := p.Report
				p.Report = func(f detectors.Finding) { f.Stands = true; report(f) }
				return finds.Run(p)
			}}
			i := &inspector{gives: map[goroutine.Source]*Inspection{}}
			e := New(Config{Detectors: []*detectors.Detector{d}, Known: []detectors.KnownStack{{Name: "mine", Creator: "main.add"}}, Inspector: i})
			at := func(step int) *goroutine.Snapshot {
				s := parked(step, 3)
				s.Groups[0].State = goroutine.Select
				return s
			}
			first := e.Step(at(0))
			require.Len(t, first.Open, 1)
			require.Len(t, e.Step(at(1)).Open, 1, "it is refused again")

			i.gives[goroutine.SourceText] = dumpOf(add)
			late := e.Step(at(2))
			assert.Empty(t, late.Open)
			require.Len(t, late.Events, 1)
			assert.Equal(t, detectors.Resolved, late.Events[0].Kind)
			assert.Equal(t, first.Open[0].ID, late.Events[0].Finding.ID)
			assert.Equal(t, "It is excluded by the known stack mine.", late.Events[0].Finding.Message)
			for step := range 1000 {
				r := e.Step(at(3 + step))
				assert.Empty(t, r.Events)
				assert.Empty(t, r.Open)
			}
		})
	}
}

// What was part of an excluded incident is not what the exclusion is about.
func TestWhatWasPartOfAnExcludedIncidentStays(t *testing.T) {
	tr := newTracker(nil)
	whole, part := finding("main.whole", 9), finding("main.part", 3)
	step(tr, leakRan, []detectors.Finding{whole, part}, start)
	tr.incidents[1].into = tr.incidents[0]
	events := tr.step(&pass{judged: map[string]string{"leak": ""}, now: start.Add(every), excluded: map[detectors.Identity]string{whole.Identity(): "mine"}})
	require.Len(t, events, 1)
	assert.Equal(t, "It is excluded by the known stack mine.", events[0].Finding.Message)
	require.Len(t, tr.findings(), 1)
	assert.Equal(t, part.Stack, tr.findings()[0].Stack)
}

// A label needs no dump, and one profile of a step serves all findings.
func TestExclusionsByLabelWithoutADump(t *testing.T) {
	a := goroutine.Label{Key: "tenant", Value: "a"}
	other := goroutine.NewStack([]goroutine.Frame{{Function: "main.other"}})
	d := &detectors.Detector{Name: "finds", Run: func(p *detectors.Pass) error {
		for _, at := range []*goroutine.Stack{worker, other} {
			p.Report(detectors.Finding{Confidence: detectors.Suspected, Stack: at, State: goroutine.Select, Count: 3})
		}
		return nil
	}}
	at := func(s *goroutine.Stack) goroutine.Group {
		return goroutine.Group{Stack: s, Count: 3, Labels: []goroutine.Label{a}}
	}
	i := &inspector{gives: map[goroutine.Source]*Inspection{
		goroutine.SourceLabelled: {Snapshot: &goroutine.Snapshot{Source: goroutine.SourceLabelled, Groups: []goroutine.Group{at(worker), at(other)}}},
	}}
	e := New(Config{Detectors: []*detectors.Detector{d}, Known: []detectors.KnownStack{
		{Name: "by creator", Creator: "main.add"}, {Name: "by both", Creator: "main.add", Label: a}, {Name: "by label", Label: a}}, Inspector: i})
	for step := range 3 {
		assert.Empty(t, e.Step(parked(step, 3)).Open)
	}
	assert.Equal(t, []goroutine.Source{goroutine.SourceText, goroutine.SourceLabelled}, i.asked, "each once in a step, and once decided not again")
}

// What was refused is asked for again, labels no more often than dumps are taken.
func TestExclusionsAskAgainForWhatWasRefused(t *testing.T) {
	a := goroutine.Label{Key: "tenant", Value: "a"}
	i := &inspector{gives: map[goroutine.Source]*Inspection{}}
	asked := func(kind goroutine.Source) (n int) {
		for _, k := range i.asked {
			if k == kind {
				n++
			}
		}
		return n
	}
	e := New(Config{Detectors: []*detectors.Detector{finds(detectors.Suspected, "main.known")}, Interval: every,
		Known: []detectors.KnownStack{{Name: "by label", Label: a}}, Inspector: i})
	for step := range 40 { // ten minutes
		assert.Len(t, e.Step(parked(step, 3)).Open, 1)
	}
	assert.Equal(t, 10, asked(goroutine.SourceLabelled))
	assert.Zero(t, asked(goroutine.SourceText))

	i.gives[goroutine.SourceLabelled] = &Inspection{Snapshot: &goroutine.Snapshot{Groups: []goroutine.Group{{Stack: worker, Count: 3, Labels: []goroutine.Label{a}}}}}
	assert.Empty(t, e.Step(parked(40, 3)).Open)
}

// A decision is taken again after an hour, and when there are twice as many goroutines.
func TestExclusionsAreDecidedAgain(t *testing.T) {
	count := 10
	d := &detectors.Detector{Name: "finds", Run: func(p *detectors.Pass) error {
		p.Report(detectors.Finding{Confidence: detectors.Suspected, Stack: worker, State: goroutine.Select, Count: count})
		return nil
	}}
	dump := func(by string) *Inspection {
		return dumpOf(goroutine.Group{Stack: worker, State: goroutine.Select, Count: 1, CreatedBy: goroutine.Frame{Function: by}})
	}
	for name, tc := range map[string]struct {
		steps, count int
		dump         *Inspection
		told         bool
	}{
		"within the hour":                  {239, 19, dump("main.run"), false},
		"after an hour":                    {240, 10, dump("main.run"), true},
		"twice as many":                    {1, 20, dump("main.run"), true},
		"twice as many, and covered":       {1, 20, dump("main.add"), false},
		"twice as many, refused":           {1, 20, nil, false},
		"an hour, refused":                 {2000, 10, nil, false},
		"twice as many, refused for long":  {-40, 20, nil, true},
		"twice as many, refused for a bit": {-39, 20, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			count = 10
			i := &inspector{gives: map[goroutine.Source]*Inspection{goroutine.SourceText: dump("main.add")}}
			e := New(Config{Detectors: []*detectors.Detector{d}, Known: []detectors.KnownStack{{Name: "mine", Creator: "main.add"}}, Inspector: i})
			require.Empty(t, e.Step(parked(0, 3)).Open)
			i.gives[goroutine.SourceText], count = tc.dump, tc.count
			if tc.steps < 0 { // many steps in a row, from the first on
				for step := range -tc.steps {
					require.Empty(t, e.Step(parked(1+step, 3)).Open)
				}
				tc.steps = 1 - tc.steps
			}
			assert.Equal(t, tc.told, len(e.Step(parked(tc.steps, 3)).Open) > 0)
		})
	}
}

// A decision that is taken again ends with the entry that it was about, even if another
// entry cannot be decided.
func TestAnExclusionThatNoLongerCoversAFindingTellsIt(t *testing.T) {
	count, i := 3, &inspector{gives: map[goroutine.Source]*Inspection{}}
	d := &detectors.Detector{Name: "finds", Run: func(p *detectors.Pass) error {
		p.Report(detectors.Finding{Confidence: detectors.Suspected, Stack: worker, State: goroutine.Select, Count: count})
		return nil
	}}
	dump := func(by string) *Inspection { return &Inspection{Snapshot: madeBy(0, by)} }
	e := New(Config{Detectors: []*detectors.Detector{d}, Inspector: i,
		Known: []detectors.KnownStack{{Name: "by label", Label: goroutine.Label{Key: "job"}}, {Name: "by creator", Creator: "main.add"}}})
	i.gives[goroutine.SourceText] = dump("main.add")
	require.Empty(t, e.Step(parked(0, 3)).Open)
	count, i.gives[goroutine.SourceText] = 6, nil
	require.Empty(t, e.Step(parked(1, 3)).Open, "neither is known now")
	i.gives[goroutine.SourceText] = dump("main.run")
	assert.Len(t, e.Step(parked(2, 3)).Open, 1)
}

// A predicate is the user's code wherever it is called.
func TestExclusionsSurviveTheirPredicates(t *testing.T) {
	calls := 0
	sometimes := func(*goroutine.Stack) bool {
		if calls++; calls > 1 {
			panic("a test")
		}
		return true
	}
	i := &inspector{gives: map[goroutine.Source]*Inspection{goroutine.SourceText: {Snapshot: madeBy(0, "main.add")}}}
	e := New(Config{Detectors: []*detectors.Detector{finds(detectors.Suspected, "")}, Inspector: i,
		Known: []detectors.KnownStack{{Name: "mine", Creator: "main.add", Match: sometimes}}})
	assert.NotPanics(t, func() { e.Step(parked(0, 3)) })
	assert.Len(t, e.Step(parked(1, 3)).Open, 1, "one that panics covers nothing")
}

// A finding that is missing in some snapshots need not be decided again: the next dump
// may be refused.
func TestDecisionsOutlastAFinding(t *testing.T) {
	finds := finds(detectors.Suspected, "")
	steps := 0
	d := &detectors.Detector{Name: "finds", Run: func(p *detectors.Pass) error {
		if steps++; steps%3 == 2 {
			return nil
		}
		return finds.Run(p)
	}}
	i := &inspector{gives: map[goroutine.Source]*Inspection{goroutine.SourceText: dumpOf(goroutine.Group{Stack: worker, State: goroutine.Select, Count: 1, CreatedBy: goroutine.Frame{Function: "main.add"}})}}
	e := New(Config{Detectors: []*detectors.Detector{d}, Known: []detectors.KnownStack{{Name: "mine", Creator: "main.add"}}, Inspector: i})
	for step := range 100 {
		assert.Empty(t, e.Step(parked(step, 3)).Open)
	}
	assert.Len(t, i.asked, 1)
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

// A snapshot that does not show all stacks does not tell that an exclusion matches
// nothing.
func TestExclusionsAreUnusedOnlyWhereSnapshotsTell(t *testing.T) {
	gone := goroutine.NewStack([]goroutine.Frame{{Function: "main.gone"}})
	profile := func(s *goroutine.Snapshot) { s.Source = goroutine.SourceProfile }
	for name, tc := range map[string]struct {
		change func(hour int, s *goroutine.Snapshot)
		first  int // hour in which it is unused; 0 if in none
	}{
		"all stacks": {func(int, *goroutine.Snapshot) {}, 24},
		"profiles":   {func(_ int, s *goroutine.Snapshot) { profile(s) }, 0},
		"some profiles": {func(hour int, s *goroutine.Snapshot) {
			if hour >= 3 && hour < 13 {
				profile(s)
			}
		}, 34},
		"seen in a profile": {func(hour int, s *goroutine.Snapshot) {
			if hour == 5 {
				profile(s)
				s.Groups[0].Stack = gone
			}
		}, 29},
		"cut off": {func(_ int, s *goroutine.Snapshot) { s.Missing = 1 }, 0},
		"summed up": {func(_ int, s *goroutine.Snapshot) {
			s.Groups = append(s.Groups, goroutine.Group{Stack: &goroutine.Stack{ID: goroutine.OtherStacks}, Count: 1})
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			e := New(Config{Known: []detectors.KnownStack{{Name: "old", Match: func(s *goroutine.Stack) bool { return s.ID == gone.ID }}}})
			first := 0
			for hour := range 60 {
				s := parked(0, 3)
				s.Time = start.Add(time.Duration(hour) * time.Hour)
				tc.change(hour, s)
				if len(e.Step(s).Unused) > 0 && first == 0 {
					first = hour
				}
			}
			assert.Equal(t, tc.first, first)
		})
	}
}
