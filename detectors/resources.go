// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

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
	// answers says that it is an answer from outside the process: no handler is
	// meant to wait for it for two minutes.
	answers bool
	// pool says that callers commonly give up by a time limit of their own, and that
	// goroutines which use it show elsewhere.
	pool bool
	// inside says that goroutines of the same process do or hold what these wait
	// for: they are not what got stuck first.
	inside bool
	// holders matches goroutines that hold it or do it, where that shows.
	holders func(*goroutine.Stack) bool
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
		pool:      true,
		inside:    true,
	},
	{
		name:      "pgx pool",
		match:     all(has("github.com/jackc/pgx/v5/pgxpool.(*Pool).Acquire"), leaf("golang.org/x/sync/semaphore.(*Weighted).Acquire")),
		state:     goroutine.Select,
		what:      "for a connection of a pgxpool",
		out:       "All connections that MaxConns permits are in use.",
		forgotten: "Find the code that keeps connections: Rows that are not closed, a Tx without Commit or Rollback on every path, or a Conn from Acquire without Release. Pool.Stat shows AcquiredConns.",
		scarce:    true,
		pool:      true,
		inside:    true,
	},
	{
		name:      "puddle pool",
		match:     all(generic("github.com/jackc/puddle/v2.(*Pool[", "]).acquire"), leaf("golang.org/x/sync/semaphore.(*Weighted).Acquire")),
		state:     goroutine.Select,
		what:      "for a resource of a puddle pool",
		out:       "All resources that MaxSize permits are in use.",
		forgotten: "Find the code that acquires a resource and does not call Release or Destroy on every path. Pool.Stat shows AcquiredResources.",
		scarce:    true,
		pool:      true,
		inside:    true,
	},
	{
		name:      "go-redis pool",
		match:     anyOf(has("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).waitTurn"), has("github.com/go-redis/redis/v8/internal/pool.(*ConnPool).waitTurn")),
		state:     goroutine.Select,
		what:      "for a connection of a go-redis pool",
		out:       "All connections that PoolSize permits are in use.",
		forgotten: "Find the code that keeps connections: a PubSub or a Conn that is not closed, blocking commands such as BLPOP, or a server that does not answer. Client.PoolStats shows TotalConns and IdleConns.",
		scarce:    true,
		pool:      true,
		inside:    true,
	},
	{
		name:      "redigo pool",
		match:     leaf("github.com/gomodule/redigo/redis.(*Pool).waitVacantConn"),
		state:     goroutine.Select,
		what:      "for a connection of a redigo pool",
		out:       "All connections that MaxActive permits are in use.",
		forgotten: "Find the code that gets a Conn from the pool and does not Close it on every path. Pool.Stats shows ActiveCount and IdleCount.",
		scarce:    true,
		pool:      true,
		inside:    true,
	},
	{
		name:      "go-pg pool",
		match:     leaf("github.com/go-pg/pg/v10/internal/pool.(*ConnPool).waitTurn"),
		state:     goroutine.Select,
		what:      "for a connection of a go-pg pool",
		out:       "All connections that PoolSize permits are in use.",
		forgotten: "Find the code that keeps connections: a Tx without Commit or Rollback on every path, a Conn or a Listener that is not closed. DB.PoolStats shows TotalConns and IdleConns.",
		scarce:    true,
		pool:      true,
		inside:    true,
	},
	{
		name:      "MongoDB pool",
		match:     leaf(mongo("(*pool).checkOut")...),
		state:     goroutine.Select,
		what:      "for a connection of a MongoDB client",
		out:       "All connections that maxPoolSize permits are in use, or a connection attempt does not end.",
		forgotten: "Find cursors and sessions that are not closed, and operations without a deadline; check the server.",
		scarce:    true,
		inside:    true,
	},
	{
		name:      "rueidis pool",
		match:     cond("github.com/redis/rueidis.(*pool).Acquire"),
		state:     goroutine.CondWait,
		what:      "for a connection of a rueidis pool",
		out:       "All connections that BlockingPoolSize permits are in use.",
		forgotten: "Find the code that keeps connections: a client from Dedicate without its cancel, or blocking commands such as BLPOP.",
		scarce:    true,
		inside:    true,
	},
	{
		name:      "http.Transport connections",
		match:     leaf("net/http.(*Transport).getConn"),
		state:     goroutine.Select,
		what:      "for a connection of an http.Transport",
		out:       "All connections that MaxConnsPerHost permits are in use, or a connection attempt does not end.",
		forgotten: "Find responses whose Body is not closed, and check that the Client has a Timeout and the dialer too.",
		holders:   all(loop("net/http.(*persistConn).readLoop"), not(has("internal/poll.(*FD).Read"))),
		scarce:    true,
		inside:    true,
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
		inside:    true,
	},
	{
		name: "HTTP response",
		match: leaf("net/http.(*persistConn).roundTrip", "net/http.(*http2ClientConn).roundTrip", "net/http/internal/http2.(*ClientConn).roundTrip",
			"golang.org/x/net/http2.(*ClientConn).roundTrip"),
		state:     goroutine.Select,
		what:      "for the response of an HTTP server",
		out:       "The server has accepted the requests and does not answer.",
		forgotten: "Check the server that is called, and give the Client a Timeout or each request a context with a deadline.",
		answers:   true, // headers come at once, also those of a stream; only long polls behind a proxy wait here
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
		inside:    true,
	},
	{
		name:      "errgroup limit",
		match:     leaf("golang.org/x/sync/errgroup.(*Group).Go"),
		state:     goroutine.ChanSend,
		what:      "for the limit of an errgroup",
		out:       "As many functions as SetLimit permits are running.",
		forgotten: "Find what the functions of the group wait for; a function that calls Go of its own group waits for itself.",
		holders:   entry("golang.org/x/sync/errgroup.(*Group).Go.func1", "golang.org/x/sync/errgroup.(*Group).add.func1"),
		scarce:    true,
		inside:    true,
	},
	{
		name:      "errgroup",
		match:     has("golang.org/x/sync/errgroup.(*Group).Wait"),
		state:     goroutine.WaitGroupWait,
		what:      "for the functions of an errgroup",
		out:       "At least one function of the group does not return.",
		forgotten: "Find what the functions of the group wait for, and check that they end when the group's context does.",
		holders:   entry("golang.org/x/sync/errgroup.(*Group).Go.func1", "golang.org/x/sync/errgroup.(*Group).add.func1"),
		inside:    true,
	},
	{
		name:      "gRPC stream",
		match:     leaf("google.golang.org/grpc/internal/transport.(*http2Client).NewStream"),
		state:     goroutine.Select,
		what:      "for a stream of a gRPC connection",
		out:       "All concurrent streams that the server permits are in use, or its flow control stands still.",
		forgotten: "Find streams that are neither read to the end nor cancelled: each NewStream needs its context cancelled, or Recv until an error.",
		scarce:    true,
		inside:    true,
	},
	{
		name:      "gRPC connection",
		match:     leaf("google.golang.org/grpc.(*pickerWrapper).pick"),
		state:     goroutine.Select,
		what:      "for a gRPC connection that is ready",
		out:       "No connection to the server is ready, and the calls wait for one.",
		forgotten: "Check the address and the server, and give each call a context with a deadline.",
		answers:   true,
	},
	{
		name:      "gRPC response",
		match:     has("google.golang.org/grpc.(*ClientConn).Invoke"),
		state:     goroutine.Select,
		what:      "for the response of a gRPC server",
		out:       "The server has accepted the calls and does not answer.",
		forgotten: "Check the server that is called, and give each call a context with a deadline.",
		answers:   true,
	},
	{
		name:      "NATS reply",
		match:     leaf("github.com/nats-io/nats%2ego.(*Conn).requestWithContext", "github.com/nats-io/nats%2ego.(*Conn).newRequest"),
		state:     goroutine.Select,
		what:      "for the reply to a NATS request",
		out:       "The responder has the requests and does not answer.",
		forgotten: "Check the service that subscribes to the subject, and give each request a timeout or a context with a deadline.",
		answers:   true,
	},
	{
		name:      "Kafka acknowledgement (sarama)",
		match:     leaf("github.com/IBM/sarama.(*syncProducer).SendMessage", "github.com/Shopify/sarama.(*syncProducer).SendMessage"),
		state:     goroutine.ChanReceive,
		what:      "for the acknowledgement of a message by Kafka (sarama)",
		out:       "The brokers do not acknowledge what is produced.",
		forgotten: "Check the brokers and the replicas of the topic's partitions; Producer.Timeout and Net.ReadTimeout bound each attempt.",
		answers:   true,
	},
	{
		name:      "Kafka acknowledgement (franz-go)",
		match:     has("github.com/twmb/franz-go/pkg/kgo.(*Client).ProduceSync"),
		state:     goroutine.WaitGroupWait,
		what:      "for the acknowledgement of records by Kafka (franz-go)",
		out:       "The brokers do not acknowledge what is produced.",
		forgotten: "Check the brokers and the replicas of the topic's partitions, and set RecordDeliveryTimeout.",
		answers:   true,
	},
	{
		name:      "Kafka acknowledgement (kafka-go)",
		match:     leaf("github.com/segmentio/kafka-go.(*Writer).WriteMessages"),
		state:     goroutine.Select,
		what:      "for the acknowledgement of messages by Kafka (kafka-go)",
		out:       "The brokers do not acknowledge what is produced.",
		forgotten: "Check the brokers and the replicas of the topic's partitions, and give WriteMessages a context with a deadline.",
		answers:   true,
	},
	{
		name:      "AMQP confirmation",
		match:     leaf("github.com/rabbitmq/amqp091-go.(*DeferredConfirmation).Wait"),
		state:     goroutine.ChanReceive,
		what:      "for the confirmation of an AMQP message",
		out:       "The broker does not confirm what is published.",
		forgotten: "Check the broker for alarms of memory and disk, which block publishers, and use WaitContext with a deadline.",
		answers:   true,
	},
	{
		name:      "AMQP answer",
		match:     leaf("github.com/rabbitmq/amqp091-go.(*Channel).call"),
		state:     goroutine.Select,
		what:      "for the answer of an AMQP broker",
		out:       "The broker has the method and does not answer.",
		forgotten: "Check the broker for alarms of memory and disk, and for a connection that is blocked.",
		answers:   true,
	},
	{
		name:      "MQTT acknowledgement",
		match:     leaf("github.com/eclipse/paho%2emqtt%2egolang.(*baseToken).Wait"),
		state:     goroutine.ChanReceive,
		what:      "for the acknowledgement of an MQTT broker",
		out:       "The broker does not acknowledge, or the client is not connected.",
		forgotten: "Check the broker, and use WaitTimeout; Wait within a message handler waits for itself unless SetOrderMatters is false.",
		answers:   true,
	},
	{
		name:      "MongoDB",
		match:     all(prefix(mongo("(*connection).read")...), not(prefix(mongo("(*Server).")...))),
		state:     goroutine.IOWait,
		what:      "for an answer of MongoDB",
		out:       "The server has the operation and does not answer.",
		forgotten: "Check the server: currentOp shows what operations wait for. Give each operation a context with a deadline.",
		answers:   true,
	},
	{
		name:      "fasthttp connections",
		match:     leaf("github.com/valyala/fasthttp.(*HostClient).AcquireConn", "github.com/valyala/fasthttp.(*HostClient).acquireConn"),
		state:     goroutine.Select,
		what:      "for a connection of a fasthttp.HostClient",
		out:       "All connections that MaxConns permits are in use.",
		forgotten: "Find the requests that hold them, and give the client a ReadTimeout and a MaxConnWaitTimeout.",
		scarce:    true,
		pool:      true,
		inside:    true,
	},
	{
		name:      "fasthttp response",
		match:     prefix("github.com/valyala/fasthttp.(*HostClient).do"),
		state:     goroutine.IOWait,
		what:      "for the response of an HTTP server",
		out:       "The server has accepted the requests and does not answer.",
		forgotten: "Check the server that is called, and give the client a ReadTimeout or use DoTimeout.",
		answers:   true,
	},
	{
		name:      "PostgreSQL",
		match:     all(prefix("github.com/jackc/pgx/v5/pgconn."), not(has("github.com/jackc/pgx/v5/pgconn.(*PgConn).WaitForNotification"))),
		state:     goroutine.IOWait,
		what:      "for an answer of PostgreSQL (pgx)",
		out:       "The server has the query and does not answer.",
		forgotten: "Check the database: pg_stat_activity shows what each backend waits for. Give queries a context with a deadline.",
		answers:   true,
	},
	{
		name:      "Redis reply",
		match:     all(prefix("github.com/redis/go-redis/v9/internal/proto.(*Reader)."), not(prefix(blockingRedis...))),
		state:     goroutine.IOWait,
		what:      "for a reply of Redis (go-redis)",
		out:       "The server has the command and does not answer.",
		forgotten: "Check the server, and do not set ReadTimeout to -1.",
		answers:   true,
	},
	{
		name:      "redigo reply",
		match:     has("github.com/gomodule/redigo/redis.(*conn).DoWithTimeout"),
		state:     goroutine.IOWait,
		what:      "for a reply of Redis (redigo)",
		out:       "The server has the command and does not answer.",
		forgotten: "Check the server, and dial with DialReadTimeout.",
		answers:   true,
	},
	{
		name:      "database",
		match:     prefix("database/sql.("),
		state:     goroutine.IOWait,
		what:      "for an answer of the database (database/sql)",
		out:       "The database has the query and does not answer.",
		forgotten: "Check the database for locks and long transactions, and give queries a context with a deadline.",
		answers:   true,
	},
	{
		name:      "singleflight",
		match:     caller("sync.(*WaitGroup).Wait", "golang.org/x/sync/singleflight.(*Group).Do"),
		state:     goroutine.WaitGroupWait,
		what:      "for one shared call of a singleflight.Group",
		out:       "One call is made for all of them, and does not return.",
		forgotten: "Find what the function given to Do waits for, and give it a deadline; DoChan lets callers give up.",
		holders:   has("golang.org/x/sync/singleflight.(*Group).doCall"),
		scarce:    true,
		inside:    true,
	},
	{
		name:      "Prometheus collector",
		match:     has("github.com/prometheus/client_golang/prometheus.(*Registry).Gather"),
		state:     goroutine.Select,
		what:      "for the collectors of a Prometheus registry",
		out:       "At least one collector does not return.",
		forgotten: "Find what the Collect method waits for, and give it a deadline; HandlerOpts.Timeout ends scrapes.",
		holders:   all(prefix("github.com/prometheus/client_golang/prometheus.(*Registry).Gather.func"), outsideOf("github.com/prometheus/client_golang/prometheus")),
		scarce:    true,
		inside:    true,
	},
	{
		name:      "file lock",
		match:     anyOf(has("syscall.Flock"), has("syscall.FcntlFlock"), has("golang.org/x/sys/unix.Flock"), has("golang.org/x/sys/unix.FcntlFlock")),
		state:     goroutine.Syscall,
		what:      "for a lock on a file",
		out:       "Another opening of the file, in this process or in another, holds its lock.",
		forgotten: "Find who has the file open (lsof or /proc/locks), and take the lock without blocking (LOCK_NB), with a deadline.",
		scarce:    true,
	},
	{
		name: "file system",
		match: anyOf(has("os.(*File).Sync"), has("os.(*File).Write"), has("os.(*File).Stat"), has("os.OpenFile"), has("os.Stat"), has("os.Lstat"),
			has("os.Rename"), has("os.Remove"), has("os.ReadDir"), has("os.MkdirAll")),
		state:     goroutine.Syscall,
		what:      "for a file system",
		out:       "The operating system does not return from the call.",
		forgotten: "Check the device or the network file system, or the reader where the file is a pipe.",
		answers:   true,
	},
	{
		name: "ants pool",
		match: anyOf(has("github.com/panjf2000/ants/v2.(*poolCommon).retrieveWorker"), has("github.com/panjf2000/ants/v2.(*Pool).retrieveWorker"),
			has("github.com/panjf2000/ants/v2.(*PoolWithFunc).retrieveWorker")),
		state:     goroutine.CondWait,
		what:      "for a worker of an ants pool",
		out:       "All workers of the pool are busy.",
		forgotten: "Find what the tasks of the pool wait for; a task that submits to its own pool waits for itself.",
		scarce:    true,
		inside:    true,
		holders:   prefix("github.com/panjf2000/ants/v2.(*goWorker"),
	},
	{
		name:      "writing",
		match:     has("internal/poll.(*FD).Write"),
		state:     goroutine.IOWait,
		what:      "to write to a connection or a pipe",
		out:       "The other end does not read, and the buffers are full.",
		forgotten: "Check the reader at the other end, and set a deadline for writing.",
	},
	{
		name:      "channel",
		match:     func(*goroutine.Stack) bool { return true },
		state:     goroutine.ChanSend,
		what:      "to send on a channel",
		out:       "The channel is full or has no receiver; used as a semaphore, all of its tokens are taken.",
		forgotten: "Find the receivers and what they wait for, or the path that takes a token of the semaphore and does not return it.",
		scarce:    true,
		inside:    true,
	},
}

