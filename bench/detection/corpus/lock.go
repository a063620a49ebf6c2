package corpus

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

func locks() []Scenario {
	return []Scenario{
		{
			Name: "double-lock-nested-call", Class: DoubleLock, Faulty: true, Expect: stuck("(*ledger).audit", "(*ledger).post"),
			Doc: "A method that holds the lock calls another one that takes it.",
			Run: func(e *Env) { ledgers(e, false) },
		},
		{
			Name: "double-lock-locked-helper", Class: DoubleLock,
			Doc: "A method that holds the lock calls a helper that expects it held.",
			Run: func(e *Env) { ledgers(e, true) },
		},
		{
			Name: "double-lock-callback", Class: DoubleLock, Faulty: true, Expect: stuck("(*registry).set", "(*registry).get"),
			Doc: "Listeners are called under the lock, and one of them asks for the value.",
			Run: func(e *Env) { registries(e, false) },
		},
		{
			Name: "double-lock-callback-outside", Class: DoubleLock,
			Doc: "Listeners are called after the lock is released.",
			Run: func(e *Env) { registries(e, true) },
		},
		{
			Name: "double-lock-upgrade", Class: DoubleLock, Faulty: true, Expect: stuck("(*catalog).lookup"),
			Doc: "A reader of an RWMutex that misses takes the write lock while it holds the read lock.",
			Run: func(e *Env) { catalogs(e, false) },
		},
		{
			Name: "double-lock-upgrade-released", Class: DoubleLock,
			Doc: "A reader of an RWMutex that misses releases the read lock before it takes the write lock.",
			Run: func(e *Env) { catalogs(e, true) },
		},
		{
			Name: "double-lock-once-recursion", Class: DoubleLock, Faulty: true, Expect: stuck("(*settings).load"),
			Doc: "The function of a sync.Once calls, several calls down, the same Once.",
			Run: func(e *Env) { onces(e, false) },
		},
		{
			Name: "double-lock-once-slow", Class: DoubleLock,
			Doc: "The function of a sync.Once takes half a minute, in which others wait.",
			Run: func(e *Env) { onces(e, true) },
		},
		{
			Name: "double-lock-close-guard", Class: DoubleLock, Faulty: true, Expect: stuck("(*stream).Close"),
			Doc: "Close holds the lock that guards against closing twice while it waits for the loop, which closes on its way out.",
			Run: func(e *Env) { streamsClosed(e, false) },
		},
		{
			Name: "double-lock-close-once", Class: DoubleLock,
			Doc: "Close guards against closing twice and waits for the loop after it released the lock.",
			Run: func(e *Env) { streamsClosed(e, true) },
		},
		{
			Name: "held-missing-unlock-on-error", Class: LockNotReleased, Faulty: true, Expect: stuck("(*stock).reserve"),
			Doc: "A return on an error leaves the lock locked.",
			Run: func(e *Env) { stocks(e, false) },
		},
		{
			Name: "held-unlock-deferred", Class: LockNotReleased,
			Doc: "The lock is released by defer, also on errors.",
			Run: func(e *Env) { stocks(e, true) },
		},
		{
			Name: "held-panic-in-handler", Class: LockNotReleased, Faulty: true, Expect: stuck("(*visits).touch"),
			Doc: "A handler panics between Lock and Unlock, and the server recovers.",
			Run: func(e *Env) { visitors(e, false) },
		},
		{
			Name: "held-panic-in-handler-deferred", Class: LockNotReleased,
			Doc: "A handler panics between Lock and a deferred Unlock, and the server recovers.",
			Run: func(e *Env) { visitors(e, true) },
		},
		{
			Name: "held-read-lock", Class: LockNotReleased, Faulty: true, Expect: stuck("(*flags).get", "(*flags).put"),
			Doc: "A reader returns early with the read lock; the next writer waits for ever, and every reader after it.",
			Run: func(e *Env) { featureFlags(e, false) },
		},
		{
			Name: "held-read-lock-released", Class: LockNotReleased,
			Doc: "Readers release the read lock whichever way they return, and writers come now and then.",
			Run: func(e *Env) { featureFlags(e, true) },
		},
		{
			Name: "held-unlock-in-lost-callback", Class: LockNotReleased, Faulty: true, Expect: stuck("(*lease).acquire"),
			Doc: "A lock is taken here and released in a callback, which does not come when the other side fails.",
			Run: func(e *Env) { leases(e, false) },
		},
		{
			Name: "held-unlock-in-callback", Class: LockNotReleased,
			Doc: "A lock is taken here and released in a callback, which comes with an error, too.",
			Run: func(e *Env) { leases(e, true) },
		},
		{
			Name: "held-one-of-many", Class: LockNotReleased, Faulty: true, Expect: stuck("(*wallet).withdraw"),
			Doc: "One of many wallets stays locked; the others are in heavy use at the same line.",
			Run: func(e *Env) { wallets(e, false) },
		},
		{
			Name: "held-none-of-many", Class: LockNotReleased,
			Doc: "Many wallets, each with its lock, are in heavy use.",
			Run: func(e *Env) { wallets(e, true) },
		},
		{
			Name: "held-over-dead-peer", Class: LockNotReleased, Faulty: true, Expect: stuck("(*quotes).get"),
			Doc: "The lock is held while a peer is asked without a time limit, and the peer never answers.",
			Run: func(e *Env) { quoteServers(e, 0) },
		},
		{
			Name: "held-over-slow-peer", Class: LockNotReleased,
			Doc: "The lock is held while a peer is asked that answers within a quarter of a minute.",
			Run: func(e *Env) { quoteServers(e, 15*time.Second) },
		},
		{
			Name: "channel-send-under-lock", Class: LockOverChannel, Faulty: true, Expect: stuck("(*eventLog).append", "(*eventLog).drain"),
			Doc: "A full channel is sent to under the lock that its reader takes for each item.",
			Run: func(e *Env) { eventLogs(e, false) },
		},
		{
			Name: "channel-send-outside-lock", Class: LockOverChannel,
			Doc: "A channel is sent to after the lock is released that its reader takes for each item.",
			Run: func(e *Env) { eventLogs(e, true) },
		},
		{
			Name: "channel-wait-under-lock", Class: LockOverChannel, Faulty: true, Expect: stuck("(*crawler).finish", "(*crawler).found"),
			Doc: "The lock is held while a WaitGroup is waited for, whose goroutines need the lock to end.",
			Run: func(e *Env) { crawlers(e, false) },
		},
		{
			Name: "channel-wait-outside-lock", Class: LockOverChannel,
			Doc: "A WaitGroup is waited for without the lock.",
			Run: func(e *Env) { crawlers(e, true) },
		},
		{
			Name: "channel-reply-under-lock", Class: LockOverChannel, Faulty: true, Expect: stuck("(*actor).state"),
			Doc: "A caller holds the lock while it waits for the reply of a loop that takes the lock first, now and then.",
			Run: func(e *Env) { actors(e, false) },
		},
		{
			Name: "channel-reply-outside-lock", Class: LockOverChannel,
			Doc: "A caller waits for the reply of a loop without the lock.",
			Run: func(e *Env) { actors(e, true) },
		},
	}
}

