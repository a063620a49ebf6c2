// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"sync"
	"time"
)

const (
	// maxWaiting bounds the deliveries that wait for the one under way.
	maxWaiting = 64
	// callPatience is how long the call of a handler or function may take once the
	// monitor is shut down, before it is left behind.
	callPatience = 10 * time.Second
)

// A courier calls the program's own handlers and functions, one at a time and in
// order, so that one that is slow or hangs holds up no snapshot. Its goroutine exists
// only while there is something to do. A panic is reported, and the next call is made.
type courier struct {
	survive func() // deferred for each call

	mu      sync.Mutex
	waiting []func()
	made    int           // calls that have ended
	running bool          // there is a goroutine
	done    chan struct{} // closed when the goroutine has ended
	closed  bool
}

// post has f called. It returns false if too much is waiting, or after close.
func (c *courier) post(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.waiting) >= maxWaiting {
		return false
	}
	c.waiting = append(c.waiting, f)
	if !c.running {
		c.running, c.done = true, make(chan struct{})
		go c.run()
	}
	return true
}

// busy reports whether there is anything to do.
func (c *courier) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running
}

// run makes the calls until none is waiting. A call that ends its goroutine, as
// t.FailNow does, has another one go on.
func (c *courier) run() {
	ended := false
	defer func() {
		if !ended {
			go c.run()
		}
	}()
	for f := c.next(); f != nil; f = c.next() {
		c.call(f)
	}
	ended = true
}

// next returns the next call, or nil when the goroutine has to end.
func (c *courier) next() func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		c.waiting, c.running = nil, false
		close(c.done)
		return nil
	}
	f := c.waiting[0]
	c.waiting = c.waiting[1:]
	return f
}

func (c *courier) call(f func()) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.made++
	}()
	defer c.survive()
	f()
}

// close refuses what comes from now on and waits for all that was posted. If a call
// does not end within callPatience, it is left behind, and what waits behind it is given
// up: close returns how many these are together.
func (c *courier) close() (lost int) {
	timer := time.NewTimer(callPatience)
	defer timer.Stop()
	done, made := c.stop()
	for {
		select {
		case <-done:
			return 0
		case <-timer.C:
		}
		before := made
		if made, lost = c.giveUp(before); made == before {
			return lost
		}
		timer.Reset(callPatience)
	}
}

// stop refuses what comes from now on.
func (c *courier) stop() (done <-chan struct{}, made int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if !c.running {
		return ended, c.made
	}
	return c.done, c.made
}

// giveUp drops all that waits, unless a call has ended since it was asked last.
func (c *courier) giveUp(before int) (made, lost int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made > before || !c.running {
		return c.made, 0
	}
	lost = 1 + len(c.waiting)
	c.waiting = nil
	return c.made, lost
}
