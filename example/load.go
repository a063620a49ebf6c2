package main

import (
	"context"
	"io"
	"math"
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
		Transport: &http.Transport{MaxIdleConnsPerHost: steadyCallers + burstCallers + mostOnTide},
	}
}

const (
	steadyCallers = 8
	burstCallers  = 16
	mostOnTide    = 48
)

// startLoad starts callers that never pause for long, and a burst of more of
// them every other second.
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

// startTides adds callers whose number follows a day that lasts 24 minutes,
// with a wave every minute on top, and bursts four times as large.
func (s *service) startTides(ctx context.Context) {
	s.running.Go(func() {
		var leave []context.CancelFunc
		for began := time.Now(); wait(ctx, 250*time.Millisecond); {
			want := onTide(time.Since(began))
			for len(leave) < want {
				tide, cancel := context.WithCancel(ctx)
				leave = append(leave, cancel)
				s.running.Go(func() { s.keepCalling(tide) })
			}
			for len(leave) > want {
				leave[len(leave)-1]()
				leave = leave[:len(leave)-1]
			}
		}
		for _, cancel := range leave {
			cancel()
		}
	})
	s.running.Go(func() {
		for wait(ctx, 40*time.Second) {
			for range 4 {
				s.running.Go(func() { s.burst(ctx) })
			}
		}
	})
}

// onTide returns how many more callers there are so long after the start.
func onTide(since time.Duration) int {
	day := (1 - math.Cos(2*math.Pi*since.Minutes()/24)) / 2
	wave := (1 + math.Sin(2*math.Pi*since.Minutes())) / 2
	return int(mostOnTide * day * (0.7 + 0.3*wave))
}

func (s *service) keepCalling(ctx context.Context) {
	for wait(ctx, time.Duration(20+rand.IntN(40))*time.Millisecond) {
		s.callAll(ctx)
	}
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
