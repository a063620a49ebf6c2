package corpus

import (
	"context"
	"sync"
	"time"
)

func conds() []Scenario {
	return []Scenario{
		{
			Name: "cond-signal-before-wait", Class: LostSignal, Faulty: true, Expect: leak("(*upload).awaitAck"),
			Doc: "An upload waits for its acknowledgement without looking whether it has come already.",
			Run: func(e *Env) { uploads(e, false) },
		},
		{
			Name: "cond-checked-wait", Class: LostSignal,
			Doc: "An upload waits for its acknowledgement unless it has come already.",
			Run: func(e *Env) { uploads(e, true) },
		},
		{
			Name: "cond-signal-wakes-the-wrong-one", Class: LostSignal, Faulty: true, Expect: leak("(*ring).put"),
			Doc: "Producers and consumers wait on one Cond, and Signal wakes one who cannot go on: in the end all wait.",
			Run: func(e *Env) { rings(e, false) },
		},
		{
			Name: "cond-broadcast", Class: LostSignal,
			Doc: "Producers and consumers wait on one Cond, and Broadcast wakes all.",
			Run: func(e *Env) { rings(e, true) },
		},
		{
			Name: "cond-gate-never-opened", Class: LostSignal, Faulty: true, Expect: leak("(*turnstile).pass"),
			Doc: "A gate is closed for maintenance; opening it signals one of those who wait instead of all.",
			Run: func(e *Env) { turnstiles(e, false) },
		},
		{
			Name: "cond-gate-opened", Class: LostSignal,
			Doc: "A gate is closed for maintenance, and opening it wakes all who wait.",
			Run: func(e *Env) { turnstiles(e, true) },
		},
	}
}

type upload struct {
	mu    sync.Mutex
	acked *sync.Cond
	done  bool
}

func uploads(e *Env, checks bool) {
	var n counter
	serve(e, 8, func(context.Context) {
		u := &upload{}
		u.acked = sync.NewCond(&u.mu)
		early := n.every(3)
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
			if !checks {
				e.Fault()
			}
		}
		u.awaitAck(checks)
		e.Served()
	})
}

func (u *upload) awaitAck(checks bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !checks {
		u.acked.Wait()
		return
	}
	for !u.done {
		u.acked.Wait()
	}
}

// A ring is a bounded queue.
type ring struct {
	mu        sync.Mutex
	changed   *sync.Cond
	items     []int
	broadcast bool
	moved     time.Time
}

func rings(e *Env, broadcast bool) {
	r := &ring{broadcast: broadcast, moved: time.Now()}
	r.changed = sync.NewCond(&r.mu)
	for range 6 {
		go func() {
			for {
				r.get()
				e.Sleep(10 * time.Millisecond)
				e.Served()
			}
		}()
	}
	e.Every(5*time.Second, func() {
		for range 20 {
			go r.put(1)
		}
	})
	serve(e, 6, func(context.Context) { r.put(1) })
	e.Every(time.Second, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if time.Since(r.moved) > e.Dur(2*time.Minute) && !r.broadcast {
			r.moved = time.Now().Add(time.Hour)
			e.Fault()
		}
	})
}

func (r *ring) put(item int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.items) >= 1 {
		r.changed.Wait()
	}
	r.items = append(r.items, item)
	r.wake()
}

func (r *ring) get() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.items) == 0 {
		r.changed.Wait()
	}
	item := r.items[0]
	r.items = r.items[1:]
	r.wake()
	return item
}

func (r *ring) wake() {
	r.moved = time.Now()
	if r.broadcast {
		r.changed.Broadcast()
		return
	}
	r.changed.Signal()
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

func turnstiles(e *Env, all bool) {
	var mu sync.Mutex
	current := newTurnstile()
	e.Every(40*time.Second, func() {
		old := current
		old.set(true)
		e.Sleep(20 * time.Second)
		mu.Lock()
		current = newTurnstile() // one for each batch
		mu.Unlock()
		e.Sleep(6 * time.Second) // for those who are on their way
		old.set(false)
		if all {
			old.opened.Broadcast()
			return
		}
		old.opened.Signal()
		e.Fault()
	})
	serve(e, 20, func(context.Context) {
		mu.Lock()
		t := current
		mu.Unlock()
		e.Sleep(5 * time.Second)
		t.pass()
		e.Served()
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
