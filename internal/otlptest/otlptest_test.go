// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otlptest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"

	"github.com/otelgoroutine/go/internal/otlptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// metricsRequest has one metric of each kind that Points supports, and one of
// another kind.
func metricsRequest() pmetricotlp.ExportRequest {
	all := pmetric.NewMetrics()
	resource := all.ResourceMetrics().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.name", "shop")
	metrics := resource.ScopeMetrics().AppendEmpty().Metrics()
	sum := metrics.AppendEmpty()
	sum.SetName("sum")
	sum.SetEmptySum().DataPoints().AppendEmpty().SetIntValue(7)
	sum.Sum().DataPoints().At(0).Attributes().PutStr("goroutine.detailed_state", "select")
	gauge := metrics.AppendEmpty()
	gauge.SetName("gauge")
	gauge.SetEmptyGauge().DataPoints().AppendEmpty().SetDoubleValue(1.5)
	histogram := metrics.AppendEmpty()
	histogram.SetName("histogram")
	point := histogram.SetEmptyHistogram().DataPoints().AppendEmpty()
	point.SetCount(4)
	point.SetSum(10)
	summary := metrics.AppendEmpty()
	summary.SetName("summary")
	summary.SetEmptySummary().DataPoints().AppendEmpty()
	return pmetricotlp.NewExportRequestFromMetrics(all)
}

func logsRequest() plogotlp.ExportRequest {
	all := plog.NewLogs()
	resource := all.ResourceLogs().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.instance.id", "a")
	records := resource.ScopeLogs().AppendEmpty().LogRecords()
	for _, name := range []string{"goroutine.leak.detected", "goroutine.leak.resolved"} {
		record := records.AppendEmpty()
		record.SetEventName(name)
		record.Body().SetStr("about " + name)
	}
	return plogotlp.NewExportRequestFromLogs(all)
}

func start(t *testing.T, sinks ...otlptest.Sink) (*otlptest.Server, *grpc.ClientConn) {
	t.Helper()
	s, err := otlptest.Start(sinks...)
	require.NoError(t, err)
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close()) })
	return s, conn
}

// assertRecorded checks that one request of each kind arrived.
func assertRecorded(t *testing.T, r *otlptest.Recorder) {
	t.Helper()
	metrics, logs := r.Received()
	assert.Len(t, metrics, 1)
	assert.Len(t, logs, 1)
	assert.Equal(t, []string{"gauge", "histogram", "sum", "summary"}, r.MetricNames())
	assert.Equal(t, map[string]string{"service.name": "shop", "service.instance.id": "a"}, r.Resource())
	assert.Len(t, r.Events(), 2)
	assert.Empty(t, r.Events("goroutine.deadlock.detected"))
	if leaks := r.Events("goroutine.leak.detected"); assert.Len(t, leaks, 1) {
		assert.Equal(t, "about goroutine.leak.detected", leaks[0].Body().Str())
	}
}

func TestServerHandsEveryRequestToEverySink(t *testing.T) {
	var first, second otlptest.Recorder
	s, conn := start(t, &first, &second)
	_, err := pmetricotlp.NewGRPCClient(conn).Export(t.Context(), metricsRequest(), grpc.UseCompressor(grpcgzip.Name))
	require.NoError(t, err)
	_, err = plogotlp.NewGRPCClient(conn).Export(t.Context(), logsRequest())
	require.NoError(t, err)
	require.NoError(t, s.Stop())
	assertRecorded(t, &first)
	assertRecorded(t, &second)
}

func TestServerListensOnLoopbackOnly(t *testing.T) {
	s, conn := start(t)
	host, port, err := net.SplitHostPort(s.Addr())
	require.NoError(t, err)
	assert.True(t, net.ParseIP(host).IsLoopback(), host)
	assert.NotEqual(t, "0", port)

	require.NoError(t, s.Stop())
	_, err = plogotlp.NewGRPCClient(conn).Export(t.Context(), logsRequest())
	assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
}

// blocking is a sink that blocks each request until the test releases it.
type blocking struct {
	otlptest.Recorder
	entered, leave chan struct{}
}

func (b *blocking) Logs(ctx context.Context, all plog.Logs) error {
	close(b.entered)
	<-b.leave
	return b.Recorder.Logs(ctx, all)
}

