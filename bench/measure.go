package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync/atomic"
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// A sample is what one look cost.
type sample struct {
	Wall      time.Duration `json:"wall_ns"`
	CPU       time.Duration `json:"cpu_ns"`          // of the process; 0 where the system does not tell
	Stop      time.Duration `json:"longest_stop_ns"` // of the world; upper end of the histogram's bucket
	Delay     time.Duration `json:"worst_delay_ns"`  // of a goroutine that sleeps
	Allocated int64         `json:"allocated_bytes"` // on the Go heap
	Objects   int64         `json:"allocated_objects"`
	Memory    int64         `json:"memory_bytes"` // by which resident memory grew at most; 0 where that was not measured
	Peak      int64         `json:"peak_bytes"`   // resident memory at its most; 0 where that was not measured
	Seen      int           `json:"seen"`         // goroutines; -1: the method does not count them. Of a reading, series
	Existing  int           `json:"existing"`     // goroutines before the look
}

// mean returns what one of n equal looks cost. The longest stop and the worst
// delay are those of all of them.
func (s sample) mean(n int) sample {
	s.Wall /= time.Duration(n)
	s.CPU /= time.Duration(n)
	s.Allocated /= int64(n)
	s.Objects /= int64(n)
	return s
}

// A meter measures one look at a time.
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

// newMeter is called when nothing runs but what is looked at.
func newMeter(memory bool) *meter {
	m := &meter{probe: startProbe(), memory: memory}
	for i, name := range figures {
		m.samples[i].Name = name
	}
	m.settled = runtime.NumGoroutine()
	return m
}

// measure takes one look. Its stops of the world are those that are not for
// garbage collection, and those as well when the look collects garbage itself.
func (m *meter) measure(look func() (int, error), collects bool) (sample, error) {
	m.settle()
	s := sample{Existing: runtime.NumGoroutine()}
	resident := m.resetPeak()
	bytes, count := m.begin()
	m.probe.reset()
	cpu := lab.ProcessCPU()
	began := time.Now()
	seen, err := look()
	s.Wall = time.Since(began)
	s.CPU = lab.ProcessCPU() - cpu
	s.Delay = m.probe.worstDelay()
	metrics.Read(m.samples[:])
	s.Stop = m.longestStop(stopOther)
	if collects {
		s.Stop = max(s.Stop, m.longestStop(stopGC))
	}
	s.Allocated, s.Objects = m.used(bytesUsed)-bytes, m.used(objects)-count
	s.Seen = seen
	if m.memory {
		s.Peak, _ = lab.ResidentMemory()
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

func (m *meter) resetPeak() int64 {
	if !m.memory {
		return 0
	}
	lab.ResetPeakMemory()
	peak, _ := lab.ResidentMemory()
	return peak
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
