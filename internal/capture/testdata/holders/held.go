package main

import (
	"sync"
	"time"
	"unsafe"
)

type ledger struct {
	sums map[string]int
	mu   sync.Mutex
}

func (l *ledger) post(key string, audits bool) {
	if audits {
		takes(unsafe.Pointer(&l.mu))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sums[key]++
	if audits {
		l.audit()
	}
}

//go:noinline
func (l *ledger) audit() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sums)
}

func doubleLock() int {
	l := &ledger{sums: make(map[string]int)}
	go l.post("x", true)
	until(1, "main.(*ledger).audit", "sync.Mutex.Lock")
	crowd(4, func() { l.post("x", false) })
	crowd(2, func() { l.audit() })
	return 7
}

func doubleLockAlone() int {
	l := &ledger{sums: make(map[string]int)}
	go l.post("x", true)
	return 1
}

type registry struct {
	value     int
	mu        sync.Mutex
	listeners []func()
}

func (r *registry) set(v int, noted bool) {
	if noted {
		takes(unsafe.Pointer(&r.mu))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.value = v
	for _, tell := range r.listeners {
		tell()
	}
}

//go:noinline
func (r *registry) get() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.value
}

func doubleLockInCallback() int {
	r := &registry{}
	r.listeners = append(r.listeners, func() { r.get() })
	go r.set(1, true)
	until(1, "main.(*registry).get", "sync.Mutex.Lock")
	crowd(3, func() { r.set(2, false) })
	return 4
}

type eventLog struct {
	events chan int
	mu     sync.Mutex
	size   int
}

func (l *eventLog) append(event int, noted bool) {
	if noted {
		takes(unsafe.Pointer(&l.mu))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.size++
	l.events <- event
}

func (l *eventLog) drain() {
	for {
		l.mu.Lock()
		l.size--
		l.mu.Unlock()
		<-l.events
	}
}

func overSend() int {
	l := &eventLog{events: make(chan int)}
	go l.append(1, true)
	until(1, "main.(*eventLog).append", "chan send")
	go l.drain()
	crowd(4, func() { l.append(1, false) })
	return 5
}

type crawler struct {
	pages int
	mu    sync.Mutex
	group sync.WaitGroup
}

func (c *crawler) finish() int {
	takes(unsafe.Pointer(&c.mu))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.group.Wait()
	return c.pages
}

func (c *crawler) found() {
	defer c.group.Done()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pages++
}

func overWaitGroup() int {
	c := &crawler{}
	c.group.Add(3)
	go c.finish()
	until(1, "main.(*crawler).finish", "sync.WaitGroup.Wait")
	crowd(3, c.found)
	return 3
}

type actor struct {
	requests int
	mu       sync.Mutex
	replies  chan int
}

func (a *actor) ask(noted bool) int {
	if noted {
		takes(unsafe.Pointer(&a.mu))
	}
	a.mu.Lock()
	a.requests++
	v := <-a.replies
	a.mu.Unlock()
	return v
}

// overReceive has the holder on the stack of a request.
func overReceive() int {
	a := &actor{replies: make(chan int)}
	go serve(func() { a.ask(true) })
	until(1, "main.(*actor).ask", "chan receive")
	crowd(4, func() { serve(func() { a.ask(false) }) })
	return 4
}

// overReceiveInLoop has the holder where a worker would wait for a job.
func overReceiveInLoop() int {
	a := &actor{replies: make(chan int)}
	go a.ask(true)
	until(1, "main.(*actor).ask", "chan receive")
	crowd(4, func() { a.ask(false) })
	return 4
}

// serve, route and handle stand in for a server.
//
//go:noinline
func serve(f func()) { route(f); after() }

//go:noinline
func route(f func()) { handle(f); after() }

//go:noinline
func handle(f func()) { f(); after() }

//go:noinline
func after() {}

// overReply has a holder in a different function from all waiters.
func overReply() int {
	a := &actor{replies: make(chan int)}
	go serve(func() { a.ask(true) })
	until(1, "main.(*actor).ask", "chan receive")
	crowd(2, func() { serve(func() { a.count() }) })
	return 2
}

//go:noinline
func (a *actor) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests
}

type poller struct {
	last time.Time
	mu   sync.Mutex
}

func (p *poller) poll(noted bool) {
	if noted {
		takes(unsafe.Pointer(&p.mu))
	}
	p.mu.Lock()
	if noted {
		time.Sleep(time.Hour)
	}
	p.last = time.Now()
	p.mu.Unlock()
}

