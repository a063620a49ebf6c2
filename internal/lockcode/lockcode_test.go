// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lockcode

import (
	"maps"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type object struct {
	n     int
	mu    sync.Mutex
	other sync.Mutex
	rw    sync.RWMutex
	c     chan int
}

var global sync.Mutex

// wait is the call in which the functions below are when they are asked about.
//
//go:noinline
func wait() { runtime.Gosched() }

func unlocked(o *object) { o.mu.Lock(); o.n++; o.mu.Unlock(); wait() }
func holding(o *object)  { o.mu.Lock(); wait(); o.mu.Unlock() }
func deferred(o *object) { o.mu.Lock(); defer o.mu.Unlock(); wait() }
func inner(o *object) {
	o.mu.Lock()
	o.other.Lock()
	o.n++
	o.other.Unlock()
	wait()
	o.mu.Unlock()
}
func crossed(o *object)       { o.mu.Lock(); o.other.Lock(); o.mu.Unlock(); wait(); o.other.Unlock() }
func reads(o *object)         { o.rw.RLock(); wait(); o.rw.RUnlock() }
func hasRead(o *object)       { o.rw.RLock(); o.n++; o.rw.RUnlock(); wait() }
func writes(o *object)        { o.rw.Lock(); wait(); o.rw.Unlock() }
func hasWritten(o *object)    { o.rw.Lock(); o.n++; o.rw.Unlock(); wait() }
func globally(*object)        { global.Lock(); wait(); global.Unlock() }
func before(o *object)        { wait(); o.mu.Lock(); o.n++; o.mu.Unlock() }
func sends(o *object)         { wait(); o.c <- 1 }
func handsOver(o *object)     { wait(); o.mu.Unlock() }
func handsOverLate(o *object) { defer o.mu.Unlock(); wait() }

func early(o *object, bad bool) {
	o.mu.Lock()
	if bad {
		o.mu.Unlock()
		return
	}
	wait()
	o.mu.Unlock()
}

func loops(o *object) {
	for range o.c {
		o.mu.Lock()
		o.n++
		o.mu.Unlock()
		wait()
	}
}

func unlocksInLoop(o *object) {
	o.mu.Lock()
	for o.n < 5 {
		o.mu.Unlock()
		wait()
		o.mu.Lock()
	}
	o.mu.Unlock()
}

//go:noinline
func (o *object) begin() bool {
	o.mu.Lock()
	if o.n < 0 {
		o.mu.Unlock()
		return false
	}
	return true
}

//go:noinline
func (o *object) end() { o.n++; o.mu.Unlock() }

func transacts(o *object) { o.begin(); wait(); o.end() }

//go:noinline
func (o *object) forget() bool {
	o.mu.Lock()
	if o.n < 0 {
		return false
	}
	o.mu.Unlock()
	return true
}

// worksOn forgets, but has no way to release.
func worksOn(o *object) { o.forget(); wait() }

//go:noinline
func safely(o *object) { o.mu.Lock(); defer o.mu.Unlock(); o.n++ }

func callsSafely(o *object) { safely(o); wait() }

// at returns what is known about a function at its call of wait.
func at(t *testing.T, f any) Point {
	t.Helper()
	entry := reflect.ValueOf(f).Pointer()
	name := runtime.FuncForPC(entry).Name()
	r := NewReader(map[string]uintptr{name: entry})
	target := reflect.ValueOf(wait).Pointer()
	var offset uintptr
	fn := r.callee(entry)
	require.NotNil(t, fn, name)
	for _, s := range fn.steps {
		if s.effect == direct && s.target == target {
			offset = s.next - entry
		}
	}
	require.NotZero(t, offset, "%s does not call wait", name)
	p, c := r.At(name, offset), r.Call(entry+offset-1)
	assert.Equal(t, Call{Function: name, Entry: entry}, c)
	assert.Equal(t, p, r.Returns(c, entry+offset), "the same by the address")
	return p
}

func skipWhereNotRead(t *testing.T) {
	if !decode(nil, 0, func(step) {}) {
		t.Skip("code is not read here")
	}
}

func TestHolds(t *testing.T) {
	skipWhereNotRead(t)
	for name, tt := range map[string]struct {
		f     any
		holds []Kind
		hands bool
	}{
		"unlocked":           {unlocked, nil, false},
		"locked":             {holding, []Kind{Mutex}, false},
		"deferred":           {deferred, []Kind{Mutex}, false},
		"inner unlocked":     {inner, []Kind{Mutex}, false},
		"crossed":            {crossed, []Kind{Mutex}, false},
		"reads":              {reads, []Kind{Read}, false},
		"has read":           {hasRead, nil, false},
		"writes":             {writes, []Kind{Write}, false},
		"has written":        {hasWritten, nil, false},
		"global":             {globally, []Kind{Mutex}, false},
		"before":             {before, nil, false},
		"early return":       {early, []Kind{Mutex}, false},
		"loop":               {loops, nil, false},
		"unlocks in a loop":  {unlocksInLoop, nil, false},
		"transaction":        {transacts, []Kind{AnyKind}, false},
		"forgets":            {worksOn, nil, false},
		"calls safely":       {callsSafely, nil, false},
		"hands over":         {handsOver, nil, true},
		"hands over, defers": {handsOverLate, nil, true},
	} {
		p := at(t, tt.f)
		require.True(t, p.Read, name)
		var holds []Kind
		for _, s := range p.Holds {
			holds = append(holds, s.Kind)
			assert.NotZero(t, s.PC)
		}
		assert.Equal(t, tt.holds, holds, name)
		assert.Equal(t, tt.hands, p.Hands, name)
	}
}

func TestSites(t *testing.T) {
	skipWhereNotRead(t)
	assert.Equal(t, reflect.ValueOf(&global).Pointer(), at(t, globally).Holds[0].Address)
	assert.Equal(t, "github.com/otelgoroutine/go/internal/lockcode.holding", at(t, holding).Holds[0].Frame.Function)
	if at(t, holding).Holds[0].Offset == 0 {
		return // the race detector moves addresses from one register to another
	}
	s := at(t, crossed).Holds[0]
	if s.Argument == 0 {
		return // the race detector's calls hide which lock is released
	}
	assert.Equal(t, 1, s.Argument)
	assert.EqualValues(t, reflect.TypeFor[object]().Field(2).Offset, s.Offset, "the second lock is held")
	assert.EqualValues(t, reflect.TypeFor[object]().Field(3).Offset, at(t, reads).Holds[0].Offset)
}

// second locks the object of its second argument.
func second(_, o *object) { o.other.Lock(); wait(); o.other.Unlock() }

// lower locks the one of two objects that comes first by some order.
func lower(a, b *object) {
	if b.n < a.n {
		a, b = b, a
	}
	a.mu.Lock()
	wait()
	b.n++
	a.mu.Unlock()
}

// eitherGlobal locks one of two locks whose addresses the code has.
func eitherGlobal(o *object) {
	mu := &global
	if o.n > 0 {
		mu = &anotherGlobal
	}
	mu.Lock()
	wait()
	mu.Unlock()
}

var anotherGlobal sync.Mutex

// replaced has another object where the argument was.
func replaced(o *object, all map[int]*object) {
	o.n++
	for _, each := range all {
		o = each
		wait2()
	}
	o.mu.Lock()
	wait()
	o.mu.Unlock()
}

// fromField locks what an argument points to.
func fromField(l *linked) { l.next.mu.Lock(); wait(); l.next.mu.Unlock() }

type linked struct{ next *object }

// addressed lets others change the argument.
func addressed(o *object) {
	change(&o)
	o.mu.Lock()
	wait()
	o.mu.Unlock()
}

//go:noinline
func change(o **object) { *o = new(object) }

//go:noinline
func wait2() { runtime.Gosched() }

// afterANumber has an argument of less than a word in front of the object.
func afterANumber(_ bool, o *object) { o.mu.Lock(); wait(); o.mu.Unlock() }

type generic[T any] struct {
	_  T
	mu sync.Mutex
}

//go:noinline
func (g *generic[T]) holds(other *generic[T]) { other.mu.Lock(); wait(); other.mu.Unlock() }

// TestArgumentsOfGenericFunctions: a dump does not have the first.
func TestArgumentsOfGenericFunctions(t *testing.T) {
	skipWhereNotRead(t)
	new(generic[int]).holds(new(generic[int]))
	var entry uintptr
	for at := reflect.ValueOf(holding).Pointer(); entry == 0; at += uintptr(sizeOf(at)) { // the functions of this file are in one row
		fn := runtime.FuncForPC(at)
		require.NotNil(t, fn)
		if strings.HasSuffix(fn.Name(), ".(*generic[...]).holds") {
			entry = at
		}
	}
	f := NewReader(nil).callee(entry)
	require.NotNil(t, f)
	require.True(t, f.settle(NewReader(nil), 0))
	require.Len(t, f.sites, 1)
	assert.Zero(t, f.sites[0].Argument)
	assert.NotZero(t, f.locks[0].index, "it is known within the function")
}

// TestArguments has the argument whose object has the lock that is held. It is 0 where
// the lock may be another one's.
func TestArguments(t *testing.T) {
	skipWhereNotRead(t)
	if at(t, holding).Holds[0].Argument == 0 {
		return // the race detector's calls are in between
	}
	for name, tt := range map[string]struct {
		f    any
		want int
	}{
		"the first":            {holding, 1},
		"the first, deferred":  {deferred, 1},
		"the second":           {second, 2},
		"either":               {lower, 0},
		"a global one":         {globally, 0},
		"either global":        {eitherGlobal, 0},
		"replaced":             {replaced, 0},
		"from a field":         {fromField, 0},
		"changed by others":    {addressed, 0},
		"behind a small value": {afterANumber, 0},
	} {
		holds := at(t, tt.f).Holds
		require.Len(t, holds, 1, name)
		assert.Equal(t, tt.want, holds[0].Argument, name)
		assert.Equal(t, name == "a global one", holds[0].Address != 0, name)
	}
}

func sometimes(o *object) {
	if o.n > 0 {
		o.mu.Lock()
		defer o.mu.Unlock()
	}
	wait()
}

func tries(o *object) {
	_ = o.mu.TryLock()
	wait()
	o.mu.Unlock()
}

// keeps acquires a lock and leaves it to others to release it.
func keeps(o *object) { o.mu.Lock(); wait() }

// suspends releases what its caller holds for as long as it waits.
func suspends(o *object) { o.mu.Unlock(); wait(); o.mu.Lock() }

func releasesOne(a, b *object, first bool) {
	a.mu.Lock()
	b.other.Lock()
	if first {
		a.mu.Unlock()
	}
	wait()
	b.other.Unlock()
	if !first {
		a.mu.Unlock()
	}
}

// switches has many cases, for which the compiler makes a table of addresses.
func switches(o *object, n int) {
	o.mu.Lock()
	switch n {
	case 0:
		o.n += 7
	case 1:
		o.n *= 3
	case 2:
		o.n -= 5
	case 3:
		o.mu.Unlock()
		wait2()
		o.mu.Lock()
	case 4:
		o.n ^= 9
	case 5:
		o.n |= 4
	case 6:
		o.n &= 11
	case 7:
		o.n = -o.n
	case 8:
		o.n <<= 2
	}
	wait()
	o.mu.Unlock()
}

//go:noinline
func (o *object) unlockOther(p *linked) { p.next.other.Unlock() }

// mixes releases one of two locks, of which the code does not show which it is.
func mixes(o *object, p *linked) {
	o.mu.Lock()
	o.other.Lock()
	o.unlockOther(p)
	wait()
	o.mu.Unlock()
}

// foreign releases a lock that it has been handed, while it holds another one.
func foreign(o, handed *object) { o.mu.Lock(); handed.mu.Unlock(); wait(); o.mu.Unlock() }

// TestNotKnownWhichIsReleased must not rule out that it was the other one.
func TestNotKnownWhichIsReleased(t *testing.T) {
	skipWhereNotRead(t)
	holds := at(t, mixes).Holds
	require.NotEmpty(t, holds)
	for _, s := range holds {
		assert.Zero(t, s.Argument)
		assert.False(t, s.Sure)
	}
	if at(t, crossed).Holds[0].Argument == 0 {
		return // the race detector's calls hide which lock is released
	}
	holds = at(t, foreign).Holds
	require.Len(t, holds, 1)
	assert.Equal(t, 1, holds[0].Argument)
	assert.False(t, holds[0].Sure, "both arguments may be the same")
}

// TestSure has how many locks are held on every path to the call, of those that may be.
func TestSure(t *testing.T) {
	skipWhereNotRead(t)
	if at(t, crossed).Holds[0].Argument == 0 {
		return // the race detector's calls hide which lock is released
	}
	for name, tt := range map[string]struct {
		f          any
		sure, held int
	}{
		"held":                         {holding, 1, 1},
		"unlock is deferred":           {deferred, 1, 1},
		"for reading":                  {reads, 1, 1},
		"for writing":                  {writes, 1, 1},
		"another one released":         {inner, 1, 1},
		"the other one released":       {crossed, 1, 1},
		"unlock on an early return":    {early, 1, 1},
		"locked sometimes":             {sometimes, 0, 1},
		"tried":                        {tries, 0, 1},
		"left to others":               {keeps, 0, 1},
		"locked by a helper":           {transacts, 0, 1},
		"behind a table of jumps":      {switches, 0, 2},
		"one of two released at times": {releasesOne, 1, 2},
	} {
		all := make(map[uintptr]bool) // by site: there may be several ways to hold one
		for _, s := range at(t, tt.f).Holds {
			all[s.PC] = s.Sure
		}
		assert.Len(t, all, tt.held, name)
		maps.DeleteFunc(all, func(_ uintptr, sure bool) bool { return !sure })
		assert.Len(t, all, tt.sure, name)
	}
	assert.True(t, at(t, suspends).Frees)
	assert.False(t, at(t, holding).Frees)
}

func TestActs(t *testing.T) {
	skipWhereNotRead(t)
	assert.Equal(t, Sends, at(t, sends).Later)
	assert.Zero(t, at(t, sends).Again)
	assert.Equal(t, Receives, at(t, loops).Later)
	assert.Equal(t, Receives, at(t, loops).Again)
	assert.Zero(t, at(t, holding).Later)
}

func TestWhatCannotBeRead(t *testing.T) {
	r := NewReader(map[string]uintptr{"main.wrong": 1})
	assert.False(t, r.At("main.wrong", 5).Read)
	assert.False(t, r.At("main.unknown", 5).Read)
	assert.False(t, r.At("main.wrong", 0).Read)
	r = NewReader(map[string]uintptr{"f": reflect.ValueOf(holding).Pointer()})
	r.room = 10
	assert.False(t, r.At("f", 5).Read, "too much code")
}

// TestEveryFunctionOfThisProgram reads functions of the standard library and of the
// test's dependencies: no code may make the reader fail or take long.
func TestEveryFunctionOfThisProgram(t *testing.T) {
	skipWhereNotRead(t)
	r := NewReader(nil)
	r.around = 4 << 20
	var read, failed int
	start := reflect.ValueOf(time.Sleep).Pointer()
	for entry := start; entry < start+1<<20; {
		fn := runtime.FuncForPC(entry)
		if fn == nil || fn.Entry() != entry {
			break
		}
		f := r.callee(entry)
		if f == nil || !f.settle(r, 0) {
			failed++
		} else {
			read++
			for _, s := range f.steps[:min(len(f.steps), 50)] {
				f.point(r, s.next)
			}
		}
		entry += uintptr(max(sizeOf(entry), 1))
	}
	assert.Greater(t, read, 500)
	assert.Less(t, failed, read/20)
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0xf0, 0x0f, 0xb1, 0x11, 0x75, 0x0e, 0xe8, 0, 0, 0, 0, 0xc3})
	f.Add([]byte{0x48, 0x8d, 0x05, 1, 2, 3, 4, 0xe8, 0, 0, 0, 0, 0xff, 0xd0})
	f.Fuzz(func(t *testing.T, code []byte) {
		from := uintptr(0x1000)
		last := from
		fn := &function{entry: from, end: from + uintptr(len(code)), code: code}
		decode(code, from, func(s step) {
			if s.at < last || s.next <= s.at {
				t.Fatalf("step %+v after %#x", s, last)
			}
			last = s.next
			if s.flow != onward || s.effect != nothing || s.atomic != notAtomic {
				if s.atomic == swap {
					fn.acquired(&s)
				}
				fn.steps = append(fn.steps, s)
			}
		})
		r := NewReader(nil)
		if len(fn.sites) <= maxSites && fn.settle(r, maxDepth) {
			for _, s := range fn.steps {
				fn.point(r, s.next)
			}
		}
	})
}

// inOrder is inlined, and ends right in front of the lock.
func inOrder[T any](o *object, a, b T, m, n int) (first, second T) {
	if o.n > 0 && m > n {
		return b, a
	}
	return a, b
}

//go:noinline
func inTurn(o, a, b *object) {
	first, second := inOrder(o, a, b, a.n, b.n)
	first.mu.Lock()
	defer first.mu.Unlock()
	wait()
	second.mu.Lock()
	defer second.mu.Unlock()
}

// TestSourceOfAnInlinedCall has another inlined call in front of the lock.
func TestSourceOfAnInlinedCall(t *testing.T) {
	skipWhereNotRead(t)
	inTurn(new(object), new(object), new(object))
	holds := at(t, inTurn).Holds
	require.NotEmpty(t, holds)
	for _, s := range holds {
		assert.Equal(t, "github.com/otelgoroutine/go/internal/lockcode.inTurn", s.Frame.Function)
		assert.Contains(t, s.Frame.File, "lockcode_test.go")
	}
}
