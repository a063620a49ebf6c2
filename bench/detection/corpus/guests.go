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
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/gorilla/websocket"
	"github.com/nats-io/nats.go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// Guests are clients that come one after another, at random times, and hold a
// connection: for good, or until they leave. All times are those of the machine.
type Guests struct {
	Kind    string // a key of guestKinds
	Address string // of what they come to; a URL for those that speak HTTP
	Every   time.Duration
	Stay    time.Duration // on average, from a tenth of it to the double; 0: for good
	Talk    time.Duration // between what one sends; 0: it sends nothing

	// Vanish says that one whose time is over says nothing, reads nothing and
	// closes nothing, as a machine that lost its network. Without it, it closes
	// its connection.
	Vanish bool
}

// A guestKind is one stay of one guest: it returns when ctx ends, its connection
// closed, or with the error that ended it before.
type guestKind func(ctx context.Context, g *Guests) error

var guestKinds = map[string]guestKind{
	"events":    followEvents,
	"download":  downloadSlowly,
	"upload":    uploadHalf,
	"websocket": joinWebSocket,
	"tcp":       talkTCP,
	"grpc":      watchHealth,
	"mqtt":      subscribeMQTT,
	"nats":      subscribeNATS,
}

// start has guests come from now on.
func (g Guests) start() error {
	kind := guestKinds[g.Kind]
	if kind == nil {
		return fmt.Errorf("guests: unknown kind %q", g.Kind)
	}
	go arrive(1/g.Every.Seconds(), func() { _ = kind(g.visit(), &g) })
	return nil
}

// visit returns what ends when a guest leaves.
func (g *Guests) visit() context.Context {
	if g.Stay == 0 {
		return background
	}
	stay := g.Stay/10 + rand.N(2*g.Stay-g.Stay/10)
	ctx, leave := context.WithCancel(background)
	time.AfterFunc(stay, leave)
	return ctx
}

// converse calls talk again and again until ctx ends or a call fails.
func (g *Guests) converse(ctx context.Context, talk func() error) error {
	var tick <-chan time.Time
	if g.Talk > 0 {
		ticker := time.NewTicker(g.Talk)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-tick:
			if err := talk(); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// leave closes what a guest has, or keeps it for good.
func (g *Guests) leave(c io.Closer) {
	if g.Vanish {
		select {}
	}
	c.Close()
}

// followEvents reads a stream of events, on a connection of its own.
func followEvents(ctx context.Context, g *Guests) error {
	return readBody(ctx, g, func(body io.Reader) error {
		_, err := io.Copy(io.Discard, body)
		return err
	})
}

// downloadSlowly reads a little at a time.
func downloadSlowly(ctx context.Context, g *Guests) error {
	return readBody(ctx, g, func(body io.Reader) error {
		return g.converse(ctx, func() error {
			_, err := io.CopyN(io.Discard, body, 512)
			return err
		})
	})
}

func readBody(ctx context.Context, g *Guests, read func(io.Reader) error) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.Address, nil)
	if err != nil {
		return err
	}
	own := &http.Transport{DisableKeepAlives: true}
	answer, err := own.RoundTrip(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return read(answer.Body)
}

// uploadHalf announces more than it sends.
func uploadHalf(ctx context.Context, g *Guests) error {
	address, _ := strings.CutPrefix(g.Address, "http://")
	host, path, _ := strings.Cut(address, "/")
	c, err := dial(ctx, host)
	if err != nil {
		return err
	}
	defer g.leave(c)
	_, err = fmt.Fprintf(c, "POST /%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\n\r\nhalf", path, host)
	<-ctx.Done()
	return err
}

// joinWebSocket reads, and so answers pings, until it leaves.
func joinWebSocket(ctx context.Context, g *Guests) error {
	c, answer, err := websocket.DefaultDialer.DialContext(ctx, "ws"+strings.TrimPrefix(g.Address, "http"), nil)
	if err != nil {
		return err
	}
	answer.Body.Close()
	defer g.leave(c)
	if !g.Vanish {
		go func() {
			for err := error(nil); err == nil; {
				_, _, err = c.ReadMessage()
			}
		}()
	}
	return g.converse(ctx, func() error { return c.WriteMessage(websocket.TextMessage, []byte("hello")) })
}

// talkTCP sends lines and reads nothing.
func talkTCP(ctx context.Context, g *Guests) error {
	c, err := dial(ctx, g.Address)
	if err != nil {
		return err
	}
	defer g.leave(c)
	return g.converse(ctx, func() error {
		_, err := io.WriteString(c, "hello\n")
		return err
	})
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// watchHealth has a stream of the one service that gRPC brings, on a connection
// of its own.
func watchHealth(ctx context.Context, g *Guests) error {
	c, err := grpc.NewClient(g.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer c.Close()
	stream, err := grpc_health_v1.NewHealthClient(c).Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	for err == nil {
		_, err = stream.Recv()
	}
	return err
}

// subscribeMQTT subscribes, and pings the broker now and then.
func subscribeMQTT(ctx context.Context, g *Guests) error {
	c, err := connectMQTT(g.Address)
	if err != nil {
		return err
	}
	defer c.Disconnect(0)
	if err := await(c.Subscribe("news", 0, nil)); err != nil {
		return err
	}
	return g.converse(ctx, func() error { return await(c.Publish("talk", 0, false, "hello")) })
}

// mqttPing is the time between pings, of the machine: the protocol knows whole
// seconds, and the broker gives up on a client that is half as late again.
const mqttPing = 10 * time.Second

// connectMQTT returns a client of its own name. It does not connect again: where
// the machine is late with pings, thousands that do are a storm.
func connectMQTT(address string) (mqtt.Client, error) {
	o := mqtt.NewClientOptions().AddBroker("tcp://" + address).SetKeepAlive(mqttPing).SetAutoReconnect(false).
		SetClientID(fmt.Sprintf("guest-%d", rand.Uint64()))
	c := mqtt.NewClient(o)
	return c, await(c.Connect())
}

// await waits for what a broker has to say to a request.
func await(t mqtt.Token) error {
	if !t.WaitTimeout(10 * time.Second) {
		return errors.New("the broker does not answer")
	}
	return t.Error()
}

func subscribeNATS(ctx context.Context, g *Guests) error {
	c, err := connectNATS(g.Address)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Subscribe("news", func(*nats.Msg) {}); err != nil {
		return err
	}
	return g.converse(ctx, func() error { return c.Publish("talk", []byte("hello")) })
}

// connectNATS waits as long as a busy machine may need.
func connectNATS(address string) (*nats.Conn, error) {
	return nats.Connect("nats://"+address, nats.Timeout(time.Minute))
}
