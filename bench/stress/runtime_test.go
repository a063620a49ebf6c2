// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package stress

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/telemetry"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// TestChurn proves that goroutines that come and go, 200,000 a second, neither
// hide those that stay nor resemble a leak: each one that was started is
// counted as created, those that stand are in every snapshot, and the
// detectors, with their times scaled so that a leak is found within seconds,
// say nothing of it. With the race detector there are 20,000 a second.
func TestChurn(t *testing.T) {
	t.Parallel()
	long(t)
	r := inChild(t, order{Scenario: "churn", Size: size(200_000, 20_000, 0), Time: 5 * *stressTime}, setting{})
	nothingIsLeft(t, r, 16<<20)
	assert.Equal(t, standing, r.Fewest)
	assert.Equal(t, standing, r.Most)
	assert.Positive(t, r.Traces)
	assert.Equal(t, []string{lostEvent}, r.Events)
	assert.GreaterOrEqual(t, r.Numbers["created"], r.Numbers["started"])
	assert.LessOrEqual(t, r.Numbers["created"], r.Numbers["started"]+10_000, "the runtime's own and the monitor's come on top")
	assert.LessOrEqual(t, r.Numbers["heap"], int64(64<<20), "bytes more than before, at the end of it")
	t.Logf("%d goroutines started, %d of them a second wanted; %d snapshots, %d traces, skipped %v", r.Numbers["started"], size(200_000, 20_000, 0), r.Snapshots, r.Traces, r.Skipped)
}

const (
	// standing is how many goroutines stand while others come and go.
	standing = 2000
	// atOnce bounds those that have not ended yet, for the race detector.
	atOnce = 4000
)

func churn(c *child) {
	crowd := gather(standing, stand)
	c.before()
	const scale = 1. / 600 // a leak needs 3 s
	c.start("stress.stand", otelgoroutine.WithDetectors(append(detectors.Scaled(scale), c.witness("stress.stand"))...))
	created := c.collect().sums[telemetry.MetricCreated]
	started := c.spawn()
	r := c.addUp()
	c.number("created", r.sums[telemetry.MetricCreated]-created)
	c.number("started", started)
	c.number("heap", heapNow()-c.finish().HeapBefore)
	c.stop()
	crowd.leave()
	c.after()
}

// spawn starts goroutines at the rate that was ordered, and returns how many
// when the last has ended.
func (c *child) spawn() (started int64) {
	var ended atomic.Int64
	for began := time.Now(); time.Since(began) < c.Time; time.Sleep(time.Millisecond) {
		due := int64(time.Since(began).Seconds() * float64(c.Size))
		for ; started < due && started-ended.Load() < atOnce; started++ {
			go ended.Add(1)
		}
	}
	c.until("the end of the last goroutine", func() bool { return ended.Load() == started })
	return started
}

// TestGOMAXPROCSChanges proves that a snapshot bears the number of Ps changing
// under it: no goroutine is lost.
func TestGOMAXPROCSChanges(t *testing.T) {
	t.Parallel()
	r := inChild(t, order{Scenario: "procs", Size: standing}, setting{})
	nothingIsLeft(t, r, 8<<20)
	assert.Equal(t, standing, r.Fewest)
	assert.Equal(t, standing, r.Most)
	assert.Contains(t, r.Events, lostEvent)
	assert.Positive(t, r.Traces)
	assert.Greater(t, r.Numbers["changes"], int64(fewestChanges))
	t.Logf("%d changes, %d snapshots", r.Numbers["changes"], r.Snapshots)
}

// fewestChanges are made however slow the machine is.
const fewestChanges = 100

func procs(c *child) {
	crowd := gather(c.Size, stand)
	procs := runtime.GOMAXPROCS(0)
	c.before()
	c.start("stress.stand")
	changes := int64(0)
	for began := time.Now(); time.Since(began) < c.Time || c.taken() < 5 || changes <= fewestChanges; time.Sleep(time.Millisecond) {
		runtime.GOMAXPROCS(1 + int(changes)%8)
		changes++
	}
	c.number("changes", changes)
	runtime.GOMAXPROCS(procs)
	c.addUp()
	c.stop()
	crowd.leave()
	c.after()
}

