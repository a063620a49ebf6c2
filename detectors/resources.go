package detectors

import (
	"fmt"
	"slices"
	"strings"

	"github.com/otelgoroutine/go/goroutine"
)

// A resource is something of which there are only so many, or a party that must
// answer, as the frames of goroutines that wait for it show.
type resource struct {
	name  string // of the kind; unique
	match func(*goroutine.Stack) bool
	state goroutine.State // of goroutines that wait for it

	// what completes "N goroutines wait …", and out says what that means.
	what, out string
	// forgotten says what is usually forgotten, as advice.
	forgotten string

	// scarce says that no request handler is meant to wait for it for a minute.
	scarce bool
}

// resources is in order: the first that matches counts, and those that are
// built on others come before them.
var resources = []resource{
	{
		name:      "database/sql pool",
		match:     leaf("database/sql.(*DB).conn"),
		state:     goroutine.Select,
		what:      "for a connection of a database/sql pool",
		out:       "All connections that SetMaxOpenConns permits are in use.",
		forgotten: "Find the code that keeps connections: Rows that are not closed or not read to the end, a Tx without Commit or Rollback on every path, a Conn that is not closed, or a query inside the loop over another's rows. DB.Stats shows InUse and WaitCount.",
		scarce:    true,
	},
	{
		name:      "pgx pool",
		match:     all(has("github.com/jackc/pgx/v5/pgxpool.(*Pool).Acquire"), leaf("golang.org/x/sync/semaphore.(*Weighted).Acquire")),
		state:     goroutine.Select,
		what:      "for a connection of a pgxpool",
		out:       "All connections that MaxConns permits are in use.",
		forgotten: "Find the code that keeps connections: Rows that are not closed, a Tx without Commit or Rollback on every path, or a Conn from Acquire without Release. Pool.Stat shows AcquiredConns.",
		scarce:    true,
	},
	{
		name:      "puddle pool",
		match:     all(generic("github.com/jackc/puddle/v2.(*Pool[", "]).acquire"), leaf("golang.org/x/sync/semaphore.(*Weighted).Acquire")),
		state:     goroutine.Select,
		what:      "for a resource of a puddle pool",
		out:       "All resources that MaxSize permits are in use.",
		forgotten: "Find the code that acquires a resource and does not call Release or Destroy on every path. Pool.Stat shows AcquiredResources.",
		scarce:    true,
	},
	{
		name:      "go-redis pool",
		match:     has("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).waitTurn"),
		state:     goroutine.Select,
		what:      "for a connection of a go-redis pool",
		out:       "All connections that PoolSize permits are in use.",
		forgotten: "Find the code that keeps connections: a PubSub or a Conn that is not closed, blocking commands such as BLPOP, or a server that does not answer. Client.PoolStats shows TotalConns and IdleConns.",
		scarce:    true,
	},
	{
		name:      "redigo pool",
		match:     leaf("github.com/gomodule/redigo/redis.(*Pool).waitVacantConn"),
		state:     goroutine.Select,
		what:      "for a connection of a redigo pool",
		out:       "All connections that MaxActive permits are in use.",
		forgotten: "Find the code that gets a Conn from the pool and does not Close it on every path. Pool.Stats shows ActiveCount and IdleCount.",
		scarce:    true,
	},
	{
		name:      "http.Transport connections",
		match:     leaf("net/http.(*Transport).getConn"),
		state:     goroutine.Select,
		what:      "for a connection of an http.Transport",
		out:       "All connections that MaxConnsPerHost permits are in use, or a connection attempt does not end.",
		forgotten: "Find responses whose Body is not closed, and check that the Client has a Timeout and the dialer too.",
		scarce:    true,
	},
	{
		name: "HTTP/2 stream",
		match: cond("net/http.(*http2ClientConn).awaitOpenSlotForStreamLocked", "net/http/internal/http2.(*ClientConn).awaitOpenSlotForStreamLocked",
			"golang.org/x/net/http2.(*ClientConn).awaitOpenSlotForStreamLocked"),
		state:     goroutine.CondWait,
		what:      "for a stream of an HTTP/2 connection",
		out:       "All concurrent streams that the server permits are in use.",
		forgotten: "Find responses whose Body is not closed, and requests to the same server that do not end.",
		scarce:    true,
	},
	{
		name: "HTTP response",
		match: leaf("net/http.(*persistConn).roundTrip", "net/http.(*http2ClientConn).roundTrip", "net/http/internal/http2.(*ClientConn).roundTrip",
			"golang.org/x/net/http2.(*ClientConn).roundTrip"),
		state:     goroutine.Select,
		what:      "for the response of an HTTP server",
		out:       "The server has accepted the requests and does not answer.",
		forgotten: "Check the server that is called, and give the Client a Timeout or each request a context with a deadline.",
		scarce:    true, // headers come at once, also those of a stream; only long polls behind a proxy wait here
	},
	{
		name:      "HTTP response body",
		match:     all(entry("net/http.(*persistConn).readLoop"), leaf("net/http.(*persistConn).readLoop")),
		state:     goroutine.Select,
		what:      "for a response body to be read and closed",
		out:       "A response body was not closed.",
		forgotten: "Find the code that gets a response and returns without closing its Body.",
	},
	{
		name:      "semaphore.Weighted",
		match:     leaf("golang.org/x/sync/semaphore.(*Weighted).Acquire"),
		state:     goroutine.Select,
		what:      "for a semaphore.Weighted",
		out:       "Its whole weight is in use.",
		forgotten: "Find the code that acquires it and does not Release the same weight on every path, or asks for more than its size.",
		scarce:    true,
	},
	{
		name:      "errgroup limit",
		match:     leaf("golang.org/x/sync/errgroup.(*Group).Go"),
		state:     goroutine.ChanSend,
		what:      "for the limit of an errgroup",
		out:       "As many functions as SetLimit permits are running.",
		forgotten: "Find what the functions of the group wait for; a function that calls Go of its own group waits for itself.",
		scarce:    true,
	},
	{
		name:      "errgroup",
		match:     has("golang.org/x/sync/errgroup.(*Group).Wait"),
		state:     goroutine.WaitGroupWait,
		what:      "for the functions of an errgroup",
		out:       "At least one function of the group does not return.",
		forgotten: "Find what the functions of the group wait for, and check that they end when the group's context does.",
	},
	{
		name:      "channel",
		match:     func(*goroutine.Stack) bool { return true },
		state:     goroutine.ChanSend,
		what:      "to send on a channel",
		out:       "The channel is full or has no receiver; used as a semaphore, all of its tokens are taken.",
		forgotten: "Find the receivers and what they wait for, or the path that takes a token of the semaphore and does not return it.",
		scarce:    true,
	},
}

