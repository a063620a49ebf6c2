// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// grpcServer is grpc-go with its health service; each client has a connection, a
// stream that stays and a call now and then.
var grpcServer = server{"grpc", serveGRPC, grpcClients}

func serveGRPC(clock) (string, error) {
	l, err := listen()
	if err != nil {
		return "", err
	}
	s := grpc.NewServer()
	healthpb.RegisterHealthServer(s, health.NewServer())
	go s.Serve(l)
	return l.Addr().String(), nil
}

func grpcClients(address string, c clock) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return err
		}
		defer conn.Close()
		client := healthpb.NewHealthClient(conn)
		stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			return err
		}
		go func() {
			for err := error(nil); err == nil; {
				_, err = stream.Recv()
			}
		}()
		return use(ctx, c, func() error {
			_, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
			return err
		})
	}, nil
}
