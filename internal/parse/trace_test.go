// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/trace"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

var traceTime = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func newTestDecoder() *TraceDecoder {
	d := NewTraceDecoder(nil, nil)
	d.ExcludeReader = true
	return d
}

func traceFixture(t testing.TB, version string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "trace", version+".trace"))
	require.NoError(t, err)
	return data
}

var traceFixtures = []string{"go1.23", "go1.25", "go1.26", "go1.27"}

// wantedStates reads lines of an ID and a state, in the form that
// testdata/trace/gen writes.
func wantedStates(t testing.TB, version string) map[uint64]goroutine.State {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "trace", version+".want"))
	require.NoError(t, err)
	want := make(map[uint64]goroutine.State)
	for line := range strings.Lines(string(text)) {
		id, state, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseUint(id, 10, 64)
		require.NoError(t, err)
		want[n] = goroutine.State(state)
	}
	return want
}

// dumpStates returns the state of every goroutine in a dump, by ID.
func dumpStates(t testing.TB) map[uint64]goroutine.State {
	t.Helper()
	buf := make([]byte, 1<<20)
	n := runtime.Stack(buf, true)
	for n == len(buf) {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	states := make(map[uint64]goroutine.State)
	for line := range strings.Lines(string(buf[:n])) {
		rest, ok := strings.CutPrefix(line, "goroutine ")
		id, state, _ := strings.Cut(rest, " [")
		number, err := strconv.ParseUint(id, 10, 64)
		if !ok || err != nil {
			continue
		}
		state, _, _ = strings.Cut(state, "]")
		state, _, _ = strings.Cut(state, ",")
		states[number] = goroutine.State(state)
	}
	return states
}

func countStates(states map[uint64]goroutine.State) map[goroutine.State]int {
	m := make(map[goroutine.State]int)
	for _, s := range states {
		m[s]++
	}
	return m
}

// totals returns the number of goroutines in all cohorts and their digest.
func totals(s *goroutine.Snapshot) (count int, digest uint64) {
	for i := range s.Groups {
		for _, c := range s.Groups[i].Births {
			count += c.Count
			digest += c.Digest
		}
	}
	return count, digest
}

func digestOf[V any](ids map[uint64]V) (digest uint64) {
	for id := range ids {
		digest += goroutine.DigestID(id)
	}
	return digest
}

// Each version of Go made its fixtures. The wanted states come from the dump of
// the same Go version.
func TestTraceFixtures(t *testing.T) {
	for _, version := range traceFixtures {
		t.Run(version, func(t *testing.T) {
			data, want := traceFixture(t, version), wantedStates(t, version)
			s, err := newTestDecoder().Decode(data, traceTime)
			require.NoError(t, err)
			requireSane(t, s)
			assert.Equal(t, len(want), s.Total)
			assert.Equal(t, int64(len(data)), s.Bytes)
			assert.Equal(t, traceTime, s.Time)
			assert.Equal(t, goroutine.SourceTrace, s.Source)
			assert.Zero(t, s.Missing)
			count, digest := totals(s)
			assert.Equal(t, len(want), count)
			assert.Equal(t, digestOf(want), digest, "the IDs differ")
			if version == "go1.23" {
				return // this version predates the functions that the states follow from
			}
			assert.Equal(t, countStates(want), s.States())
		})
	}
}

// Each way to wait is in the fixtures twice: with a whole stack, and with a stack
// that the runtime cut. The two must be one group or, if the cut frames could not
// be learned, have the same stack ID.
func TestTraceCompletesCutStacks(t *testing.T) {
	for _, version := range traceFixtures[1:] {
		t.Run(version, func(t *testing.T) {
			s, err := newTestDecoder().Decode(traceFixture(t, version), traceTime)
			require.NoError(t, err)
			for _, g := range s.Groups {
				entry := g.Stack.Entry().Function
				if strings.HasPrefix(entry, "main.start") || strings.HasPrefix(entry, "main.network") {
					assert.Zero(t, g.Count%2, "%s at %s is alone:\n%s", g.State, g.Stack.User(), g.Stack.Text(2000))
				}
				if g.State.Blocked() && g.State != goroutine.Coroutine {
					assert.Equal(t, "runtime.gopark", g.Stack.Frames[0].Function, "%s at %s", g.State, g.Stack.User())
				}
			}
		})
	}
}

// The list of omitted frames, which is used until a whole stack has been seen,
// must agree with what is learned from whole stacks.
func TestTraceCompletesCutStacksByName(t *testing.T) {
	for _, version := range traceFixtures[1:] {
		t.Run(version, func(t *testing.T) {
			d, checked := newTestDecoder(), make(map[string]bool)
			data := traceFixture(t, version)
			generation, _, err := d.read(data)
			require.NoError(t, err)
			require.NoError(t, d.readGeneration(data, generation))
			d.snapshot(traceTime, true)
			for _, c := range d.crowds {
				frames, _ := d.tables.frames(c.stack)
				if c.reason == 0 || c.reason == reasonSyscall || kindOf(frames) != kindUser {
					continue
				}
				reason, leaf := d.tables.strings[c.reason], frames[0]
				learned := d.skipped.above(leaf, reason, false)
				byName := new(skipped).above(leaf, reason, false)
				assert.NotEmpty(t, byName, "%s: %s", reason, leaf)
				assert.Equal(t, functions(learned), functions(byName), "%s: %s", reason, leaf)
				assert.Equal(t, parkedState(learned), parkedState(byName), "%s: %s", reason, leaf)
				checked[reason+leaf.Function] = true
			}
			assert.GreaterOrEqual(t, len(checked), 16)
		})
	}
}

func functions(frames []goroutine.Frame) []string {
	var names []string
	for _, f := range frames {
		names = append(names, f.Function)
	}
	return names
}

// TestTraceOfGo122 reads what an old trace has, and says what it lacks.
func TestTraceOfGo122(t *testing.T) {
	d := newTestDecoder()
	data, want := traceFixture(t, "go1.22"), wantedStates(t, "go1.22")
	_, err := d.Decode(data, traceTime)
	require.ErrorIs(t, err, ErrTraceVersion)
	require.ErrorContains(t, err, "go 1.22; it must be go 1.23, go 1.25 or go 1.26")

	d.Old = true
	s, err := d.Decode(data, traceTime)
	require.EqualError(t, err, "28 of 53 goroutines have no stack: Go 1.22 writes none of goroutines that do nothing while a trace is taken; a goroutine dump (debug=2) has them all")
	requireSane(t, s)
	assert.Equal(t, len(want)+3, s.Total, "those of the runtime cannot be recognized without a stack")
	assert.Equal(t, 4, s.States()[goroutine.MutexLock])

	_, err = d.Decode([]byte("go 1.21 trace\x00\x00\x00"), traceTime)
	require.ErrorContains(t, err, "go 1.21; it must be go 1.22, go 1.23, go 1.25 or go 1.26; take a goroutine dump (debug=2) instead")
}

func TestTraceVersions(t *testing.T) {
	s, err := newTestDecoder().Decode([]byte("go 1.28 trace\x00\x00\x00rest"), traceTime)
	assert.Nil(t, s)
	assert.ErrorIs(t, err, ErrTraceVersion)
	assert.ErrorContains(t, err, "go 1.28; it must be go 1.23, go 1.25 or go 1.26")
	for _, old := range []string{"11", "19", "21", "22", "24"} {
		_, err := newTestDecoder().Decode([]byte("go 1."+old+" trace\x00\x00\x00"), traceTime)
		assert.ErrorIs(t, err, ErrTraceVersion, old)
	}
	for _, no := range []string{"", "go", "go 1.26 trac", "\x1f\x8b\x08gzip, a profile", "goroutine 1 [running]:\n", "go 1.-6 trace\x00\x00\x00", "go 1.26 tracexxx", "go 1.999999999999999999999 trace\x00\x00\x00"} {
		s, err := newTestDecoder().Decode([]byte(no), traceTime)
		assert.Nil(t, s, no)
		assert.ErrorIs(t, err, ErrNotTrace, no)
	}
}

func TestTraceWithoutGeneration(t *testing.T) {
	for _, version := range []string{"23", "25", "26"} {
		s, err := newTestDecoder().Decode([]byte("go 1."+version+" trace\x00\x00\x00"), traceTime)
		assert.Nil(t, s)
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
}

// traceOf records a trace of what inside does.
func traceOf(t testing.TB, inside func()) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, trace.Start(&b))
	func() {
		defer trace.Stop() // also when inside fails: the other tests must not be recorded in b
		inside()
	}()
	return b.Bytes()
}

