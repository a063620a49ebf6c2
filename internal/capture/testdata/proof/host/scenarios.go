package main

import (
	"math/rand"
	"runtime"
	"sync"
	"time"
	"weak"

	"github.com/otelgoroutine/go/internal/capture"
)

// A scenario starts goroutines and returns what wakes those that can be woken.
type scenario func(n int) (wake func())

var scenarios = map[string]scenario{
	"leak":    leak,
	"weak":    weakly,
	"convoy":  convoy,
	"parked":  parkedItself,
	"parking": parkingItself,
}

// leak abandons n goroutines at an unbuffered channel, and leaves as many at a
// channel that can still be closed.
func leak(n int) func() {
	for range n {
		go leaked(make(chan int))
		go healthy()
	}
	awaitParked(n, "main.leaked")
	awaitParked(n, "main.healthy")
	return func() {
		close(gate)
		for range n {
			<-opened
		}
	}
}

var gate, opened = make(chan int), make(chan int)

func leaked(c chan int) { c <- 1 }

func healthy() {
	<-gate
	opened <- 1
}

// weakly leaves a goroutine at a channel that is reachable only through a weak
// pointer. The code is safe, and no snapshot shows this.
func weakly(int) func() {
	b := &box{c: make(chan int), done: make(chan int)}
	go b.wait()
	pointer := weak.Make(b)
	awaitParked(1, "main.(*box).wait")
	return func() {
		b := pointer.Value()
		b.c <- 7
		<-b.done
	}
}

type box struct{ c, done chan int }

func (b *box) wait() {
	<-b.c
	close(b.done)
	runtime.KeepAlive(b)
}

// convoy makes n goroutines queue for one mutex, from several places, in an order
// different from that of their memory.
func convoy(n int) func() {
	var mu sync.Mutex
	var done sync.WaitGroup
	mu.Lock()
	gates := make([]chan int, n)
	for i := range gates {
		gates[i] = make(chan int)
		done.Add(1)
		go func() {
			<-gates[i]
			if i%2 == 0 {
				oneWay(&mu)
			} else {
				otherWay(&mu)
			}
			done.Done()
		}()
	}
	for _, i := range rand.Perm(n) {
		gates[i] <- 1
	}
	for began := time.Now(); time.Since(began) < 50*time.Millisecond || capture.ReadScheduler().Waiting < int64(n); {
		runtime.Gosched() // the last ones are still on their way
	}
	return func() {
		mu.Unlock()
		done.Wait()
	}
}

func oneWay(mu *sync.Mutex) {
	mu.Lock()
	defer mu.Unlock()
}

func otherWay(mu *sync.Mutex) {
	mu.Lock()
	defer mu.Unlock()
}
