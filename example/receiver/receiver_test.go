package receiver_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/otelgoroutine/go/example/receiver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a sink that keeps everything.
type memory struct {
	mu      sync.Mutex
	metrics []*colmetrics.ExportMetricsServiceRequest
	logs    []*collogs.ExportLogsServiceRequest
}

func (m *memory) Metrics(req *colmetrics.ExportMetricsServiceRequest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.metrics = append(m.metrics, req)
}

func (m *memory) Logs(req *collogs.ExportLogsServiceRequest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.logs = append(m.logs, req)
}

func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close()) })
	return conn
}

func TestReceiverHandsEveryRequestToEverySink(t *testing.T) {
	first, second := &memory{}, &memory{}
	r, err := receiver.Start(first, second)
	require.NoError(t, err)
	conn := dial(t, r.Addr())

	_, err = colmetrics.NewMetricsServiceClient(conn).Export(t.Context(), metricsRequest(), grpc.UseCompressor(gzip.Name))
	require.NoError(t, err)
	_, err = collogs.NewLogsServiceClient(conn).Export(t.Context(), logsRequest())
	require.NoError(t, err)
	require.NoError(t, r.Stop())

	for _, sink := range []*memory{first, second} {
		require.Len(t, sink.metrics, 1)
		require.Len(t, sink.logs, 1)
		assert.True(t, proto.Equal(metricsRequest(), sink.metrics[0]))
		assert.True(t, proto.Equal(logsRequest(), sink.logs[0]))
	}
}

func TestReceiverListensOnLoopbackOnly(t *testing.T) {
	r, err := receiver.Start()
	require.NoError(t, err)
	defer func() { assert.NoError(t, r.Stop()) }()

	host, port, err := net.SplitHostPort(r.Addr())
	require.NoError(t, err)
	assert.True(t, net.ParseIP(host).IsLoopback(), host)
	assert.NotEqual(t, "0", port)
}

func TestReceiverStopped(t *testing.T) {
	r, err := receiver.Start()
	require.NoError(t, err)
	conn := dial(t, r.Addr())
	require.NoError(t, r.Stop())

	_, err = collogs.NewLogsServiceClient(conn).Export(t.Context(), logsRequest())
	assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
}

// slow is a sink in which a request stays until it is let go.
type slow struct {
	memory
	entered, leave chan struct{}
}

func (s *slow) Logs(req *collogs.ExportLogsServiceRequest) {
	close(s.entered)
	<-s.leave
	s.memory.Logs(req)
}

func TestStopWaitsForTheSinks(t *testing.T) {
	sink := &slow{entered: make(chan struct{}), leave: make(chan struct{})}
	r, err := receiver.Start(sink)
	require.NoError(t, err)
	conn := dial(t, r.Addr())

	var export sync.WaitGroup
	export.Go(func() {
		// The client learns first that the server has gone; only then may
		// the sink go on.
		_, err := collogs.NewLogsServiceClient(conn).Export(context.WithoutCancel(t.Context()), logsRequest())
		assert.Error(t, err)
		close(sink.leave)
	})
	<-sink.entered
	require.NoError(t, r.Stop())
	assert.Len(t, sink.logs, 1, "Stop returned while a sink was in use")
	export.Wait()
}
