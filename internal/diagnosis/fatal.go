// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/words"
)

// fatal describes an error with which the runtime ends the process.
func (c *crash) fatal() {
	message := c.Crash.Message
	if c.goroutine != nil {
		c.Stack = origin(c.goroutine.Stack)
	}
	for _, n := range c.Crash.Notes {
		if n = strings.TrimPrefix(n, "runtime: "); !strings.HasPrefix(n, "sp=") {
			c.note("The runtime says: %s.", shown(n))
		}
	}
	c.Advice = advice(message, fatalAdvice)
	switch {
	case c.dump.asleep():
		c.tellAsleep()
		return
	case strings.HasPrefix(message, "no goroutines (main called runtime.Goexit)"):
		c.Count = 0
		c.Message = "The main goroutine called runtime.Goexit, and all others ended: nothing is left that can end the process."
		return
	case message == "stack overflow" || message == "stack size exceeds limit":
		c.overflow()
		return
	case strings.HasPrefix(message, "concurrent map"):
		c.Message = fmt.Sprintf("Data race on a map: %s, found in %s%s. The runtime ended the process.", message, c.subject(), c.at())
		c.others()
	case strings.Contains(message, "out of memory"), strings.Contains(message, "cannot allocate memory"):
		c.Message = fmt.Sprintf("The process ran out of memory (%s): an allocation of %s failed%s.", shown(message), c.subject(), c.at())
		if c.Total > 1 {
			c.note("There were %s.", goroutines(c.Total))
		}
	case message == "thread exhaustion", message == "newosproc":
		c.exhausted()
	case message == "fault", strings.HasPrefix(message, "unexpected signal during runtime execution"):
		c.Message = fmt.Sprintf("Memory fault in %s%s, which no recover can catch: %s.", c.subject(), c.at(), shown(cmp.Or(c.Crash.Signal, message)))
	default:
		c.Message = fmt.Sprintf("Fatal error of the runtime in %s%s: %s.", c.subject(), c.at(), shown(message))
	}
	if c.Crash.Signal != "" && !strings.Contains(c.Message, c.Crash.Signal) {
		c.note("The signal was %s.", c.Crash.Signal)
	}
	if c.Crash.InC {
		c.note("C code was running.")
	}
	c.created()
}

// asleep reports whether the runtime found that no goroutine can run again.
func (d *dump) asleep() bool {
	return d.Crash.Kind == parse.CrashFatal && strings.HasPrefix(d.Crash.Message, "all goroutines are asleep")
}

// tellAsleep describes a deadlock that the runtime has found.
func (c *crash) tellAsleep() {
	c.Count, c.IDs, c.State = c.Total, nil, ""
	c.Advice = "Find which of these should have been woken, and the path on which what wakes it returned without doing so."
	if c.Total == 1 && c.Missing == 0 && c.goroutine != nil {
		c.tellLastAsleep(c.goroutine)
		return
	}
	c.Message = fmt.Sprintf("Deadlock: all %s of the process are blocked; the runtime found that none can ever run again.", goroutines(c.Total))
	for i := range c.Groups {
		g := &c.Groups[i]
		if len(c.Participants) == detectors.MaxParticipants {
			break
		}
		note := "needs another goroutine to " + whatWakes(g.State)
		if g.State.Never() {
			note = "nothing can ever wake it"
		}
		c.Participants = append(c.Participants, detectors.Participant{
			Role: detectors.RoleWaiter, Stack: g.Stack, State: g.State, Count: g.Count, IDs: g.IDs, CreatedBy: g.CreatedBy, Note: note,
		})
		c.IDs = append(c.IDs, g.IDs...)
	}
	slices.Sort(c.IDs)
	c.IDs = c.IDs[:min(len(c.IDs), goroutine.MaxIDs)]
}

// tellLastAsleep describes a deadlock of the only goroutine that is left.
func (c *crash) tellLastAsleep(g *parse.Detail) {
	c.IDs, c.State, c.Stack = []uint64{g.ID}, g.State, g.Stack
	c.Message = fmt.Sprintf("Deadlock: %s waits in %s at %s, and no other goroutine is left that could %s.", c.subject(), g.State, where(g.Stack), whatWakes(g.State))
	if g.State.Never() {
		c.Message = fmt.Sprintf("Deadlock: %s waits in %s at %s, which nothing can ever end, and no other goroutine is left.", c.subject(), g.State, where(g.Stack))
	}
	c.Advice = detectors.Explain(g.Stack, g.State).Advice
}

