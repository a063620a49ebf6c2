package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync/atomic"
	"time"
)

// A sample is what one look cost.
type sample struct {
	Wall      time.Duration `json:"wall_ns"`
	CPU       time.Duration `json:"cpu_ns"`          // of the process; 0 where the system does not tell
	Stop      time.Duration `json:"longest_stop_ns"` // of the world; upper end of the histogram's bucket
	Delay     time.Duration `json:"worst_delay_ns"`  // of a goroutine that sleeps
	Allocated int64         `json:"allocated_bytes"` // on the Go heap
	Memory    int64         `json:"memory_bytes"`    // by which resident memory grew at most; 0 where that was not measured
	Peak      int64         `json:"peak_bytes"`      // resident memory at its most; 0 where that was not measured
	Seen      int           `json:"seen"`            // goroutines; -1: the method does not count them
	Existing  int           `json:"existing"`        // goroutines before the look
}

// A meter measures one look at a time.
type meter struct {
	probe   *probe
	memory  bool // measure Memory, for which the heap's free pages are given back each time
	samples [2]metrics.Sample
	stops   []uint64
	settled int // goroutines when nothing is measured
}

// newMeter is called when nothing runs but what is looked at.
func newMeter(memory bool) *meter {
	m := &meter{probe: startProbe(), memory: memory}
	m.samples[0].Name = "/gc/heap/allocs:bytes"
	m.samples[1].Name = "/sched/pauses/total/other:seconds"
	m.settled = runtime.NumGoroutine()
	return m
}

func (m *meter) measure(look func() (int, error)) (sample, error) {
	m.settle()
	s := sample{Existing: runtime.NumGoroutine()}
	resident := m.resetPeak()
	allocated := m.read()
	m.probe.reset()
	cpu := processCPU()
	began := time.Now()
	seen, err := look()
	s.Wall = time.Since(began)
	s.CPU = processCPU() - cpu
	s.Delay = m.probe.worstDelay()
	s.Stop, s.Allocated = m.longestStop(), int64(m.allocated()-allocated)
	s.Seen = seen
	if m.memory {
		s.Peak = peakMemory()
		s.Memory = s.Peak - resident
	}
	return s, err
}

// settle lets each look begin alike: without the garbage of the one before it,
// and without its goroutines, which may end a moment late.
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

// read remembers the stops so far and returns the bytes allocated so far.
func (m *meter) read() uint64 {
	metrics.Read(m.samples[:])
	m.stops = append(m.stops[:0], m.samples[1].Value.Float64Histogram().Counts...)
	return m.samples[0].Value.Uint64()
}

func (m *meter) allocated() uint64 { return m.samples[0].Value.Uint64() }

// longestStop reads the metrics again and returns the upper end of the highest
// bucket that a stop has been added to.
func (m *meter) longestStop() time.Duration {
	metrics.Read(m.samples[:])
	h := m.samples[1].Value.Float64Histogram()
	for i, n := range slices.Backward(h.Counts) {
		if n == m.stops[i] {
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

func (m *meter) resetPeak() int64 {
	if !m.memory {
		return 0
	}
	resetPeakMemory()
	return peakMemory()
}

// A probe is a goroutine that sleeps and notes how late it wakes: what a look
// does to the response times of a service.
type probe struct {
	worst atomic.Int64
	naps  atomic.Int64
}

const nap = 200 * time.Microsecond

func startProbe() *probe {
	p := &probe{}
	go p.run()
	return p
}

func (p *probe) run() {
	for {
		began := time.Now()
		time.Sleep(nap)
		if late := int64(time.Since(began) - nap); late > p.worst.Load() {
			p.worst.Store(late)
		}
		p.naps.Add(1)
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