func overSleep() int {
	p := &poller{}
	go serve(func() { p.poll(true) })
	until(1, "main.(*poller).poll", "sleep")
	crowd(2, func() { serve(func() { p.poll(false) }) })
	return 2
}

type gate struct {
	open chan int
	mu   sync.Mutex
}

// pass needs its receiver only for the deferred unlock.
func (g *gate) pass(noted bool) {
	if noted {
		takes(unsafe.Pointer(&g.mu))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	never <- 1
}

func overDeferred() int {
	g := &gate{open: make(chan int)}
	go serve(func() { g.pass(true) })
	until(1, "main.(*gate).pass", "chan send")
	crowd(3, func() { serve(func() { g.pass(false) }) })
	return 3
}

// quotes calls another service, several calls deep, with the lock held.
type quotes struct {
	prices map[string]int
	mu     sync.Mutex
	peer   chan int
}

func (q *quotes) get(key string, noted bool) int {
	if noted {
		takes(unsafe.Pointer(&q.mu))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := q.prices[key]; !ok {
		q.prices[key] = request(q.peer)
	}
	return q.prices[key]
}

//go:noinline
func request(peer chan int) int { return roundTrip(peer) + 1 }

//go:noinline
func roundTrip(peer chan int) int {
	select {
	case v := <-peer:
		return v
	case <-never:
		return 0
	}
}

func overCall() int {
	q := &quotes{prices: make(map[string]int), peer: make(chan int)}
	go q.get("x", true)
	until(1, "main.roundTrip", "select")
	crowd(5, func() { q.get("y", false) })
	return 5
}

// A pair has two locks in one object. The second is left locked; the goroutine
// that holds the first waits for it.
type pair struct {
	mu     sync.Mutex
	state  int
	inner  sync.Mutex
	amount int
}

func (p *pair) change(noted bool) {
	if noted {
		takes(unsafe.Pointer(&p.mu))
	}
	p.mu.Lock()
	p.inner.Lock()
	p.state++
	p.inner.Unlock()
	p.mu.Unlock()
}

func overAnotherLock() int {
	p := &pair{}
	p.inner.Lock()
	go p.change(true)
	until(1, "main.(*pair).change", "sync.Mutex.Lock")
	crowd(3, func() { p.change(false) })
	return 4
}

type flags struct {
	values map[string]bool
	mu     sync.RWMutex
}

func (f *flags) put(key string, wait chan int) {
	if wait != nil {
		takes(unsafe.Pointer(&f.mu))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if wait != nil {
		wait <- 1
	}
	f.values[key] = true
}

func (f *flags) get(key string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.values[key]
}

func writerOverChannel() int {
	f := &flags{values: make(map[string]bool)}
	go serve(func() { f.put("x", never) })
	until(1, "main.(*flags).put", "chan send")
	crowd(3, func() { serve(func() { f.put("y", nil) }) })
	crowd(2, func() { serve(func() { f.get("y") }) })
	return 5
}

// writerBehindReader has a reader that keeps the lock. The first writer holds the
// writers' lock and waits for the reader; the others wait for that writer.
func writerBehindReader() int {
	f := &flags{values: make(map[string]bool)}
	f.mu.RLock()
	go func() {
		takes(unsafe.Pointer(&f.mu))
		f.put("x", nil)
	}()
	until(1, "main.(*flags).put", "sync.RWMutex.Lock")
	crowd(2, func() { f.put("y", nil) })
	return 3
}

func readersBehindWriter() int {
	f := &flags{values: make(map[string]bool)}
	go serve(func() { f.put("x", never) })
	until(1, "main.(*flags).put", "chan send")
	crowd(3, func() { f.get("y") })
	return 3
}

func upgraded() int {
	f := &flags{values: make(map[string]bool)}
	go f.lookup("x")
	until(1, "main.(*flags).lookup", "sync.RWMutex.Lock")
	crowd(2, func() { f.get("y") })
	return 3
}

func (f *flags) lookup(key string) bool {
	takes(unsafe.Pointer(&f.mu))
	f.mu.RLock()
	defer f.mu.RUnlock()
	if !f.values[key] {
		f.mu.Lock()
		f.values[key] = true
		f.mu.Unlock()
	}
	return true
}

type counter struct {
	sync.Mutex
	n int
}

func (c *counter) add(n int, to chan int) {
	if to != nil {
		takes(unsafe.Pointer(c))
	}
	c.Lock()
	defer c.Unlock()
	c.n += n
	if to != nil {
		to <- c.n
	}
}

func embedded() int {
	c := &counter{}
	go c.add(1, never)
	until(1, "main.(*counter).add", "chan send")
	crowd(3, func() { c.add(1, nil) })
	return 3
}

var (
	globalLock  sync.Mutex
	globalCount int
)

func bump(to chan int) {
	if to != nil {
		takes(unsafe.Pointer(&globalLock))
	}
	globalLock.Lock()
	defer globalLock.Unlock()
	globalCount++
	if to != nil {
		to <- globalCount
	}
}

func global() int {
	go bump(never)
	until(1, "main.bump", "chan send")
	crowd(3, func() { bump(nil) })
	return 3
}

var globalCounter struct {
	padding [40]byte
	counter counter
}

func globalObject() int {
	go globalCounter.counter.add(1, never)
	until(1, "main.(*counter).add", "chan send")
	crowd(3, func() { globalCounter.counter.add(1, nil) })
	return 3
}

// withLock takes the lock as its argument, without the object.
func withLock(mu *sync.Mutex, noted bool, f func()) {
	if noted {
		takes(unsafe.Pointer(mu))
	}
	mu.Lock()
	f()
	mu.Unlock()
}

func bareMutex() int {
	mu := new(sync.Mutex)
	go serve(func() { withLock(mu, true, func() { never <- 1 }) })
	until(1, "main.withLock", "chan send")
	crowd(3, func() { withLock(mu, false, func() {}) })
	return 3
}

type guarded struct {
	value int
	mu    sync.Mutex
}

//go:noinline
func (g *guarded) lock()   { g.mu.Lock() }
func (g *guarded) unlock() { g.mu.Unlock() }

func (g *guarded) change(to chan int) {
	if to != nil {
		takes(unsafe.Pointer(&g.mu))
	}
	g.lock()
	defer g.unlock()
	g.value++
	if to != nil {
		to <- 1
	}
}

func lockHelper() int {
	g := &guarded{}
	go g.change(never)
	until(1, "main.(*guarded).change", "chan send")
	crowd(3, func() { g.change(nil) })
	return 3
}

type small struct {
	n  int
	mu sync.Mutex
}

func (s *small) inc() { s.mu.Lock(); s.n++; s.mu.Unlock() }

func (s *small) report(to chan int) {
	takes(unsafe.Pointer(&s.mu))
	s.mu.Lock()
	to <- s.n
	s.mu.Unlock()
}

//go:noinline
func work(s *small, times int) {
	for range times {
		s.inc()
	}
}

// inlinedMethods has waiters whose locking method is inlined into a function that
// has the object as an argument.
func inlinedMethods() int {
	s := &small{}
	go s.report(never)
	until(1, "main.(*small).report", "chan send")
	crowd(3, func() { work(s, 10) })
	return 3
}

type box[T any] struct {
	value T
	mu    sync.Mutex
}

func (b *box[T]) put(v T, to chan T) {
	if to != nil {
		takes(unsafe.Pointer(&b.mu))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.value = v
	if to != nil {
		to <- b.value
	}
}

func genericBox() int {
	b := &box[int]{}
	go b.put(1, never)
	until(1, "main.(*box[...]).put", "chan send")
	crowd(3, func() { b.put(1, nil) })
	return 3
}

type adder interface{ add(n int, to chan int) }

func addTo(a adder, to chan int) { a.add(1, to) }

func throughInterface() int {
	a := adder(&counter{})
	go addTo(a, never)
	until(1, "main.(*counter).add", "chan send")
	crowd(3, func() { addTo(a, nil) })
	return 3
}

type settings struct {
	values map[string]string
	once   sync.Once
}

func (s *settings) load(wait bool) map[string]string {
	s.once.Do(func() {
		if wait {
			never <- 1
		}
	})
	return s.values
}

func once() int {
	s := &settings{}
	go s.load(true)
	until(1, "main.(*settings).load", "chan send")
	crowd(3, func() { s.load(false) })
	return 3
}

func (s *settings) loadAgain() map[string]string {
	s.once.Do(func() { s.loadAgain() })
	return s.values
}

func onceRecursive() int {
	s := &settings{}
	go s.loadAgain()
	return 1
}
