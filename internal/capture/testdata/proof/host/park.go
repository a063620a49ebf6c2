package main

import (
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

// This is what gVisor's package sleep does: it parks with the runtime's own
// function and the reason of a select, without telling the runtime what will wake
// the goroutine. The garbage collector takes a select without channels for leaked.

//go:linkname gopark runtime.gopark
func gopark(unlock func(g, lock unsafe.Pointer) bool, lock unsafe.Pointer, reason, traceReason uint8, traceSkip int)

//go:linkname goready runtime.goready
func goready(g unsafe.Pointer, traceSkip int)

// The numbers of Go 1.26 and 1.27 (runtime/runtime2.go and traceruntime.go).
const (
	waitReasonSelect = 18
	traceBlockSelect = 3
)

// sleeper is the goroutine that is parked. It is an address, so the collector does
// not see it here.
var sleeper atomic.Uintptr

var woken = make(chan int, 1)

func commit(g, _ unsafe.Pointer) bool {
	sleeper.Store(uintptr(g))
	return true
}

//go:noinline
func sleep(traceSkip int) {
	gopark(commit, nil, waitReasonSelect, traceBlockSelect, traceSkip)
}

func wake() {
	var g uintptr
	for g == 0 {
		g = sleeper.Swap(0)
	}
	goready(*(*unsafe.Pointer)(unsafe.Pointer(&g)), 0)
	<-woken
}

// parkedItself parks a goroutine before the first snapshot.
func parkedItself(int) func() {
	go func() {
		sleep(0)
		woken <- 1
	}()
	for sleeper.Load() == 0 {
		runtime.Gosched()
	}
	return wake
}

// parkingItself parks a goroutine again and again, so that it parks while it is
// traced. The trace then omits the parking from its stack.
func parkingItself(int) func() {
	go func() {
		for {
			sleep(1)
			woken <- 1
		}
	}()
	stop := make(chan int)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Microsecond):
				wake()
			}
		}
	}()
	return func() { stop <- 1 }
}
