// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// crash returns why the process ended, or nothing.
func (d *dump) crash() []detectors.Finding {
	if d.Crash.Kind == parse.NoCrash {
		return nil
	}
	own := *d
	c := &crash{dump: &own, goroutine: d.of(d.Crash.Goroutine)}
	c.Finding = detectors.Finding{Detector: nameCrash, Confidence: detectors.Certain, Count: 1, Stack: goroutine.NewStack(nil)}
	if g := c.goroutine; g != nil {
		c.Stack, c.State, c.IDs, c.CreatedBy = g.Stack, g.State, []uint64{g.ID}, g.CreatedBy
	}
	switch d.Crash.Kind {
	case parse.CrashSignal:
		c.signal()
	case parse.CrashFatal:
		c.fatal()
	case parse.CrashRace:
		c.race()
	default:
		c.panicked()
	}
	c.limits()
	return []detectors.Finding{c.Finding}
}

// limits says what the dump does not show.
func (c *crash) limits() {
	g := c.goroutine
	switch {
	case c.Total == 0 && c.Crash.Kind != parse.CrashFatal:
		c.note("No goroutine is in the dump; GOTRACEBACK=all shows them.")
	case g == nil || c.Stack == nil || c.Crash.Kind == parse.CrashRace:
	case c.Total == 1 && c.Crash.Kind == parse.CrashPanic, c.Total == 1 && strings.HasPrefix(c.Crash.Message, "concurrent map"):
		c.note("Only the goroutine that crashed is in the dump; if there were others, GOTRACEBACK=all shows them.")
	}
	if g != nil && g.Cut {
		c.Confidence = min(c.Confidence, detectors.Suspected)
		c.note("The text of goroutine %d is cut off or damaged in the dump: where it began may be wrong.", g.ID)
	}
}

// A crash is the finding about the end of the process.
type crash struct {
	*dump
	detectors.Finding
	goroutine *parse.Detail // nil if it is not in the dump
}

func (c *crash) note(format string, args ...any) { note(&c.Finding, format, args...) }

// raisedByCode are signals that an instruction raises, and for which Go ends the process
// with a dump. SIGQUIT and SIGABRT come from outside, or from C.
var raisedByCode = []string{"SIGILL", "SIGTRAP", "SIGBUS", "SIGFPE", "SIGSEGV", "SIGSYS", "SIGSTKFLT", "SIGEMT"}

// signal describes a signal that ended the process, which is then all that it says.
func (c *crash) signal() {
	name, _, _ := strings.Cut(c.Crash.Message, ":")
	sent := name == "SIGQUIT" || c.Crash.HasSignalCode && c.Crash.SignalCode == 0
	raised := c.Crash.HasSignalCode && c.Crash.SignalCode > 0 && slices.Contains(raisedByCode, name)
	switch {
	case c.Crash.InC && !sent:
		c.Message = fmt.Sprintf("The process was ended by %s while %s ran C code%s.", c.Crash.Message, c.subject(), c.calledAt())
		c.Advice = "The fault is in C, or in what Go passed to it; a core dump (GOTRACEBACK=crash) has the stack of C."
		if name == "SIGABRT" && c.Crash.HasSignalCode && c.Crash.SignalCode < 0 {
			c.note("The process sent the signal to itself, as abort of C does after a failed assertion or a damaged heap; C usually says why on standard error.")
		}
		return
	case raised:
		c.Message = fmt.Sprintf("The process was ended by %s, which an instruction raised, in %s%s.", c.Crash.Message, c.subject(), c.at())
		c.Advice = "Go code that the compiler made does not raise this signal: the fault is in assembly or in C, in code that was damaged, or it is a breakpoint."
		return
	}
	c.Confidence, c.Count, c.IDs = detectors.Info, 0, nil
	c.Stack, c.State, c.CreatedBy = goroutine.NewStack(nil), "", goroutine.Frame{}
	switch {
	case name == "SIGQUIT":
		c.Message = "The process was ended by SIGQUIT, which asks for this dump: it did not crash by itself."
		c.note("go test sends SIGQUIT some time after its own time limit, and people and supervisors do so to a process that hangs.")
	case c.Crash.HasSignalCode && c.Crash.SignalCode > 0:
		c.Message = fmt.Sprintf("The process was ended by %s.", c.Crash.Message)
	default:
		c.Message = fmt.Sprintf("The process was ended by %s, which a process sent: it did not crash by itself.", c.Crash.Message)
	}
}

// calledAt names the Go function that called C.
func (c *crash) calledAt() string {
	if c.goroutine == nil {
		return ""
	}
	for _, f := range c.goroutine.Stack.Frames {
		if base := f.Function[strings.LastIndexByte(f.Function, '.')+1:]; !inRuntime(f) && !strings.HasPrefix(base, "_Cfunc_") && f.Package() != "" {
			return ", called at " + frameAt(f)
		}
	}
	return ""
}

// origin cuts a stack to where its first panic was raised: to the innermost frame outside
// the runtime, below all calls of panic, and below what the runtime calls for a fault.
func origin(s *goroutine.Stack) *goroutine.Stack {
	frames := s.Frames
	for i, f := range slices.Backward(frames) {
		if f.Function == "runtime.gopanic" {
			frames = frames[i+1:]
			break
		}
	}
	for len(frames) > 0 && inRuntime(frames[0]) {
		frames = frames[1:]
	}
	if len(frames) == 0 {
		return s
	}
	return goroutine.NewStack(frames)
}

