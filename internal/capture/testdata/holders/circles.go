package main

import (
	"sync"
	"unsafe"
)

// scenes are the ways to get stuck. Each returns how many goroutines are waiting
// for locks once it is stuck.
var scenes = map[string]func() int{
	"circle of functions":      circleOfFunctions,
	"circle of methods":        circleOfMethods,
	"circle of two types":      circleOfTwoTypes,
	"circle of two methods":    circleOfTwoMethods,
	"circle of closures":       circleOfClosures,
	"circle with a crowd":      circleWithACrowd,
	"circle of three":          circleOfThree,
	"circle of global objects": circleOfGlobals,
	"circle of arguments":      circleOfArguments,
	"circle of receivers":      circleOfReceivers,
	"each twice":               eachTwice,

	"circle of arguments not saved":   circleOfUnsaved,
	"each twice, arguments not saved": eachTwiceUnsaved,

	"order by name":          orderByName,
	"order by name in two":   orderByNameInTwo,
	"order kept":             orderKept,
	"no circle of two types": noCircleOfTwoTypes,

	"double lock":             doubleLock,
	"double lock alone":       doubleLockAlone,
	"double lock in callback": doubleLockInCallback,

	"over a send":              overSend,
	"over a wait group":        overWaitGroup,
	"over a receive":           overReceive,
	"over a receive in a loop": overReceiveInLoop,
	"over a reply":             overReply,
	"over a sleep":             overSleep,
	"over a deferred unlock":   overDeferred,
	"over a call":              overCall,
	"over another lock":        overAnotherLock,

	"left":                       left,
	"left beside a loop":         leftBesideLoop,
	"left beside a loop alone":   leftBesideLoopAlone,
	"left beside idle workers":   leftBesideWorkers,
	"left beside one worker":     leftBesideOneWorker,
	"left beside a condition":    leftBesideCond,
	"left behind an inner lock":  leftInner,
	"left in a shard":            leftInShard,
	"left in two shards":         leftInTwoShards,
	"left with a shared context": leftWithContext,
	"left beside a late request": leftBesideRequest,

	"writer over a channel":   writerOverChannel,
	"writer behind a reader":  writerBehindReader,
	"readers behind a writer": readersBehindWriter,
	"read lock upgraded":      upgraded,

	"embedded":        embedded,
	"global":          global,
	"global object":   globalObject,
	"bare mutex":      bareMutex,
	"lock helper":     lockHelper,
	"inlined methods": inlinedMethods,
	"generic":         genericBox,
	"interface":       throughInterface,
	"once":            once,
	"once recursive":  onceRecursive,
}

type account struct {
	name    string
	balance int
	mu      sync.Mutex
}

// transfer locks both accounts in the order of its arguments, which is the bug.
func transfer(from, to *account, n int, m *meeting) {
	takes(unsafe.Pointer(&from.mu))
	from.mu.Lock()
	defer from.mu.Unlock()
	m.arrive()
	to.mu.Lock()
	defer to.mu.Unlock()
	from.balance -= n
	to.balance += n
}

func circleOfFunctions() int {
	a, b, m := &account{name: "a"}, &account{name: "b"}, newMeeting(2)
	go transfer(a, b, 1, m)
	go transfer(b, a, 1, m)
	return 2
}

func (a *account) sendTo(b *account, n int, m *meeting) bool {
	takes(unsafe.Pointer(&a.mu))
	a.mu.Lock()
	m.arrive()
	if a.balance < n {
		n = a.balance
	}
	b.mu.Lock()
	a.balance -= n
	b.balance += n
	b.mu.Unlock()
	a.mu.Unlock()
	return true
}

func circleOfMethods() int {
	a, b, m := &account{name: "a"}, &account{name: "b"}, newMeeting(2)
	go func() { a.sendTo(b, 1, m) }()
	go func() { b.sendTo(a, 1, m) }()
	return 2
}

func circleWithACrowd() int {
	a, b, m := &account{name: "a"}, &account{name: "b"}, newMeeting(2)
	go a.sendTo(b, 1, m)
	go b.sendTo(a, 1, m)
	until(2, "main.(*account).sendTo", "sync.Mutex.Lock")
	crowd(4, func() { a.peek() })
	crowd(3, func() { b.deposit(1) })
	return 9
}

//go:noinline
func (a *account) peek() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.balance
}

func (a *account) deposit(n int) {
	a.mu.Lock()
	a.balance += n
	a.mu.Unlock()
}

func circleOfThree() int {
	a, b, c, m := &account{name: "a"}, &account{name: "b"}, &account{name: "c"}, newMeeting(3)
	go a.sendTo(b, 1, m)
	go b.sendTo(c, 1, m)
	go c.sendTo(a, 1, m)
	return 3
}

var savings, checking account

func circleOfGlobals() int {
	m := newMeeting(2)
	go savings.sendTo(&checking, 1, m)
	go checking.sendTo(&savings, 1, m)
	return 2
}

// A store and a cache each call the other with their own lock held.
type store struct {
	rows  map[string]int
	mu    sync.Mutex
	cache *cache
}

type cache struct {
	mu    sync.Mutex
	hits  map[string]int
	store *store
}

