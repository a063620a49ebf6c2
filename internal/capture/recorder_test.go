// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"runtime/trace"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// recording starts a flight recorder of the program's, until the test ends.
func recording(t *testing.T) *trace.FlightRecorder {
	t.Helper()
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{})
	require.NoError(t, recorder.Start())
	t.Cleanup(recorder.Stop)
	return recorder
}

// handed returns a capturer with plenty of credit, which has taken its first
// snapshot and to which a recorder was handed over.
func handed(t *testing.T, recorder *trace.FlightRecorder) *Capturer {
	t.Helper()
	c := New(Config{Budget: Budget{CPU: 1, Pause: time.Second}, Tracing: true, Recorder: recorder})
	c.governor.credit = 24 * time.Hour
	s, _ := c.Take()
	require.NotNil(t, s)
	require.Equal(t, goroutine.SourceProfile, s.Source)
	return c
}

func TestSnapshotsFromTheProgramsRecorder(t *testing.T) {
	park(t, 1000)
	c := handed(t, recording(t))
	more := 0
	for range 10 {
		before := runtime.NumGoroutine()
		s, skips := c.Take()
		require.NotNil(t, s)
		assert.Empty(t, skips)
		assert.Equal(t, goroutine.SourceRecorder, s.Source)
		assert.Equal(t, 1000, parkedIn(s))
		assert.True(t, s.HasIDs())
		if s.Total > before {
			more++
		}
		for began := time.Now(); runtime.NumGoroutine() > s.Total; runtime.Gosched() {
			require.Less(t, time.Since(began), time.Minute, "the goroutine that writes ends")
		}
		for i := range s.Groups {
			assert.NotContains(t, s.Groups[i].Stack.Entry().Function, "(*recorderSource)", "the goroutine that writes is left out")
		}
	}
	assert.Less(t, more, 5, "the goroutine that writes is not counted; others may come now and then")
	assert.True(t, trace.IsEnabled(), "it goes on")
}

func TestWhileTheProgramsRecorderDoesNotRun(t *testing.T) {
	park(t, 10)
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{})
	c := handed(t, recorder)
	for range 2 {
		s, skips := c.Take()
		require.Len(t, skips, 1)
		assert.Equal(t, goroutine.SourceRecorder, skips[0].Source)
		assert.Equal(t, ReasonStopped, skips[0].Reason)
		assert.Equal(t, goroutine.SourceTrace, s.Source)
		assert.Nil(t, c.Recording())

		require.NoError(t, recorder.Start())
		s, skips = c.Take()
		assert.Empty(t, skips)
		assert.Equal(t, goroutine.SourceRecorder, s.Source)
		recorder.Stop()
	}
}

func TestARecorderThatIsStoppedMeanwhile(t *testing.T) {
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{})
	require.NoError(t, recorder.Start())
	require.NoError(t, writeTo(recorder, io.Discard))
	recorder.Stop()
	var refusal *Refusal
	require.ErrorAs(t, writeTo(recorder, io.Discard), &refusal)
	assert.Equal(t, ReasonStopped, refusal.Reason)
	assert.ErrorContains(t, writeTo(nil, io.Discard), "panic")
}

// The call runs on a goroutine of its own, where no other recover would catch it.
func TestAPanicOfARecorderIsAnError(t *testing.T) {
	recorder := recording(t)
	assert.ErrorContains(t, writeTo(recorder, panicking{}), "panic: torn")
	source := newRecorderSource(recorder, parse.NewTraceDecoder(nil, nil))
	_, err := source.take(nil)
	assert.NoError(t, err, "it can be written again")
}

type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic("torn") }

// A zero recorder keeps one generation, which is all that a snapshot needs.
func TestAZeroRecorder(t *testing.T) {
	park(t, 10)
	recorder := new(trace.FlightRecorder)
	require.NoError(t, recorder.Start())
	defer recorder.Stop()
	s, skips := handed(t, recorder).Take()
	assert.Empty(t, skips)
	assert.Equal(t, goroutine.SourceRecorder, s.Source)
	assert.Equal(t, 10, parkedIn(s))
}

