// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"math/rand/v2"
	"sync"
	"time"
)

var hidden = []program{
	{auditTrails, "slow-leak-heavy-traffic", "slow-leak-none"},
	{partnerSyncs, "slow-leak-nightly-job", "slow-leak-nightly-job-sound"},
	{with(hubs, hubLoad{60, 30 * time.Second, 40}), "shared-stack-with-short", "shared-stack-with-short-sound"},
	{with(hubs, hubLoad{20, 8 * time.Minute, 6}), "shared-stack-with-long", "shared-stack-with-long-sound"},
	{sharedPool, "shared-stack-with-pool", ""},
	{correlate, "reachable-pending-map", "reachable-pending-map-expiring"},
	{priceFeeds, "reachable-subscribers-list", "reachable-subscribers-leave"},
	{func(e *Env) { ordinary(e); go pendingCalls.call(e, true) }, "reachable-once", ""},
	{mailboxes, "many-paths", "many-paths-sound"},
	{treeWalks, "recursion", "recursion-sound"},
	{generics, "generic-function", "generic-function-buffered"},
	{sinks, "goroutines-behind-an-interface", "goroutines-behind-an-interface-sound"},
}

type auditTrail struct{ entries chan int }

func auditTrails(e *Env) {
	a := &auditTrail{make(chan int, 16)}
	go batchWorker(e, a.entries)
	newSite(e).arrive(120, "/", func(r request) {
		time.Sleep(e.Tail(100 * time.Millisecond))
		stored := make(chan bool)
		go a.record(stored)
		if r.every(80) && e.Fails() {
			return
		}
		<-stored
	})
}

func (a *auditTrail) record(stored chan<- bool) {
	select {
	case a.entries <- 1:
	default:
	}
	stored <- true
}

func partnerSyncs(e *Env) {
	ordinary(e)
	e.Every(5*time.Minute, func() {
		pages := make(chan int)
		for range 3 {
			go syncPartner(e, pages)
		}
		if e.Fails() {
			return
		}
		for range 3 {
			<-pages
		}
	})
}

func syncPartner(e *Env, pages chan<- int) {
	time.Sleep(e.Tail(20 * time.Second))
	pages <- 1
}

// A hub answers the goroutines that wait at it.
type hub struct{ e *Env }

type hubLoad struct {
	perSecond float64
	longest   time.Duration
	nth       int64 // is not answered
}

func hubs(e *Env, l hubLoad) {
	h := &hub{e}
	var n counter
	ordinary(e)
	e.Arrive(l.perSecond, func() {
		answer := make(chan int, 1)
		if !n.every(l.nth) || !e.Fails() {
			time.AfterFunc(e.Between(l.longest/20, l.longest), func() { answer <- 1 })
		}
		h.await(answer)
	})
}

func (h *hub) await(answer <-chan int) {
	<-answer
	h.e.Served()
}

func sharedPool(e *Env) {
	jobs := make(chan int)
	for range 30 {
		go batchWorker(e, jobs)
	}
	e.Arrive(20, func() { jobs <- 1 })
	batches(e)
}

// A correlator matches replies to calls.
type correlator struct {
	mu      sync.Mutex
	next    int
	pending map[int]chan int
}

var pendingCalls = &correlator{pending: make(map[int]chan int)}

func correlate(e *Env) {
	serve(e, 10, func(r request) { pendingCalls.call(e, r.every(4)) })
}

func (c *correlator) call(e *Env, lost bool) {
	reply := make(chan int, 1)
	c.mu.Lock()
	c.next++
	id := c.next
	c.pending[id] = reply
	c.mu.Unlock()
	if lost {
		e.Fails()
	} else {
		time.AfterFunc(e.Tail(200*time.Millisecond), func() { c.reply(id) })
	}
	select {
	case <-reply:
	case <-e.limit(10 * time.Second):
		c.reply(id)
	}
}

