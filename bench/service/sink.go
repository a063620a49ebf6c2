package main

import (
	"context"
	"errors"
	"maps"
	"net"
	"sync"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
)

// arrivals is what has arrived at a sink so far.
type arrivals struct {
	Exports    int              `json:"exports"` // requests with metrics
	LogRecords int              `json:"log_records"`
	Points     map[string]int   `json:"points"`  // data points by metric, of all exports
	Latest     map[string]int64 `json:"latest"`  // sum over the series of a metric, in the last export
	Looks      map[string]int   `json:"looks"`   // by source, as the monitor counts them
	Skipped    map[string]int   `json:"skipped"` // looks that did not happen, by source and reason
}

// A sink is an OTLP/gRPC receiver that keeps count of what arrives.
type sink struct {
	colmetrics.UnimplementedMetricsServiceServer
	listener net.Listener
	server   *grpc.Server
	served   chan error

	mu   sync.Mutex
	seen arrivals
}

// The metrics that tell how often a monitor looked.
const (
	snapshotDuration = "goroutine.snapshot.duration"
	snapshotSkipped  = "goroutine.snapshot.skipped"
	snapshotSource   = "goroutine.snapshot.source"
	skippedReason    = "goroutine.snapshot.skip_reason"
	contribCount     = "go.goroutine.count"
	ourCount         = "goroutine.count"
)

// What looks are called that are not snapshots of ours.
const (
	dumpLook       = "dump"
	collectionLook = "collection"
)

// startSink listens on a free port of the loopback interface until stop.
func startSink() (*sink, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{listener: listener, server: grpc.NewServer(grpc.WaitForHandlers(true)), served: make(chan error, 1),
		seen: arrivals{Points: map[string]int{}, Latest: map[string]int64{}, Looks: map[string]int{}, Skipped: map[string]int{}}}
	colmetrics.RegisterMetricsServiceServer(s.server, s)
	collogs.RegisterLogsServiceServer(s.server, logSink{sink: s})
	go func() { s.served <- s.server.Serve(listener) }()
	return s, nil
}

func (s *sink) addr() string { return s.listener.Addr().String() }

func (s *sink) stop() error {
	s.server.Stop()
	if err := <-s.served; !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// arrived returns what has arrived so far.
func (s *sink) arrived() arrivals {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.seen
	a.Points, a.Latest = maps.Clone(a.Points), maps.Clone(a.Latest)
	a.Looks, a.Skipped = maps.Clone(a.Looks), maps.Clone(a.Skipped)
	return a
}

// Export takes metrics.
func (s *sink) Export(_ context.Context, r *colmetrics.ExportMetricsServiceRequest) (*colmetrics.ExportMetricsServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen.Exports++
	for _, resource := range r.ResourceMetrics {
		for _, scope := range resource.ScopeMetrics {
			for _, m := range scope.Metrics {
				s.seen.add(m)
			}
		}
	}
	return &colmetrics.ExportMetricsServiceResponse{}, nil
}

func (a *arrivals) add(m *metrics.Metric) {
	a.Points[m.Name] += len(m.GetSum().GetDataPoints()) + len(m.GetGauge().GetDataPoints()) + len(m.GetHistogram().GetDataPoints())
	a.Latest[m.Name] = 0
	for _, p := range m.GetSum().GetDataPoints() {
		a.Latest[m.Name] += p.GetAsInt()
	}
	switch m.Name {
	case snapshotDuration:
		for _, p := range m.GetHistogram().GetDataPoints() {
			a.Looks[value(p.Attributes, snapshotSource)] = int(p.Count)
		}
	case snapshotSkipped:
		for _, p := range m.GetSum().GetDataPoints() {
			a.Skipped[value(p.Attributes, snapshotSource)+": "+value(p.Attributes, skippedReason)] = int(p.GetAsInt())
		}
	case naiveLooks:
		a.Looks[dumpLook] = int(a.Latest[naiveLooks])
	case contribCount:
		a.Looks[collectionLook]++
	}
}

// value returns a string attribute.
func value(attributes []*common.KeyValue, key string) string {
	for _, kv := range attributes {
		if kv.Key == key {
			return kv.Value.GetStringValue()
		}
	}
	return ""
}

// logSink takes logs for a sink.
type logSink struct {
	collogs.UnimplementedLogsServiceServer
	sink *sink
}

func (l logSink) Export(_ context.Context, r *collogs.ExportLogsServiceRequest) (*collogs.ExportLogsServiceResponse, error) {
	l.sink.mu.Lock()
	defer l.sink.mu.Unlock()
	for _, resource := range r.ResourceLogs {
		for _, scope := range resource.ScopeLogs {
			l.sink.seen.LogRecords += len(scope.LogRecords)
		}
	}
	return &collogs.ExportLogsServiceResponse{}, nil
}
