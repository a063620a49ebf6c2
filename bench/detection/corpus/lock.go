// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

var locks = []program{
	{ledgers, "double-lock-nested-call", "double-lock-locked-helper"},
	{registries, "double-lock-callback", "double-lock-callback-outside"},
	{catalogs, "double-lock-upgrade", "double-lock-upgrade-released"},
	{onces, "double-lock-once-recursion", "double-lock-once-slow"},
	{streamsClosed, "double-lock-close-guard", "double-lock-close-once"},
	{stocks, "held-missing-unlock-on-error", "held-unlock-deferred"},
	{visitors, "held-panic-in-handler", "held-panic-in-handler-deferred"},
	{featureFlags, "held-read-lock", "held-read-lock-released"},
	{leases, "held-unlock-in-lost-callback", "held-unlock-in-callback"},
	{wallets, "held-one-of-many", "held-none-of-many"},
	{quoteServers, "held-over-dead-peer", "held-over-slow-peer"},
	{eventLogs, "channel-send-under-lock", "channel-send-outside-lock"},
	{crawlers, "channel-wait-under-lock", "channel-wait-outside-lock"},
	{actors, "channel-reply-under-lock", "channel-reply-outside-lock"},
}

type ledger struct {
	mu   sync.Mutex
	sums map[string]int
}

func ledgers(e *Env) {
	l := &ledger{sums: make(map[string]int)}
	serve(e, 12, func(r request) { l.post(e, r.every(40)) })
}

func (l *ledger) post(e *Env, audits bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sums["a"]++
	e.Sleep(10 * time.Millisecond)
	switch {
	case audits && e.Fails():
		l.audit()
	case audits:
		l.auditLocked()
	}
}

func (l *ledger) audit() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.auditLocked()
}

func (l *ledger) auditLocked() int { return len(l.sums) }

type registry struct {
	mu        sync.Mutex
	value     int
	listeners []func()
}

func registries(e *Env) {
	r := &registry{listeners: []func(){e.Served}}
	e.After(2*time.Minute, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.listeners = append(r.listeners, func() { e.Fails(); r.get() })
	})
	e.Every(20*time.Second, func() { r.set(e, 1) })
	serve(e, 10, func(request) { r.get() })
}

func (r *registry) set(e *Env, v int) {
	r.mu.Lock()
	r.value = v
	all := r.listeners
	defer e.release(&r.mu)()
	for _, tell := range all {
		tell()
	}
}

func (r *registry) get() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.value
}

type catalog struct {
	mu    sync.RWMutex
	items map[int]int
}

func catalogs(e *Env) {
	c := &catalog{items: make(map[int]int)}
	for i := range 100 {
		c.items[i] = i
	}
	serve(e, 12, func(request) { c.lookup(e, rand.N(103)) })
}

func (c *catalog) lookup(e *Env, id int) int {
	c.mu.RLock()
	item, ok := c.items[id]
	if ok {
		c.mu.RUnlock()
		return item
	}
	defer e.release(c.mu.RLocker())()
	e.Fails()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items[id] = id
	return id
}

type settings struct {
	once   sync.Once
	values map[string]string
}

func onces(e *Env) {
	s := &settings{}
	serve(e, 8, func(request) {
		if e.Age() > time.Minute {
			s.load(e)
		}
	})
}

func (s *settings) load(e *Env) map[string]string {
	s.once.Do(func() {
		if e.Fails() {
			s.values = s.withDefaults(e)
			return
		}
		e.Sleep(30 * time.Second)
		s.values = map[string]string{"a": "b"}
	})
	return s.values
}

func (s *settings) withDefaults(e *Env) map[string]string { return s.load(e) }

type stream struct {
	e      *Env
	mu     sync.Mutex
	closed bool
	quit   chan struct{}
	ended  chan struct{}
}

func streamsClosed(e *Env) {
	serve(e, 4, func(request) {
		s := &stream{e: e, quit: make(chan struct{}), ended: make(chan struct{})}
		go s.loop()
		time.Sleep(e.Tail(time.Second))
		s.Close()
	})
}

func (s *stream) loop() {
	defer close(s.ended)
	<-s.quit
	s.e.Fails()
	s.Close()
}

// Close ends the loop.
func (s *stream) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	close(s.quit)
	defer s.e.release(&s.mu)()
	<-s.ended
}

var errSoldOut = errors.New("sold out")

type stock struct {
	mu   sync.Mutex
	left int
}

func stocks(e *Env) {
	s := &stock{left: 60}
	serve(e, 12, func(request) { _ = s.reserve(e) })
	if e.sound {
		e.Every(3*time.Minute, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.left = 10
		})
	}
}

func (s *stock) reserve(e *Env) error {
	s.mu.Lock()
	e.Sleep(20 * time.Millisecond)
	if s.left == 0 && e.Fails() {
		return errSoldOut
	}
	defer s.mu.Unlock()
	if s.left == 0 {
		return errSoldOut
	}
	s.left--
	return nil
}

type visits struct {
	mu    sync.Mutex
	pages map[string][]int
}

func visitors(e *Env) {
	v := &visits{pages: map[string][]int{"home": {0}, "shop": {0}, "gone": {}}}
	serve(e, 12, func(r request) {
		page := "home"
		if r.every(50) {
			page = "gone"
		}
		v.touch(e, page)
	})
}

