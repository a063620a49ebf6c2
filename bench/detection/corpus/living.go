// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"bufio"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/golang-lru/v2/expirable"
	"github.com/nats-io/nats.go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// living are services in which something comes and stays, and is in use: their
// goroutines grow in number for an hour and a half, and nothing is wrong.
var living = []program{
	{with(eventsStay, 0), "", "stay-events-silent"},
	{with(eventsStay, 30*time.Second), "", "stay-events-with-messages"},
	{with(chatsStay, 0), "", "stay-websockets-silent"},
	{with(chatsStay, 30*time.Second), "", "stay-websockets-with-messages"},
	{fleetComesUp, "", "stay-fleet-comes-up"},
	{grpcStreamsStay, "", "stay-grpc-streams"},
	{regionsWatched, "", "stay-grpc-watches"},
	{mqttSubscribersStay, "", "stay-mqtt-subscribers"},
	{natsSubscribersStay, "", "stay-nats-subscribers"},
	{natsSubscriptions, "", "stay-nats-subscriptions"},
	{redisSubscriptions, "", "stay-redis-subscriptions"},
	{slowDownloads, "", "stay-slow-downloads"},
	{tenantTickers, "", "stay-tenants-with-tickers"},
	{sessionTimers, "", "stay-sessions-with-timers"},
	{jobsOfTheNight, "", "stay-jobs-of-the-night"},
	{idGenerators, "", "stay-idle-generators"},
	{customerCaches, "", "stay-caches-with-janitors"},
	{tenantDatabases, "", "stay-databases-of-tenants"},
}

// tellEvery returns a board with a message at an interval; 0 is never.
func tellEvery(e *Env, d time.Duration) *board {
	b := newBoard()
	if d > 0 {
		e.Every(d, b.tell)
	}
	return b
}

// newHost is a service whose callers and guests are outside: with requests of
// all lengths and a janitor.
func newHost(e *Env) *site {
	s := newSite(e)
	s.handle("/page", func(request) { time.Sleep(e.Tail(200 * time.Millisecond)) })
	go ordinaryJanitor(e)
	return s
}

// open starts what is outside of it.
func (s *site) open(o Outside) (dependency string) {
	o.Calls = append(o.Calls, Calls{Path: "/page", PerSecond: 12})
	return s.surround(o)
}

// welcome opens a service to guests.
func (s *site) welcome(g Guests) { s.open(Outside{Guests: []Guests{g}}) }

// perMinute is so many a minute of a service, in those that [Calls] counts.
func (e *Env) perMinute(n float64) float64 { return n / e.Dur(time.Minute).Seconds() }

// An eventTopic streams what a board has to say.
type eventTopic struct {
	e *Env
	b *board
}

func eventsStay(e *Env, message time.Duration) {
	s := newHost(e)
	s.mux.HandleFunc("/events", (&eventTopic{e, tellEvery(e, message)}).serveEvents)
	s.welcome(Guests{Kind: "events", Address: "/events", Every: e.Dur(20 * time.Second)})
}

// serveEvents does not notice that its client has gone, where it fails.
func (t *eventTopic) serveEvents(w http.ResponseWriter, r *http.Request) {
	events, gone := make(chan int, 4), r.Context().Done()
	t.b.set(events, true)
	defer t.b.set(events, false)
	if t.e.Fails() {
		gone = nil
	}
	out := http.NewResponseController(w)
	_ = out.Flush()
	t.e.Served()
	for {
		select {
		case n := <-events:
			_, _ = fmt.Fprintf(w, "data: %d\n\n", n)
			_ = out.Flush()
		case <-gone:
			return
		}
	}
}

// A chat has a board whose messages go to all its clients.
type chat struct {
	e    *Env
	b    *board
	ping time.Duration // 0: never
}

func chatsStay(e *Env, message time.Duration) {
	s := newHost(e)
	s.mux.HandleFunc("/chat", (&chat{e: e, b: tellEvery(e, message), ping: message}).serve)
	s.welcome(Guests{Kind: "websocket", Address: "/chat", Every: e.Dur(20 * time.Second), Talk: e.inTime(message)})
}

// serve reads on the handler's goroutine and writes on another one.
func (c *chat) serve(w http.ResponseWriter, r *http.Request) {
	conn, err := new(websocket.Upgrader).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	send := make(chan int, 4)
	c.b.set(send, true)
	go c.write(conn, send)
	c.read(conn)
	if c.e.Fails() {
		return
	}
	c.b.set(send, false)
	close(send)
}

