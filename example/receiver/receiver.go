// Package receiver is a small OTLP/gRPC receiver for metrics and logs, for
// programs that want to see their own telemetry arrive without a Collector.
//
// It listens on loopback only, takes messages of up to 4 MiB as the Collector
// does, and hands every request to its sinks.
package receiver

import (
	"context"
	"errors"
	"fmt"
	"net"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // OTEL_EXPORTER_OTLP_COMPRESSION=gzip
)

// A Sink takes requests as they arrive. Its methods are called on several
// goroutines at once, must return soon and must not change the request.
type Sink interface {
	Metrics(*colmetrics.ExportMetricsServiceRequest)
	Logs(*collogs.ExportLogsServiceRequest)
}

// A Receiver is a running OTLP/gRPC server.
type Receiver struct {
	listener net.Listener
	server   *grpc.Server
	served   chan error
}

// Start listens on a free port of the loopback interface and serves until
// [Receiver.Stop].
func Start(sinks ...Sink) (*Receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("OTLP receiver: %w", err)
	}
	r := &Receiver{
		listener: listener,
		server:   grpc.NewServer(grpc.WaitForHandlers(true)),
		served:   make(chan error, 1),
	}
	colmetrics.RegisterMetricsServiceServer(r.server, metricsService{sinks: sinks})
	collogs.RegisterLogsServiceServer(r.server, logsService{sinks: sinks})
	go func() { r.served <- r.server.Serve(listener) }()
	return r, nil
}

// Addr returns the address to export to, as host:port.
func (r *Receiver) Addr() string { return r.listener.Addr().String() }

// Stop ends the server and returns when no sink is in use any more. Shut the
// exporters down first, or what they still hold is lost.
func (r *Receiver) Stop() error {
	r.server.Stop()
	if err := <-r.served; !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil // stopped before it began
}

type metricsService struct {
	colmetrics.UnimplementedMetricsServiceServer
	sinks []Sink
}

func (s metricsService) Export(_ context.Context, req *colmetrics.ExportMetricsServiceRequest) (*colmetrics.ExportMetricsServiceResponse, error) {
	for _, sink := range s.sinks {
		sink.Metrics(req)
	}
	return &colmetrics.ExportMetricsServiceResponse{}, nil
}

type logsService struct {
	collogs.UnimplementedLogsServiceServer
	sinks []Sink
}

func (s logsService) Export(_ context.Context, req *collogs.ExportLogsServiceRequest) (*collogs.ExportLogsServiceResponse, error) {
	for _, sink := range s.sinks {
		sink.Logs(req)
	}
	return &collogs.ExportLogsServiceResponse{}, nil
}
