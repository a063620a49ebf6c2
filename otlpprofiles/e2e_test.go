// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otlpprofiles_test

import (
	"context"
	"log/slog"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"go.opentelemetry.io/collector/pdata/pprofile/pprofileotlp"
	"go.opentelemetry.io/otel/metric/noop"
	"google.golang.org/grpc"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/otelgoroutine"
	"github.com/otelgoroutine/go/otlpprofiles"
	"github.com/otelgoroutine/go/otlpprofiles/internal/received"
)

// backend is the Collector's service of profiles, which keeps what it gets.
type backend struct {
	pprofileotlp.UnimplementedGRPCServer
	mu       sync.Mutex
	profiles []pprofile.Profiles
}

func (b *backend) Export(_ context.Context, request pprofileotlp.ExportRequest) (pprofileotlp.ExportResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.profiles = append(b.profiles, request.Profiles())
	return pprofileotlp.NewExportResponse(), nil
}

// listen returns the URL of a server.
func (b *backend) listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	pprofileotlp.RegisterGRPCServer(server, b)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		assert.NoError(t, <-served)
	})
	return "http://" + l.Addr().String()
}

// of returns the profile with an ID.
func (b *backend) of(t *testing.T, id string) (pprofile.Profiles, pprofile.Profile) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, data := range b.profiles {
		p, err := received.Only(data)
		require.NoError(t, err)
		if p.ProfileID().String() == id {
			return data, p
		}
	}
	require.Fail(t, "no profile with the ID of the event", "%q among %d", id, len(b.profiles))
	return pprofile.Profiles{}, pprofile.Profile{}
}

// events is a handler of slog that hands on the attributes of the first event.
type events struct{ first chan map[string]any }

func (e *events) Enabled(context.Context, slog.Level) bool { return true }
func (e *events) WithAttrs([]slog.Attr) slog.Handler       { return e }
func (e *events) WithGroup(string) slog.Handler            { return e }
func (e *events) Handle(_ context.Context, r slog.Record) error {
	all := make(map[string]any)
	r.Attrs(func(a slog.Attr) bool { all[a.Key] = a.Value.Any(); return true })
	select {
	case e.first <- all:
	default:
	}
	return nil
}

// parkedHere reports the goroutines of park as a finding.
func parkedHere() *detectors.Detector {
	return &detectors.Detector{Name: "parked", Doc: "Finds goroutines of a test.", Run: func(p *detectors.Pass) error {
		for _, g := range p.Snapshot.Groups {
			if strings.HasSuffix(g.Stack.Entry().Function, ".park") {
				p.Report(detectors.Finding{
					Confidence: detectors.High, Stack: g.Stack, State: g.State, Count: g.Count, Message: "They wait.",
					Traces: []detectors.Trace{{TraceID: "0102030405060708090a0b0c0d0e0f10", SpanID: "1112131415161718", Count: 1}},
				})
			}
		}
		return nil
	}}
}

//go:noinline
func park(started chan<- struct{}, gate <-chan struct{}) {
	started <- struct{}{}
	<-gate
}

const parkedGoroutines = 37

// The profile of an event arrives with the ID that the event has, and with the counts that
// go tool pprof shows of the file that was saved with it.
func TestTheProfileOfAnEventArrives(t *testing.T) {
	gate, started := make(chan struct{}), make(chan struct{})
	defer close(gate)
	for range parkedGoroutines {
		go park(started, gate)
		<-started
	}
	var b backend
	exporter, err := otlpprofiles.New(t.Context(), otlpprofiles.WithProtocol(otlpprofiles.ProtocolGRPC), otlpprofiles.WithEndpointURL(b.listen(t)))
	require.NoError(t, err)
	sent := &events{first: make(chan map[string]any, 1)}
	monitor, err := otelgoroutine.Start(noop.NewMeterProvider(),
		otelgoroutine.WithoutEnvironment(),
		otelgoroutine.WithInterval(otelgoroutine.MinInterval),
		otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1, Pause: time.Second}),
		otelgoroutine.WithDetectors(parkedHere()),
		otelgoroutine.WithLogger(slog.New(sent)),
		otelgoroutine.WithProfileDir(t.TempDir(), 10),
		otelgoroutine.WithProfileExporter(exporter.Export))
	require.NoError(t, err)
	event := <-sent.first
	require.NoError(t, monitor.Shutdown(t.Context()), "it waits for the exporter")
	require.NoError(t, exporter.Shutdown(t.Context()))

	id, _ := event["goroutine.profile.id"].(string)
	data, p := b.of(t, id)
	require.Empty(t, received.Check(data))
	attributes := received.Attributes(data.Dictionary(), p)
	assert.Equal(t, event["goroutine.finding.id"], attributes["goroutine.finding.id"])
	assert.Equal(t, "parked", attributes["goroutine.detector.name"])
	service, _ := data.ResourceProfiles().At(0).Resource().Attributes().Get("service.name")
	assert.NotEmpty(t, service.Str())

	path, _ := event["goroutine.profile.path"].(string)
	assert.Equal(t, top(t, path), flat(data, p))
	assert.EqualValues(t, parkedGoroutines, linked(data, p), "the goroutines of the finding are linked to its span")
}

// top returns how many goroutines go tool pprof shows at each function.
func top(t *testing.T, file string) map[string]int64 {
	t.Helper()
	command := exec.Command("go", "tool", "pprof", "-top", "-nodecount=100000", "-nodefraction=0", "-edgefraction=0", file)
	var problems strings.Builder
	command.Stderr = &problems
	out, err := command.Output()
	require.NoError(t, err, problems.String())
	_, table, found := strings.Cut(string(out), "flat%   sum%        cum   cum%\n")
	require.True(t, found, string(out))
	counts := make(map[string]int64)
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		require.GreaterOrEqual(t, len(fields), 6, line)
		n, err := strconv.ParseInt(fields[0], 10, 64)
		require.NoError(t, err, line)
		if n > 0 {
			counts[fields[5]] += n
		}
	}
	return counts
}

// flat returns how many goroutines are at each function.
func flat(data pprofile.Profiles, p pprofile.Profile) map[string]int64 {
	counts := make(map[string]int64)
	for _, s := range p.Samples().All() {
		function, _, _ := strings.Cut(received.Frames(data.Dictionary(), s)[0], " ")
		counts[function] += s.Values().At(0)
	}
	return counts
}

// linked returns how many goroutines are linked to the span of the finding.
func linked(data pprofile.Profiles, p pprofile.Profile) (n int64) {
	for _, s := range p.Samples().All() {
		if data.Dictionary().LinkTable().At(int(s.LinkIndex())).SpanID().String() == "1112131415161718" {
			n += s.Values().At(0)
		}
	}
	return n
}
