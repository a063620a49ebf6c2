package stress

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
)

// silent listens, accepts and never says a word.
func silent(t *testing.T) string {
	t.Helper()
	l := listen(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	return l.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// An inbox is an OTLP/gRPC receiver that answers, or takes requests and never
// does.
type inbox struct {
	colmetrics.UnimplementedMetricsServiceServer
	answers bool

	mu      sync.Mutex
	metrics []string // names
	events  []string // names
}

func (b *inbox) serve(t *testing.T) string {
	t.Helper()
	l := listen(t)
	server := grpc.NewServer()
	colmetrics.RegisterMetricsServiceServer(server, b)
	collogs.RegisterLogsServiceServer(server, eventInbox{inbox: b})
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return l.Addr().String()
}

func (b *inbox) Export(ctx context.Context, request *colmetrics.ExportMetricsServiceRequest) (*colmetrics.ExportMetricsServiceResponse, error) {
	for _, resource := range request.ResourceMetrics {
		for _, scope := range resource.ScopeMetrics {
			for _, m := range scope.Metrics {
				b.keep(&b.metrics, m.Name)
			}
		}
	}
	return &colmetrics.ExportMetricsServiceResponse{}, b.answer(ctx)
}

// keep adds a name that is not there yet.
func (b *inbox) keep(names *[]string, name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(*names, name) {
		*names = append(*names, name)
	}
}

func (b *inbox) answer(ctx context.Context) error {
	if b.answers {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (b *inbox) all() (metrics, events []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.metrics), slices.Clone(b.events)
}

// An eventInbox is the part of an inbox that takes log records.
type eventInbox struct {
	collogs.UnimplementedLogsServiceServer
	*inbox
}

func (b eventInbox) Export(ctx context.Context, request *collogs.ExportLogsServiceRequest) (*collogs.ExportLogsServiceResponse, error) {
	for _, resource := range request.ResourceLogs {
		for _, scope := range resource.ScopeLogs {
			for _, record := range scope.LogRecords {
				b.keep(&b.events, record.EventName)
			}
		}
	}
	return &collogs.ExportLogsServiceResponse{}, b.answer(ctx)
}
