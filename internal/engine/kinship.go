// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"
	"strings"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// oneCall reports whether the goroutines of two findings wait in one call of the
// program, along different paths or at different depths: at the same line, or in the
// same call of a library. Some requests wait for the answer of a server, and others
// for a place in its queue.
func oneCall(f, g *detectors.Finding) bool {
	if f.Stack.ID == g.Stack.ID {
		return false // in another state
	}
	if a, b := f.Stack.User(), g.Stack.User(); a == b && ofProgram(a) {
		return f.State == g.State && f.Stack.Entry().Function == g.Stack.Entry().Function
	}
	return sameLibraryCall(f.Stack.Visible(), g.Stack.Visible())
}

// sameLibraryCall reports whether two stacks have their innermost frame of the
// program in common with all that is around it, and the function that this calls.
func sameLibraryCall(a, b []goroutine.Frame) bool {
	a, b = toProgram(a), toProgram(b)
	return len(a) > 1 && len(b) > 1 && slices.Equal(a[1:], b[1:]) && a[0].Function == b[0].Function
}

// toProgram returns the innermost frame of the program and all around it, and
// before these the frame that it calls; nil when the stack has no such two.
func toProgram(frames []goroutine.Frame) []goroutine.Frame {
	i := slices.IndexFunc(frames, ofProgram)
	if i < 1 {
		return nil
	}
	return frames[i-1:]
}

// ofProgram reports whether a frame is of the program's own module, as far as its
// file shows: neither of the standard library nor of a module with a version.
func ofProgram(f goroutine.Frame) bool {
	return !f.Standard() && !strings.Contains(f.File, "@v") && !strings.Contains(f.File, "/vendor/")
}

// related reports whether the code shows that the goroutines of two findings have
// to do with each other: one go statement made both, or goroutines of one made the
// others.
func related(f, g *detectors.Finding) bool {
	return ofProgram(f.CreatedBy) && f.CreatedBy.Function != "" && f.CreatedBy == g.CreatedBy || made(f, g) || made(g, f)
}

// made reports whether the go statement of g is in a function in which goroutines of
// f are, or g runs a function that is written within such a one. A function of the
// standard library does not count: the loop of a server starts whatever there is.
func made(f, g *detectors.Finding) bool {
	entry := starter(g.Stack)
	return slices.ContainsFunc(f.Stack.Frames, func(frame goroutine.Frame) bool {
		return !frame.Standard() && (frame.Function == g.CreatedBy.Function || isWithin(entry, frame.Function))
	})
}

// starter returns the outermost function of the program on a stack: what a library
// that runs functions of others was given, such as an errgroup. If there is none, it
// returns the entry function.
func starter(s *goroutine.Stack) string {
	for _, f := range slices.Backward(s.Visible()) {
		if ofProgram(f) {
			return f.Function
		}
	}
	return s.Entry().Function
}

// isWithin reports whether a function is one without a name that is written in
// another, by the names that the compiler gives: f.func1, and f.func1.2 within that.
func isWithin(function, outer string) bool {
	rest, ok := strings.CutPrefix(function, outer+".")
	return ok && (strings.HasPrefix(rest, "func") || rest != "" && '0' <= rest[0] && rest[0] <= '9')
}
