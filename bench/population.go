package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// A population is the goroutines that are looked at. It has no end but that of
// its process.
type population struct {
	gate  chan struct{} // nothing is ever sent
	mu    sync.Mutex    // never unlocked
	pairs int           // of goroutines that play ping-pong beside those that wait
	note  string        // what a reader of the table should know
}

// populate starts n goroutines of a shape and returns when they wait, those
// apart that never do.
func populate(s *shape, n int) (*population, error) {
	p := &population{gate: make(chan struct{})}
	if err := s.fill(p, n, s); err != nil {
		return nil, err
	}
	if err := lab.AwaitParked(); err != nil {
		return nil, err
	}
	p.play()
	return p, nil
}

// walkers starts n goroutines that wait in park, by as many distinct stacks as
// the shape has.
func walkers(n int, s *shape, park func()) {
	for i := range n {
		go step(i%s.stacks)(i%s.stacks/4, s.turns-1, park)
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

// maxPipes bounds the open files where the system does not.
const maxPipes = 10_000

// spareFiles are left for the rest of the process.
const spareFiles = 16

func (p *population) readers(n int, s *shape) error {
	pipes := openPipes(min(n, maxPipes))
	if len(pipes) == 0 {
		return fmt.Errorf("no pipe could be opened")
	}
	ends := make(chan *os.File, len(pipes))
	for _, end := range pipes {
		ends <- end
	}
	walkers(len(pipes), s, func() { (<-ends).Read(make([]byte, 1)) })
	p.note = fmt.Sprintf("%s of them wait for a pipe: the system allows no more open files.", lab.Thousands(len(pipes)))
	if len(pipes) == n {
		p.note = "All of them wait for a pipe."
	}
	return p.receivers(n-len(pipes), s)
}

// held keeps the writing ends from being closed by a finalizer.
var held []*os.File

// openPipes returns the reading ends of up to n pipes.
func openPipes(n int) []*os.File {
	var readers []*os.File
	for len(readers) < n {
		r, w, err := os.Pipe()
		if err != nil {
			return giveBack(readers)
		}
		readers, held = append(readers, r), append(held, w)
	}
	return readers
}

func giveBack(readers []*os.File) []*os.File {
	keep := max(len(readers)-spareFiles/2, 0)
	for i := keep; i < len(readers); i++ {
		readers[i].Close()
		held[i].Close()
	}
	held = held[:keep]
	return readers[:keep]
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

func (p *population) play() {
	for range p.pairs {
		ball := make(chan int)
		go pingPong(ball)
		go pingPong(ball)
		ball <- 1
	}
}

// pingPong yields after each turn: two goroutines that wake each other would
// else share a time slice of 10 ms, and everybody else wait for half a second.
func pingPong(ball chan int) {
	for {
		seed := work(<-ball)
		runtime.Gosched()
		ball <- seed
	}
}

// work keeps a core busy for some 20 µs.
func work(seed int) int {
	for range 20_000 {
		seed = seed*1103515245 + 12345
	}
	return seed
}

// A turn is a frame of a stack. It calls the next one, which the path chooses,
// until the depth is used up, and then waits.
type turn func(path, depth int, park func())

// step returns the turn that a path begins with. With four of them, seven
// frames make 16,384 distinct stacks.
func step(path int) turn { return [...]turn{north, east, south, west}[path%4] }

func next(path, depth int) turn {
	if depth == 0 {
		return arrive
	}
	return step(path)
}

func north(path, depth int, park func()) { next(path, depth)(path/4, depth-1, park) }
func east(path, depth int, park func())  { next(path, depth)(path/4, depth-1, park) }
func south(path, depth int, park func()) { next(path, depth)(path/4, depth-1, park) }
func west(path, depth int, park func())  { next(path, depth)(path/4, depth-1, park) }
func arrive(_, _ int, park func())       { park() }
