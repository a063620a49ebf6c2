package main

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/DataDog/gostackparse"
	"github.com/google/pprof/profile"
	"github.com/maruel/panicparse/v2/stack"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

func lookWithPprof() (int, error) { return lookAtProfile("goroutine", 0) }

// lookWithPprofText reads the text that /debug/pprof/goroutine?debug=1 shows.
// profile.Parse knows it too.
func lookWithPprofText() (int, error) { return lookAtProfile("goroutine", 1) }

// lookForLeaks counts the goroutines that can never be woken. The runtime
// collects garbage to find them.
func lookForLeaks() (int, error) { return lookAtProfile("goroutineleak", 0) }

func lookAtProfile(name string, debug int) (int, error) {
	var buf bytes.Buffer
	if err := pprof.Lookup(name).WriteTo(&buf, debug); err != nil {
		return 0, err
	}
	p, err := profile.Parse(&buf)
	if err != nil {
		return 0, err
	}
	seen := 0
	for _, sample := range p.Sample {
		seen += int(sample.Value[0])
	}
	return seen, nil
}

func hasLeakProof() bool { return pprof.Lookup("goroutineleak") != nil }

const (
	// leakPerPair is what the leak profile takes at most for each pair of
	// goroutines that wait for one lock: the runtime follows the rest of the
	// queue from each of them.
	leakPerPair = 30 * time.Nanosecond
	// longestLeak is the longest that one leak profile may take.
	longestLeak = 10 * time.Second
)

// tooLong says why there is no leak profile of a scenario; "" when there is.
func tooLong(s scenario) string {
	pairs := time.Duration(s.Size) * time.Duration(s.Size)
	if s.Shape != lockShape || pairs*leakPerPair <= longestLeak {
		return ""
	}
	return fmt.Sprintf("its time grows with the square of the goroutines that wait for one lock; with %s of them it may take %s",
		lab.Thousands(s.Size), lab.Duration(pairs*leakPerPair))
}

// lookWithText counts what was parsed. That the dump is cut off where it gets
// too long is not an error of pprof's; the goroutine at the cut is one of
// gostackparse's.
func lookWithText() (int, error) {
	var buf bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&buf, 2); err != nil {
		return 0, err
	}
	goroutines, _ := gostackparse.Parse(&buf)
	return len(goroutines), nil
}

// lookWithPanicparse counts what was parsed, without the names for arguments
// and the search for source files that are panicparse's default. It stops at
// what it does not know and can then be called for the rest.
func lookWithPanicparse() (int, error) {
	var buf bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&buf, 2); err != nil {
		return 0, err
	}
	seen := 0
	for rest := io.Reader(&buf); ; {
		found, unread, err := stack.ScanSnapshot(rest, io.Discard, &stack.Opts{})
		if found != nil {
			seen += len(found.Goroutines)
		}
		if err != nil { // the end, or the goroutine at the cut
			return seen, nil
		}
		rest = io.MultiReader(bytes.NewReader(unread), rest)
	}
}

// A recorder is runtime.GoroutineProfile with a buffer.
type recorder struct{ records []runtime.StackRecord }

func (r *recorder) warm() error {
	_, err := r.look()
	return err
}

func (r *recorder) look() (int, error) {
	n := runtime.NumGoroutine()
	for {
		if room := n + n/10 + 16; len(r.records) < room {
			r.records = make([]runtime.StackRecord, room)
		}
		var ok bool
		if n, ok = runtime.GoroutineProfile(r.records); ok {
			return n, nil
		}
	}
}
