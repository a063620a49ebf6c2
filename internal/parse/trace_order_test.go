// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

const waitStack, startStack, callStack, stopStack, systemStack, readerStack = 1, 2, 3, 4, 5, 6

// describeOrder decodes a trace whose Ms wrote these batches. It describes each
// goroutine as "ID state leaf".
func describeOrder(t *testing.T, batches []orderBatch) []string {
	t.Helper()
	w := newWire("go 1.26 trace\x00\x00\x00")
	reason := w.name("chan receive")
	for _, b := range batches {
		w.batch(b.m, func(e *entries) {
			for _, event := range b.events {
				if event[0] == evGoBlock {
					event[2] = reason
				}
				e.event(byte(event[0]), event[1:]...)
			}
		})
	}
	w.stack(waitStack, "runtime.chanrecv1", "main.wait")
	w.stack(startStack, "main.start")
	w.stack(callStack, "syscall.read", "main.read")
	w.stack(stopStack, "runtime.Gosched", "main.spin")
	w.stack(systemStack, "runtime.bgsweep")
	w.stack(readerStack, "runtime.chanrecv1", readerFunction)
	w.end()
	s, err := newTestDecoder().Decode(w.data, traceTime)
	require.NoError(t, err)
	requireSane(t, s)
	var list []string
	for _, g := range s.Groups {
		for _, id := range g.IDs {
			list = append(list, fmt.Sprintf("%d %s %s", id, g.State, g.Stack.User().Function))
		}
	}
	slices.Sort(list)
	return list
}

type orderBatch struct {
	m      uint64
	events [][]uint64
}

// Events by their short form, each with a time of 0.
func status(g, m uint64, s traceStatus) []uint64 { return []uint64{evGoStatus, 0, g, m, uint64(s)} }
func still(g, m uint64, s traceStatus, stack uint64) []uint64 {
	return []uint64{evGoStatusStack, 0, g, m, uint64(s), stack}
}
func create(g uint64) []uint64        { return []uint64{evGoCreate, 0, g, startStack, waitStack} }
func start(g, seq uint64) []uint64    { return []uint64{evGoStart, 0, g, seq} }
func unblock(g, seq uint64) []uint64  { return []uint64{evGoUnblock, 0, g, seq, 0} }
func switchTo(g, seq uint64) []uint64 { return []uint64{evGoSwitch, 0, g, seq} }
func exitTo(g, seq uint64) []uint64   { return []uint64{evGoSwitchDestroy, 0, g, seq} }

var (
	block       = []uint64{evGoBlock, 0, 0, waitStack}
	blockSystem = []uint64{evGoBlock, 0, 0, systemStack}
	blockReader = []uint64{evGoBlock, 0, 0, readerStack}
	yield       = []uint64{evGoStop, 0, 0, stopStack}
	call        = []uint64{evGoSyscallBegin, 0, 1, callStack}
	callEnd     = []uint64{evGoSyscallEnd, 0}
	callLost    = []uint64{evGoSyscallEndBlocked, 0}
	destroy     = []uint64{evGoDestroy, 0}
	label       = []uint64{evGoLabel, 0, 1}
	heap        = []uint64{evHeapAlloc, 0, 4096}
)

