// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

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

const (
	steadyCallers = 8
	burstCallers  = 16
	mostOnTide    = 48
)

// startLoad starts callers that never pause for long and, every other second, a
// burst of additional callers. A light load is one of these callers. With tides,
// there are more callers for some of the time, and additional bursts four times as
// large.
func (s *service) startLoad(ctx context.Context, load string) {
	if load == "light" {
		s.running.Go(func() { s.keepCalling(ctx) })
		return
	}
	for range steadyCallers {
		s.running.Go(func() { s.keepCalling(ctx) })
	}
	s.running.Go(func() { s.keepBursting(ctx, 2*time.Second, burstCallers) })
	if load == "tides" {
		s.running.Go(func() { s.followTheTide(ctx) })
		s.running.Go(func() { s.keepBursting(ctx, 40*time.Second, 4*burstCallers) })
	}
}

func (s *service) keepCalling(ctx context.Context) {
	for wait(ctx, time.Duration(20+rand.IntN(40))*time.Millisecond) {
		s.callAll(ctx)
	}
}

func (s *service) keepBursting(ctx context.Context, every time.Duration, callers int) {
	for wait(ctx, every) {
		var burst sync.WaitGroup
		for range callers {
			burst.Go(func() { s.callAll(ctx) })
		}
		burst.Wait()
	}
}

// followTheTide keeps the number of additional callers at the value of onTide.
func (s *service) followTheTide(ctx context.Context) {
	var leave []context.CancelFunc
	for began := time.Now(); wait(ctx, 250*time.Millisecond); {
		want := onTide(time.Since(began))
		for len(leave) < want {
			tide, cancel := context.WithCancel(ctx)
			leave = append(leave, cancel)
			s.running.Go(func() { s.keepCalling(tide) })
		}
		for ; len(leave) > want; leave = leave[:len(leave)-1] {
			leave[len(leave)-1]()
		}
	}
}

// onTide returns the number of additional callers at a time after the start. It
// models a day that lasts 24 minutes, with a wave every minute on top.
func onTide(since time.Duration) int {
	day := (1 - math.Cos(2*math.Pi*since.Minutes()/24)) / 2
	wave := (1 + math.Sin(2*math.Pi*since.Minutes())) / 2
	return int(mostOnTide * day * (0.7 + 0.3*wave))
}

func (s *service) callAll(ctx context.Context) {
	s.call(ctx, http.MethodPost, "/order")
	s.call(ctx, http.MethodGet, "/stock")
	s.call(ctx, http.MethodGet, "/warehouse")
}

// call makes one request. The load ignores whether the request succeeds.
func (s *service) call(ctx context.Context, method, path string) {
	_ = request(ctx, s.client, method, s.shop.url(path), io.Discard)
}

// wait waits for d and returns true, or returns false as soon as ctx ends.
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
