// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/gorilla/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// connections are never closed: by a server whose clients are gone without a
// word, or by a client that forgets what it has opened.
var connections = []program{
	{deviceGateways, "connection-silent-devices", "connection-silent-devices-deadline"},
	{stalledUploads, "connection-stalled-uploads", "connection-stalled-uploads-deadline"},
	{pongless, "connection-websocket-no-pongs", "connection-websocket-pongs"},
	{tunnels, "connection-tunnel-half-open", "connection-tunnel-closed"},
	{eventFollowers, "connection-body-followed", "connection-body-closed"},
	{quoteLines, "connection-dialed-per-request", "connection-dialed-per-request-closed"},
	{transportsPerRequest, "connection-transport-per-request", "connection-transport-per-request-idle-closed"},
	{grpcPerRequest, "connection-grpc-per-request", "connection-grpc-per-request-closed"},
	{natsPerRequest, "connection-nats-per-request", "connection-nats-per-request-closed"},
	{mqttPerSession, "connection-mqtt-per-session", "connection-mqtt-per-session-closed"},
	{redisPerSession, "connection-redis-subscription", "connection-redis-subscription-closed"},
}

// tenAMinute is how often guests come, and requests that leave something, in most
// programs with connections.
const tenAMinute = 6 * time.Second

// asked is a service whose path /work is called so many times a minute, and that
// depends on another one.
func asked(e *Env, perMinute float64, dependency string, work func(address string)) {
	s := newHost(e)
	other := newPromise[string]()
	s.handle("/work", func(request) { work(other.get()) })
	other.keep(s.open(Outside{
		Calls:      []Calls{{Path: "/work", PerSecond: e.perMinute(perMinute)}},
		Dependency: dependency, Tick: e.inTime(dependencyTicks[dependency]),
	}))
}

// dependencyTicks are how often dependencies send something by themselves.
var dependencyTicks = map[string]time.Duration{"mqtt": time.Minute}

// A path of the code that is taken one time in three has the mistake.
type path struct {
	e *Env
	n counter
}

// fails tells, like [Env.Fails], whether the mistake takes effect now.
func (p *path) fails() bool { return p.n.every(3) && p.e.Fails() }

// inTime scales a time, and leaves 0 as it is.
func (e *Env) inTime(d time.Duration) time.Duration {
	if d == 0 {
		return 0
	}
	return e.Dur(d)
}

// deviceGateways has devices that report for some minutes, and then are gone
// without a word.
func deviceGateways(e *Env) {
	l := listen()
	go acceptEach(l, func(c net.Conn) { receiveReports(e, c) })
	g := leaving(e, "tcp", l.Addr().String())
	g.Talk, g.Vanish = e.Dur(20*time.Second), true
	newHost(e).welcome(g)
}

func receiveReports(e *Env, c net.Conn) {
	in := bufio.NewReader(c)
	for {
		limit := time.Time{}
		if !e.Fails() {
			limit = time.Now().Add(e.Dur(time.Minute))
		}
		_ = c.SetReadDeadline(limit)
		if _, err := in.ReadString('\n'); err != nil {
			return
		}
		e.Served()
	}
}

// stalledUploads has clients that stop in the middle of what they send; three in
// four go then.
func stalledUploads(e *Env) {
	s := newHost(e)
	s.mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) { receiveUpload(e, w, r) })
	impatient := Guests{Kind: "upload", Address: "/upload", Every: e.Dur(2 * time.Second), Stay: e.Dur(20 * time.Second)}
	stalled := Guests{Kind: "upload", Address: "/upload", Every: e.Dur(tenAMinute)}
	s.open(Outside{Guests: []Guests{impatient, stalled}})
}

func receiveUpload(e *Env, w http.ResponseWriter, r *http.Request) {
	if !e.Fails() {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(e.Dur(time.Minute)))
	}
	_, _ = io.Copy(io.Discard, r.Body)
	e.Served()
}

// pongless has clients of a chat that are gone without a word after some minutes.
func pongless(e *Env) {
	s := newHost(e)
	c := &probedChat{e}
	s.mux.HandleFunc("/chat", c.serve)
	g := leaving(e, "websocket", "/chat")
	g.Talk, g.Vanish = e.Dur(10*time.Second), true
	s.welcome(g)
}

// A probedChat pings its clients, unless it fails.
type probedChat struct{ e *Env }

func (c *probedChat) serve(w http.ResponseWriter, r *http.Request) {
	conn, err := new(websocket.Upgrader).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	if !c.e.Fails() {
		left := make(chan struct{})
		defer close(left)
		c.extend(conn)
		conn.SetPongHandler(func(string) error { c.extend(conn); return nil })
		go c.probe(conn, left)
	}
	c.receive(conn)
}