// generic matches stacks with a function whose name has a prefix and a suffix:
// one with type arguments.
func generic(prefix, suffix string) func(*goroutine.Stack) bool {
	return func(s *goroutine.Stack) bool {
		return slices.ContainsFunc(s.Frames, func(f goroutine.Frame) bool {
			return strings.HasPrefix(f.Function, prefix) && strings.HasSuffix(f.Function, suffix)
		})
	}
}

// resourceAt returns what goroutines with this stack and state wait for. ok is
// false when that is unknown.
func resourceAt(s *goroutine.Stack, state goroutine.State) (r resource, ok bool) {
	if state.Lock() {
		return resource{
			name: "lock", what: fmt.Sprintf("for a lock (%s)", state), out: "The lock is not released.",
			forgotten: adviceLock, scarce: true,
		}, true
	}
	i := slices.IndexFunc(resources, func(r resource) bool { return r.state == state && r.match(s) })
	if i < 0 {
		return resource{}, false
	}
	return resources[i], true
}

// handles reports whether a goroutine with this stack handles a request of a
// server: a client waits for it.
func handles(s *goroutine.Stack) bool {
	return s.User().Function != s.Entry().Function && handlers(s)
}

var handlers = anyOf(
	entry("net/http.(*conn).serve"),
	entry("net/http.(*http2serverConn).runHandler", "net/http/internal/http2.(*serverConn).runHandler", "golang.org/x/net/http2.(*serverConn).runHandler"),
	has("google.golang.org/grpc.(*Server).handleStream"),
	entry("net/rpc.(*service).call"),
	entry("github.com/valyala/fasthttp.(*workerPool).workerFunc"),
)
