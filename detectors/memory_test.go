// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/engine"
)

// kept returns how many bytes a history of all detectors holds after two
// hours of a service with so many goroutines in so many stacks, one in ten of
// which is replaced in every snapshot.
func kept(t *testing.T, goroutines, stacks int) int {
	p := detectortest.NewProcess(2)
	live := make([][]uint64, stacks)
	places := make([]detectortest.Place, stacks)
	for i := range places {
		places[i] = detectortest.At(goroutine.Select, fmt.Sprintf("main.wait%d", i), "main.serve", "main.run")
		live[i] = p.Go(places[i], goroutines/stacks)
	}
	before := heap()
	all := detectors.Default()
	e := engine.New(engine.Config{Detectors: all})
	for minute := range 2 * 60 {
		for i := minute % 10; i < stacks; i += 10 {
			p.Exit(live[i]...)
			live[i] = p.Go(places[i], goroutines/stacks)
		}
		p.Advance(time.Minute)
		s := p.Snapshot()
		e.Inspected(busyWindow(s))
		if minute%30 > 0 {
			e.Remember(s) // judging takes longer than the rest
			continue
		}
		for _, v := range e.Step(s).Verdicts {
			require.NoError(t, v.Err)
		}
	}
	used := heap() - before
	runtime.KeepAlive(e)
	runtime.KeepAlive(p)
	return used
}

// busyWindow is one in which every goroutine was woken.
func busyWindow(s *goroutine.Snapshot) *goroutine.Snapshot {
	w := &goroutine.Snapshot{Time: s.Time, Source: goroutine.SourceWindow}
	for i := range s.Groups {
		g := &s.Groups[i]
		w.Movements = append(w.Movements, goroutine.Movement{
			Stack: g.Stack, State: g.State, Woken: g.Count, Fed: goroutine.SampleIDs(nil, g.IDs...), Timed: goroutine.SampleIDs(nil, g.IDs...),
			Wakers: []goroutine.Waker{{Stack: g.Stack, Count: g.Count}},
		})
	}
	return w
}

func heap() int {
	runtime.GC()
	runtime.GC() // what the first one made ready to be freed
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestHistoryIsSmall holds what detection keeps to 8 MiB for 10,000 goroutines
// in 500 stacks, whatever their number beyond.
func TestHistoryIsSmall(t *testing.T) {
	const limit = 8 << 20
	for _, goroutines := range []int{10_000, 30_000} {
		used := kept(t, goroutines, 500)
		t.Logf("%d goroutines in 500 stacks: %.1f MiB", goroutines, float64(used)/(1<<20))
		assert.Less(t, used, limit)
	}
}