func (c *chat) read(conn *websocket.Conn) {
	for {
		_, _, err := conn.ReadMessage()
		if err != nil {
			return
		}
		c.e.Served()
	}
}

func (c *chat) write(conn *websocket.Conn, send <-chan int) {
	for {
		select {
		case n, ok := <-send:
			if !ok {
				return
			}
			_ = conn.WriteMessage(websocket.TextMessage, strconv.AppendInt(nil, int64(n), 10))
		case <-c.pingTime():
			_ = conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
			c.e.Served()
		}
	}
}

func (c *chat) pingTime() <-chan time.Time {
	if c.ping == 0 {
		return nil
	}
	return time.After(c.e.Dur(c.ping))
}

// fleetComesUp has a connection to each node, which reports every half minute.
func fleetComesUp(e *Env) {
	l := listen()
	go acceptEach(l, func(c net.Conn) { serveNode(e, c) })
	newHost(e).welcome(Guests{Kind: "tcp", Address: l.Addr().String(), Every: e.Dur(15 * time.Second), Talk: e.Dur(30 * time.Second)})
}

func serveNode(e *Env, c net.Conn) {
	orders, left := make(chan int), make(chan struct{})
	defer close(left)
	go sendOrders(c, orders, left)
	for lines := bufio.NewScanner(c); lines.Scan(); {
		e.Served()
	}
}

// sendOrders waits for orders to a node, of which there are hardly any.
func sendOrders(to io.Writer, orders <-chan int, left <-chan struct{}) {
	for {
		select {
		case n := <-orders:
			fmt.Fprintln(to, n)
		case <-left:
			return
		}
	}
}

// A healthService streams what a board has to say, over gRPC.
type healthService struct {
	grpc_health_v1.UnimplementedHealthServer
	e *Env
	b *board
}

func grpcStreamsStay(e *Env) {
	address := serveGRPC(&healthService{e: e, b: tellEvery(e, time.Minute)})
	newHost(e).welcome(Guests{Kind: "grpc", Address: address, Every: e.Dur(20 * time.Second)})
}

func serveGRPC(h grpc_health_v1.HealthServer) (address string) {
	l, s := listen(), grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(s, h)
	go s.Serve(l)
	return l.Addr().String()
}

// Watch does not notice that its client has gone, where it fails.
func (h *healthService) Watch(_ *grpc_health_v1.HealthCheckRequest, to grpc_health_v1.Health_WatchServer) error {
	changes, gone := make(chan int, 4), to.Context().Done()
	h.b.set(changes, true)
	defer h.b.set(changes, false)
	if h.e.Fails() {
		gone = nil
	}
	h.e.Served()
	for {
		select {
		case <-changes:
			_ = to.Send(&grpc_health_v1.HealthCheckResponse{})
		case <-gone:
			return to.Context().Err()
		}
	}
}

// regionsWatched watches one region after another, each over a connection of its
// own, as long as the process lives.
func regionsWatched(e *Env) {
	other := newHost(e).open(Outside{Dependency: "grpc"})
	e.Every(30*time.Second, func() { go watchRegion(e, newHealth(other)) })
}

func watchRegion(e *Env, c grpc_health_v1.HealthClient) {
	states, err := c.Watch(background, &grpc_health_v1.HealthCheckRequest{})
	for err == nil {
		_, err = states.Recv()
		e.Served()
	}
}

func mqttSubscribersStay(e *Env) {
	b, address, err := newMQTT()
	must(b, err)
	e.Every(time.Minute, func() { _ = b.Publish("news", []byte("hello"), false, 0) })
	newHost(e).welcome(Guests{Kind: "mqtt", Address: address, Every: e.Dur(20 * time.Second)})
}

func natsSubscribersStay(e *Env) {
	newHost(e).welcome(Guests{Kind: "nats", Address: must(newNATS()), Every: e.Dur(20 * time.Second), Talk: e.Dur(5 * time.Minute)})
}

// natsSubscriptions has one for each tenant.
func natsSubscriptions(e *Env) {
	other := newHost(e).open(Outside{Dependency: "nats", Tick: e.Dur(time.Minute)})
	c := must(connectNATS(other))
	e.Every(30*time.Second, func() { _, _ = c.Subscribe("news", func(*nats.Msg) { e.Served() }) })
}

