// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/lockcode"
)

// tables is code in which the function at 0x1000 is main.f0, the one at 0x2000 main.f1,
// and so on. What is at an odd address is inlined. That at 0 is the runtime's.
type tables map[uintptr]lockcode.Point // by the address that a call returns to

func (c tables) Call(pc uintptr) lockcode.Call {
	entry := pc &^ 0xfff
	switch {
	case pc == 0:
		return lockcode.Call{Function: "runtime.gopark", Entry: 1}
	case entry == 0:
		return lockcode.Call{}
	}
	return lockcode.Call{Function: fmt.Sprintf("main.f%d", entry>>12-1), Entry: entry, Inlined: pc%2 == 1}
}

func (c tables) Returns(_ lockcode.Call, address uintptr) lockcode.Point {
	p, ok := c[address]
	p.Read = p.Read || ok
	return p
}

// mutexFrames are the innermost frames of a goroutine that waits for a mutex.
var mutexFrames = []tracedCall{{Frame: goroutine.Frame{Function: "runtime.gopark"}}, {Frame: goroutine.Frame{Function: "internal/sync.runtime_SemacquireMutex"}}, {Frame: goroutine.Frame{Function: "internal/sync.(*Mutex).lockSlow"}}}

func callIn(function string, pc uintptr) tracedCall {
	return tracedCall{Frame: goroutine.Frame{Function: function}, pc: pc}
}

// calls writes a stack with addresses.
func (w *wire) calls(id uint64, calls ...tracedCall) {
	functions := make([]uint64, len(calls))
	for i, c := range calls {
		functions[i] = w.name(c.Frame.Function)
	}
	w.batch(noThread, func(e *entries) {
		e.event(evStacks)
		e.event(evStack, id, uint64(len(calls)))
		for i, c := range calls {
			for _, n := range []uint64{uint64(c.pc), functions[i], w.name("file.go"), 10} {
				e.data = binary.AppendUvarint(e.data, n)
			}
		}
	})
}

// TestTracedLocks has goroutine 10, which waits for a lock, and others.
func TestTracedLocks(t *testing.T) {
	mutex, read := siteOf(1, lockcode.Mutex, 8), siteOf(2, lockcode.Read, 0)
	global, other := lockcode.Site{PC: 4, Kind: lockcode.Mutex, Address: 0xc008}, lockcode.Site{PC: 5, Kind: lockcode.Mutex, Address: 0xd008}
	code := tables{
		0x1011: {Waits: mutex},
		0x2011: {Holds: []lockcode.Site{mutex}},
		0x2021: {},
		0x3011: {Holds: []lockcode.Site{read}},
		0x4011: {Holds: []lockcode.Site{global}, Later: lockcode.Sends},
		0x5011: {Waits: global},
		0x6011: {Holds: []lockcode.Site{other}},
		0x7012: {},                              // the call of an inlined function
		0x7022: {Holds: []lockcode.Site{mutex}}, // where it begins
	}
	waits := append(mutexFrames[:3:3], callIn("main.f0", 0x1010))
	asleep := callIn("time.Sleep", 0)
	deep := make([]tracedCall, maxDepth)
	for i := range deep {
		deep[i] = callIn("main.f1", 0x2020)
	}
	const self = 99
	for name, tt := range map[string]struct {
		events [][]uint64
		stack  []tracedCall // number 2
		want   string       // holders
		open   bool
	}{
		"none":                   {[][]uint64{still(7, noThread, statusWaiting, 2)}, []tracedCall{asleep, callIn("main.f1", 0x2020)}, "", false},
		"one that holds":         {[][]uint64{still(7, noThread, statusWaiting, 2)}, []tracedCall{asleep, callIn("main.f1", 0x2010)}, "7", false},
		"several":                {[][]uint64{still(8, noThread, statusWaiting, 2), still(7, noThread, statusWaiting, 2)}, []tracedCall{asleep, callIn("main.f1", 0x2010)}, "7x2", false},
		"of another kind":        {[][]uint64{still(7, noThread, statusWaiting, 2)}, []tracedCall{asleep, callIn("main.f2", 0x3010)}, "", false},
		"further out":            {[][]uint64{still(7, noThread, statusWaiting, 2)}, []tracedCall{asleep, callIn("main.f1", 0x2020), callIn("main.f1", 0x2010)}, "7", false},
		"code not read":          {[][]uint64{still(7, noThread, statusWaiting, 2)}, []tracedCall{asleep, callIn("main.f8", 0x9010)}, "7", false},
		"in C":                   {[][]uint64{still(7, noThread, statusSyscall, 2)}, []tracedCall{callIn("", 0x10), callIn("main.f1", 0x2020)}, "7", false},
		"inlined":                {[][]uint64{still(7, noThread, statusWaiting, 2)}, []tracedCall{asleep, callIn("main.small", 0x7011), callIn("main.f6", 0x7021)}, "", false},
		"inlined and called":     {[][]uint64{still(7, noThread, statusWaiting, 2)}, []tracedCall{asleep, callIn("main.f6", 0x7021), callIn("main.f6", 0x7021)}, "7", false},
		"a stack that is cut":    {[][]uint64{still(7, noThread, statusWaiting, 2)}, deep, "7", false},
		"a stack that is absent": {[][]uint64{still(7, noThread, statusWaiting, 77)}, nil, "7", false},
		"running":                {[][]uint64{still(8, noThread, statusRunning, 0), still(7, noThread, statusRunning, 0)}, nil, "7x2", false},
		"the one that asks":      {[][]uint64{still(self, noThread, statusRunning, 0)}, nil, "", false},
		"the trace's own":        {[][]uint64{still(7, noThread, statusWaiting, 2)}, []tracedCall{asleep, callIn("main.f1", 0x2010), callIn(readerFunction, 0)}, "", false},
		"handed the lock":        {[][]uint64{still(7, noThread, statusRunnable, 2)}, waits, "7", false},
		"at the same call":       {[][]uint64{still(11, noThread, statusWaiting, 1)}, nil, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire("go 1.26 trace\x00\x00\x00")
			w.batch(noThread, func(e *entries) {
				for _, event := range append([][]uint64{still(10, noThread, statusWaiting, 1)}, tt.events...) {
					e.event(byte(event[0]), event[1:]...)
				}
			})
			w.calls(1, waits...)
			w.calls(2, tt.stack...)
			w.end()
			s, err := newTestDecoder().DecodeLocks(w.data, traceTime, code, self)
			require.NoError(t, err)
			assert.Equal(t, goroutine.SourceLocks, s.Source)
			require.Len(t, s.Locks, 1)
			q := s.Locks[0]
			assert.Zero(t, q.Lock)
			assert.EqualValues(t, 10, q.Waiters[0])
			assert.Equal(t, "main.f0", q.At.Function)
			assert.Equal(t, q.Count, len(q.Waiters))
			var holders []string
			for _, h := range q.Holders {
				text := fmt.Sprint(h.ID)
				if h.Count > 1 {
					text += fmt.Sprintf("x%d", h.Count)
				}
				holders = append(holders, text)
			}
			assert.Equal(t, tt.want, strings.Join(holders, " "))
			assert.Equal(t, tt.open, q.Open)
		})
	}
}
