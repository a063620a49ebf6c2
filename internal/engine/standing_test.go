// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/engine"
	"github.com/otelgoroutine/go/internal/words"
)

var (
	atLock   = detectortest.At(goroutine.MutexLock, "sync.(*Mutex).Lock:9", "main.(*ledger).balance:3", "main.serve:1")
	atReply  = detectortest.At(goroutine.ChanSend, "main.reply:5", "main.serve:2")
	atNil    = detectortest.At(goroutine.ChanReceiveNil, "main.(*plugin).listen:7", "main.run:1")
	atAction = detectortest.At(goroutine.Running, "main.work:8", "main.serve:1")
	atPool   = detectortest.At(goroutine.ChanReceive, "main.(*pool).acquire:4", "main.query:2", "net/http.(*conn).serve:1")
	atQuery  = detectortest.At(goroutine.IOWait, "main.query:3", "net/http.(*conn).serve:1")
)

// A fault breaks a simulated process at step begin, and goes on. i counts from
// there.
type fault struct {
	detector string
	place    detectortest.Place
	begin    func(p *detectortest.Process)
	goesOn   func(p *detectortest.Process, i int)
	stops    bool // no request passes any more
}

func nothing(*detectortest.Process, int) {}

// begins is at which snapshot faults begin, a quarter of an hour after the start.
const begins = 60

// standingFaults has one for every built-in detector whose findings stand.
var standingFaults = []fault{
	{"deadlock", atLock, func(p *detectortest.Process) { p.Go(atLock, 8) }, nothing, false},
	{"blocked_forever", atNil, func(p *detectortest.Process) { p.Go(atNil, 3) }, nothing, false},
	{"leak", atReply, func(*detectortest.Process) {}, func(p *detectortest.Process, i int) {
		if i%2 == 0 && i < 280 { // it stops growing after 70 minutes
			p.Go(atReply, 1)
		}
	}, false},
	{"hang", atPool, func(*detectortest.Process) {}, func(p *detectortest.Process, i int) {
		if i < 40 {
			p.Go(atPool, 2)
		}
	}, true},
}

// series returns n snapshots of a process in which a fault begins after some.
func (f fault) series(n, begin int) []*goroutine.Snapshot {
	p := detectortest.NewProcess(2)
	p.Go(detectortest.At(goroutine.ChanReceive, "main.main:1"), 1)
	return detectortest.Series(p, n, 15*time.Second, func(i int) {
		f.works(p, i < begin)
		switch {
		case i == begin:
			f.begin(p)
		case i > begin:
			f.goesOn(p, i-begin)
		}
	})
}

// works starts the goroutines of an interval that do not stay.
func (f fault) works(p *detectortest.Process, sound bool) {
	for range 3 {
		p.GoFor(atAction, 40*time.Second)
		if sound || !f.stops {
			p.GoFor(atQuery, 20*time.Second)
		}
	}
}

// builtIn returns the built-in detectors, hang among them.
func builtIn() []*detectors.Detector {
	all := detectors.Default()
	if !slices.ContainsFunc(all, func(d *detectors.Detector) bool { return d.Name == "hang" }) {
		all = append(all, detectors.NewHang(detectors.DefaultHangConfig()))
	}
	return all
}

var thinnings = map[string]func(i int) bool{
	"all":                func(int) bool { return true },
	"a minute apart":     func(i int) bool { return i%4 == 0 },
	"three minutes":      func(i int) bool { return i%12 == 0 },
	"a starved host":     func(i int) bool { return i%31 < 4 || i%31 == 11 }, // four in a row, gaps of two and five minutes
	"rare after a while": func(i int) bool { return i < 280 || i%80 == 0 },
}

