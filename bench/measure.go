// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync/atomic"
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// A sample is what one snapshot cost.
type sample struct {
	Wall      time.Duration
	CPU       time.Duration // of the process; 0 where the system does not tell
	Stop      time.Duration // of the world, the longest; upper end of the histogram's bucket
	Delay     time.Duration // of a goroutine that sleeps, the worst
	Allocated int64         // bytes on the Go heap
	Objects   int64         // allocated
	Memory    int64         // bytes by which resident memory grew at most; 0 where that was not measured
	Peak      int64         // bytes of resident memory at its most; 0 where that was not measured
	Seen      int           // goroutines; -1: the method does not count them. Of a reading, series
	Existing  int           // goroutines before the snapshot
}

// mean returns what one of n equal snapshots cost. The longest stop and the
// worst delay are those of all of them.
func (s sample) mean(n int) sample {
	s.Wall /= time.Duration(n)
	s.CPU /= time.Duration(n)
	s.Allocated /= int64(n)
	s.Objects /= int64(n)
	return s
}

// measureScenario lets the methods take turns, so that what else the machine
// does meets all of them.
func measureScenario(s scenario) (any, error) {
	shape, err := shapeOf(s.Shape)
	if err != nil {
		return nil, err
	}
	parked, err := populate(shape, s.Size)
	if err != nil {
		return nil, err
	}
	defer runtime.KeepAlive(parked) // what they wait for can be reached: they are not leaked
	methods, err := methodsFor(s)
	if err != nil {
		return nil, err
	}
	r := result{scenario: s, Doc: shape.doc, Note: parked.note}
	m := newMeter(s.Large)
	for _, method := range methods {
		for range method.warmUps {
			_, _ = method.once() // the first snapshot is a profile; other errors come back when it is measured
		}
		r.Methods = append(r.Methods, measured{Name: method.name, LeftOut: method.leftOut})
	}
	for round := range s.Rounds {
		for i, method := range methods {
			if method.leftOut != "" || method.rounds > 0 && round >= method.rounds {
				continue
			}
			s, err := m.turn(method)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", method.name, err)
			}
			r.Methods[i].Samples = append(r.Methods[i].Samples, s)
		}
	}
	var trace bytes.Buffer
	if !s.Reading {
		err = lab.Record(&trace)
	}
	r.TraceBytes = int64(trace.Len())
	return r, err
}

// once does without measuring.
func (m *method) once() (seen int, err error) {
	if m.before != nil {
		err = m.before()
	}
	if err != nil {
		return 0, err
	}
	return m.take()
}

// A meter measures one snapshot at a time.
type meter struct {
	probe   *probe
	memory  bool // measure Memory, for which the heap's free pages are given back each time
	samples [len(figures)]metrics.Sample
	stops   [2][]uint64 // by stopOther and stopGC
	settled int         // goroutines when nothing is measured
}

// figures are what a meter reads of the runtime: first the stops, in the order
// of meter.stops.
var figures = [...]string{
	stopOther: "/sched/pauses/total/other:seconds",
	stopGC:    "/sched/pauses/total/gc:seconds",
	bytesUsed: "/gc/heap/allocs:bytes",
	objects:   "/gc/heap/allocs:objects",
}

const (
	stopOther = iota
	stopGC
	bytesUsed
	objects
)

// newMeter is called when nothing runs but what is measured.
func newMeter(memory bool) *meter {
	m := &meter{probe: &probe{}, memory: memory}
	go m.probe.run()
	for i, name := range figures {
		m.samples[i].Name = name
	}
	m.settled = runtime.NumGoroutine()
	return m
}

// turn lets a method take one snapshot. Its stops of the world are those that
// are not for garbage collection, and those as well when the method collects
// garbage itself.
func (m *meter) turn(method method) (sample, error) {
	if method.before != nil {
		if err := method.before(); err != nil {
			return sample{}, err
		}
	}
	m.settle()
	s := sample{Existing: runtime.NumGoroutine()}
	resident := m.resetPeak()
	bytes, count := m.begin()
	m.probe.reset()
	cpu, began := lab.ProcessCPU(), time.Now()
	var err error
	s.Seen, err = method.take()
	s.Wall = time.Since(began)
	s.CPU = lab.ProcessCPU() - cpu
	s.Delay = m.probe.worstDelay()
	metrics.Read(m.samples[:])
	s.Stop = m.longestStop(stopOther)
	if method.collects {
		s.Stop = max(s.Stop, m.longestStop(stopGC))
	}
	s.Allocated, s.Objects = m.used(bytesUsed)-bytes, m.used(objects)-count
	if m.memory {
		s.Peak, _ = lab.ResidentMemory()
		s.Memory = max(0, s.Peak-resident) // Linux counts the pages on each CPU, and may say fewer at the end than at first
	}
	return s.mean(max(method.times, 1)), err
}

// settle lets each snapshot begin alike: without the garbage of the one before
// it, and without its goroutines, which may end a moment late.
func (m *meter) settle() {
	if m.memory {
		debug.FreeOSMemory()
	} else {
		runtime.GC()
	}
	for tries := 0; runtime.NumGoroutine() > m.settled && tries < 1000; tries++ {
		time.Sleep(time.Millisecond)
	}
}

// begin remembers the stops so far and returns what was allocated so far.
func (m *meter) begin() (bytes, count int64) {
	metrics.Read(m.samples[:])
	for i := range m.stops {
		m.stops[i] = append(m.stops[i][:0], m.samples[i].Value.Float64Histogram().Counts...)
	}
	return m.used(bytesUsed), m.used(objects)
}

func (m *meter) used(figure int) int64 { return int64(m.samples[figure].Value.Uint64()) }

// longestStop returns the upper end of the highest bucket that a stop has been
// added to.
func (m *meter) longestStop(kind int) time.Duration {
	h := m.samples[kind].Value.Float64Histogram()
	for i, n := range slices.Backward(h.Counts) {
		if n == m.stops[kind][i] {
			continue
		}
		end := h.Buckets[i+1]
		if math.IsInf(end, 1) {
			end = h.Buckets[i]
		}
		return time.Duration(end * float64(time.Second))
	}
	return 0
}

func (m *meter) resetPeak() (peak int64) {
	if m.memory {
		lab.ResetPeakMemory()
		peak, _ = lab.ResidentMemory()
	}
	return peak
}

// A probe is a goroutine that sleeps and notes how late it wakes: what a
// snapshot does to the response times of a service.
type probe struct{ worst, naps atomic.Int64 }

const nap = 200 * time.Microsecond

func (p *probe) run() {
	for ; ; p.naps.Add(1) {
		began := time.Now()
		time.Sleep(nap)
		if late := int64(time.Since(began) - nap); late > p.worst.Load() {
			p.worst.Store(late)
		}
	}
}

func (p *probe) reset() {
	p.await()
	p.worst.Store(0)
}

// worstDelay returns the worst delay since reset, that of the nap under way
// included.
func (p *probe) worstDelay() time.Duration {
	p.await()
	return time.Duration(p.worst.Load())
}

// await waits until the nap that is under way has ended.
func (p *probe) await() {
	for naps := p.naps.Load(); p.naps.Load() == naps; {
		time.Sleep(nap / 4)
	}
}
