// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package knowntest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"
)

// stream is a method that answers with headers and then reads until the client
// has sent everything.
const stream = "/knowntest/Stream"

// serveGRPC starts a server with the health service and the method stream and
// returns its address.
func serveGRPC(t *testing.T, opts ...grpc.ServerOption) string {
	s := grpc.NewServer(append(opts, grpc.UnknownServiceHandler(func(_ any, ss grpc.ServerStream) error {
		err := ss.SendHeader(metadata.MD{})
		for err == nil {
			err = ss.RecvMsg(new(emptypb.Empty))
		}
		return nil
	}))...)
	healthpb.RegisterHealthServer(s, health.NewServer())
	l := listen(t)
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

// dialGRPC makes a client that lasts until the test is over, and calls the
// server once.
func dialGRPC(t *testing.T, target string, opts ...grpc.DialOption) *grpc.ClientConn {
	cc, err := grpc.NewClient(target, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	require.NoError(t, err)
	t.Cleanup(func() { cc.Close() })
	check(t, cc)
	return cc
}

func check(t *testing.T, cc *grpc.ClientConn) {
	_, err := healthpb.NewHealthClient(cc).Check(t.Context(), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
}

// openStream opens a stream and waits until the server has answered it.
func openStream(t *testing.T, ctx context.Context, cc *grpc.ClientConn) grpc.ClientStream {
	cs, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, stream)
	require.NoError(t, err)
	_, err = cs.Header()
	require.NoError(t, err)
	return cs
}
