// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"sync"
	"time"
)

var nevers = []program{
	{plugins, "nil-channel-receive", "nil-channel-made"},
	{countedRequests, "nil-channel-send", ""},
	{caseTurnedOff, "", "nil-channel-in-select"},
	{func(e *Env) { serve(e, 2, func(request) { e.Fails(); go keepTenant(e) }) }, "select-without-cases", ""},
	{tenantsThatLeave, "", "select-until-tenant-leaves"},
	{cursors, "nil-channel-after-reset", ""},
}

type plugin struct{ events chan int }

func plugins(e *Env) {
	ordinary(e)
	for i := range 3 {
		p := &plugin{}
		if i != 1 || !e.Fails() {
			p.events = make(chan int)
			e.Every(10*time.Second, func() { p.events <- 1 })
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

func countedRequests(e *Env) {
	m := &metrics{}
	serve(e, 4, func(r request) {
		if r.every(6) {
			e.Fails()
			m.count(1)
		}
	})
}

func (m *metrics) count(n int) { m.counts <- n }

func caseTurnedOff(e *Env) {
	ordinary(e)
	in := make(chan int)
	var out chan int
	again(1, func() {
		select {
		case <-in:
			e.Served()
		case out <- 1:
		}
	})
	e.Every(10*time.Second, func() { in <- 1 })
}

func keepTenant(e *Env) {
	e.After(time.Minute, e.Served)
	select {}
}

func tenantsThatLeave(e *Env) {
	serve(e, 2, func(request) {
		left := make(chan struct{})
		var loops sync.WaitGroup
		loops.Go(func() { <-left })
		time.AfterFunc(e.Tail(10*time.Second), func() { close(left) })
		loops.Wait()
	})
}

type cursor struct {
	mu    sync.Mutex
	items chan int
}

func cursors(e *Env) {
	c := &cursor{items: make(chan int, 1)}
	e.Every(2*time.Second, func() {
		select {
		case c.channel() <- 1:
		default:
		}
	})
	e.After(5*time.Minute, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.items = nil
		e.Fails()
	})
	serve(e, 3, func(request) { c.next() })
}

func (c *cursor) channel() chan int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.items
}

func (c *cursor) next() int {
	items := c.channel()
	return <-items
}