// Both write the recording all the time. Either may be refused; what it gets is
// whole.
func TestBesideTheProgramsOwnWriting(t *testing.T) {
	park(t, 100)
	recorder := recording(t)
	c := handed(t, recorder)
	ctx, stop := context.WithCancel(context.Background())
	written := make(chan int)
	go func() {
		n := 0
		for out := new(bytes.Buffer); ctx.Err() == nil; out.Reset() {
			if _, err := recorder.WriteTo(out); err == nil {
				n++
			} else if !strings.Contains(err.Error(), "already in progress") {
				t.Error(err)
			}
			runtime.Gosched()
		}
		written <- n
	}()
	from := takeAll(t, c, 100)
	stop()
	assert.Positive(t, <-written)
	assert.Equal(t, rounds(), from[goroutine.SourceRecorder]+from[goroutine.SourceText], "%v", from)
	var out bytes.Buffer
	_, err := recorder.WriteTo(&out)
	require.NoError(t, err)
	requireSound(t, out.Bytes())
}

// A chunks writer keeps what it is given, write by write.
type chunks [][]byte

func (c *chunks) Write(p []byte) (int, error) {
	*c = append(*c, bytes.Clone(p))
	return len(p), nil
}

func TestOnlyTheLastGenerationIsKept(t *testing.T) {
	park(t, 100)
	recorder := recording(t)
	var all chunks
	for range 5 {
		all = nil
		_, err := recorder.WriteTo(&all)
		require.NoError(t, err)
	}
	var buf generations
	buf.begin(nil)
	last, numbers := uint64(0), 0
	for _, p := range all {
		_, err := buf.Write(p)
		require.NoError(t, err)
		if n := parse.TraceGeneration(p); n > last {
			last = n
			numbers++
		}
	}
	require.Greater(t, numbers, 1)
	want := all[0]
	for i, p := range all[1:] {
		if n := parse.TraceGeneration(p); n == last || i+2 == len(all) {
			want = append(want, p...)
		}
	}
	assert.Equal(t, want, buf.data, "the header and one generation")
	assert.Equal(t, last, buf.number)
	requireSound(t, buf.data)
	s, err := parse.NewTraceDecoder(nil, nil).Decode(buf.data, time.Now())
	require.NoError(t, err)
	assert.Equal(t, 100, parkedIn(s))
}

func TestTheRecordingBehindASnapshot(t *testing.T) {
	recorder := recording(t)
	c := handed(t, recorder)
	assert.Nil(t, c.Recording(), "the first snapshot is a profile")
	c.Take()
	data := c.Recording()
	requireSound(t, data)
	assert.Same(t, &data[0], &c.Recording()[0], "it is written once for each snapshot")
	s, err := parse.NewTraceDecoder(nil, nil).Decode(data, time.Now())
	require.NoError(t, err)
	assert.Positive(t, s.Total)
	c.Take()
	assert.NotSame(t, &data[0], &c.Recording()[0])
	assert.Nil(t, live(t).Recording(), "without a recorder")
}

func TestARecordingThatCannotBeWrittenIsTold(t *testing.T) {
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{})
	require.NoError(t, recorder.Start())
	c := handed(t, recorder)
	s, _ := c.Take()
	require.Equal(t, goroutine.SourceRecorder, s.Source)
	recorder.Stop()
	assert.Nil(t, c.Recording())
	_, skips := c.Take()
	require.Len(t, skips, 2, "once for the recording, once for the snapshot")
	assert.Equal(t, ReasonStopped, skips[0].Reason)
}