// redisSubscriptions has one for each channel.
func redisSubscriptions(e *Env) {
	other := newHost(e).open(Outside{Dependency: "redis"})
	c := newGoRedis(other)
	e.Every(30*time.Second, func() {
		messages := c.Subscribe(background, "news").Channel()
		go func() {
			for range messages {
				e.Served()
			}
		}()
	})
	e.Every(2*time.Minute, func() { c.Publish(background, "news", "hello") })
}

// slowDownloads has clients that take an hour to read what is sent to them.
func slowDownloads(e *Env) {
	s := newHost(e)
	s.mux.HandleFunc("/film", func(w http.ResponseWriter, _ *http.Request) { sendFilm(e, w) })
	s.welcome(Guests{Kind: "download", Address: "/film", Every: e.Dur(20 * time.Second), Stay: e.Dur(time.Hour), Talk: e.Dur(10 * time.Second)})
}

func sendFilm(e *Env, w io.Writer) {
	part := make([]byte, 64<<10)
	for range 1000 {
		if _, err := w.Write(part); err != nil {
			return
		}
		e.Served()
	}
}

// tenantTickers has a goroutine for each tenant, which looks after it.
func tenantTickers(e *Env) {
	newHost(e).open(Outside{})
	e.Every(time.Minute, func() { go lookAfterTenant(e) })
}

func lookAfterTenant(e *Env) {
	for range time.Tick(e.Dur(time.Minute)) {
		e.Served()
	}
}

// sessionTimers has a goroutine for each session, which ends it after a day.
func sessionTimers(e *Env) {
	s := newHost(e)
	logouts := make(chan int)
	s.handle("/login", func(request) { go endSession(e, logouts) })
	s.open(Outside{Calls: []Calls{{Path: "/login", PerSecond: e.perMinute(5)}}})
}

func endSession(e *Env, logout <-chan int) {
	select {
	case <-time.After(e.Dur(24 * time.Hour)):
	case <-logout:
	}
	e.Served()
}

// jobsOfTheNight are ordered by day and wait for three o'clock.
func jobsOfTheNight(e *Env) {
	s := newHost(e)
	night := time.Now().Add(e.Dur(9 * time.Hour))
	s.handle("/order", func(request) { go runAtNight(e, night) })
	s.open(Outside{Calls: []Calls{{Path: "/order", PerSecond: e.perMinute(2)}}})
}

func runAtNight(e *Env, night time.Time) {
	timer := time.NewTimer(time.Until(night))
	defer timer.Stop()
	<-timer.C
	e.Served()
}

// idGenerators has a generator for each of sixty kinds of documents, made when
// the first of a kind is; each is asked a few times an hour.
func idGenerators(e *Env) {
	newHost(e).open(Outside{})
	var all collection[chan int]
	go func() {
		for range 60 {
			ids := make(chan int)
			go generateIDs(ids)
			all.add(ids)
			e.Sleep(40 * time.Second)
		}
	}()
	e.Every(10*time.Second, func() {
		if ids, ok := all.pick(); ok {
			<-ids
			e.Served()
		}
	})
}

func generateIDs(ids chan<- int) {
	for n := 0; ; n++ {
		ids <- n
	}
}

// customerCaches has a cache for each customer, whose entries live for an hour
// and more: the library has a janitor on a ticker for each.
func customerCaches(e *Env) {
	newHost(e).open(Outside{})
	var all collection[*expirable.LRU[int, int]]
	e.Every(30*time.Second, func() { all.add(expirable.NewLRU[int, int](100, nil, e.Dur(100*time.Minute))) })
	e.Every(time.Second, func() {
		if c, ok := all.pick(); ok {
			c.Add(rand.N(100), 1)
			e.Served()
		}
	})
}

// A collection grows, and is picked from at random. Safe for concurrent use.
type collection[T any] struct {
	mu  sync.Mutex
	all []T
}

func (c *collection[T]) add(v T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, v)
}

// pick returns one of them, if there is any.
func (c *collection[T]) pick() (v T, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.all) == 0 {
		return v, false
	}
	return c.all[rand.N(len(c.all))], true
}

// tenantDatabases has a database/sql pool for each tenant.
func tenantDatabases(e *Env) {
	newHost(e).open(Outside{})
	var all collection[*sql.DB]
	e.Every(time.Minute, func() { all.add(must(sql.Open("sqlite", fmt.Sprintf("file:tenant%d?mode=memory", rand.Uint64())))) })
	e.Every(5*time.Second, func() {
		if db, ok := all.pick(); ok && db.Ping() == nil {
			e.Served()
		}
	})
}
