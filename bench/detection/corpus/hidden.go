package corpus

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

func hidden() []Scenario {
	return []Scenario{
		{
			Name: "slow-leak-heavy-traffic", Class: SlowLeak, Faulty: true, Expect: leak("(*auditTrail).record"),
			Doc: "One request in eighty leaves a goroutine behind, under a hundred and twenty requests a second.",
			Run: func(e *Env) { auditTrails(e, 120, 80) },
		},
		{
			Name: "slow-leak-none", Class: SlowLeak,
			Doc: "A hundred and twenty requests a second, all of whose goroutines end.",
			Run: func(e *Env) { auditTrails(e, 120, 1<<60) },
		},
		{
			Name: "slow-leak-nightly-job", Class: SlowLeak, Faulty: true, Expect: leak("syncPartner"),
			Doc: "A job that runs every five minutes leaves three goroutines behind each time.",
			Run: func(e *Env) { partnerSyncs(e, 0) },
		},
		{
			Name: "slow-leak-nightly-job-sound", Class: SlowLeak,
			Doc: "A job runs every five minutes and takes one or two.",
			Run: func(e *Env) { partnerSyncs(e, 3) },
		},
		{
			Name: "shared-stack-with-short", Class: SharedStack, Faulty: true, Expect: leak("(*hub).await"),
			Doc: "Every hundredth of those who wait for an answer never gets one; the others wait seconds at the same line.",
			Run: func(e *Env) { hubs(e, 60, 30*time.Second, 40) },
		},
		{
			Name: "shared-stack-with-short-sound", Class: SharedStack,
			Doc: "All who wait for an answer get one within seconds.",
			Run: func(e *Env) { hubs(e, 60, 30*time.Second, 1<<60) },
		},
		{
			Name: "shared-stack-with-long", Class: SharedStack, Faulty: true, Expect: leak("(*hub).await"),
			Doc: "Some who wait for an answer never get one; the others wait up to eight minutes at the same line.",
			Run: func(e *Env) { hubs(e, 20, 8*time.Minute, 6) },
		},
		{
			Name: "shared-stack-with-long-sound", Class: SharedStack,
			Doc: "All who wait for an answer get one within eight minutes.",
			Run: func(e *Env) { hubs(e, 20, 8*time.Minute, 1<<60) },
		},
		{
			Name: "shared-stack-with-pool", Class: SharedStack, Faulty: true, Expect: leak("batchWorker"),
			Doc: "Leaked workers stand where the thirty workers of a healthy pool wait for jobs.",
			Run: func(e *Env) {
				jobs := make(chan int)
				for range 30 {
					go batchWorker(e, jobs)
				}
				e.Arrive(20, func() { jobs <- 1 })
				batches(e, false)
			},
		},
		{
			Name: "reachable-pending-map", Class: Reachable, Faulty: true, Expect: leak("(*correlator).call"),
			Doc: "Replies are matched through a global map of pending calls; lost replies stay in it for ever.",
			Run: func(e *Env) { correlate(e, 0) },
		},
		{
			Name: "reachable-pending-map-expiring", Class: Reachable,
			Doc: "Replies are matched through a global map of pending calls; lost ones are given up on after ten seconds.",
			Run: func(e *Env) { correlate(e, 10*time.Second) },
		},
		{
			Name: "reachable-subscribers-list", Class: Reachable, Faulty: true, Expect: leak("followPrices"),
			Doc: "Subscribers to a global list do not unsubscribe, and their goroutines receive for ever.",
			Run: func(e *Env) { priceFeeds(e, false) },
		},
		{
			Name: "reachable-subscribers-leave", Class: Reachable,
			Doc: "Subscribers to a global list unsubscribe after a while.",
			Run: func(e *Env) { priceFeeds(e, true) },
		},
		{
			Name: "reachable-once", Class: Reachable, Faulty: true, Expect: []Expectation{{"leak", "(*correlator).call", 1}},
			Beyond: "a single goroutine that waits looks like an idle worker, and a global refers to its channel, so that the runtime cannot prove it either",
			Doc:    "One reply is lost, and its call stays in a global map.",
			Run: func(e *Env) {
				ordinary(e)
				go pendingCalls.call(e, true, 0)
			},
		},
		{
			Name: "many-paths", Class: ManyPaths, Faulty: true, Expect: leak("(*mailbox).ask"),
			Doc: "A helper that now and then waits for ever is reached through hundreds of call paths.",
			Run: func(e *Env) { mailboxes(e, 8) },
		},
		{
			Name: "many-paths-sound", Class: ManyPaths,
			Doc: "A helper that waits for a moment is reached through hundreds of call paths.",
			Run: func(e *Env) { mailboxes(e, 1<<60) },
		},
		{
			Name: "recursion", Class: ManyPaths, Faulty: true, Expect: leak("walkTree"),
			Doc: "A tree is walked by recursion of various depths; some leaves wait for a reader that has left.",
			Run: func(e *Env) { treeWalks(e, true) },
		},
		{
			Name: "recursion-sound", Class: ManyPaths,
			Doc: "A tree is walked by recursion of various depths, and its values are read to the end.",
			Run: func(e *Env) { treeWalks(e, false) },
		},
		{
			Name: "generic-function", Class: ManyPaths, Faulty: true, Expect: leak("firstOf"),
			Doc: "A generic helper returns the first result; with each of its types the others are left to send.",
			Run: func(e *Env) { generics(e, 0) },
		},
		{
			Name: "generic-function-buffered", Class: ManyPaths,
			Doc: "A generic helper returns the first result, and the others fit the buffer.",
			Run: func(e *Env) { generics(e, 3) },
		},
		{
			Name: "goroutines-behind-an-interface", Class: ManyPaths, Faulty: true, Expect: leak("(*mailSink).deliver", "(*pushSink).deliver"),
			Doc: "Sinks of several kinds are called through an interface on goroutines; each waits for an acknowledgement that a reset loses.",
			Run: func(e *Env) { sinks(e, true) },
		},
		{
			Name: "goroutines-behind-an-interface-sound", Class: ManyPaths,
			Doc: "Sinks of several kinds are called through an interface on goroutines, and a reset is told to all who wait.",
			Run: func(e *Env) { sinks(e, false) },
		},
	}
}

