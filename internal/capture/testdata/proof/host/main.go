// Command host is a process that takes a leak proof of itself, with or without the
// guard of package capture, and then wakes its goroutines.
//
//	host scenario guarded|profiled|poor|bare [goroutines]
//
// It prints the outcome as one line of JSON. Then, if the process is still alive
// when the goroutines have run, it prints the line "survived".
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

// A report is the outcome of a proof.
type report struct {
	Base   goroutine.Source // of the snapshot that the prediction used
	Taken  bool
	Reason capture.Reason
	Error  string
	Groups map[string]int // proven goroutines by innermost user function
	Bare   int            // samples without a stack in the runtime's own profile
	CPU    time.Duration  // of the runtime's own profile, the lowest of several values
	Stop   time.Duration  // of the world, the shortest of several stops
}

func main() {
	n := 1
	if len(os.Args) > 3 {
		n, _ = strconv.Atoi(os.Args[3])
	}
	wake := scenarios[os.Args[1]](n)
	proof := proofs[os.Args[2]]
	go func() {
		proof()
		wake()
		fmt.Println("survived")
		os.Exit(0)
	}()
	select {} // as in main of many services
}

func print(r report) {
	line, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

var proofs = map[string]func(){
	"guarded": func() {
		c := newCapturer(capture.Budget{CPU: 1, Pause: 10 * time.Millisecond})
		for range 5 {
			take(c) // all but the first are traces
		}
		prove(c, take(c))
	},
	"profiled": func() {
		c := newCapturer(capture.Budget{CPU: 1, Pause: 10 * time.Millisecond})
		prove(c, take(c))
	},
	"poor": func() {
		c := newCapturer(capture.Budget{CPU: 0.005, Pause: time.Second})
		prove(c, take(c))
	},
	"bare": bare,
}

func newCapturer(b capture.Budget) *capture.Capturer {
	return capture.New(capture.Config{Budget: b, Tracing: true, LeakProof: true})
}

// take takes a snapshot as soon as the budget allows it.
func take(c *capture.Capturer) *goroutine.Snapshot {
	for {
		if s, _ := c.Take(); s != nil {
			return s
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// prove requests the proof.
func prove(c *capture.Capturer, base *goroutine.Snapshot) {
	r := report{Base: base.Source, Groups: make(map[string]int)}
	s, skip := c.Prove(base)
	if skip != nil {
		r.Reason, r.Error = skip.Reason, skip.Error()
	}
	if s != nil {
		r.Taken = true
		for i := range s.Groups {
			r.Groups[s.Groups[i].Stack.User().Function] += s.Groups[i].Count
		}
	}
	print(r)
}

// bare takes the runtime's own profile five times, because the machine may be
// busy.
func bare() {
	r := report{CPU: time.Hour, Stop: time.Hour}
	for range 5 {
		var buf bytes.Buffer
		before, began := stops(), cpuTime()
		if err := pprof.Lookup("goroutineleak").WriteTo(&buf, 0); err != nil {
			panic(err)
		}
		r.CPU, r.Stop = min(r.CPU, cpuTime()-began), min(r.Stop, longest(before, stops()))
		r.Bare = stackless(&buf)
	}
	print(r)
}

// stackless counts the samples of a profile that have no stack.
func stackless(r io.Reader) (n int) {
	p, err := profile.Parse(r)
	if err != nil {
		panic(err)
	}
	for _, s := range p.Sample {
		if len(s.Location) == 0 {
			n++
		}
	}
	return n
}

func stops() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(sample)
	return sample[0].Value.Float64Histogram()
}

// longest returns the longest stop between two readings, rounded down.
func longest(before, after *metrics.Float64Histogram) time.Duration {
	for i := len(after.Counts) - 1; i > 0; i-- {
		if after.Counts[i] > before.Counts[i] {
			return time.Duration(after.Buckets[i] * float64(time.Second))
		}
	}
	return 0
}

// awaitParked waits until n goroutines are parked below a function.
func awaitParked(n int, function string) {
	buf := make([]byte, 16<<20)
	for parked := 0; parked < n; {
		parked = 0
		for dump := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			header, stack, _ := strings.Cut(dump, "\n")
			if strings.Contains(stack, function+"(") && !strings.Contains(header, "[run") {
				parked++
			}
		}
	}
}
