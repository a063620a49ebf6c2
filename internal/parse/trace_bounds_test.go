// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"encoding/binary"
	"errors"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// quietTrace returns the trace of a process in which n goroutines wait with the
// given number of stacks, and none has an event.
func quietTrace(n, stacks int) []byte {
	w := newWire("go 1.26 trace\x00\x00\x00")
	for at := 0; at < n; {
		w.batch(noThread, func(e *entries) {
			for ; at < n && len(e.data) < maxBatch-100; at++ {
				e.event(evGoStatusStack, 1, uint64(at+10), noThread, uint64(statusWaiting), uint64(1+at%stacks))
			}
		})
	}
	for i := range stacks {
		w.stack(uint64(i+1), "runtime.gopark", "runtime.chanrecv", "runtime.chanrecv1", "main.work", "main.f"+strconv.Itoa(i))
	}
	w.end()
	return w.data
}

// From the second trace on, decoding allocates per stack, not per goroutine.
func TestTraceAllocations(t *testing.T) {
	measure := func(goroutines int) (allocs float64, bytes uint64) {
		data, d := quietTrace(goroutines, 20), newTestDecoder()
		decode := func() {
			s, err := d.Decode(data, traceTime)
			require.NoError(t, err)
			require.Equal(t, goroutines, s.Total)
		}
		decode()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		allocs = testing.AllocsPerRun(5, decode)
		runtime.ReadMemStats(&after)
		return allocs, (after.TotalAlloc - before.TotalAlloc) / 6
	}
	few, fewBytes := measure(1_000)
	many, manyBytes := measure(100_000)
	assert.InDelta(t, few, many, 10)
	assert.InDelta(t, fewBytes, manyBytes, 8<<10)
	assert.Less(t, many, 250.0)
}

// The table of goroutines with events is bounded. Goroutines beyond it are
// counted.
func TestTraceMissing(t *testing.T) {
	if testing.Short() {
		t.Skip("a trace of a million goroutines with events")
	}
	const beyond, gone = 1000, 10
	w := newWire("go 1.26 trace\x00\x00\x00")
	w.batch(1, func(e *entries) { e.event(evGoStatus, 0, 5, 1, uint64(statusRunning)) })
	for id := uint64(10); id < 10+maxMovers-1+beyond; {
		w.batch(1, func(e *entries) {
			for ; id < 10+maxMovers-1+beyond && len(e.data) < maxBatch-100; id++ {
				e.event(evGoCreate, 0, id, 1, 0)
			}
		})
	}
	last := uint64(10 + maxMovers - 2 + beyond)
	w.batch(2, func(e *entries) {
		for i := range uint64(gone) {
			e.event(evGoStart, 0, last-i, 1)
			e.event(evGoDestroy, 0)
		}
	})
	w.stack(1, "main.start")
	w.end()
	d := newTestDecoder()
	s, err := d.Decode(w.data, traceTime)
	require.NoError(t, err)
	requireSane(t, s)
	assert.Equal(t, maxMovers, s.Total)
	assert.Equal(t, beyond-gone, s.Missing)
	assert.Equal(t, last, s.Epochs[0].LastID)

	_, err = d.Decode(quietTrace(10, 1), traceTime)
	require.NoError(t, err)
	assert.Less(t, cap(d.movements.movers), keepMovers, "the memory of a busy moment must not stay")
}

// Places beyond the bounds are summed up. No goroutine is lost.
func TestTraceOfManyStacks(t *testing.T) {
	const stacks = maxCrowds + 500
	w := newWire("go 1.26 trace\x00\x00\x00")
	function := w.name("main.work")
	for at := uint64(0); at < stacks; {
		w.batch(noThread, func(e *entries) {
			for ; at < stacks && len(e.data) < maxBatch-100; at++ {
				e.event(evGoStatusStack, 0, at+10, noThread, uint64(statusRunnable), at+1)
			}
		})
	}
	for at := uint64(0); at < stacks; {
		w.batch(noThread, func(e *entries) {
			e.event(evStacks)
			for ; at < stacks && len(e.data) < maxBatch-100; at++ {
				e.event(evStack, at+1, 1, at, function, 0)
				e.data = binary.AppendUvarint(e.data, at) // a line of its own
			}
		})
	}
	w.batch(noThread, func(e *entries) { // a place with more goroutines than the others
		for id := range uint64(3) {
			e.event(evGoStatusStack, 0, stacks+20+id, noThread, uint64(statusRunnable), maxCrowds-7)
		}
	})
	w.end()
	d := newTestDecoder()
	s, err := d.Decode(w.data, traceTime)
	require.NoError(t, err)
	requireSane(t, s)
	assert.Equal(t, stacks+3, s.Total)
	assert.Len(t, s.Groups, MaxGroups+1)
	assert.Equal(t, goroutine.OtherStacks, s.Groups[0].Stack.ID)
	assert.Equal(t, stacks-MaxGroups, s.Groups[0].Count)
	assert.Equal(t, 4, s.Groups[1].Count)
	assert.LessOrEqual(t, len(d.stacks.current), 2*MaxGroups)

	_, err = d.Decode(quietTrace(10, 1), traceTime)
	require.NoError(t, err)
	assert.Less(t, cap(d.crowds), keepCrowds, "the memory of a crowded moment must not stay")
}

// The decoder must not retain the data: the buffer belongs to its caller.
func TestTraceKeepsNoData(t *testing.T) {
	data := traceFixture(t, "go1.26")
	d := newTestDecoder()
	s, err := d.Decode(data, traceTime)
	require.NoError(t, err)
	before := s.Groups[0].Stack.Text(1000)
	for i := range data {
		data[i] = 'X'
	}
	assert.Equal(t, before, s.Groups[0].Stack.Text(1000))
	assert.Nil(t, d.tables.data)
}

// Reading stops between two batches, wherever it is.
func TestReadingATraceCanBeStopped(t *testing.T) {
	data, errStopped := quietTrace(20_000, 20), errors.New("stopped")
	asked := 0
	d := newTestDecoder()
	d.Stop = func() error { asked++; return nil }
	s, err := d.Decode(data, traceTime)
	require.NoError(t, err)
	require.Equal(t, 20_000, s.Total)
	require.Greater(t, asked, 3, "before each batch")

	for last := range asked {
		n := 0
		d.Stop = func() error {
			if n++; n > last {
				return errStopped
			}
			return nil
		}
		s, err := d.Decode(data, traceTime)
		assert.ErrorIs(t, err, errStopped)
		assert.Nil(t, s)
		assert.LessOrEqual(t, n, last+4, "each of three passes and the end ask once more")
	}
	d.Stop = nil
	s, err = d.Decode(data, traceTime)
	require.NoError(t, err)
	assert.Equal(t, 20_000, s.Total, "and the next trace is read as ever")
}
