// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// TestKnownGood has stacks as they are found in real processes, leaf first,
// and beside each its twin that is no more than similar.
func TestKnownGood(t *testing.T) {
	const grpc = "google.golang.org/grpc/internal/"
	for _, tc := range []struct {
		name  string
		known bool
		stack []string
	}{
		{"os/signal.loop", true, []string{"runtime.notetsleepg", "os/signal.signal_recv", "os/signal.loop", "runtime.goexit"}},
		{"os/signal.loop", false, []string{"runtime.gopark", "os/signal.NotifyContext.func1"}},
		{"database/sql.(*DB)", true, []string{"runtime.selectgo", "database/sql.(*DB).connectionOpener"}},
		{"database/sql.(*DB)", true, []string{"runtime.selectgo", "database/sql.(*DB).connectionCleaner"}},
		{"database/sql.(*DB)", false, []string{"sync.(*Mutex).Lock", "database/sql.(*DB).connectionCleaner"}},
		{"database/sql.(*DB)", false, []string{"runtime.selectgo", "database/sql.(*Rows).awaitDone"}},
		{"net/http.(*persistConn)", true, []string{"runtime.selectgo", "net/http.(*persistConn).writeLoop"}},
		{"net/http.(*persistConn)", true, []string{"internal/poll.(*FD).Read", "net.(*conn).Read", "net/http.(*persistConn).Read", "bufio.(*Reader).Peek", "net/http.(*persistConn).readLoop"}},
		{"net/http.(*persistConn)", false, []string{"runtime.selectgo", "net/http.(*persistConn).readLoop"}},
		{"net/http.(*persistConn)", false, []string{"runtime.selectgo", "net/http.(*persistConn).roundTrip", "net/http.(*Client).do", "main.fetch"}},
		{"HTTP/2 server connection", true, []string{"runtime.selectgo", "net/http.(*http2serverConn).serve", "net/http.(*conn).serve"}},
		{"HTTP/2 server connection", true, []string{"runtime.selectgo", "net/http/internal/http2.(*serverConn).serve", "net/http.(*conn).serve"}},
		{"HTTP/2 server connection", true, []string{"internal/poll.(*FD).Read", "net/http.(*http2Framer).ReadFrame", "net/http.(*http2serverConn).readFrames"}},
		{"HTTP/2 server connection", false, []string{"runtime.selectgo", "main.handle", "net/http.(*http2serverConn).runHandler"}},
		{"HTTP/2 client connection", true, []string{"internal/poll.(*FD).Read", "golang.org/x/net/http2.(*ClientConn).readLoop"}},
		{"HTTP/2 client connection", false, []string{"runtime.selectgo", "golang.org/x/net/http2.(*clientStream).doRequest"}},
		{"gRPC transport", true, []string{"runtime.selectgo", grpc + "transport.(*controlBuffer).get", grpc + "transport.(*loopyWriter).run", grpc + "transport.NewHTTP2Client.func6"}},
		{"gRPC transport", true, []string{"runtime.selectgo", grpc + "transport.(*http2Server).keepalive"}},
		{"gRPC transport", true, []string{"internal/poll.(*FD).Read", grpc + "transport.(*http2Client).reader"}},
		{"gRPC transport", false, []string{"runtime.selectgo", grpc + "transport.(*recvBufferReader).readClient", "main.stream"}},
		{"gRPC callback serializer", true, []string{"runtime.selectgo", grpc + "grpcsync.(*CallbackSerializer).run"}},
		{"gRPC callback serializer", false, []string{"sync.(*Mutex).Lock", "main.onUpdate", grpc + "grpcsync.(*CallbackSerializer).run"}},
		{"gRPC name resolver", true, []string{"runtime.selectgo", grpc + "resolver/dns.(*dnsResolver).watcher"}},
		{"gRPC server workers", true, []string{"runtime.chanrecv2", "google.golang.org/grpc.(*Server).serverWorker"}},
		{"gRPC server workers", false, []string{"runtime.chanrecv2", "main.handle", "google.golang.org/grpc.(*Server).serverWorker"}},
		{"gRPC balancers", true, []string{"runtime.selectgo", grpc + "xds/balancer/priority.(*priorityBalancer).run"}},
		{"github.com/go-sql-driver/mysql watcher", true, []string{"runtime.selectgo", "github.com/go-sql-driver/mysql.(*mysqlConn).startWatcher.func1"}},
		{"gRPC transport", true, []string{"internal/poll.(*FD).RawRead", "net.(*rawConn).Read", grpc + "transport/readyreader.(*nonBlockingReader).ReadOnReady", grpc + "transport.(*http2Client).reader"}},
		{"gRPC server stream", true, []string{"runtime.selectgo", grpc + "transport.(*recvBufferReader).readMessageHeader", "google.golang.org/grpc.(*serverStream).RecvMsg", "main.handle", "google.golang.org/grpc.(*Server).handleStream"}},
		{"gRPC server stream", false, []string{"runtime.selectgo", "main.handle", "google.golang.org/grpc.(*Server).handleStream"}},
		{"gRPC health service", true, []string{"runtime.selectgo", "google.golang.org/grpc/health.(*Server).Watch", "google.golang.org/grpc.(*Server).handleStream"}},
		{"gRPC health check", true, []string{"runtime.selectgo", grpc + "transport.(*recvBufferReader).readMessageHeaderClient", "google.golang.org/grpc/health.clientHealthCheck"}},
		{"gRPC health check", true, []string{"runtime.selectgo", "google.golang.org/grpc.newNonRetryClientStream.func2"}},
		{"gRPC health check", false, []string{"runtime.selectgo", "google.golang.org/grpc.newClientStreamWithParams.func4"}},
		{"HTTP/2 body", true, []string{"sync.runtime_notifyListWait", "sync.(*Cond).Wait", "net/http.(*http2pipe).Read", "net/http.(*http2requestBody).Read", "main.handle", "net/http.(*http2serverConn).runHandler"}},
		{"HTTP/2 body", true, []string{"sync.runtime_notifyListWait", "sync.(*Cond).Wait", "net/http/internal/http2.(*pipe).Read", "main.receive"}},
		{"HTTP/2 body", false, []string{"sync.runtime_notifyListWait", "sync.(*Cond).Wait", "main.handle", "net/http.(*http2serverConn).runHandler"}},
		{"github.com/redis/go-redis subscription", true, []string{"runtime.selectgo", "github.com/redis/go-redis/v9.(*channel).initHealthCheck.func1"}},
		{"NATS connection", true, []string{"runtime.chanrecv2", "github.com/nats-io/nats%2ego.(*Conn).flusher"}},
		{"NATS connection", true, []string{"sync.runtime_notifyListWait", "sync.(*Cond).Wait", "github.com/nats-io/nats%2ego.(*asyncCallbacksHandler).asyncCBDispatcher"}},
		{"NATS connection", false, []string{"sync.runtime_notifyListWait", "sync.(*Cond).Wait", "main.onError", "github.com/nats-io/nats%2ego.(*asyncCallbacksHandler).asyncCBDispatcher"}},
		{"NATS subscription", true, []string{"sync.runtime_notifyListWait", "sync.(*Cond).Wait", "github.com/nats-io/nats%2ego.(*Conn).waitForMsgs"}},
		{"NATS subscription", false, []string{"runtime.chansend1", "main.onMessage", "github.com/nats-io/nats%2ego.(*Conn).waitForMsgs"}},
		{"NATS server connection", true, []string{"sync.runtime_notifyListWait", "sync.(*Cond).Wait", "github.com/nats-io/nats-server/v2/server.(*client).writeLoop"}},
		{"OpenTelemetry SDK", true, []string{"runtime.selectgo", "go.opentelemetry.io/otel/sdk/metric.(*PeriodicReader).run", "go.opentelemetry.io/otel/sdk/metric.NewPeriodicReader.func1"}},
		{"OpenTelemetry SDK", true, []string{"runtime.selectgo", "go.opentelemetry.io/otel/sdk/trace.(*batchSpanProcessor).processQueue", "go.opentelemetry.io/otel/sdk/trace.NewBatchSpanProcessor.func1", "sync.(*WaitGroup).Go.func1"}},
		{"OpenTelemetry SDK", true, []string{"runtime.selectgo", "go.opentelemetry.io/otel/sdk/log.(*BatchProcessor).process.func1"}},
		{"OpenTelemetry SDK", false, []string{"runtime.selectgo", "main.export", "go.opentelemetry.io/otel/sdk/metric.(*PeriodicReader).run"}},
		{"otelgoroutine", true, []string{"runtime.selectgo", "github.com/otelgoroutine/go/otelgoroutine.(*Monitor).run"}},
		{"otelgoroutine", false, []string{"runtime.selectgo", "github.com/otelgoroutine/go/otelgoroutine/example.run"}},
		{"otelgoroutine", true, []string{"runtime.selectgo", "github.com/otelgoroutine/go/debugpage.(*page).follow", "net/http.(*conn).serve"}},
		{"otelgoroutine", false, []string{"sync.(*Mutex).Lock", "github.com/otelgoroutine/go/debugpage.(*page).data", "net/http.(*conn).serve"}},
		{"runtime/trace reader", true, []string{"runtime.ReadTrace", "runtime/trace.(*traceMultiplexer).startLocked.func1"}},
		{"testing", true, []string{"runtime.chanrecv1", "testing.(*T).Run", "main.TestX", "testing.tRunner"}},
		{"testing", false, []string{"runtime.chanrecv1", "main.TestX", "testing.tRunner"}},
	} {
		var frames []goroutine.Frame
		for _, f := range tc.stack {
			frames = append(frames, goroutine.Frame{Function: f})
		}
		stack := goroutine.NewStack(frames)
		var by []string
		for _, k := range detectors.KnownGood() {
			if k.Match(stack) {
				by = append(by, k.Name)
			}
		}
		if tc.known {
			assert.Equal(t, []string{tc.name}, by, "%v", tc.stack)
		} else {
			assert.Empty(t, by, "%v", tc.stack)
		}
		assert.Equal(t, tc.known, detectors.IsKnownGood(stack))
	}
}

func TestKnownGoodIsDocumentedAndACopy(t *testing.T) {
	names := make(map[string]bool)
	list := detectors.KnownGood()
	for _, k := range list {
		assert.NotEmpty(t, k.Reason, k.Name)
		assert.False(t, names[k.Name], "%s is there twice", k.Name)
		names[k.Name] = true
		assert.False(t, k.Match(&goroutine.Stack{}), "%s matches a stack of no frames", k.Name)
	}
	list[0].Name = "changed"
	assert.NotEqual(t, "changed", detectors.KnownGood()[0].Name)
}
