// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package stress

import (
	"fmt"
	"os"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/bench/internal/lab"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/telemetry"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// TestAMillionGoroutines proves that the monitor bears as many goroutines as
// there can be. With the default budget it takes a snapshot of all of them or
// counts that it did not; with the budget for it, every source shows each one, in bounded
// memory, and when they have ended it is given back. Where there are no 8 GiB
// of memory to be had there are 100,000, and with the race detector, which
// allows 8,128 goroutines, 7,000.
func TestAMillionGoroutines(t *testing.T) {
	t.Parallel()
	long(t)
	n := size(1_000_000, 7000, 7000)
	if n > 100_000 && availableMemory() < 8<<30 {
		n = 100_000
		t.Log("there are no 8 GiB of memory to be had, or the system does not tell: 100,000 goroutines instead")
	}
	r := inChild(t, order{Scenario: "million", Size: n}, setting{alone: true})
	nothingIsLeft(t, r, 16<<20)
	if late := r.Numbers["late"]; late > 0 {
		t.Skipf("the host was too busy for a trace of so many goroutines: %d took longer than the deadline of a snapshot", late)
	}
	assert.Contains(t, r.Events, lostEvent)
	assert.Equal(t, n, r.Fewest, "every snapshot has all of them")
	assert.Equal(t, n, r.Most)
	assert.Positive(t, r.Traces)
	assert.Positive(t, r.Numbers["taken or said why not, by default"])
	assert.InDelta(t, r.Numbers["scheduler"], r.Numbers["total"], 100, "the scheduler's own count")
	assert.LessOrEqual(t, r.Numbers["memory"], int64(3<<29), "bytes for snapshots, of the whole process: mostly the profile, and what is not collected yet beside so large a heap")
	t.Logf("snapshots took %d MiB beside %d; heap %d → %d KiB; %v", r.Numbers["memory"]>>20, r.Numbers["memory before"]>>20, r.HeapBefore>>10, r.HeapAfter>>10, r.Texts)
}

// availableMemory is how many bytes Linux would give us; elsewhere 0.
func availableMemory() (bytes int64) {
	info, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(info)) {
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &bytes); n == 1 {
			return bytes << 10
		}
	}
	return 0
}

func million(c *child) {
	gather(c.Size, stand).leave() // the runtime keeps a descriptor for each goroutine that there ever was
	c.before()
	all := gather(c.Size, stand)
	memory := processMemory()
	c.number("memory before", memory)

	c.start("stress.stand", otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 0.005, Pause: 10 * time.Millisecond}))
	c.until("a snapshot or a reason for none", func() bool {
		r := c.collect()
		c.number("taken or said why not, by default", int64(c.taken())+r.skipped["cpu_budget"])
		return c.taken() > 0 || len(r.skipped) > 0
	})
	c.stop()

	c.start("stress.stand")
	for _, source := range []goroutine.Source{goroutine.SourceProfile, goroutine.SourceTrace} {
		c.until("a snapshot of source "+string(source), func() bool {
			c.number("late", c.collect().skipped["deadline"])
			s := c.monitor.Snapshot()
			return s != nil && s.Source == source || c.finish().Numbers["late"] > 0
		})
		s := c.monitor.Snapshot()
		if s == nil || s.Source != source {
			break
		}
		c.addUp()
		c.number("total", int64(s.Total))
		c.number("scheduler", s.Scheduler.Running+s.Scheduler.Runnable+s.Scheduler.Waiting+s.Scheduler.NotInGo)
		c.note(func(r *report) { r.Texts = append(r.Texts, string(source)+" "+s.Duration.String()) })
	}
	c.until("the event", func() bool { r := c.finish(); return len(r.Events) > 0 || r.Numbers["late"] > 0 })
	c.number("memory", processMemory()-memory)
	c.stop()
	all.leave()
	c.after()
}

// processMemory is all that the runtime has from the system and not given back.
func processMemory() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() - s[1].Value.Uint64())
}

