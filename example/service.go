package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A service is a web shop in miniature, and what it is built from is what most
// services are built from: an HTTP server, a pool of workers, a pipeline of
// channels, a ticker, a lock that many want and a pool of connections. All of
// it is healthy: goroutines come, wait for one another and go.
type service struct {
	mux      *http.ServeMux
	server   *http.Server
	listener net.Listener
	client   *http.Client // of the load, which the service makes for itself

	jobs      chan job
	rates     *rates
	warehouse *connPool
	stock     stock

	requests atomic.Int64
	running  sync.WaitGroup
	stopAll  context.CancelFunc
}

// startService starts the healthy parts and the load on them, with tides or
// without.
func startService(ctx context.Context, tides bool) (*service, error) {
	ctx, stopAll := context.WithCancel(ctx)
	s := &service{mux: http.NewServeMux(), jobs: make(chan job), rates: newRates(), stopAll: stopAll}
	var err error
	if s.warehouse, err = startWarehouse(); err != nil {
		stopAll()
		return nil, err
	}
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		stopAll()
		return nil, errors.Join(err, s.warehouse.close())
	}
	s.mux.HandleFunc("POST /order", s.order)
	s.mux.HandleFunc("GET /stock", s.lookUp)
	s.mux.HandleFunc("GET /warehouse", s.askWarehouse)
	s.server = &http.Server{Handler: s.counted(s.mux), ReadHeaderTimeout: time.Second}
	s.client = newClient()
	s.running.Go(func() { _ = s.server.Serve(s.listener) }) // ends when stop closes the server
	s.startWorkers(ctx, 4)
	s.startPipeline(ctx)
	s.startLoad(ctx)
	if tides {
		s.startTides(ctx)
	}
	return s, nil
}

// stop ends the service. What hangs in a handler is left behind: with the
// deadlock switched on, some do.
func (s *service) stop() error {
	s.stopAll()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		_ = s.server.Close()
	}
	s.client.CloseIdleConnections()
	s.running.Wait()
	return s.warehouse.close()
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
	amount float64
	total  chan float64
}

func (s *service) startWorkers(ctx context.Context, n int) {
	for range n {
		s.running.Go(func() { s.work(ctx) })
	}
}

func (s *service) work(ctx context.Context) {
	for {
		select {
		case j := <-s.jobs:
			time.Sleep(2 * time.Millisecond) // what the work takes
			j.total <- j.amount * s.rates.current()
		case <-ctx.Done():
			return
		}
	}
}

// order hands a job to the workers and waits for the answer.
func (s *service) order(w http.ResponseWriter, r *http.Request) {
	j := job{amount: 10, total: make(chan float64, 1)}
	select {
	case s.jobs <- j:
	case <-r.Context().Done():
		return
	}
	select {
	case total := <-j.total:
		fmt.Fprintf(w, "%.2f\n", total)
	case <-r.Context().Done():
	}
}

// stock is behind one lock that every request for it wants. It is held for a
// moment only, so that the queue is often long and always moves.
type stock struct {
	mu   sync.Mutex
	left int
}

func (s *service) lookUp(w http.ResponseWriter, _ *http.Request) {
	s.stock.mu.Lock()
	time.Sleep(time.Millisecond)
	s.stock.left++
	left := s.stock.left
	s.stock.mu.Unlock()
	fmt.Fprintln(w, left)
}

// askWarehouse uses a connection of the pool.
func (s *service) askWarehouse(w http.ResponseWriter, r *http.Request) {
	answer, err := s.warehouse.ask(r.Context(), "how many?\n")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	fmt.Fprint(w, answer)
}
