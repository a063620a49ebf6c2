// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"fmt"
	"math"
	"path"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/words"
)

// where describes where a stack is: function, file and line.
func where(s *goroutine.Stack) string {
	u := s.User()
	if u.Function == "" {
		return "an unknown place"
	}
	return line(u)
}

// line describes a line of code: function, file and line.
func line(f goroutine.Frame) string {
	if f.File == "" {
		return f.Function
	}
	return fmt.Sprintf("%s (%s:%d)", f.Function, path.Base(f.File), f.Line)
}

func goroutines(n int) string { return plural(n, "goroutine") }

func plural(n int, noun string) string { return words.Plural(n, noun) }

func verb(n int, one, many string) string { return words.Verb(n, one, many) }

func perMinute(rate float64) string {
	if rate < 10 {
		return fmt.Sprintf("%.1f", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}

// oneIn bounds a probability by a power of ten.
func oneIn(chance float64) string {
	digits := min(12, math.Floor(-math.Log10(chance))) // chance may be 0
	if digits < 1 {
		return fmt.Sprintf("%.0f %%", 100*chance)
	}
	return fmt.Sprintf("below 1e-%.0f", digits)
}

const (
	adviceLock  = "Find the holder of the lock: a path that returns without unlocking, locks again, or waits for other goroutines while holding it. The saved profile or /debug/pprof/goroutine?debug=1 shows all stacks."
	adviceStall = "Find out which of these waits for which; the saved profile or /debug/pprof/goroutine?debug=1 shows all stacks."
)

// adviceToWake says what to do about goroutines in state s that are never woken.
func adviceToWake(s goroutine.State) string {
	switch s {
	case goroutine.ChanSend:
		return "Find what should receive here, and the path on which it returns without doing so: an error, a timeout, the first result of several."
	case goroutine.ChanReceive:
		return "Find what should send or close here, and the path on which it returns without doing so."
	case goroutine.Select:
		return "Find what should end this select, a context or a channel, and the path on which that is never cancelled or closed."
	case goroutine.CondWait:
		return "Find what should signal, and check whether the signal can come before the wait."
	case goroutine.WaitGroupWait:
		return "Check that each Add has its Done, also on errors and panics."
	}
	if s.Lock() {
		return adviceLock
	}
	return "Find what should wake the goroutines here."
}