// flightOf is like traceOf, with the flight recorder that package capture uses.
func flightOf(t testing.TB, inside func()) []byte {
	t.Helper()
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: time.Nanosecond, MaxBytes: 1})
	require.NoError(t, recorder.Start())
	defer recorder.Stop()
	inside()
	var b bytes.Buffer
	_, err := recorder.WriteTo(&b)
	require.NoError(t, err)
	return b.Bytes()
}

// untilQuiet waits until every goroutine except the caller is waiting and is not
// about to do anything.
func untilQuiet(t testing.TB) map[uint64]goroutine.State {
	t.Helper()
	var last map[uint64]goroutine.State
	for same, tries := 0, 0; ; tries++ {
		require.Less(t, tries, 10_000, "the process does not come to rest: %v", countStates(last))
		now := dumpStates(t)
		busy := countStates(now)
		if maps.Equal(now, last) && busy[goroutine.Running] == 1 && busy[goroutine.Runnable] == 0 {
			same++
		} else {
			same = 0
		}
		if same == 3 {
			return now
		}
		last = now
		time.Sleep(time.Millisecond)
	}
}

// untilStarted waits until there are n goroutines.
func untilStarted(t testing.TB, n int) {
	t.Helper()
	for tries := 0; runtime.NumGoroutine() < n; tries++ {
		require.Less(t, tries, 60_000, "goroutines do not start")
		time.Sleep(time.Millisecond)
	}
}

