// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/url"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
)

// etcdServer is etcd; each client has a connection, a lease that it keeps alive
// and a watch.
var etcdServer = server{"etcd", serveEtcd, etcdClients}

func serveEtcd(clock) (string, error) {
	dir, err := os.MkdirTemp("", "etcd")
	if err != nil {
		return "", err
	}
	c := embed.NewConfig()
	c.Dir = dir
	c.LogLevel = "fatal"
	anywhere := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	c.ListenClientUrls, c.ListenPeerUrls = []url.URL{anywhere}, []url.URL{anywhere}
	e, err := embed.StartEtcd(c)
	if err != nil {
		return "", err
	}
	<-e.Server.ReadyNotify()
	return e.Clients[0].Addr().String(), nil
}

func etcdClients(address string, c clock) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{address}, DialTimeout: 10 * time.Second})
		if err != nil {
			return err
		}
		defer client.Close()
		lease, err := client.Grant(ctx, 10)
		if err != nil {
			return err
		}
		kept, err := client.KeepAlive(ctx, lease.ID)
		if err != nil {
			return err
		}
		go drain(kept)
		go drain(client.Watch(ctx, "news"))
		n := 0
		return use(ctx, c, func() error {
			if n++; n%20 != 1 {
				return nil
			}
			_, err := client.Put(ctx, "news", "hello", clientv3.WithLease(lease.ID))
			return err
		})
	}, nil
}

func drain[T any](from <-chan T) {
	for range from {
	}
}
