package main

import (
	"sync"
	"time"
	"unsafe"
)

// In these scenes functions lock their arguments, each in an order of its own.

//go:noinline
func firstThenSecond(first, second *sync.Mutex, meet func()) {
	takes(unsafe.Pointer(first))
	first.Lock()
	defer first.Unlock()
	meet()
	second.Lock()
	defer second.Unlock()
}

//go:noinline
func secondThenFirst(first, second *sync.Mutex, meet func()) {
	takes(unsafe.Pointer(second))
	second.Lock()
	defer second.Unlock()
	meet()
	first.Lock()
	defer first.Unlock()
}

func circleOfArguments() int {
	var a, b sync.Mutex
	m := newMeeting(2)
	go firstThenSecond(&a, &b, m.arrive)
	go secondThenFirst(&a, &b, m.arrive)
	return 2
}

// eachTwice has the same stacks as circleOfArguments. But each goroutine waits for the
// lock that it holds itself.
func eachTwice() int {
	var a, b sync.Mutex
	m := newMeeting(2)
	go firstThenSecond(&a, &a, m.arrive)
	go secondThenFirst(&b, &b, m.arrive)
	return 2
}

// quietlyForward and quietlyBack note nothing, so that nothing makes the compiler save
// the argument that is locked first: it keeps it only for the deferred call.
//
//go:noinline
func quietlyForward(first, second *sync.Mutex, meet func()) {
	first.Lock()
	defer first.Unlock()
	meet()
	second.Lock()
	defer second.Unlock()
}

//go:noinline
func quietlyBack(first, second *sync.Mutex, meet func()) {
	second.Lock()
	defer second.Unlock()
	meet()
	first.Lock()
	defer first.Unlock()
}

func circleOfUnsaved() int {
	var a, b sync.Mutex
	m := newMeeting(2)
	go quietlyForward(&a, &b, m.arrive)
	go quietlyBack(&a, &b, m.arrive)
	return 2
}

// eachTwiceUnsaved is to circleOfUnsaved what eachTwice is to circleOfArguments: here
// not even the dumps differ.
func eachTwiceUnsaved() int {
	var a, b sync.Mutex
	m := newMeeting(2)
	go quietlyForward(&a, &a, m.arrive)
	go quietlyBack(&b, &b, m.arrive)
	return 2
}

// A token is nothing.
type token struct{}

// withTokens has arguments of which a dump has no words.
//
//go:noinline
func withTokens(first *sync.Mutex, _ token, second *sync.Mutex, _ [0]int, third *sync.Mutex, f func()) {
	takes(unsafe.Pointer(third))
	third.Lock()
	f()
	third.Unlock()
	second.Lock()
	second.Unlock()
	first.Lock()
	first.Unlock()
}

// emptyArguments has a lock that is held on purpose, behind arguments without words. The
// others in the call are not.
func emptyArguments() int {
	var a, b, c sync.Mutex
	go withTokens(&a, token{}, &b, [0]int{}, &c, longWork)
	until(1, "main.longWork", "sleep")
	crowd(2, func() { withTokens(&a, token{}, &b, [0]int{}, &c, func() {}) })
	return 2
}

type slot[T any] struct {
	value T
	mu    sync.Mutex
}

// exchange locks its argument, of which a dump has the word where the receiver's would be.
//
//go:noinline
func (s *slot[T]) exchange(with *slot[T], v T, f func()) {
	takes(unsafe.Pointer(&with.mu))
	with.mu.Lock()
	defer with.mu.Unlock()
	f()
	s.value, with.value = with.value, v
}

func genericArguments() int {
	a, b := &slot[int]{}, &slot[int]{}
	go a.exchange(b, 1, longWork)
	until(1, "main.longWork", "sleep")
	crowd(2, func() { a.exchange(b, 2, func() {}) })
	return 2
}

// lend locks its argument before its receiver; the code behind needs both.
//
//go:noinline
func (a *account) lend(b *account, n int, m *meeting) {
	takes(unsafe.Pointer(&b.mu))
	b.mu.Lock()
	m.arrive()
	a.mu.Lock()
	a.balance -= n
	b.balance += n
	a.mu.Unlock()
	b.mu.Unlock()
}

// circleOfReceivers has two methods that lock the same two objects in opposite orders.
// Both have the same receiver.
func circleOfReceivers() int {
	a, b, m := &account{name: "a"}, &account{name: "b"}, newMeeting(2)
	go a.sendTo(b, 1, m)
	go a.lend(b, 1, m)
	return 2
}

//go:noinline
func keepFor(mu *sync.Mutex, d time.Duration) {
	takes(unsafe.Pointer(mu))
	mu.Lock()
	defer mu.Unlock()
	time.Sleep(d)
}

// oneOfTwo has one goroutine that holds one lock of two and waits for the other, which
// a third keeps for long.
func oneOfTwo() int {
	var a, b sync.Mutex
	go keepFor(&b, time.Hour)
	until(1, "main.keepFor", "sleep")
	go secondThenFirst(&b, &a, func() {})
	go firstThenSecond(&b, &a, func() {})
	return 2
}

// oneOfTwoTwice has the same function twice.
func oneOfTwoTwice() int {
	var a, b sync.Mutex
	go keepFor(&b, time.Hour)
	until(1, "main.keepFor", "sleep")
	go firstThenSecond(&a, &b, func() {})
	until(1, "main.firstThenSecond", "sync.Mutex.Lock")
	go firstThenSecond(&a, &b, func() {})
	return 2
}

// oneOfPair has the two locks in one object.
func oneOfPair() int {
	p := &pair{}
	go keepFor(&p.inner, time.Hour)
	until(1, "main.keepFor", "sleep")
	go p.change(true)
	until(1, "main.(*pair).change", "sync.Mutex.Lock")
	crowd(2, func() { p.change(false) })
	return 3
}

// sometimesLocked waits for the second lock without the first, which another goroutine
// holds on purpose. The code has it on one of two ways.
//
//go:noinline
func sometimesLocked(first, second *account, both bool) {
	if both {
		first.mu.Lock()
	}
	second.mu.Lock()
	second.balance++
	second.mu.Unlock()
	first.balance++
	if both {
		first.mu.Unlock()
	}
}

func notOnThisWay() int {
	a, b, m := &account{name: "a"}, &account{name: "b"}, newMeeting(1)
	go keepFor(&a.mu, time.Hour)
	until(1, "main.keepFor", "sleep")
	go b.sendTo(a, 1, m) // holds b
	until(1, "main.(*account).sendTo", "sync.Mutex.Lock")
	go sometimesLocked(a, b, false)
	return 2
}
