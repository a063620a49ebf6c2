// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package knowntest

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func serveRedis(t *testing.T) string {
	s := miniredis.NewMiniRedis()
	require.NoError(t, s.Start())
	t.Cleanup(s.Close)
	return s.Addr()
}

// dialRedis makes a client that lasts until the test is over, and uses it once.
func dialRedis(t *testing.T, address string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: address})
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.Set(t.Context(), "key", "value", 0).Err())
	return c
}

// subscribeRedis subscribes until the test is over.
func subscribeRedis(t *testing.T, c *redis.Client, topic string) {
	s := c.Subscribe(t.Context(), topic)
	t.Cleanup(func() { s.Close() })
	_, err := s.Receive(t.Context())
	require.NoError(t, err)
	_ = s.Channel()
}