type ledger struct {
	mu   sync.Mutex
	sums map[string]int
}

func ledgers(e *Env, helper bool) {
	l := &ledger{sums: make(map[string]int)}
	var n counter
	serve(e, 12, func(context.Context) {
		l.post(e, n.every(40), helper)
		e.Served()
	})
}

func (l *ledger) post(e *Env, audits, helper bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sums["a"]++
	e.Sleep(10 * time.Millisecond)
	switch {
	case audits && helper:
		l.auditLocked()
	case audits:
		e.Fault()
		l.audit()
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

func registries(e *Env, outside bool) {
	r := &registry{}
	r.listeners = []func(){func() { e.Served() }}
	var once sync.Once
	subscribe := func() {
		once.Do(func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.listeners = append(r.listeners, func() {
				if !outside {
					e.Fault()
				}
				r.get()
			})
		})
	}
	e.After(2*time.Minute, subscribe)
	e.Every(20*time.Second, func() { r.set(1, outside) })
	serve(e, 10, func(context.Context) { r.get() })
}

func (r *registry) set(v int, outside bool) {
	r.mu.Lock()
	r.value = v
	all := r.listeners
	if outside {
		r.mu.Unlock()
	} else {
		defer r.mu.Unlock()
	}
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

func catalogs(e *Env, releases bool) {
	c := &catalog{items: make(map[int]int)}
	for i := range 100 {
		c.items[i] = i
	}
	serve(e, 12, func(context.Context) {
		c.lookup(e, rand.N(103), releases)
		e.Served()
	})
}

func (c *catalog) lookup(e *Env, id int, releases bool) int {
	c.mu.RLock()
	item, ok := c.items[id]
	if ok {
		c.mu.RUnlock()
		return item
	}
	if releases {
		c.mu.RUnlock()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.items[id] = id
		return id
	}
	e.Fault()
	c.mu.Lock()
	c.items[id] = id
	c.mu.Unlock()
	c.mu.RUnlock()
	return id
}

type settings struct {
	once   sync.Once
	values map[string]string
}

func onces(e *Env, sound bool) {
	s := &settings{}
	serve(e, 8, func(context.Context) {
		if e.Age() > time.Minute {
			s.load(e, sound)
			e.Served()
		}
	})
}

func (s *settings) load(e *Env, sound bool) map[string]string {
	s.once.Do(func() {
		if sound {
			e.Sleep(30 * time.Second)
			s.values = map[string]string{"a": "b"}
			return
		}
		e.Fault()
		s.values = s.withDefaults(e)
	})
	return s.values
}

func (s *settings) withDefaults(e *Env) map[string]string { return s.load(e, false) }

type stream struct {
	e      *Env
	sound  bool
	mu     sync.Mutex
	closed bool
	quit   chan struct{}
	ended  chan struct{}
}

func streamsClosed(e *Env, sound bool) {
	serve(e, 4, func(context.Context) {
		s := &stream{e: e, sound: sound, quit: make(chan struct{}), ended: make(chan struct{})}
		go s.loop()
		time.Sleep(e.Tail(time.Second))
		s.Close()
		e.Served()
	})
}

func (s *stream) loop() {
	defer close(s.ended)
	<-s.quit
	if s.sound {
		s.end()
		return
	}
	s.e.Fault()
	s.Close()
}

func (s *stream) end() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.closed = true
	close(s.quit)
	return true
}

// Close ends the loop.
func (s *stream) Close() {
	if s.sound {
		s.end()
		<-s.ended
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	close(s.quit)
	<-s.ended
}

var errSoldOut = errors.New("sold out")

type stock struct {
	mu   sync.Mutex
	left int
}

func stocks(e *Env, deferred bool) {
	s := &stock{left: 60}
	serve(e, 12, func(context.Context) {
		_ = s.reserve(e, deferred)
		e.Served()
	})
	if deferred {
		e.Every(3*time.Minute, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.left = 10
		})
	}
}

func (s *stock) reserve(e *Env, deferred bool) error {
	s.mu.Lock()
	if deferred {
		defer s.mu.Unlock()
	}
	e.Sleep(20 * time.Millisecond)
	if s.left == 0 {
		if !deferred {
			e.Fault()
		}
		return errSoldOut
	}
	s.left--
	if !deferred {
		s.mu.Unlock()
	}
	return nil
}

type visits struct {
	mu    sync.Mutex
	pages map[string][]int
}

func visitors(e *Env, deferred bool) {
	v := &visits{pages: map[string][]int{"home": {0}, "shop": {0}, "gone": {}}}
	var n counter
	serve(e, 12, func(context.Context) {
		page := "home"
		if n.every(50) {
			page = "gone"
		}
		v.touch(e, page, deferred)
		e.Served()
	})
}

func (v *visits) touch(e *Env, page string, deferred bool) {
	v.mu.Lock()
	if deferred {
		defer v.mu.Unlock()
	}
	counts := v.pages[page]
	if len(counts) == 0 && !deferred {
		e.Fault()
	}
	counts[0]++ // out of range for a page that is gone
	if !deferred {
		v.mu.Unlock()
	}
}

type flags struct {
	mu  sync.RWMutex
	set map[string]bool
}

func featureFlags(e *Env, releases bool) {
	f := &flags{set: map[string]bool{"new": true}}
	var n counter
	e.Every(30*time.Second, func() { f.put("new", true) })
	serve(e, 12, func(context.Context) {
		name := "new"
		if n.every(60) {
			name = "unknown"
		}
		f.get(e, name, releases)
		e.Served()
	})
}

func (f *flags) put(name string, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set[name] = on
}

func (f *flags) get(e *Env, name string, releases bool) bool {
	f.mu.RLock()
	on, ok := f.set[name]
	if !ok && !releases {
		e.Fault()
		return false
	}
	f.mu.RUnlock()
	return on
}

// A lease is exclusive until the other side says that it is done.
type lease struct{ mu sync.Mutex }

func leases(e *Env, always bool) {
	l := &lease{}
	var n counter
	serve(e, 8, func(context.Context) {
		l.acquire(e, n.every(30), always)
		e.Served()
	})
}

func (l *lease) acquire(e *Env, fails, always bool) {
	l.mu.Lock()
	time.AfterFunc(e.Tail(100*time.Millisecond), func() {
		if fails && !always {
			e.Fault()
			return
		}
		l.mu.Unlock()
	})
}

type wallet struct {
	mu     sync.Mutex
	amount int
}

func wallets(e *Env, sound bool) {
	all := make([]wallet, 12)
	for i := range all {
		all[i].amount = 1 << 30
	}
	serve(e, 20, func(context.Context) {
		all[rand.N(len(all))].withdraw(e, 1)
		e.Served()
	})
	if !sound {
		e.After(8*time.Minute, func() {
			e.Fault()
			all[3].mu.Lock() // and returns
		})
	}
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

// quoteServers has a peer that answers after a while, or never where delay is 0
// and the third question has been asked.
func quoteServers(e *Env, delay time.Duration) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for asked := 0; ; asked++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if asked >= 3 && delay == 0 {
				defer c.Close() // not before the end
				continue
			}
			go func() {
				defer c.Close()
				e.Sleep(delay)
				_, _ = c.Write([]byte{42})
			}()
		}
	}()
	q := &quotes{}
	var n counter
	e.Every(40*time.Second, func() {
		if delay == 0 && n.every(4) {
			e.Fault()
		}
		q.refresh(l.Addr().String())
	})
	serve(e, 8, func(context.Context) {
		q.get()
		e.Served()
	})
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
	e       *Env
	mu      sync.Mutex
	written int
	events  chan int
	pending int
}