// The result does not depend on the order of the batches of different Ms. The
// batches of one M stay in order.
func TestTraceOrder(t *testing.T) {
	for name, c := range map[string]struct {
		batches []orderBatch
		want    []string
	}{
		"running all along": {
			[]orderBatch{{1, [][]uint64{status(9, 1, statusRunning), heap}}},
			[]string{"9 running "},
		},
		"blocked": {
			[]orderBatch{{1, [][]uint64{status(9, 1, statusRunning), block}}},
			[]string{"9 chan receive main.wait"},
		},
		"woken": {
			[]orderBatch{{1, [][]uint64{status(9, 1, statusRunning), block}}, {2, [][]uint64{unblock(9, 1)}}},
			[]string{"9 runnable main.wait"},
		},
		"woken before it was seen": {
			[]orderBatch{{2, [][]uint64{status(9, noThread, statusWaiting), unblock(9, 1)}}},
			[]string{"9 runnable "},
		},
		"from M to M": {
			[]orderBatch{
				{1, [][]uint64{status(9, 1, statusRunning), block}},
				{2, [][]uint64{unblock(9, 1)}},
				{3, [][]uint64{start(9, 2), yield}},
				{4, [][]uint64{start(9, 3), call, callLost}},
				{5, [][]uint64{start(9, 4), call}},
			},
			[]string{"9 syscall main.read"},
		},
		"back from a call, on the same M": {
			[]orderBatch{{1, [][]uint64{status(9, 1, statusRunning), call, callEnd, heap}}},
			[]string{"9 running "},
		},
		"back from a call, without a P": {
			[]orderBatch{{1, [][]uint64{status(9, 1, statusRunning), call, callLost}}},
			[]string{"9 runnable main.read"},
		},
		"created and not run": {
			[]orderBatch{{1, [][]uint64{status(9, 1, statusRunning), create(20)}}},
			[]string{"20 runnable main.start", "9 running "},
		},
		"created here, run there, gone elsewhere": {
			[]orderBatch{
				{1, [][]uint64{status(9, 1, statusRunning), create(20), create(21)}},
				{2, [][]uint64{start(20, 1), yield, start(21, 1), block}},
				{3, [][]uint64{start(20, 2), destroy}},
			},
			[]string{"21 chan receive main.wait", "9 running "},
		},
		"two batches of one M": {
			[]orderBatch{
				{1, [][]uint64{status(9, 1, statusRunning)}},
				{1, [][]uint64{block, start(20, 1)}},
				{2, [][]uint64{status(30, 2, statusRunning), create(20)}},
				{1, [][]uint64{yield}},
			},
			[]string{"20 runnable main.spin", "30 running ", "9 chan receive main.wait"},
		},
		"coroutine": {
			[]orderBatch{
				{1, [][]uint64{status(9, 1, statusRunning), {evGoCreateBlocked, 0, 20, startStack, waitStack}, switchTo(20, 1), switchTo(9, 1), block}},
				{2, [][]uint64{unblock(9, 2), start(9, 3), call, callEnd, switchTo(20, 2)}},
			},
			[]string{"20 running ", "9 coroutine "},
		},
		"coroutine that ended": {
			[]orderBatch{{1, [][]uint64{status(9, 1, statusRunning), {evGoCreateBlocked, 0, 20, startStack, waitStack}, switchTo(20, 1), exitTo(9, 1)}}},
			[]string{"9 running "},
		},
		"coroutine that never ran": {
			[]orderBatch{{1, [][]uint64{status(9, 1, statusRunning), {evGoCreateBlocked, 0, 20, startStack, waitStack}}}},
			[]string{"20 waiting main.start", "9 running "},
		},
		"still": {
			[]orderBatch{{noThread, [][]uint64{still(9, 1, statusSyscall, callStack), still(10, noThread, statusWaiting, waitStack), still(11, noThread, statusRunnable, stopStack), still(12, 3, statusRunning, stopStack), status(13, noThread, statusRunnable)}}},
			[]string{"10 waiting main.wait", "11 runnable main.spin", "12 running main.spin", "13 runnable ", "9 syscall main.read"},
		},
		"in a call all along": {
			[]orderBatch{{1, [][]uint64{status(9, 1, statusSyscall), callEnd, block}}},
			[]string{"9 chan receive main.wait"},
		},
		"in a call elsewhere": {
			[]orderBatch{{1, [][]uint64{status(9, 2, statusSyscall), block}}},
			[]string{"9 syscall "},
		},
		"from C, over and over": {
			[]orderBatch{
				{1, [][]uint64{{evGoCreateSyscall, 0, 50}, callEnd, block, start(50, 2), call, {evGoDestroySyscall, 0},
					{evGoCreateSyscall, 0, 50}, callEnd, heap}},
				{2, [][]uint64{unblock(50, 1)}},
			},
			[]string{"50 running "},
		},
		"from C, and gone": {
			[]orderBatch{{1, [][]uint64{{evGoCreateSyscall, 0, 50}, callEnd, call, {evGoDestroySyscall, 0}}}},
			nil,
		},
		"events of no goroutine": {
			[]orderBatch{{1, [][]uint64{block, yield, call, callEnd, destroy, label, heap}}, {noThread, [][]uint64{status(9, 1, statusRunnable)}}},
			[]string{"9 runnable "},
		},
		"the runtime's, by what it was": {
			[]orderBatch{
				{1, [][]uint64{status(40, 1, statusRunning), blockSystem}},
				{2, [][]uint64{unblock(40, 1), start(40, 2)}},
			},
			nil,
		},
		"the runtime's, by its label": {
			[]orderBatch{{1, [][]uint64{status(40, noThread, statusWaiting), unblock(40, 1), start(40, 2), label}}},
			nil,
		},
		"main is never the runtime's": {
			[]orderBatch{{1, [][]uint64{status(1, 1, statusRunning), blockSystem}}},
			[]string{"1 chan receive runtime.bgsweep"},
		},
		"the reader": {
			[]orderBatch{{1, [][]uint64{status(40, 1, statusRunning), blockReader, start(40, 2)}}},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			for order := range permutations(c.batches) {
				n++
				assert.Equal(t, c.want, describeOrder(t, order), "%v", order)
			}
			assert.Positive(t, n)
		})
	}
}