// TestNothingEndsWhileAFaultStands replays the fault of each detector with all
// snapshots and with few. Each is one incident, few events tell it, and after each
// snapshot the texts and numbers agree.
func TestNothingEndsWhileAFaultStands(t *testing.T) {
	for _, f := range standingFaults {
		series := f.series(600, begins)
		for name, left := range thinnings {
			t.Run(f.detector+"/"+name, func(t *testing.T) {
				t.Parallel()
				e := engine.New(engine.Config{Detectors: builtIn()})
				var open []detectors.Finding
				var events []detectors.Event
				for i, s := range series {
					if !left(i) {
						continue
					}
					r := e.Step(s)
					open, events = r.Open, append(events, r.Events...)
					for k := range open {
						agrees(t, &open[k], s.Time)
					}
					for k := range r.Events {
						agrees(t, &r.Events[k].Finding, s.Time)
					}
					if t.Failed() {
						t.Fatalf("at %v: %+v", s.Time, open)
					}
				}
				if f.detector == "hang" && len(events) == 0 && name != "all" {
					return // what moved before was hardly ever seen
				}
				require.Len(t, open, 1, "one fault is one incident")
				assert.Equal(t, f.place.Stack.ID, open[0].Stack.ID)
				early := 0
				for _, event := range events {
					assert.NotEqual(t, detectors.Resolved, event.Kind, "%v: %s", event.Time, event.Finding.Message)
					assert.Equal(t, open[0].ID, event.Finding.ID)
					if event.Time.Sub(events[0].Time) <= 80*time.Minute {
						early++
					}
				}
				assert.LessOrEqual(t, early, 3, "four with the end")
			})
		}
	}
}

// TestAStallEndsWhenItsGoroutinesLeave has a goroutine in one snapshot that runs, such
// as that of a timer: the process still stands.
func TestAStallEndsWhenItsGoroutinesLeave(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(detectortest.At(goroutine.WaitGroupWait, "main.main:1"), 1)
	ids := p.Go(atReply, 3)
	e := engine.New(engine.Config{Detectors: []*detectors.Detector{detectors.NewStall(detectors.DefaultStallConfig())}})
	var ends []string
	var open []detectors.Finding
	steps := func(n int) {
		for range n {
			p.Advance(15 * time.Second)
			r := e.Step(p.Snapshot())
			open = r.Open
			for _, event := range r.Events {
				if event.Kind == detectors.Resolved {
					ends = append(ends, event.Finding.Message)
				}
			}
		}
	}
	steps(20)
	require.Len(t, open, 1)
	p.GoFor(atAction, 20*time.Second)
	steps(4)
	require.Len(t, open, 1)
	assert.Equal(t, 3, open[0].Count)
	assert.Contains(t, open[0].Message, "3 goroutines are still at main.reply (main.go:5): this has lasted for ")
	steps(20)
	require.Len(t, open, 1)
	p.Exit(ids...)
	steps(4)
	assert.Empty(t, open)
	assert.Equal(t, []string{"The 3 goroutines have left main.reply (main.go:5)."}, ends)
}

// Of what one snapshot showed, it is not known how long it lasted.
func TestAnEndTellsNoDurationThatIsNotKnown(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(detectortest.At(goroutine.ChanReceive, "main.main:1"), 1)
	ids := p.Go(atNil, 1)
	e := engine.New(engine.Config{Detectors: builtIn()})
	require.Len(t, e.Step(p.Snapshot()).Open, 1)
	p.Exit(ids...)
	for range 20 {
		p.Advance(15 * time.Second)
		for _, event := range e.Step(p.Snapshot()).Events {
			assert.Contains(t, event.Finding.Message, "has left")
			assert.Equal(t, []string{"0 goroutines are there now; there were 1."}, event.Finding.Evidence)
			return
		}
	}
	t.Error("it did not end")
}

