// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/arl/statsviz"
)

const (
	population = 200 // parked goroutines, which every snapshot and profile must have
	clients    = 4   // of the service
	fanOut     = 4   // goroutines that a request starts
	beatEvery  = 10 * time.Millisecond
)

// parkedFunction is the name of the function that they are in.
var parkedFunction = runtime.FuncForPC(reflect.ValueOf(parked).Pointer()).Name()

// A host is a service under load, and what its operators have in it.
type host struct {
	service, admin, receiver *server
	agent, ingest            atomic.Pointer[http.HandlerFunc] // of the current phase
	beats                    atomic.Int64                     // written to every trace so far
	cache                    struct {
		sync.Mutex
		values map[int][]byte
	}
	stop context.CancelFunc
	all  sync.WaitGroup
}

// newHost starts the service, its load, and the servers that neighbours deliver to.
func newHost() (*host, error) {
	h := &host{}
	h.cache.values = make(map[int][]byte)
	admin := http.NewServeMux()
	admin.Handle("/debug/fgprof", fgprofHandler())
	if err := statsviz.Register(admin); err != nil {
		return nil, err
	}
	receiver := http.NewServeMux()
	receiver.Handle("/profiling/v1/input", current(&h.agent))
	receiver.Handle("/ingest", current(&h.ingest))
	receiver.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }) // Datadog's telemetry
	for _, s := range []struct {
		to      **server
		handler http.Handler
	}{{&h.service, http.HandlerFunc(h.serve)}, {&h.admin, admin}, {&h.receiver, receiver}} {
		started, err := startServer(s.handler)
		if err != nil {
			return nil, err
		}
		*s.to = started
	}
	for name, value := range map[string]string{
		"DD_TRACE_AGENT_URL":    h.receiver.url,
		"DD_SERVICE":            "neighbours",
		"DD_TRACE_STARTUP_LOGS": "false",
	} {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	h.work()
	return h, nil
}

// work starts the parked goroutines, the clients and the beat.
func (h *host) work() {
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	var arrived sync.WaitGroup
	arrived.Add(population)
	for range population {
		h.all.Go(func() { parked(ctx, &arrived) })
	}
	arrived.Wait()
	for range clients {
		h.all.Go(func() { h.client(ctx) })
	}
	h.all.Go(func() { h.beat(ctx) })
}

func (h *host) close() {
	h.stop()
	h.all.Wait()
	for _, s := range []*server{h.service, h.admin, h.receiver} {
		_ = s.http.Close() // nothing is left to be lost
	}
}

//go:noinline
func parked(ctx context.Context, arrived *sync.WaitGroup) {
	arrived.Done()
	<-ctx.Done()
}

// beat writes consecutive numbers to every trace, so that a gap shows.
func (h *host) beat(ctx context.Context) {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for n := int64(1); ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			trace.Log(ctx, beatCategory, strconv.FormatInt(n, 10))
			h.beats.Store(n)
		}
	}
}

// serve answers a request: it starts goroutines, contends for a lock, and makes
// garbage.
func (h *host) serve(w http.ResponseWriter, r *http.Request) {
	pprof.Do(r.Context(), pprof.Labels("route", "/"), func(context.Context) {
		parts := make(chan [sha256.Size]byte)
		for i := range fanOut {
			go func() { parts <- sha256.Sum256(h.value(rand.IntN(1000) + i)) }()
		}
		for range fanOut {
			part := <-parts
			_, _ = w.Write(part[:]) // the client may have gone
		}
	})
}

func (h *host) value(key int) []byte {
	h.cache.Lock()
	defer h.cache.Unlock()
	if v := h.cache.values[key]; v != nil && rand.IntN(10) > 0 {
		return v
	}
	v := make([]byte, 4<<10)
	h.cache.values[key] = v
	return v
}

// client sends requests with a short pause after each.
func (h *host) client(ctx context.Context) {
	for ctx.Err() == nil {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.service.url, nil)
		if err != nil {
			return
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_, _ = io.Copy(io.Discard, response.Body) // what it says does not matter
			_ = response.Body.Close()
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// current serves with the handler of the current phase.
func current(handler *atomic.Pointer[http.HandlerFunc]) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if serve := handler.Load(); serve != nil {
			(*serve)(w, r)
		}
	})
}

// receive serves a kind of upload from now on. It checks an upload after the
// response, as a profiler waits for that.
func receive(handler *atomic.Pointer[http.HandlerFunc], l *ledger, check func(query url.Values, form *multipart.Form) error) {
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
		if err := r.ParseMultipartForm(maxUpload); err != nil {
			if !errors.Is(err, io.ErrUnexpectedEOF) { // else the neighbour was stopped
				l.piece(0, err)
			}
			return
		}
		query, size := r.URL.Query(), int(r.ContentLength)
		l.checks.Go(func() { l.piece(size, check(query, r.MultipartForm)) })
	})
	handler.Store(&serve)
}

type server struct {
	url  string
	http http.Server
}

func startServer(handler http.Handler) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("no port on the loopback interface: %w", err)
	}
	s := &server{url: "http://" + listener.Addr().String(), http: http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, IdleTimeout: time.Minute}}
	go func() { _ = s.http.Serve(listener) }() // returns when the server is closed
	return s, nil
}
