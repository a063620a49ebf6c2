// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"runtime"
	"sync"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/lockcode"
)

// codeOfStacks returns a reader of the functions that are on the stack of any
// goroutine.
func codeOfStacks() *lockcode.Reader { return lockcode.NewReader(entries()) }

// entries returns the entry address of every function that has a frame on the
// stack of a goroutine. A dump has only their names.
func entries() map[string]uintptr {
	records := make([]runtime.StackRecord, runtime.NumGoroutine()+100)
	n, _ := runtime.GoroutineProfile(records)
	found := make(map[string]uintptr)
	for i := range records[:min(n, len(records))] {
		frames := runtime.CallersFrames(records[i].Stack())
		for more := true; more; {
			var f runtime.Frame
			if f, more = frames.Next(); f.Func != nil { // not inlined
				found[f.Function] = f.Entry
			}
		}
	}
	return found
}

// own is the code of this process: there is one, and it does not change.
var own = newProgram()

// maxFunctions is how many functions of the program are remembered by name.
const maxFunctions = 1 << 12

// A program knows where the functions are that trace windows have shown on stacks.
// It is safe for concurrent use.
type program struct {
	mu      sync.Mutex
	entries map[string]uintptr // of functions that are inlined: of one that has their code
	holders map[string]string  // the name of the function with that entry
	code    *lockcode.Reader
}

func newProgram() *program {
	return &program{entries: make(map[string]uintptr), holders: make(map[string]string), code: lockcode.NewReader(nil)}
}

// passed notes the entry of a function, by the address of an instruction in it.
func (p *program) passed(function string, pc uintptr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holders[function] == function || p.entries[function] == 0 && len(p.entries) >= maxFunctions {
		return
	}
	if c := p.code.Call(pc); c.Entry != 0 {
		p.entries[function], p.holders[function] = c.Entry, c.Function
	}
}

// timers answers [Timers].
func (p *program) timers(s *goroutine.Stack) (may, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	user, past := s.User(), false
	for _, f := range s.Visible() {
		switch sets, read := p.code.SetsTimer(p.entries[f.Function]); {
		case !read, sets && past, sets && p.holders[f.Function] != f.Function && s.Has(p.holders[f.Function]):
			return false, false // the timer may be one of the caller, with whose code this function's is mixed
		case sets:
			return true, true
		}
		past = past || f == user
	}
	return false, past
}

// Timers reports whether the function in which goroutines with this stack wait, or a
// function of the standard library that it calls, sets a timer. known is false if a
// caller sets one, if the code cannot be read, or if no trace window has shown the
// stack.
func Timers(s *goroutine.Stack) (may, known bool) { return own.timers(s) }