// newAcquaintedDecoder returns a decoder that has seen each of the runtime's own
// goroutines with a stack. A new decoder counts a goroutine without a stack as the
// program's. For example, when sysmon wakes the scavenger, the trace has only its
// ID and that it is runnable. TestTraceRemembersSystemGoroutines covers this case;
// the tests that compare totals start after it.
func newAcquaintedDecoder(t testing.TB) *TraceDecoder {
	t.Helper()
	d := newTestDecoder()
	for range 100 {
		untilQuiet(t)
		_, err := d.Decode(flightOf(t, func() {}), traceTime)
		require.NoError(t, err)
		if !slices.ContainsFunc(d.movements.movers, d.isStranger) {
			return d
		}
	}
	require.Fail(t, "the runtime's own goroutines are never at rest")
	return nil
}

// isStranger reports whether the kind of a goroutine is unknown.
func (d *TraceDecoder) isStranger(g mover) bool {
	return g.status != statusGone && g.id != mainID && g.seen == 0 && g.place().stack == 0 && !g.worker && d.kinds.of(g.id) == kindUser
}

// parkMany parks n goroutines and returns once all are parked.
func parkMany(t testing.TB, n int) {
	t.Helper()
	stop := make(chan struct{})
	var done, started sync.WaitGroup
	for range n {
		started.Add(1)
		done.Go(func() { started.Done(); <-stop })
	}
	started.Wait()
	t.Cleanup(func() { close(stop); done.Wait() })
}

func TestTraceTotalIsTheRuntimes(t *testing.T) {
	many := 10_000
	if testing.Short() {
		many = 1_000
	}
	parkMany(t, many)
	newWaits(t).start()
	d := newAcquaintedDecoder(t)
	for name, record := range map[string]func(testing.TB, func()) []byte{"Start": traceOf, "FlightRecorder": flightOf} {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				want := untilQuiet(t)
				data := record(t, func() {})
				if !maps.Equal(want, untilQuiet(t)) {
					t.Log("the process was not quiet; once more")
					continue
				}
				s, err := d.Decode(data, traceTime)
				require.NoError(t, err)
				requireSane(t, s)
				assert.Equal(t, len(want), s.Total)
				assert.Equal(t, runtime.NumGoroutine(), s.Total)
				_, digest := totals(s)
				assert.Equal(t, digestOf(want), digest, "the IDs differ")
				assert.Equal(t, countStates(want), s.States())
				return
			}
			t.Error("the process was never quiet")
		})
	}
}

// The reader is counted unless it is excluded.
func TestTraceReader(t *testing.T) {
	untilQuiet(t)
	data := traceOf(t, func() {})
	without, err := newTestDecoder().Decode(data, traceTime)
	require.NoError(t, err)
	with, err := NewTraceDecoder(NewStacks(), new(goroutine.Births)).Decode(data, traceTime)
	require.NoError(t, err)
	assert.Equal(t, without.Total+1, with.Total)
}

