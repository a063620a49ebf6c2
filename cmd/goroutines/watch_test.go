package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// buffer is a bytes.Buffer that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) { b.mu.Lock(); defer b.mu.Unlock(); return b.b.Write(p) }
func (b *buffer) String() string              { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

// watchUntil runs watch until the test has seen what it waits for.
func watchUntil(t *testing.T, seen func(string) bool, args ...string) (status int, out string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	var stdout, stderr buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		status = run(ctx, append([]string{"watch"}, args...), strings.NewReader(""), &stdout, &stderr)
	}()
	for ctx.Err() == nil && !seen(stdout.String()) {
		select {
		case <-done:
			cancel()
		case <-time.After(20 * time.Millisecond):
		}
	}
	require.True(t, seen(stdout.String()), "%s\n%s", stdout.String(), stderr.String())
	cancel()
	<-done
	assert.Empty(t, stderr.String())
	return status, stdout.String()
}

// TestWatchOutlivesTheProcess kills the process, and starts another at the same
// address.
func TestWatchOutlivesTheProcess(t *testing.T) {
	addr, stop := start(t)
	var once, twice sync.Once
	_, out := watchUntil(t, func(out string) bool {
		if strings.Contains(out, "blocked_forever detected") {
			once.Do(stop)
		}
		if strings.Contains(out, "connection refused") {
			twice.Do(func() { start(t, "-addr", addr, "-leaks", "0") })
		}
		return strings.Count(out, "blocked_forever detected") == 2 && strings.Contains(out, "restarted 1 times")
	}, "-interval", "200ms", addr)
	assert.Contains(t, out, "blocked_forever resolved")
	assert.NotContains(t, out, "\x1b", "no colours")
}

func TestWatchFindsLeaksAndDeadlocks(t *testing.T) {
	addr, _ := start(t, "-leaks", "40")
	status, out := watchUntil(t, func(out string) bool {
		return strings.Contains(out, "leak detected") && strings.Contains(out, "deadlock detected")
	}, "-interval", "200ms", "-time-scale", "0.002", "-fail-on", "certain", addr)
	assert.Equal(t, statusFindings, status)
	assert.Contains(t, out, "main.leaked")
	assert.Contains(t, out, "7 goroutines at main.locked")
}

// A sink is an OTLP receiver for both protocols.
type sink struct {
	colmetrics.UnimplementedMetricsServiceServer
	mu        sync.Mutex
	metrics   map[string]bool
	events    map[string]bool
	resources map[string]string
}

func newSink() *sink {
	return &sink{metrics: make(map[string]bool), events: make(map[string]bool), resources: make(map[string]string)}
}

func (s *sink) resource(r *resourcepb.Resource) {
	for _, a := range r.GetAttributes() {
		s.resources[a.GetKey()] = a.GetValue().GetStringValue()
	}
}

func (s *sink) Export(_ context.Context, r *colmetrics.ExportMetricsServiceRequest) (*colmetrics.ExportMetricsServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rm := range r.GetResourceMetrics() {
		s.resource(rm.GetResource())
		for _, sm := range rm.GetScopeMetrics() {
			for _, m := range sm.GetMetrics() {
				s.metrics[m.GetName()] = true
			}
		}
	}
	return &colmetrics.ExportMetricsServiceResponse{}, nil
}

type logSink struct {
	collogs.UnimplementedLogsServiceServer
	*sink
}

func (s logSink) Export(_ context.Context, r *collogs.ExportLogsServiceRequest) (*collogs.ExportLogsServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rl := range r.GetResourceLogs() {
		s.resource(rl.GetResource())
		for _, sl := range rl.GetScopeLogs() {
			for _, l := range sl.GetLogRecords() {
				s.events[l.GetEventName()] = true
			}
		}
	}
	return &collogs.ExportLogsServiceResponse{}, nil
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	switch r.URL.Path {
	case "/v1/metrics":
		var m colmetrics.ExportMetricsServiceRequest
		if proto.Unmarshal(body, &m) == nil {
			s.Export(r.Context(), &m)
		}
	case "/v1/logs":
		var l collogs.ExportLogsServiceRequest
		if proto.Unmarshal(body, &l) == nil {
			logSink{sink: s}.Export(r.Context(), &l)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (s *sink) complete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.metrics["goroutine.count"] && s.metrics["goroutine.stack.goroutine.count"] && s.metrics["goroutine.finding.open"] &&
		s.events["goroutine.blocked_forever.detected"]
}

func TestWatchExports(t *testing.T) {
	addr, _ := start(t)
	overGRPC, overHTTP := newSink(), newSink()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	colmetrics.RegisterMetricsServiceServer(server, overGRPC)
	collogs.RegisterLogsServiceServer(server, logSink{sink: overGRPC})
	go server.Serve(l)
	defer server.Stop()
	web := httptest.NewServer(overHTTP)
	defer web.Close()

	for endpoint, s := range map[string]*sink{l.Addr().String(): overGRPC, web.URL: overHTTP} {
		protocol := "grpc"
		if s == overHTTP {
			protocol = "http/protobuf"
		}
		watchUntil(t, func(string) bool { return s.complete() },
			"-interval", "200ms", "-otlp", endpoint, "-otlp-protocol", protocol, "-service-name", "checkout", addr)
		assert.Equal(t, "checkout", s.resources["service.name"], protocol)
		assert.Equal(t, addr, s.resources["service.instance.id"])
		assert.False(t, s.metrics["goroutine.scheduler.goroutine.count"], "another process's scheduler cannot be read")
	}
}

var colour = regexp.MustCompile(`\x1b\[[0-9;]*3[0-9][0-9;]*m`)

// TestWatchOnATerminal runs the built command on one, and quits it with a key.
func TestWatchOnATerminal(t *testing.T) {
	addr, _ := start(t)
	binary := t.TempDir() + "/goroutines"
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, noColor := range []bool{false, true} {
		c := exec.CommandContext(t.Context(), binary, "watch", "-interval", "200ms", addr, "127.0.0.1:1")
		c.Env = append(os.Environ(), "TERM=xterm-256color")
		if noColor {
			c.Env = append(c.Env, "NO_COLOR=1")
		}
		terminal, err := pty.StartWithSize(c, &pty.Winsize{Cols: 110, Rows: 30})
		require.NoError(t, err)
		var shown buffer
		read := make(chan struct{})
		go func() { defer close(read); io.Copy(&shown, terminal) }()
		require.Eventually(t, func() bool {
			text := ansi.Strip(shown.String())
			return strings.Contains(text, "main.worker") && strings.Contains(text, "cannot be reached") && strings.Contains(text, "█")
		}, 20*time.Second, 20*time.Millisecond)
		_, err = terminal.WriteString("q")
		require.NoError(t, err)
		require.NoError(t, c.Wait())
		terminal.Close()
		<-read
		assert.Equal(t, !noColor, colour.MatchString(shown.String()))
	}
}
