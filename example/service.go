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

// A service is a web shop in miniature, built from what most services are built
// from: an HTTP server, a pool of workers, a contended lock and a pool of
// connections. All of it is healthy: goroutines come, wait for one another and
// go.
type service struct {
	mux       *http.ServeMux
	shop      *server
	client    *http.Client // of the load, which the service makes for itself
	warehouse *server      // another service, in the same process
	pool      *http.Client // its connections to the warehouse

	jobs    chan job
	stockMu sync.Mutex
	stock   int

	requests atomic.Int64
	running  sync.WaitGroup
	stopAll  context.CancelFunc
}

// startService starts the healthy parts and the load on them, with tides or
// without.
func startService(ctx context.Context, tides bool) (*service, error) {
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
	s.startLoad(ctx, tides)
	return s, nil
}

// newClient returns an HTTP client with as many connections as there are
// callers, or with at most so many.
func newClient(most int) *http.Client {
	return &http.Client{
		Timeout:   time.Second,
		Transport: &http.Transport{MaxConnsPerHost: most, MaxIdleConnsPerHost: steadyCallers + burstCallers + mostOnTide},
	}
}

// stop ends the service. A handler that hangs is left behind: with the deadlock
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

// A job is work for the pool of workers. Its channel has room for the answer,
// so that a worker never waits for a handler that has given up. The handler in
// faults.go that lacks this one number is the leak.
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

// order hands a job to the workers and waits for the answer.
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

// countStock is behind one lock that every request for it needs. The lock is
// held for a moment only: its queue is often long and always moves.
func (s *service) countStock(w http.ResponseWriter, _ *http.Request) {
	s.stockMu.Lock()
	time.Sleep(time.Millisecond)
	s.stock++
	stock := s.stock
	s.stockMu.Unlock()
	fmt.Fprintln(w, stock)
}

// askWarehouse uses a connection of the pool, and waits while all are in use.
func (s *service) askWarehouse(w http.ResponseWriter, r *http.Request) {
	if err := request(r.Context(), s.pool, http.MethodGet, s.warehouse.url("/"), w); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

func warehouse(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "plenty") }

// request copies the answer to a request. It reads to its end, without which the
// connection could not be used again.
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