func (s *store) update(key string, m *meeting) {
	takes(unsafe.Pointer(&s.mu))
	s.mu.Lock()
	defer s.mu.Unlock()
	m.arrive()
	s.rows[key]++
	s.cache.drop(key)
}

//go:noinline
func (c *cache) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.hits, key)
}

func (c *cache) fill(key string, m *meeting) {
	takes(unsafe.Pointer(&c.mu))
	c.mu.Lock()
	defer c.mu.Unlock()
	m.arrive()
	c.hits[key] = c.store.read(key)
}

//go:noinline
func (s *store) read(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[key]
}

func circleOfTwoTypes() int {
	s, m := &store{rows: make(map[string]int)}, newMeeting(2)
	s.cache = &cache{hits: make(map[string]int), store: s}
	go func() { s.update("x", m) }()
	go func() { s.cache.fill("x", m) }()
	return 2
}

// circleOfTwoMethods has two methods, update and fill, that lock the same two
// objects in opposite orders, with more callers queued behind them.
func circleOfTwoMethods() int {
	s, m := &store{rows: make(map[string]int)}, newMeeting(2)
	s.cache = &cache{hits: make(map[string]int), store: s}
	go func() { s.update("x", m) }()
	go func() { s.cache.fill("x", m) }()
	until(1, "main.(*cache).drop", "sync.Mutex.Lock")
	until(1, "main.(*store).read", "sync.Mutex.Lock")
	unreached := newMeeting(1)
	quietly(func() {
		crowd(3, func() { s.update2("y", unreached) })
		crowd(3, func() { s.cache.fill2("y", unreached) })
	})
	return 8
}

func quietly(f func()) { f() }

func (s *store) update2(key string, m *meeting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.arrive()
	s.cache.drop(key)
}

func (c *cache) fill2(key string, m *meeting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m.arrive()
	c.hits[key] = c.store.read(key)
}

func circleOfClosures() int {
	a, b, m := &account{name: "a"}, &account{name: "b"}, newMeeting(2)
	go func() {
		takes(unsafe.Pointer(&a.mu))
		a.mu.Lock()
		defer a.mu.Unlock()
		m.arrive()
		b.mu.Lock()
		defer b.mu.Unlock()
	}()
	go func() {
		takes(unsafe.Pointer(&b.mu))
		b.mu.Lock()
		defer b.mu.Unlock()
		m.arrive()
		a.mu.Lock()
		defer a.mu.Unlock()
	}()
	return 2
}

// forget locks an account and returns on an error without unlocking it.
func forget(a *account) {
	a.mu.Lock()
}

// move locks the lower name first, so there is never a circle.
//
//go:noinline
func move(from, to *account, n int, noted bool) {
	first, second := from, to
	if second.name < first.name {
		first, second = second, first
	}
	if noted {
		takes(unsafe.Pointer(&first.mu))
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	second.mu.Lock()
	defer second.mu.Unlock()
	from.balance -= n
	to.balance += n
}

// orderByName looks like a circle: each of two goroutines waits for the lock of
// the object that the other one works on. But one of them holds no lock.
func orderByName() int {
	a, b := &account{name: "a"}, &account{name: "b"}
	forget(b)
	go move(a, b, 1, true)
	until(1, "main.move", "sync.Mutex.Lock")
	go move(b, a, 1, false)
	return 2
}

//go:noinline
func moveInTwo(from, to *account, n int, noted bool) {
	if from.name < to.name {
		if noted {
			takes(unsafe.Pointer(&from.mu))
		}
		from.mu.Lock()
		to.mu.Lock()
	} else {
		to.mu.Lock()
		from.mu.Lock()
	}
	from.balance -= n
	to.balance += n
	from.mu.Unlock()
	to.mu.Unlock()
}

func orderByNameInTwo() int {
	a, b := &account{name: "a"}, &account{name: "b"}
	forget(b)
	go moveInTwo(a, b, 1, true)
	until(1, "main.moveInTwo", "sync.Mutex.Lock")
	go moveInTwo(b, a, 1, false)
	return 2
}

// orderKept has one goroutine that holds the first lock and waits for the second,
// and others that have the same arguments and wait for the first.
func orderKept() int {
	a, b := &account{name: "a"}, &account{name: "b"}
	forget(b)
	go move(a, b, 1, true)
	until(1, "main.move", "sync.Mutex.Lock")
	crowd(3, func() { move(a, b, 1, false) })
	return 4
}

// A hub has clients. A writer waits for a client that is being closed. That client
// waits for the hub, whose lock was left locked. The writer works on the hub but
// has not locked it.
type hub struct {
	name    string
	mu      sync.Mutex
	clients map[*client]bool
}

type client struct {
	mu   sync.Mutex
	hub  *hub
	sent int
}

func (h *hub) broadcast(c *client) {
	c.write(1)
	h.name = "done"
}

//go:noinline
func (c *client) write(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent += n
}

func (c *client) close() {
	takes(unsafe.Pointer(&c.mu))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hub.remove(c)
	c.sent = 0
}

//go:noinline
func (h *hub) remove(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, c)
}

func noCircleOfTwoTypes() int {
	h := &hub{clients: make(map[*client]bool)}
	c := &client{hub: h}
	h.mu.Lock()
	go c.close()
	until(1, "main.(*hub).remove", "sync.Mutex.Lock")
	go h.broadcast(c)
	return 2
}
