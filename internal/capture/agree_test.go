// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"fmt"
	"os"
	"runtime/trace"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// A still is something that goroutines wait for, each in a way of its own.
type still struct {
	mutex sync.Mutex
	rw    sync.RWMutex
	group sync.WaitGroup
	cond  *sync.Cond
	gate  chan struct{}
	read  *os.File
}

func (s *still) waits() []func() {
	return []func(){
		func() { s.mutex.Lock(); defer s.mutex.Unlock() },
		func() { s.rw.RLock(); defer s.rw.RUnlock() },
		func() { s.rw.Lock(); defer s.rw.Unlock() },
		func() { s.group.Wait() },
		func() { s.cond.L.Lock(); s.cond.Wait(); s.cond.L.Unlock() },
		func() { <-s.gate },
		func() {
			for range s.gate {
			}
		},
		func() {
			select {
			case <-s.gate:
			case <-make(chan int):
			}
		},
		func() { _, _ = s.read.Read(make([]byte, 1)) },
		func() { deep(60, s.gate) },
		func() { new(sync.Once).Do(func() { <-s.gate }) },
	}
}

func (s *still) waitsAsleep() { time.Sleep(time.Hour) }

//go:noinline
func deep(depth int, gate chan struct{}) {
	if depth > 0 {
		deep(depth-1, gate)
		return
	}
	<-gate
}

// stand starts three goroutines of each kind, until the test ends. Those that sleep
// stay.
func stand(t *testing.T) {
	t.Helper()
	read, write, err := os.Pipe()
	require.NoError(t, err)
	s := &still{cond: sync.NewCond(new(sync.Mutex)), gate: make(chan struct{}), read: read}
	s.mutex.Lock()
	s.rw.Lock()
	s.group.Add(1)
	waits := s.waits()
	var all sync.WaitGroup
	for range 3 {
		for _, wait := range waits {
			all.Go(wait)
		}
		go s.waitsAsleep() // cannot be ended
	}
	t.Cleanup(func() {
		close(s.gate)
		s.mutex.Unlock()
		s.rw.Unlock()
		s.group.Done()
		s.cond.L.Lock()
		s.cond.Broadcast()
		s.cond.L.Unlock()
		write.Close()
		all.Wait()
		read.Close()
	})
	text := newTextSource()
	require.Eventually(t, func() bool {
		r, err := text.take(nil)
		require.NoError(t, err)
		n := 0
		for _, g := range r.Groups {
			if g.State.Blocked() && standing(&g) {
				n += g.Count
			}
		}
		return n >= 3*len(waits)+3
	}, time.Minute, time.Millisecond)
}

// standing reports whether a group is one of those that stand has started.
func standing(g *goroutine.Group) bool {
	for _, f := range g.Stack.Frames {
		if strings.Contains(f.Function, "capture.(*still).waits") {
			return true
		}
	}
	return false
}

// groupsByKey returns the goroutines that stand, by stack and state: how many there
// are, their IDs, and when they were born.
func groupsByKey(s *goroutine.Snapshot) map[string]string {
	groups := make(map[goroutine.GroupKey]*goroutine.Group)
	for i := range s.Groups {
		if g := &s.Groups[i]; standing(g) {
			sum := groups[g.Key()]
			if sum == nil {
				sum = &goroutine.Group{Stack: g.Stack, State: g.State}
				groups[g.Key()] = sum
			}
			sum.Add(g.Count, g.IDs, g.Births)
		}
	}
	out := make(map[string]string)
	for _, g := range groups {
		out[fmt.Sprint(g.State, g.Stack.User(), g.Stack.ID)] = fmt.Sprint(g.Count, g.IDs, g.Births)
	}
	return out
}

// A series may take turns between its sources. What the detectors compare must not
// change with the source: stacks, states, IDs, births and the number of goroutines.
func TestSourcesWithIDsAgree(t *testing.T) {
	stand(t)
	c := live(t)
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{})
	handed := newRecorderSource(recorder, c.regular[0].(*traceSource).decoder)
	text := c.regular[1].(*textSource)
	take := map[goroutine.Source]func() (result, error){
		goroutine.SourceTrace: func() (result, error) { return c.regular[0].take(nil) },
		goroutine.SourceText:  func() (result, error) { return text.take(nil) },
		goroutine.SourceRecorder: func() (result, error) {
			require.NoError(t, recorder.Start())
			defer recorder.Stop()
			return handed.take(nil)
		},
	}
	snapshot := func(s goroutine.Source) *goroutine.Snapshot {
		r, err := take[s]()
		require.NoError(t, err)
		require.Equal(t, s, r.Source)
		return r.Snapshot
	}
	for range 3 { // the first has no older epochs
		snapshot(goroutine.SourceTrace)
	}
	want := groupsByKey(snapshot(goroutine.SourceTrace))
	require.Len(t, want, 13, "one of three that read from the pipe waits for bytes, the others for the first")
	for _, s := range []goroutine.Source{goroutine.SourceText, goroutine.SourceRecorder, goroutine.SourceTrace, goroutine.SourceText} {
		assert.Equal(t, want, groupsByKey(snapshot(s)), s)
	}
	for began, agree := time.Now(), false; !agree; { // the reader of the last trace may be ending
		require.Less(t, time.Since(began), time.Minute)
		total := snapshot(goroutine.SourceTrace).Total // with the goroutine that takes the snapshot
		agree = total == snapshot(goroutine.SourceText).Total &&
			total+1 == snapshot(goroutine.SourceRecorder).Total // and the program's reader of the trace
	}
}
