// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/goroutine"
)

// stackOf reads a stack as a goroutine dump shows it: one function a line, leaf
// first.
func stackOf(text string) *goroutine.Stack {
	var frames []goroutine.Frame
	for line := range strings.FieldsSeq(text) {
		frames = append(frames, goroutine.Frame{Function: line})
	}
	return goroutine.NewStack(frames)
}

// TestResources has the stacks of goroutines that wait for resources, as the
// source of these versions makes them: Go 1.26 and 1.27, pgx v5.11.0, puddle v2.2.2,
// go-redis v9.23.0 and v8.11.5, redigo v1.9.2, x/sync v0.24.0, go-pg v10.11.0, the
// MongoDB driver v2.10.0 and v1.17.10, rueidis v1.0.79, nats.go v1.55.0, sarama v1.61.1,
// franz-go v1.22.3, kafka-go v0.4.51, amqp091-go v1.16.0, paho v1.5.1.
func TestResources(t *testing.T) {
	const handler = "\nmain.handle\nnet/http.HandlerFunc.ServeHTTP\nnet/http.serverHandler.ServeHTTP\nnet/http.(*conn).serve\nruntime.goexit"
	for name, tc := range map[string]struct {
		state goroutine.State
		stack string
		want  string
	}{
		"sql query": {goroutine.Select, `runtime.gopark runtime.selectgo database/sql.(*DB).conn database/sql.(*DB).query
			database/sql.(*DB).QueryContext.func1 database/sql.(*DB).retry database/sql.(*DB).QueryContext`, "database/sql pool"},
		"sql begin": {goroutine.Select, `database/sql.(*DB).conn database/sql.(*DB).begin database/sql.(*DB).BeginTx.func1
			database/sql.(*DB).retry database/sql.(*DB).BeginTx`, "database/sql pool"},
		"sql connects": {goroutine.IOWait, `internal/poll.runtime_pollWait internal/poll.(*pollDesc).wait internal/poll.(*FD).Read net.(*netFD).Read
			net.(*conn).Read example.com/driver.(*Conn).handshake database/sql.(*DB).conn database/sql.(*DB).query`, "database"},
		"pgxpool": {goroutine.Select, `golang.org/x/sync/semaphore.(*Weighted).Acquire github.com/jackc/puddle/v2.(*Pool[...]).acquire
			github.com/jackc/puddle/v2.(*Pool[...]).Acquire github.com/jackc/pgx/v5/pgxpool.(*Pool).Acquire github.com/jackc/pgx/v5/pgxpool.(*Pool).Query`, "pgx pool"},
		"puddle": {goroutine.Select, `golang.org/x/sync/semaphore.(*Weighted).Acquire github.com/jackc/puddle/v2.(*Pool[go.shape.*uint8]).acquire
			github.com/jackc/puddle/v2.(*Pool[go.shape.*uint8]).Acquire`, "puddle pool"},
		"go-redis": {goroutine.Select, `github.com/redis/go-redis/v9/internal.(*FastSemaphore).Acquire github.com/redis/go-redis/v9/internal/pool.(*ConnPool).waitTurn
			github.com/redis/go-redis/v9/internal/pool.(*ConnPool).getConn github.com/redis/go-redis/v9/internal/pool.(*ConnPool).Get
			github.com/redis/go-redis/v9.(*baseClient)._getConn github.com/redis/go-redis/v9.(*baseClient).getConn`, "go-redis pool"},
		"redigo": {goroutine.Select, `github.com/gomodule/redigo/redis.(*Pool).waitVacantConn github.com/gomodule/redigo/redis.(*Pool).GetContext
			github.com/gomodule/redigo/redis.(*Pool).Get`, "redigo pool"},
		"transport": {goroutine.Select, `net/http.(*Transport).getConn net/http.(*Transport).roundTrip net/http.(*Transport).RoundTrip
			net/http.send net/http.(*Client).send net/http.(*Client).do net/http.(*Client).Do`, "http.Transport connections"},
		"response": {goroutine.Select, `net/http.(*persistConn).roundTrip net/http.(*Transport).roundTrip net/http.(*Transport).RoundTrip
			net/http.send net/http.(*Client).send net/http.(*Client).do net/http.(*Client).Do`, "HTTP response"},
		"HTTP/2 stream, Go 1.26": {goroutine.CondWait, `sync.runtime_notifyListWait sync.(*Cond).Wait net/http.(*http2ClientConn).awaitOpenSlotForStreamLocked
			net/http.(*http2clientStream).writeRequest net/http.(*http2clientStream).doRequest`, "HTTP/2 stream"},
		"HTTP/2 stream, Go 1.27": {goroutine.CondWait, `sync.runtime_notifyListWait sync.(*Cond).Wait net/http/internal/http2.(*ClientConn).awaitOpenSlotForStreamLocked
			net/http/internal/http2.(*clientStream).writeRequest net/http/internal/http2.(*clientStream).doRequest`, "HTTP/2 stream"},
		"Weighted":       {goroutine.Select, "golang.org/x/sync/semaphore.(*Weighted).Acquire", "semaphore.Weighted"},
		"errgroup limit": {goroutine.ChanSend, "golang.org/x/sync/errgroup.(*Group).Go", "errgroup limit"},
		"errgroup wait":  {goroutine.WaitGroupWait, "sync.runtime_SemacquireWaitGroup sync.(*WaitGroup).Wait golang.org/x/sync/errgroup.(*Group).Wait", "errgroup"},
		"semaphore":      {goroutine.ChanSend, "runtime.gopark runtime.chansend runtime.chansend1 main.acquire", "channel"},
		"mutex":          {goroutine.MutexLock, "internal/sync.runtime_SemacquireMutex internal/sync.(*Mutex).lockSlow internal/sync.(*Mutex).Lock sync.(*Mutex).Lock", "lock"},
		"receive":        {goroutine.ChanReceive, "runtime.gopark runtime.chanrecv runtime.chanrecv1 main.next", ""},
		"stream":         {goroutine.Select, "runtime.gopark runtime.selectgo main.push", ""},
		"gRPC response": {goroutine.Select, `google.golang.org/grpc/internal/transport.(*recvBufferReader).readMessageHeaderClient google.golang.org/grpc.(*clientStream).RecvMsg
			google.golang.org/grpc.invoke google.golang.org/grpc.(*ClientConn).Invoke`, "gRPC response"},
		"gRPC events": {goroutine.Select, `google.golang.org/grpc/internal/transport.(*recvBufferReader).readMessageHeaderClient google.golang.org/grpc.(*clientStream).RecvMsg
			google.golang.org/grpc.(*GenericClientStream[...]).Recv`, ""},
		"gRPC quota":        {goroutine.Select, "google.golang.org/grpc/internal/transport.(*http2Client).NewStream google.golang.org/grpc.(*csAttempt).newStream google.golang.org/grpc.(*ClientConn).Invoke", "gRPC stream"},
		"gRPC connects":     {goroutine.Select, "google.golang.org/grpc.(*pickerWrapper).pick google.golang.org/grpc.(*ClientConn).Invoke", "gRPC connection"},
		"fasthttp pool":     {goroutine.Select, "github.com/valyala/fasthttp.(*HostClient).AcquireConn github.com/valyala/fasthttp.(*HostClient).doNonNilReqResp", "fasthttp connections"},
		"fasthttp response": {goroutine.IOWait, "internal/poll.runtime_pollWait bufio.(*Reader).Peek github.com/valyala/fasthttp.(*ResponseHeader).tryRead github.com/valyala/fasthttp.(*HostClient).doNonNilReqResp", "fasthttp response"},
		"pgx":               {goroutine.IOWait, "internal/poll.runtime_pollWait github.com/jackc/pgx/v5/pgconn.(*PgConn).peekMessage github.com/jackc/pgx/v5.(*Conn).Exec", "PostgreSQL"},
		"pgx listens": {goroutine.IOWait, `internal/poll.runtime_pollWait github.com/jackc/pgx/v5/pgconn.(*PgConn).peekMessage
			github.com/jackc/pgx/v5/pgconn.(*PgConn).WaitForNotification`, ""},
		"a reply":       {goroutine.IOWait, "internal/poll.runtime_pollWait github.com/redis/go-redis/v9/internal/proto.(*Reader).ReadLine github.com/redis/go-redis/v9.cmdable.Get", "Redis reply"},
		"a popped item": {goroutine.IOWait, "internal/poll.runtime_pollWait github.com/redis/go-redis/v9/internal/proto.(*Reader).ReadLine github.com/redis/go-redis/v9.cmdable.BLPop", ""},
		"a message":     {goroutine.IOWait, "internal/poll.runtime_pollWait github.com/redis/go-redis/v9/internal/proto.(*Reader).ReadLine github.com/redis/go-redis/v9.(*PubSub).ReceiveTimeout", ""},
		"redigo reply":  {goroutine.IOWait, "internal/poll.runtime_pollWait github.com/gomodule/redigo/redis.(*conn).readReply github.com/gomodule/redigo/redis.(*conn).DoWithTimeout", "redigo reply"},
		"go-redis 8": {goroutine.Select, `github.com/go-redis/redis/v8/internal/pool.(*ConnPool).waitTurn github.com/go-redis/redis/v8/internal/pool.(*ConnPool).Get
			github.com/go-redis/redis/v8.(*baseClient)._getConn`, "go-redis pool"},
		"go-pg": {goroutine.Select, `github.com/go-pg/pg/v10/internal/pool.(*ConnPool).waitTurn github.com/go-pg/pg/v10/internal/pool.(*ConnPool).Get
			github.com/go-pg/pg/v10.(*baseDB).getConn`, "go-pg pool"},
		"MongoDB pool": {goroutine.Select, `go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology.(*pool).checkOut
			go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology.(*Server).Connection go.mongodb.org/mongo-driver/v2/x/mongo/driver.Operation.Execute`, "MongoDB pool"},
		"MongoDB 1": {goroutine.IOWait, `internal/poll.runtime_pollWait net.(*conn).Read io.ReadFull go.mongodb.org/mongo-driver/x/mongo/driver/topology.(*connection).read
			go.mongodb.org/mongo-driver/x/mongo/driver/topology.(*connection).readWireMessage go.mongodb.org/mongo-driver/x/mongo/driver.Operation.Execute`, "MongoDB"},
		"MongoDB's heartbeat": {goroutine.IOWait, `internal/poll.runtime_pollWait net.(*conn).Read io.ReadFull go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology.(*connection).read
			go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology.(*Server).check go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology.(*Server).update`, ""},
		"rueidis":        {goroutine.CondWait, "sync.runtime_notifyListWait sync.(*Cond).Wait github.com/redis/rueidis.(*pool).Acquire github.com/redis/rueidis.(*mux).blocking", "rueidis pool"},
		"NATS":           {goroutine.Select, "runtime.selectgo github.com/nats-io/nats%2ego.(*Conn).requestWithContext github.com/nats-io/nats%2ego.(*Conn).RequestWithContext", "NATS reply"},
		"NATS, timeout":  {goroutine.Select, "runtime.selectgo github.com/nats-io/nats%2ego.(*Conn).newRequest github.com/nats-io/nats%2ego.(*Conn).request", "NATS reply"},
		"NATS, messages": {goroutine.Select, "runtime.selectgo github.com/nats-io/nats%2ego.(*Subscription).nextMsgWithContext", ""},
		"sarama":         {goroutine.ChanReceive, "runtime.chanrecv1 github.com/IBM/sarama.(*syncProducer).SendMessage", "Kafka acknowledgement (sarama)"},
		"franz-go":       {goroutine.WaitGroupWait, "sync.runtime_SemacquireWaitGroup sync.(*WaitGroup).Wait github.com/twmb/franz-go/pkg/kgo.(*Client).ProduceSync", "Kafka acknowledgement (franz-go)"},
		"kafka-go":       {goroutine.Select, "runtime.selectgo github.com/segmentio/kafka-go.(*Writer).WriteMessages", "Kafka acknowledgement (kafka-go)"},
		"AMQP":           {goroutine.ChanReceive, "runtime.chanrecv1 github.com/rabbitmq/amqp091-go.(*DeferredConfirmation).Wait", "AMQP confirmation"},
		"AMQP call":      {goroutine.Select, "runtime.selectgo github.com/rabbitmq/amqp091-go.(*Channel).call github.com/rabbitmq/amqp091-go.(*Channel).QueueDeclare", "AMQP answer"},
		"MQTT":           {goroutine.ChanReceive, "runtime.chanrecv1 github.com/eclipse/paho%2emqtt%2egolang.(*baseToken).Wait", "MQTT acknowledgement"},
		"singleflight":   {goroutine.WaitGroupWait, "sync.runtime_SemacquireWaitGroup sync.(*WaitGroup).Wait golang.org/x/sync/singleflight.(*Group).Do", "singleflight"},
		"its call":       {goroutine.WaitGroupWait, "sync.runtime_SemacquireWaitGroup sync.(*WaitGroup).Wait main.fetch golang.org/x/sync/singleflight.(*Group).doCall golang.org/x/sync/singleflight.(*Group).Do", ""},
		"a scrape":       {goroutine.Select, "runtime.selectgo github.com/prometheus/client_golang/prometheus.(*Registry).Gather", "Prometheus collector"},
		"flock":          {goroutine.Syscall, "syscall.Syscall syscall.Flock main.lock", "file lock"},
		"fsync":          {goroutine.Syscall, "syscall.Syscall syscall.Fsync internal/poll.(*FD).Fsync os.(*File).Sync", "file system"},
		"a child":        {goroutine.Syscall, "syscall.Syscall6 os.(*Process).blockUntilWaitable os.(*Process).Wait os/exec.(*Cmd).Wait", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := stackOf(tc.stack + handler)
			r, ok := resourceAt(s, tc.state)
			assert.Equal(t, tc.want, r.name)
			assert.Equal(t, tc.want != "", ok)
			assert.True(t, handles(s))
		})
	}
}

