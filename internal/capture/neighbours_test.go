// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	httppprof "net/http/pprof"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	exptrace "golang.org/x/exp/trace"

	"github.com/otelgoroutine/go/goroutine"
)

// rounds is how many snapshots are taken while each neighbour runs.
func rounds() int {
	if testing.Short() {
		return 50
	}
	return 1000
}

// live returns a capturer with plenty of credit that has taken its first snapshot.
func live(t *testing.T) *Capturer {
	t.Helper()
	c := New(Config{Budget: Budget{CPU: 1, Pause: time.Second}, Tracing: true})
	c.governor.credit = 24 * time.Hour
	s, _ := c.Take()
	require.NotNil(t, s)
	return c
}

// park starts n goroutines that stay at a place of their own until the test ends.
// It returns when all of them are parked there.
func park(t *testing.T, n int) {
	t.Helper()
	gate := make(chan struct{})
	var ended, arrived sync.WaitGroup
	waiting := ReadScheduler().Waiting
	for range n {
		arrived.Add(1)
		ended.Go(func() { parkedHere(&arrived, gate) })
	}
	t.Cleanup(func() { close(gate); ended.Wait() })
	arrived.Wait()
	for began := time.Now(); ReadScheduler().Waiting < waiting+int64(n); runtime.Gosched() {
		require.Less(t, time.Since(began), 10*time.Second)
	}
}

//go:noinline
func parkedHere(arrived *sync.WaitGroup, gate chan struct{}) {
	arrived.Done()
	<-gate
}

func parkedIn(s *goroutine.Snapshot) (n int) {
	for i := range s.Groups {
		if strings.HasSuffix(s.Groups[i].Stack.User().Function, ".parkedHere") {
			n += s.Groups[i].Count
		}
	}
	return n
}

func TestASnapshotHasEveryGoroutine(t *testing.T) {
	park(t, 5000)
	c := live(t)
	c.Take()
	before := runtime.NumGoroutine()
	s, skips := c.Take()
	require.NotNil(t, s)
	assert.Empty(t, skips)
	assert.Equal(t, goroutine.SourceTrace, s.Source)
	assert.Equal(t, 5000, parkedIn(s))
	requireTotal(t, s, before)
	assert.Zero(t, s.Missing)
	assert.Equal(t, 5000+1, s.States()[goroutine.ChanReceive], "and the parent of this test")
	assert.Positive(t, s.Scheduler.Created)
}

func TestTheProfileHasEveryGoroutine(t *testing.T) {
	park(t, 5000)
	c := New(Config{Budget: Budget{CPU: 1, Pause: time.Second}})
	c.governor.credit = time.Hour
	for range 3 {
		before := runtime.NumGoroutine()
		s, skips := c.Take()
		require.NotNil(t, s)
		assert.Empty(t, skips)
		assert.Equal(t, goroutine.SourceProfile, s.Source)
		assert.Equal(t, 5000, parkedIn(s))
		requireTotal(t, s, before)
		assert.False(t, s.HasIDs())
	}
}

func TestLeavesNoGoroutine(t *testing.T) {
	c := live(t)
	before := runtime.NumGoroutine()
	for range 20 {
		c.Take()
	}
	for began := time.Now(); runtime.NumGoroutine() > before && time.Since(began) < 10*time.Second; {
		runtime.Gosched() // the tracer's reader ends a moment after the trace
	}
	assert.LessOrEqual(t, runtime.NumGoroutine(), before)
	assert.False(t, trace.IsEnabled())
}

// takeAll takes snapshots while a neighbour is at work, and returns how many came
// from which source. Each snapshot must show the parked goroutines.
func takeAll(t *testing.T, c *Capturer, parked int) map[goroutine.Source]int {
	t.Helper()
	from := make(map[goroutine.Source]int)
	for range rounds() {
		c.governor.loaded = loadPatience // the load comes from this test
		s, skips := c.Take()
		if !assert.NotNil(t, s, "%v", skips) {
			break
		}
		assert.Equal(t, parked, parkedIn(s))
		from[s.Source]++
	}
	return from
}

