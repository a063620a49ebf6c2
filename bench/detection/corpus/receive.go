package corpus

import (
	"context"
	"sync"
	"time"
)

func receives() []Scenario {
	return []Scenario{
		{
			Name: "receive-reply-dropped", Class: AbandonedReceive, Faulty: true, Expect: leak("(*rpcDesk).ask"),
			Doc: "A worker that cannot serve a request logs it and forgets to reply; who asked waits for ever.",
			Run: func(e *Env) { rpcDesks(e, false) },
		},
		{
			Name: "receive-reply-always", Class: AbandonedReceive,
			Doc: "A worker replies to every request, with an error if it cannot serve it.",
			Run: func(e *Env) { rpcDesks(e, true) },
		},
		{
			Name: "receive-producer-failed", Class: AbandonedReceive, Faulty: true, Expect: leak("consumeFeed"),
			Doc: "A producer returns on an error before it has sent what the consumer counts on.",
			Run: func(e *Env) { feeds(e, false) },
		},
		{
			Name: "receive-producer-closes", Class: AbandonedReceive,
			Doc: "A producer closes its channel whichever way it ends.",
			Run: func(e *Env) { feeds(e, true) },
		},
		{
			Name: "receive-never-ready", Class: AbandonedReceive, Faulty: true, Expect: leak("(*component).await"),
			Doc: "The channel that says a component is ready is closed on success only; those who wait for a failed one wait for ever.",
			Run: func(e *Env) { components(e, false) },
		},
		{
			Name: "receive-ready-or-failed", Class: AbandonedReceive,
			Doc: "The channel that says a component is ready is closed when it failed, too.",
			Run: func(e *Env) { components(e, true) },
		},
		{
			Name: "receive-once-after-shutdown", Class: AbandonedReceive, Faulty: true, Expect: []Expectation{{"leak", "followLeader", 1}}, Proof: true,
			Beyond: "a single goroutine that waits looks like an idle worker, however long one watches",
			Doc:    "The leader that one follower waits for is replaced, and the old one's channel is dropped unclosed.",
			Run: func(e *Env) {
				ordinary(e)
				updates := make(chan int)
				go followLeader(e, updates)
				for i := range 3 {
					updates <- i
				}
				e.Fault()
			},
		},
		{
			Name: "receive-idle-worker", Class: AbandonedReceive,
			Doc: "A single worker waits for a job that comes hardly ever.",
			Run: func(e *Env) {
				s := ordinary(e)
				jobs := make(chan int)
				go followLeader(e, jobs)
				s.handle("/rare", func(context.Context) { jobs <- 1 })
				e.Every(20*time.Minute, func() { _ = s.get(s.client, "/rare") })
			},
		},
	}
}

type rpcDesk struct {
	e        *Env
	requests chan rpcRequest
	replies  bool // to everything
}

type rpcRequest struct {
	bad   bool
	reply chan int
}

func rpcDesks(e *Env, replies bool) {
	d := &rpcDesk{e: e, requests: make(chan rpcRequest), replies: replies}
	for range 4 {
		go d.work()
	}
	var n counter
	serve(e, 15, func(context.Context) {
		d.ask(n.every(5))
		e.Served()
	})
}

func (d *rpcDesk) ask(bad bool) int {
	r := rpcRequest{bad, make(chan int)}
	d.requests <- r
	return <-r.reply
}

func (d *rpcDesk) work() {
	for r := range d.requests {
		time.Sleep(d.e.Tail(200 * time.Millisecond))
		if r.bad && !d.replies {
			d.e.Fault()
			continue
		}
		r.reply <- 1
	}
}

func feeds(e *Env, closes bool) {
	var n counter
	serve(e, 8, func(context.Context) {
		items := make(chan int)
		go consumeFeed(e, items)
		produceFeed(e, items, n.every(3), closes)
	})
}

func consumeFeed(e *Env, items <-chan int) {
	for range 10 {
		if _, ok := <-items; !ok {
			return
		}
	}
	e.Served()
}

func produceFeed(e *Env, items chan<- int, fails, closes bool) {
	if closes {
		defer close(items)
	}
	for i := range 10 {
		time.Sleep(e.Dur(20 * time.Millisecond))
		if fails && i == 6 {
			if !closes {
				e.Fault()
			}
			return
		}
		items <- i
	}
}

// A component starts in the background.
type component struct {
	ready chan struct{}
}

func startComponent(e *Env, fails, tellsAll bool) *component {
	c := &component{make(chan struct{})}
	go func() {
		time.Sleep(e.Tail(time.Second))
		if fails && !tellsAll {
			e.Fault()
			return
		}
		close(c.ready)
	}()
	return c
}

func (c *component) await() { <-c.ready }

func components(e *Env, tellsAll bool) {
	var mu sync.Mutex
	var n counter
	current := startComponent(e, false, tellsAll)
	e.Every(time.Minute, func() {
		c := startComponent(e, n.every(2), tellsAll)
		mu.Lock()
		current = c
		mu.Unlock()
	})
	serve(e, 10, func(context.Context) {
		mu.Lock()
		c := current
		mu.Unlock()
		c.await()
		e.Served()
	})
}

func followLeader(e *Env, updates <-chan int) {
	for range updates {
		e.Served()
	}
}