func TestAGenerationThatIsTooLarge(t *testing.T) {
	park(t, 100)
	recorder := recording(t)
	var all chunks
	_, err := recorder.WriteTo(&all)
	require.NoError(t, err)
	var buf generations
	buf.begin(newAllowance(time.Hour, 100)) // room for the header and a little
	for _, p := range all {
		n, err := buf.Write(p)
		require.NoError(t, err, "the next generation may fit")
		require.Equal(t, len(p), n)
	}
	assert.Equal(t, ReasonSize, reasonOf(t, buf.complete()))
	assert.Equal(t, all[0], buf.data)

	source := newRecorderSource(recorder, parse.NewTraceDecoder(nil, nil))
	_, err = source.take(newAllowance(time.Hour, 100))
	assert.Equal(t, ReasonSize, reasonOf(t, err))
	_, err = source.take(nil)
	assert.NoError(t, err)
}

// A recording that is too large to be saved says nothing of snapshots, for which one
// generation is enough.
func TestARecordingThatIsTooLarge(t *testing.T) {
	recorder := recording(t)
	c := handed(t, recorder)
	for range 4 << 10 {
		trace.Log(t.Context(), "noise", strings.Repeat("x", 1000))
	}
	require.NoError(t, writeTo(recorder, io.Discard)) // the noise is in an earlier generation
	c.memory.root = files(map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1048576\n"})
	c.memory.container = 0
	s, skips := c.Take()
	require.Empty(t, skips)
	require.Equal(t, goroutine.SourceRecorder, s.Source)
	assert.Nil(t, c.Recording())
	s, skips = c.Take()
	require.Len(t, skips, 1)
	assert.Equal(t, ReasonSize, skips[0].Reason)
	assert.Equal(t, goroutine.SourceRecorder, s.Source)
}

func TestWindowsFromTheProgramsRecorder(t *testing.T) {
	gate, end := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { drained(gate) })
	all.Go(func() {
		defer close(gate)
		for {
			select {
			case gate <- struct{}{}:
				time.Sleep(time.Millisecond)
			case <-end:
				return
			}
		}
	})
	defer func() { close(end); all.Wait() }()
	own := recording(t)
	c := handed(t, own)
	for seen, late := 0, 0; seen < 8; { // over two seconds: the runtime ends a generation each second
		s, skip := c.Window(windowed, nil)
		if skip != nil { // on a starved machine
			late++
			require.Contains(t, []Reason{ReasonLate, ReasonBusy, ReasonLoad}, skip.Reason, "%v", skip.Err)
			require.Less(t, late, 8, "%v", skip.Err)
			c = handed(t, own)
			continue
		}
		seen++
		assert.Equal(t, goroutine.SourceWindow, s.Source)
		m := movement(s, "capture.drained", goroutine.ChanReceive)
		require.NotNil(t, m)
		assert.Greater(t, m.Woken, 1, "the window is a whole generation")
	}
	assert.True(t, trace.IsEnabled())
}

//go:noinline
func drained(gate chan struct{}) {
	for range gate {
	}
}

// The program is traced anyway. The danger is told all the same, and our own traces
// are not taken when the recorder stops.
func TestARecorderWhereTracesAreNotSafe(t *testing.T) {
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{})
	require.NoError(t, recorder.Start())
	c := handed(t, recorder)
	c.safety.verdict = unsafeVerdict
	s, skips := c.Take()
	assert.Equal(t, goroutine.SourceRecorder, s.Source)
	require.Len(t, skips, 1)
	assert.Equal(t, goroutine.SourceRecorder, skips[0].Source)
	assert.Equal(t, ReasonUnsafe, skips[0].Reason)
	assert.ErrorContains(t, skips[0].Refusal, "replace it")
	window, skip := c.Window(time.Millisecond, nil)
	assert.Nil(t, skip)
	assert.NotNil(t, window)
	s, skips = c.Take()
	assert.Equal(t, goroutine.SourceRecorder, s.Source)
	assert.Empty(t, skips, "it is told once")
	recorder.Stop()
	s, _ = c.Take()
	assert.Equal(t, goroutine.SourceText, s.Source)
	window, skip = c.Window(time.Millisecond, nil)
	assert.Nil(t, window)
	assert.Nil(t, skip)
}

