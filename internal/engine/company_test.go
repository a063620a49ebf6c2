// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/engine"
)

var (
	atRead  = detectortest.At(goroutine.ChanReceive, "main.read:5", "main.session:2")
	atPing  = detectortest.At(goroutine.Select, "main.ping:7")
	atWrite = detectortest.At(goroutine.Select, "main.write:9")
)

// A growth is how goroutines come to the places of a simulated process.
type growth func(p *detectortest.Process, r *rand.Rand)

// together makes a goroutine at each place at random, 0.4 times an interval.
func together(places ...detectortest.Place) growth {
	return func(p *detectortest.Process, r *rand.Rand) {
		for t := r.ExpFloat64(); t < 0.4; t += r.ExpFloat64() {
			for _, at := range places {
				p.Go(at, 1)
			}
		}
	}
}

// apart does the same for each place by itself.
func apart(places ...detectortest.Place) growth {
	return func(p *detectortest.Process, r *rand.Rand) {
		for _, at := range places {
			together(at)(p, r)
		}
	}
}

// grown returns n snapshots of a process in which requests come and go, and a growth
// begins at the second minute.
func grown(seed uint64, n int, g growth) []*goroutine.Snapshot {
	p, r := detectortest.NewProcess(1), rand.New(rand.NewPCG(seed, 3))
	p.Go(detectortest.At(goroutine.ChanReceive, "main.main:1"), 1)
	return detectortest.Series(p, n, 15*time.Second, func(i int) {
		for range r.IntN(6) {
			p.GoFor(atAction, time.Duration(r.IntN(60))*time.Second)
		}
		if i >= 8 {
			g(p, r)
		}
	})
}

// run steps through a series, and returns all events and what is open at last.
func run(e *engine.Engine, series []*goroutine.Snapshot) (events []detectors.Event, open []detectors.Finding) {
	for _, s := range series {
		r := e.Step(s)
		events, open = append(events, r.Events...), r.Open
	}
	return events, open
}

// incidents returns what events tell, without how it goes on.
func incidents(events []detectors.Event) (all []string) {
	for _, e := range events {
		if e.Kind == detectors.Detected {
			all = append(all, e.Finding.Stack.User().Function)
		}
	}
	return all
}

func companions(f *detectors.Finding) (all []string) {
	for _, p := range f.Participants {
		all = append(all, fmt.Sprintf("%s %s", p.Role, p.Stack.User().Function))
	}
	return all
}

func leaks() []*detectors.Detector {
	return []*detectors.Detector{detectors.NewLeak(detectors.DefaultLeakConfig())}
}

// TestOneGrowthIsOneIncident has three goroutines for each connection.
func TestOneGrowthIsOneIncident(t *testing.T) {
	t.Parallel()
	events, open := run(engine.New(engine.Config{Detectors: leaks()}), grown(1, 260, together(atRead, atPing, atWrite)))
	assert.Equal(t, []string{"main.read"}, incidents(events), "the oldest of each connection leads")
	require.Len(t, open, 1)
	f := &open[0]
	assert.Equal(t, "cause main.read", companions(f)[0])
	assert.ElementsMatch(t, []string{"companion main.ping", "companion main.write"}, companions(f)[1:])
	assert.Equal(t, f.Count, f.Participants[0].Count, "companions are not added")
	assert.NotContains(t, f.Message, "main.ping")
	assert.Contains(t, strings.Join(f.Evidence, "\n"), "Others come together with them and stay: ")
	for _, p := range f.Participants {
		assert.InDelta(t, f.Count, p.Count, 3)
	}
}

// TestUnrelatedLeaksStayThree is its twin: the same number leaks at each place, but
// each by itself.
func TestUnrelatedLeaksStayThree(t *testing.T) {
	t.Parallel()
	events, open := run(engine.New(engine.Config{Detectors: leaks()}), grown(1, 260, apart(atRead, atPing, atWrite)))
	assert.ElementsMatch(t, []string{"main.read", "main.ping", "main.write"}, incidents(events))
	assert.Len(t, open, 3)
	for i := range open {
		assert.Empty(t, open[i].Participants)
	}
}

// standsAt is a detector that tells, from one step on until another, of all
// goroutines at a place.
func standsAt(name string, at detectortest.Place, from, until int, yields ...string) *detectors.Detector {
	step := 0
	return &detectors.Detector{Name: name, Yields: yields, Needs: detectors.Needs{History: 2 * time.Hour}, Run: func(p *detectors.Pass) error {
		if step++; step < from || step >= until {
			return nil
		}
		for i := range p.Snapshot.Groups {
			if g := &p.Snapshot.Groups[i]; g.Stack.ID == at.Stack.ID {
				p.Report(detectors.Finding{Confidence: detectors.Suspected, Stack: g.Stack, State: g.State, Count: g.Count, IDs: g.IDs,
					Age: time.Minute, Stands: true, Message: fmt.Sprintf("%d at %s.", g.Count, g.Stack.User().Function)})
			}
		}
		return nil
	}}
}

// TestACompanionThatIsFoundLaterIsPartOfTheIncident has a second detector that finds
// it ten minutes later, and a third that explains more.
func TestACompanionThatIsFoundLaterIsPartOfTheIncident(t *testing.T) {
	for name, tc := range map[string]struct {
		first, until int // when the first is found
		yields       []string
		leads        string
	}{
		"both are found":          {80, 400, nil, "main.read"},
		"the first is only kept":  {80, 90, nil, "main.read"},
		"the later explains more": {80, 400, []string{"second"}, "main.ping"},
		"and the first is kept":   {80, 90, []string{"second"}, "main.ping"},
	} {
		t.Run(name, func(t *testing.T) {
			ds := func() []*detectors.Detector {
				return []*detectors.Detector{standsAt("first", atRead, tc.first, tc.until, tc.yields...), standsAt("second", atPing, 120, 400)}
			}
			events, open := run(engine.New(engine.Config{Detectors: ds()}), grown(1, 200, together(atRead, atPing)))
			assert.Equal(t, []string{"main.read"}, incidents(events))
			require.Len(t, open, 1)
			assert.Equal(t, events[0].Finding.ID, open[0].ID)
			assert.Equal(t, tc.leads, open[0].Stack.User().Function)
			if tc.leads == "main.read" || tc.until == 400 { // else the first is not found any more, and explains less
				assert.Len(t, open[0].Participants, 2)
			}
			for _, e := range events {
				assert.NotEqual(t, detectors.Resolved, e.Kind)
			}
			events, open = run(engine.New(engine.Config{Detectors: ds()}), grown(1, 200, apart(atRead, atPing)))
			assert.Equal(t, []string{"main.read", "main.ping"}, incidents(events))
			assert.Len(t, open, 2)
		})
	}
}

// TestAGrowthStaysOne stops the growth, so that after hours the history proves
// nothing any more; and it ends when all of its places have been left.
func TestAGrowthStaysOne(t *testing.T) {
	p, r := detectortest.NewProcess(1), rand.New(rand.NewPCG(1, 3))
	var ids [2][]uint64
	e := engine.New(engine.Config{Detectors: []*detectors.Detector{standsAt("first", atRead, 80, 3000), standsAt("second", atPing, 80, 3000)}})
	step := func() engine.Result {
		p.Advance(15 * time.Second)
		return e.Step(p.Snapshot())
	}
	p.Go(detectortest.At(goroutine.ChanReceive, "main.main:1"), 1)
	for range 160 {
		for range 1 + r.IntN(6) {
			p.GoFor(atAction, 20*time.Second)
		}
		if r.IntN(10) < 4 {
			ids[0], ids[1] = append(ids[0], p.Go(atRead, 1)...), append(ids[1], p.Go(atPing, 1)...)
		}
		step()
	}
	for range 400 {
		p.Advance(time.Minute)
		require.Len(t, step().Open, 1)
	}
	p.Exit(ids[0]...)
	for range 10 {
		require.Len(t, step().Open, 1, "the companions are still there")
	}
	p.Exit(ids[1]...)
	var ended []detectors.Event
	for range 10 {
		ended = append(ended, step().Events...)
	}
	require.Len(t, ended, 1)
	assert.Equal(t, detectors.Resolved, ended[0].Kind)
}

// TestTwoLocksAreTwoFaults has requests each of which waits for two locks.
func TestTwoLocksAreTwoFaults(t *testing.T) {
	other := detectortest.At(goroutine.MutexLock, "sync.(*Mutex).Lock:9", "main.(*journal).write:3", "main.serve:1")
	_, open := run(engine.New(engine.Config{Detectors: []*detectors.Detector{standsAt("first", atLock, 80, 400), standsAt("second", other, 80, 400)}}),
		grown(1, 200, together(atLock, other)))
	assert.Len(t, open, 2)
}
