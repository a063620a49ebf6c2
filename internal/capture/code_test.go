// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/goroutine"
)

// stackHere returns the stack of the caller, as a trace would show it, and has p see it.
func stackHere(p *program) *goroutine.Stack {
	pcs := make([]uintptr, 32)
	pcs = pcs[:runtime.Callers(2, pcs)]
	var s []goroutine.Frame
	for frames, more := runtime.CallersFrames(pcs), true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		s = append(s, goroutine.Frame{Function: f.Function})
		p.passed(f.Function, f.PC)
	}
	return goroutine.NewStack(s)
}

//go:noinline
func waits(p *program, ends <-chan int) *goroutine.Stack {
	s := stackHere(p)
	select {
	case <-ends:
	default:
	}
	return s
}

//go:noinline
func waitsForTimer(p *program, ends <-chan int) *goroutine.Stack {
	s := stackHere(p)
	select {
	case <-ends:
	case <-time.After(time.Hour):
	}
	return s
}

//go:noinline
func stackOfTicks(p *program) *goroutine.Stack {
	t := time.NewTicker(time.Hour)
	defer t.Stop()
	return stackHere(p)
}

//go:noinline
func limits(p *program, ends <-chan int) *goroutine.Stack {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	defer context.AfterFunc(ctx, func() {})()
	return waits(p, ends)
}

// inlined is inlined into what a go statement starts, of which stacks have no frame.
func inlined(p *program, told *sync.WaitGroup, s **goroutine.Stack) {
	*s = stackHere(p)
	told.Done()
}

// waitsWithin is inlined into a function that sets a timer for something else.
func waitsWithin(p *program, ends <-chan int) *goroutine.Stack {
	s := stackHere(p)
	<-ends
	return s
}

//go:noinline
func answers(p *program, ends <-chan int) *goroutine.Stack {
	defer time.AfterFunc(time.Hour, func() {}).Stop()
	return waitsWithin(p, ends)
}

func TestTimersOfAFunction(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("only code of amd64 is read")
	}
	closed := make(chan int)
	close(closed)
	p := newProgram()
	var spawned *goroutine.Stack
	var told sync.WaitGroup
	told.Add(1)
	go inlined(p, &told, &spawned)
	told.Wait()
	for name, tc := range map[string]struct {
		stack      *goroutine.Stack
		may, known bool
	}{
		"none":                         {waits(p, closed), false, true},
		"time.After":                   {waitsForTimer(p, closed), true, true},
		"a ticker":                     {stackOfTicks(p), true, true},
		"the deadline of a caller":     {limits(p, closed), false, false},
		"inlined into a go statement":  {spawned, false, true},
		"inlined beside a timer":       {answers(p, closed), false, false},
		"never seen in a trace window": {goroutine.NewStack([]goroutine.Frame{{Function: "main.other"}}), false, false},
	} {
		may, known := p.timers(tc.stack)
		assert.Equal(t, tc.may, may, name)
		assert.Equal(t, tc.known, known, name)
	}
}

func TestTheMemoryOfFunctionsIsBounded(t *testing.T) {
	p := newProgram()
	pc, _, _, _ := runtime.Caller(0)
	for i := range 3 * maxFunctions {
		p.passed(string(rune('a'+i%26))+time.Duration(i).String(), pc)
	}
	assert.Len(t, p.entries, maxFunctions)
	p.passed("main.bad", 1)
	_, known := p.timers(goroutine.NewStack([]goroutine.Frame{{Function: "main.bad"}}))
	assert.False(t, known)
}