func TestResourceOfABody(t *testing.T) {
	r, _ := resourceAt(stackOf("runtime.gopark runtime.selectgo net/http.(*persistConn).readLoop runtime.goexit"), goroutine.Select)
	assert.Equal(t, "HTTP response body", r.name)
}

func TestResourcesAreComplete(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range resources {
		assert.False(t, seen[r.name], r.name)
		seen[r.name] = true
		for _, text := range []string{r.name, r.what, r.out, r.forgotten, string(r.state)} {
			assert.NotEmpty(t, text, r.name)
		}
		assert.Equal(t, ".", r.out[len(r.out)-1:], r.name)
		assert.Equal(t, ".", r.forgotten[len(r.forgotten)-1:], r.name)
	}
}

func TestHandles(t *testing.T) {
	for stack, want := range map[string]bool{
		"internal/poll.runtime_pollWait bufio.(*Reader).Peek net/http.(*conn).serve runtime.goexit":                                               false, // idle
		"main.handle net/http.HandlerFunc.ServeHTTP net/http.serverHandler.ServeHTTP net/http.(*conn).serve":                                      true,
		"main.handle net/http.(*http2serverConn).runHandler":                                                                                      true,
		"main.handle net/http/internal/http2.(*serverConn).runHandler":                                                                            true,
		"main.(*API).Get google.golang.org/grpc.(*Server).processUnaryRPC google.golang.org/grpc.(*Server).handleStream google.golang.org/grpc.f": true,
		"main.worker main.main.func1": false,
		"main.find net/http.HandlerFunc.ServeHTTP net/http.(*timeoutHandler).ServeHTTP.func1":                                                                                                      true, // its client may have its answer
		"net/http.(*timeoutHandler).ServeHTTP net/http.serverHandler.ServeHTTP net/http.(*conn).serve":                                                                                             true,
		"net/http.(*persistConn).roundTrip net/http/httputil.(*ReverseProxy).ServeHTTP net/http.serverHandler.ServeHTTP net/http.(*conn).serve":                                                    true,
		"internal/poll.runtime_pollWait github.com/valyala/fasthttp.(*RequestHeader).tryRead github.com/valyala/fasthttp.(*Server).serveConn github.com/valyala/fasthttp.(*workerPool).workerFunc": false, // idle
		"main.handle github.com/valyala/fasthttp.(*Server).serveConn github.com/valyala/fasthttp.(*workerPool).workerFunc":                                                                         true,
	} {
		assert.Equal(t, want, handles(stackOf(stack)), stack)
	}
}