// A stalled writer behaves as a client of /debug/pprof/trace that has stopped
// reading.
type stalled struct {
	writing chan struct{} // closed by the first write
	once    sync.Once
	gate    chan struct{}
}

// stall starts a trace whose writer stalls, until resume is called or the test ends.
func stall(t *testing.T) (resume func()) {
	t.Helper()
	s := &stalled{writing: make(chan struct{}), gate: make(chan struct{})}
	started := make(chan error)
	go func() { started <- trace.Start(s) }() // stalls too, beside a flight recorder
	<-s.writing
	resume = sync.OnceFunc(func() {
		close(s.gate)
		assert.NoError(t, <-started)
		trace.Stop()
	})
	t.Cleanup(resume)
	return resume
}

func (s *stalled) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.writing) })
	<-s.gate
	return len(p), nil
}

func TestAStalledReaderOfSomebodysTraceDoesNotStallSnapshots(t *testing.T) {
	park(t, 10)
	c := live(t)
	resume := stall(t)
	for range 20 {
		s, skips := c.Take()
		require.NotNil(t, s)
		require.Len(t, skips, 1)
		assert.Equal(t, ReasonBusy, skips[0].Reason)
		assert.Equal(t, goroutine.SourceText, s.Source)
		assert.Equal(t, 10, parkedIn(s))
		_, skip := c.Window(time.Millisecond, nil)
		require.NotNil(t, skip)
		assert.Equal(t, ReasonBusy, skip.Reason)
	}
	resume()
	s, _ := c.Take()
	assert.Equal(t, goroutine.SourceTrace, s.Source)
}

// The program's own recorder stalls together with the reader of such a trace. The
// call that waits for it is given up, not ended; it ends with the stall.
func TestAStalledReaderBesideTheProgramsRecorder(t *testing.T) {
	park(t, 10)
	c := handed(t, recording(t))
	resume := stall(t)
	go func() {
		for c.progress.current.Load() == nil {
			runtime.Gosched()
		}
		c.Abort()
	}()
	s, skips := c.Take()
	assert.Nil(t, s)
	require.Len(t, skips, 1)
	assert.Equal(t, ReasonLate, skips[0].Reason)

	c.resting = make(rests) // as if the time had passed
	for range 5 {
		s, skips = c.Take()
		require.NotNil(t, s)
		assert.Equal(t, goroutine.SourceText, s.Source)
		assert.Equal(t, 10, parkedIn(s))
		assert.Equal(t, ReasonHung, skips[0].Reason)
		assert.Nil(t, c.Recording())
		_, skip := c.Window(time.Millisecond, nil)
		require.NotNil(t, skip)
		assert.Equal(t, ReasonHung, skip.Reason)
	}
	resume()
	require.Eventually(t, func() bool {
		s, _ = c.Take()
		return s.Source == goroutine.SourceRecorder
	}, time.Minute, time.Millisecond)
	assert.Equal(t, 10, parkedIn(s))
}

// Monitors come and go, and with them what the capturer may do. Its snapshots stay
// one series.
func TestConfigureChangesTheSources(t *testing.T) {
	recorder := recording(t)
	config := Config{Budget: Budget{CPU: 1, Pause: time.Second}, Tracing: true}
	c := handed(t, recorder)
	next := func(config Config) goroutine.Source {
		c.Configure(config)
		s, _ := c.Take()
		require.NotNil(t, s)
		return s.Source
	}
	assert.Equal(t, goroutine.SourceText, next(config), "it was not handed over, and its slot is taken")
	with := config
	with.Recorder = recorder
	assert.Equal(t, goroutine.SourceRecorder, next(with))
	assert.Equal(t, goroutine.SourceRecorder, next(with))
	assert.Equal(t, goroutine.SourceText, next(config))
	careful := config
	careful.Tracing = false
	assert.Equal(t, goroutine.SourceProfile, next(careful))
	assert.Equal(t, goroutine.SourceText, next(config))
	recorder.Stop()
	assert.Equal(t, goroutine.SourceTrace, next(config))
}
