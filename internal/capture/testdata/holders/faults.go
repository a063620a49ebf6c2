package main

import (
	"fmt"
	"sync"
	"time"
)

// In these scenes goroutines can never go on.
var faults = map[string]func() int{
	"recursive read":                   recursiveRead,
	"recursive read in a callback":     recursiveReadInCallback,
	"read lock forgotten":              readLockForgotten,
	"write lock forgotten":             writeLockForgotten,
	"global forgotten":                 globalForgotten,
	"forgotten after a panic":          forgottenAfterPanic,
	"forgotten by a worker that waits": forgottenByWorker,
	"global locked twice":              globalTwice,
	"interface calls back":             interfaceCallsBack,
	"circle of a mutex and an RWMutex": mixedCircle,
	"over a wait group of workers":     overGroupOfWorkers,
	"over a result of the queue":       overResultOfQueue,
	"over a condition of the queue":    overConditionOfQueue,
	"over a nil channel":               overNil,
}

func init() {
	for name, f := range faults {
		scenes[name] = f
	}
}

func (j *job) lookup(f func()) {
	j.rw.RLock()
	defer j.rw.RUnlock()
	f()
	j.peek()
}

func recursiveRead() int {
	j := &job{}
	go serve(func() {
		j.lookup(func() { until(1, "main.(*job).write", "sync.RWMutex.Lock") })
	})
	until(1, "main.until", "sleep")
	go serve(j.write)
	until(1, "main.(*job).peek", "sync.RWMutex.RLock")
	crowd(2, func() { serve(func() { j.peek() }) })
	return 4
}

func recursiveReadInCallback() int {
	j := &job{}
	go serve(func() {
		j.each(func() {
			until(1, "main.(*job).write", "sync.RWMutex.Lock")
			j.n += j.peek()
		})
	})
	until(1, "main.until", "sleep")
	go serve(j.write)
	return 2
}

//go:noinline
func (j *job) each(f func()) {
	j.rw.RLock()
	f()
	j.rw.RUnlock()
}

//go:noinline
func (j *job) find(missing bool) int {
	j.rw.RLock()
	if missing {
		return 0
	}
	n := j.n
	j.rw.RUnlock()
	return n
}

func readLockForgotten() int {
	j := &job{}
	j.find(true)
	go serve(j.write)
	until(1, "main.(*job).write", "sync.RWMutex.Lock")
	crowd(2, func() { serve(func() { j.find(false) }) })
	return 3
}

//go:noinline
func (j *job) set(n int) error {
	j.rw.Lock()
	if n < 0 {
		return fmt.Errorf("%d is below 0", n)
	}
	j.n = n
	j.rw.Unlock()
	return nil
}

func writeLockForgotten() int {
	j := &job{}
	_ = j.set(-1)
	crowd(2, func() { serve(func() { j.peek() }) })
	crowd(2, func() { serve(func() { _ = j.set(1) }) })
	return 4
}

var (
	tableLock sync.Mutex
	table     = map[int]int{}
)

//go:noinline
func enter(k int) bool {
	tableLock.Lock()
	if k < 0 {
		return false
	}
	table[k]++
	tableLock.Unlock()
	return true
}

func globalForgotten() int {
	enter(-1)
	crowd(3, func() { serve(func() { enter(1) }) })
	return 3
}

//go:noinline
func (j *job) divide(by int) {
	j.mu.Lock()
	j.n = 10 / by
	j.mu.Unlock()
}

func forgottenAfterPanic() int {
	j := &job{}
	func() {
		defer func() { _ = recover() }()
		j.divide(0)
	}()
	crowd(2, func() { serve(func() { j.divide(1) }) })
	return 2
}

// forgottenByWorker has a worker that returns to its loop without unlocking, and
// others at the lock.
func forgottenByWorker() int {
	s := &server{jobs: make(chan int)}
	work := func() {
		for n := range s.jobs {
			s.reserve(n)
		}
	}
	go work()
	s.jobs <- -1
	time.Sleep(20 * time.Millisecond)
	until(1, "main.forgottenByWorker.func1", "chan receive")
	crowd(3, func() { serve(func() { s.reserve(1) }) })
	return 3
}

//go:noinline
func leave(k int) {
	tableLock.Lock()
	defer tableLock.Unlock()
	if k == 0 {
		enter(1)
	}
	table[k]--
}

func globalTwice() int {
	go serve(func() { leave(0) })
	until(1, "main.enter", "sync.Mutex.Lock")
	crowd(2, func() { serve(func() { leave(1) }) })
	return 3
}

type observer interface{ changed() }

type board struct {
	mu   sync.Mutex
	n    int
	seen []observer
}

func (b *board) put(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n = n
	for _, o := range b.seen {
		o.changed()
	}
}

func (b *board) value() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

type logger struct {
	of   *board
	last int
}

func (l *logger) changed() { l.last = l.of.value() }

func interfaceCallsBack() int {
	b := &board{}
	b.seen = append(b.seen, &logger{of: b})
	go serve(func() { b.put(1) })
	until(1, "main.(*board).value", "sync.Mutex.Lock")
	crowd(2, func() { serve(func() { b.value() }) })
	return 3
}

func mixedCircle() int {
	j, m := &job{}, newMeeting(2)
	go serve(func() { j.mu.Lock(); m.arrive(); j.rw.RLock(); j.rw.RUnlock(); j.mu.Unlock() })
	go serve(func() { j.rw.Lock(); m.arrive(); j.mu.Lock(); j.mu.Unlock(); j.rw.Unlock() })
	return 2
}

func overGroupOfWorkers() int {
	j := &job{}
	go serve(func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		var workers sync.WaitGroup
		for range 3 {
			workers.Go(func() { j.status() })
		}
		workers.Wait()
	})
	return 3
}

// overResultOfQueue has a holder that waits for what a goroutine sends that waits
// for the lock.
func overResultOfQueue() int {
	j, result := &job{}, make(chan int)
	go serve(func() { j.await(result) })
	until(1, "main.(*job).await", "chan receive")
	go serve(func() { result <- j.status() })
	return 1
}

func overConditionOfQueue() int {
	j := &job{}
	var inner sync.Mutex
	ready := sync.NewCond(&inner)
	go serve(func() {
		j.mu.Lock()
		inner.Lock()
		ready.Wait()
		inner.Unlock()
		j.mu.Unlock()
	})
	until(1, "main.overConditionOfQueue.func1", "sync.Cond.Wait")
	go serve(func() { j.status(); ready.Signal() })
	return 1
}

func overNil() int {
	j := &job{}
	return j.held("main.overNil.func1", "chan receive (nil chan)", func() {
		var results chan int
		j.takes()
		j.mu.Lock()
		defer j.mu.Unlock()
		j.n = <-results
	})
}