// TestItEndsWhenTheGoroutinesLeave lets each fault end, with all snapshots and with
// few.
func TestItEndsWhenTheGoroutinesLeave(t *testing.T) {
	for _, f := range standingFaults {
		for _, name := range []string{"a minute apart", "a starved host", "rare after a while"} {
			left := thinnings[name]
			t.Run(f.detector+"/"+name, func(t *testing.T) {
				t.Parallel()
				p := detectortest.NewProcess(2)
				e := engine.New(engine.Config{Detectors: builtIn()})
				end := 380
				var told []detectors.Event
				detectortest.Series(p, 640, 15*time.Second, func(i int) {
					f.works(p, i < begins || i > end)
					switch {
					case i == begins:
						f.begin(p)
					case i > begins && i < end:
						f.goesOn(p, i-begins)
					case i == end:
						for id := uint64(1); id < 20_000; id++ {
							p.Exit(id)
						}
					}
					if left(i) {
						told = append(told, e.Step(p.Snapshot()).Events...)
					}
				})
				if f.detector == "hang" && len(told) == 0 && name != "rare after a while" {
					return
				}
				require.NotEmpty(t, told)
				last := told[len(told)-1]
				require.Equal(t, detectors.Resolved, last.Kind)
				ended := detectortest.Start.Add(time.Duration(end+1) * 15 * time.Second)
				assert.WithinDuration(t, ended, last.Time, 41*time.Minute, "two snapshots")
				assert.False(t, last.Time.Before(ended.Add(-30*time.Second)), "not before")
				assert.Contains(t, last.Finding.Message, "left "+f.place.Stack.User().Function)
				assert.NotContains(t, last.Finding.Message, "waiting")
				assert.Empty(t, last.Finding.Advice)
				for _, event := range told[:len(told)-1] {
					assert.NotEqual(t, detectors.Resolved, event.Kind)
				}
			})
		}
	}
}

var span = regexp.MustCompile(`(?:for|lasted for) ([0-9.]+ (?:s|min|h|days))\b`)

// agrees holds the texts and numbers of an open finding together.
func agrees(t *testing.T, f *detectors.Finding, now time.Time) {
	t.Helper()
	assert.GreaterOrEqual(t, f.Age+time.Second, now.Sub(f.Opened), "%s", f.Message)
	all := append([]string{f.Message}, f.Evidence...)
	for _, s := range all {
		assert.NotContains(t, s, "-0 s")
	}
	for _, m := range span.FindAllStringSubmatch(f.Message, -1) {
		assert.Equal(t, words.Span(f.Age), m[1], "%s", f.Message)
	}
	if first, _, _ := strings.Cut(f.Message, " "); strings.Contains(f.Message, "still") || len(f.Participants) == 0 {
		if n, err := strconv.Atoi(first); err == nil {
			assert.Equal(t, n, f.Count, "%s", f.Message)
		}
	}
}

// stuck reports every goroutine at a place while it is told to, as a finding that
// stands.
func stuck(name string, at detectortest.Place, finds *bool, yields ...string) *detectors.Detector {
	return &detectors.Detector{Name: name, Yields: yields, Run: func(p *detectors.Pass) error {
		for i := range p.Snapshot.Groups {
			g := &p.Snapshot.Groups[i]
			if *finds && g.Stack.ID == at.Stack.ID && g.State == at.State {
				p.Report(detectors.Finding{Confidence: detectors.High, Stack: g.Stack, State: g.State, Count: g.Count, IDs: slices.Clone(g.IDs),
					Stands: true, Age: time.Minute, Message: fmt.Sprintf("%d goroutines wait for 60 s.", g.Count), Evidence: []string{"It is said why.", "In 4 snapshots."}})
			}
		}
		return nil
	}}
}

// A stage is a simulated process with a detector that can be told to find nothing.
type stage struct {
	*detectortest.Process
	*engine.Engine
	t     *testing.T
	finds bool
}

