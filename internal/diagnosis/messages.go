// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"regexp"
	"strings"

	"github.com/otelgoroutine/go/internal/parse"
)

// A rule is what to do about messages that begin with a text.
type rule struct{ start, advice string }

func advice(message string, rules []rule) string {
	for _, r := range rules {
		if strings.Contains(message, r.start) {
			return r.advice
		}
	}
	return ""
}

// panicAdvice is about the panics that the runtime and package sync raise.
var panicAdvice = []rule{
	{"nil pointer dereference", "Find which pointer, map element, interface or function on this line is nil, and the path that left it so: an ignored error, or a field that is set later."},
	{"assignment to entry in nil map", "Make the map before the first write; a map field of a struct literal is nil until then."},
	{"send on closed channel", "Close a channel only on the sending side, after the last send; with several senders, close it once all have ended."},
	{"close of closed channel", "Close a channel in one place only, or guard it with sync.Once."},
	{"close of nil channel", "Make the channel before it is closed."},
	{"index out of range", "Check the length before the index; the message has both."},
	{"cannot convert slice with length", "Check the length before the conversion to an array; the message has both."},
	{"negative shift amount", "Check the number of the shift, or give it an unsigned type."},
	{"slice bounds out of range", "Check the length before slicing; the message has both."},
	{"integer divide by zero", "Check the divisor."},
	{"interface conversion", "Use the two-value form of the type assertion, and handle the other type."},
	{"negative WaitGroup counter", "There is one Done more than Add: call Add before the go statement, and Done once in each goroutine."},
	{"WaitGroup is reused before", "Do not call Add again until all calls of Wait have returned."},
	{"WaitGroup misuse", "Call Add before the goroutines start, not within them."},
	{"makeslice: len out of range", "Check the length before the slice is made: it is negative or too large."},
	{"comparing uncomparable type", "Two interface values were compared whose type cannot be compared, such as a slice."},
	{"panic called with nil argument", "Give panic a value that says what is wrong."},
	{"hash of unhashable type", "The key of the map, or what is compared, has a type that cannot be compared, such as a slice."},
}

var fatalAdvice = []rule{
	{"main called runtime.Goexit", "Return from main, or call os.Exit, instead of runtime.Goexit (testing's FailNow and SkipNow call it)."},
	{"unexpected signal during runtime execution", "Look for C code, package unsafe and assembly: memory of the runtime was overwritten, or C code failed."},
	{"panic while printing panic value", "The Error or String method of what was given to panic panicked itself."},
	{"fault", "The pointer was not nil but wrong: look for package unsafe, for memory that is mapped from a file that was cut, for C, and for data races."},
	{"concurrent map", "Guard the map with a mutex, on reads as well, or use sync.Map. The race detector (go run -race) shows both sides."},
	{"unlock of unlocked", "Find the path that unlocks twice or without having locked: a deferred Unlock beside a direct one is a common one."},
	{"Unlock of unlocked", "Find the path that unlocks twice or without having locked, or that mixes RLock with Unlock."},
	{"out of memory", "A heap profile shows what holds the memory. If there are many goroutines here, their number is the leak."},
	{"cannot allocate memory", "A heap profile shows what holds the memory. If there are many goroutines here, their number is the leak."},
	{"newosproc", "Limit how many goroutines are in blocking system calls or in C at the same time, or raise the limit of processes (ulimit -u, pids of the cgroup)."},
	{"thread exhaustion", "Limit how many goroutines are in blocking system calls or in C at the same time."},
	{"found bad pointer in Go heap", "Look for package unsafe and cgo, and for data races: something wrote an address that is none."},
	{"checkptr", "The conversion of an unsafe.Pointer on this line breaks the rules of package unsafe."},
	{"bad g->status in ready", "A goroutine that the leak proof took for leaked was woken; write no goroutineleak profile in this program."},
}

// maxShown is how many bytes of a message are shown.
const maxShown = 200

var address = regexp.MustCompile(`0x[0-9a-fA-F]{5,}`)

// shown returns the first line of a message, without addresses.
func shown(message string) string {
	line, _, more := strings.Cut(strings.TrimSpace(message), "\n")
	line = address.ReplaceAllString(line, "0x…")
	if len(line) > maxShown {
		line, more = strings.ToValidUTF8(line[:maxShown], ""), true
	}
	line = strings.TrimRight(line, ". ")
	if more {
		line += " …"
	}
	return line
}

// ofTheRuntime are how messages begin that the runtime and the standard library make of
// types and numbers, without data of the program.
var ofTheRuntime = []string{
	"runtime error: ", "interface conversion: ", "assignment to entry in nil map", "send on closed channel", "close of closed channel", "close of nil channel",
	"panic called with nil argument", "sync: negative WaitGroup counter", "sync: WaitGroup ", "sync/atomic: ", "reflect: call of ", "test timed out after ",
}

// hidden is what is shown in place of a message of the program.
const hidden = "(a message of the program; --values shows it)"

// Private returns details in which messages that a program gave to panic are replaced,
// because they may hold its data. What the runtime itself says is kept.
func Private(d *parse.Details) *parse.Details {
	if d == nil || d.Crash.Kind != parse.CrashPanic && d.Crash.Kind != parse.CrashRecorded {
		return d
	}
	p := *d
	p.Crash.Message = private(d.Crash.Message)
	p.Crash.Recovered = nil
	for _, m := range d.Crash.Recovered {
		p.Crash.Recovered = append(p.Crash.Recovered, private(m))
	}
	return &p
}

func private(message string) string {
	for _, start := range ofTheRuntime {
		if strings.HasPrefix(message, start) {
			return message
		}
	}
	return hidden
}
