// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// A site is an HTTP service on loopback with a client of its own.
type site struct {
	e      *Env
	mux    *http.ServeMux
	server *http.Server
	url    string
	client *http.Client
}

// newSite serves.
func newSite(e *Env) *site {
	l := listen()
	s := &site{e: e, mux: http.NewServeMux(), url: "http://" + l.Addr().String()}
	s.server = &http.Server{
		Handler:           s.mux,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       e.Dur(3 * time.Minute),
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	go s.server.Serve(l)
	s.client = s.newClient(30 * time.Second)
	return s
}

// listen panics when it cannot: then nothing is measured.
func listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return l
}

// newClient returns a client that keeps its connections, with a scaled time
// limit on requests; 0 is none.
func (s *site) newClient(limit time.Duration) *http.Client {
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: s.e.Dur(90 * time.Second)}}
	if limit > 0 {
		c.Timeout = s.e.Dur(limit)
	}
	return c
}

// A request is one that a handler serves, the nth of its path.
type request struct {
	context.Context
	n *counter
}

// every reports whether this is one in n.
func (r request) every(n int64) bool { return r.n.every(n) }

// handle serves path with f. A handler that returns has done a piece of work.
func (s *site) handle(path string, f func(request)) {
	var n counter
	s.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		f(request{r.Context(), &n})
		s.e.Served()
		w.WriteHeader(http.StatusOK)
	})
}

// get asks for path and reads the answer.
func (s *site) get(ctx context.Context, c *http.Client, path string) error {
	return call(ctx, c, s.url+path)
}

// call asks for an answer and reads it.
func call(ctx context.Context, c *http.Client, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := c.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// visit asks for path once.
func (s *site) visit(path string) { _ = s.get(context.Background(), s.client, path) }

// arrive serves path with f, and has perSecond requests a second for it.
func (s *site) arrive(perSecond float64, path string, f func(request)) {
	s.handle(path, f)
	s.e.Arrive(perSecond, func() { s.visit(path) })
}

// serve is a service whose path /work is served by f, with ordinary traffic
// besides.
func serve(e *Env, perSecond float64, f func(request)) *site {
	s := ordinary(e)
	s.arrive(perSecond, "/work", f)
	return s
}

// ordinary is a small healthy service: requests of all lengths, a pool of
// workers behind a queue, a janitor and a loop on a ticker.
func ordinary(e *Env) *site {
	s := newSite(e)
	jobs := make(chan func(), 4)
	for range 6 {
		go ordinaryWorker(jobs)
	}
	s.arrive(12, "/page", func(request) { time.Sleep(e.Tail(200 * time.Millisecond)) })
	s.arrive(6, "/job", func(request) {
		done := make(chan struct{})
		jobs <- func() { time.Sleep(e.Tail(100 * time.Millisecond)); close(done) }
		<-done
	})
	go ordinaryJanitor(e)
	return s
}

func ordinaryWorker(jobs <-chan func()) {
	for f := range jobs {
		f()
	}
}

func ordinaryJanitor(e *Env) { e.EveryTick(time.Minute, e.Served) }
