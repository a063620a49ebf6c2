// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"sync"
	"time"
)

var conds = []program{
	{uploads, "cond-signal-before-wait", "cond-checked-wait"},
	{rings, "cond-signal-wakes-the-wrong-one", "cond-broadcast"},
	{turnstiles, "cond-gate-never-opened", "cond-gate-opened"},
}

type upload struct {
	mu    sync.Mutex
	acked *sync.Cond
	done  bool
}

func uploads(e *Env) {
	serve(e, 8, func(r request) {
		u := &upload{}
		u.acked = sync.NewCond(&u.mu)
		early := r.every(3)
		go func() {
			if !early {
				e.Sleep(5 * time.Second)
			}
			u.mu.Lock()
			u.done = true
			u.acked.Signal()
			u.mu.Unlock()
		}()
		if early {
			e.Sleep(2 * time.Second)
			e.Fails()
		}
		u.awaitAck(e)
	})
}

func (u *upload) awaitAck(e *Env) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !e.sound {
		u.acked.Wait()
	}
	for !u.done {
		u.acked.Wait()
	}
}

// A ring is a queue of one item.
type ring struct {
	mu      sync.Mutex
	changed *sync.Cond
	items   []int
	moved   time.Time
}

func rings(e *Env) {
	r := &ring{moved: time.Now()}
	r.changed = sync.NewCond(&r.mu)
	again(6, func() {
		r.get(e)
		e.Sleep(10 * time.Millisecond)
		e.Served()
	})
	e.Every(5*time.Second, func() {
		for range 20 {
			go r.put(e, 1)
		}
	})
	serve(e, 6, func(request) { r.put(e, 1) })
	e.Every(time.Second, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !e.sound && time.Since(r.moved) > e.Dur(2*time.Minute) {
			r.moved = time.Now().Add(time.Hour)
			e.Fails()
		}
	})
}

func (r *ring) put(e *Env, item int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.items) >= 1 {
		r.changed.Wait()
	}
	r.items = append(r.items, item)
	r.wake(e)
}

func (r *ring) get(e *Env) (item int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.items) == 0 {
		r.changed.Wait()
	}
	item, r.items = r.items[0], r.items[1:]
	r.wake(e)
	return item
}

func (r *ring) wake(e *Env) {
	r.moved = time.Now()
	wakeAll(e, r.changed)
}

// wakeAll wakes all in a sound program, and one in a faulty one.
func wakeAll(e *Env, c *sync.Cond) {
	if e.sound {
		c.Broadcast()
		return
	}
	c.Signal()
}

// A turnstile can be closed for a while.
type turnstile struct {
	mu     sync.Mutex
	opened *sync.Cond
	shut   bool
}

func newTurnstile() *turnstile {
	t := &turnstile{}
	t.opened = sync.NewCond(&t.mu)
	return t
}

func turnstiles(e *Env) {
	var mu sync.Mutex
	current := newTurnstile()
	e.Every(40*time.Second, func() {
		old := current
		old.set(true)
		e.Sleep(20 * time.Second)
		mu.Lock()
		current = newTurnstile() // one for each batch
		mu.Unlock()
		e.Sleep(6 * time.Second) // for requests that are on their way
		old.set(false)
		wakeAll(e, old.opened)
		e.Fails()
	})
	serve(e, 20, func(request) {
		mu.Lock()
		t := current
		mu.Unlock()
		e.Sleep(5 * time.Second)
		t.pass()
	})
}

func (t *turnstile) set(shut bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shut = shut
}

func (t *turnstile) pass() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.shut {
		t.opened.Wait()
	}
}
