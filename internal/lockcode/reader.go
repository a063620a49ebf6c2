// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lockcode

import (
	"runtime"
	"sort"
	"strings"
	"unsafe"

	"github.com/otelgoroutine/go/goroutine"
)

const (
	// maxCode is how many bytes of one function are read, and maxTotal of all that are
	// on stacks; as many of those that they call.
	maxCode  = 32 << 10
	maxTotal = 512 << 10
	// maxSites is how many acquires of a function are told apart; each is a bit.
	maxSites = 64
	// maxDepth is how deep calls are followed to find out whether one returns with a
	// lock held, or releases one.
	maxDepth = 4
	// maxHeld is how many locks that a function holds at once are told apart.
	maxHeld = 4
	// maxPasses bounds how often the steps of a function are visited.
	maxPasses = 50
)

// A Reader reads functions of this process. It remembers what it has read, and
// reads a bounded amount of code. It is not safe for concurrent use.
type Reader struct {
	functions map[uintptr]*function
	entries   map[string]uintptr
	points    map[point]Point
	room      int // for functions on stacks
	around    int // for those that they call
}

// A point is the address to which a call returns, by the entry of its function.
type point struct{ entry, offset uintptr }

// NewReader returns a reader. entries has the entry addresses of functions by
// their names, because a dump has only names. It may be nil for a reader of which
// only [Reader.Call] and [Reader.Returns] are used.
func NewReader(entries map[string]uintptr) *Reader {
	return &Reader{functions: make(map[uintptr]*function), entries: entries, points: make(map[point]Point), room: maxTotal, around: maxTotal}
}

// A Site is where a function acquires a lock.
type Site struct {
	Frame   goroutine.Frame // the function that the program's source has the call in, and the line
	Kind    Kind
	Address uintptr // of a lock at package level; 0 when unknown
	// Argument is the word of the function's arguments, counted from 1, that the lock is
	// Offset bytes behind, whichever way the function has gone; 0 when that is unknown.
	// The function has not changed the word where it keeps it.
	Argument int
	Offset   int64
	PC       uintptr // of the acquire: tells sites apart
	Helper   bool    // the function calls another one that returns with the lock held
	Sure     bool    // at a point, the function has acquired the lock and not released it, whichever way it has gone
}

// A Point is what is known about a goroutine that has reached a point of a function
// and waits in a call there.
type Point struct {
	Read  bool   // the code could be read; nothing else is known if not
	Holds []Site // the locks that it may hold, the one acquired last first
	Hands bool   // it may release a lock that the function does not acquire
	Later Acts   // what it may still do in this function, and in those that it calls
	Again Acts   // what of it leads back to this point: it is in a loop with it
	Frees bool   // it may have released a lock that the function has not acquired
	Waits Site   // the lock whose acquire it is in; Kind is AnyKind if there is none
}

// At returns what is known about the point of a function to which a call returns.
// offset is from the entry of the function.
func (r *Reader) At(function string, offset uintptr) Point {
	return r.at(point{r.entries[function], offset})
}

// A Call is what the tables of the process say about the instruction of a call.
type Call struct {
	Function string  // of the program that the linker has made: the one that others may be inlined into
	Entry    uintptr // of that function; 0 when the tables do not have it
	Inlined  bool    // the source has the call in another function, which is inlined
}

// Call returns what is known about an instruction. Of the addresses that the runtime
// has for the frames of a stack, it is the one before that to which the call returns.
func (r *Reader) Call(pc uintptr) Call {
	fn := runtime.FuncForPC(pc)
	if fn == nil {
		return Call{}
	}
	c := Call{Function: fn.Name(), Entry: fn.Entry()}
	if outer := runtime.FuncForPC(c.Entry); outer != nil && outer.Name() != c.Function {
		c.Function, c.Inlined = outer.Name(), true
	}
	return c
}

// Returns returns what is known about the point to which a call returns.
func (r *Reader) Returns(c Call, address uintptr) Point {
	return r.at(point{c.Entry, address - c.Entry})
}

