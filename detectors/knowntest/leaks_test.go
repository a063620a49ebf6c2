// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package knowntest

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
)

// A fault is made once a minute, and nothing is ever closed.
type fault struct {
	name  string
	found string // the function at which it is found
	start func(t *testing.T) (once func(i int))
}

var faults = []fault{
	{"a gRPC client per request", "google.golang.org/grpc/internal/grpcsync.(*CallbackSerializer).run", func(t *testing.T) func(int) {
		address := serveGRPC(t)
		return func(int) { dialGRPC(t, "passthrough:///"+address) }
	}},
	{"a gRPC client per request, with a name to resolve", "google.golang.org/grpc/internal/resolver/dns.(*dnsResolver).watcher", fleetNamed("gRPC clients that resolve names and check health").start},
	{"a gRPC stream per request", "google.golang.org/grpc.newClientStreamWithParams.func", func(t *testing.T) func(int) {
		cc := dialGRPC(t, serveGRPC(t))
		return func(int) { openStream(t, t.Context(), cc) }
	}},
	{"sql.Open per request", "database/sql.(*DB).connectionOpener", fleetNamed("database/sql, pools with MySQL connections").start},
	{"a connection of a pool that is never given back", "github.com/go-sql-driver/mysql.(*mysqlConn).startWatcher.func1", func(t *testing.T) func(int) {
		db := openSQL(t, serveMySQL(t))
		return func(int) {
			c, err := db.Conn(context.Background())
			require.NoError(t, err)
			t.Cleanup(func() { c.Close() })
		}
	}},
	{"a transaction that is never ended", "database/sql.(*Tx).awaitDone", func(t *testing.T) func(int) {
		db := openSQL(t, serveMySQL(t))
		return func(int) {
			tx, err := db.BeginTx(t.Context(), new(sql.TxOptions))
			require.NoError(t, err)
			t.Cleanup(func() { _ = tx.Rollback() })
		}
	}},
	{"an http.Transport per request", "net/http.(*persistConn).writeLoop", func(t *testing.T) func(int) {
		address := serveHTTP(t, answers, false)
		return func(i int) {
			rt := to(address, false)
			t.Cleanup(rt.CloseIdleConnections)
			get(t, rt, pod("http", i))
		}
	}},
	{"a body of HTTP/1 that is never closed", "net/http.(*persistConn).readLoop", func(t *testing.T) func(int) { return unclosed(t, "http") }},
	{"a body of HTTP/2 that is never closed", doRequest(), func(t *testing.T) func(int) { return unclosed(t, "https") }},
	{"a Redis subscription per request", "github.com/redis/go-redis/v9.(*channel).initHealthCheck.func1", func(t *testing.T) func(int) {
		c := dialRedis(t, serveRedis(t))
		return func(i int) { subscribeRedis(t, c, fmt.Sprint(i)) }
	}},
	{"a NATS client per request", "github.com/nats-io/nats%2ego.(*Conn).flusher", fleetNamed("NATS clients").start},
	{"a NATS subscription per request", "github.com/nats-io/nats%2ego.(*Conn).waitForMsgs", fleetNamed("NATS subscriptions").start},
	{"an OpenTelemetry SDK per request", "go.opentelemetry.io/otel/sdk/metric.(*PeriodicReader).run", func(t *testing.T) func(int) {
		_, overHTTP := serveOTLP(t)
		return func(int) { newSDK(t, "", overHTTP, time.Hour) }
	}},
}

func fleetNamed(name string) fleet {
	for _, f := range fleets {
		if f.name == name {
			return f
		}
	}
	panic("no fleet is called " + name)
}

func doRequest() string {
	if elsewhere("net/http.(*http2") {
		return "net/http/internal/http2.(*clientStream).doRequest"
	}
	return "net/http.(*http2clientStream).doRequest"
}

// unclosed makes requests and neither reads nor closes what is answered.
func unclosed(t *testing.T, scheme string) func(int) {
	two := scheme == "https"
	rt := to(serveHTTP(t, holds, two), two)
	return func(i int) {
		req, err := http.NewRequest("GET", pod(scheme, i), nil)
		require.NoError(t, err)
		resp, err := rt.RoundTrip(req)
		require.NoError(t, err)
		t.Cleanup(func() { resp.Body.Close() })
	}
}

// idle is a fault of its own: of a gRPC client that is not used any more, some
// goroutines end after a while, 30 minutes by default and at most here, which
// is not what leaked ones do.
var idle = fault{"a gRPC client per request, which goes idle", "google.golang.org/grpc/internal/grpcsync.(*CallbackSerializer).run", func(t *testing.T) func(int) {
	address := serveGRPC(t)
	var all []*grpc.ClientConn
	return func(i int) {
		all = append(all, dialGRPC(t, "passthrough:///"+address, grpc.WithIdleTimeout(100*time.Millisecond)))
		if old := i - 30; old >= 0 {
			for s := all[old].GetState(); s != connectivity.Idle; s = all[old].GetState() {
				require.True(t, all[old].WaitForStateChange(t.Context(), s))
			}
		}
	}
}}

// TestWhatIsNeverClosedIsFound has all but the idle side by side.
func TestWhatIsNeverClosedIsFound(t *testing.T) { findAll(t, faults) }

func TestIdleClientsAreFound(t *testing.T) { findAll(t, []fault{idle}) }

// findAll runs faults until each is found, for four hours at most.
func findAll(t *testing.T, faults []fault) {
	o := newObserver(t)
	once := make([]func(int), len(faults))
	for i, f := range faults {
		once[i] = f.start(t)
	}
	found := make(map[string]int)
	for minute := 0; minute < 240 && len(found) < len(faults); minute++ {
		for i := range faults {
			once[i](minute)
		}
		o.step()
		for _, finding := range o.leaks {
			for _, f := range faults {
				if found[f.name] == 0 && onStack(finding.Stack, f.found) {
					found[f.name] = minute
					t.Logf("%s: found after %d minutes: %s %q", f.name, minute, finding.Message, finding.Evidence)
				}
			}
		}
	}
	for _, f := range faults {
		assert.NotZero(t, found[f.name], "%s was not found", f.name)
	}
}
