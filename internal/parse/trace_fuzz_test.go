// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/lockcode"
)

// FuzzTrace decodes each input twice with one decoder, like a process that takes a
// snapshot every few seconds.
func FuzzTrace(f *testing.F) {
	for _, version := range traceFixtures {
		f.Add(traceFixture(f, version))
	}
	f.Add(quietTrace(100, 3))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := newTestDecoder()
		for n := range 2 {
			s, err := d.Decode(data, traceTime.Add(time.Duration(n)*time.Second))
			if s == nil {
				require.Error(t, err)
				return
			}
			requireSane(t, s)
		}
		if s, err := d.DecodeWindow(data, data, traceTime); s == nil {
			require.Error(t, err)
		} else {
			requireSane(t, s)
			requireMovements(t, s)
		}
		if s, err := d.DecodeLocks(data, traceTime, holding{}, 1); s == nil {
			require.Error(t, err)
		} else {
			requireSane(t, s)
			requireLocks(t, s.Locks, s.Total)
		}
	})
}

// holding is code in which every function holds a lock and wants it.
type holding struct{}

func (holding) Call(pc uintptr) lockcode.Call {
	return lockcode.Call{Function: "main.f", Entry: pc &^ 0xff, Inlined: pc%3 == 0}
}

func (holding) Returns(lockcode.Call, uintptr) lockcode.Point {
	site := siteOf(1, lockcode.Mutex, 8)
	return lockcode.Point{Read: true, Holds: []lockcode.Site{site}, Waits: site, Later: lockcode.Sends}
}

// requireMovements checks that what a snapshot says about a window is bounded and
// consistent.
func requireMovements(t *testing.T, s *goroutine.Snapshot) {
	t.Helper()
	require.LessOrEqual(t, len(s.Movements), goroutine.MaxMovements)
	for _, m := range s.Movements {
		require.NotNil(t, m.Stack)
		require.Positive(t, m.Woken)
		require.LessOrEqual(t, len(m.Fed), min(m.Woken, goroutine.MaxSample))
		require.LessOrEqual(t, len(m.Timed), min(m.Woken, goroutine.MaxSample))
		require.LessOrEqual(t, len(m.Wakers), goroutine.MaxWakers)
		sum := 0
		for _, w := range m.Wakers {
			require.NotNil(t, w.Stack)
			sum += w.Count
		}
		require.LessOrEqual(t, sum, m.Woken)
	}
}