// TestTenThousandDistinctStacks proves that memory and metrics are bounded when
// no two goroutines do the same, and when they are other ones again and again:
// what is not shown by itself is shown together, so that sums stay right.
func TestTenThousandDistinctStacks(t *testing.T) {
	t.Parallel()
	long(t)
	n := size(10_000, 5000, 5000)
	r := inChild(t, order{Scenario: "distinct", Size: n}, setting{})
	nothingIsLeft(t, r, 16<<20) // the last snapshot is
	assert.Equal(t, []string{lostEvent}, r.Events, "one goroutine in a stack of its own, and it is not taken for gone")
	assert.Equal(t, r.Numbers["kept"], r.Numbers["IDs"], "each stack has an ID of its own")
	assert.Greater(t, r.Numbers["kept"], int64(4000))
	assert.LessOrEqual(t, r.Numbers["series"], int64(topStacks*4+20), "the top, those that fade out, and the others by state")
	assert.LessOrEqual(t, r.Numbers["heap"], int64(128<<20), "bytes more than before, in the last generation")
	t.Logf("%d stacks of their own in a snapshot, %d series, %d KiB of heap in the first generation, %d KiB in the last",
		r.Numbers["kept"], r.Numbers["series"], r.Numbers["heap at first"]>>10, r.Numbers["heap"]>>10)
}

const (
	generations = 4
	topStacks   = 20
)

func distinct(c *child) {
	gather(c.Size, branch(0)).leave()
	c.before()
	c.start("", otelgoroutine.WithTopStacks(topStacks))
	for generation := range generations {
		crowd := gather(c.Size, branch(generation*c.Size))
		c.snapshots(5)
		c.addUp()
		c.keptStacks()
		heap := heapNow() - c.finish().HeapBefore
		if generation == 0 {
			c.number("heap at first", heap)
		}
		c.number("heap", heap)
		r := c.addUp()
		c.number("series", int64(r.series[telemetry.MetricStackCount]))
		crowd.leave()
	}
	c.stop()
	c.after()
}

// keptStacks counts the stacks that the snapshot shows by themselves, and their
// IDs.
func (c *child) keptStacks() {
	s := c.monitor.Snapshot()
	if s.Total < c.Size {
		c.wrong("%d goroutines in a snapshot, there are at least %d", s.Total, c.Size)
	}
	ids, kept := make(map[goroutine.StackID]bool), 0
	for i := range s.Groups {
		if stack := s.Groups[i].Stack; stack.Has("github.com/otelgoroutine/go/bench/internal/lab.arrive") {
			kept++
			ids[stack.ID] = true
		}
	}
	c.number("kept", int64(kept))
	c.number("IDs", int64(len(ids)))
}

// branch returns what parks each goroutine at the end of a path of its own.
func branch(from int) func(int, <-chan struct{}) {
	const turns = 8 // of four functions: 65,536 paths
	return func(i int, gate <-chan struct{}) { lab.Step(from+i)((from+i)/4, turns-1, func() { <-gate }) }
}

// TestStacksOfTenThousandFrames proves that endless recursion is seen like
// anything else: the goroutines are counted, and an event about them is no
// larger than it may be.
func TestStacksOfTenThousandFrames(t *testing.T) {
	t.Parallel()
	for variant, source := range deepVariants {
		t.Run(variant, func(t *testing.T) {
			r := inChild(t, order{Scenario: "deep", Variant: variant, Size: 50}, setting{})
			nothingIsLeft(t, r, 4<<20)
			assert.Equal(t, 49, r.Fewest)
			assert.Equal(t, 50, r.Most)
			assert.Equal(t, source == otelgoroutine.SourceAuto, r.Traces > 0)
			assert.Equal(t, []string{lostEvent, lostEvent}, r.Events)
			assert.LessOrEqual(t, r.StackTrace, 16<<10)
			assert.Greater(t, r.StackTrace, 2<<10)
			t.Logf("%d bytes of stack trace in an event", r.StackTrace)
		})
	}
}

var deepVariants = map[string]otelgoroutine.Source{"trace": otelgoroutine.SourceAuto, "profile": otelgoroutine.SourceProfileOnly}

func deep(c *child) {
	gather(c.Size-1, func(_ int, gate <-chan struct{}) { recurse(10_000, gate) })
	c.before()
	c.start("stress.recurse", otelgoroutine.WithSource(deepVariants[c.Variant]))
	c.snapshots(2)
	gather(1, func(int, <-chan struct{}) { recurse(10_000, nil) })
	c.note(func(r *report) { r.GoroutinesBefore++ }) // it never ends
	c.snapshots(5)
	c.addUp()
	c.stop()
	c.after()
}

//go:noinline
func recurse(depth int, gate <-chan struct{}) int {
	if depth == 0 {
		<-gate
		return 0
	}
	return 1 + recurse(depth-1, gate)
}