func TestStopWaitsForTheSinks(t *testing.T) {
	sink := &blocking{entered: make(chan struct{}), leave: make(chan struct{})}
	s, conn := start(t, sink)
	var export sync.WaitGroup
	export.Go(func() {
		// The client first sees that the server is gone. Only then is the sink released.
		_, err := plogotlp.NewGRPCClient(conn).Export(context.WithoutCancel(t.Context()), logsRequest())
		assert.Error(t, err)
		close(sink.leave)
	})
	<-sink.entered
	require.NoError(t, s.Stop())
	assert.Len(t, sink.Events(), 2, "Stop returned while a sink was in use")
	export.Wait()
}

// refusing is a sink whose answer is an error.
type refusing struct{}

func (refusing) Metrics(context.Context, pmetric.Metrics) error {
	return status.Error(codes.ResourceExhausted, "full")
}
func (refusing) Logs(context.Context, plog.Logs) error { return io.ErrShortWrite }

func TestAnErrorIsTheAnswer(t *testing.T) {
	s, conn := start(t, refusing{})
	_, err := pmetricotlp.NewGRPCClient(conn).Export(t.Context(), metricsRequest())
	assert.Equal(t, codes.ResourceExhausted, status.Code(err), "%v", err)
	_, err = plogotlp.NewGRPCClient(conn).Export(t.Context(), logsRequest())
	assert.Equal(t, codes.Unknown, status.Code(err), "%v", err)
	require.NoError(t, s.Stop())

	code, answer := post(t, otlptest.Handler(refusing{}), "/v1/logs", marshal(t, logsRequest().MarshalProto), false)
	assert.Equal(t, http.StatusInternalServerError, code)
	assert.Contains(t, string(answer), "short write")
}

func TestHandler(t *testing.T) {
	var recorder otlptest.Recorder
	handler := otlptest.Handler(&recorder)
	code, answer := post(t, handler, "/v1/metrics", marshal(t, metricsRequest().MarshalProto), false)
	assert.Equal(t, http.StatusOK, code)
	require.NoError(t, pmetricotlp.NewExportResponse().UnmarshalProto(answer))
	code, answer = post(t, handler, "/v1/logs", marshal(t, logsRequest().MarshalProto), true)
	assert.Equal(t, http.StatusOK, code)
	require.NoError(t, plogotlp.NewExportResponse().UnmarshalProto(answer))
	assertRecorded(t, &recorder)
}

func TestHandlerRefusesWhatIsNotOTLP(t *testing.T) {
	var recorder otlptest.Recorder
	handler := otlptest.Handler(&recorder)
	for name, test := range map[string]struct {
		path string
		body []byte
		zip  bool
		want int
	}{
		"no protobuf":       {"/v1/metrics", []byte("no"), false, http.StatusBadRequest},
		"no protobuf in it": {"/v1/logs", []byte("no"), true, http.StatusBadRequest},
		"a bomb":            {"/v1/logs", make([]byte, 20<<20+1), true, http.StatusBadRequest},
		"traces":            {"/v1/traces", nil, false, http.StatusNotFound},
	} {
		code, _ := post(t, handler, test.path, test.body, test.zip)
		assert.Equal(t, test.want, code, name)
	}
	metrics, logs := recorder.Received()
	assert.Empty(t, metrics)
	assert.Empty(t, logs)
}

func post(t *testing.T, handler http.Handler, path string, body []byte, zip bool) (code int, answer []byte) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	if zip {
		var zipped bytes.Buffer
		w := gzip.NewWriter(&zipped)
		_, err := w.Write(body)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		r = httptest.NewRequest(http.MethodPost, path, &zipped)
		r.Header.Set("Content-Encoding", "gzip")
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

func marshal(t *testing.T, request func() ([]byte, error)) []byte {
	t.Helper()
	body, err := request()
	require.NoError(t, err)
	return body
}

func TestPoints(t *testing.T) {
	got := make(map[string][]otlptest.Point)
	for resource, metric := range otlptest.Metrics(metricsRequest().Metrics()) {
		assert.Equal(t, "shop", otlptest.Attribute(resource.Attributes(), "service.name"))
		got[metric.Name()] = otlptest.Points(metric)
	}
	require.Len(t, got["sum"], 1)
	assert.Equal(t, 7.0, got["sum"][0].Value)
	assert.Equal(t, "select", got["sum"][0].Attribute("goroutine.detailed_state"))
	assert.Empty(t, got["sum"][0].Attribute("goroutine.stack.id"))
	require.Len(t, got["gauge"], 1)
	assert.Equal(t, 1.5, got["gauge"][0].Value)
	require.Len(t, got["histogram"], 1)
	assert.Equal(t, uint64(4), got["histogram"][0].Count)
	assert.Equal(t, 10.0, got["histogram"][0].Value)
	assert.Empty(t, got["summary"])
}