// permutations yields the orders of batches in which the batches of each M stay in
// order.
func permutations(batches []orderBatch) func(func([]orderBatch) bool) {
	return func(yield func([]orderBatch) bool) {
		var next func(done []orderBatch, left map[uint64][]orderBatch) bool
		next = func(done []orderBatch, left map[uint64][]orderBatch) bool {
			if len(done) == len(batches) {
				return yield(done)
			}
			for m, queue := range left {
				if len(queue) == 0 {
					continue
				}
				rest := maps.Clone(left)
				rest[m] = queue[1:]
				if !next(append(slices.Clip(done), queue[0]), rest) {
					return false
				}
			}
			return true
		}
		left := make(map[uint64][]orderBatch)
		for _, b := range batches {
			left[b.m] = append(left[b.m], b)
		}
		next(nil, left)
	}
}

// The kind of an ID is remembered from one trace to the next. It is forgotten
// after two traces that did not have the ID.
func TestTraceRemembersSystemGoroutines(t *testing.T) {
	trace := func(g uint64, asleep bool) []byte {
		w := newWire("go 1.26 trace\x00\x00\x00")
		if asleep {
			w.batch(noThread, func(e *entries) { e.event(evGoStatusStack, 0, g, noThread, uint64(statusWaiting), 1) })
		} else {
			w.batch(1, func(e *entries) {
				e.event(evGoStatus, 0, g, noThread, uint64(statusWaiting))
				e.event(evGoUnblock, 0, g, 1, 0)
			})
		}
		w.stack(1, "runtime.gopark", "runtime.runFinalizers")
		w.end()
		return w.data
	}
	d := newTestDecoder()
	total := func(data []byte) int {
		s, err := d.Decode(data, traceTime)
		require.NoError(t, err)
		return s.Total
	}
	assert.Equal(t, 1, total(trace(77, false)), "not known yet")
	assert.Equal(t, 0, total(trace(77, true)))
	for range 3 {
		assert.Equal(t, 0, total(trace(77, false)))
	}
	assert.Equal(t, 1, total(trace(78, false)))
	assert.Equal(t, 1, total(trace(78, false)))
	assert.Equal(t, 1, total(trace(77, false)), "forgotten")
}

func TestTraceKinds(t *testing.T) {
	deep := make([]string, maxSystemDepth)
	for i := range deep {
		deep[i] = "main.deep"
	}
	for name, c := range map[string]struct {
		want   kind
		frames []string // leaf first, without runtime.goexit
	}{
		"nothing":             {kindUser, nil},
		"user":                {kindUser, []string{"runtime.gopark", "runtime.chanrecv", "main.work"}},
		"sweeper":             {kindSystem, []string{"runtime.gopark", "runtime.bgsweep"}},
		"advancer":            {kindSystem, []string{"runtime.chanrecv1", "runtime.(*wakeableSleep).sleep", "runtime.(*traceAdvancerState).start.func1"}},
		"reader":              {kindReader, []string{"runtime.ReadTrace", readerFunction}},
		"coroutine":           {kindUser, []string{"runtime.coroswitch", "iter.Pull[...].func1", "runtime.corostart"}},
		"coroutine, not run":  {kindUser, []string{"runtime.corostart"}},
		"callback from C":     {kindUser, []string{"main.callback", "runtime.cgocallbackg1", "runtime.cgocallbackg", "runtime.cgocallback"}},
		"preempted, no frame": {kindUser, []string{"runtime.asyncPreempt2", "runtime.asyncPreempt"}},
		"finalizer":           {kindUser, []string{"runtime.gopark", "main.(*T).close", "runtime.runFinalizers"}},
		"no finalizer":        {kindSystem, []string{"runtime.gopark", "runtime.runFinalizers"}},
		"cut off":             {kindUser, append(deep, "runtime.gopanic")},
	} {
		assert.Equal(t, c.want, kindOf(named(c.frames...)), name)
	}
}

func TestTraceStates(t *testing.T) {
	park := named("runtime.gopark", "runtime.chanrecv", "runtime.chanrecv1", "main.f")
	user := named("main.f")
	for _, c := range []struct {
		status traceStatus
		frames []goroutine.Frame
		reason string
		want   goroutine.State
	}{
		{statusRunning, nil, "", goroutine.Running},
		{statusRunnable, park, "chan receive", goroutine.Runnable},
		{statusSyscall, user, "", goroutine.Syscall},
		{statusSwitched, nil, "", goroutine.Coroutine},
		{statusWaiting, park, "", goroutine.ChanReceive},
		{statusWaiting, nil, "", goroutine.Waiting},
		{statusWaiting, nil, "network", goroutine.IOWait},
		{statusWaiting, user, "select", goroutine.Select},
		{statusWaiting, user, "preempted", goroutine.Runnable},
		{statusWaiting, user, "sync", goroutine.Waiting},
		{statusWaiting, user, "a reason of next year", goroutine.Waiting},
		{statusWaiting, named("runtime.asyncPreempt2", "runtime.asyncPreempt", "main.f"), "", goroutine.Runnable},
	} {
		assert.Equal(t, c.want, traceState(c.status, c.frames, c.reason), "%v", c)
	}
}
