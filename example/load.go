package main

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

const (
	steadyCallers = 8
	burstCallers  = 16
)

// startLoad starts callers that never pause for long, and every other second
// a burst of more of them.
func (s *service) startLoad(ctx context.Context) {
	for range steadyCallers {
		s.running.Go(func() { s.keepCalling(ctx) })
	}
	s.running.Go(func() {
		for wait(ctx, 2*time.Second) {
			s.burst(ctx)
		}
	})
}

func (s *service) keepCalling(ctx context.Context) {
	for wait(ctx, time.Duration(20+rand.IntN(40))*time.Millisecond) {
		s.callAll(ctx)
	}
}

func (s *service) burst(ctx context.Context) {
	var callers sync.WaitGroup
	for range burstCallers {
		callers.Go(func() { s.callAll(ctx) })
	}
	callers.Wait()
}

func (s *service) callAll(ctx context.Context) {
	s.call(ctx, http.MethodPost, "/order")
	s.call(ctx, http.MethodGet, "/stock")
	s.call(ctx, http.MethodGet, "/warehouse")
}

// call makes one request. Whether it succeeds is of no interest to the load.
func (s *service) call(ctx context.Context, method, path string) {
	_ = request(ctx, s.client, method, s.shop.url(path), io.Discard)
}

// wait waits for d and reports whether ctx is still alive.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
