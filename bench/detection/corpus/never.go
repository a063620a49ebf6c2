package corpus

import (
	"context"
	"sync"
	"time"
)

func nevers() []Scenario {
	blocked := func(function string) []Expectation { return []Expectation{{"blocked_forever", function, 1}} }
	return []Scenario{
		{
			Name: "nil-channel-receive", Class: Never, Faulty: true, Expect: blocked("(*plugin).listen"),
			Doc: "A plugin that was never opened listens on a channel that was never made, once.",
			Run: func(e *Env) { plugins(e, false) },
		},
		{
			Name: "nil-channel-made", Class: Never,
			Doc: "Every plugin's channel is made before it listens.",
			Run: func(e *Env) { plugins(e, true) },
		},
		{
			Name: "nil-channel-send", Class: Never, Faulty: true, Expect: blocked("(*metrics).count"),
			Doc: "A request counts into a channel that is set when metrics are turned on, which they are not.",
			Run: func(e *Env) {
				m := &metrics{}
				var n counter
				serve(e, 4, func(context.Context) {
					if n.every(6) {
						e.Fault()
						m.count(1)
					}
					e.Served()
				})
			},
		},
		{
			Name: "nil-channel-in-select", Class: Never,
			Doc: "A case of a select is turned off with a nil channel, while the other works.",
			Run: func(e *Env) {
				ordinary(e)
				in := make(chan int)
				go func() {
					var out chan int
					for {
						select {
						case <-in:
							e.Served()
						case out <- 1:
						}
					}
				}()
				e.Every(10*time.Second, func() { in <- 1 })
			},
		},
		{
			Name: "select-without-cases", Class: Never, Faulty: true, Expect: blocked("keepTenant"),
			Doc: "A goroutine for each tenant starts its loops and then keeps itself with select {}.",
			Run: func(e *Env) {
				serve(e, 2, func(context.Context) {
					e.Fault()
					go keepTenant(e)
					e.Served()
				})
			},
		},
		{
			Name: "select-until-tenant-leaves", Class: Never,
			Doc: "A goroutine for each tenant waits for the tenant to leave.",
			Run: func(e *Env) {
				serve(e, 2, func(context.Context) {
					left := make(chan struct{})
					var loops sync.WaitGroup
					loops.Go(func() { <-left })
					time.AfterFunc(e.Tail(10*time.Second), func() { close(left) })
					loops.Wait()
					e.Served()
				})
			},
		},
		{
			Name: "nil-channel-after-reset", Class: Never, Faulty: true, Expect: blocked("(*cursor).next"),
			Doc: "A cursor's channel is set to nil on a reset, and whoever asks for the next item then waits for ever.",
			Run: func(e *Env) { cursors(e) },
		},
	}
}

type plugin struct{ events chan int }

func plugins(e *Env, made bool) {
	ordinary(e)
	for i := range 3 {
		p := &plugin{}
		if made || i != 1 {
			p.events = make(chan int)
			e.Every(10*time.Second, func() { p.events <- 1 })
		} else {
			e.Fault()
		}
		go p.listen(e)
	}
}

func (p *plugin) listen(e *Env) {
	for range p.events {
		e.Served()
	}
}

type metrics struct{ counts chan int }

func (m *metrics) count(n int) { m.counts <- n }

func keepTenant(e *Env) {
	e.After(time.Minute, e.Served)
	select {}
}

type cursor struct {
	mu    sync.Mutex
	items chan int
}

func cursors(e *Env) {
	c := &cursor{items: make(chan int, 1)}
	fill := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		select {
		case c.items <- 1:
		default:
		}
	}
	e.Every(2*time.Second, fill)
	e.After(5*time.Minute, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.items = nil
		e.Fault()
	})
	serve(e, 3, func(context.Context) {
		c.next()
		e.Served()
	})
}

func (c *cursor) next() int {
	c.mu.Lock()
	items := c.items
	c.mu.Unlock()
	return <-items
}
