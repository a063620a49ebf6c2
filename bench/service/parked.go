package main

import (
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

const (
	// parkedDepth is how many frames a parked goroutine has at least, the runtime's
	// own included.
	parkedDepth = 12
	// parkedPaths is by how many paths goroutines come to each place.
	parkedPaths = 4
)

// park starts n goroutines, as a service has those of its subscribers, streams
// and workers, and returns when all of them wait, until the process ends. There
// are six ways to wait.
func park(n int) error {
	gate, quit, tick := make(chan int), make(chan struct{}), make(chan time.Time) // nothing is ever sent or closed
	places := []func(){
		func() { <-gate },
		func() {
			for range gate {
			}
		},
		func() {
			select {
			case <-gate:
			case <-quit:
			}
		},
		func() {
			select {
			case <-gate:
			case <-tick:
			case <-quit:
			}
		},
		func() {
			if _, open := <-quit; open {
				return
			}
		},
		func() {
			for {
				select {
				case <-tick:
				case <-quit:
					return
				}
			}
		},
	}
	for i := range n {
		path := i / len(places) % parkedPaths
		go lab.Step(path)(path/4, parkedDepth-5, places[i%len(places)])
	}
	return lab.AwaitParked()
}