func newStage(t *testing.T, at detectortest.Place, n int) (s *stage, ids []uint64) {
	s = &stage{Process: detectortest.NewProcess(1), t: t, finds: true}
	s.Go(atQuery, 2)
	ids = s.Go(at, n)
	s.Engine = engine.New(engine.Config{Detectors: []*detectors.Detector{stuck("stuck", at, &s.finds)}})
	require.Len(t, s.pass().Events, 1)
	s.finds = false
	return s, ids
}

func (s *stage) pass() engine.Result {
	s.Advance(15 * time.Second)
	return s.Step(s.Snapshot())
}

// ends returns in which of some more passes the end is told.
func (s *stage) ends(passes int) int {
	for i := range passes {
		for _, e := range s.pass().Events {
			if e.Kind == detectors.Resolved {
				return i + 1
			}
		}
	}
	return 0
}

func TestAKeptFindingTellsTheNewestSnapshot(t *testing.T) {
	s, ids := newStage(t, atReply, 8)
	s.Go(atReply, 4)
	s.Exit(ids[7])
	s.pass()
	s.Advance(30*time.Minute - 30*time.Second)
	f := s.pass().Open[0]
	assert.Equal(t, "11 goroutines are still at main.reply (main.go:5) in chan send: this has lasted for 31 min.", f.Message)
	assert.Equal(t, []string{
		"Of the 8 goroutines listed then, 1 has left.",
		"Found 30 min ago: 8 goroutines wait for 60 s.",
		"It is said why.",
	}, f.Evidence)
	assert.Equal(t, 11, f.Count)
	assert.Equal(t, ids[:7], f.IDs)
	assert.Empty(t, f.Unjudged)
	assert.False(t, s.pass().Attention, "what is open asks for no more snapshots")
}

func TestWhatEndsAFinding(t *testing.T) {
	for name, tc := range map[string]struct {
		at   detectortest.Place
		n    int
		do   func(s *stage, ids []uint64, i int)
		want int // in which of 40 passes; 0 is never
	}{
		"nothing":                       {atReply, 8, func(*stage, []uint64, int) {}, 0},
		"all exit":                      {atReply, 8, func(s *stage, ids []uint64, i int) { s.Exit(ids...) }, 2},
		"one stays":                     {atReply, 8, func(s *stage, ids []uint64, i int) { s.Exit(ids[1:]...) }, 0},
		"all go elsewhere":              {atReply, 8, func(s *stage, ids []uint64, i int) { s.Move(atAction, ids...) }, 3},
		"a broadcast wakes all":         {atReply, 8, func(s *stage, ids []uint64, i int) { s.Move(woken(i%4 == 0, atReply), ids...) }, 0},
		"the lock is handed on":         {atLock, 3, func(s *stage, ids []uint64, i int) { s.Move(atAction, ids[i%3]); s.Move(atLock, ids[(i+2)%3]) }, 3},
		"a lock with one that is stuck": {atLock, 3, func(s *stage, ids []uint64, i int) { s.Move(atAction, ids[1:]...) }, 0},
		"the oldest exit of many":       {atReply, 200, func(s *stage, ids []uint64, i int) { s.Exit(ids[:20]...) }, 0},
		"many exit little by little":    {atReply, 200, func(s *stage, ids []uint64, i int) { s.Exit(ids[:10*i]...) }, 19},
		"others take their places": {atReply, 8, func(s *stage, ids []uint64, i int) {
			s.Exit(ids...)
			if i == 0 {
				s.Go(atReply, 50)
			}
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s, ids := newStage(t, tc.at, tc.n)
			got := 0
			for i := range 40 {
				tc.do(s, ids, i)
				if s.ends(1) == 1 {
					got = i + 1
					break
				}
			}
			assert.Equal(t, tc.want, got)
		})
	}
}

func woken(yes bool, at detectortest.Place) detectortest.Place {
	if yes {
		at.State = goroutine.Runnable
	}
	return at
}

