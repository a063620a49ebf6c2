package main

import (
	"errors"
	"io"
	"strings"

	"golang.org/x/exp/trace"
)

// countWithExp reads a trace with x/exp/trace and returns how many of the
// program's goroutines exist at its end. It aggregates nothing: what that
// would cost comes on top.
func countWithExp(from io.Reader) (int, error) {
	r, err := trace.NewReader(from)
	if err != nil {
		return 0, err
	}
	live := make(map[trace.GoID]bool) // whether it is the program's
	for {
		e, err := r.ReadEvent()
		if errors.Is(err, io.EOF) {
			return countTrue(live), nil
		}
		if err != nil {
			return 0, err
		}
		if e.Kind() == trace.EventStateTransition {
			follow(live, e.StateTransition())
		}
	}
}

func follow(live map[trace.GoID]bool, t trace.StateTransition) {
	if t.Resource.Kind != trace.ResourceGoroutine {
		return
	}
	id := t.Resource.Goroutine()
	if _, to := t.Goroutine(); to == trace.GoNotExist {
		delete(live, id)
		return
	}
	if programs, known := live[id]; !known || programs {
		live[id] = !systemStack(t.Stack)
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

func countTrue(m map[trace.GoID]bool) (n int) {
	for _, v := range m {
		if v {
			n++
		}
	}
	return n
}
