// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/DataDog/gostackparse"
	"github.com/google/pprof/profile"
	"github.com/maruel/panicparse/v2/stack"
	"golang.org/x/exp/trace"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// profiled returns what counts the goroutines in what a profile writes. A buffer
// takes everything.
func profiled(name string, debug int, count func(*bytes.Buffer) (int, error)) func() (int, error) {
	return func() (int, error) {
		var b bytes.Buffer
		if err := pprof.Lookup(name).WriteTo(&b, debug); err != nil {
			return 0, err
		}
		return count(&b)
	}
}

func countProfile(data *bytes.Buffer) (seen int, err error) {
	p, err := profile.Parse(data)
	if err != nil {
		return 0, err
	}
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

// countText counts what was parsed. That the dump is cut off where it gets too
// long is not an error of pprof's; the goroutine at the cut is one of
// gostackparse's.
func countText(dump *bytes.Buffer) (int, error) {
	goroutines, _ := gostackparse.Parse(dump)
	return len(goroutines), nil
}

// countPanics counts what was parsed, without the names for arguments and the
// search for source files that are panicparse's default. It stops at what it
// does not know and can then be called for the rest.
func countPanics(dump *bytes.Buffer) (seen int, err error) {
	for rest := io.Reader(dump); ; {
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

func (r *recorder) take() (int, error) {
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

// countWithExp reads a trace with x/exp/trace and returns how many of the
// program's goroutines exist at its end. It aggregates nothing: what that
// would cost comes on top.
func countWithExp(from io.Reader) (int, error) {
	r, err := trace.NewReader(from)
	if err != nil {
		return 0, err
	}
	programs, systems := make(map[trace.GoID]bool), make(map[trace.GoID]bool)
	for {
		e, err := r.ReadEvent()
		if errors.Is(err, io.EOF) {
			return len(programs), nil
		}
		if err != nil {
			return 0, err
		}
		if e.Kind() != trace.EventStateTransition || e.StateTransition().Resource.Kind != trace.ResourceGoroutine {
			continue
		}
		t := e.StateTransition()
		id := t.Resource.Goroutine()
		switch _, to := t.Goroutine(); {
		case to == trace.GoNotExist:
			delete(programs, id)
			delete(systems, id)
		case systems[id] || systemStack(t.Stack):
			delete(programs, id)
			systems[id] = true
		default:
			programs[id] = true
		}
	}
}

// systemStack reports whether a goroutine is the runtime's or the tracer's, by
// its outermost frame.
func systemStack(s trace.Stack) bool {
	entry := ""
	for f := range s.Frames() {
		entry = f.Func
	}
	return entry != "runtime.main" && strings.HasPrefix(entry, "runtime.") ||
		strings.HasPrefix(entry, "runtime/trace.")
}
