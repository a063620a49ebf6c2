// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otlpprofiles

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile/pprofileotlp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/otelgoroutine/go/otlpprofiles/internal/received"
)

// endpoint is a server of OTLP over HTTP that keeps what it gets.
type endpoint struct {
	mu       sync.Mutex
	requests []pprofileotlp.ExportRequest
	headers  []http.Header
	answer   http.HandlerFunc // nil: it takes everything
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	data, err := io.ReadAll(body)
	request := pprofileotlp.NewExportRequest()
	if err != nil || request.UnmarshalProto(data) != nil || r.URL.Path != path || r.Header.Get("Content-Type") != contentType {
		http.Error(w, "not a request of OTLP", http.StatusBadRequest)
		return
	}
	e.mu.Lock()
	e.requests, e.headers = append(e.requests, request), append(e.headers, r.Header)
	e.mu.Unlock()
	if e.answer != nil {
		e.answer(w, r)
		return
	}
	w.Header().Set("Content-Type", contentType)
	encoded, _ := pprofileotlp.NewExportResponse().MarshalProto()
	w.Write(encoded)
}

func serve(t *testing.T, e *endpoint) *httptest.Server {
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	return s
}

// exporterTo returns an exporter that is shut down before the server is.
func exporterTo(t *testing.T, url string, opts ...Option) *Exporter {
	t.Helper()
	e, err := New(t.Context(), append([]Option{WithEndpointURL(url)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, e.Shutdown(context.Background())) })
	return e
}

// requireProfile requires that a request has the profile of profileFile.
func requireProfile(t *testing.T, request pprofileotlp.ExportRequest) {
	t.Helper()
	got := request.Profiles()
	require.Empty(t, received.Check(got))
	name, _ := got.ResourceProfiles().At(0).Resource().Attributes().Get("service.name")
	assert.Equal(t, "shop", name.Str())
	assert.Equal(t, "https://example.com/schema", got.ResourceProfiles().At(0).SchemaUrl())
	p, err := received.Only(got)
	require.NoError(t, err)
	assert.Equal(t, "01020300000000000000000000000000", p.ProfileID().String())
	assert.Equal(t, time.Unix(1_700_000_000, 0).UnixNano(), int64(p.Time()))
	assert.Equal(t, map[string]any{
		"goroutine.profile.cause": "finding", "goroutine.finding.id": "0123456789abcdef", "goroutine.detector.name": "leak",
	}, received.Attributes(got.Dictionary(), p))
	stacks, err := received.Stacks(got)
	require.NoError(t, err)
	assert.Equal(t, map[string]int64{
		"runtime.gopark :0 0x0\nmain.wait /src/main.go:5 0x0": 10,
		"main.work /src/main.go:9 0x0":                        2,
	}, stacks)
	first := p.Samples().At(0)
	assert.Equal(t, "chan receive", received.Attributes(got.Dictionary(), first)["goroutine.detailed_state"])
	assert.Equal(t, "1112131415161718", got.Dictionary().LinkTable().At(int(first.LinkIndex())).SpanID().String(), "the span of the finding")
	assert.Zero(t, p.Samples().At(1).LinkIndex(), "a stack that is not the finding's")
}

// shop is the resource of requireProfile.
var shop = resource.NewWithAttributes("https://example.com/schema", attribute.String("service.name", "shop"))

func TestHTTP(t *testing.T) {
	for name, opts := range map[string][]Option{"plain": nil, "gzip": {WithGzip(true)}} {
		t.Run(name, func(t *testing.T) {
			var got endpoint
			e := exporterTo(t, serve(t, &got).URL+path, append(opts, WithResource(shop), WithHeaders(map[string]string{"x-api-key": "k"}))...)
			require.NoError(t, e.Export(t.Context(), profileFile(t)))
			require.Len(t, got.requests, 1)
			requireProfile(t, got.requests[0])
			assert.Equal(t, "k", got.headers[0].Get("X-Api-Key"))
			assert.Equal(t, userAgent, got.headers[0].Get("User-Agent"))
		})
	}
}

func TestHTTPWithTLS(t *testing.T) {
	var got endpoint
	s := httptest.NewTLSServer(&got)
	t.Cleanup(s.Close)
	set(t, map[string]string{"ENDPOINT": s.URL, "CERTIFICATE": certificates(t, s)})
	e, err := New(t.Context())
	require.NoError(t, err)
	require.NoError(t, e.Export(t.Context(), profileFile(t)))
	require.NoError(t, e.Shutdown(t.Context()))
	assert.Len(t, got.requests, 1)
}

// statusOf returns a response with a status and, as OTLP has it, a message.
func statusOf(code int, message, retryAfter string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(code)
		body, _ := proto.Marshal(&statuspb.Status{Message: message})
		w.Write(body)
	}
}

func TestHTTPStatuses(t *testing.T) {
	for _, tt := range []struct {
		answer http.HandlerFunc
		says   string
		again  bool
		after  time.Duration
	}{
		{statusOf(400, "bad", ""), `HTTP status 400 Bad Request: "bad"`, false, 0},
		{statusOf(401, "", "3"), "HTTP status 401", false, 0},
		{statusOf(404, "", ""), "feature gate service.profilesSupport", false, 0},
		{statusOf(302, "", ""), "HTTP status 302", false, 0},
		{statusOf(429, "slow down", "3"), `HTTP status 429 Too Many Requests: "slow down"`, true, 3 * time.Second},
		{statusOf(503, "", "Mon, 01 Jan 2001 00:00:00 GMT"), "HTTP status 503", true, 0},
		{statusOf(502, "", "soon"), "HTTP status 502", true, 0},
		{statusOf(500, "", ""), "HTTP status 500", false, 0},
	} {
		got := &endpoint{answer: tt.answer}
		e := exporterTo(t, serve(t, got).URL+path)
		request, err := e.request(new(profileFile(t)))
		require.NoError(t, err)
		_, err = e.client.send(t.Context(), request)
		require.ErrorContains(t, err, tt.says)
		var passing *retryable
		if assert.Equal(t, tt.again, asRetryable(err, &passing), tt.says) && tt.again {
			assert.Equal(t, tt.after, passing.after)
		}
	}
}

// A redirect would carry the credentials in the headers to another host.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var other endpoint
	elsewhere := serve(t, &other)
	got := &endpoint{answer: func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+path, http.StatusTemporaryRedirect)
	}}
	e := exporterTo(t, serve(t, got).URL+path, WithHeaders(map[string]string{"x-api-key": "k"}))
	assert.ErrorContains(t, e.Export(t.Context(), profileFile(t)), "HTTP status 307")
	assert.Empty(t, other.requests)
}

func TestAServerThatIsNotThereMayComeBack(t *testing.T) {
	s := serve(t, &endpoint{})
	e := exporterTo(t, s.URL+path)
	s.Close()
	_, err := e.client.send(t.Context(), &collectorpb.ExportProfilesServiceRequest{})
	var passing *retryable
	assert.True(t, asRetryable(err, &passing))
}

// Something between the exporter and the server may answer in a form of its own.
func TestAnAnswerThatIsNotOTLPIsASuccess(t *testing.T) {
	got := &endpoint{answer: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>ok") }}
	require.NoError(t, exporterTo(t, serve(t, got).URL+path).Export(t.Context(), profileFile(t)))
	got = &endpoint{answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		io.WriteString(w, "<html>ok")
	}}
	require.NoError(t, exporterTo(t, serve(t, got).URL+path).Export(t.Context(), profileFile(t)))
}