func eventLogs(e *Env, outside bool) {
	l := &eventLog{e: e, events: make(chan int, 4)}
	go l.drain()
	serve(e, 8, func(context.Context) { l.append(1, outside) })
	e.Every(50*time.Second, func() { // a burst
		for range 10 {
			go l.append(1, outside)
		}
	})
}

func (l *eventLog) append(event int, outside bool) {
	l.mu.Lock()
	l.pending++
	if outside {
		l.mu.Unlock()
		l.events <- event
		return
	}
	if len(l.events) == cap(l.events) {
		l.e.Fault()
	}
	l.events <- event
	l.mu.Unlock()
}

func (l *eventLog) drain() {
	for range l.events {
		l.e.Sleep(100 * time.Millisecond)
		l.mu.Lock()
		l.written++
		l.pending--
		l.mu.Unlock()
		l.e.Served()
	}
}

type crawler struct {
	mu    sync.Mutex
	pages int
}

func crawlers(e *Env, outside bool) {
	s := ordinary(e)
	s.handle("/crawl", func(context.Context) {
		c := &crawler{}
		c.finish(e, outside)
		e.Served()
	})
	s.visit(4, "/crawl")
}

func (c *crawler) finish(e *Env, outside bool) {
	var fetches sync.WaitGroup
	for range 3 {
		fetches.Go(func() {
			time.Sleep(e.Tail(400 * time.Millisecond))
			c.found()
		})
	}
	e.Sleep(200 * time.Millisecond)
	if outside {
		fetches.Wait()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pages < 3 {
		e.Fault()
	}
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

func actors(e *Env, outside bool) {
	a := &actor{asks: make(chan chan int)}
	go a.loop(e)
	serve(e, 10, func(context.Context) {
		a.state(outside)
		e.Served()
	})
	if !outside {
		e.Every(10*time.Second, func() {
			if !a.mu.TryLock() { // for a second time: nobody holds it for long
				e.Sleep(time.Minute)
				if !a.mu.TryLock() {
					e.Fault()
					return
				}
			}
			a.mu.Unlock()
		})
	}
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

func (a *actor) state(outside bool) int {
	reply := make(chan int)
	a.mu.Lock()
	if outside {
		a.mu.Unlock()
	} else {
		defer a.mu.Unlock()
	}
	a.asks <- reply
	return <-reply
}