// A goroutine that began to wait while the trace ran has a different kind of entry
// in it from one that waited all the time. States and stacks must be the same.
func TestTraceStatesAgreeWithDump(t *testing.T) {
	w := newWaits(t)
	w.start()
	untilQuiet(t)
	var want map[uint64]goroutine.State
	data := traceOf(t, func() {
		w.start()
		want = untilQuiet(t)
	})
	d := newTestDecoder()
	s, err := d.Decode(data, traceTime)
	require.NoError(t, err)
	requireSane(t, s)
	got := s.States()
	reader := countStates(want)
	delete(reader, "trace reader (blocked)")
	assert.Equal(t, reader, got)

	ids := make(map[string]goroutine.StackID)
	for _, g := range s.Groups {
		place := fmt.Sprint(g.State, g.Stack.User())
		if id, ok := ids[place]; ok && g.State.Blocked() {
			assert.Equal(t, id, g.Stack.ID, "%s:\n%s", place, g.Stack.Text(4000))
		}
		ids[place] = g.Stack.ID
	}
}

func TestTraceTruncated(t *testing.T) {
	for _, version := range traceFixtures {
		data := traceFixture(t, version)
		whole, err := newTestDecoder().Decode(data, traceTime)
		require.NoError(t, err)
		for n := len(data) - 1; n >= 0; n -= 13 {
			s, err := newTestDecoder().Decode(data[:n:n], traceTime)
			if err == nil { // before Go 1.26 the end of a generation is not marked
				require.Less(t, version, "go1.26", "%d of %d bytes", n, len(data))
			}
			if s != nil {
				requireSane(t, s)
				require.LessOrEqual(t, s.Total, whole.Total+16, "%d of %d bytes", n, len(data)) // more: the runtime's own, whose stacks are lost
			}
		}
	}
}

func TestTraceWithBytesChanged(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	d := newTestDecoder()
	for _, version := range traceFixtures {
		data := traceFixture(t, version)
		for i := range 600 {
			bad := slices.Clone(data)
			for range 1 + i%4 {
				bad[headerSize+random.IntN(len(bad)-headerSize)] ^= 1 << random.IntN(8)
			}
			if s, _ := d.Decode(bad, traceTime); s != nil {
				requireSane(t, s)
			}
		}
	}
}

// An error in one batch must not hide the other batches. It must say where it is,
// and its numbers must not end up in the births.
func TestTraceErrorInTheMiddle(t *testing.T) {
	w := newWire("go 1.26 trace\x00\x00\x00")
	w.batch(7, func(e *entries) {
		e.event(evGoStatus, 0, 1, 7, uint64(statusRunning))
		e.event(200)
	})
	w.batch(noThread, func(e *entries) {
		e.event(evGoStatusStack, 0, 5, noThread, uint64(statusWaiting), 1)
		e.event(evGoStatusStack, 0, 1<<40, noThread, uint64(statusWaiting), 1)
	})
	w.stack(1, "runtime.gopark", "runtime.selectgo", "main.work")
	w.end()
	d := newTestDecoder()
	s, err := d.Decode(w.data, traceTime)
	require.Error(t, err)
	assert.Regexp(t, `generation 1, batch 0 at byte 16: byte 26: unknown event 200`, err)
	require.NotNil(t, s)
	assert.Equal(t, map[goroutine.State]int{goroutine.Running: 1, goroutine.Select: 2}, s.States())
	assert.NotEmpty(t, s.Epochs)
	assert.Equal(t, []goroutine.Epoch{{LastID: 1, End: traceTime}}, d.births.Peek(1, traceTime), "no epoch was closed")
}

