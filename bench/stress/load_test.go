// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package stress

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// A load is a service at work: requests over loopback, and goroutines that hand
// each other values.
type load struct {
	work   atomic.Int64 // requests that were answered
	server *httptest.Server
	client *http.Client
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

const (
	callers = 4
	players = 8
)

// newLoad starts the load. Each request counts itself in a metric of the
// service's own, which must not be held up either.
func newLoad(meter metric.Meter) *load {
	requests, err := meter.Int64Counter("requests")
	must(err)
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{stop: cancel, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}}}
	l.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(r.Context(), 1)
		l.work.Add(1)
		_, _ = io.WriteString(w, "done")
	}))
	for range callers {
		l.wg.Go(func() { l.call(ctx) })
	}
	ball := make(chan int)
	for range players {
		l.wg.Go(func() { play(ctx, ball) })
	}
	return l
}

func (l *load) call(ctx context.Context) {
	for ctx.Err() == nil {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.server.URL, nil)
		must(err)
		response, err := l.client.Do(request)
		if err != nil {
			continue // the end
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		time.Sleep(time.Millisecond)
	}
}

func play(ctx context.Context, ball chan int) {
	for n := 0; ; n++ {
		select {
		case ball <- n:
		case n = <-ball:
			time.Sleep(100 * time.Microsecond)
		case <-ctx.Done():
			return
		}
	}
}

// end stops the load and returns when nothing of it is left.
func (l *load) end() {
	l.stop()
	l.wg.Wait()
	l.client.CloseIdleConnections()
	l.server.Close()
}

// A crowd is goroutines that are parked until they are let go.
type crowd struct {
	gate chan struct{}
	wg   sync.WaitGroup
}

// gather parks n goroutines and returns when all of them are where they stay.
func gather(n int, park func(i int, gate <-chan struct{})) *crowd {
	c := &crowd{gate: make(chan struct{})}
	for i := range n {
		c.wg.Go(func() { park(i, c.gate) })
	}
	must(lab.AwaitParked())
	return c
}

// stand is where the goroutines of a crowd wait.
//
//go:noinline
func stand(_ int, gate <-chan struct{}) { <-gate }

func (c *crowd) leave() {
	close(c.gate)
	c.wg.Wait()
}
