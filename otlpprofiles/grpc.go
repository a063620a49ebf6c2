// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otlpprofiles

import (
	"context"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// grpcClient sends requests of OTLP over gRPC.
type grpcClient struct {
	connection *grpc.ClientConn
	service    collectorpb.ProfilesServiceClient
	headers    metadata.MD
}

func newGRPCClient(c *config) (*grpcClient, error) {
	transport := insecure.NewCredentials()
	if c.endpoint.Scheme == "https" {
		transport = credentials.NewTLS(c.trust())
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(transport), grpc.WithUserAgent(userAgent)}
	if *c.gzip {
		options = append(options, grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
	}
	connection, err := grpc.NewClient(c.endpoint.Host, options...)
	if err != nil {
		return nil, err
	}
	return &grpcClient{connection, collectorpb.NewProfilesServiceClient(connection), metadata.New(c.headers)}, nil
}

func (c *grpcClient) send(ctx context.Context, message *collectorpb.ExportProfilesServiceRequest) (*collectorpb.ExportProfilesServiceResponse, error) {
	response, err := c.service.Export(metadata.NewOutgoingContext(ctx, c.headers), message)
	if err != nil {
		return nil, meaning(err)
	}
	return response, nil
}

// meaning returns what an error of gRPC means, as the specification of OTLP says.
func meaning(err error) error {
	s := status.Convert(err)
	after, told := retryDelay(s)
	switch s.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		return &retryable{error: err, after: after}
	case codes.ResourceExhausted:
		if told { // otherwise the message is too large, or it will never pass
			return &retryable{error: err, after: after}
		}
	case codes.Unimplemented:
		return withoutService(err)
	}
	return err
}

// retryDelay returns how long the server says to wait, and whether it says that another
// attempt may pass.
func retryDelay(s *status.Status) (after time.Duration, told bool) {
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration(), true
		}
	}
	return 0, false
}

func (c *grpcClient) close() error { return c.connection.Close() }
