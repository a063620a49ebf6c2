// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"time"
)

// A server is a library's, and clients of it.
type server struct {
	name string

	// serve starts the server in this process and returns its address.
	serve func(c clock) (address string, err error)

	// clients returns what one client does: it comes, uses the server now and then,
	// and closes what it has when ctx ends. The error is of one that could not.
	clients func(address string, c clock) (visit func(ctx context.Context) error, err error)
}

// servers are all, those that build quickly first.
var servers = []server{natsServer, mqttBroker, webSocketHub, grpcServer, redisServer, kafkaCluster, quicServer, etcdServer, caddyServer, kubernetesAPI}

// between is how long a client waits between two uses, of a service.
const between = 30 * time.Second

// use calls f again and again until ctx ends or a call fails.
func use(ctx context.Context, c clock, f func() error) error {
	ticker := time.NewTicker(c.dur(between))
	defer ticker.Stop()
	for {
		if err := f(); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// listen returns a listener on loopback.
func listen() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }
