// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/engine"
)

// told is what a scripted detector reports in a step; nil is nothing.
type told []*detectors.Finding

// scripted reports in each pass what all[step] holds for it.
func scripted(name string, step *int, all map[int]told, yields ...string) *detectors.Detector {
	return &detectors.Detector{Name: name, Yields: yields, Run: func(p *detectors.Pass) error {
		for _, f := range all[*step] {
			p.Report(*f)
		}
		return nil
	}}
}

func at(place detectortest.Place, count int, ids ...uint64) *detectors.Finding {
	return &detectors.Finding{Confidence: detectors.Medium, Stack: place.Stack, State: place.State, Count: count, IDs: ids,
		Age: time.Minute, Message: fmt.Sprintf("%d at %s.", count, place.Stack.User().Function), Evidence: []string{"So it is."}}
}

func with(f *detectors.Finding, ps ...detectors.Participant) *detectors.Finding {
	f.Participants = ps
	return f
}

func participant(r detectors.Role, place detectortest.Place, ids ...uint64) detectors.Participant {
	return detectors.Participant{Role: r, Stack: place.Stack, State: place.State, Count: len(ids), IDs: ids}
}

// always reports the same in every one of n steps.
func always(n int, fs ...*detectors.Finding) map[int]told {
	all := make(map[int]told)
	for i := range n {
		all[i] = fs
	}
	return all
}

// play runs detectors over n snapshots of a process with some goroutines at four
// places, and returns events as "step kind detector function" and what is open
// at last.
func play(n int, step *int, ds ...*detectors.Detector) (events []string, open []detectors.Finding) {
	p := detectortest.NewProcess(1)
	for _, place := range []detectortest.Place{atLock, atReply, atPool, atQuery} {
		p.Go(place, 10)
	}
	e := engine.New(engine.Config{Detectors: ds})
	for *step = range n {
		p.Advance(15 * time.Second)
		r := e.Step(p.Snapshot())
		open = r.Open
		for _, event := range r.Events {
			events = append(events, fmt.Sprintf("%d %v %s %s", *step, event.Kind, event.Finding.Detector, event.Finding.Stack.User().Function))
		}
	}
	return events, open
}

func TestFindingsAboutTheSameGoroutinesAreOne(t *testing.T) {
	var step int
	for name, tc := range map[string]struct {
		strong, weak *detectors.Finding
		one          bool
	}{
		"the same place":           {at(atLock, 8), at(atLock, 10), true},
		"another state of a lock":  {at(atLock, 8), at(detectortest.Place{Stack: atLock.Stack, State: goroutine.RWMutexLock}, 10), true},
		"no state":                 {at(atLock, 8), at(detectortest.Place{Stack: atLock.Stack}, 10), true},
		"another place":            {at(atLock, 8), at(atReply, 10), false},
		"another state":            {at(atReply, 8), at(detectortest.Place{Stack: atReply.Stack, State: goroutine.Select}, 10), false},
		"a participant's place":    {with(at(atLock, 8), participant(detectors.RoleWaiter, atReply)), at(atReply, 10), true},
		"the weaker's participant": {at(atLock, 8), with(at(atReply, 10), participant(detectors.RoleHolder, atLock)), true},
		"a goroutine":              {at(atLock, 8, 3, 4), at(atReply, 10, 4, 5), true},
		"other goroutines":         {at(atLock, 8, 3, 4), at(atReply, 10, 5, 6), false},
	} {
		t.Run(name, func(t *testing.T) {
			events, open := play(3, &step, scripted("weak", &step, always(3, tc.weak), "strong", "unknown"), scripted("strong", &step, always(3, tc.strong)))
			want := []string{"0 detected strong " + tc.strong.Stack.User().Function}
			if !tc.one {
				want = append([]string{"0 detected weak " + tc.weak.Stack.User().Function}, want...)
			}
			assert.ElementsMatch(t, want, events)
			require.Len(t, open, len(want))
			if tc.one && len(tc.strong.Participants) == 0 { // otherwise they tell the same
				assert.Contains(t, open[0].Evidence, tc.weak.Message)
			}
		})
	}
}

func TestWhatIsAbsorbedAddsPlaces(t *testing.T) {
	var step int
	weak := with(at(atPool, 10), participant(detectors.RoleCause, atReply, 11), participant(detectors.RoleWaiter, atPool, 21, 22), participant(detectors.RoleAffected, atLock, 1))
	weak.Confidence, weak.Advice = detectors.High, "Look there."
	strong := at(atLock, 8, 1, 2)
	_, open := play(2, &step, scripted("strong", &step, always(2, strong)), scripted("weak", &step, always(2, weak), "strong"))
	require.Len(t, open, 1)
	f := open[0]
	var roles []string
	for _, p := range f.Participants {
		roles = append(roles, fmt.Sprintf("%s %s", p.Role, p.Stack.User().Function))
	}
	assert.Equal(t, []string{"cause main.reply", "waiter main.(*ledger).balance", "waiter main.(*pool).acquire"}, roles)
	assert.Equal(t, detectors.High, f.Confidence)
	assert.Equal(t, 8, f.Count)
	assert.Equal(t, "Look there.", f.Advice)
	assert.Equal(t, []string{"So it is.", weak.Message}, f.Evidence)
	assert.Empty(t, strong.Participants, "the detector's own is untouched")
}

// TestAChainIsOne has three detectors, the first and last of which have nothing in
// common; and a circle, which is no reason to lose a finding.
func TestAChainIsOne(t *testing.T) {
	var step int
	low, mid, high := at(atPool, 3, 31), at(atReply, 2, 21, 31), at(atLock, 1, 21)
	for _, circle := range [][]string{nil, {"low"}} {
		events, open := play(2, &step,
			scripted("low", &step, always(2, low), "mid"), scripted("mid", &step, always(2, mid), "high"), scripted("high", &step, always(2, high), circle...))
		assert.Equal(t, []string{"0 detected high main.(*ledger).balance"}, events)
		require.Len(t, open, 1)
		assert.Len(t, open[0].Participants, 3)
	}
}

func TestAProcessWideFindingYieldsWhenItsGoroutinesAreElsewhere(t *testing.T) {
	var step int
	wide := func(count int) *detectors.Finding {
		f := at(atLock, count)
		f.Stack = &goroutine.Stack{ID: goroutine.OtherStacks, Frames: atLock.Stack.Frames}
		return f
	}
	for count, want := range map[int]int{20: 1, 21: 2} { // ten are at the lock
		_, open := play(2, &step, scripted("wide", &step, always(2, wide(count)), "strong"), scripted("strong", &step, always(2, at(atLock, 10))))
		assert.Len(t, open, want)
	}
	_, open := play(2, &step, scripted("wide", &step, always(2, wide(40)), "strong"),
		scripted("strong", &step, always(2, at(atLock, 10), at(atReply, 10))))
	assert.Len(t, open, 2, "two explain it together")
}

// TestGrowthBelongsToWhatGrew: of a process with many goroutines, the few that came
// are what a surge is about.
func TestGrowthBelongsToWhatGrew(t *testing.T) {
	for _, where := range []detectortest.Place{atReply, atQuery} {
		p := detectortest.NewProcess(1)
		p.Go(atPool, 500)
		surge := &detectors.Detector{Name: "surge", Yields: []string{"strong"}, Needs: detectors.Needs{History: time.Hour}, Run: func(p *detectors.Pass) error {
			if n := p.Snapshot.Total; n > 500 {
				p.Report(detectors.Finding{Confidence: detectors.Info, Stack: &goroutine.Stack{ID: goroutine.OtherStacks}, Count: n, Age: 15 * time.Second, GrowthPerMinute: 9})
			}
			return nil
		}}
		finds := true
		e := engine.New(engine.Config{Detectors: []*detectors.Detector{surge, stuck("strong", atReply, &finds)}})
		var open []detectors.Finding
		for i := range 8 {
			if i == 6 {
				p.Go(where, 100)
				p.Go(atReply, 20)
			}
			p.Advance(15 * time.Second)
			open = e.Step(p.Snapshot()).Open
		}
		want := 1
		if where.Stack != atReply.Stack {
			want = 2
		}
		assert.Len(t, open, want, where.Stack.User().Function)
	}
}

// TestAStrongerFindingContinuesAnIncident: what a weaker detector opened is told as
// the same incident once a stronger one explains it, and the other way round.
func TestAStrongerFindingContinuesAnIncident(t *testing.T) {
	var step int
	weak, strong := at(atReply, 5, 11, 12), at(atLock, 3, 11)
	strong.Confidence = detectors.High
	standing := at(atLock, 10, 1, 2)
	standing.Stands = true
	later := func(from, until int, f *detectors.Finding) map[int]told {
		all := make(map[int]told)
		for i := from; i < until; i++ {
			all[i] = told{f}
		}
		return all
	}
	for name, tc := range map[string]struct {
		weak, strong map[int]told
		want         []string
		open         int
	}{
		"the stronger comes later": {later(0, 20, weak), later(5, 20, strong),
			[]string{"0 detected weak main.reply", "5 repeated strong main.(*ledger).balance"}, 1},
		"the weaker comes later": {later(5, 20, weak), later(0, 20, strong), []string{"0 detected strong main.(*ledger).balance"}, 1},
		"the weaker is lost when the stronger comes": {later(0, 4, weak), later(5, 20, strong),
			[]string{"0 detected weak main.reply", "5 repeated strong main.(*ledger).balance"}, 1},
		"the stronger stands, found no more": {later(10, 20, at(atLock, 10, 2)), later(0, 4, standing), []string{"0 detected strong main.(*ledger).balance"}, 1},
		"the stronger ends": {later(5, 20, weak), later(0, 4, strong),
			[]string{"0 detected strong main.(*ledger).balance", "6 resolved strong main.(*ledger).balance", "7 detected weak main.reply"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			events, open := play(20, &step, scripted("weak", &step, tc.weak, "strong"), scripted("strong", &step, tc.strong))
			assert.Equal(t, tc.want, events)
			assert.Len(t, open, tc.open)
		})
	}
}

// TestTwoIncidentsThatTurnOutToBeOne end together.
func TestTwoIncidentsThatTurnOutToBeOne(t *testing.T) {
	var step int
	apart, together := at(atReply, 5, 11, 12), at(atReply, 5, 11, 12)
	apart.IDs = []uint64{15}
	strong := at(atLock, 3, 11)
	weak := make(map[int]told)
	for i := range 9 {
		weak[i] = told{apart}
		if i > 4 {
			weak[i] = told{together}
		}
	}
	events, open := play(20, &step, scripted("weak", &step, weak, "strong"), scripted("strong", &step, always(9, strong)))
	assert.Empty(t, open)
	assert.Equal(t, []string{"0 detected weak main.reply", "0 detected strong main.(*ledger).balance",
		"11 resolved strong main.(*ledger).balance", "11 resolved weak main.reply"}, events)
}

// A queue that stands and was told by itself becomes part of a larger one that has all of
// its goroutines, and nothing less.
func TestAnIncidentThatALargerOneOutgrows(t *testing.T) {
	for name, tc := range map[string]struct {
		ids        []uint64 // of the first queue
		confidence detectors.Confidence
		open       int
	}{
		"all of them":           {[]uint64{1, 2}, detectors.Medium, 1},
		"one that is elsewhere": {[]uint64{1, 3}, detectors.Medium, 2},
		"one that is certain":   {[]uint64{1, 2}, detectors.High, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var step int
			first, second := at(atLock, 2, tc.ids...), at(atReply, 5, 11, 12)
			first.Stands, second.Stands, first.Confidence = true, true, tc.confidence
			large := with(at(atReply, 7, 11, 12), participant(detectors.RoleWaiter, atReply, 11, 12), participant(detectors.RoleWaiter, atLock, 1, 2))
			large.Stands = true
			all := map[int]told{0: {first}, 1: {first, second}}
			for i := 2; i < 9; i++ {
				all[i] = told{large}
			}
			events, open := play(9, &step, scripted("deadlock", &step, all))
			assert.Len(t, open, tc.open)
			assert.Equal(t, []string{"0 detected deadlock main.(*ledger).balance", "1 detected deadlock main.reply"}, events)
		})
	}
}
