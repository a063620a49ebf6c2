// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otlpprofiles

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile/pprofileotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // the server reads it
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

func asRetryable(err error, as **retryable) bool { return errors.As(err, as) }

// service is the Collector's service of profiles, which keeps what it gets.
type service struct {
	pprofileotlp.UnimplementedGRPCServer
	mu       sync.Mutex
	requests []pprofileotlp.ExportRequest
	metadata []metadata.MD
	answer   func() error // nil: it takes everything
}

func (s *service) Export(ctx context.Context, request pprofileotlp.ExportRequest) (pprofileotlp.ExportResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, request)
	md, _ := metadata.FromIncomingContext(ctx)
	s.metadata = append(s.metadata, md)
	if s.answer != nil {
		return pprofileotlp.NewExportResponse(), s.answer()
	}
	return pprofileotlp.NewExportResponse(), nil
}

func (s *service) all() []pprofileotlp.ExportRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]pprofileotlp.ExportRequest(nil), s.requests...)
}

// serveGRPC returns the address of a server. Without a service, it has none for profiles.
func serveGRPC(t *testing.T, s *service, opts ...grpc.ServerOption) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(opts...)
	if s != nil {
		pprofileotlp.RegisterGRPCServer(server, s)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		assert.NoError(t, <-served)
	})
	return l.Addr().String()
}

func TestGRPC(t *testing.T) {
	for name, opts := range map[string][]Option{"plain": nil, "gzip": {WithGzip(true)}} {
		t.Run(name, func(t *testing.T) {
			var got service
			e := exporterTo(t, "http://"+serveGRPC(t, &got), append(opts, WithProtocol(ProtocolGRPC), WithResource(shop), WithHeaders(map[string]string{"X-API-Key": "k"}))...)
			require.NoError(t, e.Export(t.Context(), profileFile(t)))
			require.Len(t, got.all(), 1)
			requireProfile(t, got.requests[0])
			assert.Equal(t, []string{"k"}, got.metadata[0].Get("x-api-key"))
		})
	}
}

func TestGRPCWithTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	var got service
	address := serveGRPC(t, &got, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: certified.TLS.Certificates})))
	set(t, map[string]string{"PROFILES_PROTOCOL": "grpc", "PROFILES_ENDPOINT": address, "PROFILES_CERTIFICATE": certificates(t, certified)})
	e, err := New(t.Context())
	require.NoError(t, err)
	require.NoError(t, e.Export(t.Context(), profileFile(t)))
	require.NoError(t, e.Shutdown(t.Context()))
	assert.Len(t, got.all(), 1)
}

// A Collector without the feature gate has no such service.
func TestAServerWithoutTheServiceIsTold(t *testing.T) {
	e := exporterTo(t, "http://"+serveGRPC(t, nil), WithProtocol(ProtocolGRPC))
	assert.ErrorContains(t, e.Export(t.Context(), profileFile(t)), "feature gate service.profilesSupport")
}

func TestWhatErrorsOfGRPCMean(t *testing.T) {
	later, err := status.New(codes.ResourceExhausted, "slow down").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(3 * time.Second)})
	require.NoError(t, err)
	for _, tt := range []struct {
		err   error
		again bool
		after time.Duration
	}{
		{status.Error(codes.Unavailable, ""), true, 0},
		{status.Error(codes.DeadlineExceeded, ""), true, 0},
		{status.Error(codes.Canceled, ""), true, 0},
		{status.Error(codes.Aborted, ""), true, 0},
		{status.Error(codes.OutOfRange, ""), true, 0},
		{status.Error(codes.DataLoss, ""), true, 0},
		{later.Err(), true, 3 * time.Second},
		{status.Error(codes.ResourceExhausted, "too large"), false, 0},
		{status.Error(codes.Unauthenticated, ""), false, 0},
		{status.Error(codes.InvalidArgument, ""), false, 0},
	} {
		var passing *retryable
		got := meaning(tt.err)
		assert.ErrorIs(t, got, tt.err)
		if assert.Equal(t, tt.again, errors.As(got, &passing), tt.err) && tt.again {
			assert.Equal(t, tt.after, passing.after)
		}
	}
}
