// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A service is a miniature web shop made of the usual parts of a service: an
// HTTP server, a worker pool, a contended lock and a connection pool. All of it
// is healthy: goroutines start, wait for one another and exit.
type service struct {
	mux       *http.ServeMux
	shop      *server
	client    *http.Client // for the load that the service puts on itself
	warehouse *server      // another service, in the same process
	pool      *http.Client // connections to the warehouse

	jobs    chan job
	stockMu sync.Mutex
	stock   int

	requests atomic.Int64
	running  sync.WaitGroup
	stopAll  context.CancelFunc
}

// startService starts the healthy parts and the load on them, as of the flag -load.
func startService(ctx context.Context, load string) (*service, error) {
	ctx, stopAll := context.WithCancel(ctx)
	s := &service{mux: http.NewServeMux(), jobs: make(chan job), client: newClient(0), pool: newClient(4), stopAll: stopAll}
	s.mux.HandleFunc("POST /order", s.order)
	s.mux.HandleFunc("GET /stock", s.countStock)
	s.mux.HandleFunc("GET /warehouse", s.askWarehouse)
	var err error
	if s.warehouse, err = startServer(anyPort, http.HandlerFunc(warehouse)); err == nil {
		s.shop, err = startServer(anyPort, s.counted(s.mux))
	}
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	for range 4 {
		s.running.Go(func() { s.work(ctx) })
	}
	s.startLoad(ctx, load)
	return s, nil
}

// newClient returns an HTTP client. most limits the number of its connections;
// with 0, there are as many as there are callers.
func newClient(most int) *http.Client {
	return &http.Client{
		Timeout:   time.Second,
		Transport: &http.Transport{MaxConnsPerHost: most, MaxIdleConnsPerHost: steadyCallers + burstCallers + mostOnTide},
	}
}

// stop stops the service. It abandons handlers that hang; with the deadlock
// switched on, some do.
func (s *service) stop() error {
	s.stopAll()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := s.shop.stop(ctx)
	s.client.CloseIdleConnections()
	s.running.Wait()
	s.pool.CloseIdleConnections()
	return errors.Join(err, s.warehouse.stop(ctx))
}

func (s *service) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		next.ServeHTTP(w, r)
	})
}

// A job is work for the worker pool. Its channel has room for the answer, so
// that a worker never waits for a handler that has given up. The handler in
// faults.go leaks goroutines because its channel lacks this room.
type job struct {
	items int
	total chan int
}

func (s *service) work(ctx context.Context) {
	for {
		select {
		case j := <-s.jobs:
			time.Sleep(2 * time.Millisecond) // the work
			j.total <- 5 * j.items
		case <-ctx.Done():
			return
		}
	}
}

// order passes a job to the workers and waits for the answer.
func (s *service) order(w http.ResponseWriter, r *http.Request) {
	j := job{items: 3, total: make(chan int, 1)}
	select {
	case s.jobs <- j:
	case <-r.Context().Done():
		return
	}
	select {
	case total := <-j.total:
		fmt.Fprintln(w, total)
	case <-r.Context().Done():
	}
}

// countStock takes a lock that every one of its requests needs. The lock is
// held only briefly: its queue is often long but always moves.
func (s *service) countStock(w http.ResponseWriter, _ *http.Request) {
	s.stockMu.Lock()
	time.Sleep(time.Millisecond)
	s.stock++
	stock := s.stock
	s.stockMu.Unlock()
	fmt.Fprintln(w, stock)
}

// askWarehouse uses a connection of the pool. It waits while all of them are in
// use.
func (s *service) askWarehouse(w http.ResponseWriter, r *http.Request) {
	if err := request(r.Context(), s.pool, http.MethodGet, s.warehouse.url("/"), w); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

func warehouse(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "plenty") }

// request copies the response to a request. It reads the response to the end;
// otherwise the connection could not be reused.
func request(ctx context.Context, client *http.Client, method, url string, to io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(to, res.Body)
	return err
}
