// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
)

// timed has goroutines that are woken by timers, which are never stopped.
var timed = []program{
	{cartsExpire, "timed-cart-expiry", "timed-cart-expiry-stopped"},
	{progressReports, "timed-progress-per-request", "timed-progress-per-request-stopped"},
	{janitorsPerRequest, "timed-janitor-per-request", "timed-janitor-of-all-requests"},
	{rateMeters, "timed-meter-per-client", "timed-meter-per-client-stopped"},
	{reconnectors, "timed-retry-outlives", "timed-retry-ends"},
}

// requested is a service without a dependency whose path /work is called so many
// times a minute.
func requested(e *Env, perMinute float64, work func()) {
	s := newHost(e)
	s.handle("/work", func(request) { work() })
	s.open(Outside{Calls: []Calls{{Path: "/work", PerSecond: e.perMinute(perMinute)}}})
}

// cartsExpire has a goroutine for each cart, which expires it after half a day,
// also when it was paid.
func cartsExpire(e *Env) {
	p := path{e: e}
	requested(e, 30, func() {
		paid := make(chan struct{})
		go expireCart(e, paid)
		time.Sleep(e.Tail(20 * time.Second))
		if !p.fails() {
			close(paid)
		}
	})
}

func expireCart(e *Env, paid <-chan struct{}) {
	select {
	case <-time.After(e.Dur(12 * time.Hour)):
	case <-paid:
	}
}

// progressReports are many.
func progressReports(e *Env) {
	requested(e, 60, func() {
		done := make(chan struct{})
		go reportProgress(e, done)
		time.Sleep(e.Tail(2 * time.Second))
		if !e.Fails() {
			close(done)
		}
	})
}

func reportProgress(e *Env, done <-chan struct{}) {
	ticker := time.NewTicker(e.Dur(30 * time.Second))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-done:
			return
		}
	}
}

// janitorsPerRequest makes a cache for each request, or one for all. The library
// has a janitor for each cache, and no way to stop it.
func janitorsPerRequest(e *Env) {
	own := func() *expirable.LRU[int, int] { return expirable.NewLRU[int, int](100, nil, e.Dur(100*time.Minute)) }
	all := own()
	requested(e, 10, func() {
		c := all
		if e.Fails() {
			c = own()
		}
		c.Add(1, 1)
		time.Sleep(e.Tail(time.Second))
	})
}

// A rateMeter is of a client, and decays by itself.
type rateMeter struct {
	rate    atomic.Int64
	stopped atomic.Bool
}

func rateMeters(e *Env) {
	p := path{e: e}
	requested(e, 30, func() {
		m := &rateMeter{}
		go m.decay(e)
		for range 10 {
			m.rate.Add(100)
			time.Sleep(e.Tail(500 * time.Millisecond))
		}
		m.stopped.Store(!p.fails())
	})
}

func (m *rateMeter) decay(e *Env) {
	for !m.stopped.Load() {
		time.Sleep(e.Dur(10 * time.Second))
		m.rate.Store(m.rate.Load() / 2)
	}
}

// reconnectors try what fails for ever, longer than there is need for it.
func reconnectors(e *Env) {
	requested(e, 10, func() {
		var given atomic.Bool
		go reconnect(e, &given)
		time.Sleep(e.Tail(5 * time.Second))
		given.Store(!e.Fails())
	})
}

func reconnect(e *Env, given *atomic.Bool) {
	for pause := time.Second; !given.Load(); pause = min(2*pause, time.Minute) {
		if tryConnect() == nil {
			return
		}
		<-time.After(e.Dur(pause))
	}
}

func tryConnect() error { return errors.New("refused") }