// TestGarbageCollection proves that snapshots go on without a garbage collector and
// with one that hardly ever rests, and that what they allocate is bounded and
// not kept.
func TestGarbageCollection(t *testing.T) {
	t.Parallel()
	long(t)
	for _, percent := range []string{"off", "1"} {
		t.Run("GOGC="+percent, func(t *testing.T) {
			r := inChild(t, order{Scenario: "gc", Size: standing}, setting{env: []string{"GOGC=" + percent}})
			nothingIsLeft(t, r, 4<<20)
			assert.Equal(t, standing, r.Fewest)
			assert.Contains(t, r.Events, lostEvent)
			assert.LessOrEqual(t, r.Numbers["bytes a snapshot"], int64(4<<20), "most of them are the tracer's")
			assert.LessOrEqual(t, r.Numbers["heap"], int64(4<<20), "bytes kept more at the end than after the first snapshots")
			assert.Equal(t, percent == "off", r.Numbers["collections"] == 0, "%d collections", r.Numbers["collections"])
			t.Logf("%d KiB a snapshot, %d snapshots, %d collections", r.Numbers["bytes a snapshot"]>>10, r.Snapshots, r.Numbers["collections"])
		})
	}
}

func gc(c *child) {
	crowd := gather(c.Size, stand)
	c.before()
	c.start("stress.stand")
	c.snapshots(10)
	heap := heapNow()
	var first, last runtime.MemStats
	runtime.ReadMemStats(&first)
	taken := c.taken()
	for began := time.Now(); time.Since(began) < c.Time; {
		c.snapshots(1)
	}
	runtime.ReadMemStats(&last)
	c.number("bytes a snapshot", int64(last.TotalAlloc-first.TotalAlloc)/int64(c.taken()-taken))
	c.number("collections", int64(last.NumGC-first.NumGC))
	c.number("heap", heapNow()-heap)
	c.addUp()
	c.stop()
	crowd.leave()
	c.after()
}

// TestLittleMemory proves that a service with 10,000 goroutines and GOMEMLIMIT
// at 64 MiB, most of which it has in use, lives with the monitor, which still
// takes snapshots. What the collector costs with and without it is printed to compare.
func TestLittleMemory(t *testing.T) {
	t.Parallel()
	long(t)
	for _, variant := range []string{"without", "with"} {
		t.Run(variant, func(t *testing.T) {
			r := inChild(t, order{Scenario: "small memory", Variant: variant, Size: size(10_000, 7000, 0)}, setting{env: []string{"GOMEMLIMIT=64MiB"}})
			assert.Positive(t, r.Work)
			t.Logf("%s the monitor: %d requests, %d collections of %d ms of CPU time in all, %d MiB; %d snapshots, skipped %v",
				variant, r.Work, r.Numbers["collections"], r.Numbers["ms"], r.Numbers["memory"]>>20, r.Snapshots, r.Skipped)
			if variant == "without" {
				return
			}
			nothingIsLeft(t, r, 8<<20)
			assert.Contains(t, r.Events, lostEvent)
			assert.Positive(t, r.Traces)
			assert.Equal(t, r.Fewest, r.Most)
		})
	}
}

func smallMemory(c *child) {
	crowd := gather(c.Size, stand)
	ballast := make([]byte, 16<<20)
	c.before()
	if c.Variant == "with" {
		c.start("stress.stand")
	}
	collections, cost := collector()
	l := newLoad(noop.Meter{})
	time.Sleep(c.Time)
	l.end()
	c.note(func(r *report) { r.Work = l.work.Load() })
	endCollections, endCost := collector()
	c.number("collections", endCollections-collections)
	c.number("ms", (endCost - cost).Milliseconds())
	c.number("memory", processMemory())
	if c.Variant == "with" {
		c.snapshots(1)
		c.addUp()
		c.stop()
	}
	runtime.KeepAlive(ballast)
	crowd.leave()
	c.after()
}

// collector returns how often the garbage collector ran and what CPU time it
// took.
func collector() (int64, time.Duration) {
	s := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/cpu/classes/gc/total:cpu-seconds"}}
	metrics.Read(s)
	if s[1].Value.Kind() != metrics.KindFloat64 {
		panic(fmt.Sprint("no ", s[1].Name))
	}
	return int64(s[0].Value.Uint64()), time.Duration(s[1].Value.Float64() * float64(time.Second))
}
