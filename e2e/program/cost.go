// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package program

import (
	"runtime"
	"runtime/metrics"
	"strings"
	"sync/atomic"

	"github.com/otelgoroutine/go/detectors"
)

// A Cost is what a monitor did over some time.
type Cost struct {
	Judged    int64    // snapshots that detectors were given
	Created   uint64   // goroutines
	Allocated uint64   // bytes; one snapshot takes megabytes
	Ours      []string // stacks of the goroutines of the monitor at the end
}

// A CostMeter measures a [Cost].
type CostMeter struct {
	judged atomic.Int64
	begin  Cost
}

// NewCostMeter returns a meter that has not begun.
func NewCostMeter() *CostMeter { return new(CostMeter) }

// Detector returns a detector that counts the snapshots it is given.
func (m *CostMeter) Detector() *detectors.Detector {
	return &detectors.Detector{Name: "cost", Run: func(*detectors.Pass) error {
		m.judged.Add(1)
		return nil
	}}
}

// Begin begins to measure.
func (m *CostMeter) Begin() { m.begin = m.now() }

// Read returns the cost since Begin.
func (m *CostMeter) Read() Cost {
	c := m.now()
	c.Judged -= m.begin.Judged
	c.Created -= m.begin.Created
	c.Allocated -= m.begin.Allocated
	c.Ours = ours()
	return c
}

func (m *CostMeter) now() Cost {
	samples := []metrics.Sample{{Name: "/sched/goroutines-created:goroutines"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(samples)
	return Cost{Judged: m.judged.Load(), Created: samples[0].Value.Uint64(), Allocated: samples[1].Value.Uint64()}
}

// ours returns the stacks of the goroutines that the monitor started.
func ours() (stacks []string) {
	dump := make([]byte, 1<<20)
	dump = dump[:runtime.Stack(dump, true)]
	for stack := range strings.SplitSeq(string(dump), "\n\n") {
		if strings.Contains(stack, "created by github.com/otelgoroutine/go/otelgoroutine.") {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}