// The last complete generation counts. The error says what is wrong after it.
func TestTraceGenerations(t *testing.T) {
	add := func(w *wire, goroutines int) {
		w.batch(noThread, func(e *entries) {
			for i := range goroutines {
				e.event(evGoStatusStack, 0, uint64(i+10), noThread, uint64(statusWaiting), 1)
			}
		})
		w.stack(1, "runtime.gopark", "runtime.selectgo", "main.work")
	}
	for _, version := range []string{"23", "25", "26"} {
		w := newWire("go 1." + version + " trace\x00\x00\x00")
		for n := range 3 {
			add(w, n+1)
			w.end()
		}
		s, err := newTestDecoder().Decode(w.data, traceTime)
		require.NoError(t, err, version)
		assert.Equal(t, 3, s.Total, version)

		cut := w.data[:len(w.data)-5]
		s, err = newTestDecoder().Decode(cut, traceTime)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, version)
		assert.Equal(t, 2, s.Total, version)

		s, err = newTestDecoder().Decode(append(slices.Clone(w.data), "noise"...), traceTime)
		require.ErrorContains(t, err, "byte "+strconv.Itoa(len(w.data))+": expected a batch, found entry 110", version)
		if version < "26" { // then the last generation may be incomplete
			assert.Equal(t, 2, s.Total, version)
		} else {
			assert.Equal(t, 3, s.Total, version)
		}
	}

	w := newWire("go 1.26 trace\x00\x00\x00")
	add(w, 1)
	w.end()
	add(w, 2)
	w.generation++
	add(w, 3)
	w.end()
	s, err := newTestDecoder().Decode(w.data, traceTime)
	require.ErrorContains(t, err, "batch of generation 3 inside generation 2")
	assert.Equal(t, 1, s.Total)
}

func TestTraceBounds(t *testing.T) {
	for name, c := range map[string]struct {
		bad  func(*wire)
		text string
	}{
		"frames":       {func(w *wire) { w.raw(evStacks, evStack, 1, 0x81, 1) }, "a stack of 129 frames, which must be at most 128"},
		"frames short": {func(w *wire) { w.raw(evStacks, evStack, 1, 100, 1, 1, 1, 1) }, "unexpected EOF"},
		"string":       {func(w *wire) { w.raw(evStrings, evString, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 'x') }, "unexpected EOF"},
		"not a string": {func(w *wire) { w.raw(evStrings, evStack, 1, 1, 'x') }, "expected a string, found entry 3"},
		"not a stack":  {func(w *wire) { w.raw(evStacks, evString, 1, 1, 'x') }, "expected a stack, found entry 5"},
		"event":        {func(w *wire) { w.raw(evGoBlock, 0, 1) }, "an event is cut off"},
		"number":       {func(w *wire) { w.raw(evGoStart, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 1) }, "an event is cut off"},
		"status":       {func(w *wire) { w.raw(evGoStatus, 0, 1, 1, 9) }, "goroutine 1 has status 9"},
		"size":         {func(w *wire) { w.data = append(w.data, evEventBatch, 1, 1, 1, 0xff, 0xff, 0xff, 0xff, 1) }, "a batch of 536870911 bytes, which must be at most 65536"},
		"short batch":  {func(w *wire) { w.data = append(w.data, evEventBatch, 1, 1, 1, 100, 1) }, "unexpected EOF"},
	} {
		w := newWire("go 1.26 trace\x00\x00\x00")
		c.bad(w)
		w.end()
		_, err := newTestDecoder().Decode(w.data, traceTime)
		assert.ErrorContains(t, err, c.text, name)
	}
}

// requireSane checks what holds for every snapshot.
func requireSane(t testing.TB, s *goroutine.Snapshot) {
	t.Helper()
	total := 0
	states := make(map[goroutine.State]bool)
	for i := range s.Groups {
		g := &s.Groups[i]
		states[g.State] = true
		total += g.Count
		born, last := 0, -1
		for _, c := range g.Births {
			require.Greater(t, c.Epoch, last, "cohorts out of order")
			require.Less(t, c.Epoch, len(s.Epochs), "cohort without an epoch")
			last = c.Epoch
			born += c.Count
		}
		require.NotNil(t, g.Stack)
		require.Positive(t, g.Count)
		if len(s.Epochs) > 0 {
			require.Equal(t, g.Count, born, "cohorts do not add up")
		}
		require.LessOrEqual(t, len(g.IDs), min(goroutine.MaxIDs, g.Count))
		require.True(t, slices.IsSorted(g.IDs))
	}
	require.Equal(t, total, s.Total)
	require.LessOrEqual(t, len(s.Epochs), goroutine.MaxEpochs)
	require.LessOrEqual(t, len(s.Groups), MaxGroups+len(states))
	require.GreaterOrEqual(t, s.Missing, 0)
	for i := 1; i < len(s.Epochs); i++ {
		require.Greater(t, s.Epochs[i].LastID, s.Epochs[i-1].LastID)
	}
}