func (c *probedChat) extend(conn *websocket.Conn) {
	_ = conn.SetReadDeadline(time.Now().Add(c.e.Dur(2 * time.Minute)))
}

func (c *probedChat) probe(conn *websocket.Conn, left <-chan struct{}) {
	ticker := time.NewTicker(c.e.Dur(30 * time.Second))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
		case <-left:
			return
		}
	}
}

func (c *probedChat) receive(conn *websocket.Conn) {
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return
		}
		c.e.Served()
	}
}

// tunnels join each client with a connection to a service behind.
func tunnels(e *Env) {
	s := newHost(e)
	entry, other := listen(), newPromise[string]()
	go acceptEach(entry, func(c net.Conn) { joinFar(e, c, other.get()) })
	g := leaving(e, "tcp", entry.Addr().String())
	g.Talk = e.Dur(5 * time.Second)
	other.keep(s.open(Outside{Dependency: "drain", Guests: []Guests{g}}))
}

func joinFar(e *Env, near net.Conn, address string) {
	far, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	go copyBack(near, far)
	_, _ = io.Copy(far, near)
	e.Served()
	if !e.Fails() {
		far.Close()
	}
}

func copyBack(near, far net.Conn) { _, _ = io.Copy(near, far) }

// eventFollowers follows a stream of events for a request, and does not close its
// body.
func eventFollowers(e *Env) {
	c, p := &http.Client{}, path{e: e}
	asked(e, 30, "events", func(address string) {
		answer, err := c.Get("http://" + address + "/")
		if err != nil {
			return
		}
		go followBody(answer.Body)
		time.Sleep(e.Tail(2 * time.Second))
		if !p.fails() {
			answer.Body.Close()
		}
	})
}

func followBody(body io.Reader) { _, _ = io.Copy(io.Discard, body) }

// quoteLines dials for each request.
func quoteLines(e *Env) {
	p := path{e: e}
	asked(e, 30, "drain", func(address string) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		go listenForQuotes(c)
		_, _ = io.WriteString(c, "hello\n")
		time.Sleep(e.Tail(2 * time.Second))
		if !p.fails() {
			c.Close()
		}
	})
}

func listenForQuotes(c net.Conn) {
	for in := bufio.NewReader(c); ; {
		if _, err := in.ReadString('\n'); err != nil {
			return
		}
	}
}

// transportsPerRequest makes an HTTP client for each request.
func transportsPerRequest(e *Env) {
	asked(e, 10, "http", func(address string) { fetchWithOwnClient(e, "http://"+address+"/") })
}

func fetchWithOwnClient(e *Env, url string) {
	c := &http.Client{Transport: &http.Transport{}}
	_ = call(background, c, url)
	if !e.Fails() {
		c.CloseIdleConnections()
	}
}

func grpcPerRequest(e *Env) {
	asked(e, 10, "grpc", func(address string) { checkWithOwnClient(e, address) })
}

func checkWithOwnClient(e *Env, address string) {
	c := must(grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials())))
	_, _ = grpc_health_v1.NewHealthClient(c).Check(background, &grpc_health_v1.HealthCheckRequest{})
	if !e.Fails() {
		c.Close()
	}
}

func natsPerRequest(e *Env) {
	asked(e, 10, "nats", func(address string) { publishWithOwnClient(e, address) })
}

func publishWithOwnClient(e *Env, address string) {
	c, err := connectNATS(address)
	if err != nil {
		return
	}
	_ = c.Publish("visits", []byte("hello"))
	_ = c.Flush()
	if !e.Fails() {
		c.Close()
	}
}

// mqttPerSession has an MQTT client for each session.
func mqttPerSession(e *Env) {
	asked(e, 10, "mqtt", func(address string) { listenForSession(e, address) })
}

func listenForSession(e *Env, address string) {
	c, err := connectMQTT(address)
	if err != nil {
		return
	}
	_ = await(c.Subscribe("news", 0, func(mqtt.Client, mqtt.Message) { e.Served() }))
	time.Sleep(e.Tail(5 * time.Second))
	if !e.Fails() {
		c.Disconnect(0)
	}
}

// redisPerSession subscribes to a channel of go-redis for each session.
func redisPerSession(e *Env) {
	clients, p := shared(newGoRedis), path{e: e}
	asked(e, 30, "redis", func(address string) {
		subscription := clients(address).Subscribe(background, "news")
		go readNews(e, subscription.Channel())
		time.Sleep(e.Tail(5 * time.Second))
		if !p.fails() {
			subscription.Close()
		}
	})
}

func readNews[T any](e *Env, messages <-chan T) {
	for range messages {
		e.Served()
	}
}