func (r *Reader) at(key point) Point {
	p, ok := r.points[key]
	if !ok {
		p = r.read(key)
		r.points[key] = p
	}
	return p
}

func (r *Reader) read(key point) Point {
	f := r.function(key.entry, &r.room)
	if f == nil || key.offset == 0 || !f.settle(r, 0) {
		return Point{}
	}
	return f.point(r, key.entry+key.offset)
}

// callee returns a function that another one calls, or nil if it cannot be read.
func (r *Reader) callee(entry uintptr) *function { return r.function(entry, &r.around) }

// function returns a function by its entry, or nil if it cannot be read.
func (r *Reader) function(entry uintptr, room *int) *function {
	if f, ok := r.functions[entry]; ok {
		return f
	}
	var f *function
	if fn := runtime.FuncForPC(entry); entry != 0 && fn != nil && fn.Entry() == entry {
		if size := sizeOf(entry); size <= maxCode && size <= *room {
			*room -= size
			f = newFunction(entry, size, fn.Name())
		}
	}
	r.functions[entry] = f
	return f
}

// sizeOf returns the size of a function, or more than maxCode.
func sizeOf(entry uintptr) int {
	return sort.Search(maxCode+1, func(n int) bool {
		f := runtime.FuncForPC(entry + uintptr(n))
		return f == nil || f.Entry() != entry
	})
}

// A function is the steps of one function.
type function struct {
	name    string
	entry   uintptr
	end     uintptr
	code    []byte
	steps   []step
	sites   []Site
	locks   []lock    // of each site
	defers  bool      // it defers calls
	timers  bool      // it calls a function that sets a timer
	inner   []uintptr // entries of its closures, and of the functions that the compiler made for deferred calls
	settled bool
	broken  bool    // it cannot be followed
	held    []held  // before each step
	leaves  verdict // whether it may return with a lock held
	frees   verdict // whether it may release a lock that it did not acquire
}

// A verdict is an answer that is being worked out.
type verdict uint8

const (
	unasked verdict = iota
	yes
	no
)

func newFunction(entry uintptr, size int, name string) *function {
	f := &function{name: name, entry: entry, end: entry + uintptr(size)}
	f.code = unsafe.Slice(*(**byte)(unsafe.Pointer(&entry)), size) // the code of a process does not move
	if !decode(f.code, entry, f.add) || f.broken || len(f.sites) > maxSites {
		return nil
	}
	return f
}

// add adds a step.
func (f *function) add(s step) {
	switch {
	case s.atomic != notAtomic:
		f.try(&s)
	case s.effect == direct:
		f.call(&s)
	case s.effect == nothing && s.flow == onward:
		f.address(s.target)
		return
	}
	if s.effect == nothing && s.flow == onward && s.does == 0 && s.atomic == notAtomic {
		return
	}
	if s.effect == acquire {
		f.acquired(&s)
	}
	f.steps = append(f.steps, s)
}

// acquired makes a step an acquire.
func (f *function) acquired(s *step) {
	s.effect = acquire
	s.site = f.addSite(Site{Frame: f.source(s.at), Kind: s.lock.kind, PC: s.at}, s.lock)
}

func (f *function) addSite(s Site, l lock) int {
	f.sites, f.locks = append(f.sites, s), append(f.locks, l)
	return len(f.sites) - 1
}

// try takes an atomic instruction, which is an attempt to lock if the tables assign
// it to one. What else atomic instructions are for follows from the calls behind
// them.
func (f *function) try(s *step) {
	name := strings.TrimPrefix(runtime.FuncForPC(s.at).Name(), "internal/")
	if c := known[name]; s.atomic == swap && c.effect == acquire && strings.Contains(name, ".Try") {
		s.effect, s.lock.kind, s.maybe = acquire, c.kind, true
		s.lock = s.lock.shift(-c.behind)
	}
}

