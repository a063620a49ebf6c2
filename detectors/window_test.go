// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/engine"
)

// windowOf makes a window that ends now, in which waker woke goroutines at a
// place: another goroutine, or the runtime when it is zero.
func windowOf(p *detectortest.Process, at detectortest.Place, waker detectortest.Place, woken ...uint64) *goroutine.Snapshot {
	w := &goroutine.Snapshot{Time: p.Now(), Source: goroutine.SourceWindow}
	if len(woken) == 0 {
		return w
	}
	m := goroutine.Movement{Stack: at.Stack, State: at.State, Woken: len(woken)}
	if waker.Stack == nil {
		waker.Stack = goroutine.NewStack(nil)
		m.Timed = goroutine.SampleIDs(nil, woken...)
	} else {
		m.Fed = goroutine.SampleIDs(nil, woken...)
	}
	m.Wakers = []goroutine.Waker{{Stack: waker.Stack, Count: len(woken)}}
	w.Movements = []goroutine.Movement{m}
	return w
}

var (
	atInbox  = place(goroutine.ChanReceive, "main.(*Member).loop:12")
	feeder   = place(goroutine.Running, "main.(*Hub).publish:77")
	unlocker = place(goroutine.Running, "main.(*Counter).inc:9")
)

// A watched replay opens a window whenever the detector asks for one, as a
// monitor does.
type watched struct {
	*detectortest.Replay
	detector *detectors.Detector
	window   func() *goroutine.Snapshot
	asked    int
}

func watch(t *testing.T, d detectors.Detector, window func() *goroutine.Snapshot) *watched {
	w := &watched{window: window}
	run := d.Run
	d.Run = func(p *detectors.Pass) error {
		ask := p.Ask
		p.Ask = func(s goroutine.Source) bool {
			if s == goroutine.SourceWindow {
				w.asked++
			}
			return ask(s)
		}
		return run(p)
	}
	w.detector = &d
	w.Replay = detectortest.NewReplay(t, w.detector)
	w.Expect(goroutine.SourceWindow)
	return w
}

// step takes a snapshot, and a window when one was asked for.
func (w *watched) step(p *detectortest.Process) detectortest.Step {
	before := w.asked
	step := w.Step(p.Snapshot())
	if w.asked > before {
		w.Inspect(w.window())
	}
	return step
}

// grow has one more goroutine at a place every half minute for some time, and
// returns when something was found first, and all that was found last.
func grow(w *watched, p *detectortest.Process, length time.Duration, members *[]uint64) (first time.Duration, last []detectors.Finding) {
	for i := 0; p.Now().Sub(detectortest.Start) < length; i++ {
		if i%2 == 0 {
			*members = append(*members, p.Go(atInbox, 1)...)
		}
		p.Advance(interval)
		last = w.step(p).Findings
		if len(last) > 0 && first == 0 {
			first = p.Now().Sub(detectortest.Start)
		}
	}
	return first, last
}

func TestALeakIsWatchedBeforeItIsReported(t *testing.T) {
	p := detectortest.NewProcess(1)
	w := watch(t, *newLeak(), func() *goroutine.Snapshot { return windowOf(p, atInbox, feeder) })
	var members []uint64
	first, last := grow(w, p, 3*time.Hour, &members)
	assert.Greater(t, first, 45*time.Minute)
	assert.Less(t, first, 55*time.Minute)
	detectortest.Compare(t, last, detectortest.Want{Function: "main.(*Member).loop", Confidence: detectors.Suspected, Contains: "none of them was seen to be woken and to return"})
	assert.Less(t, w.asked, 400, "not in every snapshot of three hours")
}

func TestALeakIsNotHeldBackForeverWithoutWindows(t *testing.T) {
	p := detectortest.NewProcess(1)
	w := watch(t, *newLeak(), nil)
	w.Expect() // none can be had
	w.window = func() *goroutine.Snapshot { return windowOf(p, atKeepAlive, feeder) }
	var members []uint64
	first, _ := grow(w, p, time.Hour, &members)
	assert.Less(t, first, 50*time.Minute)
	assert.NotZero(t, first)
}

func TestWorkersWithShortJobsAreNoLeak(t *testing.T) {
	p := detectortest.NewProcess(1)
	var members []uint64
	windows, random := 0, rand.New(rand.NewPCG(1, 2))
	w := watch(t, *newLeak(), func() *goroutine.Snapshot {
		if windows++; windows%4 != 0 {
			return windowOf(p, atInbox, feeder)
		}
		return windowOf(p, atInbox, feeder, members[random.IntN(len(members))]) // it is back in the next snapshot
	})
	first, _ := grow(w, p, 100*time.Minute, &members)
	assert.Zero(t, first, "a pool that grows and has work")
	assert.Positive(t, windows)
}