func inRuntime(f goroutine.Frame) bool {
	p := f.Package()
	return p == "runtime" || strings.HasPrefix(p, "internal/runtime/")
}

// at returns where the goroutine was, as a clause.
func (c *crash) at() string {
	if c.goroutine == nil || len(c.goroutine.Stack.Frames) == 0 {
		return ""
	}
	return " at " + where(c.Stack)
}

// subject names the goroutine.
func (c *crash) subject() string {
	switch {
	case c.Crash.Goroutine == 0:
		return "a goroutine"
	case c.Crash.Goroutine == 1 && c.goroutine != nil && c.goroutine.Stack.Entry().Function == "main.main":
		return fmt.Sprintf("goroutine %d (main)", c.Crash.Goroutine)
	}
	return fmt.Sprintf("goroutine %d", c.Crash.Goroutine)
}

// panicked describes a panic.
func (c *crash) panicked() {
	if c.goroutine != nil {
		c.Stack = origin(c.goroutine.Stack)
	}
	message := c.Crash.Message
	if len(c.Crash.Recovered) > 0 {
		message = c.Crash.Recovered[0] // where it began
	}
	if c.single() {
		c.Crash.Message, c.Crash.Recovered = message, nil
	}
	if rest, ok := strings.CutPrefix(message, "test timed out after "); ok {
		c.timedOut(rest)
		return
	}
	c.Message = fmt.Sprintf("Panic in %s%s: %s.", c.subject(), c.at(), shown(message))
	if c.Crash.Kind == parse.CrashRecorded {
		c.Message = fmt.Sprintf("A panic in an HTTP handler, which net/http recovered, in %s%s: %s.", c.subject(), c.at(), shown(message))
		c.note("The process went on. What the handler had locked or taken is released only if a deferred call does it.")
	}
	c.raised()
	c.fault()
	for i, earlier := range c.Crash.Recovered {
		if i > 0 && shown(earlier) != shown(message) {
			c.note("A deferred function panicked in turn: %s.", shown(earlier))
		}
	}
	if last := shown(c.Crash.Message); len(c.Crash.Recovered) > 0 && last != shown(message) {
		c.note("A deferred function panicked in turn, which ended the process: %s.", last)
	} else if len(c.Crash.Recovered) > 0 {
		c.note("It was recovered and raised again.")
	}
	c.created()
	c.Advice = advice(message, panicAdvice)
}

// single reports whether there was one panic only, although its message looks like several:
// the stack shows no call of panic below another function.
func (c *crash) single() bool {
	if c.goroutine == nil || !c.goroutine.Whole() || len(c.Crash.Recovered) == 0 {
		return false
	}
	own := false
	for _, f := range c.goroutine.Stack.Frames {
		if own && f.Function == "runtime.gopanic" {
			return false
		}
		own = own || !inRuntime(f)
	}
	return true
}

// raised names the function of the standard library that raised a panic.
func (c *crash) raised() {
	if c.goroutine == nil || len(c.Stack.Frames) == 0 {
		return
	}
	if f := c.Stack.Frames[0]; f.Standard() && f != c.Stack.User() {
		c.note("It was raised in %s.", frameAt(f))
	}
}

// fault says what the address of a memory fault tells.
func (c *crash) fault() {
	switch {
	case !c.Crash.HasAddress || !strings.Contains(c.Crash.Message+strings.Join(c.Crash.Recovered, " "), "nil pointer dereference"):
	case c.Crash.Address == 0:
		c.note("The address was 0: the pointer is nil.")
	case c.Crash.Address < 4096:
		c.note("The address was %#x: the pointer is nil, and what was used is %d bytes into what it should point to.", c.Crash.Address, c.Crash.Address)
	default:
		c.note("The address was not near 0: the pointer was not nil but wrong, as after a data race or with package unsafe.")
	}
}

func (c *crash) created() {
	if c.CreatedBy.Function != "" {
		c.note("The goroutine was created by %s.", frameAt(c.CreatedBy))
	}
}

// race describes a report of the race detector.
func (c *crash) race() {
	c.Advice = "Guard what both use with one lock, or hand it over through a channel."
	c.Count, c.IDs, c.State, c.CreatedBy = 0, nil, "", goroutine.Frame{}
	var told []string
	for _, a := range c.Crash.Accesses {
		at, g := "an unknown place", c.of(a.Goroutine)
		if g != nil && len(g.Stack.Frames) > 0 {
			at = where(g.Stack)
		}
		told = append(told, fmt.Sprintf("%s by goroutine %d at %s", a.What, a.Goroutine, at))
		if g == nil || slices.Contains(c.IDs, a.Goroutine) {
			continue
		}
		c.Count++
		c.IDs = goroutine.LowestIDs(c.IDs, a.Goroutine)
		if len(c.Participants) < detectors.MaxParticipants {
			c.Participants = append(c.Participants, detectors.Participant{Role: detectors.RoleCause, Stack: g.Stack, Count: 1, IDs: []uint64{g.ID}, CreatedBy: g.CreatedBy, Note: a.What})
		}
	}
	c.Message = fmt.Sprintf("Data race: %s, without synchronization in between.", strings.Join(told, " and "))
	if len(told) == 0 {
		c.Message = "The race detector reported a data race."
	}
}
