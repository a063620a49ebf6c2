package main

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// newClient returns an HTTP client that keeps as many connections open as the
// load has callers.
func newClient() *http.Client {
	return &http.Client{
		Timeout:   time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: steadyCallers + burstCallers},
	}
}

const (
	steadyCallers = 8
	burstCallers  = 16
)

// startLoad starts callers that never pause for long, and a burst of more of
// them every other second.
func (s *service) startLoad(ctx context.Context) {
	for range steadyCallers {
		s.running.Go(func() {
			for wait(ctx, time.Duration(20+rand.IntN(40))*time.Millisecond) {
				s.callAll(ctx)
			}
		})
	}
	s.running.Go(func() {
		for wait(ctx, 2*time.Second) {
			s.burst(ctx)
		}
	})
}

func (s *service) burst(ctx context.Context) {
	var callers sync.WaitGroup
	defer callers.Wait()
	for range burstCallers {
		callers.Go(func() { s.callAll(ctx) })
	}
}

func (s *service) callAll(ctx context.Context) {
	s.call(ctx, http.MethodPost, "/order")
	s.call(ctx, http.MethodGet, "/stock")
	s.call(ctx, http.MethodGet, "/warehouse")
}

// call makes one request. It reads the answer to the end, without which the
// connection could not be used again.
func (s *service) call(ctx context.Context, method, path string) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.listener.Addr().String()+path, nil)
	if err != nil {
		return
	}
	res, err := s.client.Do(req)
	if err != nil {
		return
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
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