// TestLeavingWhenWokenDoesNotClearTheOthers has healthy members that are woken
// to end among leaked ones.
func TestLeavingWhenWokenDoesNotClearTheOthers(t *testing.T) {
	p := detectortest.NewProcess(1)
	var members []uint64
	w := watch(t, *newLeak(), func() *goroutine.Snapshot {
		healthy := p.GoFor(atInbox, time.Second)
		return windowOf(p, atInbox, feeder, healthy)
	})
	first, last := grow(w, p, time.Hour, &members)
	assert.NotZero(t, first)
	detectortest.Compare(t, last, detectortest.Want{Confidence: detectors.Suspected})
}

func TestADeadlockIsConfirmedByAWindow(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(atDebit, 10)
	w := watch(t, *newDeadlock(), func() *goroutine.Snapshot { return windowOf(p, atDebit, unlocker) })
	var last []detectors.Finding
	for range 20 {
		p.Advance(interval)
		last = w.step(p).Findings
	}
	detectortest.Compare(t, last, detectortest.Want{Confidence: detectors.Medium, Count: 10, Contains: "none of them was handed the lock"})
	assert.LessOrEqual(t, w.asked, 4, "one window will do")
}

func TestAQueueThatIsServedInAWindowIsNoDeadlock(t *testing.T) {
	p := detectortest.NewProcess(1)
	waiting := p.Go(atCounter, 10)
	w := watch(t, *newDeadlock(), func() *goroutine.Snapshot { return windowOf(p, atCounter, unlocker, waiting[3]) })
	var found []detectors.Finding
	windowed := false
	for range 12 {
		p.Advance(interval)
		step := w.step(p)
		if windowed {
			found = append(found, step.Findings...)
		}
		windowed = w.asked > 0
	}
	require.True(t, windowed)
	assert.Empty(t, found)
}

// TestJoiningAStuckQueueDoesNotClearIt has a goroutine that was woken elsewhere.
func TestJoiningAStuckQueueDoesNotClearIt(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(atDebit, 10)
	w := watch(t, *newDeadlock(), func() *goroutine.Snapshot { return windowOf(p, atDebit, unlocker, p.Go(atDebit, 1)...) })
	var last []detectors.Finding
	for range 20 {
		p.Advance(interval)
		last = w.step(p).Findings
	}
	detectortest.Compare(t, last, detectortest.Want{Confidence: detectors.Medium})
}

func TestContentionNamesTheCodeThatReleasesTheLock(t *testing.T) {
	s := newService(1, 1)
	do := hold(atCounter, 150, 1)
	w := watch(t, *newContention(), func() *goroutine.Snapshot { return windowOf(s.Process, atCounter, unlocker, 3, 4, 5) })
	var last []detectors.Finding
	for range 40 {
		s.tick++
		s.Advance(interval)
		do(s)
		last = w.step(s.Process).Findings
	}
	detectortest.Compare(t, last, detectortest.Want{Function: "main.(*Counter).inc", Contains: "of the 3 times that one of them was woken, 3 were at main.(*Counter).inc (main.go:9), which releases the lock"})
	assert.LessOrEqual(t, w.asked, 3, "one window will do")
}

func TestTheMemoryOfWindowsIsBounded(t *testing.T) {
	p := detectortest.NewProcess(1)
	ids := p.Go(atInbox, 50)
	var windows []detectors.Window
	d := &detectors.Detector{Name: "keeps", Run: func(p *detectors.Pass) error {
		windows = p.Windows
		return nil
	}}
	e := engine.New(engine.Config{Detectors: []*detectors.Detector{d}})
	for range 100 {
		p.Advance(time.Second)
		w := windowOf(p, atInbox, feeder, ids...)
		for range 2000 {
			at := place(goroutine.Select, "main.f"+string(rune('a'+len(w.Movements))))
			w.Movements = append(w.Movements, goroutine.Movement{Stack: at.Stack, State: at.State, Fed: ids, Timed: ids})
		}
		e.Inspected(w)
		require.Len(t, e.Step(p.Snapshot()).Verdicts, 1)
	}
	require.Len(t, windows, 20)
	for _, w := range windows {
		assert.LessOrEqual(t, len(w.Fed), 128)
		assert.LessOrEqual(t, len(w.Timed), 128)
		for _, woken := range []map[goroutine.GroupKey][]uint64{w.Fed, w.Timed} {
			for _, ids := range woken {
				assert.LessOrEqual(t, len(ids), goroutine.MaxSample)
			}
		}
	}
}