// mongo returns the name of a function of the package topology in both versions of the
// MongoDB driver.
func mongo(function string) []string {
	return []string{"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology." + function, "go.mongodb.org/mongo-driver/x/mongo/driver/topology." + function}
}

// resourcePackages are the packages in whose functions callers of a resource wait.
var resourcePackages = []string{
	"golang.org/x/sync/", "golang.org/x/net/", "google.golang.org/grpc", "github.com/jackc/", "github.com/redis/", "github.com/gomodule/redigo/",
	"github.com/valyala/fasthttp", "github.com/prometheus/client_golang/", "github.com/panjf2000/ants/", "github.com/go-redis/redis/", "github.com/go-pg/pg/",
	"go.mongodb.org/mongo-driver/", "github.com/nats-io/nats%2ego", "github.com/IBM/sarama", "github.com/Shopify/sarama", "github.com/twmb/franz-go/",
	"github.com/segmentio/kafka-go", "github.com/rabbitmq/amqp091-go", "github.com/eclipse/paho%2emqtt%2egolang",
	"gorm.io/", "github.com/jmoiron/sqlx", "github.com/uptrace/bun", "entgo.io/ent/", "xorm.io/xorm",
}

// blockingRedis are commands that wait on purpose until something comes.
var blockingRedis = []string{
	"github.com/redis/go-redis/v9.(*PubSub).",
	"github.com/redis/go-redis/v9.cmdable.BL", "github.com/redis/go-redis/v9.cmdable.BR", "github.com/redis/go-redis/v9.cmdable.BZ",
	"github.com/redis/go-redis/v9.cmdable.XRead", "github.com/redis/go-redis/v9.cmdable.Wait",
}

