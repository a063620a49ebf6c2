package main

import "github.com/otelgoroutine/go/bench/internal/lab"

const (
	size   = 10_000 // goroutines
	stacks = 200    // distinct ones
)

// park starts the goroutines of the snapshots and returns when they wait,
// for good.
func park() error {
	gate := make(chan struct{})
	for i := range size {
		go fork(i%stacks, 8, gate)
	}
	return lab.AwaitParked()
}

// fork waits at the end of a path, which chooses one of two calls at each
// turn.
func fork(path, turns int, gate chan struct{}) {
	switch {
	case turns == 0:
		<-gate
	case path%2 == 0:
		left(path/2, turns-1, gate)
	default:
		right(path/2, turns-1, gate)
	}
}

//go:noinline
func left(path, turns int, gate chan struct{}) { fork(path, turns, gate) }

//go:noinline
func right(path, turns int, gate chan struct{}) { fork(path, turns, gate) }
