// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

// inServer is a place of a goroutine that serves a connection, leaf first.
func inServer(state goroutine.State, frames ...string) detectortest.Place {
	return detectortest.At(state, slices.Concat([]string{"runtime.gopark"}, frames, []string{"net/http.(*conn).serve:9", "runtime.goexit"})...)
}

var (
	atRest     = inServer(goroutine.IOWait, "net/http.(*conn).readRequest:1")
	atLookup   = inServer(goroutine.ChanReceive, "main.lookup:3", "main.handle:4", "net/http.HandlerFunc.ServeHTTP:1", "net/http.serverHandler.ServeHTTP:3")
	atTransfer = inServer(goroutine.MutexLock, "sync.(*Mutex).Lock:1", "main.transfer:6", "main.handle:4", "net/http.HandlerFunc.ServeHTTP:1", "net/http.serverHandler.ServeHTTP:3")
	atListen   = detectortest.At(goroutine.IOWait, "runtime.gopark", "net.(*netFD).accept:7", "main.main:8")
)

// A world is a process in simulated time, which the capturer of a monitor sees.
type world struct {
	*detectortest.Process
	*script

	mu     sync.Mutex
	events []func() // one each second
}

// newWorld returns a service with kept connections, in a bubble.
func newWorld(connections int) (w *world, ids []uint64) {
	time.Sleep(time.Until(detectortest.Start))
	w = &world{Process: detectortest.NewProcess(2), script: new(script)}
	w.Go(atListen, 1)
	ids = w.Go(atRest, connections)
	w.take = func(int) (*goroutine.Snapshot, []capture.Skip) {
		w.catchUp()
		defer w.mu.Unlock()
		return w.Process.Snapshot(), nil
	}
	w.script.counts = func() counts {
		w.catchUp()
		defer w.mu.Unlock()
		return counts{int64(w.Len()), 1000}
	}
	return w, ids
}

// catchUp lets the process live until now, and leaves it locked.
func (w *world) catchUp() {
	w.mu.Lock()
	for time.Since(w.Now()) >= time.Second {
		w.Advance(time.Second)
		if len(w.events) > 0 {
			w.events[0]()
			w.events = w.events[1:]
		}
	}
}

// do lets something happen in the process, second by second, from now on.
func (w *world) do(seconds int, event func(second int)) {
	w.catchUp()
	defer w.mu.Unlock()
	for i := range seconds {
		w.events = append(w.events, func() { event(i) })
	}
}

// afterASnapshot returns right after the next snapshot of a quiet process: the worst
// moment for a fault that changes no count.
func (w *world) afterASnapshot() {
	for before := w.taken.Load(); w.taken.Load() == before; {
		time.Sleep(time.Second)
	}
}

// told returns after which time from now on a detector tells of a fault, if it does
// within patience.
func told(m *Monitor, detector string, patience time.Duration) time.Duration {
	began := time.Now()
	for time.Since(began) < patience {
		time.Sleep(time.Second)
		if slices.ContainsFunc(m.findings(), func(f detectors.Finding) bool { return f.Detector == detector }) {
			break
		}
	}
	return time.Since(began)
}

// busyThenQuiet lets three requests a second come for twenty minutes, and then none.
// If they have been gone for long enough, the process is quiet when it returns: a
// snapshot was taken a moment ago, and the next is due in three intervals.
func (w *world) busyThenQuiet(t *testing.T, connections []uint64, rest time.Duration) {
	t.Helper()
	time.Sleep(time.Millisecond) // not at the moment of a snapshot
	random := rand.New(rand.NewPCG(1, 2))
	w.do(20*60, func(int) {
		w.Move(atRest, connections...)
		for range 3 {
			w.Move(atLookup, connections[random.IntN(len(connections))])
		}
	})
	w.do(1, func(int) { w.Move(atRest, connections...) })
	time.Sleep(20*time.Minute + rest)
	w.afterASnapshot()
	if rest < time.Duration(quietFor)*byDefault {
		return
	}
	before := w.taken.Load()
	time.Sleep(44 * time.Second)
	assert.Equal(t, before, w.taken.Load(), "it is quiet")
	w.afterASnapshot()
}

// byDefault is the default interval.
const byDefault = 15 * time.Second

// TestAHangIsToldInTime has requests that hang in a process that was at work or quiet
// before, at the worst moment. No goroutine comes or ends: the connections are kept.
func TestAHangIsToldInTime(t *testing.T) {
	for _, rest := range []time.Duration{0, time.Minute, 10 * time.Minute} {
		t.Run(rest.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, connections := newWorld(30)
				m, err := Start(provider(), withCapturer(w))
				require.NoError(t, err)
				w.busyThenQuiet(t, connections, rest)
				w.do(20, func(second int) { w.Move(atLookup, connections[second]) })
				assert.LessOrEqual(t, told(m, "hang", time.Hour), 3*time.Minute)
				require.NoError(t, m.Shutdown(t.Context()))
			})
		})
	}
}

// TestADeadlockOfTwoIsToldInTime has two goroutines that wait for each other's lock for
// good, at the worst moment. Neither is new, so that no count shows it, and no dump is
// affordable.
func TestADeadlockOfTwoIsToldInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, connections := newWorld(30)
		m, err := Start(provider(), withCapturer(w))
		require.NoError(t, err)
		w.busyThenQuiet(t, connections, 10*time.Minute)
		w.do(1, func(int) { w.Move(atTransfer, connections[:2]...) })
		assert.LessOrEqual(t, told(m, "deadlock", time.Hour), 2*time.Minute)
		require.NoError(t, m.Shutdown(t.Context()))
	})
}