type auditTrail struct{ entries chan int }

func auditTrails(e *Env, perSecond float64, nth int64) {
	a := &auditTrail{make(chan int, 16)}
	go batchWorker(e, a.entries)
	var n counter
	s := newSite(e)
	s.handle("/", func(context.Context) {
		time.Sleep(e.Tail(100 * time.Millisecond))
		stored := make(chan bool)
		go a.record(stored)
		if n.every(nth) {
			e.Fault()
			return
		}
		<-stored
	})
	s.visit(perSecond, "/")
}

func (a *auditTrail) record(stored chan<- bool) {
	select {
	case a.entries <- 1:
	default:
	}
	stored <- true
}

func partnerSyncs(e *Env, reads int) {
	ordinary(e)
	e.Every(5*time.Minute, func() {
		pages := make(chan int)
		for range 3 {
			go syncPartner(e, pages)
		}
		if reads == 0 {
			e.Fault()
		}
		for range reads {
			<-pages
			e.Served()
		}
	})
}

func syncPartner(e *Env, pages chan<- int) {
	time.Sleep(e.Tail(20 * time.Second))
	pages <- 1
}

// A hub answers those who wait at it.
type hub struct{ e *Env }

func hubs(e *Env, perSecond float64, longest time.Duration, nth int64) {
	h := &hub{e}
	var n counter
	ordinary(e)
	e.Arrive(perSecond, func() {
		answer := make(chan int, 1)
		if n.every(nth) {
			e.Fault()
		} else {
			time.AfterFunc(e.Between(longest/20, longest), func() { answer <- 1 })
		}
		h.await(answer)
	})
}

