package main

import (
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// parkedDepth is how many frames a parked goroutine has, the runtime's own
// included.
const parkedDepth = 12

// A parking holds goroutines until the process ends, as a service holds those
// of its subscribers, streams and workers.
type parking struct {
	gate chan int      // nothing is ever sent
	quit chan struct{} // never closed
	tick chan time.Time
}

// places are the ways in which a goroutine is parked: each is a stack, or
// several, of its own.
var places = []func(p *parking){
	func(p *parking) { <-p.gate },
	func(p *parking) {
		for range p.gate {
		}
	},
	func(p *parking) {
		select {
		case <-p.gate:
		case <-p.quit:
		}
	},
	func(p *parking) {
		select {
		case <-p.gate:
		case <-p.tick:
		case <-p.quit:
		}
	},
	func(p *parking) {
		if _, ok := <-p.quit; ok {
			return
		}
	},
	func(p *parking) {
		for {
			select {
			case <-p.tick:
			case <-p.quit:
				return
			}
		}
	},
}

// park starts n goroutines and returns when all of them wait.
func park(n int) error {
	p := &parking{gate: make(chan int), quit: make(chan struct{}), tick: make(chan time.Time)}
	for i := range n {
		go dispatch(parkedDepth-3, i, p)
	}
	return lab.AwaitParked()
}

// dispatch and handle call each other until the stack is deep enough. Which of
// them is called depends on n, so that there are more stacks than places.
func dispatch(depth, n int, p *parking) {
	switch {
	case depth == 0:
		places[n%len(places)](p)
	case n/len(places)%4 > depth%4:
		dispatch(depth-1, n, p)
	default:
		handle(depth-1, n, p)
	}
}

func handle(depth, n int, p *parking) {
	var frame [64]byte // something to keep, as most functions have
	if depth == 0 {
		places[n%len(places)](p)
	} else {
		dispatch(depth-1, n, p)
	}
	frame[n%len(frame)] = 1
}
