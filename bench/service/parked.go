// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

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

// Nothing is ever sent on these channels, and they are never closed.
var (
	gate = make(chan int)
	quit = make(chan struct{})
	tick = make(chan time.Time)
)

// places are the ways to wait, as subscribers, streams and workers do.
var places = []func(){
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

// park starts n goroutines and returns when all of them wait, until the process
// ends.
func park(n int) error {
	for i := range n {
		path := i / len(places) % parkedPaths
		go lab.Step(path)(path/4, parkedDepth-5, places[i%len(places)])
	}
	return lab.AwaitParked()
}
