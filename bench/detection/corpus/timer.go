// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"sync/atomic"
	"time"
)

var timers = []program{
	{polledOrders, "ticker-poller-outlives", "ticker-poller-ends"},
	{limiters, "ticker-select-done-dropped", "ticker-select-stopped"},
	{func(e *Env) { serve(e, 6, func(request) { armTimeout(e) }) }, "timer-afterfunc-blocks", "timer-afterfunc-stopped"},
	{devices, "timer-after-loop", "timer-after-loop-ends"},
	{tokens, "sleep-loop-outlives", "sleep-loop-ends"},
}

func polledOrders(e *Env) {
	serve(e, 4, func(request) {
		var done atomic.Bool
		go pollOrder(e, &done)
		time.Sleep(e.Tail(2 * time.Second))
		done.Store(!e.Fails())
	})
}

func pollOrder(e *Env, done *atomic.Bool) {
	ticker := time.NewTicker(e.Dur(20 * time.Second))
	defer ticker.Stop()
	for range ticker.C {
		if done.Load() {
			return
		}
	}
}

type limiter struct {
	tokens atomic.Int64
	stop   chan struct{}
}

func limiters(e *Env) {
	serve(e, 4, func(request) {
		l := &limiter{stop: make(chan struct{})}
		go l.refill(e)
		time.Sleep(e.Tail(3 * time.Second)) // in the cache
		if !e.Fails() {
			close(l.stop)
		}
	})
}

func (l *limiter) refill(e *Env) {
	ticker := time.NewTicker(e.Dur(10 * time.Second))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.tokens.Store(10)
		case <-l.stop:
			return
		}
	}
}

func armTimeout(e *Env) {
	alarm := make(chan struct{}, inSound(e, 1))
	timer := time.AfterFunc(e.Dur(2*time.Second), func() { alarm <- struct{}{} })
	select {
	case <-alarm:
	case <-time.After(e.Tail(500 * time.Millisecond)):
		if !e.Fails() {
			timer.Stop()
		}
	}
}

type device struct{ alive chan struct{} }

func devices(e *Env) {
	serve(e, 4, func(request) {
		d := &device{make(chan struct{})}
		go d.watchdog(e)
		for range 3 {
			time.Sleep(e.Tail(500 * time.Millisecond))
			d.alive <- struct{}{}
		}
		e.Fails()
	})
}

func (d *device) watchdog(e *Env) {
	for missed := 0; missed < 3 || !e.sound; {
		select {
		case <-d.alive:
			missed = 0
		case <-time.After(e.Dur(15 * time.Second)):
			missed++
		}
	}
}

func tokens(e *Env) {
	serve(e, 4, func(request) {
		var closed atomic.Bool
		go refreshToken(e, &closed)
		time.Sleep(e.Tail(2 * time.Second))
		closed.Store(!e.Fails())
	})
}

func refreshToken(e *Env, closed *atomic.Bool) {
	for !closed.Load() {
		time.Sleep(e.Dur(20 * time.Second))
	}
}
