// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// An Outside is what is not part of a service: its callers, and one service that
// it depends on. It belongs in a process of its own, so that none of its
// goroutines is one of the program under test. All times are those of the
// machine.
type Outside struct {
	URL        string // of the service; without a path
	Calls      []Calls
	Guests     []Guests      // whose Address is URL where it begins with "/"
	Dependency string        // http, events, redis, postgres, grpc, nats, mqtt, drain or slow; "": none
	Silent     time.Duration // from the start on until the dependency answers no more; 0: it always answers
	Tick       time.Duration // between what a dependency sends by itself: events, nats, mqtt; 0: nothing
}

// Calls are requests for one path, which arrive at random times, or from callers
// each of which waits for its answer before it asks again.
type Calls struct {
	Path      string
	PerSecond float64       // on average; 0 with Callers
	Callers   int           // 0 with PerSecond
	Timeout   time.Duration // for an answer; 0: none
}

// Start starts what is outside, and returns the address of the dependency.
func (o Outside) Start() (address string, err error) {
	if o.Dependency != "" {
		if address, err = o.depend(); err != nil {
			return "", fmt.Errorf("dependency %s: %w", o.Dependency, err)
		}
	}
	for _, c := range o.Calls {
		c.start(o.URL)
	}
	for _, g := range o.Guests {
		if strings.HasPrefix(g.Address, "/") {
			g.Address = o.URL + g.Address
		}
		if err := g.start(); err != nil {
			return "", err
		}
	}
	return address, nil
}

func (c Calls) start(url string) {
	client := &http.Client{Timeout: c.Timeout, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	visit := func() { _ = call(context.Background(), client, url+c.Path) }
	again(c.Callers, func() {
		time.Sleep(rand.N(100 * time.Millisecond))
		visit()
	})
	if c.PerSecond > 0 {
		go arrive(c.PerSecond, visit)
	}
}

// arrive calls f on goroutines of their own, at random times.
func arrive(perSecond float64, f func()) {
	for next := time.Now(); ; next = next.Add(time.Duration(rand.ExpFloat64() / perSecond * float64(time.Second))) {
		time.Sleep(time.Until(next))
		go f()
	}
}

// depend starts the service that is depended on, and returns the address of a
// proxy in front of it that passes no answer on when its time has come.
func (o Outside) depend() (string, error) {
	behind, err := o.startDependency()
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	p := &proxy{to: behind}
	if o.Silent > 0 {
		time.AfterFunc(o.Silent, func() { p.silent.Lock() }) // for good
	}
	go p.serve(l)
	return l.Addr().String(), nil
}

// A proxy passes on what both sides say, until it falls silent.
type proxy struct {
	to     string
	silent sync.RWMutex // locked for writing while nothing is passed on
}

func (p *proxy) serve(l net.Listener) {
	for {
		near, err := l.Accept()
		if err != nil {
			return
		}
		go p.join(near)
	}
}

func (p *proxy) join(near net.Conn) {
	far, err := net.Dial("tcp", p.to)
	if err != nil {
		near.Close()
		return
	}
	go p.pass(near, far)
	p.pass(far, near)
}

// pass copies until one side ends, and ends the other.
func (p *proxy) pass(to, from net.Conn) {
	defer to.Close()
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		p.silent.RLock()
		_, failed := to.Write(b[:n])
		p.silent.RUnlock()
		if err != nil || failed != nil {
			return
		}
	}
}

// startDependency starts a service and returns its address.
func (o Outside) startDependency() (string, error) {
	if start := brokers[o.Dependency]; start != nil {
		return start(o.Tick)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	switch o.Dependency {
	case "http":
		go http.Serve(l, http.HandlerFunc(sayOK))
	case "events":
		go http.Serve(l, http.HandlerFunc(o.sayEvents))
	case "grpc":
		s := grpc.NewServer(grpc.MaxConcurrentStreams(streamsAtOnce))
		grpc_health_v1.RegisterHealthServer(s, health.NewServer())
		go s.Serve(l)
	case "postgres":
		go acceptEach(l, servePostgres)
	case "drain":
		go acceptEach(l, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	case "slow":
		go acceptEach(l, tickSlowly)
	default:
		l.Close()
		return "", errors.New("unknown")
	}
	return l.Addr().String(), nil
}

// streamsAtOnce is how many streams a gRPC server allows on a connection.
const streamsAtOnce = 8

// sayOK answers with more than what a client reads ahead.
func sayOK(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 16<<10)) }

// sayEvents answers with a stream of events that has no end.
func (o Outside) sayEvents(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).Flush()
	if o.Tick == 0 {
		<-r.Context().Done()
		return
	}
	for err := error(nil); err == nil && r.Context().Err() == nil; time.Sleep(o.Tick) {
		_, err = io.WriteString(w, "data: hello\n\n")
		_ = http.NewResponseController(w).Flush()
	}
}

// tickSlowly sends a byte for each that it reads, after a while.
func tickSlowly(c net.Conn) {
	b := make([]byte, 1)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
		time.Sleep(time.Duration(b[0]) * 10 * time.Millisecond)
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

func acceptEach(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}
