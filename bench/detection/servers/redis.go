// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync/atomic"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// redisServer is miniredis; all clients share a go-redis client, and each has a
// subscription of its own.
var redisServer = server{"redis", serveRedis, redisClients}

func serveRedis(clock) (string, error) {
	m, err := miniredis.Run()
	if err != nil {
		return "", err
	}
	return m.Addr(), nil
}

func redisClients(address string, c clock) (func(context.Context) error, error) {
	client := redis.NewClient(&redis.Options{Addr: address})
	var messages atomic.Int64
	return func(ctx context.Context) error {
		subscription := client.Subscribe(ctx, "news")
		defer subscription.Close()
		go func() {
			for range subscription.Channel() {
				messages.Add(1)
			}
		}()
		return use(ctx, c, func() error { return client.Incr(ctx, "visits").Err() })
	}, nil
}
