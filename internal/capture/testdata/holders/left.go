package main

import (
	"sync"
	"unsafe"
)

func left() int {
	a := &account{}
	forget(a)
	crowd(5, func() { a.peek() })
	crowd(2, func() { serve(func() { a.deposit(1) }) })
	return 7
}

// A server has a loop that works on it all the time and sometimes locks it, and
// methods that requests call.
type server struct {
	jobs  chan int
	mu    sync.Mutex
	done  int
	queue []int
}

func (s *server) run() {
	for {
		select {
		case job := <-s.jobs:
			s.mu.Lock()
			s.queue = append(s.queue, job)
			s.mu.Unlock()
		case <-never:
			return
		}
	}
}

// reserve forgets to unlock when it fails.
func (s *server) reserve(n int) bool {
	s.mu.Lock()
	if n < 0 {
		return false
	}
	s.done += n
	s.mu.Unlock()
	return true
}

func leftBesideLoop() int {
	s := &server{jobs: make(chan int)}
	go s.run()
	until(1, "main.(*server).run", "select")
	s.reserve(-1)
	crowd(4, func() { s.reserve(1) })
	return 4
}

// loop locks, unlocks and then waits, in this order.
func (s *server) loop() {
	for {
		s.mu.Lock()
		s.done++
		s.mu.Unlock()
		<-s.jobs
	}
}

func leftBesideLoopAlone() int {
	s := &server{jobs: make(chan int)}
	go s.loop()
	until(1, "main.(*server).loop", "chan receive")
	s.reserve(-1)
	crowd(4, func() { s.reserve(1) })
	return 4
}

// leftBesideWorkers has some stuck workers and some idle ones.
func leftBesideWorkers() int { return workers(3, 2) }

// leftBesideOneWorker has only one worker that is not stuck: it is idle past the
// line where the others wait, and holds no lock.
func leftBesideOneWorker() int { return workers(3, 1) }

func workers(stuck, idle int) int {
	s := &server{jobs: make(chan int)}
	for range idle {
		go s.loop()
	}
	until(idle, "main.(*server).loop", "chan receive")
	s.reserve(-1)
	for range stuck {
		go func() { s.loop() }()
	}
	return stuck
}

type mailbox struct {
	mail []int
	mu   sync.Mutex
	cond *sync.Cond
}

func (b *mailbox) get() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.mail) == 0 {
		b.cond.Wait()
	}
	return b.mail[0]
}

func leftBesideCond() int {
	b := &mailbox{}
	b.cond = sync.NewCond(&b.mu)
	go serve(func() { b.get() })
	until(1, "main.(*mailbox).get", "sync.Cond.Wait")
	b.mu.Lock()
	crowd(4, func() { serve(func() { b.get() }) })
	return 4
}

// A wallet has its lock in an object of its own.
type wallet struct {
	name  string
	inner *vault
}

type vault struct {
	mu    sync.Mutex
	coins int
}

func (w *wallet) withdraw(n int, to chan int) {
	w.inner.mu.Lock()
	w.inner.coins -= n
	w.inner.mu.Unlock()
	if to != nil {
		to <- n
	}
	w.name = "x"
}

// leftInner has one goroutine that works on the wallet after releasing its lock.
func leftInner() int {
	w := &wallet{inner: &vault{}}
	go serve(func() { w.withdraw(1, never) })
	until(1, "main.(*wallet).withdraw", "chan send")
	w.inner.mu.Lock()
	crowd(3, func() { serve(func() { w.withdraw(1, nil) }) })
	return 3
}

// A sharded has its locks in one object.
type sharded struct {
	name   string
	shards [8]struct {
		mu    sync.Mutex
		items map[int]int
	}
}

func (s *sharded) load(key int, from chan int) int {
	shard := &s.shards[key%len(s.shards)]
	if from != nil {
		takes(unsafe.Pointer(&shard.mu))
	}
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if from != nil {
		from <- key
	}
	s.name = "loaded"
	return shard.items[key]
}

// leftInShard has one goroutine that holds the lock of a healthy shard.
func leftInShard() int {
	s := &sharded{}
	go serve(func() { s.load(1, never) })
	until(1, "main.(*sharded).load", "chan send")
	s.shards[0].mu.Lock()
	crowd(3, func() { serve(func() { s.load(0, nil) }) })
	return 3
}

// leftInTwoShards shows one object for two locks.
func leftInTwoShards() int {
	s := &sharded{}
	go serve(func() { s.load(1, never) })
	until(1, "main.(*sharded).load", "chan send")
	for i := range 2 {
		s.shards[2+i].mu.Lock()
		crowd(3, func() { serve(func() { s.load(2+i, nil) }) })
	}
	return 6
}

// An environment is an argument of every call.
type environment struct {
	name  string
	count int
	spare [2]int
}

type item struct {
	env   *environment
	mu    sync.Mutex
	spare [3]int
}

//go:noinline
func spend(env *environment, items []*item, i int, to chan int) {
	it := items[i]
	if to != nil {
		takes(unsafe.Pointer(&it.mu))
	}
	it.mu.Lock()
	env.count++
	if to != nil {
		to <- 1
	}
	it.mu.Unlock()
	env.name = "x"
}

// leftWithContext has an argument that is next to the lock's object in memory but
// not part of it. One goroutine uses it to work on another object.
func leftWithContext() int {
	env := &environment{}
	items := []*item{{env: env}, {env: env}, {env: env}}
	go serve(func() { spend(env, items, 1, never) })
	until(1, "main.spend", "chan send")
	items[0].mu.Lock()
	crowd(3, func() { serve(func() { spend(env, items, 0, nil) }) })
	return 3
}

// leftBesideRequest has a request that released the lock and did not finish.
func leftBesideRequest() int {
	s := &server{jobs: make(chan int)}
	go serve(func() { s.stream(never) })
	until(1, "main.(*server).stream", "chan send")
	s.reserve(-1)
	crowd(3, func() { serve(func() { s.stream(nil) }) })
	return 3
}

func (s *server) stream(to chan int) {
	s.mu.Lock()
	n := s.done
	s.mu.Unlock()
	to <- n
	s.jobs <- n
}
