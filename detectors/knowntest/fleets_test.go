// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package knowntest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"google.golang.org/grpc"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// A fleet is something of which ever more come up, and stay.
type fleet struct {
	name string
	// inbound: others decide how many there are, such as the clients of a
	// server, and they may keep coming. Else it is this program that has
	// one for each of its servers, tenants or topics.
	inbound bool
	// waits is where its goroutines wait, if they do so for anything but the
	// network.
	waits string
	start func(t *testing.T) (oneMore func(i int))
}

var fleets = []fleet{
	{"HTTP/1 server, connections", true, "", func(t *testing.T) func(int) {
		address := serveHTTP(t, answers, false)
		return func(int) { keepAlive(t, address) }
	}},
	{"HTTP/2 server, connections", true, "", func(t *testing.T) func(int) {
		address := serveHTTP(t, answers, true)
		return func(int) { newWire(t, address, true).settle() }
	}},
	{"HTTP/2 server, streams", true, "net/http", func(t *testing.T) func(int) {
		address := serveHTTP(t, reads, true)
		return func(int) { newWire(t, address, true).open("/", "text/plain", nil, false) }
	}},
	{"golang.org/x/net/http2 server, streams", true, "golang.org/x/net/http2", func(t *testing.T) func(int) {
		address := serveXNet(t, reads)
		return func(int) { newWire(t, address, false).open("/", "text/plain", nil, false) }
	}},
	{"gRPC server, connections", true, "google.golang.org/grpc/internal/transport.(*loopyWriter)", func(t *testing.T) func(int) {
		address := serveGRPC(t)
		return func(int) { newWire(t, address, false).settle() }
	}},
	{"gRPC server, streams", true, "google.golang.org/grpc/internal/transport.(*recvBufferReader)", func(t *testing.T) func(int) {
		address := serveGRPC(t)
		return func(int) { newWire(t, address, false).open(stream, "application/grpc", nil, false) }
	}},
	{"gRPC server, health watchers", true, "google.golang.org/grpc/health", func(t *testing.T) func(int) {
		address := serveGRPC(t)
		return func(int) {
			newWire(t, address, false).open("/grpc.health.v1.Health/Watch", "application/grpc", make([]byte, 5), true)
		}
	}},
	{"NATS server, connections", true, "github.com/nats-io/nats-server", func(t *testing.T) func(int) {
		address := serveNATS(t)
		return func(int) { wireNATS(t, address) }
	}},

	{"HTTP/1 client, connections", false, "net/http.(*persistConn)", func(t *testing.T) func(int) {
		rt := to(serveHTTP(t, answers, false), false)
		t.Cleanup(rt.CloseIdleConnections)
		return func(i int) { get(t, rt, pod("http", i)) }
	}},
	{"HTTP/2 client, connections", false, "", func(t *testing.T) func(int) {
		rt := to(serveHTTP(t, answers, true), true)
		t.Cleanup(rt.CloseIdleConnections)
		return func(i int) { get(t, rt, pod("https", i)) }
	}},
	{"golang.org/x/net/http2 client, connections", false, "", func(t *testing.T) func(int) {
		rt := toXNet(t, serveXNet(t, answers))
		return func(i int) { get(t, rt, pod("http", i)) }
	}},
	{"gRPC clients", false, "google.golang.org/grpc/internal/grpcsync", func(t *testing.T) func(int) {
		address := serveGRPC(t)
		return func(int) { dialGRPC(t, "passthrough:///"+address) }
	}},
	{"gRPC clients that resolve names and check health", false, "google.golang.org/grpc.newNonRetryClientStream", func(t *testing.T) func(int) {
		target := strings.Replace("dns:///"+serveGRPC(t), "127.0.0.1", "localhost", 1)
		checks := grpc.WithDefaultServiceConfig(`{"healthCheckConfig": {"serviceName": ""}, "loadBalancingConfig": [{"round_robin": {}}]}`)
		return func(int) { dialGRPC(t, target, checks) }
	}},
	{"database/sql, pools with MySQL connections", false, "database/sql", func(t *testing.T) func(int) {
		address := serveMySQL(t)
		return func(int) { openSQL(t, address) }
	}},
	{"Redis clients with a subscription", false, "github.com/redis/go-redis", func(t *testing.T) func(int) {
		address := serveRedis(t)
		return func(i int) { subscribeRedis(t, dialRedis(t, address), fmt.Sprint(i)) }
	}},
	{"NATS clients", false, "github.com/nats-io/nats%2ego.(*Conn).flusher", func(t *testing.T) func(int) {
		address := serveNATS(t)
		return func(int) { dialNATS(t, address) }
	}},
	{"NATS subscriptions", false, "github.com/nats-io/nats%2ego.(*Conn).waitForMsgs", func(t *testing.T) func(int) {
		c := dialNATS(t, serveNATS(t))
		return func(i int) { subscribeNATS(t, c, fmt.Sprint(i)) }
	}},
}

// peers is what this process has only because both ends are in it.
var peers = detectors.KnownStack{
	Name:   "peers",
	Reason: "a server of a client's, which is another process in life",
	Match:  func(s *goroutine.Stack) bool { return onStack(s, "github.com/alicebob/miniredis/") },
}

// TestFleetsRaiseNoAlarm lets clients keep coming for four hours, and gives
// this program an hour's time to make its own: then they stay. Connections of clients that
// have come for more than two hours, and of which none has gone, are a growth by definition.
func TestFleetsRaiseNoAlarm(t *testing.T) {
	o := newObserver(t)
	overGRPC, overHTTP := serveOTLP(t)
	sdks := []*sdk{newSDK(t, overGRPC, "", soon), newSDK(t, "", overHTTP, soon)}
	more := make([]func(int), len(fleets))
	for i, f := range fleets {
		more[i] = f.start(t)
	}
	naked := make(map[string]bool) // what would be found without the list
	for minute := range 240 {
		for i, f := range fleets {
			if f.inbound && minute%2 == 0 || !f.inbound && minute >= 20 && minute < 80 {
				more[i](minute)
			}
		}
		for _, k := range sdks {
			k.use()
		}
		for _, f := range o.step() {
			if f.Confidence > detectors.Info && !(f.Detector == "growth" && minute > 120) {
				t.Errorf("minute %d: %s: %s %q\n%s", minute, f.Detector, f.Message, f.Evidence, f.Stack.Text(4096))
			}
		}
		if minute%10 == 9 {
			o.mark(naked, fleets)
		}
		if t.Failed() {
			return
		}
	}
	for _, f := range fleets {
		if f.waits != "" {
			assert.True(t, naked[f.name], "%s: nothing would be found without the list, so that this test shows nothing", f.name)
		}
	}
}

// mark notes the fleets that the detector "leak" would find without the list.
func (o *observer) mark(naked map[string]bool, fleets []fleet) {
	for _, f := range o.naked {
		for _, fl := range fleets {
			if fl.waits != "" && onStack(f.Stack, fl.waits) {
				naked[fl.name] = true
			}
		}
	}
}