func (h *hub) await(answer <-chan int) {
	<-answer
	h.e.Served()
}

// A correlator matches replies to calls.
type correlator struct {
	mu      sync.Mutex
	next    int
	pending map[int]chan int
}

var pendingCalls = &correlator{pending: make(map[int]chan int)}

func correlate(e *Env, patience time.Duration) {
	var n counter
	serve(e, 10, func(context.Context) { pendingCalls.call(e, n.every(4), patience) })
}

func (c *correlator) call(e *Env, lost bool, patience time.Duration) {
	reply := make(chan int, 1)
	c.mu.Lock()
	c.next++
	id := c.next
	c.pending[id] = reply
	c.mu.Unlock()
	if lost && patience == 0 {
		e.Fault()
	}
	if !lost {
		time.AfterFunc(e.Tail(200*time.Millisecond), func() { c.reply(id) })
	}
	var enough <-chan time.Time
	if patience > 0 {
		enough = time.After(e.Dur(patience))
	}
	select {
	case <-reply:
		e.Served()
	case <-enough:
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

var priceSubscribers struct {
	sync.Mutex
	all map[chan int]bool
}

func priceFeeds(e *Env, leave bool) {
	priceSubscribers.all = make(map[chan int]bool)
	e.Every(2*time.Second, func() {
		priceSubscribers.Lock()
		defer priceSubscribers.Unlock()
		for c := range priceSubscribers.all {
			select {
			case c <- 1:
			default:
			}
		}
	})
	serve(e, 3, func(context.Context) {
		prices := make(chan int, 1)
		priceSubscribers.Lock()
		priceSubscribers.all[prices] = true
		priceSubscribers.Unlock()
		go followPrices(e, prices)
		time.Sleep(e.Tail(5 * time.Second))
		if !leave {
			e.Fault()
			return
		}
		priceSubscribers.Lock()
		defer priceSubscribers.Unlock()
		delete(priceSubscribers.all, prices)
		close(prices)
	})
}

func followPrices(e *Env, prices <-chan int) {
	for range prices {
		e.Served()
	}
}

type mailbox struct{ e *Env }

func mailboxes(e *Env, nth int64) {
	m := &mailbox{e}
	var n counter
	serve(e, 15, func(context.Context) {
		reply := make(chan int)
		lost := n.every(nth)
		if lost {
			e.Fault()
		} else {
			time.AfterFunc(e.Tail(300*time.Millisecond), func() { reply <- 1 })
		}
		m.route(rand.Uint64N(1<<9)|1<<9, reply)
		e.Served()
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

func treeWalks(e *Env, stops bool) {
	serve(e, 5, func(context.Context) {
		values := make(chan int)
		go func() {
			defer close(values)
			walkTree(rand.N(20)+1, values)
		}()
		e.Sleep(50 * time.Millisecond)
		for range values {
			if stops && rand.N(3) == 0 {
				e.Fault()
				return // with what was looked for
			}
		}
		e.Served()
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

func generics(e *Env, buffer int) {
	var n counter
	serve(e, 5, func(context.Context) {
		if buffer == 0 {
			e.Fault()
		}
		switch {
		case n.every(3):
			firstOf(e, buffer, 1, 2, 3)
		case n.every(2):
			firstOf(e, buffer, "a", "b", "c")
		default:
			firstOf(e, buffer, []byte("a"), []byte("b"), []byte("c"))
		}
		e.Served()
	})
}

func firstOf[T any](e *Env, buffer int, candidates ...T) T {
	results := make(chan T, buffer)
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

func sinks(e *Env, loses bool) {
	all := []sink{&mailSink{e}, &pushSink{e}}
	var n counter
	serve(e, 8, func(context.Context) {
		for _, s := range all {
			ack := make(chan int)
			go s.deliver(ack)
			reset := n.every(5)
			if reset && loses {
				e.Fault()
				continue
			}
			close(ack)
		}
	})
}
