// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package otlptest receives OTLP in the process that sends it. It serves tests,
// and the example, which shows what arrives without a Collector.
//
// [Start] serves OTLP over gRPC; [Handler] serves it over HTTP. Both pass every
// request to the same [Sink]s. [Recorder] is the sink that most tests need.
// [Metrics], [Points] and [Records] iterate over a request.
//
// It is a module of its own because it needs gRPC and the Collector's data model,
// which users of the root module should not have to download.
package otlptest

import (
	"context"
	"errors"
	"fmt"
	"net"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // OTEL_EXPORTER_OTLP_COMPRESSION=gzip
)

// A Sink takes requests as they arrive. Its methods are called from several
// goroutines at once. They must not modify the request, which all sinks share.
//
// The exporter waits for the methods to return. The context ends when the exporter
// stops waiting, or when the server stops. A returned error becomes the answer to
// the exporter: over gRPC with the code of a status error
// (google.golang.org/grpc/status), Unknown otherwise; over HTTP with 500.
type Sink interface {
	Metrics(context.Context, pmetric.Metrics) error
	Logs(context.Context, plog.Logs) error
}

// A Server is a running OTLP/gRPC server.
type Server struct {
	listener net.Listener
	server   *grpc.Server
	served   chan error
}

// Start listens on a free port of the loopback interface and serves OTLP/gRPC
// until [Server.Stop]. Requests may be up to 4 MiB, as in the Collector.
func Start(sinks ...Sink) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("OTLP receiver: %w", err)
	}
	s := &Server{
		listener: listener,
		server:   grpc.NewServer(grpc.WaitForHandlers(true)),
		served:   make(chan error, 1),
	}
	pmetricotlp.RegisterGRPCServer(s.server, metricsService{sinks: sinks})
	plogotlp.RegisterGRPCServer(s.server, logsService{sinks: sinks})
	go func() { s.served <- s.server.Serve(listener) }()
	return s, nil
}

// Addr returns the host and port to export to. The server does not use TLS.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Stop stops the server. When it returns, no sink is in use any more. Requests in
// progress fail. Stop must be called exactly once.
func (s *Server) Stop() error {
	s.server.Stop()
	if err := <-s.served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("OTLP receiver: %w", err)
	}
	return nil
}

type metricsService struct {
	*pmetricotlp.UnimplementedGRPCServer
	sinks []Sink
}

func (s metricsService) Export(ctx context.Context, req pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	for _, sink := range s.sinks {
		if err := sink.Metrics(ctx, req.Metrics()); err != nil {
			return pmetricotlp.ExportResponse{}, err
		}
	}
	return pmetricotlp.NewExportResponse(), nil
}

type logsService struct {
	*plogotlp.UnimplementedGRPCServer
	sinks []Sink
}

func (s logsService) Export(ctx context.Context, req plogotlp.ExportRequest) (plogotlp.ExportResponse, error) {
	for _, sink := range s.sinks {
		if err := sink.Logs(ctx, req.Logs()); err != nil {
			return plogotlp.ExportResponse{}, err
		}
	}
	return plogotlp.NewExportResponse(), nil
}
