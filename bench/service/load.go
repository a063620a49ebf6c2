// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/valyala/fasthttp"
)

// The loads, by the names they have in the tables.
const (
	steady     = "steady"     // a fixed rate, half of what the server bears
	saturation = "saturation" // connections that ask again as soon as they are answered
)

var loads = []string{steady, saturation}

// The mix of requests, in hundredths. The rest are reads of hot items, which
// the cache always has.
const (
	writes    = 5
	pages     = 10 // of 20 items, from anywhere
	coldReads = 15 // of any of the other items: the database is asked for most
	hotItems  = 250
)

const (
	mixLength             = 8192 // requests that are made ready and sent again and again
	saturationConnections = 16
	steadyConnections     = 64 // more than are ever in use, unless the server stands still
	patience              = 30 * time.Second
	queueLength           = 1 << 16
)

// A request is ready to be sent.
type request struct {
	uri  string
	body []byte // nil: a GET
}

// A generator loads a server over connections that stay open. Its methods must
// not be called at once.
type generator struct {
	client fasthttp.HostClient // far cheaper than net/http's: it shares the cores with the server
	mix    []request
}

func newGenerator(addr string, seed uint64) *generator {
	return &generator{
		client: fasthttp.HostClient{
			Addr:                      addr,
			MaxConns:                  steadyConnections,
			MaxIdleConnDuration:       time.Hour,
			ReadTimeout:               patience,
			MaxIdemponentCallAttempts: 1, // what fails is to be seen
			NoDefaultUserAgentHeader:  true,
		},
		mix: newMix(addr, rand.New(rand.NewPCG(seed, 1))),
	}
}

func newMix(addr string, random *rand.Rand) []request {
	mix := make([]request, mixLength)
	for i := range mix {
		cold := hotItems + random.IntN(itemCount-hotItems)
		uri := "http://" + addr + "/items"
		switch n := random.IntN(100); {
		case n < writes:
			mix[i].uri = fmt.Sprintf("%s/%d", uri, cold)
			mix[i].body, _ = json.Marshal(newItem(cold, random.IntN(1000)))
		case n < writes+pages:
			mix[i].uri = fmt.Sprintf("%s?from=%d", uri, cold)
		case n < writes+pages+coldReads:
			mix[i].uri = fmt.Sprintf("%s/%d", uri, cold)
		default:
			mix[i].uri = fmt.Sprintf("%s/%d", uri, random.IntN(hotItems))
		}
	}
	return mix
}

// A loaded is what a load met with.
type loaded struct {
	requests, errors          int
	err                       error // the first
	elapsed                   time.Duration
	throughput                float64 // requests a second
	p50, p99, p999, max, late time.Duration
}

// A histogram has durations in microseconds.
type histogram struct{ *hdrhistogram.Histogram }

func newHistogram() histogram {
	return histogram{hdrhistogram.New(1, int64(time.Hour/time.Microsecond), 3)}
}

func (h histogram) record(d time.Duration) {
	_ = h.RecordValue(max(d.Microseconds(), 1)) // nothing here takes an hour
}

func (h histogram) quantile(percent float64) time.Duration {
	return time.Duration(h.ValueAtQuantile(percent)) * time.Microsecond
}

// close closes the connections.
func (g *generator) close() { g.client.CloseIdleConnections() }

// load loads the server for a time.
func (g *generator) load(ctx context.Context, p plan, duration time.Duration) (loaded, error) {
	if p.load == saturation {
		return g.saturate(ctx, duration)
	}
	return g.steady(ctx, p.rate, duration)
}

// saturate has each connection ask again as soon as it is answered.
func (g *generator) saturate(ctx context.Context, duration time.Duration) (loaded, error) {
	began := time.Now()
	return g.workers(ctx, saturationConnections, func(w *worker) {
		for ctx.Err() == nil {
			sent := time.Now()
			if sent.Sub(began) >= duration {
				return
			}
			w.send(sent)
		}
	})
}

// steady sends requests at a fixed rate. Latency is counted from when a request
// was to be sent: those that a slow answer delays have waited as well. Late is
// the 99th percentile of how late requests were handed to a connection.
func (g *generator) steady(ctx context.Context, rate float64, duration time.Duration) (loaded, error) {
	due := make(chan time.Time, queueLength)
	late := newHistogram()
	go pace(ctx, rate, duration, due, late)
	l, err := g.workers(ctx, steadyConnections, func(w *worker) {
		for at := range due {
			w.send(at)
		}
	})
	l.late = late.quantile(99)
	return l, err
}

// pace says when each request is due, has a thread of its own, and closes due.
func pace(ctx context.Context, rate float64, duration time.Duration, due chan<- time.Time, late histogram) {
	defer close(due)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := time.Now()
	for i := 0; ; i++ {
		after := time.Duration(float64(i) / rate * float64(time.Second))
		if after >= duration || ctx.Err() != nil {
			return
		}
		for wait := after - time.Since(began); wait > 0; wait = after - time.Since(began) {
			pause(wait)
		}
		due <- began.Add(after)
		late.record(time.Since(began) - after)
	}
}

// workers runs one worker for each connection and adds up what they met with.
func (g *generator) workers(ctx context.Context, n int, work func(*worker)) (loaded, error) {
	all := make([]*worker, n)
	var running sync.WaitGroup
	began := time.Now()
	for i := range all {
		all[i] = &worker{generator: g, next: i * (mixLength / n), latency: newHistogram()}
		running.Go(func() { work(all[i]) })
	}
	running.Wait()
	total, latency := loaded{elapsed: time.Since(began)}, newHistogram()
	for _, w := range all {
		total.errors += w.errors
		total.err = cmp.Or(total.err, w.err)
		latency.Merge(w.latency.Histogram)
	}
	total.requests = int(latency.TotalCount())
	total.throughput = float64(total.requests-total.errors) / total.elapsed.Seconds()
	total.p50, total.p99, total.p999, total.max = latency.quantile(50), latency.quantile(99), latency.quantile(99.9), latency.quantile(100)
	return total, ctx.Err()
}

// A worker sends one request at a time.
type worker struct {
	generator *generator
	next      int // in the mix
	latency   histogram
	errors    int
	err       error // the first
	get, put  fasthttp.Request
	response  fasthttp.Response
}

// send sends the next request, which was due at a time, and reads the answer.
func (w *worker) send(due time.Time) {
	next := &w.generator.mix[w.next%mixLength]
	w.next++
	r := &w.get
	if next.body != nil {
		r = &w.put
		r.Header.SetMethod(http.MethodPut)
		r.Header.SetContentType("application/json")
		r.SetBodyRaw(next.body)
	}
	r.SetRequestURI(next.uri)
	err := w.generator.client.Do(r, &w.response)
	w.latency.record(time.Since(due))
	if err == nil && w.response.StatusCode() != http.StatusOK {
		err = fmt.Errorf("status %d: %s", w.response.StatusCode(), w.response.Body())
	}
	if err != nil {
		w.errors++
		w.err = cmp.Or(w.err, fmt.Errorf("%s %s: %w", r.Header.Method(), next.uri, err))
	}
}