// prefix matches stacks with a function whose name begins with one of prefixes.
func prefix(prefixes ...string) func(*goroutine.Stack) bool {
	return func(s *goroutine.Stack) bool {
		return slices.ContainsFunc(s.Frames, func(f goroutine.Frame) bool {
			return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(f.Function, p) })
		})
	}
}

func not(match func(*goroutine.Stack) bool) func(*goroutine.Stack) bool {
	return func(s *goroutine.Stack) bool { return !match(s) }
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
			forgotten: adviceLock, scarce: true, inside: true,
		}, true
	}
	i := slices.IndexFunc(resources, func(r resource) bool { return r.state == state && r.match(s) })
	if i < 0 {
		return resource{}, false
	}
	return resources[i], true
}

// handles reports whether a goroutine with this stack handles a request of a
// server: a client waits for it. A connection between two requests does not.
var handles = anyOf(
	all(entry("net/http.(*conn).serve"), has("net/http.serverHandler.ServeHTTP")),
	inTime,
	entry("net/http.(*http2serverConn).runHandler", "net/http/internal/http2.(*serverConn).runHandler", "golang.org/x/net/http2.(*serverConn).runHandler"),
	has("google.golang.org/grpc.(*Server).handleStream"),
	entry("net/rpc.(*service).call"),
	all(fastConn, outsideOf("github.com/valyala/fasthttp")),
)

// handledInTime is the entry function of a goroutine of http.TimeoutHandler. It handles a
// request, and goes on when the client has had its answer, that it took too long.
const handledInTime = "net/http.(*timeoutHandler).ServeHTTP.func1"

var inTime = entry(handledInTime)

// delegates matches handlers that wait for such a goroutine.
var delegates = leaf("net/http.(*timeoutHandler).ServeHTTP")

// serves matches the goroutines of a server's connections, whether or not they
// handle a request at the moment.
var serves = anyOf(entry("net/http.(*conn).serve"), fastConn, handles)

var fastConn = entry("github.com/valyala/fasthttp.(*workerPool).workerFunc")

// outsideOf matches stacks with a frame that is neither of a package nor of the
// standard library.
func outsideOf(pkg string) func(*goroutine.Stack) bool {
	return func(s *goroutine.Stack) bool {
		return slices.ContainsFunc(s.Frames, func(f goroutine.Frame) bool { return !f.Standard() && f.Package() != pkg })
	}
}
