// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// A population is the goroutines that snapshots are taken of. It has no end but
// that of its process.
type population struct {
	gate  chan struct{} // nothing is ever sent
	mu    sync.Mutex    // never unlocked
	pipes []*os.File    // writing ends, which a finalizer would close
	pairs int           // of goroutines that play ping-pong beside those that wait
	note  string        // what a reader of the table should know
}

// populate starts n goroutines of a shape and returns when they wait, those
// apart that never do.
func populate(s *shape, n int) (*population, error) {
	p := &population{gate: make(chan struct{})}
	if err := errors.Join(s.fill(p, n, s), lab.AwaitParked()); err != nil {
		return nil, err
	}
	for range p.pairs {
		ball := make(chan int)
		go pingPong(ball)
		go pingPong(ball)
		ball <- 1
	}
	return p, nil
}

// walkers starts n goroutines that wait in park, by as many distinct stacks as
// the shape has.
func walkers(n int, s *shape, park func()) {
	for i := range n {
		go lab.Step(i%s.stacks)(i%s.stacks/4, s.turns-1, park)
	}
}

func (p *population) receivers(n int, s *shape) error {
	walkers(n, s, func() { <-p.gate })
	return nil
}

func (p *population) convoy(n int, s *shape) error {
	p.mu.Lock()
	walkers(n, s, func() { p.mu.Lock() })
	return nil
}

const (
	maxPipes   = 10_000 // where the system does not bound the open files
	sparePipes = 8      // closed again, so that the rest of the process has some files
)

func (p *population) readers(n int, s *shape) error {
	ends := p.openPipes(min(n, maxPipes))
	if len(ends) == 0 {
		return errors.New("no pipe could be opened")
	}
	p.note = fmt.Sprintf("%s of them wait for a pipe: the system allows no more open files.", lab.Thousands(len(ends)))
	if len(ends) == n {
		p.note = "All of them wait for a pipe."
	}
	walkers(len(ends), s, func() { (<-ends).Read(make([]byte, 1)) })
	return p.receivers(n-len(ends), s)
}

// openPipes returns the reading ends of up to n pipes.
func (p *population) openPipes(n int) chan *os.File {
	ends := make(chan *os.File, n)
	for range n {
		r, w, err := os.Pipe()
		if err != nil {
			for range min(sparePipes, len(ends)) {
				(<-ends).Close()
				p.pipes[0].Close()
				p.pipes = p.pipes[1:]
			}
			break
		}
		ends <- r
		p.pipes = append(p.pipes, w)
	}
	return ends
}

// pairsPerProc is how many pairs of goroutines play ping-pong for each P. One
// of each pair is always ready: enough to keep the P busy, and less than what
// the capturer takes for an overload.
const pairsPerProc = 10

func (p *population) busy(n int, s *shape) error {
	p.pairs = pairsPerProc * runtime.GOMAXPROCS(0)
	p.note = fmt.Sprintf("Beside them, %d pairs of goroutines play ping-pong.", p.pairs)
	return p.receivers(n, s)
}

// pingPong yields after each turn: two goroutines that wake each other would
// else share a time slice of 10 ms, and all others wait for half a second. A
// turn keeps a core busy for some 20 µs.
func pingPong(ball chan int) {
	for {
		seed := <-ball
		for range 20_000 {
			seed = seed*1103515245 + 12345
		}
		runtime.Gosched()
		ball <- seed
	}
}
