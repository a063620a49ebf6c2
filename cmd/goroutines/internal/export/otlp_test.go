// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package export

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/otlptest"
	"github.com/otelgoroutine/go/internal/telemetry"
)

func TestCheckEndpoint(t *testing.T) {
	for _, c := range []struct{ endpoint, protocol, want string }{
		{"localhost:4317", "", "grpc"},
		{"localhost:4318", "", "http/protobuf"},
		{"localhost:4318", "grpc", "grpc"},
		{"collector", "", "grpc"},
		{"http://collector:4318/prefix", "", "http/protobuf"},
		{"https://collector", "", "grpc"},
		{"https://collector", "http/protobuf", "http/protobuf"},
		{"[::1]:4318", "", "http/protobuf"},
	} {
		got, err := CheckEndpoint(c.endpoint, c.protocol)
		require.NoError(t, err, c.endpoint)
		assert.Equal(t, c.want, got, c.endpoint)
	}
	for _, c := range []struct{ endpoint, protocol, want string }{
		{"", "", `--otlp "" is no endpoint; it must be host:port, http://host:port or https://host:port`},
		{"ftp://x", "", `--otlp "ftp://x" is no endpoint; it must be host:port`},
		{"unix:///tmp/x", "", `--otlp "unix:///tmp/x" is no endpoint; it must be`},
		{"http://", "", `--otlp "http://" is no endpoint; it must be`},
		{"host:port", "", `--otlp "host:port" is no endpoint; it must be`},
		{"x:1", "smoke", `--otlp-protocol "smoke" is unknown; it must be grpc or http/protobuf`},
		{"x:1", "http/json", `--otlp-protocol "http/json" is unknown; it must be`},
	} {
		_, err := CheckEndpoint(c.endpoint, c.protocol)
		assert.ErrorContains(t, err, c.want)
	}
}

// config returns a configuration that exports to an endpoint.
func config(endpoint, protocol string) Config {
	return Config{
		Endpoint: endpoint, Protocol: protocol, Service: "checkout", Instance: "10.0.0.1:6060",
		Interval: time.Hour, // so that only Shutdown sends anything
		Stacks:   20,
		Health:   NewHealth(func(State) {}),
	}
}

// send exports a snapshot of seven goroutines with a finding and shuts down.
func send(t *testing.T, c Config) error {
	t.Helper()
	e, err := New(t.Context(), c)
	require.NoError(t, err)
	p := detectortest.NewProcess(1)
	p.Go(detectortest.At(goroutine.MutexLock, "main.locked:4", "main.run:3"), 7)
	p.Snapshot()
	p.Advance(time.Minute)
	s := p.Snapshot() // the age of its goroutines is known
	e.Telemetry.Publish(t.Context(), s, s)
	g := &s.Groups[0]
	e.Telemetry.Emit(t.Context(), detectors.Event{Kind: detectors.Detected, Time: s.Time, Finding: detectors.Finding{
		Detector: "deadlock", Confidence: detectors.High, Stack: g.Stack, State: g.State, Count: g.Count, Message: "7 goroutines",
	}}, telemetry.Files{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return e.Shutdown(ctx)
}

// requireSent checks that everything from send has arrived.
func requireSent(t *testing.T, r *otlptest.Recorder) {
	t.Helper()
	assert.Equal(t, map[string]string{
		"service.name": "checkout", "service.instance.id": "10.0.0.1:6060", "telemetry.sdk.language": "go",
	}, r.Resource())
	names := r.MetricNames()
	for _, want := range []string{telemetry.MetricCount, telemetry.MetricStackCount, telemetry.MetricStackAge, telemetry.MetricFindingDetected} {
		assert.Contains(t, names, want)
	}
	assert.NotContains(t, names, telemetry.MetricSchedulerCount, "only the process itself can ask its scheduler")
	requests, _ := r.Received()
	var total float64
	for _, m := range otlptest.Metrics(requests[0]) {
		if m.Name() == telemetry.MetricCount {
			for _, p := range otlptest.Points(m) {
				total += p.Value
			}
		}
	}
	assert.InDelta(t, 7, total, 0)
	events := r.Events()
	require.Len(t, events, 1)
	assert.Equal(t, "goroutine.deadlock.detected", events[0].EventName())
}

func TestGRPC(t *testing.T) {
	var received otlptest.Recorder
	s, err := otlptest.Start(&received)
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.Stop()) }()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://ignored.invalid:1") // --otlp takes precedence
	for i, endpoint := range []string{s.Addr(), "http://" + s.Addr()} {
		require.NoError(t, send(t, config(endpoint, "grpc")))
		if i == 0 {
			requireSent(t, &received)
		}
	}
	assert.Len(t, received.Events(), 2)
}

// TestHTTP uses a collector at the root and one below a path.
func TestHTTP(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://ignored.invalid:1")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=abc")
	for _, prefix := range []string{"", "/otlp", "/otlp/"} {
		var received otlptest.Recorder
		receiver := otlptest.Handler(&received)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "abc", r.Header.Get("Api-Key"), "headers come from the environment")
			http.StripPrefix(strings.TrimSuffix(prefix, "/"), receiver).ServeHTTP(w, r)
		}))
		require.NoError(t, send(t, config(s.URL+prefix, "http/protobuf")), prefix)
		requireSent(t, &received)
		s.Close()
	}
}

// TestTLS checks that only the certificate named by the environment is trusted.
func TestTLS(t *testing.T) {
	var received otlptest.Recorder
	s := httptest.NewUnstartedServer(otlptest.Handler(&received))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	require.ErrorContains(t, send(t, config(s.URL, "http/protobuf")), "certificate")
	assert.Empty(t, received.MetricNames())

	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(block), 0o600))
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", ca)
	require.NoError(t, send(t, config(s.URL, "http/protobuf")))
	requireSent(t, &received)
}

// TestInterval checks that metrics are sent at every interval until Shutdown.
func TestInterval(t *testing.T) {
	var received otlptest.Recorder
	s := httptest.NewServer(otlptest.Handler(&received))
	defer s.Close()
	c := config(s.URL, "http/protobuf")
	c.Interval = time.Millisecond
	e, err := New(t.Context(), c)
	require.NoError(t, err)
	snapshot := &goroutine.Snapshot{Time: time.Now(), Source: goroutine.SourceTrace}
	e.Telemetry.Publish(t.Context(), snapshot, snapshot)
	require.Eventually(t, func() bool { requests, _ := received.Received(); return len(requests) >= 3 }, 2*time.Minute, time.Millisecond)
	require.NoError(t, e.Shutdown(t.Context()))
	before, _ := received.Received()
	time.Sleep(20 * time.Millisecond)
	after, _ := received.Received()
	assert.Len(t, after, len(before))
}

// TestNothingListens checks that Shutdown ends with its context and that its
// error says that something could not be sent.
func TestNothingListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		e, err := New(t.Context(), config(l.Addr().String(), protocol))
		require.NoError(t, err, "it connects later")
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err = e.Shutdown(ctx)
		cancel()
		assert.Error(t, err, protocol)
	}
}

func TestNewErrors(t *testing.T) {
	_, err := New(t.Context(), config("ftp://x", "grpc"))
	require.ErrorContains(t, err, `--otlp "ftp://x" is no endpoint; it must be`)
}
