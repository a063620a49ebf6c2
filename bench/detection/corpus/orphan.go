// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// orphans are what a client leaves behind that has closed its connection.
var orphans = []program{
	{with(eventsLeave, 0), "orphan-events-silent", "orphan-events-silent-seen"},
	{with(eventsLeave, 30*time.Second), "orphan-events-with-messages", "orphan-events-with-messages-seen"},
	{with(chatsLeave, 0), "orphan-websocket-hub", "orphan-websocket-hub-unregisters"},
	{with(chatsLeave, 30*time.Second), "orphan-websocket-hub-pings", "orphan-websocket-hub-pings-unregisters"},
	{grpcStreamsLeave, "orphan-grpc-stream", "orphan-grpc-stream-seen"},
	{grpcProducers, "orphan-grpc-producer", "orphan-grpc-producer-ends"},
	{busListeners, "orphan-bus-listener", "orphan-bus-listener-unsubscribes"},
	{natsListeners, "orphan-nats-subscription", "orphan-nats-subscription-ends"},
	{exportPipes, "orphan-pipe-writer", "orphan-pipe-writer-ends"},
	{waitersForJobs, "orphan-job-waiter", "orphan-job-waiter-ends"},
}

// leaving are guests that stay for some minutes.
func leaving(e *Env, kind, address string) Guests {
	return Guests{Kind: kind, Address: address, Every: e.Dur(tenAMinute), Stay: e.Dur(2 * time.Minute)}
}

func eventsLeave(e *Env, message time.Duration) {
	s := newHost(e)
	s.mux.HandleFunc("/events", (&eventTopic{e, tellEvery(e, message)}).serveEvents)
	s.welcome(leaving(e, "events", "/events"))
}

func chatsLeave(e *Env, ping time.Duration) {
	s := newHost(e)
	s.mux.HandleFunc("/chat", (&chat{e: e, b: newBoard(), ping: ping}).serve)
	g := leaving(e, "websocket", "/chat")
	g.Talk = e.Dur(20 * time.Second)
	s.welcome(g)
}

func grpcStreamsLeave(e *Env) {
	newHost(e).welcome(leaving(e, "grpc", serveGRPC(&healthService{e: e, b: newBoard()})))
}

// A tickService has a producer for each of its streams.
type tickService struct {
	grpc_health_v1.UnimplementedHealthServer
	path
}

func grpcProducers(e *Env) {
	g := leaving(e, "grpc", serveGRPC(&tickService{path: path{e: e}}))
	g.Every /= 3
	newHost(e).welcome(g)
}

// Watch sends what its producer makes, until its client has gone.
func (t *tickService) Watch(_ *grpc_health_v1.HealthCheckRequest, to grpc_health_v1.Health_WatchServer) error {
	ticks := make(chan int)
	go t.produce(to.Context(), ticks)
	for {
		select {
		case <-ticks:
			if err := to.Send(&grpc_health_v1.HealthCheckResponse{}); err != nil {
				return err
			}
			t.e.Served()
		case <-to.Context().Done():
			return to.Context().Err()
		}
	}
}

func (t *tickService) produce(ctx context.Context, ticks chan<- int) {
	gone := ctx.Done()
	for n := 0; ; n++ {
		t.e.Sleep(10 * time.Second)
		if ctx.Err() != nil && t.fails() {
			gone = nil
		}
		select {
		case ticks <- n:
		case <-gone:
			return
		}
	}
}

// A bus has listeners, each with a channel.
type bus struct{ b *board }

// busListeners are many.
func busListeners(e *Env) {
	s := newHost(e)
	b := &bus{newBoard()}
	s.mux.HandleFunc("/wait", func(_ http.ResponseWriter, r *http.Request) {
		news := make(chan int, 1)
		b.b.set(news, true)
		go b.listen(news)
		<-r.Context().Done()
		e.Served()
		if !e.Fails() {
			b.b.set(news, false)
			close(news)
		}
	})
	g := leaving(e, "events", "/wait")
	g.Every = e.Dur(time.Second)
	g.Stay = e.Dur(20 * time.Second)
	s.welcome(g)
}

func (b *bus) listen(news <-chan int) {
	for range news {
	}
}

// natsListeners subscribes for each client.
func natsListeners(e *Env) {
	s := newHost(e)
	clients := shared(func(address string) *nats.Conn { return must(connectNATS(address)) })
	other := newPromise[string]()
	s.mux.HandleFunc("/news", func(_ http.ResponseWriter, r *http.Request) {
		subscription, err := clients(other.get()).Subscribe("rare", func(*nats.Msg) {})
		if err != nil {
			return
		}
		<-r.Context().Done()
		e.Served()
		if !e.Fails() {
			_ = subscription.Unsubscribe()
		}
	})
	other.keep(s.open(Outside{Dependency: "nats", Guests: []Guests{leaving(e, "events", "/news")}}))
}

// shared returns a function that makes one client for all, at the first call.
func shared[T any](connect func(address string) T) func(address string) T {
	var once sync.Once
	var client T
	return func(address string) T {
		once.Do(func() { client = connect(address) })
		return client
	}
}

// A promise is a value that comes later.
type promise[T any] struct {
	v    T
	kept chan struct{}
}

func newPromise[T any]() *promise[T] { return &promise[T]{kept: make(chan struct{})} }

func (p *promise[T]) keep(v T) {
	p.v = v
	close(p.kept)
}

// get waits for it.
func (p *promise[T]) get() T {
	<-p.kept
	return p.v
}

// exportPipes writes an export into a pipe that nothing reads any more.
func exportPipes(e *Env) {
	s, p := newHost(e), path{e: e}
	s.mux.HandleFunc("/export", func(w http.ResponseWriter, r *http.Request) {
		from, to := io.Pipe()
		go writeExport(e, to)
		sendRows(e, w, r, from)
		if !p.fails() {
			from.Close()
		}
	})
	g := leaving(e, "events", "/export")
	g.Every /= 3
	s.welcome(g)
}

// sendRows returns when the client has gone.
func sendRows(e *Env, w http.ResponseWriter, r *http.Request, from io.Reader) {
	out := http.NewResponseController(w)
	for b := make([]byte, 100); r.Context().Err() == nil; e.Served() {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		_, _ = w.Write(b[:n])
		_ = out.Flush()
	}
}

func writeExport(e *Env, to io.Writer) {
	for {
		e.Sleep(2 * time.Second)
		if _, err := io.WriteString(to, "a row\n"); err != nil {
			return
		}
	}
}

// A waitedJob never ends: its worker has lost it.
type waitedJob struct{ done chan struct{} }

// waitersForJobs wait on connections of their own kind for jobs, and for the
// client to go.
func waitersForJobs(e *Env) {
	l, p := listen(), path{e: e}
	go acceptEach(l, func(c net.Conn) {
		j, gone := &waitedJob{make(chan struct{})}, make(chan struct{})
		go j.wait(gone)
		_, _ = io.Copy(io.Discard, c)
		e.Served()
		if !p.fails() {
			close(gone)
		}
	})
	g := leaving(e, "tcp", l.Addr().String())
	g.Every /= 3
	newHost(e).welcome(g)
}

func (j *waitedJob) wait(gone <-chan struct{}) {
	select {
	case <-j.done:
	case <-gone:
	}
}
