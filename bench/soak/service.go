// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

const (
	workers = 3
	callers = 6 // of each endpoint

	waveEvery = 10 * time.Minute
	waveSpan  = 3 * time.Minute
	slowest   = 4 * time.Minute
	slow      = 2 * time.Minute // at least, in a wave
)

// A service is healthy: whatever takes long ends.
type service struct {
	shop, dependency *http.Server
	client           *http.Client
	url, other       string

	jobs  chan job
	lock  sync.Mutex
	stock int

	began    time.Time
	waves    bool
	requests atomic.Int64
	running  sync.WaitGroup
	end      context.CancelFunc
}

// A job is for one request, whose handler waits for the answer.
type job struct{ done chan struct{} }

func startService(waves bool, livez http.Handler) (*service, error) {
	ctx, end := context.WithCancel(context.Background())
	s := &service{
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8 * callers}},
		jobs:   make(chan job), began: time.Now(), waves: waves, end: end,
	}
	dependency := http.NewServeMux()
	dependency.HandleFunc("GET /", s.answer)
	shop := http.NewServeMux()
	shop.HandleFunc("POST /order", s.order)
	shop.HandleFunc("GET /stock", s.count)
	shop.HandleFunc("GET /report", s.report)
	shop.Handle("GET /livez", livez)
	var err error
	if s.dependency, s.other, err = serve(dependency); err != nil {
		end()
		return nil, err
	}
	if s.shop, s.url, err = serve(shop); err != nil {
		end()
		return nil, err
	}
	for range workers {
		s.running.Go(func() { s.work(ctx) })
	}
	for range callers {
		for _, c := range [][2]string{{http.MethodPost, "/order"}, {http.MethodGet, "/stock"}, {http.MethodGet, "/report"}} {
			s.running.Go(func() { s.keepCalling(ctx, c[0], c[1]) })
		}
	}
	return s, nil
}

func serve(h http.Handler) (*http.Server, string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = s.Serve(l) }() // it ends with stop
	return s, "http://" + l.Addr().String(), nil
}

func (s *service) stop() {
	s.end()
	_ = s.shop.Close()
	_ = s.dependency.Close()
	s.client.CloseIdleConnections()
	s.running.Wait()
}

func (s *service) keepCalling(ctx context.Context, method, path string) {
	for wait(ctx, time.Duration(50+rand.IntN(200))*time.Millisecond) {
		s.call(ctx, method, s.url+path)
		s.requests.Add(1)
	}
}

func (s *service) call(ctx context.Context, method, url string) {
	_, _, _ = s.ask(ctx, method, url) // at the end of the run it fails
}

// ask sends a request and reads the response.
func (s *service) ask(ctx context.Context, method, url string) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	return response.StatusCode, string(text), err
}

// probe asks whether the service is healthy, as Kubernetes does.
func (s *service) probe(ctx context.Context) (status int, body string, err error) {
	return s.ask(ctx, http.MethodGet, s.url+"/livez")
}

// answer is the dependency.
func (s *service) answer(w http.ResponseWriter, r *http.Request) {
	took := time.Duration(2+rand.IntN(20)) * time.Millisecond
	if s.waves && time.Since(s.began)%waveEvery > waveEvery-waveSpan {
		took = slow + rand.N(slowest-slow)
	}
	wait(r.Context(), took)
	fmt.Fprintln(w, "plenty")
}

// order passes a job to the workers and waits for the answer.
func (s *service) order(w http.ResponseWriter, r *http.Request) {
	j := job{done: make(chan struct{}, 1)}
	select {
	case s.jobs <- j:
	case <-r.Context().Done():
		return
	}
	select {
	case <-j.done:
		fmt.Fprintln(w, "done")
	case <-r.Context().Done():
	}
}

// work asks the dependency for each job.
func (s *service) work(ctx context.Context) {
	for {
		select {
		case j := <-s.jobs:
			s.call(ctx, http.MethodGet, s.other)
			j.done <- struct{}{}
		case <-ctx.Done():
			return
		}
	}
}

func (s *service) count(w http.ResponseWriter, _ *http.Request) {
	s.lock.Lock()
	time.Sleep(time.Millisecond)
	s.stock++
	n := s.stock
	s.lock.Unlock()
	fmt.Fprintln(w, n)
}

func (s *service) report(w http.ResponseWriter, r *http.Request) {
	s.call(r.Context(), http.MethodGet, s.other)
	fmt.Fprintln(w, "all is well")
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

// provider exports to nowhere, as often as most services do.
func provider() *sdkmetric.MeterProvider {
	return sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(discard{}, sdkmetric.WithInterval(15*time.Second))))
}

type discard struct{}

func (discard) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return sdkmetric.DefaultTemporalitySelector(k)
}
func (discard) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}
func (discard) Export(context.Context, *metricdata.ResourceMetrics) error { return nil }
func (discard) ForceFlush(context.Context) error                          { return nil }
func (discard) Shutdown(context.Context) error                            { return nil }