// TestWhatCannotBeJudgedStaysOpen: snapshots without IDs tell nothing.
func TestWhatCannotBeJudgedStaysOpen(t *testing.T) {
	s, ids := newStage(t, atReply, 8)
	s.Source = goroutine.SourceProfile
	s.Exit(ids...)
	s.Go(atReply, 8)
	for range 20 {
		r := s.pass()
		require.Empty(t, r.Events)
		require.Len(t, r.Open, 1)
		require.Equal(t, "snapshots have no goroutine IDs", r.Open[0].Unjudged)
	}
	s.Source = goroutine.SourceTrace
	assert.Equal(t, 2, s.ends(9), "now it is known that they have left")
}

func TestAnotherProcessEndsIt(t *testing.T) {
	s, _ := newStage(t, atReply, 300)
	other := detectortest.NewProcess(1)
	other.Go(atQuery, 20)
	other.Go(atReply, 40)
	other.Advance(time.Hour)
	events := s.Step(other.Snapshot()).Events
	require.Len(t, events, 1)
	assert.Equal(t, "The process was restarted: its goroutine IDs begin anew.", events[0].Finding.Message)
}

// TestAWindowShowsThatALockIsHandedOn: a waiter that queues again at once is at the
// lock in every snapshot.
func TestAWindowShowsThatALockIsHandedOn(t *testing.T) {
	for _, tc := range []struct {
		at   detectortest.Place
		want int
	}{{atLock, 1}, {atReply, 0}} {
		s, ids := newStage(t, tc.at, 3)
		s.Inspected(&goroutine.Snapshot{Time: s.Now().Add(time.Second), Source: goroutine.SourceWindow,
			Movements: []goroutine.Movement{{Stack: tc.at.Stack, State: tc.at.State, Woken: 3, Fed: ids}}})
		assert.Equal(t, tc.want, s.ends(20))
	}
}

// TestAKeptFindingTellsItsPlaces: counts and goroutines are those of the newest
// snapshot, and a note with a number that may be old is left out.
func TestAKeptFindingTellsItsPlaces(t *testing.T) {
	p := detectortest.NewProcess(1)
	holder, waiters := p.Go(atReply, 1), p.Go(atLock, 4)
	finds := true
	d := stuck("stuck", atLock, &finds)
	run := d.Run
	d.Run = func(pass *detectors.Pass) error {
		own := *pass
		own.Report = func(f detectors.Finding) {
			f.Participants = []detectors.Participant{
				{Role: detectors.RoleHolder, Stack: atReply.Stack, State: atReply.State, Count: 1, IDs: holder, Note: "holds lock 0xc000 in reply (main.go:5)"},
				{Role: detectors.RoleWaiter, Stack: atLock.Stack, State: atLock.State, Count: f.Count, IDs: f.IDs, Note: "4 wait"},
			}
			pass.Report(f)
		}
		return run(&own)
	}
	e := engine.New(engine.Config{Detectors: []*detectors.Detector{d}})
	e.Step(p.Snapshot())
	finds = false
	p.Exit(waiters[0])
	var open []detectors.Finding
	for range 3 {
		p.Advance(15 * time.Second)
		open = e.Step(p.Snapshot()).Open
	}
	require.Len(t, open, 1)
	assert.Equal(t, "3 goroutines are still at main.(*ledger).balance (main.go:3) in sync.Mutex.Lock: this has lasted for 105 s.", open[0].Message)
	assert.Equal(t, 3, open[0].Count)
	assert.Equal(t, "holds lock 0xc000 in reply (main.go:5)", open[0].Participants[0].Note)
	assert.Equal(t, detectors.Participant{Role: detectors.RoleWaiter, Stack: atLock.Stack, State: atLock.State, Count: 3, IDs: waiters[1:]}, open[0].Participants[1])

	p.Exit(waiters[1:]...)
	for range 3 {
		p.Advance(15 * time.Second)
		open = e.Step(p.Snapshot()).Open
	}
	assert.Empty(t, open, "the holder may stay where it is when it has released the lock")
}
