// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

// hangAfter is how long after its deadline a capture counts as hung. It was told
// to end, and no monitor waits for it any longer.
const hangAfter = capture.Deadline

// A capturer takes snapshots. *capture.Capturer is the real one. Except for Abort and
// Counts, it is not safe for concurrent use.
type capturer interface {
	Take() (*goroutine.Snapshot, []capture.Skip)
	Early() (*goroutine.Snapshot, []capture.Skip)
	Labelled(keys []string, at func(goroutine.StackID) bool) (*goroutine.Snapshot, *capture.Skip)
	Prove(base *goroutine.Snapshot) (*goroutine.Snapshot, *capture.Skip)
	Text() (*goroutine.Snapshot, *capture.Skip)
	Dump() (*capture.Dump, *capture.Skip)
	Locks() (*goroutine.Snapshot, *capture.Skip)
	Window(span time.Duration, stop <-chan struct{}) (*goroutine.Snapshot, *capture.Skip)
	Recording() []byte
	Spare(window time.Duration) bool
	Counts() (goroutines, created int64)
	Charge(work time.Duration)
	Configure(capture.Config)
	Abort() // ends the capture in progress, as soon as the runtime permits
}

// A taker owns the capturer of this process and the goroutine that uses it. All
// monitors share one, so that there are never two captures at a time, one budget
// pays for all, and they do not compete for the runtime's tracer.
//
// Captures are calls into the runtime that cannot be interrupted. One that hangs,
// as when the reader of another execution trace has stalled, holds up this
// goroutine and no other.
type taker struct {
	capturer capturer
	jobs     chan func()
	quit     chan struct{} // closed when no monitor is left
	done     chan struct{} // closed when the goroutine has ended

	charged atomic.Int64 // CPU time to deduct from the budget, in ns
	hung    atomic.Bool  // a capture was given up and has not returned

	mu      sync.Mutex
	clients []*client // in the order in which they joined
	changed bool      // the clients, since the capturer was configured

	last *goroutine.Snapshot // used by the taker's goroutine only
}

func newTaker(c capturer) *taker {
	return &taker{capturer: c, jobs: make(chan func()), quit: make(chan struct{}), done: make(chan struct{})}
}

// run serves the clients until the last one leaves.
func (t *taker) run() {
	defer close(t.done)
	for {
		select {
		case job := <-t.jobs:
			t.prepare()
			job()
			if t.hung.Swap(false) && t.abandoned() {
				return
			}
		case <-t.quit:
			return
		}
	}
}

// prepare brings the capturer up to date before a job.
func (t *taker) prepare() {
	t.capturer.Charge(time.Duration(t.charged.Swap(0)))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed && len(t.clients) > 0 {
		t.capturer.Configure(merged(t.clients))
		t.changed = false
	}
}

// merged returns what the capturer may do for several clients: as much as the most
// careful of them allows. A process runs one flight recorder at a time, so the first
// that was handed over is used.
func merged(clients []*client) capture.Config {
	c := clients[0].config
	for _, other := range clients[1:] {
		c.Budget.CPU = min(c.Budget.CPU, other.config.Budget.CPU)
		c.Budget.Pause = min(c.Budget.Pause, other.config.Budget.Pause)
		c.Tracing = c.Tracing && other.config.Tracing
		c.LeakProof = c.LeakProof || other.config.LeakProof
		c.ProofSpacing = max(c.ProofSpacing, other.config.ProofSpacing)
		c.Recorder = cmp.Or(c.Recorder, other.config.Recorder)
		c.Labels = slices.Concat(c.Labels, other.config.Labels) // each engine takes its own
	}
	return c
}

func (t *taker) join(c *client) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clients, t.changed = append(t.clients, c), true
}

// leave removes a client and returns how many are left.
func (t *taker) leave(c *client) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clients = slices.DeleteFunc(t.clients, func(other *client) bool { return other == c })
	t.changed = true
	return len(t.clients)
}

// An outcome is what a job ends with.
type outcome[T any] struct {
	value    T
	panicked any
}

// ask runs f on the taker's goroutine and returns its value. At the deadline, or
// when stop is closed, the capture is told to end. A capture that does not end
// then is left behind, and ok is false: until it returns, nothing can be asked. A
// panic in f continues in the caller.
func ask[T any](t *taker, stop <-chan struct{}, f func() T) (value T, ok bool) {
	result := make(chan outcome[T], 1)
	if !t.submit(func() { result <- try(f) }) {
		return value, false
	}
	deadline := time.NewTimer(capture.Deadline)
	defer deadline.Stop()
	select {
	case o := <-result:
		return o.unwrap(), true
	case <-deadline.C:
	case <-stop:
	}
	t.capturer.Abort()
	deadline.Reset(hangAfter)
	select {
	case o := <-result:
		return o.unwrap(), true
	case <-deadline.C:
	}
	t.hung.Store(true)
	select { // it may have returned while it was given up
	case o := <-result:
		t.hung.Store(false)
		return o.unwrap(), true
	default:
		return value, false
	}
}

// submit hands a job to the taker's goroutine. It waits for another job, but not for
// one that has been given up.
func (t *taker) submit(job func()) bool {
	if t.hung.Load() {
		return false
	}
	patience := time.NewTimer(capture.Deadline + hangAfter)
	defer patience.Stop()
	select {
	case t.jobs <- job:
		return true
	case <-patience.C:
		return false
	case <-t.done:
		return false
	}
}

func try[T any](f func() T) (o outcome[T]) {
	defer func() { o.panicked = recover() }()
	return outcome[T]{value: f()}
}

func (o outcome[T]) unwrap() T {
	if o.panicked != nil {
		panic(o.panicked)
	}
	return o.value
}

// running is the taker of this process, while there are monitors.
var running struct {
	sync.Mutex
	taker *taker
}

// joinProcess makes c a client of the taker of this process. A taker whose capture
// hangs is joined as well: there are never two captures at a time.
func joinProcess(c *client) {
	running.Lock()
	defer running.Unlock()
	if running.taker == nil {
		running.taker = newTaker(capture.New(c.config))
		go running.taker.run()
	}
	c.taker = running.taker
	c.taker.join(c)
}

// leaveProcess removes a client. With the last one, the taker's goroutine ends. If
// a capture hangs, it ends when that returns, unless there are clients again.
func leaveProcess(c *client) {
	t := c.taker
	if !t.retire(c) {
		return
	}
	close(t.quit)
	<-t.done
}

// retire removes a client and reports whether the goroutine is to be ended now.
func (t *taker) retire(c *client) bool {
	running.Lock()
	defer running.Unlock()
	if t.leave(c) > 0 || t.hung.Load() {
		return false
	}
	t.forget()
	return true
}

// abandoned reports whether there are no clients left, after a capture that hung
// has returned.
func (t *taker) abandoned() bool {
	running.Lock()
	defer running.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.clients) > 0 {
		return false
	}
	t.forget()
	return true
}

// forget requires that running is locked.
func (t *taker) forget() {
	if running.taker == t {
		running.taker = nil
	}
}
