// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"
)

// A Service is the process that recordings are taken of: a server with a few
// hundred goroutines at some thirty stacks, of the kinds that services have. It
// waits for requests and for work, holds connections, refreshes caches, and
// answers a changing number of requests.
type Service struct {
	random *rand.Rand
	work   sync.WaitGroup
}

// Stacks is how many stacks a Service has at least.
const Stacks = 20

// RunService serves net/http/pprof on a free port of the loopback interface until
// ctx ends. It calls ready with the address. Services with different seeds differ
// in how many goroutines they have at each stack.
func RunService(ctx context.Context, seed uint64, ready func(address string)) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &Service{random: rand.New(rand.NewPCG(seed, 0))}
	ctx, cancel := context.WithCancel(ctx)
	defer s.work.Wait()
	defer cancel()
	s.start(ctx)
	server := &http.Server{Handler: pages(s)}
	s.work.Go(func() { <-ctx.Done(); _ = server.Close() })
	for range 5 + s.random.IntN(10) {
		s.work.Go(func() { streaming(ctx, "http://"+listener.Addr().String()+"/stream") })
	}
	ready(listener.Addr().String())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// pages returns what the service serves.
func pages(s *Service) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	return mux
}

// streaming is a client that stays connected.
func streaming(ctx context.Context, url string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return
	}
	defer response.Body.Close()
	_, _ = response.Body.Read(make([]byte, 1)) // until the end
}

// start starts the goroutines, between one and thirty at each place.
func (s *Service) start(ctx context.Context) {
	for _, place := range places() {
		for range 1 + s.random.IntN(30) {
			s.work.Go(func() { place(ctx) })
		}
	}
	usual := s.random.IntN(40)
	s.work.Go(func() { s.requests(ctx, usual) })
}

// requests handles requests, about as many at once as usual. Each takes up to half
// a second.
func (s *Service) requests(ctx context.Context, usual int) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	var handlers sync.WaitGroup
	defer handlers.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for range rand.IntN(1 + usual/10) {
			handlers.Go(func() { handleCheckout(ctx) })
		}
	}
}

// places returns what goroutines do at one stack each.
func places() []func(context.Context) {
	var (
		jobs      = make(chan order)
		results   = make(chan order)
		broadcast = make(chan struct{})
		mutex     sync.Mutex
		cond      = sync.NewCond(&mutex)
	)
	return []func(context.Context){
		func(ctx context.Context) { runConsumer(ctx, jobs) },
		func(ctx context.Context) { runProducer(ctx, results) },
		func(ctx context.Context) { collectResults(ctx, results) },
		func(ctx context.Context) { watchConfiguration(ctx, broadcast) },
		func(ctx context.Context) { awaitLeadership(ctx, broadcast) },
		func(ctx context.Context) { waitForCapacity(ctx, cond) },
		refreshCache, flushMetrics, renewLease, pollQueue, expireSessions, reportHealth,
		sendHeartbeats, compactStorage, replicateLog, acceptUploads, resolveNames, keepConnection,
		awaitGroup, runScheduler, forwardEvents, checkQuotas,
		openPool,
	}
}

type order struct{ amount int }

func handleCheckout(ctx context.Context) { authorize(ctx, func() { placeOrder(ctx) }) }

func authorize(ctx context.Context, next func()) {
	if ctx.Err() == nil {
		next()
	}
}

func placeOrder(ctx context.Context) { reserveStock(ctx) }

func reserveStock(ctx context.Context) { pause(ctx, time.Duration(rand.IntN(500))*time.Millisecond) }

// pause waits for some time, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func runConsumer(ctx context.Context, jobs <-chan order) {
	for {
		select {
		case <-ctx.Done():
			return
		case job := <-jobs:
			_ = job.amount
		}
	}
}

func runProducer(ctx context.Context, results chan<- order) {
	for ctx.Err() == nil {
		pause(ctx, 2*time.Second)
		select {
		case results <- order{}:
		case <-ctx.Done():
		}
	}
}

func collectResults(ctx context.Context, results <-chan order) {
	done := context.AfterFunc(ctx, func() {})
	defer done()
	for {
		select {
		case <-results:
		case <-ctx.Done():
			return
		}
	}
}

func watchConfiguration(ctx context.Context, changed <-chan struct{}) {
	select {
	case <-changed:
	case <-ctx.Done():
	}
}

func awaitLeadership(ctx context.Context, elected <-chan struct{}) {
	for {
		select {
		case <-elected:
		case <-time.After(time.Minute):
		case <-ctx.Done():
			return
		}
	}
}

func waitForCapacity(ctx context.Context, cond *sync.Cond) {
	stop := context.AfterFunc(ctx, cond.Broadcast)
	defer stop()
	cond.L.Lock()
	defer cond.L.Unlock()
	for ctx.Err() == nil {
		cond.Wait()
	}
}

// Each of these has a function of its own, and with it a stack of its own.
func refreshCache(ctx context.Context)   { every(ctx, time.Second, func() {}) }
func flushMetrics(ctx context.Context)   { every(ctx, 10*time.Second, func() {}) }
func renewLease(ctx context.Context)     { every(ctx, 5*time.Second, func() {}) }
func pollQueue(ctx context.Context)      { every(ctx, 100*time.Millisecond, func() {}) }
func expireSessions(ctx context.Context) { every(ctx, time.Minute, func() {}) }
func reportHealth(ctx context.Context)   { every(ctx, 15*time.Second, func() {}) }
func sendHeartbeats(ctx context.Context) { every(ctx, 3*time.Second, func() {}) }
func compactStorage(ctx context.Context) { every(ctx, time.Hour, func() {}) }
func replicateLog(ctx context.Context)   { every(ctx, 500*time.Millisecond, func() {}) }

// every calls do at an interval.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

func acceptUploads(ctx context.Context) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	for {
		if _, err := listener.Accept(); err != nil {
			return
		}
	}
}

func resolveNames(ctx context.Context) {
	for ctx.Err() == nil {
		time.Sleep(200 * time.Millisecond)
	}
}

// keepConnection holds both ends of a connection.
func keepConnection(ctx context.Context) {
	client, server := net.Pipe()
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	defer server.Close()
	_, _ = server.Read(make([]byte, 1))
}

func awaitGroup(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() { <-ctx.Done() })
	group.Wait()
}

func runScheduler(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func forwardEvents(ctx context.Context) {
	events := make(chan order, 16)
	go func() {
		defer close(events)
		every(ctx, time.Second, func() { events <- order{} })
	}()
	for range events {
	}
}

func checkQuotas(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-make(chan struct{}):
	}
}

// openPool opens a pool of database/sql, which has a goroutine of its own.
func openPool(ctx context.Context) {
	db := sql.OpenDB(noDatabase{})
	defer db.Close()
	<-ctx.Done()
}

// noDatabase refuses to connect.
type noDatabase struct{}

func (noDatabase) Connect(context.Context) (driver.Conn, error) {
	return nil, errors.New("there is no database")
}
func (noDatabase) Driver() driver.Driver { return nil }