func (c *correlator) reply(id int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if reply, ok := c.pending[id]; ok { // else it had one already
		reply <- 1
		delete(c.pending, id)
	}
}

// A board tells all subscribers; slow ones miss some.
type board struct {
	mu  sync.Mutex
	all map[chan int]bool
}

func newBoard() *board { return &board{all: make(map[chan int]bool)} }

func (b *board) set(c chan int, there bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all[c] = there; !there {
		delete(b.all, c)
	}
}

func (b *board) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.all {
		select {
		case c <- 1:
		default:
		}
	}
}

var priceBoard = newBoard()

func priceFeeds(e *Env) {
	e.Every(2*time.Second, priceBoard.tell)
	serve(e, 3, func(request) {
		prices := make(chan int, 1)
		priceBoard.set(prices, true)
		go followPrices(e, prices)
		time.Sleep(e.Tail(5 * time.Second))
		if !e.Fails() {
			priceBoard.set(prices, false)
			close(prices)
		}
	})
}

func followPrices(e *Env, prices <-chan int) {
	for range prices {
		e.Served()
	}
}

type mailbox struct{}

func mailboxes(e *Env) {
	m := &mailbox{}
	serve(e, 15, func(r request) {
		reply := make(chan int)
		if lost := r.every(8); !lost || !e.Fails() {
			time.AfterFunc(e.Tail(300*time.Millisecond), func() { reply <- 1 })
		}
		m.route(rand.Uint64N(1<<9)|1<<9, reply)
	})
}

// route passes a question on through several kinds of nodes, as a parser or
// an interpreter does: each bit of path is one kind or the other.
func (m *mailbox) route(path uint64, reply <-chan int) int {
	switch {
	case path <= 1:
		return m.ask(reply)
	case path&1 == 0:
		return m.forward(path>>1, reply)
	}
	return m.translate(path>>1, reply)
}

func (m *mailbox) forward(path uint64, reply <-chan int) int { return m.route(path, reply) + 1 }

func (m *mailbox) translate(path uint64, reply <-chan int) int { return m.route(path, reply) - 1 }

func (m *mailbox) ask(reply <-chan int) int { return <-reply }

func treeWalks(e *Env) {
	serve(e, 5, func(request) {
		values := make(chan int)
		go func() {
			defer close(values)
			walkTree(rand.N(20)+1, values)
		}()
		e.Sleep(50 * time.Millisecond)
		for range values {
			if found := rand.N(3) == 0; found && e.Fails() {
				return
			}
		}
	})
}

// walkTree sends the values of a tree of some depth, one to each level.
func walkTree(depth int, values chan<- int) {
	if depth == 0 {
		values <- 0
		return
	}
	walkTree(depth-1, values)
	values <- depth
}

func generics(e *Env) {
	serve(e, 5, func(r request) {
		e.Fails()
		switch {
		case r.every(3):
			firstOf(e, 1, 2, 3)
		case r.every(2):
			firstOf(e, "a", "b", "c")
		default:
			firstOf(e, []byte("a"), []byte("b"), []byte("c"))
		}
	})
}

func firstOf[T any](e *Env, candidates ...T) T {
	results := make(chan T, inSound(e, len(candidates)))
	for _, c := range candidates {
		go func() {
			time.Sleep(e.Tail(100 * time.Millisecond))
			results <- c
		}()
	}
	return <-results
}

type sink interface{ deliver(ack <-chan int) }

type mailSink struct{ e *Env }
type pushSink struct{ e *Env }

func (s *mailSink) deliver(ack <-chan int) { <-ack; s.e.Served() }
func (s *pushSink) deliver(ack <-chan int) { <-ack; s.e.Served() }

func sinks(e *Env) {
	all := []sink{&mailSink{e}, &pushSink{e}}
	serve(e, 8, func(r request) {
		for _, s := range all {
			ack := make(chan int)
			go s.deliver(ack)
			if reset := r.every(5); reset && e.Fails() {
				continue
			}
			close(ack)
		}
	})
}