func (v *visits) touch(e *Env, page string) {
	v.mu.Lock()
	if e.sound {
		defer v.mu.Unlock()
	}
	counts := v.pages[page]
	if len(counts) == 0 {
		e.Fails()
	}
	counts[0]++ // out of range for a page that is gone
	if !e.sound {
		v.mu.Unlock()
	}
}

type flags struct {
	mu  sync.RWMutex
	set map[string]bool
}

func featureFlags(e *Env) {
	f := &flags{set: map[string]bool{"new": true}}
	e.Every(30*time.Second, func() { f.put("new", true) })
	serve(e, 12, func(r request) {
		name := "new"
		if r.every(60) {
			name = "unknown"
		}
		f.get(e, name)
	})
}

func (f *flags) put(name string, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set[name] = on
}

func (f *flags) get(e *Env, name string) bool {
	f.mu.RLock()
	on, ok := f.set[name]
	if !ok && e.Fails() {
		return false
	}
	f.mu.RUnlock()
	return on
}

// A lease is exclusive until the other side says that it is done.
type lease struct{ mu sync.Mutex }

func leases(e *Env) {
	l := &lease{}
	serve(e, 8, func(r request) { l.acquire(e, r.every(30)) })
}

func (l *lease) acquire(e *Env, fails bool) {
	l.mu.Lock()
	time.AfterFunc(e.Tail(100*time.Millisecond), func() {
		if fails && e.Fails() {
			return
		}
		l.mu.Unlock()
	})
}

type wallet struct {
	mu     sync.Mutex
	amount int
}

func wallets(e *Env) {
	all := make([]wallet, 12)
	serve(e, 20, func(request) { all[rand.N(len(all))].withdraw(e, 1) })
	e.After(8*time.Minute, func() {
		if e.Fails() {
			all[3].mu.Lock() // and returns
		}
	})
}

func (w *wallet) withdraw(e *Env, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.Sleep(4 * time.Second)
	w.amount -= n
}

// A quotes caches what a peer says.
type quotes struct {
	mu    sync.Mutex
	value byte
}

// quoteServers has a peer that answers after a while, and that of the faulty
// program never again from the fourth question on.
func quoteServers(e *Env) {
	l := listen()
	go func() {
		for asked := 0; ; asked++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if asked >= 3 && e.Fails() {
				defer c.Close() // not before the end
				continue
			}
			time.AfterFunc(e.Dur(inSound(e, 15*time.Second)), func() {
				defer c.Close()
				_, _ = c.Write([]byte{42})
			})
		}
	}()
	q := &quotes{}
	e.Every(40*time.Second, func() { q.refresh(l.Addr().String()) })
	serve(e, 8, func(request) { q.get() })
}

func (q *quotes) refresh(addr string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer c.Close()
	var b [1]byte
	_, _ = c.Read(b[:])
	q.value = b[0]
}

func (q *quotes) get() byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.value
}

type eventLog struct {
	e                *Env
	mu               sync.Mutex
	events           chan int
	pending, written int
}

func eventLogs(e *Env) {
	l := &eventLog{e: e, events: make(chan int, 4)}
	go l.drain()
	serve(e, 8, func(request) { l.append(1) })
	e.Every(50*time.Second, func() { // a burst
		for range 10 {
			go l.append(1)
		}
	})
}

func (l *eventLog) append(event int) {
	l.mu.Lock()
	l.pending++
	defer l.e.release(&l.mu)()
	if len(l.events) == cap(l.events) {
		l.e.Fails()
	}
	l.events <- event
}

func (l *eventLog) drain() {
	for range l.events {
		l.e.Sleep(100 * time.Millisecond)
		l.mu.Lock()
		l.written++
		l.pending--
		l.mu.Unlock()
		l.e.Moved()
	}
}

type crawler struct {
	mu    sync.Mutex
	pages int
}

func crawlers(e *Env) {
	serve(e, 4, func(request) { new(crawler).finish(e) })
}

func (c *crawler) finish(e *Env) {
	var fetches sync.WaitGroup
	for range 3 {
		fetches.Go(func() {
			time.Sleep(e.Tail(400 * time.Millisecond))
			c.found()
		})
	}
	e.Sleep(200 * time.Millisecond)
	c.mu.Lock()
	if c.pages < 3 {
		e.Fails()
	}
	defer e.release(&c.mu)()
	fetches.Wait()
}

func (c *crawler) found() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pages++
}

// An actor answers questions on a loop of its own.
type actor struct {
	mu   sync.Mutex
	asks chan chan int
	n    int
}

func actors(e *Env) {
	a := &actor{asks: make(chan chan int)}
	go a.loop(e)
	serve(e, 10, func(request) { a.state(e) })
	noticeStuck(e, &a.mu)
}

func (a *actor) loop(e *Env) {
	ticker := time.NewTicker(e.Dur(5 * time.Second))
	defer ticker.Stop()
	for {
		select {
		case reply := <-a.asks:
			e.Sleep(50 * time.Millisecond)
			reply <- a.n
		case <-ticker.C:
			a.mu.Lock()
			a.n++
			a.mu.Unlock()
		}
	}
}

func (a *actor) state(e *Env) int {
	reply := make(chan int)
	a.mu.Lock()
	defer e.release(&a.mu)()
	a.asks <- reply
	return <-reply
}