// requireSound reads a trace to its end.
func requireSound(t *testing.T, data []byte) {
	t.Helper()
	r, err := exptrace.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	events := 0
	for {
		_, err := r.ReadEvent()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		events++
	}
	require.Positive(t, events)
}

func TestBesideARunningTrace(t *testing.T) {
	park(t, 100)
	c := live(t)
	var out bytes.Buffer
	require.NoError(t, trace.Start(&out))
	from := takeAll(t, c, 100)
	assert.True(t, trace.IsEnabled(), "the user's trace goes on")
	trace.Stop()
	assert.Equal(t, rounds(), from[goroutine.SourceText], "it is not joined: dumps take the place of traces")
	requireSound(t, out.Bytes())
}

func TestBesideARunningFlightRecorder(t *testing.T) {
	park(t, 100)
	c := live(t)
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{})
	require.NoError(t, recorder.Start())
	from := takeAll(t, c, 100)
	assert.Equal(t, rounds(), from[goroutine.SourceText], "its slot is taken: dumps take the place of traces")
	var out bytes.Buffer
	_, err := recorder.WriteTo(&out)
	require.NoError(t, err)
	recorder.Stop()
	requireSound(t, out.Bytes())
	s, _ := c.Take()
	assert.Equal(t, goroutine.SourceTrace, s.Source, "and the trace is back when the slot is free")
}

// neighbour runs do in a loop alongside takeAll, and fails the test if do returns
// an error.
func neighbour(t *testing.T, do func() error) map[goroutine.Source]int {
	t.Helper()
	park(t, 100)
	c := live(t)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan int)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			if err := do(); !assert.NoError(t, err) {
				break
			}
		}
		done <- n
	}()
	from := takeAll(t, c, 100)
	stop()
	assert.Positive(t, <-done)
	return from
}

func TestBesideTraceRequests(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(httppprof.Trace))
	defer server.Close()
	from := neighbour(t, func() error {
		response, err := http.Get(server.URL + "?seconds=0.005")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		data, err := io.ReadAll(response.Body)
		if err == nil && (response.StatusCode != http.StatusOK || len(data) < 16) {
			return errors.New(response.Status + ": " + string(data))
		}
		return err
	})
	requireIDs(t, from)
}

// requireIDs checks that all snapshots came from a source that has IDs, which is
// the trace or, while a trace is on that is not ours, the dump.
func requireIDs(t *testing.T, from map[goroutine.Source]int) {
	t.Helper()
	require.Equal(t, rounds(), from[goroutine.SourceTrace]+from[goroutine.SourceText], "%v", from)
}

func TestBesideTracesThatStartAndStop(t *testing.T) {
	var out bytes.Buffer
	from := neighbour(t, func() error {
		out.Reset()
		if err := trace.Start(&out); err != nil {
			return err
		}
		runtime.Gosched()
		trace.Stop()
		if out.Len() < 16 {
			return errors.New("the user's trace is empty")
		}
		return nil
	})
	requireIDs(t, from)
}

func TestBesideACPUProfile(t *testing.T) {
	from := neighbour(t, func() error {
		if err := pprof.StartCPUProfile(io.Discard); err != nil {
			return err
		}
		for began := time.Now(); time.Since(began) < 5*time.Millisecond; {
		}
		pprof.StopCPUProfile()
		return nil
	})
	assert.Equal(t, rounds(), from[goroutine.SourceTrace])
}

func TestBesideGoroutineProfiles(t *testing.T) {
	from := neighbour(t, func() error { return pprof.Lookup("goroutine").WriteTo(io.Discard, 0) })
	assert.Equal(t, rounds(), from[goroutine.SourceTrace])
}