// whatWakes says what another goroutine must do to end a wait.
func whatWakes(s goroutine.State) string {
	switch s {
	case goroutine.ChanSend:
		return "receive"
	case goroutine.ChanReceive:
		return "send or close the channel"
	case goroutine.Select:
		return "serve one of its cases"
	case goroutine.WaitGroupWait:
		return "call Done"
	case goroutine.CondWait:
		return "signal"
	}
	if s.Lock() {
		return "unlock"
	}
	return "wake it"
}

// overflow describes unbounded recursion by the functions that repeat.
func (c *crash) overflow() {
	c.Message = fmt.Sprintf("Stack overflow in %s%s: most likely unbounded recursion.", c.subject(), c.at())
	c.Advice = "Find the case that should end the recursion. A String, Error or MarshalJSON method that formats its own receiver is a common one."
	if c.goroutine == nil {
		return
	}
	if cycle := recursion(c.goroutine.Stack); len(cycle) > 0 {
		c.Message = fmt.Sprintf("Stack overflow in %s: most likely unbounded recursion through %s.", c.subject(), strings.Join(cycle, ", "))
	}
	if n := c.goroutine.Elided; n > 0 {
		c.note("The dump leaves out %d frames.", n)
	}
	c.created()
}

// maxCycle is how many functions of a recursion are named, and leastRepeats how often a
// function of it is on the stack.
const (
	maxCycle     = 6
	leastRepeats = 3
)

// recursion returns the functions that repeat on a stack, from the leaf on: those of the
// program if there are any.
func recursion(s *goroutine.Stack) []string {
	times := make(map[string]int)
	var own, all []string
	for _, f := range s.Frames {
		times[f.Function]++
		if times[f.Function] != leastRepeats || inRuntime(f) {
			continue
		}
		all = append(all, f.Function)
		if !f.Standard() {
			own = append(own, f.Function)
		}
	}
	if len(own) == 0 {
		own = all
	}
	if user := s.User(); len(own) == 0 && user.Function != "" {
		own = []string{user.Function}
	}
	return own[:min(len(own), maxCycle)]
}

// others names goroutines that were using a map at the same time, or that were in the
// same function.
func (c *crash) others() {
	var at goroutine.Frame
	if c.goroutine != nil {
		at = c.Stack.User()
	}
	n := 0
	for i := range c.Goroutines {
		g := &c.Goroutines[i]
		if g.ID == c.Crash.Goroutine || g.State.Blocked() || n == 3 {
			continue
		}
		if usesMap(g.Stack) || g.Stack.Has(at.Function) {
			n++
			c.note("Goroutine %d was at %s (%s) at the same time.", g.ID, where(g.Stack), g.State)
		}
	}
	if n == 0 {
		c.note("The dump does not show the other goroutine: it has left the map, or its stack was not available while it ran.")
	}
}

func usesMap(s *goroutine.Stack) bool {
	for _, f := range s.Frames {
		if !inRuntime(f) {
			return false
		}
		if strings.HasPrefix(f.Function, "internal/runtime/maps.") || strings.HasPrefix(f.Function, "runtime.map") {
			return true
		}
	}
	return false
}

// exhausted describes a process that got no more threads, by what holds them.
func (c *crash) exhausted() {
	c.Message = "The process needed more threads than its limit."
	if c.Crash.Message == "newosproc" {
		c.Message = "The operating system refused another thread to the process."
	}
	for i := range c.Groups {
		g := &c.Groups[i]
		if g.State == goroutine.Syscall {
			c.Message = strings.TrimSuffix(c.Message, ".") + fmt.Sprintf(": %s %s in a system call or in C at %s.", goroutines(g.Count), words.Verb(g.Count, "is", "are"), where(g.Stack))
			c.Stack, c.State, c.Count, c.IDs, c.CreatedBy = g.Stack, g.State, g.Count, g.IDs, g.CreatedBy
			return
		}
	}
}