// failed takes the call that follows when an inlined lock or unlock has not done
// with its atomic instruction, which is the last one in front of it.
func (f *function) failed(c called) bool {
	for i := len(f.steps) - 1; i >= 0; i-- {
		s := &f.steps[i]
		switch {
		case s.effect == direct || s.effect == indirect || s.effect == slow || s.flow == exit:
			return false
		case s.atomic != c.after || s.effect != nothing:
			continue
		}
		s.lock.kind = c.kind
		s.lock = s.lock.shift(-c.behind)
		if c.effect == release {
			s.effect = release
		} else {
			f.acquired(s)
		}
		return true
	}
	return false
}

// shift returns the lock of which an instruction works on a field.
func (l lock) shift(by int64) lock {
	l.offset, l.disp = l.offset+by, l.disp+by
	if l.address != 0 {
		l.address += uintptr(by)
	}
	return l
}

// call finds out which function is called.
func (f *function) call(s *step) {
	callee := runtime.FuncForPC(s.target)
	if callee == nil {
		return
	}
	name := callee.Name()
	c, ok := known[name]
	s.does = c.does
	if name == "runtime.deferreturn" {
		f.defers, s.defers = true, true
	}
	f.timers = f.timers || setsTimer[name]
	switch {
	case c.after != notAtomic:
		f.broken = !f.failed(c) || f.broken
		s.effect, s.lock = slow, lock{}
		return
	case c.effect != nothing:
		s.effect, s.lock.kind, s.maybe = c.effect, c.kind, strings.Contains(name, ".Try")
		return
	}
	s.lock = lock{}
	if ok || ofSync(name) || (goroutine.Frame{Function: name}).Standard() {
		s.effect = nothing
	}
	if kindOf(s.target) == noReturn {
		s.flow = stop
	}
}

// kindOf returns what matters of a function that is called.
func kindOf(callee uintptr) calleeKind {
	fn := runtime.FuncForPC(callee)
	if fn == nil {
		return ordinary
	}
	switch name := fn.Name(); {
	case strings.HasPrefix(name, "runtime.morestack"):
		return growth
	case ends[name], strings.HasPrefix(name, "runtime.panic"), strings.HasPrefix(name, "runtime.goPanic"):
		return noReturn
	}
	return ordinary
}

// ends are functions that do not return, beside those that panic.
var ends = map[string]bool{
	"runtime.gopanic": true, "runtime.throw": true, "runtime.fatal": true, "runtime.block": true, "runtime.goexit0": true,
}

// address takes an address that the function computes. That of a closure may be what
// it defers.
func (f *function) address(target uintptr) {
	if fn := runtime.FuncForPC(target); fn != nil && fn.Entry() == target && strings.HasPrefix(fn.Name(), f.name+".") {
		f.inner = append(f.inner, target)
	}
}

// source returns where the source has the call of a function of package sync that
// an instruction belongs to: the innermost outside of it of the functions that are
// inlined into each other there. If the tables do not tell, it is the line of an
// instruction in front of it.
func (f *function) source(at uintptr) goroutine.Frame {
	frames := runtime.CallersFrames([]uintptr{at + 1, f.entry + 1}) // of the last one, those that it is inlined into are not told
	for {
		frame, more := frames.Next()
		if !more {
			break
		}
		if !ofSync(frame.Function) {
			return goroutine.Frame{Function: frame.Function, File: frame.File, Line: frame.Line}
		}
	}
	for ; f.within(at); at-- {
		if fn := runtime.FuncForPC(at); fn != nil && !ofSync(fn.Name()) {
			file, line := fn.FileLine(at)
			return goroutine.Frame{Function: fn.Name(), File: file, Line: line}
		}
	}
	return goroutine.Frame{Function: f.name}
}

// index returns the first step at an address or behind it.
func (f *function) index(at uintptr) int {
	return sort.Search(len(f.steps), func(i int) bool { return f.steps[i].at >= at })
}

func (f *function) within(at uintptr) bool { return f.entry <= at && at < f.end }
