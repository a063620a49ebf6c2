// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutine

import (
	"encoding/hex"
	"hash/fnv"
	"io"
	"slices"
	"strconv"
	"strings"
)

// A Frame is one call on a stack.
type Frame struct {
	Function string // full name with import path, as in "net/http.(*conn).serve"
	File     string // full path as the compiler recorded it; may be empty
	Line     int    // 0 when unknown
}

// Standard reports whether the frame belongs to the standard library: whether
// its import path begins with an element that the standard library uses. A dot
// in the first element is no criterion: "module myservice" is a valid and common
// first line of a go.mod.
func (f Frame) Standard() bool {
	root, _, _ := strings.Cut(packageOf(f.Function), "/")
	return standardRoots[root]
}

// standardRoots holds the first elements of the standard library's import
// paths, as "go list std" prints them with Go 1.27. A test compares them.
var standardRoots = func() map[string]bool {
	m := make(map[string]bool)
	for root := range strings.FieldsSeq(`
		archive bufio bytes cmp compress container context crypto database
		debug embed encoding errors expvar flag fmt go hash html image index
		internal io iter log maps math mime net os path plugin reflect regexp
		runtime simd slices sort strconv strings structs sync syscall testing
		text time unicode unique unsafe uuid vendor weak`) {
		m[root] = true
	}
	return m
}()

// String formats the frame as function, file and line, on one line.
func (f Frame) String() string {
	if f.File == "" {
		return f.Function
	}
	return f.Function + " (" + f.File + ":" + strconv.Itoa(f.Line) + ")"
}

// packageOf returns the import path in a full function name, leaving out type
// arguments, which have import paths of their own.
func packageOf(function string) string {
	path, _, _ := strings.Cut(function, "[")
	base := strings.LastIndexByte(path, '/') + 1
	if i := strings.IndexByte(path[base:], '.'); i >= 0 {
		path = path[:base+i]
	}
	return path
}

// Package returns the import path of the package the frame's function is in.
func (f Frame) Package() string { return packageOf(f.Function) }

// A StackID names a stack: a hash of its function names without line numbers,
// as 16 hexadecimal digits. A stack has the same ID in every replica of a service
// and, until a function on it is renamed, in every build.
type StackID string

// OtherStacks is the ID of the group that sums up all stacks beyond a limit.
const OtherStacks StackID = "_OTHER"

// idDepth is how many frames a [StackID] covers, from the leaf on and without
// those of the runtime. A goroutine profile keeps at most 32 frames, of which up
// to seven are the runtime's: within this depth every source sees the same frames
// and so has the same ID.
const idDepth = 24

// A Stack is a call stack, leaf first, with the runtime's own frames where the
// source has them. Make one with [NewStack] and treat it as read-only.
type Stack struct {
	ID     StackID
	Frames []Frame
}

// NewStack returns the stack of these frames, leaf first. It keeps frames. A
// stack without frames is valid: a source may have no stack for a running
// goroutine.
func NewStack(frames []Frame) *Stack {
	return &Stack{ID: stackID(frames), Frames: frames}
}

// stackID leaves out what differs between sources and Go versions: the frames
// of package runtime, some of which a dump hides even in the middle of a stack,
// and the type arguments.
func stackID(frames []Frame) StackID {
	h := fnv.New64a()
	covered := 0
	for _, f := range frames {
		if packageOf(f.Function) == "runtime" {
			continue
		}
		if covered++; covered > idDepth {
			break
		}
		before, after := aroundTypeArguments(f.Function)
		io.WriteString(h, before)
		io.WriteString(h, after)
		h.Write([]byte{'\n'})
	}
	return StackID(hex.EncodeToString(h.Sum(nil)))
}

// aroundTypeArguments returns what is before the first type argument of a
// function name and what is after the last.
func aroundTypeArguments(function string) (before, after string) {
	first, last := strings.IndexByte(function, '['), strings.LastIndexByte(function, ']')
	if first < 0 || last < first {
		return function, ""
	}
	return function[:first+1], function[last:]
}

// trimRuntime cuts the runtime's frames at both ends, which other sources than
// a goroutine dump show.
func trimRuntime(frames []Frame) []Frame {
	for len(frames) > 0 && packageOf(frames[0].Function) == "runtime" {
		frames = frames[1:]
	}
	for len(frames) > 0 && packageOf(frames[len(frames)-1].Function) == "runtime" {
		frames = frames[:len(frames)-1]
	}
	return frames
}

// User returns the innermost frame outside the standard library: where the
// goroutine is in the code of the service, or of a library that it uses. For a
// stack without such a frame, such as that of net/http.(*conn).serve, it returns
// [Stack.Entry], which shows what the goroutine was started for.
func (s *Stack) User() Frame {
	for _, f := range s.Frames {
		if !f.Standard() {
			return f
		}
	}
	return s.Entry()
}

// Entry returns the outermost frame: the function that the go statement called,
// or main.main. It is the zero Frame for a stack without frames. A goroutine
// profile cuts stacks at 32 frames: then it is the outermost of those.
func (s *Stack) Entry() Frame {
	if visible := trimRuntime(s.Frames); len(visible) > 0 {
		return visible[len(visible)-1]
	}
	for _, f := range slices.Backward(s.Frames) {
		if f.Function != "runtime.goexit" { // is below every goroutine
			return f
		}
	}
	return Frame{}
}

// Visible returns the frames that a goroutine dump shows: all but the runtime's
// own at both ends. It returns those too when there are no others.
func (s *Stack) Visible() []Frame {
	if v := trimRuntime(s.Frames); len(v) > 0 {
		return v
	}
	return s.Frames
}

// Has reports whether any frame of s is a call of the named function.
func (s *Stack) Has(function string) bool {
	for _, f := range s.Frames {
		if f.Function == function {
			return true
		}
	}
	return false
}

// Text formats the visible frames as a goroutine dump does, in two lines a frame
// and without arguments. It returns at most max bytes of whole frames. If frames
// were left out, the last line is "...".
func (s *Stack) Text(max int) string {
	const cut = "...\n"
	var b strings.Builder
	for _, f := range s.Visible() {
		text := f.Function + "(...)\n"
		if f.File != "" {
			text += "\t" + f.File + ":" + strconv.Itoa(f.Line) + "\n"
		}
		if b.Len()+len(text)+len(cut) > max {
			if b.Len()+len(cut) <= max {
				b.WriteString(cut)
			}
			break
		}
		b.WriteString(text)
	}
	return b.String()
}
